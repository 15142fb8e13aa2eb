//! Where a packet leaves: the kernel's own routes and neighbours, looked up for each packet as for one that
//! the relay sends itself, so that they are as fresh.

use aya_ebpf::bindings::bpf_fib_lookup;
use aya_ebpf::helpers::generated;
use patchcord_contract::{Addr, Endpoint, Entry, Way};

use crate::forward::Hook;
use crate::maps::{WAYS, settings};
use crate::packet::{IPV4, IPV6, PROTOCOL, UDP};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// The next hop.
pub(crate) struct Next {
    /// The interface that the route names.
    pub(crate) interface: u32,
    pub(crate) way: Way,
    pub(crate) to: [u8; 6],
    pub(crate) from: [u8; 6],
}

/// The next hop of a packet of `len` bytes; `None` if the kernel has to find it, to ask for it, or to
/// cut the packet.
#[inline(always)]
pub(crate) fn find<H: Hook>(hook: &H, entry: &Entry, len: u16) -> Option<Next> {
    // SAFETY: integers and arrays of them, for which zero is a value.
    let mut ask: bpf_fib_lookup = unsafe { core::mem::zeroed() };
    let is_v4 = is_v4(entry.to);
    let ip = if is_v4 { IPV4 } else { IPV6 };
    ask.l4_protocol = PROTOCOL;
    ask.sport = entry.from.port.to_be();
    ask.dport = entry.to.port.to_be();
    ask.__bindgen_anon_1.tot_len = len + (ip + UDP) as u16;
    // As from the loopback interface: that is how the kernel looks up the route of what is its own.
    ask.ifindex = settings().loopback;
    let (from, to) = (words(entry.from.addr), words(entry.to.addr));
    if is_v4 {
        ask.family = AF_INET;
        ask.__bindgen_anon_2.tos = entry.tos;
        ask.__bindgen_anon_3.ipv4_src = from[3];
        ask.__bindgen_anon_4.ipv4_dst = to[3];
    } else {
        ask.family = AF_INET6;
        ask.__bindgen_anon_2.flowinfo = ((entry.tos as u32) << 20).to_be();
        ask.__bindgen_anon_3.ipv6_src = from;
        ask.__bindgen_anon_4.ipv6_dst = to;
    }
    let size = size_of::<bpf_fib_lookup>() as i32;
    // SAFETY: the context is the program's own; `ask` is live and as long as said.
    let answer = unsafe { generated::bpf_fib_lookup(hook.context(), &raw mut ask, size, 0) };
    if answer != 0 {
        return None;
    }
    // SAFETY: the value is copied at once; it is replaced as a whole, and four bytes at a time are enough.
    let way = unsafe { WAYS.get(&ask.ifindex) }.copied()?;
    (way.takes != 0).then_some(Next {
        interface: ask.ifindex,
        way,
        to: ask.dmac,
        from: ask.smac,
    })
}

/// Whether packets for it are IPv4.
#[inline(always)]
pub(crate) fn is_v4(to: Endpoint) -> bool {
    let [a, b, c, _] = words(to.addr);
    a | b == 0 && c == 0xffff_u32.to_be()
}

/// The words of an address as they lie in memory.
#[inline(always)]
pub(crate) fn words(addr: Addr) -> [u32; 4] {
    let (chunks, _) = addr.0.as_chunks::<4>();
    let mut words = [0; 4];
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = u32::from_ne_bytes(*chunk);
    }
    words
}
