//! The two places where a batch meets SRTP: packets are opened before anything is learnt from them, and
//! sealed after everything is decided about them.

use patchcord_contract::{Endpoint, Reason, Time};
use smallvec::SmallVec;

use crate::egress::Place;
use crate::flow::{Event, PortId, Side};
use crate::outbox::Outbox;
use crate::packet::{Packet, Rx};
use crate::plane::BATCH;
use crate::srtp::{
    self, Assigned, Contexts, Identity, Opening, Protocol, Receiver, Sealing, Sender, Tier,
};
use crate::table::{Guard, Route, Table};

/// Copies of packets of one batch that can wait to be sealed.
const COPIES: usize = 32;
/// Bytes of such a copy, its tag included.
pub(crate) const COPY: usize = 2304;

/// What a worker needs for SRTP beside the keys.
#[derive(Debug)]
pub(crate) struct Secure {
    tier: Tier,
    /// What became of the packets of this batch that were opened, by their place in it.
    opened: Box<[Option<Opened>; BATCH]>,
    /// What waits to be sealed, in the order in which it leaves.
    departing: Vec<Departing>,
    /// The bytes of what leaves through several sinks; made when the first key comes.
    copies: Vec<[u8; COPY]>,
    /// How many of them wait.
    waiting: usize,
}

/// A packet that was opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    /// Its length as it arrived.
    pub(crate) len: usize,
    /// Which packet it is under its key.
    pub(crate) identity: Identity,
    /// Whether it was verified and left as it is, because it leaves under the same key.
    pub(crate) is_kept: bool,
}

/// A packet that waits to be sealed.
#[derive(Debug)]
struct Departing {
    bytes: Bytes,
    len: usize,
    protocol: Protocol,
    assigned: Assigned,
    via: PortId,
    to: Endpoint,
}

#[derive(Clone, Copy, Debug)]
enum Bytes {
    /// Those of the packet at this place of the batch.
    Own(usize),
    /// A copy; the copies wait in order.
    Copy,
}

/// A way out that leads through a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit {
    pub(crate) via: PortId,
    pub(crate) to: Endpoint,
    pub(crate) protocol: Protocol,
    pub(crate) assigned: Assigned,
}

impl Secure {
    pub(crate) fn new(tier: Tier) -> Self {
        Self {
            tier,
            opened: Box::new([None; BATCH]),
            departing: Vec::new(),
            copies: Vec::new(),
            waiting: 0,
        }
    }

    /// Makes room for a batch, so that the packet path never has to.
    pub(crate) fn prepare(&mut self) {
        self.departing.reserve(BATCH + COPIES);
        self.copies.resize(COPIES, [0; COPY]);
    }

    /// The packet at that place, if it was opened.
    pub(crate) fn opened(&self, place: Place) -> Option<Opened> {
        self.opened[place.at].filter(|_| place.is_opened)
    }

    /// Whether the packet at that place leaves as it came.
    pub(crate) fn keeps(&self, place: Place) -> bool {
        self.opened(place).is_some_and(|opened| opened.is_kept)
    }

    /// How long the packet at that place of the chunk was as it arrived, if it was opened.
    pub(crate) fn arrived(&self, at: usize) -> Option<usize> {
        self.opened[at].map(|opened| opened.len)
    }

    /// Opens the packets that `wanted` names, and gives the verdict on each to `told`.
    pub(crate) fn open<O: Outbox>(
        &mut self,
        now: Time,
        table: &mut Table,
        chunk: &mut [Rx<'_>],
        wanted: impl Fn(usize) -> Option<Protocol>,
        out: &mut O,
    ) -> SmallVec<[(usize, Result<(), Reason>); BATCH]> {
        let mut places: SmallVec<[(usize, usize, bool); BATCH]> = SmallVec::new();
        let mut jobs: SmallVec<[Opening<'_, '_>; BATCH]> = SmallVec::new();
        self.opened[..chunk.len()].fill(None);
        for (at, rx) in chunk.iter_mut().enumerate() {
            let Some(protocol) = wanted(at) else { continue };
            let is_kept = protocol == Protocol::Rtp && keeps(table, rx.port);
            places.push((at, rx.packet.len(), is_kept));
            let job = Opening::new(rx.port, protocol, &mut rx.packet);
            jobs.push(if is_kept { job.keeping() } else { job });
        }
        srtp::open(now, self.tier, table, &mut jobs);
        let mut told = SmallVec::new();
        for (job, (at, len, is_kept)) in jobs.iter().zip(places) {
            self.opened[at] = job.identity().ok().map(|identity| Opened {
                len,
                identity,
                is_kept,
            });
            told.push((at, job.outcome()));
            if job.outcome().is_err() {
                complain(now, table, job.port(), out);
            }
        }
        told
    }

    /// Puts the packet itself on the list of what leaves sealed.
    pub(crate) fn depart(&mut self, at: usize, len: usize, exit: Exit) {
        self.departing
            .push(Departing::new(Bytes::Own(at), len, exit));
    }

    /// Puts a copy on the list, or sends it at once if there is no more room for copies.
    pub(crate) fn depart_copy<O: Outbox>(
        &mut self,
        table: &Table,
        bytes: &[u8],
        exit: Exit,
        out: &mut O,
    ) {
        if let Some(copy) = self.copies.get_mut(self.waiting) {
            copy[..bytes.len()].copy_from_slice(bytes);
            let waiting = Departing::new(Bytes::Copy, bytes.len(), exit);
            self.departing.push(waiting);
            self.waiting += 1;
            return;
        }
        let mut copy = [0; COPY];
        copy[..bytes.len()].copy_from_slice(bytes);
        let mut packet = Packet::new(&mut copy, bytes.len());
        let Exit { protocol, via, .. } = exit;
        let job = Sealing::assigned(via, protocol, &mut packet, exit.assigned);
        srtp::seal(self.tier, table, &mut [job]);
        out.copy(packet.bytes(), table.exit(via), exit.to);
    }

    /// Seals RTCP of our own that leaves from `port`.
    pub(crate) fn seal_one<O: Outbox>(
        &self,
        now: Time,
        table: &mut Table,
        port: PortId,
        packet: &mut Packet<'_>,
        out: &mut O,
    ) -> Result<(), Reason> {
        let sender: Option<&mut Sender> = table.context_mut(port);
        let sender = sender.ok_or(Reason::NoKeys)?;
        let job = Sealing::new(now, sender, port, Protocol::Rtcp, packet);
        if job.is_err() && sender.expired() {
            out.event(Event::KeyExpired {
                port,
                side: Side::Send,
                at: now,
            });
        }
        srtp::seal(self.tier, table, &mut [job?]);
        Ok(())
    }

    /// Room that a copy of a packet has.
    pub(crate) const fn room(len: usize) -> usize {
        COPY.saturating_sub(len)
    }

    /// Whether anything waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.departing.is_empty()
    }

