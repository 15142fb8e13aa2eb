//! The physical limit, as a benchmark: the least that a program can do which sends a datagram on, at either hook.
//!
//! A static table says what each port of two local addresses of IPv4 becomes, down to the link addresses. No
//! source, stream or route is looked at and nothing is counted. `patchload bench` fills the table and
//! attaches the program where a relay would; the relay never loads it.
#![no_std]
#![no_main]

use core::ffi::c_void;
use core::mem::size_of;
use core::ptr::read_volatile;

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::generated;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::{Array, DevMapHash};
use aya_ebpf::programs::{TcContext, XdpContext};

/// EtherType of IPv4, as it lies in memory.
const IS_IPV4: u16 = 0x0800_u16.to_be();
/// Version 4 and a header without options.
const VERSION: u8 = 0x45;
/// The number of UDP.
const PROTOCOL: u8 = 17;
/// What the tc program returns to leave a frame to the kernel.
const NEXT: i32 = -1;

/// What a datagram becomes, as it lies in memory. The two sums are what that adds to the checksums.
#[repr(C)]
#[derive(Clone, Copy)]
struct Onward {
    addresses: [u32; 2],
    ports: [u16; 2],
    ip_sum: u16,
    udp_sum: u16,
    links: [[u8; 6]; 2],
    /// 0: nothing is known of the port.
    interface: u32,
}

const _: () = assert!(size_of::<Onward>() == 32);

/// By port number, those of the far address behind those of the near one.
#[map]
static TABLE: Array<Onward> = Array::with_max_entries(2 << 16, 0);

/// The near address, as it lies in memory. Set when the program is loaded.
#[unsafe(no_mangle)]
static NEAR: u32 = 0;

#[map]
static PORTS: DevMapHash = DevMapHash::with_max_entries(8, 0);

/// Ethernet, IPv4 and UDP.
#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Headers {
    links: [[u8; 6]; 2],
    kind: u16,
    version: u8,
    before: [u8; 8],
    protocol: u8,
    ip_checksum: u16,
    addresses: [u32; 2],
    ports: [u16; 2],
    length: u16,
    udp_checksum: u16,
}

const _: () = assert!(size_of::<Headers>() == 14 + 20 + 8);

/// The program for native and generic XDP.
#[xdp]
fn bare_xdp(context: XdpContext) -> u32 {
    match rewrite(context.data(), context.data_end()) {
        Some(interface) => PORTS
            .redirect(interface, 0)
            .unwrap_or(xdp_action::XDP_ABORTED),
        None => xdp_action::XDP_PASS,
    }
}

/// The program for tcx. Its entry is written out for the reason in `tc.rs`.
#[unsafe(no_mangle)]
#[unsafe(link_section = "classifier")]
extern "C" fn bare_tc(context: *mut c_void) -> i32 {
    let context = TcContext::new(context.cast());
    match rewrite(context.data(), context.data_end()) {
        // SAFETY: a helper that takes numbers.
        Some(interface) => unsafe { generated::bpf_redirect(interface, 0) as i32 },
        None => NEXT,
    }
}

/// Makes the frame what the table says; the interface it leaves by, if there is an entry.
#[inline(always)]
fn rewrite(start: usize, end: usize) -> Option<u32> {
    if start + size_of::<Headers>() > end {
        return None;
    }
    let at = start as *mut Headers;
    // SAFETY: within the frame.
    let mut headers = unsafe { at.read_unaligned() };
    if headers.kind != IS_IPV4 || headers.version != VERSION || headers.protocol != PROTOCOL {
        return None;
    }
    // SAFETY: a static; volatile, because its value is replaced after compilation.
    let is_far = headers.addresses[1] != unsafe { read_volatile(&raw const NEAR) };
    let local = (is_far as u32) << 16 | u16::from_be(headers.ports[1]) as u32;
    let onward = TABLE.get(local)?;
    if onward.interface == 0 {
        return None;
    }
    headers.links = onward.links;
    headers.addresses = onward.addresses;
    headers.ports = onward.ports;
    headers.ip_checksum = changed(headers.ip_checksum, onward.ip_sum);
    headers.udp_checksum = match changed(headers.udp_checksum, onward.udp_sum) {
        0 => 0xffff,
        sum => sum,
    };
    // SAFETY: within the frame.
    unsafe { at.write_unaligned(headers) };
    Some(onward.interface)
}

/// A checksum after a change of what it covers (RFC 1624 §3).
#[inline(always)]
fn changed(checksum: u16, by: u16) -> u16 {
    let sum = (!checksum) as u32 + by as u32;
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// `bpf_redirect` is for anyone, but a program's licence has to be told.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
