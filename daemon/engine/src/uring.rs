//! The io_uring backend: one ring a worker.
//!
//! Each port's own socket has a multishot `recvmsg` armed, each connected twin a multishot `recv`; both
//! fill buffers of one pool. Sends read those buffers in place and are carried out while they are
//! submitted, together with the next wait; then the buffers go back. A receive that ends (no buffer left,
//! an ICMP error, an empty datagram) is armed again in its turn, a bounded number at a time, so that after
//! an overload every socket is served again. The invariants of the unsafe code are in `ring` and `pool`.

mod files;
mod mark;
mod pool;
mod ring;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use io_uring::cqueue;
use patchcord_contract::{Endpoint, Time};
use patchcord_media::flow::PortId;
use patchcord_media::{Packet, Plane, Rx};
use socket2::{SockRef, Socket};

use crate::address::{Family, decode};
use crate::backend::{BATCH, Backend, DATAGRAM, DRAIN_TRIES, reason_of, recycle, unsent};
use crate::clock::monotonic;
use crate::limits::{self, Room, Share};
use crate::outbox::{Outbox, What};
use crate::socket::{self, Place, set_tos};
use crate::twin::{STRAYS, Stray};
use crate::worker::{Shared, WorkerConfig};

use files::{File, Files};
use mark::{Kind, Mark};
use pool::{HEADER, Held, Pool};
use ring::Ring;

/// Receives armed again in one turn.
const REARMS: usize = 64;

/// How long the kernel may take to let go of everything at the end.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(3);

/// The backend's state.
pub(crate) struct Uring {
    // The ring is closed before the pool that it points into is unmapped: fields drop in order.
    ring: Ring,
    pool: Pool,
    files: Files,
    slots: Vec<Option<Slot>>,
    completions: Vec<cqueue::Entry>,
    received: Vec<Received>,
    /// Between batches empty; keeps its room.
    batch: Vec<Rx<'static>>,
    /// Buffers that queued sends may point at, or that nobody wants.
    lent: Vec<Held>,
    /// Receives that ended.
    ended: VecDeque<Mark>,
    /// Twins that are closed, as long as packets of theirs may come in.
    leaving: Vec<Leaving>,
    /// Ports whose twin waits for the own socket to be empty.
    draining: Vec<PortId>,
    caught_up: Vec<PortId>,
    refused: Vec<PortId>,
    /// Sends that failed, not yet counted.
    failed: Vec<(PortId, i32)>,
    /// The kernel found no buffer in this turn.
    exhausted: bool,
    /// Receives that the kernel has and will complete.
    armed: usize,
    generation: u32,
    worker: u8,
    /// Where descriptors are kept beside the table: this worker's share of them.
    share: Option<Share>,
    shared: Arc<Shared>,
}

/// A port.
struct Slot {
    port: PortId,
    own: File,
    generation: u32,
    family: Family,
    local: Endpoint,
    tos: u8,
    twin: Option<Twin>,
}

/// A port's connected twin.
struct Twin {
    file: File,
    peer: Endpoint,
    generation: u32,
    tries: u8,
}

/// A twin that was closed while its peer goes on sending.
struct Leaving {
    port: PortId,
    /// The generation of the port's own socket.
    own: u32,
    generation: u32,
    peer: Endpoint,
    /// Requests for late packets that have not completed.
    asked: usize,
}

/// A packet of the batch at hand.
struct Received {
    /// None if the datagram was empty and took no buffer.
    held: Option<Held>,
    port: PortId,
    source: Endpoint,
    start: usize,
    len: usize,
    truncated: bool,
}

