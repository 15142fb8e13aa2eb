//! The relay's control protocol as a proxy speaks it: requests, their transport, and call set-up.

pub(crate) mod call;
pub(crate) mod client;
pub(crate) mod script;
pub(crate) mod sdes;
pub(crate) mod sdp;
