//! The backend past the kernel's stack: a socket for each receive queue that leads to this worker, whose frames
//! move from one interface through the plane to another without being copied.
//!
//! The XDP program hands over what is for a port of this worker and came in by one of its queues. Everything
//! else goes up as ever, to the ports' own sockets: fragments, options, other queues, interfaces without XDP.
//! Those are `mmsg`'s, and so is what has no hop or does not fit one. Which way a packet takes changes how fast
//! it is, nothing else. Reading order: `memory`, `ring`, `socket`, `queue`, `ports`, and this.

mod memory;
mod ports;
mod queue;
mod ring;
mod socket;

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::{Endpoint, Reason, Time};
use patchcord_media::flow::PortId;
use patchcord_media::{Packet, Plane, Rx};
use patchcord_offload::{Gate, Lanes};
use socket2::Socket;

use crate::backend::{BATCH, Backend, recycle, unsent};
use crate::clock::monotonic;
use crate::limits::Room;
use crate::link::{Course, Hop, Hops, frame};
use crate::mmsg::Mmsg;
use crate::outbox::{Outbox, Outgoing, What};
use crate::socket::Place;
use crate::turn::TICK;
use crate::twin::Stray;
use crate::worker::{LaneReport, Shared, WorkerConfig};

use memory::{Frame, HEADROOM, Memory, Way};
use ports::Ports;
use queue::Queues;

/// Batches in one turn, from all sockets together.
const BATCHES: usize = 16;

/// How long the kernel may take to send the last packets before the sockets are closed.
const LAST: Duration = Duration::from_millis(100);

/// The backend's state. The sockets go before the memory that the kernel fills for them.
pub(crate) struct Xsk {
    queues: Queues,
    memory: Memory,
    free: Vec<Frame>,
    held: Vec<Held>,
    /// Between batches empty; keeps its room.
    batch: Vec<Rx<'static>>,
    ports: Ports,
    lanes: Lanes,
    gate: Gate,
    hops: Hops,
    tended: Time,
    sockets: Mmsg,
    busy: bool,
    shared: Arc<Shared>,
}

/// A received datagram, in its frame.
struct Held {
    /// Until it is moved to where it leaves.
    frame: Option<Frame>,
    /// Where in the frame it lies.
    payload: Range<usize>,
    port: PortId,
    source: Endpoint,
}

/// Where a packet leaves past the stack.
struct Exit {
    queue: usize,
    course: Course,
    hop: Hop,
}

impl Xsk {
    /// Opens the backend, and a socket for each queue of `lanes`.
    pub(crate) fn open(
        config: &WorkerConfig,
        lanes: Option<Lanes>,
        shared: &Arc<Shared>,
    ) -> io::Result<Self> {
        let mut lanes = lanes.ok_or_else(|| {
            io::Error::new(io::ErrorKind::Unsupported, "no XDP program is attached")
        })?;
        let (memory, queues, free) = Queues::open(config, &mut lanes)?;
        let sockets = Mmsg::open(shared)?;
        for queue in &queues.all {
            sockets.watch(queue.socket())?;
        }
        let hops = Hops::open()?;
        sockets.watch_news(hops.as_fd())?;
        shared.stats.buffers.set(memory.count() as u64);
        let mut xsk = Self {
            queues,
            memory,
            free,
            held: Vec::with_capacity(BATCH),
            batch: Vec::with_capacity(BATCH),
            ports: Ports::new(),
            gate: lanes.gate(),
            lanes,
            hops,
            tended: Time::ZERO,
            sockets,
            busy: config.busy_poll,
            shared: Arc::clone(shared),
        };
        xsk.queues.refill(&mut xsk.memory, &mut xsk.free);
        Ok(xsk)
    }

    /// Takes up to a batch of what has arrived; says whether there may be more.
    fn receive(&mut self) -> bool {
        let Self {
            queues,
            memory,
            held,
            free,
            ports,
            shared,
            ..
        } = self;
        queues.receive(memory, BATCH, |memory, mut frame, range| {
            let arrived = frame::parse(&memory.bytes(&mut frame)[range.clone()]);
            let port = arrived
                .as_ref()
                .and_then(|arrived| ports.find(arrived.local));
            let (Some(arrived), Some(port)) = (arrived, port) else {
                // A wrong checksum, or a port that was detached meanwhile.
                shared.stats.stale.add(1);
                return free.push(frame);
            };
            let start = range.start + arrived.payload.start;
            held.push(Held {
                frame: Some(frame),
                payload: start..start + arrived.payload.len(),
                port,
                source: arrived.source,
            });
        })
    }