impl Uring {
    /// Opens the backend; the calling thread is the only one that may use it.
    pub(crate) fn open(config: &WorkerConfig, shared: &Arc<Shared>) -> io::Result<Self> {
        let pool = Pool::new(config.buffers)?;
        let most = limits::table(limits::raise_descriptors()?);
        let table = config
            .file_table
            .map_or(most, |wanted| wanted.clamp(1, most));
        let mut ring = Ring::open(table, &pool)?;
        let keep = !can_set_options(&mut ring)?;
        let share = keep.then(Share::new).transpose()?;
        ring.watch(shared.wake.as_raw_fd(), Mark::bare(Kind::Wake))?;
        ring.tick(Mark::bare(Kind::Timer))?;
        shared.stats.buffers.set(u64::from(pool.entries()));
        Ok(Self {
            ring,
            pool,
            files: Files::new(table, keep),
            slots: Vec::new(),
            completions: Vec::with_capacity(BATCH),
            received: Vec::with_capacity(BATCH),
            batch: Vec::with_capacity(BATCH),
            lent: Vec::with_capacity(8 * BATCH),
            ended: VecDeque::new(),
            leaving: Vec::new(),
            draining: Vec::new(),
            caught_up: Vec::new(),
            refused: Vec::new(),
            failed: Vec::new(),
            exhausted: false,
            armed: 0,
            generation: 0,
            worker: config.id,
            share,
            shared: Arc::clone(shared),
        })
    }

    fn slot(&self, port: PortId) -> Option<&Slot> {
        self.slots.get(port.slot())?.as_ref()
    }

    fn next_generation(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.generation
    }

    /// Submits what is queued and gives back the buffers that it has read.
    fn submit(&mut self) -> io::Result<()> {
        self.ring.enter()?;
        self.give_back();
        Ok(())
    }

    /// Gives back the buffers that nothing queued points at.
    fn give_back(&mut self) {
        if !self.lent.is_empty() {
            self.lent.drain(..).for_each(|held| self.pool.give(held));
            self.pool.publish();
        }
    }

    /// Arms the receive with `mark`, if its socket is still there.
    fn arm(&mut self, mark: Mark) -> io::Result<()> {
        let Some(slot) = self
            .slots
            .get(mark.slot() as usize)
            .and_then(Option::as_ref)
        else {
            return Ok(());
        };
        match (mark.kind(), &slot.twin) {
            (Kind::Own, _) if slot.generation == mark.generation() => {
                self.ring.receive_any(&slot.own, slot.family, mark)?;
            }
            (Kind::Twin, Some(twin)) if twin.generation == mark.generation() => {
                self.ring.receive_peer(&twin.file, mark)?;
            }
            _ => return Ok(()),
        }
        self.armed += 1;
        Ok(())
    }

    /// Arms a few of the receives that ended, while there are buffers for them.
    fn rearm(&mut self) -> io::Result<()> {
        for _ in 0..REARMS {
            if self.pool.out() * 2 > usize::from(self.pool.entries()) {
                break;
            }
            let Some(mark) = self.ended.pop_front() else {
                break;
            };
            self.shared.stats.rearmed.add(1);
            self.arm(mark)?;
        }
        Ok(())
    }

    /// Asks whether own sockets are empty whose twins wait for it.
    fn peek(&mut self) -> io::Result<()> {
        while let Some(port) = self.draining.pop() {
            let slot = self.slots.get_mut(port.slot()).and_then(Option::as_mut);
            let Some(Slot {
                own,
                twin: Some(twin),
                ..
            }) = slot
            else {
                continue;
            };
            twin.tries += 1;
            self.ring
                .peek(own, Mark::new(Kind::Peek, port, twin.generation))?;
        }
        Ok(())
    }

    /// Takes completions until a batch is full; says whether there may be more.
    fn collect(&mut self) -> io::Result<bool> {
        let mut completions = mem::take(&mut self.completions);
        completions.clear();
        let more = self.ring.completions(BATCH, &mut completions);
        for completion in &completions {
            let mark = Mark(completion.user_data());
            match mark.kind() {
                Kind::Own | Kind::Twin => self.arrived(mark, completion),
                Kind::Late => self.late(mark, completion),
                Kind::SendOwn | Kind::SendTwin => self.not_sent(mark, completion.result()),
                Kind::Peek => self.peeked(mark, completion.result()),
                Kind::Option if completion.result() < 0 => self.shared.stats.socket_errors.add(1),
                Kind::Option | Kind::Cancel => {}
                Kind::Timer => {
                    self.pool.narrow();
                    self.ring.tick(mark)?;
                }
                Kind::Wake => {
                    self.shared.wake.clear();
                    if !cqueue::more(completion.flags()) {
                        self.ring.watch(self.shared.wake.as_raw_fd(), mark)?;
                    }
                }
            }
        }
        self.completions = completions;
        Ok(more)
    }

