//! Where a packet leaves: the kernel's own routes and neighbours, looked up as for one that the relay sends
//! itself. What was found is used until there are news, and for a moment at most.

use aya_ebpf::bindings::bpf_fib_lookup;
use aya_ebpf::helpers::generated;
use patchcord_contract::{Addr, Endpoint, Entry, Hop, Tally, Time};

use crate::forward::Hook;
use crate::maps::{NEWS, WAYS, settings};
use crate::packet::{IPV4, IPV6, PROTOCOL, UDP};
use crate::ports::halves;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// What the kernel is asked, aligned for stores of eight bytes: the verifier wants those to the stack aligned.
#[repr(C, align(8))]
struct Ask(bpf_fib_lookup);

/// The next hop of a packet of `len` bytes; `None` if the kernel has to find it, to ask for it, or to
/// cut the packet.
#[inline(always)]
pub(crate) fn find<H: Hook>(
    hook: &H,
    entry: &Entry,
    tally: *mut Tally,
    len: u16,
    now: Time,
) -> Option<Hop> {
    // SAFETY: an address within the map's memory.
    let kept = unsafe { &raw mut (*tally).hop };
    // SAFETY: the map's memory, aligned. Processors that carry one flow at once find the same, but at the moment
    // of a change.
    let hop = unsafe { kept.read() };
    // Read before the kernel is asked: what it says then is no older.
    // SAFETY: an aligned integer, read at once.
    let news = NEWS
        .get_ptr(0)
        .map_or(0, |news| unsafe { news.read_volatile() }) as u16;
    if hop.until > now.0 && hop.news == news && hop.hook == H::NUMBER {
        return (length(entry, len) <= hop.most).then_some(hop);
    }
    let hop = look_up(hook, entry, len, now, news)?;
    // SAFETY: as above.
    unsafe { kept.write(hop) };
    Some(hop)
}

/// Asks the kernel.
#[inline(always)]
fn look_up<H: Hook>(hook: &H, entry: &Entry, len: u16, now: Time, news: u16) -> Option<Hop> {
    // SAFETY: integers and arrays of them, for which zero is a value.
    let mut aligned: Ask = unsafe { core::mem::zeroed() };
    let Ask(ask) = &mut aligned;
    ask.l4_protocol = PROTOCOL;
    ask.sport = entry.from.port.to_be();
    ask.dport = entry.to.port.to_be();
    ask.__bindgen_anon_1.tot_len = length(entry, len);
    // As from the loopback interface: that is how the kernel looks up the route of what is its own.
    ask.ifindex = settings().loopback;
    let (from, to) = (entry.from.addr, entry.to.addr);
    if is_v4(entry.to) {
        ask.family = AF_INET;
        ask.__bindgen_anon_2.tos = entry.tos;
        ask.__bindgen_anon_3.ipv4_src = words(from)[3];
        ask.__bindgen_anon_4.ipv4_dst = words(to)[3];
    } else {
        ask.family = AF_INET6;
        ask.__bindgen_anon_2.flowinfo = ((entry.tos as u32) << 20).to_be();
        // SAFETY: fields of sixteen bytes, 16 and 32 bytes behind an address that eight divides.
        unsafe {
            (&raw mut ask.__bindgen_anon_3)
                .cast::<[u64; 2]>()
                .write(halves(from));
            (&raw mut ask.__bindgen_anon_4)
                .cast::<[u64; 2]>()
                .write(halves(to));
        }
    }
    let size = size_of::<bpf_fib_lookup>() as i32;
    // SAFETY: the context is the program's own; `ask` is live and as long as said.
    let answer = unsafe { generated::bpf_fib_lookup(hook.context(), &raw mut *ask, size, 0) };
    if answer != 0 {
        return None;
    }
    // SAFETY: the value is copied at once; it is replaced as a whole, and four bytes at a time are enough.
    let way = unsafe { WAYS.get(&ask.ifindex) }.copied()?;
    let (interface, vlan) = H::leaves(ask.ifindex, way);
    // SAFETY: an integer, whichever way it is looked at: the kernel has put what fits in the length's place.
    let most = unsafe { ask.__bindgen_anon_1.mtu_result };
    (way.takes != 0).then_some(Hop {
        until: now.0 + Hop::KEPT.as_nanos() as u64,
        interface,
        to: ask.dmac,
        from: ask.smac,
        vlan,
        most,
        hook: H::NUMBER,
        bounces: way.bounces,
        news,
    })
}

/// Bytes of the IP packet that a payload of `len` leaves in.
#[inline(always)]
fn length(entry: &Entry, len: u16) -> u16 {
    let ip = if is_v4(entry.to) { IPV4 } else { IPV6 };
    len + (ip + UDP) as u16
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
