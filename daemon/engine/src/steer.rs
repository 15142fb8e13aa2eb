//! The backend under steering: one socket of each family is all ports, `recvmmsg` empties it, and what leaves does
//! so as frames of our own, many a system call.
//!
//! A port is an address: nothing is opened for it, and there are no twins. What the link layer knows no hop for
//! goes by its raw sockets, behind what was to leave before it.

mod incoming;
mod intake;

use std::collections::HashMap;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use patchcord_contract::{Endpoint, Reason, Time};
use patchcord_media::flow::PortId;
use patchcord_media::{Plane, Rx};
use rustc_hash::FxBuildHasher;
use socket2::Socket;

use crate::address::Family;
use crate::backend::{BATCH, Backend, reason_of, recycle, unsent};
use crate::clock::monotonic;
use crate::limits::Room;
use crate::link::{Course, Frame, Hops, Line, Raw, frame, line};
use crate::outbox::{HEADROOM, Outbox, What};
use crate::socket::Place;
use crate::turn::TICK;
use crate::twin::Stray;
use crate::worker::Shared;

use incoming::Incoming;

pub use intake::Intake;

/// Batches that are taken one after the other before anything else is looked at.
const UNSEEN: u8 = 16;

/// The backend's state.
pub(crate) struct Steer {
    intake: Intake,
    hops: Hops,
    way_out: WayOut,
    incoming: Incoming,
    slots: Vec<Option<Slot>>,
    ports: HashMap<Endpoint, PortId, FxBuildHasher>,
    /// Between batches empty; keeps its room.
    batch: Vec<Rx<'static>>,
    /// Which socket has something to read, IPv4 and IPv6.
    ready: [bool; 2],
    /// Whether the last batch was full, so that there is more.
    is_behind: bool,
    /// Batches since descriptors were looked at.
    unseen: u8,
    /// When the link layer was tended last.
    tended: Time,
    /// What no port has: twins.
    nobody: Vec<PortId>,
    shared: Arc<Shared>,
}

/// A port.
#[derive(Clone, Copy, Debug)]
struct Slot {
    local: SocketAddr,
    from: Endpoint,
    scope: u32,
    tos: u8,
}

/// Frames that are to leave together, and the ways out.
struct WayOut {
    line: Line,
    raw: Raw,
    planned: Vec<Planned>,
    /// Places and error numbers of frames that did not go.
    failed: Vec<(usize, i32)>,
}

/// A frame that is written and has not left.
struct Planned {
    via: PortId,
    course: Course,
    what: What,
    len: usize,
    interface: u32,
    /// Where in its buffer the frame begins.
    start: usize,
}

impl Steer {
    /// Opens the backend.
    pub(crate) fn open(intake: Option<Intake>, shared: &Arc<Shared>) -> io::Result<Self> {
        let intake = intake.ok_or_else(|| io::Error::other("nobody steers"))?;
        Ok(Self {
            intake,
            hops: Hops::open()?,
            way_out: WayOut {
                line: Line::open()?,
                raw: Raw::open()?,
                planned: Vec::with_capacity(line::RUN),
                failed: Vec::with_capacity(line::RUN),
            },
            incoming: Incoming::new(),
            slots: Vec::new(),
            ports: HashMap::default(),
            batch: Vec::with_capacity(BATCH),
            ready: [false; 2],
            is_behind: false,
            unseen: 0,
            tended: Time::ZERO,
            nobody: Vec::new(),
            shared: Arc::clone(shared),
        })
    }

    fn slot(&self, port: PortId) -> Option<&Slot> {
        self.slots.get(port.slot())?.as_ref()
    }

