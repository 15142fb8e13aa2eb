//! The forwarder in the kernel: one core, for native XDP, generic XDP and tc.
//!
//! It finishes RTP of flows that need neither keys nor eyes, and passes everything else up unchanged. What
//! it finishes, it finishes as a worker does: the same bytes leave. Reading order: `packet` (what a frame
//! holds), `ports` (what is at the port), `route` (where it goes), `forward` (whether), `frame` (what is written), `lane` (which worker takes what
//! is left), `xdp` and `tc`.
//!
//! Built by `ebpf/build.sh`, with a toolchain of its own; the relay embeds the committed object.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod forward;
mod frame;
mod lane;
mod maps;
mod packet;
mod ports;
mod route;
mod tc;
mod xdp;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Helpers such as `bpf_fib_lookup` are for programs under a licence that the kernel knows.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
