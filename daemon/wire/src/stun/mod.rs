//! STUN as ICE speaks it (RFC 8489, attributes of RFC 8445 §16.1).
//!
//! [`Message::parse`] reads a datagram where it lies: structure, known attributes, FINGERPRINT. Whether
//! to believe it is a second step, [`Message::verify`], since the key depends on what the message says.
//! [`Writer`] writes into the caller's buffer. Both are for short-term credentials (§9.1): a [`Key`].

mod address;
mod checksum;
mod error;
mod integrity;
mod kind;
mod message;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{StunError, StunErrorKind};
pub use integrity::Key;
pub use kind::{Class, Method, TransactionId};
pub use message::{ErrorCode, Message, Role};
pub use writer::Writer;

/// Bytes of the header (§5).
pub const HEADER: usize = 20;

/// The fixed value at byte 4 of every message (§5).
pub const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Attribute types (§18.3; RFC 8445 §16.1).
mod attribute {
    pub(super) const MAPPED_ADDRESS: u16 = 0x0001;
    pub(super) const USERNAME: u16 = 0x0006;
    pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(super) const ERROR_CODE: u16 = 0x0009;
    pub(super) const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub(super) const REALM: u16 = 0x0014;
    pub(super) const NONCE: u16 = 0x0015;
    pub(super) const MESSAGE_INTEGRITY_SHA256: u16 = 0x001c;
    pub(super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub(super) const PRIORITY: u16 = 0x0024;
    pub(super) const USE_CANDIDATE: u16 = 0x0025;
    pub(super) const SOFTWARE: u16 = 0x8022;
    pub(super) const FINGERPRINT: u16 = 0x8028;
    pub(super) const ICE_CONTROLLED: u16 = 0x8029;
    pub(super) const ICE_CONTROLLING: u16 = 0x802a;
}
