//! Datagram sockets: a few endpoints a side, shared by the calls in turn, so that ten thousand
//! calls need a handful of descriptors. A relay tells calls apart by its own ports.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, bail};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Arrival, Route, Side};
use crate::os::mmsg::{Inbox, Outbox, stamp_arrivals};
use crate::os::netns;

/// Datagrams a system call.
const BATCH: usize = 64;
/// Receive calls on one socket before the next one gets its turn.
const TURNS: usize = 16;

/// Where the sockets of one side are opened.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Local address.
    pub(crate) ip: IpAddr,
    /// Network namespace, if not this one.
    pub(crate) netns: Option<String>,
}

struct Endpoint {
    socket: Socket,
    local: SocketAddr,
}

/// Sockets of both sides and what is queued on one of them.
pub(crate) struct UdpIo {
    sides: [Vec<Endpoint>; 2],
    routes: Vec<(usize, usize, SockAddr)>,
    outbox: Outbox,
    queued_on: (usize, usize),
    inbox: Inbox,
    /// Datagrams our own kernel refused.
    pub(crate) unsent: u64,
}

impl UdpIo {
    /// Opens `count` endpoints on either side.
    pub(crate) fn open(places: &[Place; 2], count: usize) -> Result<Self> {
        let side = |place: &Place| {
            netns::inside(place.netns.as_deref(), || {
                (0..count.max(1))
                    .map(|_| even_endpoint(place.ip))
                    .collect::<Result<Vec<_>>>()
            })
        };
        Ok(Self {
            sides: [side(&places[0])?, side(&places[1])?],
            routes: Vec::new(),
            outbox: Outbox::new(BATCH),
            queued_on: (0, 0),
            inbox: Inbox::new(BATCH),
            unsent: 0,
        })
    }

    pub(super) fn endpoint(&self, side: Side, call: usize) -> SocketAddr {
        let endpoints = &self.sides[side as usize];
        endpoints[call % endpoints.len()].local
    }

    pub(super) fn set_routes(&mut self, routes: &[Route]) {
        let find = |r: &Route| {
            let side = &self.sides[r.side as usize];
            let socket = side.iter().position(|e| e.local == r.from).unwrap_or(0);
            (r.side as usize, socket, SockAddr::from(r.to))
        };
        self.routes = routes.iter().map(find).collect();
    }

    pub(super) fn push(
        &mut self,
        route: usize,
        fill: impl FnOnce(&mut [u8]) -> usize,
    ) -> io::Result<()> {
        let (side, socket, _) = self.routes[route];
        if self.outbox.is_full() || self.queued_on != (side, socket) {
            self.flush()?;
            self.queued_on = (side, socket);
        }
        self.outbox.push(Some(self.routes[route].2.clone()), fill);
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        let queued = self.outbox.len();
        let endpoint = &self.sides[self.queued_on.0][self.queued_on.1];
        let sent = self.outbox.flush(endpoint.socket.as_raw_fd())?;
        self.unsent += (queued - sent) as u64;
        Ok(())
    }

    pub(super) fn receive(&mut self, mut see: impl FnMut(Arrival<'_>)) -> io::Result<usize> {
        let mut total = 0;
        for endpoint in self.sides.iter().flatten() {
            for _ in 0..TURNS {
                let got = self.inbox.receive(endpoint.socket.as_raw_fd(), |d| {
                    see(Arrival {
                        at: endpoint.local,
                        source: d.source,
                        stamp: d.stamp,
                        checksum_ok: true,
                        bytes: d.bytes,
                    });
                })?;
                total += got;
                if got < BATCH {
                    break;
                }
            }
        }
        Ok(total)
    }
}

/// A bound socket with receive stamps and deep buffers.
pub(crate) fn open(local: SocketAddr) -> Result<Socket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // What the kernel does not grant costs only burst tolerance.
    socket.set_recv_buffer_size(4 << 20)?;
    socket.set_send_buffer_size(4 << 20)?;
    stamp_arrivals(&socket)?;
    socket
        .bind(&local.into())
        .with_context(|| format!("binding to {local}"))?;
    Ok(socket)
}

/// RTP endpoints have even ports, the odd one above is RTCP's (RFC 3550 §11).
fn even_endpoint(ip: IpAddr) -> Result<Endpoint> {
    for _ in 0..100 {
        let socket = open(SocketAddr::new(ip, 0))?;
        let local = socket.local_addr()?.as_socket().context("an IP address")?;
        if local.port() % 2 == 0 {
            return Ok(Endpoint { socket, local });
        }
    }
    bail!("no even port free on {ip}")
}
