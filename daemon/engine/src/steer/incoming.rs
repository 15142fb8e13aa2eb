//! The arrays that `recvmmsg` works on, with room in front of each packet for the headers that it leaves with.
//!
//! Invariant of the unsafe code: every pointer in a header is taken anew, right before the call, from an array of
//! the exclusively borrowed struct, with that array's length; the kernel keeps none of them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use patchcord_contract::Endpoint;
use patchcord_media::flow::PortId;
use patchcord_media::{Packet, Rx};

use crate::address::{LEN_V6, RawAddr, decode};
use crate::backend::{BATCH, DATAGRAM, TAIL};
use crate::outbox::HEADROOM;

/// Bytes of a buffer.
const BUFFER: usize = HEADROOM + DATAGRAM + TAIL;
/// A control message's header: its length, level and kind.
const CONTROL_HEADER: usize = 16;
/// The one control message that is asked for: where the packet was sent to.
const CONTROL: usize = (CONTROL_HEADER + LEN_V6).next_multiple_of(8);

/// Room for control messages.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// A packet for a port, and the place of its buffer.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    at: usize,
    port: PortId,
    source: Endpoint,
    len: usize,
    truncated: bool,
}

/// A batch of received packets.
pub(super) struct Incoming {
    buffers: Box<[[u8; BUFFER]]>,
    /// In the order of their buffers; those for nobody are left out.
    arrived: Vec<Arrived>,
    names: Box<[RawAddr]>,
    controls: Box<[Control]>,
    parts: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

/// What became of a look into a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// Packets taken out.
    pub(super) all: usize,
    /// Those of them that were for no port.
    pub(super) stale: usize,
}

impl Incoming {
    /// Room for a batch.
    pub(super) fn new() -> Self {
        let part = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        // SAFETY: integers and pointers, for which zero is a value.
        let header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        Self {
            buffers: vec![[0; BUFFER]; BATCH].into_boxed_slice(),
            arrived: Vec::with_capacity(BATCH),
            names: vec![RawAddr::ROOM; BATCH].into_boxed_slice(),
            controls: vec![Control([0; CONTROL]); BATCH].into_boxed_slice(),
            parts: vec![part; BATCH].into_boxed_slice(),
            headers: vec![header; BATCH].into_boxed_slice(),
        }
    }

    /// Takes up to a batch of packets from `socket`; `port` knows whose a local endpoint is.
    pub(super) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        port: impl Fn(Endpoint) -> Option<PortId>,
    ) -> io::Result<Taken> {
        self.arrived.clear();
        for at in 0..BATCH {
            self.parts[at] = libc::iovec {
                iov_base: self.buffers[at][HEADROOM..].as_mut_ptr().cast(),
                iov_len: DATAGRAM,
            };
            let header = &mut self.headers[at].msg_hdr;
            header.msg_name = self.names[at].0.as_mut_ptr().cast();
            header.msg_namelen = LEN_V6 as libc::socklen_t;
            header.msg_iov = &raw mut self.parts[at];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[at].0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL;
        }
        // SAFETY: all headers were just filled with pointers into arrays of this exclusively borrowed struct and
        // their lengths; a null timeout is allowed.
        let taken = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let all = usize::try_from(taken).map_err(|_| io::Error::last_os_error())?;
        for at in 0..all {
            let header = &self.headers[at];
            let Some(port) = self.local(at).and_then(&port) else {
                continue;
            };
            let named = (header.msg_hdr.msg_namelen as usize).min(LEN_V6);
            self.arrived.push(Arrived {
                at,
                port,
                source: decode(&self.names[at].0[..named]).unwrap_or(Endpoint::NONE),
                len: header.msg_len as usize,
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            });
        }
        let stale = all - self.arrived.len();
        Ok(Taken { all, stale })
    }

    /// Where the packet at `at` was sent to.
    fn local(&self, at: usize) -> Option<Endpoint> {
        let told = self.headers[at].msg_hdr.msg_controllen.min(CONTROL);
        decode(self.controls[at].0[..told].get(CONTROL_HEADER..)?)
    }

    /// Lends the packets to a batch.
    pub(super) fn fill<'a>(&'a mut self, batch: &mut Vec<Rx<'a>>) {
        let mut arrived = self.arrived.iter().peekable();
        for (at, buffer) in self.buffers.iter_mut().enumerate() {
            let Some(next) = arrived.next_if(|next| next.at == at) else {
                continue;
            };
            batch.push(Rx {
                port: next.port,
                source: Some(next.source),
                packet: Packet::new(&mut buffer[HEADROOM..], next.len),
                truncated: next.truncated,
            });
        }
    }

    /// The buffer of a packet of the batch, the room in front of it included.
    pub(super) fn buffer(&self, index: usize) -> &[u8] {
        &self.buffers[self.arrived[index].at]
    }

    /// The same, to write.
    pub(super) fn buffer_mut(&mut self, index: usize) -> &mut [u8] {
        &mut self.buffers[self.arrived[index].at]
    }

    /// Whether there is nothing for any port.
    pub(super) fn is_empty(&self) -> bool {
        self.arrived.is_empty()
    }
}
