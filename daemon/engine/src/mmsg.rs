//! The backend without io_uring: level-triggered epoll, `recvmmsg`, `sendmmsg`.
//!
//! What is left in a socket after its share of a turn makes it ready again, behind the others: a flood
//! at one port delays its own packets only, and an overload ends when it ends.

mod epoll;
mod messages;

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::{Endpoint, Time};
use patchcord_media::flow::PortId;
use patchcord_media::{Plane, Rx};
use socket2::Socket;

use crate::address::Family;
use crate::backend::{BATCH, Backend, DRAIN_TRIES, reason_of, recycle, unsent};
use crate::clock::monotonic;
use crate::limits::{Room, Share};
use crate::outbox::{Outbox, What};
use crate::socket::{Place, set_tos};
use crate::turn::TICK;
use crate::twin::{self, Stray};
use crate::worker::Shared;

use epoll::{Epoll, Ready, Which};
use messages::{Incoming, Leaving, Outgoing, RUN};

/// Packets taken from a socket in one turn.
const PER_SOCKET: usize = 8;

/// Sockets served in one turn.
const READY: usize = 64;

/// The backend's state.
pub(crate) struct Mmsg {
    epoll: Epoll,
    ready: Vec<Ready>,
    slots: Vec<Option<Slot>>,
    incoming: Incoming,
    outgoing: Outgoing,
    /// Between batches empty; keeps its room.
    batch: Vec<Rx<'static>>,
    /// Ports whose twin waits for the own socket to be empty.
    draining: Vec<PortId>,
    caught_up: Vec<PortId>,
    refused: Vec<PortId>,
    share: Share,
    shared: Arc<Shared>,
}

/// A port.
struct Slot {
    own: Socket,
    family: Family,
    local: SocketAddr,
    tos: u8,
    twin: Option<Twin>,
}

impl Slot {
    /// The socket that sends to `to`, and what it has to be told.
    fn way(&self, to: Endpoint) -> (&Socket, Option<(Family, Endpoint)>) {
        match &self.twin {
            Some(twin) if twin.peer == to => (&twin.socket, None),
            _ => (&self.own, Some((self.family, to))),
        }
    }
}

/// A port's connected twin.
struct Twin {
    socket: Socket,
    peer: Endpoint,
    tries: u8,
}

impl Mmsg {
    /// Opens the backend.
    pub(crate) fn open(shared: &Arc<Shared>) -> io::Result<Self> {
        let epoll = Epoll::new(READY)?;
        epoll.watch_wake(shared.wake.as_fd())?;
        Ok(Self {
            epoll,
            ready: Vec::with_capacity(READY),
            slots: Vec::new(),
            incoming: Incoming::new(),
            outgoing: Outgoing::new(),
            batch: Vec::with_capacity(BATCH),
            draining: Vec::new(),
            caught_up: Vec::new(),
            refused: Vec::new(),
            share: Share::new()?,
            shared: Arc::clone(shared),
        })
    }

    /// Ends a wait also when `fd` is readable.
    pub(crate) fn watch(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.epoll.watch_quietly(fd)
    }

    /// Ends a wait also when `fd` is readable, and says so.
    pub(crate) fn watch_news(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.epoll.watch_news(fd)
    }

    /// Whether there were such news at the last wait.
    pub(crate) fn has_news(&self) -> bool {
        self.epoll.has_news()
    }

    /// Sends one packet from the socket of `via`.
    pub(crate) fn send_one(&mut self, plane: &mut Plane, via: PortId, to: Endpoint, bytes: &[u8]) {
        let stats = &self.shared.stats;
        let mut failed = |via, errno| unsent(stats, plane, via, reason_of(errno));
        let Some(slot) = self.slots.get(via.slot()).and_then(Option::as_ref) else {
            return failed(via, libc::ENOTCONN);
        };
        let (socket, to) = slot.way(to);
        let run = [Leaving { via, bytes, to }];
        self.outgoing.send(socket.as_fd(), &run, failed);
    }

