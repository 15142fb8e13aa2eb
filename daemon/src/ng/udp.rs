//! NG over UDP. A reply leaves from the local address that its request came to, wildcard or not.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage,
    recvmsg, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

/// Longest datagram.
pub const DATAGRAM: usize = 65_536;
/// Asked of the kernel, so that a burst of requests waits instead of being repeated a second later.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: UdpSocket,
    local: SocketAddr,
    /// Room for the packet info of one datagram; empty where the address is fixed anyway.
    info: Vec<u8>,
}

/// Where a request came from, and the address it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Who sent it.
    pub peer: SocketAddr,
    /// The address it was sent to, if the socket's own does not say.
    local: Option<IpAddr>,
}

impl Listener {
    /// Opens and binds a socket; an IPv6 one takes IPv6 only.
    pub fn bind(addr: SocketAddr, tos: u8) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // Beyond the system's limit only with privileges; either way the kernel gives what it may.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        }
        if addr.is_ipv6() {
            socket.set_only_v6(true)?;
            socket.set_tclass_v6(u32::from(tos))?;
        } else {
            socket.set_tos_v4(u32::from(tos))?;
        }
        let mut info = Vec::new();
        if addr.ip().is_unspecified() {
            if addr.is_ipv6() {
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
            } else {
                setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
            }
            info = nix::cmsg_space!(libc::in6_pktinfo, libc::in_pktinfo);
        }
        socket.bind(&addr.into())?;
        let socket = UdpSocket::from(socket);
        Ok(Self {
            local: socket.local_addr()?,
            socket,
            info,
        })
    }

    /// Where it is bound.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Takes one datagram; `WouldBlock` if there is none.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Path)> {
        if !self.local.ip().is_unspecified() {
            let (len, peer) = self.socket.recv_from(buffer)?;
            return Ok((len, Path { peer, local: None }));
        }
        let mut parts = [IoSliceMut::new(buffer)];
        let received = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut self.info),
            MsgFlags::empty(),
        )?;
        let local = received.cmsgs()?.find_map(|message| {
            if let ControlMessageOwned::Ipv4PacketInfo(info) = message {
                return Some(IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()));
            }
            if let ControlMessageOwned::Ipv6PacketInfo(info) = message {
                return Some(IpAddr::from(info.ipi6_addr.s6_addr));
            }
            None
        });
        let peer = received
            .address
            .as_ref()
            .and_then(peer)
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok((received.bytes, Path { peer, local }))
    }

    /// Sends a reply back along `path`.
    pub fn reply(&self, path: Path, bytes: &[u8]) -> io::Result<()> {
        let fd = self.socket.as_raw_fd();
        let parts = [IoSlice::new(bytes)];
        match (path.local, path.peer) {
            (Some(IpAddr::V4(from)), SocketAddr::V4(to)) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from_ne_bytes(from.octets()),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let info = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmsg(
                    fd,
                    &parts,
                    &info,
                    MsgFlags::empty(),
                    Some(&SockaddrIn::from(to)),
                )?;
            }
            (Some(IpAddr::V6(from)), SocketAddr::V6(to)) => {
                let info = libc::in6_pktinfo {
                    ipi6_ifindex: to.scope_id(),
                    ipi6_addr: libc::in6_addr {
                        s6_addr: from.octets(),
                    },
                };
                let info = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmsg(
                    fd,
                    &parts,
                    &info,
                    MsgFlags::empty(),
                    Some(&SockaddrIn6::from(to)),
                )?;
            }
            _ => {
                self.socket.send_to(bytes, path.peer)?;
            }
        }
        Ok(())
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn peer(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|a| SocketAddr::from(*a));
    v4.or_else(|| address.as_sockaddr_in6().map(|a| SocketAddr::from(*a)))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_wildcard_listener_replies_from_the_address_it_was_asked_at() {
        for (wildcard, asked, from) in [
            ("0.0.0.0:0", "127.0.0.9", "127.0.0.1:0"),
            ("0.0.0.0:0", "127.0.0.1", "127.0.0.7:0"),
            ("[::]:0", "::1", "[::1]:0"),
        ] {
            let mut listener = listen(wildcard);
            let asked = SocketAddr::new(asked.parse().expect("an IP"), listener.local().port());
            exchange(&mut listener, asked, from);
        }
    }

    #[test]
    fn a_listener_of_one_address_replies_from_it() {
        let mut listener = listen("127.0.0.1:0");
        let asked = listener.local();
        exchange(&mut listener, asked, "127.0.0.1:0");
    }

    #[test]
    fn nothing_to_receive_does_not_block() {
        let error = listen("127.0.0.1:0")
            .receive(&mut [0; 64])
            .expect_err("nothing was sent");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    fn listen(addr: &str) -> Listener {
        Listener::bind(addr.parse().expect("an address"), 0).expect("a free port")
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the other end of the socket under test"
    )]
    fn exchange(listener: &mut Listener, asked: SocketAddr, from: &str) {
        let client = UdpSocket::bind(from).expect("a free port");
        client
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        // Connected, so that a reply from another address would not be received.
        client.connect(asked).expect("connects");
        client.send(b"ask").expect("sent");
        let mut buffer = vec![0; DATAGRAM];
        let deadline = Instant::now() + Duration::from_secs(5);
        let (len, path) = loop {
            match listener.receive(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {}
                result => break result.expect("the datagram"),
            }
        };
        assert_eq!(
            (&buffer[..len], path.peer),
            (&b"ask"[..], client.local_addr().expect("bound"))
        );
        listener.reply(path, b"answer").expect("sent");
        let len = client
            .recv(&mut buffer)
            .expect("the reply, from the address asked");
        assert_eq!(&buffer[..len], b"answer");
    }
}
