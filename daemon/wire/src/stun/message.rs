//! A message where it lies (RFC 8489 §5, §14).

use std::net::SocketAddr;

use smallvec::SmallVec;

use super::integrity::TAG;
use super::{
    Class, HEADER, Key, MAGIC, Method, StunError, StunErrorKind, TransactionId, address, attribute,
    checksum, kind,
};

/// Attributes of a message. The longest real ones have a dozen.
const MAX_ATTRIBUTES: usize = 64;

/// A STUN message of valid form. Of an attribute that comes twice the first counts; what follows the
/// integrity attribute does not count at all (§14.5).
#[derive(Clone, Debug)]
pub struct Message<'b> {
    /// Request, indication or response.
    pub class: Class,
    /// What it asks for.
    pub method: Method,
    /// Which exchange it belongs to.
    pub transaction: TransactionId,
    /// USERNAME, in ICE `receiver's ufrag:sender's ufrag`.
    pub username: Option<&'b [u8]>,
    /// PRIORITY: what a candidate learnt from this check would have (RFC 8445 §7.1.1).
    pub priority: Option<u32>,
    /// Whether USE-CANDIDATE is there (RFC 8445 §7.1.2).
    pub use_candidate: bool,
    /// The sender's role and tie-breaker (RFC 8445 §7.1.3).
    pub role: Option<Role>,
    /// XOR-MAPPED-ADDRESS: where the request came from.
    pub mapped: Option<SocketAddr>,
    /// ERROR-CODE.
    pub error: Option<ErrorCode<'b>>,
    /// SOFTWARE.
    pub software: Option<&'b [u8]>,
    /// Attributes that must be understood and are not.
    pub unknown: SmallVec<[u16; 4]>,
    bytes: &'b [u8],
    /// Where MESSAGE-INTEGRITY begins.
    integrity: Option<u16>,
    sealed: bool,
}

/// ICE-CONTROLLING or ICE-CONTROLLED with the tie-breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The side that nominates.
    Controlling(u64),
    /// The side that is told.
    Controlled(u64),
}

/// ERROR-CODE (§14.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode<'b> {
    /// 300 to 699.
    pub code: u16,
    /// Its text.
    pub reason: &'b [u8],
}

impl ErrorCode<'static> {
    /// The request lacks what it needs.
    pub const BAD_REQUEST: Self = Self::new(400, b"Bad Request");
    /// It has attributes that must be understood and are not.
    pub const UNKNOWN_ATTRIBUTE: Self = Self::new(420, b"Unknown Attribute");
    /// Both sides believe to have the same role (RFC 8445 §7.3.1.1).
    pub const ROLE_CONFLICT: Self = Self::new(487, b"Role Conflict");

    const fn new(code: u16, reason: &'static [u8]) -> Self {
        Self { code, reason }
    }
}