    /// Whether copies wait.
    pub(crate) const fn has_copies(&self) -> bool {
        self.waiting > 0
    }

    /// Whether `more` copies would find no room.
    pub(crate) const fn is_crowded(&self, more: usize) -> bool {
        self.waiting + more > COPIES
    }

    /// Seals what waits and lets it go, in order. `first` is the chunk's place in the batch.
    pub(crate) fn flush<O: Outbox>(
        &mut self,
        table: &Table,
        first: usize,
        chunk: &mut [Rx<'_>],
        out: &mut O,
    ) {
        let mut copies = self.copies.iter_mut();
        let mut own = chunk.iter_mut().enumerate();
        let mut packets: SmallVec<[Packet<'_>; BATCH + COPIES]> = SmallVec::new();
        for departing in &self.departing {
            let packet = match departing.bytes {
                Bytes::Own(at) => own
                    .find(|(place, _)| *place == at)
                    .map(|(_, rx)| rx.packet.reborrow()),
                Bytes::Copy => copies.next().map(|copy| Packet::new(copy, departing.len)),
            };
            packets.push(packet.expect("each waits once, in order of arrival"));
        }
        let mut jobs: SmallVec<[Sealing<'_, '_>; BATCH + COPIES]> = packets
            .iter_mut()
            .zip(&self.departing)
            .map(|(packet, d)| Sealing::assigned(d.via, d.protocol, packet, d.assigned))
            .collect();
        srtp::seal(self.tier, table, &mut jobs);
        for (job, departing) in jobs.iter().zip(self.departing.drain(..)) {
            let (bytes, exit) = (job.packet(), table.exit(departing.via));
            match departing.bytes {
                Bytes::Own(at) => out.forward(first + at, bytes.len(), exit, departing.to),
                Bytes::Copy => out.copy(bytes, exit, departing.to),
            }
        }
        self.waiting = 0;
    }
}

impl Departing {
    const fn new(bytes: Bytes, len: usize, exit: Exit) -> Self {
        Self {
            bytes,
            len,
            protocol: exit.protocol,
            assigned: exit.assigned,
            via: exit.via,
            to: exit.to,
        }
    }
}

impl Contexts<Receiver> for Table {
    fn context(&self, port: PortId) -> Option<&Receiver> {
        self.get(port)?.cold.receiver.as_deref()
    }

    fn context_mut(&mut self, port: PortId) -> Option<&mut Receiver> {
        self.get_mut(port)?.cold.receiver.as_deref_mut()
    }
}

impl Contexts<Sender> for Table {
    fn context(&self, port: PortId) -> Option<&Sender> {
        self.get(port)?.cold.sender.as_deref()
    }

    fn context_mut(&mut self, port: PortId) -> Option<&mut Sender> {
        self.get_mut(port)?.cold.sender.as_deref_mut()
    }
}

/// Whether RTP that arrives at `port` leaves as it came: through one sink, under the same key. Its tag
/// is verified all the same.
fn keeps(table: &Table, port: PortId) -> bool {
    let Some(flow) = table.get(port) else {
        return false;
    };
    match flow.rtp {
        // What is counted has to be read.
        _ if flow.terminates => false,
        Route::One(sink) => flow
            .cold
            .receiver
            .as_ref()
            .is_some_and(|r| !r.keys().suite().is_aead() && is_same(table, r, sink.via)),
        Route::Nowhere | Route::Fan => false,
    }
}

/// Whether what leaves from `via` leaves under the key of `receiver`.
pub(crate) fn is_same(table: &Table, receiver: &Receiver, via: PortId) -> bool {
    let far = table.get(via).filter(|far| far.peer.guard == Guard::Srtp);
    far.and_then(|far| far.cold.sender.as_ref())
        .is_some_and(|sender| *sender.keys() == *receiver.keys())
}

/// Tells control what is wrong with the keys at `port`, if there is something new to tell.
#[cold]
fn complain<O: Outbox>(now: Time, table: &mut Table, port: PortId, out: &mut O) {
    let receiver: Option<&mut Receiver> = table.context_mut(port);
    let Some(receiver) = receiver else { return };
    if let Some(cause) = receiver.doubt() {
        out.event(Event::Unauthentic {
            port,
            cause,
            at: now,
        });
    }
    if receiver.expired() {
        out.event(Event::KeyExpired {
            port,
            side: Side::Receive,
            at: now,
        });
    }
}