    /// Looks which descriptors are ready, waiting for one if `sleep`.
    fn look(&mut self, sleep: bool) -> io::Result<()> {
        let fd = |fd: Option<BorrowedFd<'_>>| libc::pollfd {
            fd: fd.map_or(-1, |fd| fd.as_raw_fd()),
            events: libc::POLLIN,
            revents: 0,
        };
        let mut fds = [
            fd(Some(self.intake.v4())),
            fd(self.intake.v6()),
            fd(Some(self.shared.wake.as_fd())),
            fd(Some(self.hops.as_fd())),
        ];
        let patience = if sleep { TICK.as_millis() as i32 } else { 0 };
        // SAFETY: the array is live, exclusively borrowed, and as long as said.
        let found = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, patience) };
        if found < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted {
                Ok(())
            } else {
                Err(error)
            };
        }
        let [v4, v6, woken, news] = fds.map(|fd| fd.revents != 0);
        self.ready = [v4, v6];
        if woken {
            self.shared.wake.clear();
        }
        if news || self.hops.has_questions() {
            self.tend(monotonic());
        }
        Ok(())
    }

    /// Hears what the kernel tells of routes and neighbours, and asks what packets wanted to know.
    fn tend(&mut self, now: Time) {
        self.tended = now;
        self.hops.tend(now);
    }

    /// Takes a batch from the socket of one family and relays it.
    fn relay_some(&mut self, now: Time, family: usize, plane: &mut Plane, outbox: &mut Outbox) {
        let ports = &self.ports;
        let sockets = [Some(self.intake.v4()), self.intake.v6()];
        let Some(socket) = sockets[family] else {
            return;
        };
        let taken = self
            .incoming
            .receive(socket, |local| ports.get(&local).copied());
        match taken {
            Ok(taken) => {
                self.ready[family] = taken.all == BATCH;
                self.shared.stats.stale.add(taken.stale as u64);
            }
            Err(error) => {
                self.ready[family] = false;
                let is_error = error.kind() != io::ErrorKind::WouldBlock;
                self.shared.stats.socket_errors.add(u64::from(is_error));
                return;
            }
        }
        if self.incoming.is_empty() {
            return;
        }
        let mut batch = recycle(mem::take(&mut self.batch));
        self.incoming.fill(&mut batch);
        plane.process(now, &mut batch, outbox);
        self.batch = recycle(batch);
        self.send(plane, outbox);
    }

    /// Sends what the outbox holds, in order.
    fn send(&mut self, plane: &mut Plane, outbox: &mut Outbox) {
        let mut sends = mem::take(&mut outbox.sends);
        let Self {
            hops,
            way_out,
            incoming,
            slots,
            shared,
            ..
        } = self;
        let stats = &shared.stats;
        stats.sent.add(sends.len() as u64);
        for send in sends.drain(..) {
            let Some(slot) = slots.get(send.via.slot()).and_then(Option::as_ref) else {
                unsent(stats, plane, send.via, reason_of(libc::ENOTCONN));
                continue;
            };
            let course = Course {
                from: slot.from,
                to: send.to,
                scope: slot.scope,
                tos: slot.tos,
            };
            let (buffer, len) = match &send.what {
                What::Received { index, len } => (incoming.buffer_mut(*index), *len),
                What::Copy(range) => (outbox.copied_mut(range), range.len()),
            };
            let payload = HEADROOM..HEADROOM + len;
            let written = hops.find(&course).and_then(|hop| {
                let start = frame::write(buffer, payload.clone(), &course, &hop, false)?;
                Some((hop.interface, start))
            });
            if let Some((interface, start)) = written {
                way_out.planned.push(Planned {
                    via: send.via,
                    course,
                    what: send.what,
                    len,
                    interface,
                    start,
                });
                if way_out.planned.len() == line::RUN {
                    way_out.flush(incoming, outbox, |via, why| unsent(stats, plane, via, why));
                }
                continue;
            }
            // What was to leave before it leaves before it.
            way_out.flush(incoming, outbox, |via, why| unsent(stats, plane, via, why));
            let buffer = bytes(&send.what, incoming, outbox);
            if let Err(errno) = way_out.raw.send(&course, &buffer[payload]) {
                unsent(stats, plane, send.via, reason_of(errno));
            }
        }
        way_out.flush(incoming, outbox, |via, why| unsent(stats, plane, via, why));
        outbox.sends = sends;
        outbox.settle(plane);
    }
}

/// The buffer of a packet, the room in front of it included.
fn bytes<'a>(what: &What, incoming: &'a Incoming, outbox: &'a Outbox) -> &'a [u8] {
    match what {
        What::Received { index, .. } => incoming.buffer(*index),
        What::Copy(range) => outbox.copied_with_headroom(range),
    }
}

