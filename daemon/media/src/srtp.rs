//! Secure RTP and RTCP (RFC 3711, RFC 6188, RFC 7714).
//!
//! Control makes [`Keys`] from what was negotiated and hands them to the worker in a
//! [`Spec`](crate::flow::Spec), one set for what arrives at a port and one for what leaves from it. The
//! worker makes a [`Receiver`] or a [`Sender`] of each and passes packets through them in batches:
//! [`open()`] and [`seal()`] come out as if the packets had come one by one, whatever is among them.
//!
//! Nothing changes before a tag holds: no index, no window, no stream. An index that left once does not
//! leave again.

mod doubt;
mod form;
mod half;
mod index;
mod kdf;
mod keys;
mod open;
mod receive;
mod replay;
mod seal;
mod send;
mod streams;
mod suite;
mod vector;

use crate::flow::PortId;

pub use doubt::Cause;
pub use keys::{KeyError, Keys, MAX_MKI, Parameters};
pub use open::{Opening, open};
pub use patchcord_cipher::Tier;
pub use receive::Receiver;
pub use seal::{Sealing, seal};
pub use send::Sender;
pub use suite::Suite;

pub(crate) use half::Identity;
pub(crate) use seal::{Assigned, assign, reassign};

/// What a packet is; the two have keys, indices and windows of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// SRTP.
    Rtp,
    /// SRTCP.
    Rtcp,
}

/// Where the jobs of a batch find their keys.
pub trait Contexts<T> {
    /// Those of a port.
    fn context(&self, port: PortId) -> Option<&T>;

    /// Those of a port, to be changed.
    fn context_mut(&mut self, port: PortId) -> Option<&mut T>;
}

/// One context for every port.
impl<T> Contexts<T> for T {
    fn context(&self, _: PortId) -> Option<&T> {
        Some(self)
    }

    fn context_mut(&mut self, _: PortId) -> Option<&mut T> {
        Some(self)
    }
}

/// A context for each port, by its slot.
impl<T> Contexts<T> for [T] {
    fn context(&self, port: PortId) -> Option<&T> {
        self.get(port.slot())
    }

    fn context_mut(&mut self, port: PortId) -> Option<&mut T> {
        self.get_mut(port.slot())
    }
}

#[cfg(test)]
mod tests;
