//! The arrays that `recvmmsg` and `sendmmsg` work on, allocated once.
//!
//! Invariant of the unsafe code: every pointer in a header is taken anew, right before the call, from an
//! array that the caller owns or borrows until the call returns, with that array's length; the kernel
//! keeps none of them. No reference to those arrays is used while the pointers are.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use patchcord_contract::Endpoint;
use patchcord_media::flow::PortId;
use patchcord_media::{Packet, Rx};

use crate::address::{Family, LEN_V6, RawAddr, decode};
use crate::backend::{BATCH, DATAGRAM, TAIL};

/// A packet in [`Incoming`], at the same index as its buffer.
#[derive(Clone, Copy, Debug)]
struct Arrived {
    port: PortId,
    source: Endpoint,
    len: usize,
    truncated: bool,
}

/// A batch of received packets.
pub(super) struct Incoming {
    buffers: Box<[[u8; DATAGRAM + TAIL]]>,
    arrived: Vec<Arrived>,
    names: Box<[RawAddr]>,
    parts: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl Incoming {
    /// Room for a batch.
    pub(super) fn new() -> Self {
        Self {
            buffers: vec![[0; DATAGRAM + TAIL]; BATCH].into_boxed_slice(),
            arrived: Vec::with_capacity(BATCH),
            names: vec![RawAddr::ROOM; BATCH].into_boxed_slice(),
            parts: vec![NO_PART; BATCH].into_boxed_slice(),
            headers: vec![NO_HEADER; BATCH].into_boxed_slice(),
        }
    }

    /// Packets that still fit.
    pub(super) fn room(&self) -> usize {
        BATCH - self.arrived.len()
    }

    /// Takes up to `most` packets from `socket`, which is connected to `source` or to nobody.
    pub(super) fn receive(
        &mut self,
        socket: BorrowedFd<'_>,
        port: PortId,
        source: Option<Endpoint>,
        most: usize,
    ) -> io::Result<()> {
        let first = self.arrived.len();
        let most = most.min(self.room());
        for at in 0..most {
            let buffer = &mut self.buffers[first + at];
            self.parts[at] = libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: DATAGRAM,
            };
            let header = &mut self.headers[at].msg_hdr;
            header.msg_iov = &raw mut self.parts[at];
            header.msg_iovlen = 1;
            header.msg_name = match source {
                Some(_) => ptr::null_mut(),
                None => self.names[at].0.as_mut_ptr().cast(),
            };
            header.msg_namelen = if source.is_some() { 0 } else { LEN_V6 as u32 };
        }
        // SAFETY: `most` headers were just filled with pointers into arrays of this exclusively
        // borrowed struct and their lengths; control data is absent; a null timeout is allowed.
        let taken = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                most as u32,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let Ok(taken) = usize::try_from(taken) else {
            return Err(io::Error::last_os_error());
        };
        for (header, name) in self.headers[..taken].iter().zip(&self.names) {
            let named = (header.msg_hdr.msg_namelen as usize).min(LEN_V6);
            self.arrived.push(Arrived {
                port,
                source: source
                    .or_else(|| decode(&name.0[..named]))
                    .unwrap_or(Endpoint::NONE),
                len: header.msg_len as usize,
                truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            });
        }
        Ok(())
    }

    /// Lends the packets to a batch.
    pub(super) fn fill<'a>(&'a mut self, batch: &mut Vec<Rx<'a>>) {
        let packets = self.arrived.iter().zip(&mut self.buffers);
        batch.extend(packets.map(|(arrived, buffer)| Rx {
            port: arrived.port,
            source: Some(arrived.source),
            packet: Packet::new(buffer, arrived.len),
            truncated: arrived.truncated,
        }));
    }

    /// The buffer of a packet.
    pub(super) fn bytes(&self, index: usize) -> &[u8] {
        &self.buffers[index]
    }

    /// Forgets the packets.
    pub(super) fn clear(&mut self) {
        self.arrived.clear();
    }
}

/// Most packets sent by one call.
pub(super) const RUN: usize = 16;

/// A packet that is to leave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving<'a> {
    /// The port that sends it.
    pub(super) via: PortId,
    /// What it is.
    pub(super) bytes: &'a [u8],
    /// Where it goes; `None` if the socket is connected to it.
    pub(super) to: Option<(Family, Endpoint)>,
}

/// The arrays for sending a run of packets from one socket.
pub(super) struct Outgoing {
    names: Box<[RawAddr]>,
    parts: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

impl Outgoing {
    /// Room for a run.
    pub(super) fn new() -> Self {
        Self {
            names: vec![RawAddr::ROOM; RUN].into_boxed_slice(),
            parts: vec![NO_PART; RUN].into_boxed_slice(),
            headers: vec![NO_HEADER; RUN].into_boxed_slice(),
        }
    }

    /// Sends a run of up to [`RUN`] packets; calls `failed` with the error number of each that did not go.
    pub(super) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        run: &[Leaving<'_>],
        mut failed: impl FnMut(PortId, i32),
    ) {
        let mut rest = run;
        while !rest.is_empty() {
            let sent = match self.send_some(socket, rest) {
                Ok(sent) => sent,
                Err(error) => {
                    failed(rest[0].via, error);
                    1
                }
            };
            rest = &rest[sent..];
        }
    }

    /// Sends the first packets of a run; fails if the very first does.
    fn send_some(&mut self, socket: BorrowedFd<'_>, run: &[Leaving<'_>]) -> Result<usize, i32> {
        let run = &run[..run.len().min(RUN)];
        for (at, leaving) in run.iter().enumerate() {
            let base = leaving.bytes.as_ptr().cast_mut().cast();
            self.parts[at] = libc::iovec {
                iov_base: base,
                iov_len: leaving.bytes.len(),
            };
            let header = &mut self.headers[at].msg_hdr;
            header.msg_iov = &raw mut self.parts[at];
            header.msg_iovlen = 1;
            (header.msg_name, header.msg_namelen) = match leaving.to {
                None => (ptr::null_mut(), 0),
                Some((family, to)) => {
                    let name = &mut self.names[at];
                    family.encode(to, name).ok_or(libc::EAFNOSUPPORT)?;
                    (name.0.as_mut_ptr().cast(), family.addr_len() as u32)
                }
            };
        }
        // SAFETY: the headers were just filled with pointers into this exclusively borrowed struct's
        // arrays and to the run's bytes, which are borrowed and which sending only reads.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                run.len() as u32,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(sent).map_err(|_| {
            io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO)
        })
    }
}

/// No bytes.
const NO_PART: libc::iovec = libc::iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

/// No message.
const NO_HEADER: libc::mmsghdr = libc::mmsghdr {
    msg_hdr: libc::msghdr {
        msg_name: ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: ptr::null_mut(),
        msg_iovlen: 0,
        msg_control: ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    },
    msg_len: 0,
};