    /// A receive completed: with a packet, or by ending.
    #[inline]
    fn arrived(&mut self, mark: Mark, completion: &cqueue::Entry) {
        let (result, flags) = (completion.result(), completion.flags());
        let held = cqueue::buffer_select(flags).map(|id| self.pool.take(id));
        let slot = self
            .slots
            .get(mark.slot() as usize)
            .and_then(Option::as_ref);
        let peer = match (slot, mark.kind()) {
            (Some(slot), Kind::Own) if slot.generation == mark.generation() => Some(None),
            (
                Some(Slot {
                    twin: Some(twin), ..
                }),
                Kind::Twin,
            ) if twin.generation == mark.generation() => Some(Some(twin.peer)),
            _ => None,
        };
        if !cqueue::more(flags) {
            self.armed -= 1;
            if peer.is_some() {
                self.ended.push_back(mark);
            }
        }
        let (Some(slot), Some(peer)) = (slot, peer) else {
            return self.left_behind(mark, held, result);
        };
        let Ok(len) = usize::try_from(result) else {
            self.lent.extend(held);
            return self.ended(slot.port, mark.kind(), -result);
        };
        let received = match (peer, held) {
            (Some(peer), held) => Received::connected(slot.port, peer, held, len),
            (None, Some(held)) => Received::parsed(&self.pool, slot.port, slot.family, held, len),
            (None, None) => return,
        };
        self.received.push(received);
    }

    /// A request for a packet of a twin that is closed completed.
    #[cold]
    fn late(&mut self, mark: Mark, completion: &cqueue::Entry) {
        let held = cqueue::buffer_select(completion.flags()).map(|id| self.pool.take(id));
        self.left_behind(mark, held, completion.result());
        let of = |leaving: &Leaving| leaving.is_of(mark);
        if let Some(at) = self.leaving.iter().position(of) {
            self.leaving[at].asked -= 1;
            if self.leaving[at].asked == 0 {
                self.leaving.swap_remove(at);
            }
        }
    }

    /// A packet came in for a socket that is closed: it counts if that was a twin whose port is still there.
    #[cold]
    fn left_behind(&mut self, mark: Mark, held: Option<Held>, result: i32) {
        let leaving = self.leaving.iter().find(|leaving| {
            let slot = self.slot(leaving.port);
            leaving.is_of(mark) && slot.is_some_and(|slot| slot.generation == leaving.own)
        });
        match (leaving, usize::try_from(result)) {
            (Some(leaving), Ok(len)) => {
                let received = Received::connected(leaving.port, leaving.peer, held, len);
                self.received.push(received);
            }
            (_, outcome) => {
                self.shared.stats.stale.add(u64::from(outcome.is_ok()));
                self.lent.extend(held);
            }
        }
    }

    /// A receive ended with an error.
    #[cold]
    fn ended(&mut self, port: PortId, kind: Kind, errno: i32) {
        match errno {
            libc::ENOBUFS => {
                self.exhausted = true;
                self.shared.stats.exhausted.add(1);
            }
            libc::ECANCELED => {}
            _ => {
                self.shared.stats.socket_errors.add(1);
                if kind == Kind::Twin {
                    self.refused.push(port);
                }
            }
        }
    }

    /// A send failed.
    #[cold]
    fn not_sent(&mut self, mark: Mark, result: i32) {
        let Some(port) = PortId::new(self.worker, mark.slot()) else {
            return;
        };
        if mark.kind() == Kind::SendTwin && -result == libc::ECONNREFUSED {
            self.refused.push(port);
        }
        if result < 0 {
            self.failed.push((port, -result));
        }
    }

    /// The port's own socket is empty, or not yet.
    fn peeked(&mut self, mark: Mark, result: i32) {
        let slot = self
            .slots
            .get(mark.slot() as usize)
            .and_then(Option::as_ref);
        let Some(Slot {
            port,
            twin: Some(twin),
            ..
        }) = slot
        else {
            return;
        };
        if twin.generation != mark.generation() {
            return;
        }
        let empty = result == -libc::EAGAIN || twin.tries >= DRAIN_TRIES;
        if empty {
            &mut self.caught_up
        } else {
            &mut self.draining
        }
        .push(*port);
    }

