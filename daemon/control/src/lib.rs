//! The cold path: calls, negotiation, and the flows compiled from them.
#![forbid(unsafe_code)]

mod clock;
mod ports;
mod settings;

pub use clock::Clock;
pub use ports::{Count, Lease, LeasedPort, NoPorts, Ports, Want};
pub use settings::{Interface, LoadLimit, Settings, Timeouts, TrustedAddress};
