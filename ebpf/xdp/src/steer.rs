//! Steering: which socket a datagram is for, where one socket is all ports of a worker. A program of its own, for
//! it runs where sockets are looked up (`sk_lookup`), with or without a forwarder in front.
#![no_std]
#![no_main]

use core::ptr::read_volatile;

use aya_ebpf::bindings::{bpf_sk_lookup, sk_action};
use aya_ebpf::macros::{map, sk_lookup};
use aya_ebpf::maps::SockMap;
use aya_ebpf::programs::SkLookupContext;
use patchcord_contract::{Addr, Endpoint};

mod ports;

const AF_INET6: u32 = 10;
const UDP: u32 = 17;

/// The workers' sockets: two for each, IPv4 and IPv6.
#[map]
static SOCKETS: SockMap = SockMap::with_max_entries(2, 0);

/// What the program is asked about: a datagram's local endpoint.
#[derive(Clone, Copy)]
struct Asked {
    family: u32,
    protocol: u32,
    v4: u32,
    v6: [u32; 4],
    port: u32,
}

impl Asked {
    /// Reads all of the context at once, each field by itself: the verifier lets nothing be computed from it.
    #[inline(always)]
    fn of(context: *const bpf_sk_lookup) -> Self {
        macro_rules! field {
            ($($field:tt)+) => {
                // SAFETY: the context is the program's own, and each of its fields may be read.
                unsafe { read_volatile(&raw const (*context).$($field)+) }
            };
        }
        Self {
            family: field!(family),
            protocol: field!(protocol),
            v4: field!(local_ip4),
            v6: [
                field!(local_ip6[0]),
                field!(local_ip6[1]),
                field!(local_ip6[2]),
                field!(local_ip6[3]),
            ],
            port: field!(local_port),
        }
    }
}

/// Gives a datagram for a media port to the socket of its worker. Everything else is looked up as ever.
#[sk_lookup]
fn patchcord_steer(context: SkLookupContext) -> u32 {
    let asked = Asked::of(context.lookup);
    if asked.protocol == UDP {
        // A worker that has no socket yet, or no more, leaves the datagram to who is there.
        let _left = steer(&context, asked);
    }
    sk_action::SK_PASS
}

#[inline(always)]
fn steer(context: &SkLookupContext, asked: Asked) -> Option<()> {
    let is_v6 = asked.family == AF_INET6;
    let words = if is_v6 {
        asked.v6
    } else {
        [0, 0, 0xffff_u32.to_be(), asked.v4]
    };
    let local = Endpoint {
        addr: address(words),
        port: asked.port as u16,
    };
    let worker = ports::port(local)?.worker.checked_sub(1)?;
    let socket = 2 * worker + is_v6 as u32;
    SOCKETS.redirect_sk_lookup(context, socket, 0).ok()
}

/// An address of four words as they lie in memory.
#[inline(always)]
fn address(words: [u32; 4]) -> Addr {
    let mut bytes = [0; 16];
    let (chunks, _) = bytes.as_chunks_mut::<4>();
    for (chunk, word) in chunks.iter_mut().zip(words) {
        *chunk = word.to_ne_bytes();
    }
    Addr(bytes)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Helpers for sockets are for programs under a licence that the kernel knows.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
