//! NG over UDP. A reply leaves from the local address that its request came to, wildcard or not.
//!
//! Requests that wait are taken, and their replies sent, with one system call for several, where the socket has one
//! address; a wildcard's carry theirs with them and go one by one.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6,
    SockaddrStorage, recvmmsg, recvmsg, sendmmsg, sendmsg, setsockopt, sockopt,
};
use smallvec::SmallVec;
use socket2::{Domain, Protocol, Socket, Type};

/// Longest datagram.
pub const DATAGRAM: usize = 65_536;
/// Datagrams taken or sent at once.
pub const BATCH: usize = 16;
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

/// Datagrams that were taken at once.
#[derive(Debug)]
pub struct Taken {
    /// Room for each, one behind the other; pages that no datagram was long enough for do not exist.
    room: Box<[u8]>,
    heads: SmallVec<[(usize, Option<Path>); BATCH]>,
}

impl Taken {
    /// None yet.
    pub fn new() -> Self {
        Self {
            room: vec![0; BATCH * DATAGRAM].into_boxed_slice(),
            heads: SmallVec::new(),
        }
    }

    /// Each, and where it came from.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Path)> {
        let rooms = self.room.chunks_exact(DATAGRAM);
        let each = rooms.zip(&self.heads);
        each.filter_map(|(room, (len, path))| Some((&room[..*len], (*path)?)))
    }
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

    /// Takes what waits, a few at most; `WouldBlock` if there is nothing.
    pub fn take(&mut self, taken: &mut Taken) -> io::Result<()> {
        taken.heads.clear();
        if self.local.ip().is_unspecified() {
            for room in taken.room.chunks_exact_mut(DATAGRAM) {
                match self.receive(room) {
                    Ok((len, path)) => taken.heads.push((len, Some(path))),
                    Err(error) if taken.heads.is_empty() => return Err(error),
                    Err(_) => break,
                }
            }
            return Ok(());
        }
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
        let rooms = taken.room.chunks_exact_mut(DATAGRAM);
        let mut parts: Vec<_> = rooms.map(|room| [IoSliceMut::new(room)]).collect();
        let received = recvmmsg(
            self.socket.as_raw_fd(),
            &mut headers,
            parts.iter_mut(),
            MsgFlags::empty(),
            None,
        )?;
        for message in received {
            let peer = message.address.as_ref().and_then(peer);
            let path = peer.map(|peer| Path { peer, local: None });
            taken.heads.push((message.bytes, path));
        }
        Ok(())
    }

    /// Takes one datagram at a wildcard address.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Path)> {
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

    /// Sends replies back along their paths, in order; `failed` hears of each that did not leave.
    pub fn reply_all(
        &self,
        replies: &[(Path, &[u8])],
        mut failed: impl FnMut(Path, usize, io::Error),
    ) {
        let mut rest = replies;
        while !rest.is_empty() {
            rest = &rest[self.send(rest)..];
            // Where the kernel stopped, it says why when it is asked for that one alone.
            let Some(((path, bytes), others)) = rest.split_first() else {
                return;
            };
            if let Err(error) = self.reply(*path, bytes) {
                failed(*path, bytes.len(), error);
            }
            rest = others;
        }
    }

    /// Sends the first few, if they can go at once; how many went.
    fn send<'a>(&self, replies: &[(Path, &'a [u8])]) -> usize {
        let one_by_one = |(path, _): &(Path, &[u8])| path.local.is_some();
        let together = replies.iter().position(one_by_one);
        let together = together.unwrap_or(replies.len()).min(BATCH);
        if together < 2 {
            return 0;
        }
        let replies = &replies[..together];
        let mut headers = MultiHeaders::preallocate(together, None);
        let part = |(_, bytes): &(Path, &'a [u8])| [IoSlice::new(bytes)];
        let parts: Vec<_> = replies.iter().map(part).collect();
        let peers: SmallVec<[Option<SockaddrStorage>; BATCH]> = replies
            .iter()
            .map(|(path, _)| Some(path.peer.into()))
            .collect();
        let fd = self.socket.as_raw_fd();
        let sent = sendmmsg(fd, &mut headers, &parts, peers, [], MsgFlags::empty());
        sent.map_or(0, Iterator::count)
    }

    /// Sends a reply back along `path`.
    fn reply(&self, path: Path, bytes: &[u8]) -> io::Result<()> {
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
        for local in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            let taken = listen(local).take(&mut Taken::new());
            let error = taken.expect_err("nothing was sent");
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{local}");
        }
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
        let taken = take(listener);
        let (bytes, path) = taken.iter().next().expect("a datagram");
        assert_eq!(bytes, b"ask");
        assert_eq!(path.peer, client.local_addr().expect("bound"));
        let replies = [(path, &b"answer"[..])];
        listener.reply_all(&replies, |_, _, error| panic!("{error}"));
        let mut buffer = [0; 64];
        let len = client
            .recv(&mut buffer)
            .expect("the reply, from the address asked");
        assert_eq!(&buffer[..len], b"answer");
    }

    #[expect(clippy::disallowed_methods, reason = "how long a test waits")]
    fn take(listener: &mut Listener) -> Taken {
        let mut taken = Taken::new();
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match listener.take(&mut taken) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {}
                result => {
                    result.expect("datagrams");
                    return taken;
                }
            }
        }
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the other end of the socket under test"
    )]
    fn many_are_taken_and_answered_in_order_and_one_that_cannot_leave_stops_none() {
        for local in ["127.0.0.1:0", "0.0.0.0:0"] {
            let mut listener = listen(local);
            let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
            let patience = Some(Duration::from_secs(5));
            client.set_read_timeout(patience).expect("a timeout");
            let to = SocketAddr::from(([127, 0, 0, 1], listener.local().port()));
            let sent: Vec<Vec<u8>> = (0..40_u8).map(|n| vec![n; usize::from(n) * 50]).collect();
            for bytes in &sent {
                client.send_to(bytes, to).expect("sent");
            }
            let mut came = Vec::new();
            while came.len() < sent.len() {
                let taken = take(&mut listener);
                came.extend(taken.iter().map(|(bytes, path)| (path, bytes.to_vec())));
            }
            let bytes: Vec<_> = came.iter().map(|(_, bytes)| bytes.clone()).collect();
            assert_eq!(bytes, sent);
            let too_long = vec![0; DATAGRAM];
            let mut replies: Vec<_> = came.iter().map(|(path, b)| (*path, &b[..])).collect();
            let path = replies[0].0;
            replies.insert(20, (path, &too_long));
            let mut failed = Vec::new();
            listener.reply_all(&replies, |path, len, _| failed.push((path, len)));
            assert_eq!(failed, [(path, DATAGRAM)]);
            let mut buffer = vec![0; DATAGRAM];
            for bytes in &sent {
                let len = client.recv(&mut buffer).expect("a reply");
                assert_eq!(&buffer[..len], bytes);
            }
        }
    }
}
