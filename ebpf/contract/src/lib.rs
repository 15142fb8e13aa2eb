//! What the userspace workers and the kernel program agree on, as source both compile.
//!
//! Addresses, time, packet classes, reasons and checksums mean the same in every tier because there
//! is one definition of each, here. Nothing in this crate allocates, reads a clock or knows a call.
//! Reading order: [`Time`], [`Endpoint`], [`classify`], [`Reason`], [`checksum`], [`Entry`], [`Tally`].
#![no_std]
#![forbid(unsafe_code)]

pub mod checksum;
pub mod tally;

mod addr;
mod class;
mod entry;
mod hook;
mod lane;
mod reason;
mod time;

pub use addr::{Addr, Endpoint};
pub use class::{Class, RTP_HEADER, classify, is_rtp};
pub use entry::{Entry, Locals, Mismatch, Port};
pub use hook::{LONGEST, Settings, Way};
pub use lane::{Lane, Queue};
pub use reason::Reason;
pub use tally::{Hop, Stamp, Step, Tally};
pub use time::Time;
