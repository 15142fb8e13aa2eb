//! What the userspace workers and the kernel program agree on, as source both compile.
//!
//! Addresses, time, packet classes, reasons and checksums mean the same in every tier because there
//! is one definition of each, here. Nothing in this crate allocates, reads a clock or knows a call.
//! Reading order: [`Time`], [`Endpoint`], [`classify`], [`Reason`], [`checksum`], [`Entry`].
#![no_std]
#![forbid(unsafe_code)]

pub mod checksum;

mod addr;
mod class;
mod entry;
mod reason;
mod time;

pub use addr::{Addr, Endpoint};
pub use class::{Class, classify};
pub use entry::{Entry, EntryKey, Mismatch};
pub use reason::Reason;
pub use time::Time;
