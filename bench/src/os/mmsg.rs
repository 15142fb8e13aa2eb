//! Batches of datagrams: `sendmmsg(2)` and `recvmmsg(2)` with the kernel's receive stamps.

#![expect(unsafe_code, reason = "sendmmsg and recvmmsg have no safe wrapper")]

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use socket2::{SockAddr, Socket};

/// Room for one datagram or frame.
const SLOT: usize = 2048;
/// Room for the control messages of one received datagram; a timespec with its header takes 32.
const CONTROL: usize = 64;

/// Datagrams or frames about to be sent on one socket.
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    lens: Vec<usize>,
    names: Vec<Option<SockAddr>>,
    capacity: usize,
}

impl Outbox {
    /// An outbox for up to `capacity` datagrams a call.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            bytes: vec![0; capacity * SLOT],
            lens: Vec::with_capacity(capacity),
            names: Vec::with_capacity(capacity),
            capacity,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.lens.len() == self.capacity
    }

    pub(crate) fn len(&self) -> usize {
        self.lens.len()
    }

    /// Adds a datagram that `fill` writes; it returns how many bytes it wrote. `to` is the
    /// destination, or nothing on a bound packet socket. The outbox must not be full.
    pub(crate) fn push(&mut self, to: Option<SockAddr>, fill: impl FnOnce(&mut [u8]) -> usize) {
        let start = self.lens.len() * SLOT;
        let len = fill(&mut self.bytes[start..start + SLOT]);
        assert!(len <= SLOT, "a datagram fits its slot");
        self.lens.push(len);
        self.names.push(to);
    }

    /// Sends all, waiting out full queues, and empties the outbox. Returns how many the kernel took.
    pub(crate) fn flush(&mut self, socket: RawFd) -> io::Result<usize> {
        let mut sent = 0;
        let mut refusals = 0;
        while sent < self.lens.len() {
            match self.send_from(sent, socket) {
                Ok(n) => sent += n,
                Err(e) if is_full_queue(&e) && refusals < 1000 => {
                    refusals += 1;
                    std::hint::spin_loop();
                }
                // A refused datagram (an ICMP error of an earlier one, say) is skipped: it counts as
                // not sent, the rest goes on.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => refusals += 1,
                Err(e) if is_full_queue(&e) => break,
                Err(e) => {
                    self.clear();
                    return Err(e);
                }
            }
        }
        self.clear();
        Ok(sent)
    }

    fn clear(&mut self) {
        self.lens.clear();
        self.names.clear();
    }

    fn send_from(&mut self, first: usize, socket: RawFd) -> io::Result<usize> {
        const BATCH: usize = 64;
        let count = (self.lens.len() - first).min(BATCH);
        let mut pieces = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH];
        // SAFETY: mmsghdr is a C struct of integers and pointers; all zeroes is a valid value.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        for i in 0..count {
            let start = (first + i) * SLOT;
            let bytes = &mut self.bytes[start..start + self.lens[first + i]];
            pieces[i].write(libc::iovec {
                iov_base: bytes.as_mut_ptr().cast(),
                iov_len: bytes.len(),
            });
            headers[i].msg_hdr.msg_iov = pieces[i].as_mut_ptr();
            headers[i].msg_hdr.msg_iovlen = 1;
            if let Some(name) = &self.names[first + i] {
                headers[i].msg_hdr.msg_name = name.as_ptr().cast_mut().cast();
                headers[i].msg_hdr.msg_namelen = name.len();
            }
        }
        // SAFETY: the first `count` headers point at initialised iovecs in `pieces`, those at slots of
        // `self.bytes` within bounds (sliced above), and names at live `self.names`; all outlive the
        // call, which only reads them.
        let sent = unsafe {
            libc::sendmmsg(
                socket,
                headers.as_mut_ptr(),
                count as u32,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

fn is_full_queue(e: &io::Error) -> bool {
    matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::ENOBUFS))
}

/// One datagram as received.
pub(crate) struct Datagram<'a> {
    /// Who sent it.
    pub(crate) source: SocketAddr,
    /// When the kernel got it, nanoseconds since 1970.
    pub(crate) stamp: u64,
    /// Its payload, cut to the slot's size.
    pub(crate) bytes: &'a [u8],
}

/// A socket address buffer as the kernel fills it.
type Name = libc::sockaddr_storage;

/// Room for one `recvmmsg` call.
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    controls: Vec<[u64; CONTROL / 8]>,
    names: Vec<Name>,
    headers: Vec<libc::mmsghdr>,
    pieces: Vec<libc::iovec>,
}