    /// Counts failed sends.
    fn report(&mut self, plane: &mut Plane) {
        for (via, errno) in self.failed.drain(..) {
            unsent(&self.shared.stats, plane, via, reason_of(errno));
        }
    }

    /// Hands the batch to the plane.
    fn judge(&mut self, now: Time, plane: &mut Plane, outbox: &mut Outbox) {
        let mut batch = recycle(mem::take(&mut self.batch));
        batch.extend(self.received.iter_mut().map(|received| {
            let bytes = match &mut received.held {
                Some(held) => &mut self.pool.bytes_mut(held)[received.start..],
                None => &mut [],
            };
            Rx {
                port: received.port,
                source: Some(received.source),
                packet: Packet::new(bytes, received.len),
                truncated: received.truncated,
            }
        }));
        plane.process(now, &mut batch, outbox);
        self.batch = recycle(batch);
    }

    /// Queues what the outbox holds.
    fn queue(&mut self, plane: &mut Plane, outbox: &mut Outbox) -> io::Result<()> {
        for send in &outbox.sends {
            let bytes = match &send.what {
                What::Received { index, len } => {
                    let received = &self.received[*index];
                    match &received.held {
                        Some(held) => &self.pool.bytes(held)[received.start..][..*len],
                        None => &[],
                    }
                }
                What::Copy(range) => outbox.copied(range),
            };
            let Some(slot) = self.slots.get(send.via.slot()).and_then(Option::as_ref) else {
                unsent(
                    &self.shared.stats,
                    plane,
                    send.via,
                    reason_of(libc::ENOTCONN),
                );
                continue;
            };
            let (file, to, kind) = match &slot.twin {
                Some(twin) if twin.peer == send.to => (&twin.file, None, Kind::SendTwin),
                _ => (&slot.own, Some((slot.family, send.to)), Kind::SendOwn),
            };
            let mark = Mark::new(kind, send.via, 0);
            // SAFETY: the bytes are of a buffer whose `Held` goes from `received` to `lent`, which only
            // `submit` empties, after it has entered; or of a copy, which the loop keeps until `wait`
            // or `relay` have submitted. Neither is written in between.
            let fits = unsafe { self.ring.send(file, bytes.as_ptr(), bytes.len(), to, mark) }?;
            if !fits {
                unsent(
                    &self.shared.stats,
                    plane,
                    send.via,
                    reason_of(libc::EAFNOSUPPORT),
                );
            }
        }
        self.shared.stats.sent.add(outbox.sends.len() as u64);
        outbox.sends.clear();
        outbox.settle(plane);
        Ok(())
    }

    /// Ends a receive and closes its socket.
    fn dismiss(&mut self, file: File, mark: Mark) -> io::Result<()> {
        self.ring.cancel(mark)?;
        self.submit()?;
        self.files.release(&self.ring, file)
    }

    /// Ends every receive and waits until the kernel has done so. One by one: to end all with one request
    /// makes the kernel look at each of them for each of them.
    fn let_go(&mut self) -> io::Result<()> {
        for slot in mem::take(&mut self.slots).into_iter().flatten() {
            self.ring
                .cancel(Mark::new(Kind::Own, slot.port, slot.generation))?;
            if let Some(twin) = &slot.twin {
                self.ring
                    .cancel(Mark::new(Kind::Twin, slot.port, twin.generation))?;
            }
            if self.ring.is_half_full() {
                self.ring.enter_for_events(false)?;
                self.abandon()?;
            }
        }
        let deadline = monotonic() + FAREWELL;
        while self.armed > 0 && monotonic() < deadline {
            self.ring.linger()?;
            self.abandon()?;
        }
        self.submit()
    }

    /// Takes what has completed and lets it go.
    fn abandon(&mut self) -> io::Result<()> {
        while self.collect()? {}
        let abandoned = self.received.drain(..).filter_map(|received| received.held);
        self.lent.extend(abandoned);
        Ok(())
    }
}

