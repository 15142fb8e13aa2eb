//! DTLS-SRTP without sockets or clocks (RFC 5763, 5764, 8122, 8842).
//!
//! An [`Association`] takes datagrams, points in time and the fingerprints of the signalling, and gives
//! datagrams, news and, once the peer's certificate is the one that was announced, keys. A
//! [`Succession`] is one with its successor beside it, for restarts. A [`Pool`] runs them on a thread
//! of its own, away from control and workers.
//!
//! Two libraries do the handshakes behind one trait: dimpl, which is quick, and OpenSSL for the peers
//! that dimpl cannot serve (RSA certificates, SRTP_AES128_CM_SHA1_32 alone, no extended master
//! secret). [`choice`] says how they are told apart before the first answer.
//!
//! Reading order: [`association`], [`choice`], [`hello`], `backend`, [`certificate`], [`pool`].
#![forbid(unsafe_code)]

pub mod association;
mod backend;
pub mod certificate;
pub mod choice;
mod flights;
pub mod hello;
mod keying;
pub mod pool;
pub mod profile;
pub mod record;
mod sieve;
pub mod store;
mod succession;

pub use association::{
    Association, Closed, Event, Expect, Failure, Options, Output, Role, State, Status, Timing,
};
pub use backend::{Kind, Version};
pub use certificate::{Certificate, CertificateError, KeyKind, fingerprint};
pub use keying::SessionKeys;
pub use pool::{Pool, PoolConfig};
pub use profile::{Profile, Profiles};
pub use store::Store;
pub use succession::Succession;
