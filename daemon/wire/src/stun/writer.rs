//! Writes a message into the caller's buffer (RFC 8489 §5, §14).

use std::net::SocketAddr;

use super::integrity::TAG;
use super::message::{length, up_to};
use super::{
    Class, ErrorCode, Key, MAGIC, Method, Role, TransactionId, address, attribute, checksum, kind,
};

/// A message in the making. What does not fit is noticed at the end: every `finish` gives `None` then.
///
/// ```
/// use patchcord_wire::stun::{Class, Key, Message, Method, TransactionId, Writer};
/// let mut buffer = [0; 128];
/// let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, TransactionId([7; 12]));
/// writer.username(b"them", b"us").priority(1);
/// let len = writer.finish(&Key::new(b"secret")).expect("128 bytes are enough");
/// let message = Message::parse(&buffer[..len]).expect("our own message");
/// assert!(message.verify(&Key::new(b"secret")) && !message.verify(&Key::new(b"guess")));
/// ```
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    /// Bytes written; beyond the buffer's end once something did not fit.
    len: usize,
    transaction: TransactionId,
}

impl<'b> Writer<'b> {
    /// A message without attributes.
    pub fn new(
        buffer: &'b mut [u8],
        class: Class,
        method: Method,
        transaction: TransactionId,
    ) -> Self {
        let mut writer = Self {
            buffer,
            len: 0,
            transaction,
        };
        writer.put(&kind::join(class, method).to_be_bytes());
        writer.put(&[0, 0]);
        writer.put(&MAGIC);
        writer.put(&transaction.0);
        writer
    }

    /// USERNAME: the ufrag of who receives the message, then that of who sends it (RFC 8445 §7.2.2).
    pub fn username(&mut self, receiver: &[u8], sender: &[u8]) -> &mut Self {
        self.attribute(attribute::USERNAME, &[receiver, b":", sender])
    }

    /// PRIORITY.
    pub fn priority(&mut self, priority: u32) -> &mut Self {
        self.attribute(attribute::PRIORITY, &[&priority.to_be_bytes()])
    }

    /// USE-CANDIDATE.
    pub fn use_candidate(&mut self) -> &mut Self {
        self.attribute(attribute::USE_CANDIDATE, &[])
    }

    /// ICE-CONTROLLING or ICE-CONTROLLED.
    pub fn role(&mut self, role: Role) -> &mut Self {
        let (kind, tie) = match role {
            Role::Controlling(tie) => (attribute::ICE_CONTROLLING, tie),
            Role::Controlled(tie) => (attribute::ICE_CONTROLLED, tie),
        };
        self.attribute(kind, &[&tie.to_be_bytes()])
    }

    /// XOR-MAPPED-ADDRESS.
    pub fn mapped(&mut self, from: SocketAddr) -> &mut Self {
        let mut value = [0; address::LONGEST];
        let len = address::write(from, self.transaction, &mut value);
        self.attribute(attribute::XOR_MAPPED_ADDRESS, &[&value[..len]])
    }

    /// ERROR-CODE.
    pub fn error(&mut self, error: ErrorCode<'_>) -> &mut Self {
        let code = [0, 0, (error.code / 100) as u8, (error.code % 100) as u8];
        self.attribute(attribute::ERROR_CODE, &[&code, error.reason])
    }

    /// UNKNOWN-ATTRIBUTES.
    pub fn unknown(&mut self, unknown: &[u16]) -> &mut Self {
        let bytes: Vec<u8> = unknown.iter().flat_map(|kind| kind.to_be_bytes()).collect();
        self.attribute(attribute::UNKNOWN_ATTRIBUTES, &[&bytes])
    }

    /// SOFTWARE.
    pub fn software(&mut self, name: &[u8]) -> &mut Self {
        self.attribute(attribute::SOFTWARE, &[name])
    }

    /// Attributes as they are on the wire, padding and all: of another message, or unknown here.
    pub fn raw(&mut self, attributes: &[u8]) -> &mut Self {
        if !attributes.len().is_multiple_of(4) {
            self.len = usize::MAX;
        }
        self.put(attributes);
        self
    }

    /// Signs with MESSAGE-INTEGRITY, closes with FINGERPRINT, and gives the length.
    pub fn finish(mut self, key: &Key) -> Option<usize> {
        let tag = match self.written() {
            Some(bytes) => key.tag(up_to(bytes, bytes.len(), &length(self.len + 4 + TAG))),
            None => return None,
        };
        self.attribute(attribute::MESSAGE_INTEGRITY, &[&tag]);
        self.finish_unsigned()
    }

    /// Closes with FINGERPRINT only, and gives the length.
    pub fn finish_unsigned(mut self) -> Option<usize> {
        let bytes = self.written()?;
        let sum = checksum::fingerprint(up_to(bytes, bytes.len(), &length(self.len + 8)));
        self.attribute(attribute::FINGERPRINT, &[&sum.to_be_bytes()]);
        self.written()?;
        let length = length(self.len);
        self.buffer[2..4].copy_from_slice(&length);
        Some(self.len)
    }

    fn written(&self) -> Option<&[u8]> {
        self.buffer.get(..self.len)
    }

    fn attribute(&mut self, kind: u16, value: &[&[u8]]) -> &mut Self {
        let len: usize = value.iter().map(|piece| piece.len()).sum();
        if len > usize::from(u16::MAX) {
            self.len = usize::MAX;
            return self;
        }
        self.put(&kind.to_be_bytes());
        self.put(&(len as u16).to_be_bytes());
        for piece in value {
            self.put(piece);
        }
        self.put(&[0; 3][..len.next_multiple_of(4) - len]);
        self
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        // A length field holds no more, whatever the buffer does.
        if let Some(place) = self.buffer.get_mut(self.len..end).filter(|_| end <= 0xfffc) {
            place.copy_from_slice(bytes);
            self.len = end;
        } else {
            self.len = usize::MAX;
        }
    }
}
