//! Bytes to values and back: NG, bencode, SDP, STUN, RTP, RTCP.
//!
//! Everything that Patchcord reads from or writes to a network passes through here, and nothing here
//! knows a call, a socket, a clock or a packet's way. The two halves meet nowhere:
//!
//! - **Signalling** is parsed into values that borrow, and written without intermediate texts. NG:
//!   [`ng`] on top of [`bencode`] and [`json`]. [`sdp`]: an index over the bytes, typed lines on demand,
//!   everything else copied byte for byte. [`Proto`] is what both say of a transport.
//! - **Packets** are viewed where they lie: [`rtp`], [`rtcp`] and [`stun`], headers checked once, no allocation;
//!   header extensions are changed in place ([`extension`]).
//!
//! [`digits`] writes numbers. [`ids`] are the checked names and numbers that the other crates keep. Malformed input is ordinary:
//! errors are small `Copy` enums with a position, sizes and depths are capped, and nothing panics.
#![forbid(unsafe_code)]

pub mod bencode;
pub mod digits;
pub mod extension;
pub mod ids;
pub mod json;
pub mod ng;
mod proto;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod stun;
pub mod value;

pub use proto::Proto;