impl Leaving {
    fn is_of(&self, mark: Mark) -> bool {
        let slot = self.port.slot() as u32;
        matches!(mark.kind(), Kind::Twin | Kind::Late)
            && (slot, self.generation) == (mark.slot(), mark.generation())
    }
}

impl Received {
    /// A packet of a connected socket's peer.
    #[inline]
    fn connected(port: PortId, source: Endpoint, held: Option<Held>, len: usize) -> Self {
        let len = if held.is_some() { len } else { 0 };
        Self {
            held,
            port,
            source,
            start: 0,
            len: len.min(DATAGRAM),
            truncated: len > DATAGRAM,
        }
    }

    /// A packet behind a header that says who sent it (`io_uring_recvmsg_out`).
    #[inline]
    fn parsed(pool: &Pool, port: PortId, family: Family, held: Held, len: usize) -> Self {
        let start = HEADER + family.addr_len();
        let bytes = pool.bytes(&held);
        let (header, rest) = bytes.split_at(HEADER);
        let flags = header
            .last_chunk::<4>()
            .map_or(0, |flags| i32::from_ne_bytes(*flags));
        let named = header
            .first_chunk::<4>()
            .map_or(0, |len| u32::from_ne_bytes(*len) as usize);
        let source = decode(&rest[..named.min(family.addr_len())]).unwrap_or(Endpoint::NONE);
        let len = len.saturating_sub(start);
        Self {
            held: Some(held),
            port,
            source,
            start,
            len: len.min(DATAGRAM),
            truncated: len > DATAGRAM || flags & libc::MSG_TRUNC != 0,
        }
    }
}

impl Backend for Uring {
    fn attach(&mut self, port: PortId, place: Place) -> io::Result<()> {
        let local = place.local_addr();
        let generation = self.next_generation();
        let slot = Slot {
            port,
            own: self.files.adopt(&self.ring, place.into_socket()?)?,
            generation,
            family: Family::of(local),
            local: local.into(),
            tos: 0,
            twin: None,
        };
        if self.slots.len() <= port.slot() {
            self.slots.resize_with(port.slot() + 1, || None);
        }
        self.slots[port.slot()] = Some(slot);
        self.share.iter_mut().for_each(Share::take);
        self.arm(Mark::new(Kind::Own, port, generation))
    }

    fn detach(&mut self, port: PortId) -> io::Result<()> {
        self.unpair(port, false)?;
        match self.slots.get_mut(port.slot()).and_then(Option::take) {
            Some(slot) => {
                self.share.iter_mut().for_each(Share::give);
                self.dismiss(slot.own, Mark::new(Kind::Own, port, slot.generation))
            }
            None => Ok(()),
        }
    }

    fn is_attached(&self, port: PortId) -> bool {
        self.slot(port).is_some()
    }

    fn local_addr(&self, port: PortId) -> Option<SocketAddr> {
        let slot = self.slot(port)?;
        slot.family.socket_addr(slot.local)
    }

    fn set_tos(&mut self, port: PortId, tos: u8) -> io::Result<()> {
        let slot = self.slots.get_mut(port.slot()).and_then(Option::as_mut);
        let Some(slot) = slot.filter(|slot| slot.tos != tos) else {
            return Ok(());
        };
        slot.tos = tos;
        for file in [Some(&slot.own), slot.twin.as_ref().map(|twin| &twin.file)]
            .into_iter()
            .flatten()
        {
            match file.kept() {
                Some(fd) => {
                    let set = set_tos(&SockRef::from(fd), slot.family, tos);
                    self.shared.stats.socket_errors.add(u64::from(set.is_err()));
                }
                None => self
                    .ring
                    .set_tos(file, slot.family, tos, Mark::bare(Kind::Option))?,
            }
        }
        Ok(())
    }

    fn room(&self, coming: usize) -> Room {
        match &self.share {
            Some(share) if self.files.room(coming) == Room::Plenty => share.room(),
            _ => self.files.room(coming),
        }
    }

