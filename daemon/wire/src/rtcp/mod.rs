//! RTCP compounds, viewed where they lie (RFC 3550 §6; reduced size RFC 5506).
//!
//! [`Compound`] checks a datagram once: every packet has version 2, a length that fits, and padding
//! only at the end. Then it yields [`Packet`]s, whose typed views ([`SenderReport`], [`Sdes`], [`Bye`],
//! [`Feedback`], …) read what they need. [`strip_feedback`] cuts feedback out in place; [`select()`] takes
//! what is about some sources; a [`Writer`] makes reports of our own.

mod compound;
mod feedback;
mod ntp;
mod report;
mod sdes;
mod select;
mod simple;
mod writer;

#[cfg(test)]
mod tests;

pub use compound::{Compound, Packet, PacketType, Packets, RtcpError};
pub use feedback::{Feedback, strip_feedback};
pub use ntp::{Ntp, round_trip};
pub use report::{ReceiverReport, ReportBlock, SenderReport};
pub use sdes::{Chunk, Item, Sdes, item};
pub use select::{Source, select};
pub use simple::{App, Bye, ExtendedReport, XrBlock};
pub use writer::{SenderInfo, Writer};
