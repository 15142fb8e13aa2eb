//! Netlink (RFC 3549): questions to the kernel and their answers, and the news that it tells by itself.
//!
//! A question is answered while it is sent, so nothing here waits. Invariant of the unsafe code: the kernel reads
//! only the address that it is given, with its length.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

/// Bytes of a message's header.
const HEADER: usize = 16;
/// Bytes that the kernel may answer at once.
const ROOM: usize = 32 << 10;
/// Messages of news taken at once.
const NEWS: usize = 64;

/// A netlink socket.
#[derive(Debug)]
pub(super) struct Netlink {
    socket: Socket,
    sequence: u32,
    buffer: Box<[MaybeUninit<u8>]>,
}

/// A message to the kernel: a fixed header of its kind, then attributes.
#[derive(Clone, Debug)]
pub(super) struct Question(Vec<u8>);

impl Question {
    /// A message that begins with `fixed`.
    pub(super) fn new(kind: u16, flags: i32, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        let flags = (libc::NLM_F_REQUEST | flags) as u16;
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend(fixed);
        Self(bytes)
    }

    /// Adds an attribute.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend((4 + value.len() as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// The attributes of a message without anything fixed.
    #[cfg(test)]
    pub(super) fn attributes(&self) -> &[u8] {
        &self.0[HEADER..]
    }
}

impl Netlink {
    /// Opens a socket that hears the news of `groups`.
    pub(super) fn open(protocol: i32, groups: u32) -> io::Result<Self> {
        let kind = Type::RAW.nonblocking().cloexec();
        let domain = Domain::from(libc::AF_NETLINK);
        let socket = Socket::new(domain, kind, Some(Protocol::from(protocol)))?;
        // SAFETY: integers, for which zero is a value.
        let mut name: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        name.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        name.nl_groups = groups;
        let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        // SAFETY: the name is live and as long as said.
        let bound = unsafe { libc::bind(socket.as_raw_fd(), (&raw const name).cast(), len) };
        if bound != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            socket,
            sequence: 0,
            buffer: vec![MaybeUninit::uninit(); ROOM].into_boxed_slice(),
        })
    }

    /// Asks, and hands every message of the answer to `each`: its kind, and what follows the header.
    pub(super) fn ask(
        &mut self,
        question: &Question,
        mut each: impl FnMut(u16, &[u8]),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        let mut bytes = question.0.clone();
        let len = bytes.len() as u32;
        bytes[..4].copy_from_slice(&len.to_ne_bytes());
        bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.socket.send(&bytes)?;
        loop {
            let mut end = None;
            self.receive(|message| {
                if message.sequence != sequence {
                    return;
                }
                match i32::from(message.kind) {
                    libc::NLMSG_ERROR => end = Some(refusal(message.body)),
                    libc::NLMSG_DONE => end = Some(Ok(())),
                    _ => each(message.kind, message.body),
                }
                if !message.is_one_of_many && end.is_none() {
                    end = Some(Ok(()));
                }
            })?;
            if let Some(end) = end {
                return end;
            }
        }
    }

    /// Hands what has been told to `each`; an error other than that there is no more says that news were lost.
    pub(super) fn hear(&mut self, mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
        for _ in 0..NEWS {
            match self.receive(|message| each(message.kind, message.body)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Receives messages once.
    fn receive(&mut self, mut each: impl FnMut(Message<'_>)) -> io::Result<()> {
        let len = self.socket.recv(&mut self.buffer)?;
        // SAFETY: the kernel has written so many bytes.
        let mut rest = unsafe { self.buffer[..len].assume_init_ref() };
        while let Some((message, behind)) = Message::first(rest) {
            each(message);
            rest = behind;
        }
        Ok(())
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A message from the kernel.
struct Message<'a> {
    kind: u16,
    sequence: u32,
    is_one_of_many: bool,
    body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The first of several, and the others.
    fn first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let header = bytes.first_chunk::<HEADER>()?;
        let len = word(header, 0)? as usize;
        let body = bytes.get(HEADER..len)?;
        let message = Self {
            kind: half(header, 4)?,
            is_one_of_many: i32::from(half(header, 6)?) & libc::NLM_F_MULTI != 0,
            sequence: word(header, 8)?,
            body,
        };
        let next = len.next_multiple_of(4).min(bytes.len());
        Some((message, &bytes[next..]))
    }
}

fn refusal(body: &[u8]) -> io::Result<()> {
    match word(body, 0).map(u32::cast_signed) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The attributes in `bytes`: kind and value.
pub(super) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    /// The bits of a kind that are flags.
    const FLAGS: u16 = 0xc000;
    std::iter::from_fn(move || {
        let len = usize::from(half(bytes, 0)?);
        let attribute = (half(bytes, 2)? & !FLAGS, bytes.get(4..len)?);
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(attribute)
    })
}

/// The attribute of that kind.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(found, value)| (found == kind).then_some(value))
}

/// A 32-bit number at an offset, in the machine's order.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

/// A 16-bit number at an offset, in the machine's order.
pub(super) fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_back_as_they_went() {
        let question = Question::new(1, 0, &[0; 12])
            .with(3, b"odd")
            .with(0x8004, &[])
            .with(5, &7_u32.to_ne_bytes());
        let body = &question.0[HEADER + 12..];
        let found: Vec<_> = attributes(body).collect();
        let seven = 7_u32.to_ne_bytes();
        assert_eq!(found, [(3, &b"odd"[..]), (4, &[]), (5, &seven)]);
        assert_eq!(attribute(body, 5).and_then(|value| word(value, 0)), Some(7));
        assert_eq!(attribute(body, 6), None);
    }

    #[test]
    fn what_is_cut_or_has_no_length_ends_the_list() {
        let whole = Question::new(1, 0, &[]).with(3, b"four");
        for len in 0..8 {
            assert_eq!(attributes(&whole.0[HEADER..][..len]).count(), 0);
        }
        assert_eq!(attributes(&[0; 64]).count(), 0);
        assert!(Message::first(&[0; 64]).is_none());
    }
}