    fn pair(&mut self, port: PortId, twin: Socket, peer: Endpoint) -> io::Result<()> {
        let generation = self.next_generation();
        let file = self.files.adopt(&self.ring, twin)?;
        if let Some(slot) = self.slots.get_mut(port.slot()).and_then(Option::as_mut) {
            slot.twin = Some(Twin {
                file,
                peer,
                generation,
                tries: 0,
            });
            self.draining.push(port);
            self.share.iter_mut().for_each(Share::take);
        }
        Ok(())
    }

    fn unpair(&mut self, port: PortId, keep: bool) -> io::Result<Vec<Stray>> {
        let slot = self.slots.get_mut(port.slot()).and_then(Option::as_mut);
        let Some(slot) = slot else {
            return Ok(Vec::new());
        };
        let Some(twin) = slot.twin.take() else {
            return Ok(Vec::new());
        };
        self.share.iter_mut().for_each(Share::give);
        let mark = Mark::new(Kind::Twin, port, twin.generation);
        if !keep {
            self.dismiss(twin.file, mark)?;
            return Ok(Vec::new());
        }
        // Connected to its own address, it hears its peer no more: those packets are the own socket's now.
        let (local, done) = (slot.local, Mark::bare(Kind::Option));
        self.ring.connect(&twin.file, slot.family, local, done)?;
        self.ring.cancel(mark)?;
        self.leaving.push(Leaving {
            port,
            own: slot.generation,
            generation: twin.generation,
            peer: twin.peer,
            asked: STRAYS,
        });
        for _ in 0..STRAYS {
            let mark = Mark::new(Kind::Late, port, twin.generation);
            self.ring.receive_late(&twin.file, mark)?;
        }
        self.submit()?;
        self.files.release(&self.ring, twin.file)?;
        Ok(Vec::new())
    }

    fn paired(&self, port: PortId) -> Option<Endpoint> {
        Some(self.slot(port)?.twin.as_ref()?.peer)
    }

    fn caught_up(&mut self) -> &mut Vec<PortId> {
        &mut self.caught_up
    }

    fn listen(&mut self, port: PortId) -> io::Result<()> {
        let twin = self.slot(port).and_then(|slot| slot.twin.as_ref());
        let Some(twin) = twin else {
            return Ok(());
        };
        self.arm(Mark::new(Kind::Twin, port, twin.generation))
    }

    fn refused(&mut self) -> &mut Vec<PortId> {
        &mut self.refused
    }

    fn wait(&mut self, sleep: bool) -> io::Result<()> {
        if mem::take(&mut self.exhausted) {
            self.pool.widen();
        }
        self.rearm()?;
        self.peek()?;
        self.ring.enter_for_events(sleep && self.ended.is_empty())?;
        self.give_back();
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.submit()
    }

    fn relay(&mut self, plane: &mut Plane, outbox: &mut Outbox) -> io::Result<Time> {
        let mut now = monotonic();
        loop {
            let more = self.collect()?;
            self.report(plane);
            if !self.received.is_empty() {
                self.judge(now, plane, outbox);
                self.queue(plane, outbox)?;
                self.lent
                    .extend(self.received.drain(..).filter_map(|received| received.held));
            }
            if outbox.is_crowded() {
                self.submit()?;
                outbox.release();
            }
            if !more {
                break;
            }
            now = monotonic();
        }
        self.shared.stats.buffers_out.set(self.pool.out() as u64);
        Ok(now)
    }

    fn send_copies(&mut self, plane: &mut Plane, outbox: &mut Outbox) -> io::Result<()> {
        self.queue(plane, outbox)
    }

    fn close(mut self) -> io::Result<()> {
        self.let_go()?;
        self.ring.unregister_files()?;
        self.shared.stats.buffers_out.set(self.pool.out() as u64);
        Ok(())
    }
}

/// Whether options can be set on a socket in the file table (Linux 6.7).
fn can_set_options(ring: &mut Ring) -> io::Result<bool> {
    let local = SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
    let mut files = Files::new(1, false);
    let file = files.adopt(ring, socket::open(local)?)?;
    ring.set_tos(&file, Family::V4, 0, Mark::bare(Kind::Option))?;
    ring.enter_for_events(true)?;
    let mut completions = Vec::new();
    ring.completions(1, &mut completions);
    files.release(ring, file)?;
    Ok(completions
        .first()
        .is_some_and(|completion| completion.result() == 0))
}
