//! Checked names and numbers: what passes here can be stored, compared and written back as it is.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use smallvec::SmallVec;
use thiserror::Error;

/// Why bytes or a number are not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IdError {
    /// No bytes at all.
    #[error("empty")]
    Empty,
    /// Longer than the id may be.
    #[error("too long")]
    TooLong,
    /// A byte that the id may not contain, at this offset.
    #[error("forbidden byte at {0}")]
    BadByte(u32),
    /// A number beyond the id's range.
    #[error("out of range")]
    OutOfRange,
}

/// An RTP payload type, 0 to 127 (RFC 3550 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PayloadType(u8);

impl PayloadType {
    /// How many there are.
    pub const COUNT: usize = 128;

    /// The payload type of that number; `None` above 127.
    pub const fn new(number: u8) -> Option<Self> {
        if number < 128 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// The payload type in the low seven bits, as in the second byte of an RTP packet.
    pub const fn from_low_bits(byte: u8) -> Self {
        Self(byte & 0x7f)
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The number as a table index, below [`Self::COUNT`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Whether the number is one that is assigned per call (96 to 127, RFC 3551 §6).
    pub const fn is_dynamic(self) -> bool {
        self.0 >= 96
    }
}

impl TryFrom<u64> for PayloadType {
    type Error = IdError;

    fn try_from(number: u64) -> Result<Self, IdError> {
        u8::try_from(number)
            .ok()
            .and_then(Self::new)
            .ok_or(IdError::OutOfRange)
    }
}

impl fmt::Display for PayloadType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A synchronisation source; every 32-bit number is one (RFC 3550 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssrc(pub u32);

impl TryFrom<u64> for Ssrc {
    type Error = IdError;

    fn try_from(number: u64) -> Result<Self, IdError> {
        u32::try_from(number)
            .map(Self)
            .map_err(|_| IdError::OutOfRange)
    }
}

impl fmt::Display for Ssrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A media section's name: 1 to 255 token bytes (RFC 5888 §4; RFC 9143 §15 bounds it in RTP).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mid(SmallVec<[u8; 16]>);

impl Mid {
    /// Checks and copies the name.
    pub fn new(name: &[u8]) -> Result<Self, IdError> {
        check(name, 255, is_token)?;
        Ok(Self(SmallVec::from_slice(name)))
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Bytes a token may be made of (RFC 8866 §9).
const fn is_token(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'~')
}

/// Bytes that a SIP identifier or a label may hold here: all but control bytes.
const fn is_printable(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f
}

fn check(bytes: &[u8], longest: usize, allowed: fn(u8) -> bool) -> Result<(), IdError> {
    if bytes.is_empty() {
        return Err(IdError::Empty);
    }
    if bytes.len() > longest {
        return Err(IdError::TooLong);
    }
    bytes
        .iter()
        .position(|b| !allowed(*b))
        .map_or(Ok(()), |at| Err(IdError::BadByte(at as u32)))
}

macro_rules! shared_bytes {
    ($($(#[$doc:meta])* $name:ident: $longest:literal, $allowed:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<[u8]>);

        impl $name {
            /// Most bytes it may have.
            pub const LONGEST: usize = $longest;

            /// Checks and copies the bytes.
            pub fn new(bytes: &[u8]) -> Result<Self, IdError> {
                check(bytes, Self::LONGEST, $allowed)?;
                Ok(Self(bytes.into()))
            }

            /// The bytes.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl Borrow<[u8]> for $name {
            fn borrow(&self) -> &[u8] {
                &self.0
            }
        }
    )*};
}

shared_bytes! {
    /// A SIP Call-ID, the name of a call; cheap to clone.
    CallId: 1024, is_printable;
    /// A SIP tag, the name of a leg; cheap to clone.
    Tag: 1024, is_printable;
    /// A Via branch, the name of a leg that has no tag yet; cheap to clone.
    Branch: 1024, is_printable;
    /// A free name that an operator or a script gave to a leg; cheap to clone.
    Label: 1024, is_printable;
}

macro_rules! shown_as_text {
    ($($name:ident)*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.as_bytes().escape_ascii().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self)
            }
        }
    )*};
}

shown_as_text!(Mid CallId Tag Branch Label);

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn payload_types_end_at_127() {
        assert_eq!(PayloadType::new(127).map(PayloadType::get), Some(127));
        assert_eq!(PayloadType::new(128), None);
        assert_eq!(PayloadType::try_from(256), Err(IdError::OutOfRange));
        assert_eq!(PayloadType::from_low_bits(0xe0).get(), 96);
    }

    #[test]
    fn mids_are_tokens() {
        assert_eq!(
            Mid::new(b"audio-1").expect("a token").as_bytes(),
            b"audio-1"
        );
        assert_eq!(Mid::new(b""), Err(IdError::Empty));
        assert_eq!(Mid::new(b"a b"), Err(IdError::BadByte(1)));
        assert_eq!(Mid::new(&[b'a'; 256]), Err(IdError::TooLong));
    }

    #[test]
    fn line_breaks_pass_no_name() {
        assert!(CallId::new(b"a\r\nb").is_err());
        assert!(Tag::new(b"a\nb").is_err());
        assert!(Mid::new(b"a\rb").is_err());
        assert!(Label::new(b"a\0b").is_err());
    }

    #[test]
    fn calls_are_found_by_borrowed_bytes() {
        let id = CallId::new("1-2179@10.99.13.2 \u{e9}".as_bytes()).expect("printable");
        let calls = HashMap::from([(id.clone(), 7)]);
        assert_eq!(calls.get(id.as_bytes()), Some(&7));
    }

    #[test]
    fn names_are_shown_escaped() {
        let tag = Tag::new(&[b'a', 0xe9]).expect("not a control byte");
        assert_eq!(tag.to_string(), "a\\xe9");
        assert_eq!(format!("{tag:?}"), "Tag(a\\xe9)");
    }
}