impl<'b> Message<'b> {
    /// Reads a datagram. One with a wrong FINGERPRINT is no message; one without any may be.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, StunError> {
        let mut message = Self::header(bytes)?;
        let mut at = HEADER;
        for _ in 0..MAX_ATTRIBUTES {
            if at == bytes.len() {
                return Ok(message);
            }
            let (kind, value, next) = attribute_at(bytes, at)?;
            if message.sealed {
                return Err(StunErrorKind::BadFingerprint.at(at));
            }
            message.take(at, kind, value)?;
            at = next;
        }
        if at == bytes.len() {
            Ok(message)
        } else {
            Err(StunErrorKind::TooMany.at(at))
        }
    }

    /// Whether MESSAGE-INTEGRITY is there and right under `key`; the comparison takes constant time.
    pub fn verify(&self, key: &Key) -> bool {
        let Some(at) = self.integrity.map(usize::from) else {
            return false;
        };
        let end = at + 4 + TAG;
        key.check(
            up_to(self.bytes, at, &length(end)),
            &self.bytes[at + 4..end],
        )
    }

    /// Whether there is a MESSAGE-INTEGRITY at all.
    pub const fn is_signed(&self) -> bool {
        self.integrity.is_some()
    }

    /// Whether there is a FINGERPRINT; it was right then.
    pub const fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// The two halves of USERNAME: the receiver's ufrag, which may not hold a colon, and the sender's.
    pub fn ufrags(&self) -> Option<(&'b [u8], &'b [u8])> {
        let username = self.username?;
        let colon = username.iter().position(|byte| *byte == b':')?;
        Some((&username[..colon], &username[colon + 1..]))
    }

    fn header(bytes: &'b [u8]) -> Result<Self, StunError> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
            return Err(StunErrorKind::BadHeader.at(bytes.len()));
        };
        if header[0] > 0x3f || header[4..8] != MAGIC {
            return Err(StunErrorKind::BadHeader.at(0));
        }
        let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if len != rest.len() || !len.is_multiple_of(4) {
            return Err(StunErrorKind::BadLength.at(2));
        }
        let (class, method) = kind::split(u16::from_be_bytes([header[0], header[1]]));
        Ok(Self {
            class,
            method,
            transaction: TransactionId(std::array::from_fn(|at| header[8 + at])),
            username: None,
            priority: None,
            use_candidate: false,
            role: None,
            mapped: None,
            error: None,
            software: None,
            unknown: SmallVec::new(),
            bytes,
            integrity: None,
            sealed: false,
        })
    }

    /// Takes an attribute that begins at byte `at`.
    fn take(&mut self, at: usize, kind: u16, value: &'b [u8]) -> Result<(), StunError> {
        let bad = StunErrorKind::BadAttribute.at(at);
        match kind {
            attribute::FINGERPRINT => return self.seal(at, value),
            _ if self.is_signed() => {}
            attribute::MESSAGE_INTEGRITY if value.len() == TAG => self.integrity = Some(at as u16),
            attribute::MESSAGE_INTEGRITY => return Err(bad),
            attribute::USERNAME => first(&mut self.username, value),
            attribute::SOFTWARE => first(&mut self.software, value),
            attribute::PRIORITY => {
                let value = value.try_into().map_err(|_| bad)?;
                first(&mut self.priority, u32::from_be_bytes(value));
            }
            attribute::USE_CANDIDATE => self.use_candidate = true,
            attribute::ICE_CONTROLLING => {
                let tie = value.try_into().map_err(|_| bad)?;
                first(&mut self.role, Role::Controlling(u64::from_be_bytes(tie)));
            }
            attribute::ICE_CONTROLLED => {
                let tie = value.try_into().map_err(|_| bad)?;
                first(&mut self.role, Role::Controlled(u64::from_be_bytes(tie)));
            }
            attribute::XOR_MAPPED_ADDRESS => {
                let address = address::read(value, self.transaction).ok_or(bad)?;
                first(&mut self.mapped, address);
            }
            attribute::ERROR_CODE => first(&mut self.error, error_code(value).ok_or(bad)?),
            // Understood and of no use to ICE, or free to be ignored.
            attribute::MAPPED_ADDRESS
            | attribute::REALM
            | attribute::NONCE
            | attribute::UNKNOWN_ATTRIBUTES
            | attribute::MESSAGE_INTEGRITY_SHA256
            | 0x8000.. => {}
            unknown => self.unknown.push(unknown),
        }
        Ok(())
    }

    fn seal(&mut self, at: usize, value: &[u8]) -> Result<(), StunError> {
        let bad = StunErrorKind::BadFingerprint.at(at);
        let said = value.try_into().map(u32::from_be_bytes).map_err(|_| bad)?;
        if checksum::fingerprint(up_to(self.bytes, at, &length(at + 8))) != said {
            return Err(bad);
        }
        self.sealed = true;
        Ok(())
    }
}

/// The length field of a message that ends at byte `end`: what its tags are made with (§14.5, §14.7).
pub(super) const fn length(end: usize) -> [u8; 2] {
    ((end - HEADER) as u16).to_be_bytes()
}

/// The bytes before `at`, with another length field.
pub(super) fn up_to<'a>(bytes: &'a [u8], at: usize, length: &'a [u8; 2]) -> [&'a [u8]; 3] {
    [&bytes[..2], length, &bytes[4..at]]
}

fn first<T>(place: &mut Option<T>, value: T) {
    if place.is_none() {
        *place = Some(value);
    }
}

/// Type, value and end (with its padding) of the attribute at a byte before the message's end.
fn attribute_at(bytes: &[u8], at: usize) -> Result<(u16, &[u8], usize), StunError> {
    let bad = StunErrorKind::BadAttribute.at(at);
    let (&[k0, k1, l0, l1], rest) = bytes[at..].split_first_chunk::<4>().ok_or(bad)?;
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    let value = rest.get(..len).ok_or(bad)?;
    let next = at + 4 + len.next_multiple_of(4);
    if next > bytes.len() {
        return Err(bad);
    }
    Ok((u16::from_be_bytes([k0, k1]), value, next))
}

fn error_code(value: &[u8]) -> Option<ErrorCode<'_>> {
    let (&[_, _, class, number], reason) = value.split_first_chunk::<4>()?;
    let class = class & 7;
    let valid = (3..=6).contains(&class) && number < 100;
    valid.then(|| ErrorCode {
        code: u16::from(class) * 100 + u16::from(number),
        reason,
    })
}
