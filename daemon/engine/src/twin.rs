//! Connected twins: a second socket on a port's address, connected to the peer of a settled flow.
//!
//! A connected socket sends without a route lookup and receives without an address, which saves a tenth
//! of the kernel's work for a packet; but it hears only its peer. So the port's own socket stays armed for
//! strangers, and the kernel prefers the twin for the peer's packets because it matches on more. Both carry
//! `SO_REUSEPORT`. A twin changes speed, never behaviour: its packets have their source, sends to anyone
//! else leave through the own socket, and what arrived between its `bind` and its `connect` is taken out
//! with its source before the twin is received from. What was sent before is still in the own socket then,
//! so both what was taken out and the twin wait until that has been found empty: no packet overtakes.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::{Endpoint, Time};
use patchcord_media::flow::{Accepts, PortId};
use patchcord_media::stats::PortStats;
use socket2::Socket;

use crate::address::Family;
use crate::backend::DATAGRAM;
use crate::socket;

/// Twins opened at most in one turn: each takes about 10 µs, so that packets wait no longer than for a batch.
pub(crate) const PER_TURN: usize = 4;

/// Flows looked at in one turn.
pub(crate) const LOOKS: usize = 64;

/// How often a flow without a twin is looked at.
const PATIENCE: Duration = Duration::from_millis(200);

/// Packets through the port in its life that show that it carries media. A twin saves its cost in 40.
const BUSY: u64 = 8;

/// How long a peer that refused packets is left without a twin.
const SHUNNED: Duration = Duration::from_secs(10);

/// Packets taken out of a new twin before the attempt is given up: someone floods the port. The ring asks one
/// that is closed for as many.
pub(crate) const STRAYS: usize = 16;

/// More than a receive buffer holds.
const LEFT: usize = 1024;

/// A packet that came in on a twin before it was connected, so that anyone may have sent it.
#[derive(Debug)]
pub(crate) struct Stray {
    /// Who sent it.
    pub(crate) source: Endpoint,
    /// What it is.
    pub(crate) bytes: Vec<u8>,
}

/// A twin just opened.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Connected, and empty but for packets of its peer. `None` if too much had arrived.
    pub(crate) socket: Option<Socket>,
    /// What was taken out of it. Older packets may still be in the port's own socket.
    pub(crate) strays: Vec<Stray>,
}

/// Opens a twin of the socket at `local` and connects it to `peer`.
pub(crate) fn open(local: SocketAddr, peer: Endpoint, tos: u8) -> io::Result<Opened> {
    let family = Family::of(local);
    let peer = family.socket_addr(peer).ok_or(io::ErrorKind::Unsupported)?;
    settle(bind(local, tos)?, local, peer)
}

/// A second socket at `local`, which hears everyone until it is connected.
fn bind(local: SocketAddr, tos: u8) -> io::Result<Socket> {
    let socket = socket::open(local)?;
    socket.set_reuse_port(true)?;
    socket::set_tos(&socket, Family::of(local), tos)?;
    socket.bind(&local.into())?;
    Ok(socket)
}

/// Connects it and takes out what had arrived. Where that is more than a few packets all of them are taken
/// out, and it is given up.
fn settle(socket: Socket, local: SocketAddr, peer: SocketAddr) -> io::Result<Opened> {
    socket.connect(&peer.into())?;
    let socket = UdpSocket::from(socket);
    let mut strays = Vec::new();
    let socket = if matches!(take_out(&socket, STRAYS, &mut strays), Ok(true)) {
        Some(socket.into())
    } else {
        strays.extend(retire(socket.into(), local));
        None
    };
    Ok(Opened { socket, strays })
}

/// What has arrived in a twin of the socket at `local`, which ends here. It is connected to its own address
/// first: from then on its peer's packets are the own socket's, and none is left in between.
pub(crate) fn retire(twin: Socket, local: SocketAddr) -> Vec<Stray> {
    let mut strays = Vec::new();
    if twin.connect(&local.into()).is_ok() {
        let twin = UdpSocket::from(twin);
        // An error that waited is told once, before what has arrived.
        let _told =
            take_out(&twin, LEFT, &mut strays).or_else(|_| take_out(&twin, LEFT, &mut strays));
    }
    strays
}