impl WayOut {
    /// Sends the frames planned so far; calls `unsent` for each packet that did not leave.
    fn flush(
        &mut self,
        incoming: &Incoming,
        outbox: &Outbox,
        mut unsent: impl FnMut(PortId, Reason),
    ) {
        if self.planned.is_empty() {
            return;
        }
        let mut frames = [Frame {
            interface: 0,
            bytes: &[],
        }; line::RUN];
        for (frame, planned) in frames.iter_mut().zip(&self.planned) {
            let buffer = bytes(&planned.what, incoming, outbox);
            frame.interface = planned.interface;
            frame.bytes = &buffer[planned.start..HEADROOM + planned.len];
        }
        let failed = &mut self.failed;
        self.line.send(&frames[..self.planned.len()], |at, errno| {
            failed.push((at, errno));
        });
        for (at, errno) in self.failed.drain(..) {
            let planned = &self.planned[at];
            let mut reason = reason_of(errno);
            // An interface that is gone, or down: the kernel may know another way.
            if reason != Reason::SendFull {
                let buffer = bytes(&planned.what, incoming, outbox);
                let payload = &buffer[HEADROOM..HEADROOM + planned.len];
                match self.raw.send(&planned.course, payload) {
                    Ok(()) => continue,
                    Err(errno) => reason = reason_of(errno),
                }
            }
            unsent(planned.via, reason);
        }
        self.planned.clear();
    }
}

impl Backend for Steer {
    const STEERED: bool = true;

    fn attach(&mut self, port: PortId, place: Place) -> io::Result<()> {
        let local = place.local_addr();
        let from = Endpoint::from(local);
        let scope = match Family::of(local) {
            Family::V4 => 0,
            Family::V6 { scope } => scope,
        };
        if self.slots.len() <= port.slot() {
            self.slots.resize_with(port.slot() + 1, || None);
        }
        self.slots[port.slot()] = Some(Slot {
            local,
            from,
            scope,
            tos: 0,
        });
        self.ports.insert(from, port);
        Ok(())
    }

    fn detach(&mut self, port: PortId) -> io::Result<()> {
        let slot = self.slots.get_mut(port.slot()).and_then(Option::take);
        if let Some(slot) = slot
            && self.ports.get(&slot.from) == Some(&port)
        {
            self.ports.remove(&slot.from);
        }
        Ok(())
    }

    fn is_attached(&self, port: PortId) -> bool {
        self.slot(port).is_some()
    }

    fn local_addr(&self, port: PortId) -> Option<SocketAddr> {
        Some(self.slot(port)?.local)
    }

    fn set_tos(&mut self, port: PortId, tos: u8) -> io::Result<()> {
        let slot = self.slots.get_mut(port.slot()).and_then(Option::as_mut);
        if let Some(slot) = slot {
            slot.tos = tos;
        }
        Ok(())
    }

    fn room(&self, _: usize) -> Room {
        Room::Enough
    }

    fn pair(&mut self, _: PortId, _: Socket, _: Endpoint) -> io::Result<()> {
        Ok(())
    }

    fn unpair(&mut self, _: PortId, _: bool) -> io::Result<Vec<Stray>> {
        Ok(Vec::new())
    }

    fn paired(&self, _: PortId) -> Option<Endpoint> {
        None
    }

    fn caught_up(&mut self) -> &mut Vec<PortId> {
        &mut self.nobody
    }

    fn listen(&mut self, _: PortId) -> io::Result<()> {
        Ok(())
    }

    fn refused(&mut self) -> &mut Vec<PortId> {
        &mut self.nobody
    }

    fn wait(&mut self, sleep: bool) -> io::Result<()> {
        if self.is_behind && self.unseen < UNSEEN {
            self.unseen += 1;
            return Ok(());
        }
        self.unseen = 0;
        self.look(sleep && !self.is_behind)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn relay(&mut self, plane: &mut Plane, outbox: &mut Outbox) -> io::Result<Time> {
        let mut now = monotonic();
        for family in 0..self.ready.len() {
            if self.ready[family] {
                self.relay_some(now, family, plane, outbox);
                outbox.release();
                now = monotonic();
            }
        }
        self.is_behind = self.ready.contains(&true);
        if now.since(self.tended) >= TICK {
            self.tend(now);
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
