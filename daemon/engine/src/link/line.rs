//! The way out for whole frames: a packet socket past the queueing disciplines, many frames a system call.
//!
//! Invariant of the unsafe code: all that a message points at is taken anew right before the call, lives until it
//! returns, and is as long as said; the kernel keeps none of it.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use socket2::{Domain, Socket, Type};

/// Frames that one call sends.
pub(crate) const RUN: usize = 64;

/// What `SO_SNDBUF` is set to: all ports of a worker share the socket.
const SEND_BUFFER: usize = 4 << 20;

/// A frame that is to leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    /// Index of the interface.
    pub(crate) interface: u32,
    /// Its bytes, from the Ethernet header on.
    pub(crate) bytes: &'a [u8],
}

/// A worker's packet socket. Nothing is received by it.
#[derive(Debug)]
pub(crate) struct Line {
    socket: Socket,
    names: Box<[libc::sockaddr_ll]>,
    parts: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

// SAFETY: the pointers in the arrays are void outside of `send_some`.
unsafe impl Send for Line {}

impl Line {
    /// Opens the socket. Needs CAP_NET_RAW.
    pub(crate) fn open() -> io::Result<Self> {
        let kind = Type::RAW.nonblocking().cloexec();
        let socket = Socket::new(Domain::PACKET, kind, None)?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        bypass(&socket)?;
        // SAFETY: integers, for which zero is a value.
        let name: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        // SAFETY: integers and pointers, for which zero is a value.
        let header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        let part = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        Ok(Self {
            socket,
            names: vec![name; RUN].into_boxed_slice(),
            parts: vec![part; RUN].into_boxed_slice(),
            headers: vec![header; RUN].into_boxed_slice(),
        })
    }

    /// Sends frames in order; calls `failed` with the place and the error number of each that did not go.
    pub(crate) fn send(&mut self, frames: &[Frame<'_>], mut failed: impl FnMut(usize, i32)) {
        let mut at = 0;
        while at < frames.len() {
            match self.send_some(&frames[at..]) {
                Ok(sent) => at += sent,
                Err(errno) => {
                    failed(at, errno);
                    at += 1;
                }
            }
        }
    }

    /// Sends the first of the frames; fails if the very first does.
    fn send_some(&mut self, frames: &[Frame<'_>]) -> Result<usize, i32> {
        let run = frames.len().min(RUN);
        for (at, frame) in frames[..run].iter().enumerate() {
            let name = &mut self.names[at];
            name.sll_family = libc::AF_PACKET as u16;
            name.sll_ifindex = frame.interface.cast_signed();
            name.sll_halen = 6;
            self.parts[at] = libc::iovec {
                iov_base: frame.bytes.as_ptr().cast_mut().cast(),
                iov_len: frame.bytes.len(),
            };
            let header = &mut self.headers[at].msg_hdr;
            header.msg_name = ptr::from_mut(name).cast();
            header.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            header.msg_iov = &raw mut self.parts[at];
            header.msg_iovlen = 1;
        }
        // SAFETY: `run` headers were just filled with pointers into arrays of this exclusively borrowed struct and
        // to the frames' bytes, which are borrowed and only read.
        let sent = unsafe {
            libc::sendmmsg(
                self.socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                run as u32,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(sent).map_err(|_| {
            let error = io::Error::last_os_error();
            error.raw_os_error().unwrap_or(libc::EIO)
        })
    }
}

/// Frames go to the driver at once.
fn bypass(socket: &Socket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the value is live and as long as said.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_QDISC_BYPASS,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
