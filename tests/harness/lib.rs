//! What the tests that cross crates stand on: network namespaces, programs in them, RTP phones that
//! hear frequencies, an NG client of its own and the relay under test.
//!
//! Nothing here survives a test: a namespace is anonymous and lives as long as the thread that made
//! it, a program dies with that thread, and its children with its PID namespace, whatever ends first.
//! Nothing of that uses Patchcord's own parsers, so that a mistake in one cannot hide behind itself; SRTP
//! alone is our own, which libsrtp and real phones are compared with elsewhere.
//! Reading order: [`Netns`], [`Site`], [`Program`], [`Relay`], [`Ng`], [`Sdp`], [`Phone`], [`tone`].
//!
//! Without a kernel: [`world`] runs control and a plane in virtual time, [`fuzz`] drives the parsers.
#![forbid(unsafe_code)]

pub mod fuzz;
mod handshake;
mod http;
mod ice;
pub mod last_words;
pub mod leases;
mod netns;
mod ng;
mod phone;
mod privilege;
mod program;
mod relay;
mod rtp;
mod scratch;
#[cfg(test)]
mod scripts;
mod sdp;
mod secure;
mod site;
pub mod tone;
mod wait;
pub mod wav;
pub mod world;

pub use handshake::DtlsSide;
pub use http::{Metrics, http};
pub use netns::Netns;
pub use ng::{Ng, NgCall, Reply, decode, encode, is_whole};
pub use phone::{Heard, Phone, Way, converse, converse_all, converse_asymmetrically};
pub use privilege::{lacks, skip, skipped};
pub use program::Program;
pub use relay::{Backend, Load, Relay, RelayKind};
pub use rtp::{Packet, receiver_report, rtp, sender_report};
pub use scratch::Scratch;
pub use sdp::{CryptoLine, Sdp};
pub use site::{Family, Host, Site};
pub use wait::{give_up, until, wait_for};
