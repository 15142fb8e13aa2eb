//! Secure RTP and RTCP (RFC 3711, RFC 6188, RFC 7714): what is negotiated for a direction of a port.
//!
//! Control makes [`Keys`] from what was negotiated and hands them to the worker in a
//! [`Spec`](crate::flow::Spec), one set for what arrives at a port and one for what leaves from it.

mod keys;
mod suite;

pub use keys::{KeyError, Keys, MAX_MKI, Parameters};
pub use suite::Suite;
