//! The cold path: calls, negotiation, and the flows compiled from them.
//!
//! [`Control`] is the way in. A request is a function of call, request and settings: it works on a
//! copy of the call, and either replaces the call by it or leaves everything as it was. Its flows
//! are compiled from the call as it then is, compared with those the workers have, and the
//! difference leaves as commands; there is no second way to change forwarding.
//!
//! Nothing here opens a socket, reads a clock, starts a thread or asks for randomness: time is an
//! argument ([`Clock`]), all that is drawn follows from a [`Seed`], ports come through a trait
//! ([`Ports`]), what was chosen is plain data ([`Settings`]). Reading order: `control`, `call`, `negotiate`, `compile`, `reconcile`, `query`.
#![forbid(unsafe_code)]

mod bundles;
mod call;
mod calls;
mod cli;
mod clock;
mod compile;
mod connectivity;
mod control;
pub mod dtls;
mod error;
mod fragment;
pub mod ice;
mod negotiate;
mod outcome;
mod ports;
mod quality;
mod query;
mod random;
mod reconcile;
mod settings;
mod spans;
mod statistics;
mod timeouts;
mod totals;

pub use clock::Clock;
pub use control::Control;
pub use outcome::{Form, Outcome, ProcessCommand, cli_reply};
pub use ports::{Count, Lease, LeasedPort, NoPorts, Ports, Want};
pub use random::Seed;
pub use settings::{Interface, LoadLimit, Settings, Timeouts, TrustedAddress};
pub use spans::Spans;
pub use totals::{DtlsTotals, EndReason, Ended, Gauges, IceTotals, Totals};
