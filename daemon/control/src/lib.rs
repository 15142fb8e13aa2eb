//! The cold path: calls, negotiation, and the flows compiled from them.
#![forbid(unsafe_code)]

mod clock;
mod outcome;
mod ports;
mod settings;
mod totals;

pub use clock::Clock;
pub use outcome::{Form, Outcome, ProcessCommand, cli_reply};
pub use ports::{Count, Lease, LeasedPort, NoPorts, Ports, Want};
pub use settings::{Interface, LoadLimit, Settings, Timeouts, TrustedAddress};
pub use totals::{EndReason, Ended, Gauges, Totals};