    fn slot(&self, port: PortId) -> Option<&Slot> {
        self.slots.get(port.slot())?.as_ref()
    }

    fn slot_mut(&mut self, port: PortId) -> Option<&mut Slot> {
        self.slots.get_mut(port.slot())?.as_mut()
    }

    /// Finds the paired ports whose own socket is empty.
    fn drained(&mut self) {
        for at in (0..self.draining.len()).rev() {
            let port = self.draining[at];
            let Some(Slot {
                own,
                twin: Some(twin),
                ..
            }) = self.slots.get_mut(port.slot()).and_then(Option::as_mut)
            else {
                self.draining.swap_remove(at);
                continue;
            };
            twin.tries += 1;
            let empty = own
                .peek(&mut [])
                .is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock);
            if empty || twin.tries >= DRAIN_TRIES {
                self.caught_up.push(port);
                self.draining.swap_remove(at);
            }
        }
    }

    /// Takes packets from one ready socket.
    fn receive(&mut self, ready: Ready) {
        let Some(slot) = self.slots.get(ready.port.slot()).and_then(Option::as_ref) else {
            return;
        };
        let (socket, source) = match (ready.which, &slot.twin) {
            (Which::Own, _) => (&slot.own, None),
            (Which::Twin, Some(twin)) => (&twin.socket, Some(twin.peer)),
            (Which::Twin, None) => return,
        };
        match self
            .incoming
            .receive(socket.as_fd(), ready.port, source, PER_SOCKET)
        {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => {
                self.shared.stats.socket_errors.add(1);
                if ready.which == Which::Twin {
                    self.refused.push(ready.port);
                }
            }
        }
    }

    /// Sends what the outbox holds, neighbours that leave from one socket together.
    fn send(&mut self, plane: &mut Plane, outbox: &mut Outbox) {
        let sends = mem::take(&mut outbox.sends);
        let stats = &self.shared.stats;
        let mut failed = |via, errno| unsent(stats, plane, via, reason_of(errno));
        let nobody = match sends.first() {
            Some(send) => Leaving {
                via: send.via,
                bytes: &[],
                to: None,
            },
            None => return outbox.settle(plane),
        };
        let mut run = [nobody; RUN];
        let mut len = 0;
        let mut open: Option<&Socket> = None;
        for send in &sends {
            let Some(slot) = self.slots.get(send.via.slot()).and_then(Option::as_ref) else {
                failed(send.via, libc::ENOTCONN);
                continue;
            };
            let (socket, to) = slot.way(send.to);
            if let Some(before) = open
                && (len == RUN || before.as_raw_fd() != socket.as_raw_fd())
            {
                self.outgoing.send(before.as_fd(), &run[..len], &mut failed);
                len = 0;
            }
            let bytes = match &send.what {
                What::Received { index, len } => &self.incoming.bytes(*index)[..*len],
                What::Copy(range) => outbox.copied(range),
            };
            run[len] = Leaving {
                via: send.via,
                bytes,
                to,
            };
            len += 1;
            open = Some(socket);
        }
        if let Some(last) = open {
            self.outgoing.send(last.as_fd(), &run[..len], &mut failed);
        }
        stats.sent.add(sends.len() as u64);
        outbox.sends = sends;
        outbox.sends.clear();
        outbox.settle(plane);
    }
}

impl Backend for Mmsg {
    fn attach(&mut self, port: PortId, place: Place) -> io::Result<()> {
        let local = place.local_addr();
        let slot = Slot {
            own: place.into_socket()?,
            family: Family::of(local),
            local,
            tos: 0,
            twin: None,
        };
        self.epoll.watch(
            slot.own.as_fd(),
            Ready {
                port,
                which: Which::Own,
            },
        )?;
        if self.slots.len() <= port.slot() {
            self.slots.resize_with(port.slot() + 1, || None);
        }
        self.slots[port.slot()] = Some(slot);
        self.share.take();
        Ok(())
    }

