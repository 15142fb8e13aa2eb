//! The hot path: a flow and a packet give a verdict.
//!
//! A worker owns one [`Plane`]. Control programs it with [`flow::Command`]s; the engine hands it
//! batches of received packets and an [`Outbox`], and sends what comes out. Nothing here opens a
//! socket, reads a clock, takes a lock or, once a flow stands, allocates.
//!
//! The path of a packet: [`Plane::process`], classification and header checks, loop check, admission
//! by source, counters and quality, sinks, [`Outbox`]. Reading order: [`flow`], [`packet`],
//! [`outbox`], [`verdict`], [`plane`], [`bundle`], [`stats`], [`totals`], [`offload`].
#![forbid(unsafe_code)]

pub mod bundle;
pub mod flow;
pub mod mos;
pub mod offload;
pub mod outbox;
pub mod packet;
pub mod plane;
pub mod punt;
pub mod srtp;
pub mod stats;
pub mod totals;
pub mod verdict;

mod clocks;
mod demux;
mod doors;
mod egress;
mod loops;
mod nearer;
mod peer;
mod quality;
mod reporting;
mod reports;
mod secure;
mod table;

pub use outbox::Outbox;
pub use packet::{Packet, Rx};
pub use plane::Plane;
pub use verdict::Verdict;
