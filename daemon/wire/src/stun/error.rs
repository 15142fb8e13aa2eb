//! What can be wrong with a STUN message, and where.

use thiserror::Error;

/// Why a datagram is no STUN message to go by, with the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{kind} at byte {at}")]
pub struct StunError {
    /// What is wrong.
    pub kind: StunErrorKind,
    /// Where: a byte offset into the datagram.
    pub at: u16,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StunErrorKind {
    /// No header, or not STUN's.
    #[error("not a STUN header")]
    BadHeader,
    /// The length field is not the datagram's, or not a multiple of four.
    #[error("wrong length")]
    BadLength,
    /// More attributes than any message has.
    #[error("too many attributes")]
    TooMany,
    /// An attribute that reaches beyond the message, or whose value has the wrong form.
    #[error("malformed attribute")]
    BadAttribute,
    /// FINGERPRINT is not the message's, or not the last attribute.
    #[error("wrong fingerprint")]
    BadFingerprint,
}

impl StunErrorKind {
    /// The error at a byte of the datagram.
    pub(super) const fn at(self, at: usize) -> StunError {
        StunError {
            kind: self,
            at: at as u16,
        }
    }
}
