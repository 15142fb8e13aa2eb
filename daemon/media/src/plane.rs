//! A worker's flows and what they do with a batch of packets.
//!
//! 1. **Inspect**: find the flow, classify (RFC 7983, RFC 5761), check headers. Changes nothing.
//! 2. **Open** what is SRTP, for the whole batch at a time. Nothing is learnt or counted before it,
//!    everything after it sees plain packets.
//! 3. **Carry**, in order of arrival: loop check, admission by source, counters and quality, sinks.
//! 4. **Seal** what leaves as SRTP, for the whole batch at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use patchcord_contract::{Class, Endpoint, Reason, Time, classify};
use patchcord_wire::rtcp::Compound;
use patchcord_wire::rtp::Rtp;
use smallvec::SmallVec;

use crate::egress::{self, Content, Departure, Egress, Lane, Place};
use crate::flow::{Accepts, Command, Event, PortId, PuntClass, Security, Stranger};
use crate::loops::Turn;
use crate::nearer;
use crate::offload::{self, Tallies};
use crate::outbox::Outbox;
use crate::packet::Rx;
use crate::peer::Evidence;
use crate::punt::{self, Buckets, Standing};
use crate::quality::{self, Arrival, Header};
use crate::reporting::{self, Queue};
use crate::reports;
use crate::secure::Secure;
use crate::srtp::{Protocol, Tier};
use crate::table::{Cold, Flow, Gate, Guard, Table};
use crate::totals::{Proto, WorkerStats};
use crate::verdict::Verdict;

/// Packets that pass the stages together; a longer batch is cut.
pub const BATCH: usize = 64;

/// The flows of one worker. Safe, deterministic, and driven from outside: time is an argument.
#[derive(Debug)]
pub struct Plane {
    worker: u8,
    pub(crate) table: Table,
    pub(crate) totals: Arc<WorkerStats>,
    /// What the lower tier counts, where there is one.
    pub(crate) tallies: Option<Box<dyn Tallies>>,
    secure: Secure,
    /// Open learning windows in the order in which they close. Some may be of flows that are gone or
    /// have settled otherwise.
    windows: VecDeque<(Time, PortId)>,
    /// RTCP of our own, in the order in which it is due.
    reports: Queue,
    /// What may go up to control.
    punts: Buckets,
    /// Packets of the chunk that came in by a door: their places, and which doors.
    entered: Vec<(usize, PortId)>,
}

/// What inspection found a packet to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rtp(Header),
    Rtcp,
    Opaque,
    /// SRTP, not opened yet.
    SealedRtp,
    /// SRTCP, not opened yet.
    SealedRtcp,
    /// Control's.
    Handshake(PuntClass),
}

impl Kind {
    const fn proto(self) -> Proto {
        match self {
            Self::Rtp(_) | Self::SealedRtp => Proto::Rtp,
            Self::Rtcp | Self::SealedRtcp => Proto::Rtcp,
            Self::Opaque | Self::Handshake(_) => Proto::Opaque,
        }
    }
}

impl Plane {
    /// A plane without flows, for the worker's ports on `interfaces` configured interfaces.
    pub fn new(worker: u8, interfaces: usize) -> Self {
        Self::with_tier(worker, interfaces, Tier::best())
    }

    /// The same, with ciphers of `tier`.
    pub fn with_tier(worker: u8, interfaces: usize, tier: Tier) -> Self {
        let totals = Arc::new(WorkerStats::new(interfaces));
        Self {
            worker,
            table: Table::new(tier),
            totals,
            tallies: None,
            secure: Secure::new(tier),
            windows: VecDeque::new(),
            reports: Queue::default(),
            punts: Buckets::of_worker(),
            entered: Vec::new(),
        }
    }

    /// The worker's counters, to be read from any thread.
    pub fn stats(&self) -> Arc<WorkerStats> {
        Arc::clone(&self.totals)
    }