    /// Lets the plane judge what is held.
    fn process(&mut self, now: Time, plane: &mut Plane, outbox: &mut Outbox) {
        let Self { memory, held, .. } = self;
        let mut batch = recycle(mem::take(&mut self.batch));
        batch.extend(held.iter_mut().filter_map(|held| {
            let bytes = memory.bytes(held.frame.as_mut()?);
            Some(Rx {
                port: held.port,
                source: Some(held.source),
                packet: Packet::new(&mut bytes[held.payload.start..], held.payload.len()),
                truncated: false,
            })
        }));
        plane.process(now, &mut batch, outbox);
        self.batch = recycle(batch);
    }

    /// Sends what the outbox holds; afterwards nothing is held.
    fn send(&mut self, plane: &mut Plane, outbox: &mut Outbox) {
        let sends = mem::take(&mut outbox.sends);
        for send in &sends {
            match self.exit(send) {
                Some(exit) => self.depart(plane, outbox, send, &exit),
                None => self.leave_to_kernel(plane, outbox, send),
            }
        }
        self.shared.stats.sent.add(sends.len() as u64);
        outbox.sends = sends;
        outbox.sends.clear();
        outbox.settle(plane);
        let rest = self.held.drain(..).filter_map(|held| held.frame);
        self.free.extend(rest);
        self.queues.kick();
    }

    /// Where a packet leaves past the stack; `None` if the kernel has to send it.
    #[inline]
    fn exit(&mut self, send: &Outgoing) -> Option<Exit> {
        let port = self.ports.get(send.via)?;
        if port.local.addr.is_unspecified() {
            return None;
        }
        let course = Course {
            from: port.local,
            to: send.to,
            scope: port.scope,
            tos: port.tos,
        };
        course.is_v4()?;
        let hop = self.hops.find(&course)?;
        let queue = self.queues.to(hop.under)?;
        Some(Exit { queue, course, hop })
    }

    /// Moves a received frame, or copies a packet into a free one, to where it leaves.
    fn depart(&mut self, plane: &mut Plane, outbox: &Outbox, send: &Outgoing, exit: &Exit) {
        let (frame, payload) = match &send.what {
            What::Received { index, len } => {
                let held = &mut self.held[*index];
                let start = held.payload.start;
                (held.frame.take(), start..start + len)
            }
            What::Copy(range) => {
                let bytes = outbox.copied(range);
                let start = HEADROOM;
                let mut frame = self.free.pop();
                if let Some(frame) = &mut frame {
                    self.memory.bytes(frame)[start..start + bytes.len()].copy_from_slice(bytes);
                }
                (frame, start..start + bytes.len())
            }
        };
        let Some(mut frame) = frame else {
            return unsent(&self.shared.stats, plane, send.via, Reason::SendFull);
        };
        let bytes = self.memory.bytes(&mut frame);
        let tagged = exit.hop.vlan != 0;
        let end = payload.end;
        match frame::write(bytes, payload.clone(), &exit.course, &exit.hop, tagged) {
            // Longer than the interface takes: the kernel cuts it.
            None => {
                self.sockets
                    .send_one(plane, send.via, send.to, &bytes[payload]);
                self.free.push(frame);
            }
            Some(start) => {
                if let Err(frame) =
                    self.queues
                        .send(&mut self.memory, exit.queue, frame, start..end)
                {
                    self.free.push(frame);
                    unsent(&self.shared.stats, plane, send.via, Reason::SendFull);
                }
            }
        }
    }

    /// Sends a packet by its port's socket.
    #[cold]
    fn leave_to_kernel(&mut self, plane: &mut Plane, outbox: &Outbox, send: &Outgoing) {
        match &send.what {
            What::Received { index, len } => {
                let held = &mut self.held[*index];
                let start = held.payload.start;
                if let Some(frame) = &mut held.frame {
                    let bytes = &self.memory.bytes(frame)[start..start + len];
                    self.sockets.send_one(plane, send.via, send.to, bytes);
                }
            }
            What::Copy(range) => {
                let bytes = outbox.copied(range);
                self.sockets.send_one(plane, send.via, send.to, bytes);
            }
        }
    }

