//! The two sockets that all ports of a worker are, one for each family.
//!
//! They are bound to addresses that nothing is sent to: what they receive was steered to them. Their queue is
//! deep, for thousands of ports share it, but not so deep that what comes out of it under overload is of no use
//! any more. Invariant of the unsafe code: an option's value is live and as long as said.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

/// An address of the loopback network that nobody uses (RFC 1122 §3.2.1.3).
const NOWHERE_V4: Ipv4Addr = Ipv4Addr::new(127, 99, 104, 2);
/// An address of the block whose packets are discarded (RFC 6666).
const NOWHERE_V6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0x6369);

/// What the receive buffer is set to; the kernel doubles it for its own overhead. About 10,000 packets of audio: 40 ms
/// of the highest rate, 100 ms of the highest with SRTP.
const RECEIVE_BUFFER: libc::c_int = 4 << 20;

/// A worker's sockets under steering.
#[derive(Debug)]
pub struct Intake {
    v4: Socket,
    /// None where the kernel has no IPv6.
    v6: Option<Socket>,
}

impl Intake {
    /// Opens them; who steers gives them something to receive.
    pub fn open() -> io::Result<Self> {
        let v4 = open((NOWHERE_V4, 0).into())?;
        let v6 = match open((NOWHERE_V6, 0).into()) {
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => None,
            opened => Some(opened?),
        };
        Ok(Self { v4, v6 })
    }

    /// The socket for IPv4.
    pub fn v4(&self) -> BorrowedFd<'_> {
        self.v4.as_fd()
    }

    /// The socket for IPv6.
    pub fn v6(&self) -> Option<BorrowedFd<'_>> {
        self.v6.as_ref().map(Socket::as_fd)
    }
}

fn open(nowhere: SocketAddr) -> io::Result<Socket> {
    let kind = Type::DGRAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(nowhere), kind, Some(Protocol::UDP))?;
    match nowhere {
        SocketAddr::V4(_) => {
            socket.set_freebind_v4(true)?;
            set(&socket, libc::IPPROTO_IP, libc::IP_RECVORIGDSTADDR, 1)?;
        }
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
            set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVORIGDSTADDR, 1)?;
        }
    }
    // Above the limit of the system, where that is permitted.
    if set(
        &socket,
        libc::SOL_SOCKET,
        libc::SO_RCVBUFFORCE,
        RECEIVE_BUFFER,
    )
    .is_err()
    {
        socket.set_recv_buffer_size(RECEIVE_BUFFER as usize)?;
    }
    socket.bind(&nowhere.into())?;
    Ok(socket)
}

fn set(
    socket: &Socket,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the value is live and as long as said.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