    /// Does what control says. A command for another worker's port is ignored.
    ///
    /// A Spec may take the peer of its port away, so an engine that connects sockets has to compare
    /// [`Self::peer`] afterwards.
    pub fn command(&mut self, now: Time, command: Command) {
        debug_assert_eq!(
            command.port().worker(),
            self.worker,
            "commands go to the port's worker"
        );
        if command.port().worker() != self.worker {
            return;
        }
        match command {
            Command::Set(spec) => {
                if matches!(spec.send, Security::Srtp(_)) {
                    self.secure.prepare();
                }
                if spec.doors.is_some() {
                    self.entered.reserve(BATCH);
                }
                let port = spec.port;
                self.table.set(spec);
                self.reports.enter(&mut self.table, now, port);
            }
            Command::Clear(port) => self.table.clear(port),
            Command::Send { .. } => {}
        }
        // A flow opens at most one window for each Spec, so the packet path never has to grow this.
        self.windows.reserve(self.table.len());
        self.totals.flows.set(self.table.len() as u64);
    }

    /// Decides about each packet of a batch: every one gets exactly one verdict.
    pub fn process<O: Outbox>(&mut self, now: Time, batch: &mut [Rx<'_>], out: &mut O) {
        self.totals.count_batch(batch.len());
        for (nth, chunk) in batch.chunks_mut(BATCH).enumerate() {
            self.process_chunk(now, nth * BATCH, chunk, out);
        }
        debug_assert_eq!(
            self.totals.received.packets.get(),
            self.totals.decided(),
            "one verdict for each packet"
        );
    }

    /// Where packets leaving from `port` go, once the flow there no longer learns: the endpoint that
    /// a socket may be connected to. A connected socket hears no strangers, so unless
    /// [`Self::stranger`] is [`Stranger::Drop`] an unconnected one has to stand beside it. Nowhere while
    /// they leave from another port.
    pub fn peer(&self, port: PortId) -> Option<Endpoint> {
        let flow = self.table.get(port)?;
        flow.peer
            .settled()
            .filter(|_| flow.cold.spec.leaves() == port)
    }

    /// Where packets leaving from `port` go at this moment, settled or not.
    pub fn destination(&self, port: PortId) -> Option<Endpoint> {
        self.table.get(port)?.peer.destination()
    }

    /// What a stranger's packet does at `port`.
    pub fn stranger(&self, port: PortId) -> Option<Stranger> {
        Some(self.table.get(port)?.peer.admission().stranger)
    }

    /// The TOS byte of what leaves from `port`.
    pub fn tos(&self, port: PortId) -> Option<u8> {
        Some(self.table.get(port)?.cold.spec.tos)
    }

    /// Ends learning windows that are over and sends reports that are due. To be called about every
    /// 100 ms; costs what it ends and sends.
    pub fn tick<O: Outbox>(&mut self, now: Time, out: &mut O) {
        while let Some((_, port)) = self.windows.front().copied().filter(|w| w.0 <= now) {
            self.windows.pop_front();
            let Some(flow) = self.table.get_mut(port) else {
                continue;
            };
            if flow.peer.settle(now) {
                self.totals.latches.add(1);
                announce(flow, port, now, out);
            }
        }
        self.reports.run(&mut self.table, &self.secure, now, out);
    }

    /// Counts a packet that [`Outbox`] was given and that did not leave from `via` after all,
    /// because of an egress reason ([`Reason::is_egress`]).
    pub fn unsent(&mut self, via: PortId, reason: Reason) {
        debug_assert!(reason.is_egress(), "{reason} is about packets received");
        let via = self.table.entered(via);
        let flow = self.table.get_mut(via);
        if let Some(flow) = &flow {
            flow.stats.drop_one(reason);
        }
        let interface = flow.map(|f| f.interface);
        self.totals.interface(interface).dropped[reason as usize].add(1);
    }

    fn process_chunk<O: Outbox>(
        &mut self,
        now: Time,
        first: usize,
        chunk: &mut [Rx<'_>],
        out: &mut O,
    ) {
        let mut kinds = SmallVec::<[Result<Kind, Reason>; BATCH]>::new();
        let mut has_sealed = false;
        if self.table.has_doors() {
            self.enter(chunk);
        }
        for rx in &*chunk {
            self.table.prefetch(rx.port);
        }
        for rx in &*chunk {
            let kind = self.inspect(rx);
            has_sealed |= matches!(kind, Ok(Kind::SealedRtp | Kind::SealedRtcp));
            kinds.push(kind);
        }
        if chunk.len() > 1 {
            nearer::prefetch(&self.table, chunk);
        }
        if has_sealed {
            self.open(now, chunk, &mut kinds, out);
        }
        for at in 0..chunk.len() {
            if self.secure.has_copies() {
                self.make_room(first, at, chunk, out);
            }
            let (kind, rx) = (kinds[at], &mut chunk[at]);
            let (port, mut len, mut is_opened) = (rx.port, rx.packet.len(), false);
            if has_sealed && let Some(arrived) = self.secure.arrived(at) {
                (len, is_opened) = (arrived, true);
            }
            let place = Place {
                first,
                at,
                len,
                is_opened,
            };
            let verdict = match kind {
                Ok(kind) => self.carry(now, place, kind, rx, out),
                Err(reason) => Verdict::of(reason),
            };
            self.count(port, len, kind, verdict);
        }
        if !self.secure.is_idle() {
            self.secure.flush(&self.table, first, chunk, out);
        }
    }

    /// What came in by a door, or at a port where others lodge, is its flow's.
    #[cold]
    fn enter(&mut self, chunk: &mut [Rx<'_>]) {
        self.entered.clear();
        for (at, rx) in chunk.iter_mut().enumerate() {
            let port = self.table.addressee(rx.port, rx);
            if port != rx.port {
                self.entered.push((at, rx.port));
                rx.port = port;
            }
        }
    }

    /// The port where the packet at `at` of the chunk arrived.
    fn arrived_at(&self, at: usize, port: PortId) -> PortId {
        let mut doors = self.entered.iter().filter(|_| self.table.has_doors());
        doors.find(|door| door.0 == at).map_or(port, |door| door.1)
    }

    /// Opens what is sealed, and looks at it as if it had come in the clear.
    #[cold]
    fn open<O: Outbox>(
        &mut self,
        now: Time,
        chunk: &mut [Rx<'_>],
        kinds: &mut [Result<Kind, Reason>],
        out: &mut O,
    ) {
        let wanted = |at: usize| match kinds[at] {
            Ok(Kind::SealedRtp) => Some(Protocol::Rtp),
            Ok(Kind::SealedRtcp) => Some(Protocol::Rtcp),
            _ => None,
        };
        let told = self.secure.open(now, &mut self.table, chunk, wanted, out);
        for (at, outcome) in told {
            let (kind, bytes) = (&mut kinds[at], chunk[at].packet.bytes());
            *kind = match (outcome, *kind) {
                (Ok(()), Ok(Kind::SealedRtp)) => rtp(bytes),
                (Ok(()), _) => rtcp(bytes, Guard::Plain),
                (Err(reason), _) => Err(reason),
            };
        }
    }

    /// Lets what waits go if the copies of the packet at `at` might find no room beside it.
    #[cold]
    fn make_room<O: Outbox>(&mut self, first: usize, at: usize, chunk: &mut [Rx<'_>], out: &mut O) {
        let sinks = |flow: &Flow| {
            let spec = &flow.cold.spec;
            spec.rtp.len() + spec.rtcp_sinks().count()
        };
        let more = self.table.get(chunk[at].port).map_or(0, sinks);
        if self.secure.is_crowded(more) {
            self.secure.flush(&self.table, first, chunk, out);
        }
    }

    /// What the packet is, if its port takes that.
    #[inline]
    fn inspect(&self, rx: &Rx<'_>) -> Result<Kind, Reason> {
        let flow = self.table.get(rx.port).ok_or(Reason::NoFlow)?;
        if rx.truncated {
            return Err(Reason::Truncated);
        }
        let bytes = rx.packet.bytes();
        if matches!(flow.receive, Guard::Pending | Guard::Srtp) {
            return secure(flow, bytes);
        }
        let class = classify(bytes);
        match (flow.accepts, class) {
            (_, Class::Stun | Class::Dtls) if flow.cold.punts.is_some() => handshake(flow, class),
            (_, Class::Empty) => Err(Reason::Empty),
            // ZRTP has RTP's place in the call and none of its headers (RFC 6189 §5).
            (Accepts::Opaque, _) | (Accepts::Rtp | Accepts::Muxed, Class::Zrtp) => Ok(Kind::Opaque),
            (Accepts::Rtp | Accepts::Muxed, Class::Rtp) => rtp(bytes),
            (_, Class::Rtcp) => rtcp(bytes, flow.receive),
            (_, Class::Stun | Class::Dtls) => handshake(flow, class),
            (_, Class::Short) => Err(Reason::Short),
            (Accepts::Rtcp, Class::Rtp | Class::Zrtp | Class::Other) => Err(Reason::NotRtcp),
            (Accepts::Rtp | Accepts::Muxed, Class::Other) => Err(Reason::NotRtp),
        }
    }

    #[inline]
    fn carry<O: Outbox>(
        &mut self,
        now: Time,
        place: Place,
        kind: Kind,
        rx: &mut Rx<'_>,
        out: &mut O,
    ) -> Verdict {
        if let Kind::Handshake(class) = kind {
            return self.punt(now, place.at, class, rx, out);
        }
        let Some(flow) = self.table.get_mut(rx.port) else {
            return Verdict::of(Reason::NoFlow);
        };
        if flow.is_lowered {
            offload::take_in(flow, &self.totals, self.tallies.as_deref());
        }
        let turn = flow.loops.check(now, rx.packet.bytes());
        if turn != Turn::Fresh {
            return looped(turn, rx.port, now, out);
        }
        let decision = flow
            .peer
            .admit(now, rx.source, evidence(flow.accepts, kind));
        if decision.is_news() {
            if let Some(until) = flow.peer.window().filter(|_| decision.opened) {
                self.windows.push_back((until, rx.port));
            }
            if decision.latched {
                self.totals.latches.add(1);
                announce(flow, rx.port, now, out);
            }
        }
        if !decision.welcome && !flow.is_validated(rx.source) {
            return Verdict::of(Reason::WrongSource);
        }
        if flow.gate != Gate::Open {
            return self.carry_gated(now, place, kind, rx, out);
        }
        account(flow, now, kind, place.len);
        let is_kept = place.is_opened && self.secure.keeps(place);
        let guard = if is_kept {
            Guard::EndToEnd
        } else {
            flow.receive
        };
        let terminates = flow.terminates;
        if kind == Kind::Rtcp && guard != Guard::EndToEnd {
            reports::read(&mut self.table, now, rx.port, rx.packet.bytes());
            if terminates {
                return Verdict::of(Reason::RtcpTerminated);
            }
        }
        let content = Content {
            proto: kind.proto(),
            guard,
        };
        if terminates && let Kind::Rtp(header) = kind {
            return self.depart_reported(now, place, content, header, rx, out);
        }
        if guard != Guard::Srtp
            && let Some((via, to)) = egress::direct(&self.table, rx.port, content)
        {
            egress::count(&self.table, via, content.proto, rx.packet.len());
            out.forward(place.first + place.at, rx.packet.len(), via, to);
            return Verdict::Forward;
        }
        self.depart(now, place, content, rx, out)
    }

    /// Sends a packet on its way that has more than one, or one that is not plain.
    #[inline(never)]
    fn depart<O: Outbox>(
        &mut self,
        now: Time,
        place: Place,
        content: Content,
        rx: &mut Rx<'_>,
        out: &mut O,
    ) -> Verdict {
        let departure = Departure {
            place,
            content,
            packet: &mut rx.packet,
        };
        self.egress(now, out).emit(rx.port, departure).into()
    }

    /// The last stage.
    fn egress<'a, O: Outbox>(&'a mut self, now: Time, out: &'a mut O) -> Egress<'a, O> {
        Egress {
            now,
            table: &mut self.table,
            secure: &mut self.secure,
            out,
        }
    }

    /// Sends RTP on its way that our own RTCP reports on.
    #[cold]
    fn depart_reported<O: Outbox>(
        &mut self,
        now: Time,
        place: Place,
        content: Content,
        header: Header,
        rx: &mut Rx<'_>,
        out: &mut O,
    ) -> Verdict {
        let octets = payload(rx.packet.bytes());
        let verdict = self.depart(now, place, content, rx, out);
        if verdict == Verdict::Forward {
            let lane = Lane {
                port: rx.port,
                part: None,
            };
            reporting::forwarded(&mut self.table, now, lane, header, octets);
        }
        verdict
    }

    /// Hands a packet up to control, if the buckets have a token for it.
    #[cold]
    fn punt<O: Outbox>(
        &mut self,
        now: Time,
        at: usize,
        class: PuntClass,
        rx: &Rx<'_>,
        out: &mut O,
    ) -> Verdict {
        // Candidates are ports; associations are flows.
        let port = match class {
            PuntClass::Stun => self.arrived_at(at, rx.port),
            PuntClass::Dtls => rx.port,
        };
        let Some(flow) = self.table.get_mut(rx.port) else {
            return Verdict::of(Reason::NoFlow);
        };
        // A connected socket has only one source, and that is the peer.
        let Some(source) = rx.source.or_else(|| flow.peer.destination()) else {
            return Verdict::of(Reason::NoPeer);
        };
        let is_known = flow.peer.settled() == Some(source) || flow.is_validated(Some(source));
        let by_ice = flow.peer.admission().stranger == Stranger::Validated;
        if class == PuntClass::Dtls && by_ice && !is_known {
            return Verdict::of(Reason::WrongSource);
        }
        let standing = if is_known {
            Standing::Known
        } else {
            Standing::Stranger
        };
        let bytes = rx.packet.bytes();
        let buckets = flow.cold.punts.as_mut();
        let may = bytes.len() <= punt::LONGEST
            && buckets.is_some_and(|buckets| buckets.take(now, class, standing))
            && self.punts.take(now, class, standing);
        if !may {
            return Verdict::of(Reason::PuntLimit);
        }
        out.event(Event::Punted {
            port,
            source,
            class,
            at: now,
            bytes: bytes.into(),
        });
        Verdict::Punt
    }

    /// Counts a packet of `len` bytes, received at `port`, once.
    #[inline]
    fn count(&self, port: PortId, len: usize, kind: Result<Kind, Reason>, verdict: Verdict) {
        let flow = self.table.get(port);
        let totals = self.totals.interface(flow.map(|f| f.interface));
        self.totals.received.count(len);
        match verdict {
            Verdict::Forward => {
                let proto = kind.map_or(Proto::Opaque, Kind::proto);
                totals.forwarded[proto as usize].count(len);
                if let Some(flow) = flow {
                    flow.stats.forwarded.add(1);
                }
            }
            Verdict::Punt => {
                self.totals.punts.add(1);
                if let Some(flow) = flow {
                    flow.stats.punted.add(1);
                }
            }
            Verdict::Drop(reason) | Verdict::Consume(reason) => {
                totals.dropped[reason as usize].add(1);
                if let Some(flow) = flow {
                    flow.stats.drop_one(reason);
                }
            }
        }
    }
}

/// STUN or DTLS, which control may want.
#[cold]
fn handshake(flow: &Flow, class: Class) -> Result<Kind, Reason> {
    let (class, reason) = if class == Class::Stun {
        (PuntClass::Stun, Reason::UnexpectedStun)
    } else {
        (PuntClass::Dtls, Reason::UnexpectedDtls)
    };
    let punts = flow.cold.spec.handshakes.punts;
    punts
        .has(class)
        .then_some(Kind::Handshake(class))
        .ok_or(reason)
}

/// What a packet is that should be protected.
fn secure(flow: &Flow, bytes: &[u8]) -> Result<Kind, Reason> {
    let class = classify(bytes);
    let kind = match (flow.accepts, class) {
        (_, Class::Empty) => return Err(Reason::Empty),
        (Accepts::Rtp | Accepts::Muxed, Class::Rtp) => Kind::SealedRtp,
        (Accepts::Rtp | Accepts::Rtcp | Accepts::Muxed, Class::Rtcp) => Kind::SealedRtcp,
        (_, Class::Stun | Class::Dtls) => return handshake(flow, class),
        (_, Class::Short) => return Err(Reason::Short),
        (Accepts::Rtcp, Class::Rtp | Class::Zrtp | Class::Other) => return Err(Reason::NotRtcp),
        // What is neither has no protection that could be checked.
        (_, _) => return Err(Reason::NotRtp),
    };
    if flow.receive == Guard::Srtp {
        Ok(kind)
    } else {
        Err(Reason::NoKeys)
    }
}

/// RTP with a header that its length can hold. Padding is not looked at: behind the header there may
/// be SRTP of the endpoints' own.
#[inline]
fn rtp(bytes: &[u8]) -> Result<Kind, Reason> {
    let rtp = Rtp::parse_protected(bytes).map_err(|_| Reason::BadHeader)?;
    Ok(Kind::Rtp(Header::from(rtp)))
}

/// The bytes of payload in a packet, without padding.
#[cold]
fn payload(bytes: &[u8]) -> usize {
    Rtp::parse(bytes).map_or(0, |rtp| rtp.payload().len())
}

/// RTCP of valid form, as far as it can be read.
fn rtcp(bytes: &[u8], guard: Guard) -> Result<Kind, Reason> {
    match guard {
        Guard::EndToEnd => Ok(Kind::Rtcp),
        Guard::Plain | Guard::Elsewhere | Guard::Pending | Guard::Srtp => Compound::parse(bytes)
            .map(|_| Kind::Rtcp)
            .map_err(|_| Reason::BadRtcp),
    }
}

/// Whether the source of such a packet may be believed to be the flow's peer.
#[inline]
const fn evidence(accepts: Accepts, kind: Kind) -> Evidence {
    match (accepts, kind) {
        (Accepts::Opaque | Accepts::Rtcp, _) | (_, Kind::Rtp(_)) => Evidence::Media,
        (
            Accepts::Rtp | Accepts::Muxed,
            Kind::Rtcp | Kind::Opaque | Kind::SealedRtp | Kind::SealedRtcp | Kind::Handshake(_),
        ) => Evidence::Beside,
    }
}

/// Counts a packet that was let in, wherever it goes from here.
#[inline]
fn account(flow: &mut Flow, now: Time, kind: Kind, len: usize) {
    let stats = &flow.stats;
    stats.last_packet.set(now.0);
    match kind {
        Kind::Rtcp => stats.rtcp_in.count(len),
        Kind::Opaque | Kind::SealedRtp | Kind::SealedRtcp | Kind::Handshake(_) => {
            stats.rtp_in.count(len);
        }
        Kind::Rtp(header) => {
            stats.rtp_in.count(len);
            let Cold {
                probation, spec, ..
            } = &mut *flow.cold;
            let arrival = Arrival {
                at: now,
                header,
                len,
            };
            let recent = &mut flow.recent;
            quality::observe(&stats.ssrcs, recent, probation, &spec.clocks, &arrival);
        }
    }
}

#[cold]
fn looped<O: Outbox>(turn: Turn, port: PortId, at: Time, out: &mut O) -> Verdict {
    if turn == Turn::Noticed {
        out.event(Event::Looped { port, at });
    }
    Verdict::of(Reason::Loop)
}

/// Tells control where the flow's peer is.
#[cold]
fn announce<O: Outbox>(flow: &Flow, port: PortId, at: Time, out: &mut O) {
    if let Some(peer) = flow.peer.destination() {
        let epoch = flow.peer.admission().epoch;
        let settled = flow.peer.settled().is_some();
        out.event(Event::Latched {
            port,
            peer,
            epoch,
            at,
            settled,
        });
    }
}

mod bundled;

#[cfg(test)]
mod tests;
