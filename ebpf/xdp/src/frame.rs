//! What is written in front of a packet that leaves: link, IP and UDP headers, whole and anew. The payload
//! stays where it is.

use patchcord_contract::checksum::{Sum, Update};
use patchcord_contract::{Entry, Hop};

use crate::maps::settings;
use crate::packet::{
    Bytes, ETHERNET, IPV4, IPV6, IS_IPV4, IS_IPV6, IS_VLAN, PROTOCOL, Packet, TAG, UDP,
};
use crate::route::{self, words};

/// IPv4's flag not to fragment, as the relay's own sockets set it.
const DONT_FRAGMENT: u16 = 0x4000;

/// Link header of the frame, at its start.
#[inline(always)]
pub(crate) fn link(bytes: Bytes, next: &Hop, is_v4: bool) -> Option<()> {
    let kind = if is_v4 { IS_IPV4 } else { IS_IPV6 };
    let addresses: *mut [[u8; 6]; 2] = bytes.at(0)?;
    let first: *mut u16 = bytes.at(2 * 6)?;
    // SAFETY: within the frame.
    unsafe { addresses.write_unaligned([next.to, next.from]) };
    if next.vlan == 0 {
        // SAFETY: within the frame.
        unsafe { first.write_unaligned(kind) };
        return Some(());
    }
    let tag: *mut [u16; 2] = bytes.at(ETHERNET)?;
    // SAFETY: within the frame.
    unsafe {
        first.write_unaligned(IS_VLAN);
        tag.write_unaligned([next.vlan.to_be(), kind]);
    }
    Some(())
}

/// IP header behind `link` bytes, and the ports and the length of UDP behind it.
#[inline(always)]
pub(crate) fn internet(bytes: Bytes, link: usize, entry: &Entry, len: u16) -> Option<()> {
    let ports = [
        entry.from.port.to_be(),
        entry.to.port.to_be(),
        (len + UDP as u16).to_be(),
    ];
    let (from, to) = (words(entry.from.addr), words(entry.to.addr));
    if route::is_v4(entry.to) {
        let ip: *mut ([u32; 5], [u16; 3]) = bytes.at(link)?;
        // SAFETY: within the frame.
        unsafe {
            (&raw mut (*ip).0).write_unaligned(v4(entry, from[3], to[3], len));
            (&raw mut (*ip).1).write_unaligned(ports);
        }
    } else {
        let ip: *mut ([u32; 10], [u16; 3]) = bytes.at(link)?;
        let class = 6 << 28 | (entry.tos as u32) << 20;
        let length = (len as u32 + UDP as u32) << 16 | (PROTOCOL as u32) << 8;
        let second = length | settings().hop_limit as u32;
        // SAFETY: within the frame.
        unsafe {
            let header = (&raw mut (*ip).0).cast::<u32>();
            header.write_unaligned(class.to_be());
            header.add(1).write_unaligned(second.to_be());
            header.add(2).cast::<[u32; 4]>().write_unaligned(from);
            header.add(6).cast::<[u32; 4]>().write_unaligned(to);
            (&raw mut (*ip).1).write_unaligned(ports);
        }
    }
    Some(())
}

/// The words of an IPv4 header, as they lie in memory.
#[inline(always)]
fn v4(entry: &Entry, from: u32, to: u32, len: u16) -> [u32; 5] {
    let total = len + (IPV4 + UDP) as u16;
    let first = 0x4500_u16 | entry.tos as u16;
    let life = (settings().ttl as u16) << 8 | PROTOCOL as u16;
    let halves = |word: u32| {
        let word = u32::from_be(word);
        ((word >> 16) as u16, word as u16)
    };
    let ((a, b), (c, d)) = (halves(from), halves(to));
    let sum = Sum::default()
        .word(first)
        .word(total)
        .word(DONT_FRAGMENT)
        .word(life);
    let checksum = sum.word(a).word(b).word(c).word(d).checksum();
    let word = |high: u16, low: u16| ((high as u32) << 16 | low as u32).to_be();
    [
        word(first, total),
        word(0, DONT_FRAGMENT),
        word(life, checksum),
        from,
        to,
    ]
}

/// The UDP checksum of a packet whose own covers all of it, as it lies in memory. Without one it stays so.
#[inline(always)]
pub(crate) fn checksum(packet: &Packet, entry: &Entry) -> u16 {
    if packet.checksum == 0 {
        return 0;
    }
    let before = Update::of(u16::from_be(packet.checksum));
    before
        .add(entry.addresses)
        .add(entry.ports)
        .udp_checksum()
        .to_be()
}

/// Bytes of link and IP header that a packet leaves with.
#[inline(always)]
pub(crate) fn headers(entry: &Entry, vlan: u16) -> (usize, usize) {
    let link = if vlan == 0 { ETHERNET } else { ETHERNET + TAG };
    (link, if route::is_v4(entry.to) { IPV4 } else { IPV6 })
}
