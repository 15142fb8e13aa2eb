//! Below UDP: what a frame holds, where one leaves, and the way that is always right.
//!
//! Backends that send frames of their own ask [`Hops`] where a packet leaves, write the headers in front of it
//! with [`frame`], and give to [`Raw`] what has no hop: the kernel routes it, finds the neighbour, cuts it or
//! hands it to another process of this machine. Reading order: `frame`, `hops`, `ask`, `netlink`,
//! `line`, `raw`.

pub(crate) mod frame;

mod ask;
mod hops;
pub(crate) mod line;
mod netlink;
mod raw;
#[cfg(test)]
mod tests;

pub(crate) use hops::{Hop, Hops};
pub(crate) use line::{Frame, Line};
pub(crate) use raw::Raw;

use patchcord_contract::Endpoint;

/// Between which endpoints a packet goes, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Course {
    /// The local endpoint that it leaves from.
    pub(crate) from: Endpoint,
    /// Where it goes; of the same family.
    pub(crate) to: Endpoint,
    /// The scope (interface index) of the local address, which link-local peers are in.
    pub(crate) scope: u32,
    /// Its TOS byte or traffic class.
    pub(crate) tos: u8,
}

impl Course {
    /// Whether it goes over IPv4; `None` if the two ends are of different families.
    #[inline]
    pub(crate) fn is_v4(&self) -> Option<bool> {
        let is_v4 = self.from.addr.is_v4();
        (is_v4 == self.to.addr.is_v4()).then_some(is_v4)
    }

    /// The interface that the packet has to leave by, if its peer's address says nothing without one.
    pub(crate) fn interface(&self) -> u32 {
        let [first, second, ..] = self.to.addr.0;
        let is_near = first == 0xfe && second & 0xc0 == 0x80;
        if is_near { self.scope } else { 0 }
    }
}
