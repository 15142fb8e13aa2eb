//! What the kernel program knows of a flow: addresses and ports, and nothing that needs keys or eyes.

use crate::{Addr, Endpoint};

/// The key of an [`Entry`]: the local address and port that the packet was sent to.
///
/// The source is not part of it: a packet from a stranger finds the entry and its policy, instead of
/// finding nothing. There are no padding bytes, because the kernel hashes and compares all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct EntryKey {
    addr: Addr,
    port: u16,
    zero: u16,
}

const _: () = assert!(size_of::<EntryKey>() == 20 && align_of::<EntryKey>() == 2);

impl EntryKey {
    /// The key of a local endpoint.
    pub const fn new(local: Endpoint) -> Self {
        Self {
            addr: local.addr,
            port: local.port,
            zero: 0,
        }
    }

    /// The local endpoint.
    pub const fn local(self) -> Endpoint {
        Endpoint {
            addr: self.addr,
            port: self.port,
        }
    }
}

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

/// What the lower tier does with a packet of a flow: one cache line, rewritten only by offload.
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
    /// Index of the counters of the port that it arrived at.
    pub received: u32,
    /// Index of the counters of the port that it leaves from.
    pub sent: u32,
}

const _: () = assert!(size_of::<Entry>() == 64 && align_of::<Entry>() == 4);
// No padding: the fields fill the line.
const _: () = assert!(3 * size_of::<Endpoint>() + 2 * size_of::<u8>() + 2 * size_of::<u32>() == 64);

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_key_is_its_local_endpoint() {
        let local = Endpoint::new(core::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 30_000);
        assert_eq!(EntryKey::new(local).local(), local);
        assert_ne!(
            EntryKey::new(local),
            EntryKey::new(Endpoint {
                port: 30_002,
                ..local
            })
        );
    }

    #[test]
    fn what_a_packet_is_checked_against_comes_first() {
        assert_eq!(core::mem::offset_of!(Entry, source), 0);
        assert_eq!(core::mem::offset_of!(Entry, received), 56);
    }
}
