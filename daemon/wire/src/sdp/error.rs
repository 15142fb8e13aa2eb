//! What can be wrong with a body or a line, and where.

use thiserror::Error;

/// Why a body was refused or a line could not be read, with the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{kind} at byte {at}")]
pub struct Error {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Where: a byte offset into the body, or into the value when a value was parsed on its own.
    pub at: u32,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ErrorKind {
    /// The body is longer than [`super::Limits::body`].
    #[error("body too long")]
    BodyTooLong,
    /// The body has more lines than [`super::Limits::lines`].
    #[error("too many lines")]
    TooManyLines,
    /// The body has more media sections than [`super::Limits::sections`].
    #[error("too many media sections")]
    TooManySections,
    /// The first line is not `v=0`.
    #[error("no version line")]
    NoVersion,
    /// There is no `o=` line.
    #[error("no origin line")]
    NoOrigin,
    /// A media section with a port has no `c=` line, and neither has the session part.
    #[error("no connection line")]
    NoConnection,
    /// A line is not of the form `x=value`.
    #[error("malformed line")]
    BadLine,
    /// A part that must be there is not.
    #[error("missing part")]
    Missing,
    /// A number is not a number, or out of its range.
    #[error("bad number")]
    BadNumber,
    /// A network type, address type or address that cannot be one.
    #[error("bad address")]
    BadAddress,
    /// A word that is none of those allowed here.
    #[error("unknown word")]
    BadWord,
    /// Hexadecimal digits that are not, or of the wrong length for their hash.
    #[error("bad digest")]
    BadDigest,
}

impl Error {
    /// An error at an offset.
    pub(crate) const fn new(kind: ErrorKind, at: usize) -> Self {
        Self {
            kind,
            at: at as u32,
        }
    }

    /// Moves the place by `offset`: from a value to the body that it stands in.
    pub(crate) const fn shifted(self, offset: u32) -> Self {
        Self {
            at: self.at.saturating_add(offset),
            ..self
        }
    }

    /// Whether lines are missing, as opposed to malformed.
    pub const fn is_incomplete(self) -> bool {
        matches!(self.kind, ErrorKind::NoOrigin | ErrorKind::NoConnection)
    }
}
