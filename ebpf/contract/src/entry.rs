//! What the kernel program knows of a flow: addresses and ports, and nothing that needs keys or eyes.

use crate::checksum::Update;
use crate::{Addr, Endpoint};

/// What the lower tier does with a packet whose source is not [`Entry::source`].
///
/// It may never forward one: that would hide a moved peer from the worker, who has to learn of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Mismatch {
    /// It goes up to the worker, who decides.
    Punt,
    /// It is dropped and counted as [`Reason::WrongSource`](crate::Reason::WrongSource).
    Drop,
}

/// What the lower tier does with a packet of a flow: one cache line, rewritten only by offload, and only when
/// no program can have found it any more.
///
/// It stands in a slot, with its [`Tally`](crate::Tally) under the same number, and is found by the local endpoint that
/// a packet was sent to, whatever its source: a packet from a stranger finds the entry and its policy, instead of
/// finding nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Entry {
    /// Where the packet must come from.
    pub source: Endpoint,
    /// Its new source: the local endpoint that it leaves from.
    pub from: Endpoint,
    /// Its new destination: the far peer.
    pub to: Endpoint,
    /// What happens to a packet from elsewhere.
    pub mismatch: Mismatch,
    /// Its new TOS byte or traffic class.
    pub tos: u8,
    /// What the new addresses add to the UDP checksum, to [`Update::add`].
    pub addresses: u16,
    /// What the new ports add to it.
    pub ports: u16,
    /// No bytes without a name.
    pub zero: u32,
}

const _: () = assert!(size_of::<Entry>() == 64 && align_of::<Entry>() == 4);
// No padding: the fields fill the line.
const _: () =
    assert!(3 * size_of::<Endpoint>() + 2 * size_of::<u8>() + 2 * size_of::<u16>() + 4 == 64);

/// The local addresses that packets are forwarded at, each at a place of its own for ever; behind the last
/// they are unspecified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Locals(pub [Addr; Locals::MOST]);

impl Locals {
    /// Addresses there can be.
    pub const MOST: usize = 32;

    /// The number of a port at the address with this place: where its [`Port`] stands.
    #[inline]
    pub const fn number(place: u32, port: u16) -> u32 {
        place << 16 | port as u32
    }
}

/// What is at a local endpoint. Either half is written by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Port {
    /// One more than the slot of its [`Entry`]; 0: it has none.
    pub slot: u32,
    /// One more than the worker that its packets may be handed to past the kernel's stack; 0: nobody.
    pub worker: u32,
}

const _: () = assert!(size_of::<Port>() == 8);

impl Entry {
    /// The entry for what comes from `source` to `local` and leaves from `from` for `to`. The rest is
    /// as the fields say; who knows better changes them.
    pub fn new(local: Endpoint, source: Endpoint, from: Endpoint, to: Endpoint) -> Self {
        let nothing = Update::nothing();
        let addresses = nothing
            .replace(&source.addr.0, &from.addr.0)
            .replace(&local.addr.0, &to.addr.0);
        let ports = nothing
            .word(source.port, from.port)
            .word(local.port, to.port);
        Self {
            source,
            from,
            to,
            mismatch: Mismatch::Punt,
            tos: 0,
            addresses: addresses.sum(),
            ports: ports.sum(),
            zero: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::checksum::Sum;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
    const FAR: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9));
    const OURS: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1));

    #[test]
    fn no_two_ports_have_one_number() {
        let ends = [(0, 0), (0, u16::MAX), (1, 0), (31, u16::MAX)];
        let numbers = ends.map(|(place, port)| Locals::number(place, port));
        assert_eq!(numbers, [0, 0xffff, 0x1_0000, 0x1f_ffff]);
    }

    #[test]
    fn what_a_packet_is_checked_against_comes_first() {
        assert_eq!(core::mem::offset_of!(Entry, source), 0);
        assert_eq!(core::mem::offset_of!(Entry, zero), 60);
    }

    /// The UDP checksum of a packet with an odd payload, from scratch (RFC 768, RFC 8200 §8.1).
    fn checksum(from: Endpoint, to: Endpoint) -> u16 {
        let sum = [from, to]
            .iter()
            .fold(Sum::default(), |sum, end| match end.addr.ip() {
                IpAddr::V4(v4) => sum.bytes(&v4.octets()).word(end.port),
                IpAddr::V6(v6) => sum.bytes(&v6.octets()).word(end.port),
            });
        sum.word(17)
            .word(13)
            .word(13)
            .bytes(b"media")
            .udp_checksum()
    }

    #[test]
    fn a_checksum_is_right_in_and_between_both_families() {
        let near = [Endpoint::new(NEAR, 4_000), Endpoint::new(FAR, 5_000)];
        let ours = [Endpoint::new(LOCAL, 30_000), Endpoint::new(OURS, 30_002)];
        for (source, local) in near.iter().zip(ours) {
            for (to, from) in near.iter().zip(ours) {
                let entry = Entry::new(local, *source, from, *to);
                let before = checksum(*source, local);
                let after = Update::of(before).add(entry.addresses).add(entry.ports);
                assert_eq!(
                    after.udp_checksum(),
                    checksum(from, *to),
                    "{source} to {to}"
                );
            }
        }
    }
}