impl Inbox {
    /// Room for `capacity` datagrams a call.
    pub(crate) fn new(capacity: usize) -> Self {
        // SAFETY: these are C structs of integers and pointers; all zeroes is a valid value.
        let (name, header) = unsafe { zeroed::<(Name, libc::mmsghdr)>() };
        let piece = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        Self {
            bytes: vec![0; capacity * SLOT],
            controls: vec![[0; CONTROL / 8]; capacity],
            names: vec![name; capacity],
            headers: vec![header; capacity],
            pieces: vec![piece; capacity],
        }
    }

    /// Takes what is there, without waiting, and shows each datagram to `see`. Returns how many.
    pub(crate) fn receive(
        &mut self,
        socket: RawFd,
        mut see: impl FnMut(Datagram<'_>),
    ) -> io::Result<usize> {
        for (i, header) in self.headers.iter_mut().enumerate() {
            let bytes = &mut self.bytes[i * SLOT..(i + 1) * SLOT];
            self.pieces[i] = libc::iovec {
                iov_base: bytes.as_mut_ptr().cast(),
                iov_len: SLOT,
            };
            header.msg_hdr.msg_iov = &raw mut self.pieces[i];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = (&raw mut self.names[i]).cast();
            header.msg_hdr.msg_namelen = size_of::<Name>() as u32;
            header.msg_hdr.msg_control = self.controls[i].as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL;
        }
        // SAFETY: each header points at one iovec of SLOT bytes, one name and one control buffer, all
        // owned by self, of the lengths given, and none aliased while the call writes them.
        let got = unsafe {
            libc::recvmmsg(
                socket,
                self.headers.as_mut_ptr(),
                self.headers.len() as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(got) = usize::try_from(got) else {
            let e = io::Error::last_os_error();
            let nothing = matches!(
                e.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionRefused
            );
            return if nothing { Ok(0) } else { Err(e) };
        };
        for i in 0..got {
            let Some(source) = self.source(i) else {
                continue;
            };
            let len = (self.headers[i].msg_len as usize).min(SLOT);
            let bytes = &self.bytes[i * SLOT..i * SLOT + len];
            see(Datagram {
                source,
                stamp: self.stamp(i),
                bytes,
            });
        }
        Ok(got)
    }

    fn source(&self, i: usize) -> Option<SocketAddr> {
        let len = self.headers[i].msg_hdr.msg_namelen;
        let mut storage = socket2::SockAddrStorage::zeroed();
        // SAFETY: SockAddrStorage is a transparent wrapper of sockaddr_storage (its documented use as
        // the name buffer of recvmsg), so a write of one through the view is within its bounds.
        unsafe { *storage.view_as::<Name>() = self.names[i] };
        // SAFETY: the kernel wrote an address of `len` bytes into the name just copied.
        unsafe { SockAddr::new(storage, len) }.as_socket()
    }

    /// The kernel's receive stamp (SCM_TIMESTAMPNS), which is the only control message asked for.
    fn stamp(&self, i: usize) -> u64 {
        const HEADER: usize = 2; // cmsghdr in words: length, then level and type
        let words = &self.controls[i];
        let used = self.headers[i].msg_hdr.msg_controllen / 8;
        let kind = (libc::SOL_SOCKET as u64) | (libc::SCM_TIMESTAMPNS as u64) << 32;
        if used < HEADER + 2 || words[1] != kind {
            return 0;
        }
        words[HEADER] * 1_000_000_000 + words[HEADER + 1]
    }
}

/// Asks for the kernel's receive stamps, which [`Inbox`] reads.
pub(crate) fn stamp_arrivals(socket: &Socket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: `on` is a c_int, readable for its size during the call, which keeps no pointer.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::udp::open;

    #[test]
    fn what_is_sent_arrives_with_source_and_stamp() {
        let loopback = "127.0.0.1:0".parse().expect("an address");
        let (from, to) = (
            open(loopback).expect("a socket"),
            open(loopback).expect("a socket"),
        );
        let address = |s: &Socket| s.local_addr().expect("bound");
        let mut out = Outbox::new(100);
        let before = crate::os::clock::realtime();
        for i in 0..100_u8 {
            out.push(Some(address(&to)), |slot| {
                slot[..3].copy_from_slice(&[i, 1, 2]);
                3
            });
        }
        assert!(out.is_full());
        assert_eq!(out.flush(from.as_raw_fd()).expect("sent"), 100);
        let mut inbox = Inbox::new(64);
        let mut seen = Vec::new();
        for _ in 0..10 {
            inbox
                .receive(to.as_raw_fd(), |d| {
                    assert_eq!(Some(d.source), address(&from).as_socket());
                    assert!(d.stamp >= before && d.stamp < before + 10_000_000_000);
                    seen.push(d.bytes.to_vec());
                })
                .expect("received");
        }
        assert_eq!(seen, (0..100_u8).map(|i| vec![i, 1, 2]).collect::<Vec<_>>());
    }
}