/// Takes out of the socket what is in it, until there are `most`; says whether it is empty then.
fn take_out(socket: &UdpSocket, most: usize, strays: &mut Vec<Stray>) -> io::Result<bool> {
    while strays.len() < most {
        let mut bytes = vec![0; DATAGRAM + 1];
        match socket.recv_from(&mut bytes) {
            Ok((len, source)) => {
                bytes.truncate(len);
                strays.push(Stray {
                    source: source.into(),
                    bytes,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Which flows are watched for a twin, and when each is looked at next.
#[derive(Debug, Default)]
pub(crate) struct Twins {
    slots: Vec<Option<Watched>>,
    queue: VecDeque<(Time, PortId)>,
}

/// A flow that may get a twin.
#[derive(Debug)]
struct Watched {
    stats: Arc<PortStats>,
    shunned: Time,
    queued: bool,
}

impl Twins {
    /// A flow was programmed.
    pub(crate) fn set(
        &mut self,
        now: Time,
        port: PortId,
        accepts: Accepts,
        stats: &Arc<PortStats>,
    ) {
        let media = match accepts {
            Accepts::Rtp | Accepts::Muxed | Accepts::Opaque => true,
            Accepts::Rtcp => false,
        };
        if !media {
            return self.clear(port);
        }
        if self.slots.len() <= port.slot() {
            self.slots.resize_with(port.slot() + 1, || None);
        }
        let slot = &mut self.slots[port.slot()];
        let queued = slot.as_ref().is_some_and(|watched| watched.queued);
        *slot = Some(Watched {
            stats: Arc::clone(stats),
            shunned: Time::ZERO,
            queued,
        });
        self.enqueue(now, port);
    }

    /// A flow was removed.
    pub(crate) fn clear(&mut self, port: PortId) {
        if let Some(slot) = self.slots.get_mut(port.slot()) {
            *slot = None;
        }
    }

    /// The twin of `port` was closed; another is thought of after a while, longer if its peer refused.
    pub(crate) fn closed(&mut self, now: Time, port: PortId, refused: bool) {
        if let Some(Some(watched)) = self.slots.get_mut(port.slot()) {
            watched.shunned = if refused { now + SHUNNED } else { now };
            self.enqueue(now, port);
        }
    }

    /// The next flow that is due for a twin, and busy enough.
    pub(crate) fn due(&mut self, now: Time, looks: &mut usize) -> Option<PortId> {
        while *looks > 0 && self.queue.front().is_some_and(|(due, _)| *due <= now) {
            *looks -= 1;
            let (_, port) = self.queue.pop_front()?;
            let Some(Some(watched)) = self.slots.get_mut(port.slot()) else {
                continue;
            };
            watched.queued = false;
            let packets = watched.stats.rtp_in.packets.get() + watched.stats.rtp_out.packets.get();
            if watched.shunned <= now && packets >= BUSY {
                return Some(port);
            }
            self.enqueue(now, port);
        }
        None
    }

    /// Looks at the flow again later.
    pub(crate) fn enqueue(&mut self, now: Time, port: PortId) {
        if let Some(Some(watched)) = self.slots.get_mut(port.slot())
            && !std::mem::replace(&mut watched.queued, true)
        {
            self.queue.push_back((now + PATIENCE, port));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::socket::MediaSocket;

    /// Strangers' packets that arrive between a twin's `bind` and its `connect`, from sources of their own, so
    /// that the kernel spreads them over both sockets: how many were taken out, how many the own socket has,
    /// and whether there is a twin.
    fn flooded(packets: usize) -> (usize, usize, bool) {
        let bound = || {
            let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let socket = MediaSocket::bind(any).expect("a free port");
            (socket.local_addr(), UdpSocket::from(socket.into_socket()))
        };
        let ((local, own), (peer, _peer)) = (bound(), bound());
        let twin = bind(local, 0).expect("a second socket");
        for _ in 0..packets {
            let (_, stranger) = bound();
            stranger.send_to(b"packet", local).expect("loopback");
        }
        let opened = settle(twin, local, peer).expect("it can be connected");
        let mut left = Vec::new();
        take_out(&own, LEFT, &mut left).expect("it is empty then");
        (opened.strays.len(), left.len(), opened.socket.is_some())
    }

    #[test]
    fn what_comes_in_on_a_twin_before_it_is_connected_is_kept() {
        let (taken, left, is_open) = flooded(STRAYS / 2);
        assert_eq!(taken + left, STRAYS / 2);
        assert!(is_open, "{taken} are few");
    }

    #[test]
    fn a_twin_in_a_flood_is_given_up_and_loses_nothing() {
        let (taken, left, is_open) = flooded(5 * STRAYS);
        assert_eq!(taken + left, 5 * STRAYS, "{taken} were taken out");
        assert!(taken > STRAYS && !is_open, "{taken}");
    }
}