    fn detach(&mut self, port: PortId) -> io::Result<()> {
        self.unpair(port, false)?;
        self.slots[port.slot()] = None;
        self.share.give();
        Ok(())
    }

    fn is_attached(&self, port: PortId) -> bool {
        self.slot(port).is_some()
    }

    fn local_addr(&self, port: PortId) -> Option<SocketAddr> {
        Some(self.slot(port)?.local)
    }

    fn set_tos(&mut self, port: PortId, tos: u8) -> io::Result<()> {
        let Some(slot) = self.slot_mut(port).filter(|slot| slot.tos != tos) else {
            return Ok(());
        };
        slot.tos = tos;
        let own = set_tos(&slot.own, slot.family, tos);
        let twin = slot
            .twin
            .as_ref()
            .map(|twin| set_tos(&twin.socket, slot.family, tos));
        if own.is_err() || twin.is_some_and(|twin| twin.is_err()) {
            self.shared.stats.socket_errors.add(1);
        }
        Ok(())
    }

    fn room(&self, _: usize) -> Room {
        self.share.room()
    }

    fn pair(&mut self, port: PortId, twin: Socket, peer: Endpoint) -> io::Result<()> {
        if let Some(slot) = self.slot_mut(port) {
            slot.twin = Some(Twin {
                socket: twin,
                peer,
                tries: 0,
            });
            self.draining.push(port);
            self.share.take();
        }
        Ok(())
    }

    fn unpair(&mut self, port: PortId, keep: bool) -> io::Result<Vec<Stray>> {
        let slot = self.slot_mut(port);
        let Some((twin, local)) = slot.and_then(|slot| Some((slot.twin.take()?, slot.local)))
        else {
            return Ok(Vec::new());
        };
        self.share.give();
        Ok(if keep {
            twin::retire(twin.socket, local)
        } else {
            Vec::new()
        })
    }

    fn paired(&self, port: PortId) -> Option<Endpoint> {
        Some(self.slot(port)?.twin.as_ref()?.peer)
    }

    fn caught_up(&mut self) -> &mut Vec<PortId> {
        &mut self.caught_up
    }

    fn listen(&mut self, port: PortId) -> io::Result<()> {
        let slot = self.slots.get(port.slot()).and_then(Option::as_ref);
        let Some(twin) = slot.and_then(|slot| slot.twin.as_ref()) else {
            return Ok(());
        };
        let which = Which::Twin;
        self.epoll.watch(twin.socket.as_fd(), Ready { port, which })
    }

    fn refused(&mut self) -> &mut Vec<PortId> {
        &mut self.refused
    }

    fn wait(&mut self, sleep: bool) -> io::Result<()> {
        if !self.draining.is_empty() {
            self.drained();
        }
        let sleep = sleep && self.draining.is_empty() && self.caught_up.is_empty();
        let timeout = if sleep { TICK } else { Duration::ZERO };
        self.ready.clear();
        if self.epoll.wait(timeout, &mut self.ready)? {
            self.shared.wake.clear();
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn relay(&mut self, plane: &mut Plane, outbox: &mut Outbox) -> io::Result<Time> {
        let mut now = monotonic();
        let mut served = 0;
        while served < self.ready.len() {
            while served < self.ready.len() && self.incoming.room() >= PER_SOCKET {
                self.receive(self.ready[served]);
                served += 1;
            }
            let mut batch = recycle(mem::take(&mut self.batch));
            self.incoming.fill(&mut batch);
            plane.process(now, &mut batch, outbox);
            self.batch = recycle(batch);
            self.send(plane, outbox);
            self.incoming.clear();
            outbox.release();
            if served < self.ready.len() {
                now = monotonic();
            }
        }
        Ok(now)
    }

    fn send_copies(&mut self, plane: &mut Plane, outbox: &mut Outbox) -> io::Result<()> {
        self.send(plane, outbox);
        outbox.release();
        Ok(())
    }

    fn close(self) -> io::Result<()> {
        Ok(())
    }
}
