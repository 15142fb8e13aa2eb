//! How packets get out and in: datagram sockets anywhere, or raw frames between namespaces.

pub(crate) mod frame;
pub(crate) mod packet;
pub(crate) mod udp;

use std::io;
use std::net::SocketAddr;

use self::packet::PacketIo;
use self::udp::UdpIo;

/// The two parties of a call, as seen by the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The offering party, on the relay's first interface.
    Offerer,
    /// The answering party, on the second.
    Answerer,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Offerer, Self::Answerer];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Offerer => Self::Answerer,
            Self::Answerer => Self::Offerer,
        }
    }
}

/// A path into the relay: from an endpoint of ours to a port of the relay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    /// Whose endpoint.
    pub(crate) side: Side,
    /// Our endpoint.
    pub(crate) from: SocketAddr,
    /// The relay's port.
    pub(crate) to: SocketAddr,
}

/// A datagram that came out of the relay.
pub(crate) struct Arrival<'a> {
    /// Where it arrived.
    pub(crate) at: SocketAddr,
    /// Where it came from.
    pub(crate) source: SocketAddr,
    /// The kernel's receive stamp, nanoseconds since 1970.
    pub(crate) stamp: u64,
    /// Whether its UDP checksum holds; sockets show only those that do.
    pub(crate) checksum_ok: bool,
    /// The UDP payload.
    pub(crate) bytes: &'a [u8],
}

/// The generator's network side.
pub(crate) enum Io {
    /// Datagram sockets: unprivileged, works on loopback.
    Udp(UdpIo),
    /// Raw frames on two devices: fast enough to drown a relay.
    Packet(PacketIo),
}

impl Io {
    /// The endpoint that call `call` uses on `side`.
    pub(crate) fn endpoint(&self, side: Side, call: usize) -> SocketAddr {
        match self {
            Self::Udp(io) => io.endpoint(side, call),
            Self::Packet(io) => io.endpoint(side, call),
        }
    }

    /// Replaces the paths that [`Io::push`] knows.
    pub(crate) fn set_routes(&mut self, routes: &[Route]) {
        match self {
            Self::Udp(io) => io.set_routes(routes),
            Self::Packet(io) => io.set_routes(routes),
        }
    }

    /// Queues a datagram on route `route`; `fill` writes its payload and returns the length.
    pub(crate) fn push(
        &mut self,
        route: usize,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> io::Result<()> {
        match self {
            Self::Udp(io) => io.push(route, fill),
            Self::Packet(io) => io.push(route, fill),
        }
    }

    /// Sends what is queued.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Udp(io) => io.flush(),
            Self::Packet(io) => io.flush(),
        }
    }

    /// Shows everything that has arrived to `see`; returns how much that was.
    pub(crate) fn receive(&mut self, see: impl FnMut(Arrival<'_>)) -> io::Result<usize> {
        match self {
            Self::Udp(io) => io.receive(see),
            Self::Packet(io) => Ok(io.receive(see)),
        }
    }

    /// Packets pushed but refused by our own kernel, since the last call.
    pub(crate) fn take_unsent(&mut self) -> u64 {
        match self {
            Self::Udp(io) => std::mem::take(&mut io.unsent),
            Self::Packet(io) => std::mem::take(&mut io.unsent),
        }
    }

    /// Packets that arrived but found our own buffers full, since the last call.
    pub(crate) fn take_overruns(&self) -> u64 {
        match self {
            Self::Udp(_) => 0,
            Self::Packet(io) => io.overruns(),
        }
    }

    /// Whether packets of one endpoint should follow each other, to share a system call.
    pub(crate) fn batches_by_endpoint(&self) -> bool {
        matches!(self, Self::Udp(_))
    }

    /// Whether the generator should keep its core busy between ticks.
    pub(crate) fn spins(&self) -> bool {
        matches!(self, Self::Packet(_))
    }
}
