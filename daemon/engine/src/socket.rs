//! An own UDP socket, bound to the port that a call's peer sends to.
//!
//! The receive buffer is kept short on purpose: a deep one turns an overload of a moment into seconds
//! of late packets. `SO_REUSEPORT` is set only after the bind, so that a second relay on the same ports
//! is still refused; it lets the worker open a connected twin (see `twin`), and only for the same user.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

use crate::address::Family;

/// What `SO_RCVBUF` is set to; the kernel doubles it for its own overhead. About 80 packets of audio
/// or 28 of video, 1.6 s of a call's audio.
const RECEIVE_BUFFER: usize = 32 << 10;

/// A bound, non-blocking UDP socket on one local address; an IPv6 one takes IPv6 only.
#[derive(Debug)]
pub struct MediaSocket {
    socket: Socket,
    local: SocketAddr,
}

impl MediaSocket {
    /// Binds to `addr`, whose port may be 0 for any free one.
    pub fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = open(addr)?;
        socket.bind(&addr.into())?;
        socket.set_reuse_port(true)?;
        let Some(local) = socket.local_addr()?.as_socket() else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        Ok(Self { socket, local })
    }

    /// The local address and port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The socket, for a backend that keeps it.
    pub(crate) fn into_socket(self) -> Socket {
        self.socket
    }
}

/// What a port is attached with.
#[derive(Debug)]
pub enum Place {
    /// A socket of its own.
    Socket(MediaSocket),
    /// An address alone: what is sent there is steered to the worker.
    Steered(SocketAddr),
}

impl Place {
    /// The local address and port.
    pub fn local_addr(&self) -> SocketAddr {
        match self {
            Self::Socket(socket) => socket.local_addr(),
            Self::Steered(addr) => *addr,
        }
    }

    /// The socket; an error if there is none.
    pub(crate) fn into_socket(self) -> io::Result<Socket> {
        match self {
            Self::Socket(socket) => Ok(socket.into_socket()),
            Self::Steered(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl From<MediaSocket> for Place {
    fn from(socket: MediaSocket) -> Self {
        Self::Socket(socket)
    }
}

/// Opens a socket of `addr`'s family with the options that every media socket has.
pub(crate) fn open(addr: SocketAddr) -> io::Result<Socket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(addr), kind, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    Ok(socket)
}

/// Sets the TOS byte (IPv4) or traffic class (IPv6) of what the socket sends.
pub(crate) fn set_tos(socket: &Socket, family: Family, tos: u8) -> io::Result<()> {
    match family {
        Family::V4 => socket.set_tos_v4(u32::from(tos)),
        Family::V6 { .. } => socket.set_tclass_v6(u32::from(tos)),
    }
}

impl AsFd for MediaSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for MediaSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_port_in_use_is_refused() {
        for any in [
            (Ipv4Addr::LOCALHOST, 0).into(),
            (Ipv6Addr::LOCALHOST, 0).into(),
        ] {
            let first = MediaSocket::bind(any).expect("a free port");
            let second = MediaSocket::bind(first.local_addr()).expect_err("the port is taken");
            assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        }
    }

    #[test]
    fn an_ipv6_socket_leaves_the_ipv4_port_free() {
        // Somebody else may have that port of the other family; not every time.
        let is_free = (0..50).any(|_| {
            let six = MediaSocket::bind((Ipv6Addr::UNSPECIFIED, 0).into()).expect("a free port");
            let four: SocketAddr = (Ipv4Addr::UNSPECIFIED, six.local_addr().port()).into();
            MediaSocket::bind(four).is_ok()
        });
        assert!(is_free, "the other family's port is free");
    }
}