    /// Takes back what was sent, fills up what is to be filled, and counts: every frame is in one place.
    fn settle(&mut self, now: Time) {
        self.queues.take_back(&mut self.memory, &mut self.free);
        self.queues.refill(&mut self.memory, &mut self.free);
        let out = self.queues.sending + self.held.len();
        self.shared.stats.buffers_out.set(out as u64);
        debug_assert_eq!(
            self.free.len() + self.queues.receiving() + out,
            self.memory.count(),
            "every frame is in one place"
        );
        if self.hops.has_questions() || now.since(self.tended) >= TICK {
            self.tended = now;
            self.hops.tend(now);
        }
    }
}

impl Backend for Xsk {
    fn attach(&mut self, port: PortId, place: Place) -> io::Result<()> {
        let addr = place.local_addr();
        let scope = match addr {
            SocketAddr::V4(_) => 0,
            SocketAddr::V6(addr) => addr.scope_id(),
        };
        let local = Endpoint::from(addr);
        self.sockets.attach(port, place)?;
        self.ports.add(port, local, scope);
        Ok(())
    }

    fn detach(&mut self, port: PortId) -> io::Result<()> {
        if let Some(local) = self.ports.remove(port) {
            self.gate.leave(local);
        }
        self.sockets.detach(port)
    }

    fn is_attached(&self, port: PortId) -> bool {
        self.sockets.is_attached(port)
    }

    fn local_addr(&self, port: PortId) -> Option<SocketAddr> {
        self.sockets.local_addr(port)
    }

    fn set_tos(&mut self, port: PortId, tos: u8) -> io::Result<()> {
        if let Some(port) = self.ports.get_mut(port) {
            port.tos = tos;
        }
        self.sockets.set_tos(port, tos)
    }

    fn room(&self, coming: usize) -> Room {
        self.sockets.room(coming)
    }

    fn pair(&mut self, port: PortId, twin: Socket, peer: Endpoint) -> io::Result<()> {
        self.sockets.pair(port, twin, peer)
    }

    fn unpair(&mut self, port: PortId, keep: bool) -> io::Result<Vec<Stray>> {
        self.sockets.unpair(port, keep)
    }

    fn paired(&self, port: PortId) -> Option<Endpoint> {
        self.sockets.paired(port)
    }

    fn caught_up(&mut self) -> &mut Vec<PortId> {
        self.sockets.caught_up()
    }

    fn listen(&mut self, port: PortId) -> io::Result<()> {
        self.sockets.listen(port)
    }

    fn refused(&mut self) -> &mut Vec<PortId> {
        self.sockets.refused()
    }

    fn wait(&mut self, sleep: bool) -> io::Result<()> {
        let polls = self.busy && !self.queues.all.is_empty();
        self.queues.wake(polls);
        let sleep = sleep && !polls && !self.queues.is_impatient();
        self.sockets.wait(sleep)?;
        // Commands are read next, and what arrives after them was perhaps sent because of others, not read yet.
        self.queues.look();
        Ok(())
    }

    fn relay(&mut self, plane: &mut Plane, outbox: &mut Outbox) -> io::Result<Time> {
        let mut now = self.sockets.relay(plane, outbox)?;
        if self.sockets.has_news() {
            // What is given to an interface that went down would leave when it is up again.
            self.hops.tend(now);
        }
        for _ in 0..BATCHES {
            let more = self.receive();
            self.shared.stats.bypassed.add(self.held.len() as u64);
            if !self.held.is_empty() {
                self.process(now, plane, outbox);
                self.send(plane, outbox);
                outbox.release();
            }
            if !more {
                break;
            }
            self.settle(now);
            now = monotonic();
        }
        self.settle(now);
        Ok(now)
    }

    fn send_copies(&mut self, plane: &mut Plane, outbox: &mut Outbox) -> io::Result<()> {
        self.send(plane, outbox);
        outbox.release();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.queues.kick();
        self.sockets.flush()
    }

    fn lanes(&self) -> Vec<LaneReport> {
        self.queues.report(&self.lanes)
    }

    fn close(mut self) -> io::Result<()> {
        let begun = monotonic();
        while self.queues.sending > 0 && monotonic().since(begun) < LAST {
            self.queues.kick();
            self.queues.take_back(&mut self.memory, &mut self.free);
            std::thread::yield_now();
        }
        let lent = self.memory.lent(Way::Receiving) + self.memory.lent(Way::Sending);
        let lost = self.memory.count() - lent - self.free.len();
        // The kernel has no frame any more without its sockets.
        drop(self.queues);
        self.shared.stats.buffers_out.set(lost as u64);
        self.sockets.close()
    }
}
