//! The flows of one worker, by slot: no hash, and two cache lines a packet.

use std::sync::Arc;

use patchcord_contract::Endpoint;

use crate::demux::Demux;
use crate::doors::{self, Doors};
use crate::flow::{Accepts, PortId, Punts, Reporting, Security, Sink, Sinks, Spec, Stranger};
use crate::loops::LoopGuard;
use crate::offload::Lowered;
use crate::packet::Rx;
use crate::peer::Peer;
use crate::punt::Buckets;
use crate::quality::Probation;
use crate::reporting::{self, Outgoing, Reporter};
use crate::reports::SenderReports;
use crate::srtp::{Receiver, Sender, Tier};
use crate::stats::PortStats;

/// A Spec and its run state. The first line says who is there and is all that a packet leaving from
/// this port touches; the second is for packets that arrive.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Flow {
    pub(crate) peer: Peer,
    pub(crate) stats: Arc<PortStats>,

    pub(crate) loops: LoopGuard,
    pub(crate) rtp: Route,
    pub(crate) rtcp: Route,
    pub(crate) cold: Box<Cold>,
    pub(crate) accepts: Accepts,
    pub(crate) receive: Guard,
    pub(crate) gate: Gate,
    /// Whether RTCP ends here, and ours goes to the peer instead.
    pub(crate) terminates: bool,
    pub(crate) interface: u8,
    /// The slot of the stream that sent last.
    pub(crate) recent: u8,
    /// Whether the lower tier carries what it can of this flow, so that its counts are taken in first.
    pub(crate) is_lowered: bool,
}

/// What an ordinary RTP packet does not touch.
#[derive(Debug)]
pub(crate) struct Cold {
    pub(crate) spec: Arc<Spec>,
    pub(crate) probation: Option<Probation>,
    pub(crate) reports: SenderReports,
    /// The keys of what arrives, and their state.
    pub(crate) receiver: Option<Box<Receiver>>,
    /// The keys of what leaves, and their state.
    pub(crate) sender: Option<Box<Sender>>,
    /// What our reports to the peer say, where they leave from here.
    pub(crate) reporter: Option<Box<Reporter>>,
    /// The RTP that leaves from here, where it is reported on, for each section.
    pub(crate) outgoing: Option<Box<[Outgoing]>>,
    /// Which section is which, where there are several.
    pub(crate) demux: Option<Box<Demux>>,
    /// What may go up to control, where anything may.
    pub(crate) punts: Option<Box<Buckets>>,
    /// What the lower tier carries of it.
    pub(crate) lowered: Option<Box<Lowered>>,
    /// The last latch and the advertised endpoint it was made under.
    before: Option<Latch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Latch {
    advertised: Endpoint,
    peer: Endpoint,
}

/// A [`Security`] as the ordinary packet sees it: without its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// Nothing.
    Plain,
    /// Nothing, and what leaves does so from another port than the flow's.
    Elsewhere,
    /// The endpoints' own keys.
    EndToEnd,
    /// Keys that are not known yet.
    Pending,
    /// Keys that are.
    Srtp,
}

impl Guard {
    const fn of(security: &Security) -> Self {
        match security {
            Security::Plain => Self::Plain,
            Security::EndToEnd => Self::EndToEnd,
            Security::Pending => Self::Pending,
            Security::Srtp(_) => Self::Srtp,
        }
    }

    /// How what leaves is protected.
    fn of_exit(spec: &Spec) -> Self {
        let guard = Self::of(&spec.send);
        if guard == Self::Plain && spec.leaves() != spec.port {
            Self::Elsewhere
        } else {
            guard
        }
    }
}

/// Whether the ordinary packet passes in the ordinary way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// It does.
    Open,
    /// It ends here.
    Blocked,
    /// It is looked at more closely: the port carries several sections.
    Bundle,
}

impl Gate {
    fn of(spec: &Spec) -> Self {
        if spec.split().is_some() {
            Self::Bundle
        } else if spec.blocked {
            Self::Blocked
        } else {
            Self::Open
        }
    }
}

/// Sinks as the ordinary packet sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// None.
    Nowhere,
    /// The only one, which takes the packet as it is.
    One(Sink),
    /// Several, or one that edits: they stand in the Spec.
    Fan,
}

impl Route {
    fn of(sinks: &Sinks) -> Self {
        match sinks.as_slice() {
            [] => Self::Nowhere,
            [sink] if sink.edit.is_none() => Self::One(*sink),
            [..] => Self::Fan,
        }
    }
}

impl Flow {
    /// A flow that has seen nothing.
    pub(crate) fn new(tier: Tier, spec: Arc<Spec>) -> Self {
        let mut peer = Peer::new(spec.admission);
        peer.guard = Guard::of_exit(&spec);
        Self {
            peer,
            stats: Arc::clone(&spec.stats),
            loops: LoopGuard::default(),
            rtp: Route::of(&spec.rtp),
            rtcp: Route::of(&spec.rtcp),
            accepts: spec.accepts,
            receive: Guard::of(&spec.receive),
            gate: Gate::of(&spec),
            terminates: terminates(&spec),
            interface: spec.interface,
            recent: 0,
            is_lowered: false,
            cold: Box::new(Cold {
                receiver: receiver(tier, &spec.receive, None),
                sender: sender(tier, &spec.send, None),
                reporter: reporter(&spec, None),
                outgoing: outgoing(&spec, None),
                punts: buckets(&spec, None),
                demux: spec.split().map(|bundle| Demux::new(bundle, None)),
                spec,
                probation: None,
                reports: SenderReports::default(),
                lowered: None,
                before: None,
            }),
        }
    }

    /// Whether a source that is not the peer may send all the same: ICE has validated it.
    #[cold]
    pub(crate) fn is_validated(&self, source: Option<Endpoint>) -> bool {
        let validated = &self.cold.spec.handshakes.validated;
        self.peer.admission().stranger == Stranger::Validated
            && source.is_some_and(|source| validated.contains(&source))
    }

    /// Another Spec for the same port; run state stays where it still applies.
    fn change(&mut self, tier: Tier, spec: Arc<Spec>) {
        let advertised = self.peer.admission().advertised;
        if let Some(peer) = self.peer.latched() {
            self.cold.before = Some(Latch { advertised, peer });
        }
        let before = self
            .cold
            .before
            .filter(|b| b.advertised == spec.admission.advertised);
        self.peer.change(spec.admission, before.map(|b| b.peer));
        self.stats = Arc::clone(&spec.stats);
        self.rtp = Route::of(&spec.rtp);
        self.rtcp = Route::of(&spec.rtcp);
        self.accepts = spec.accepts;
        self.receive = Guard::of(&spec.receive);
        self.peer.guard = Guard::of_exit(&spec);
        let cold = &mut *self.cold;
        cold.receiver = receiver(tier, &spec.receive, cold.receiver.take());
        cold.sender = sender(tier, &spec.send, cold.sender.take());
        cold.reporter = reporter(&spec, cold.reporter.take());
        cold.outgoing = outgoing(&spec, cold.outgoing.take());
        cold.punts = buckets(&spec, cold.punts.take());
        let before = cold.spec.split().zip(cold.demux.take());
        cold.demux = spec.split().map(|bundle| Demux::new(bundle, before));
        self.gate = Gate::of(&spec);
        self.terminates = terminates(&spec);
        self.interface = spec.interface;
        self.cold.spec = spec;
    }
}

/// All flows of a worker, indexed by the port's slot.
#[derive(Debug)]
pub(crate) struct Table {
    tier: Tier,
    slots: Vec<Option<Flow>>,
    len: usize,
    doors: Doors,
}

/// The receiver for `security`; the one there was before if its keys are equal.
fn receiver(
    tier: Tier,
    security: &Security,
    before: Option<Box<Receiver>>,
) -> Option<Box<Receiver>> {
    let Security::Srtp(keys) = security else {
        return None;
    };
    let kept = before.filter(|receiver| receiver.keys() == keys);
    Some(kept.unwrap_or_else(|| Box::new(Receiver::new(tier, Arc::clone(keys)))))
}

/// The sender for `security`; the one there was before if its keys are equal.
fn sender(tier: Tier, security: &Security, before: Option<Box<Sender>>) -> Option<Box<Sender>> {
    let Security::Srtp(keys) = security else {
        return None;
    };
    let kept = before.filter(|sender| sender.keys() == keys);
    Some(kept.unwrap_or_else(|| Box::new(Sender::new(tier, Arc::clone(keys)))))
}

/// Whether RTCP ends at the port: what cannot be read, or answered, is relayed.
fn terminates(spec: &Spec) -> bool {
    let is_ours = |security: &Security| matches!(security, Security::Plain | Security::Srtp(_));
    spec.reporting != Reporting::Relayed
        && spec.accepts != Accepts::Opaque
        && is_ours(&spec.receive)
        && is_ours(&spec.send)
}

/// The reporter of a port that reports leave from; the one there was before.
fn reporter(spec: &Spec, before: Option<Box<Reporter>>) -> Option<Box<Reporter>> {
    matches!(spec.reporting, Reporting::Here(_)).then(|| {
        let mut reporter = before.unwrap_or_default();
        reporter.count(reporting::parts(spec));
        reporter
    })
}

/// The counts of what leaves from a port of RTP that is reported on; those there were before.
fn outgoing(spec: &Spec, before: Option<Box<[Outgoing]>>) -> Option<Box<[Outgoing]>> {
    (terminates(spec) && spec.accepts != Accepts::Rtcp).then(|| {
        let mut known = before.map(<[_]>::into_vec).unwrap_or_default();
        known.resize_with(reporting::parts(spec), Outgoing::default);
        known.into()
    })
}

/// The buckets of a port from which anything may go up; those there were before.
fn buckets(spec: &Spec, before: Option<Box<Buckets>>) -> Option<Box<Buckets>> {
    (spec.handshakes.punts != Punts::Nothing)
        .then(|| before.unwrap_or_else(|| Box::new(Buckets::of_port())))
}

impl Table {
    /// Without flows; keys are made for `tier`.
    pub(crate) const fn new(tier: Tier) -> Self {
        Self {
            tier,
            slots: Vec::new(),
            len: 0,
            doors: Doors::new(),
        }
    }

    /// Asks for the flow at `port`.
    #[inline]
    pub(crate) fn prefetch(&self, port: PortId) {
        if let Some(slot) = self.slots.get(port.slot()) {
            patchcord_cipher::prefetch(slot);
        }
    }

    /// The flow at `port`.
    #[inline]
    pub(crate) fn get(&self, port: PortId) -> Option<&Flow> {
        self.slots.get(port.slot())?.as_ref()
    }

    /// The flow at `port`, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, port: PortId) -> Option<&mut Flow> {
        self.slots.get_mut(port.slot())?.as_mut()
    }

    /// Creates or changes the flow of the Spec's port.
    pub(crate) fn set(&mut self, spec: Arc<Spec>) {
        let slot = spec.port.slot();
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        let before = self.slots[slot].as_ref();
        let before = before.and_then(|flow| flow.cold.spec.doors.as_deref());
        if before.is_some() || spec.doors.is_some() {
            self.doors.change(spec.port, before, spec.doors.as_deref());
        }
        match &mut self.slots[slot] {
            Some(flow) => flow.change(self.tier, spec),
            empty @ None => {
                *empty = Some(Flow::new(self.tier, spec));
                self.len += 1;
            }
        }
    }

    /// Removes the flow at `port`.
    pub(crate) fn clear(&mut self, port: PortId) {
        let gone = self.slots.get_mut(port.slot()).and_then(Option::take);
        if let Some(flow) = gone {
            self.len -= 1;
            let before = flow.cold.spec.doors.as_deref();
            self.doors.change(port, before, None);
        }
    }

    /// Whether any flow has doors.
    #[inline]
    pub(crate) const fn has_doors(&self) -> bool {
        !self.doors.is_empty()
    }

    /// The port of the flow that `port` leads to: its own, or the one it is a door of.
    pub(crate) fn entered(&self, port: PortId) -> PortId {
        match self.get(port) {
            Some(_) => port,
            None => self.doors.leads_to(port).unwrap_or(port),
        }
    }

    /// The port of the flow that a packet is for which came in at `port`.
    #[cold]
    pub(crate) fn addressee(&self, port: PortId, rx: &Rx<'_>) -> PortId {
        let port = self.entered(port);
        let spec = self.get(port).map(|flow| &flow.cold.spec);
        let doors = spec.and_then(|spec| spec.doors.as_deref());
        match doors.filter(|doors| !doors.lodgers.is_empty()) {
            Some(known) => {
                let (source, packet) = (rx.source, rx.packet.bytes());
                doors::addressee(self, port, &known.lodgers, source, packet)
            }
            None => port,
        }
    }

    /// The port that packets for the peer of the flow at `port` leave from.
    pub(crate) fn exit(&self, port: PortId) -> PortId {
        self.get(port).map_or(port, |flow| flow.cold.spec.leaves())
    }

    /// Flows in the table.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn a_packet_touches_two_cache_lines_of_a_flow_and_one_on_its_way_out() {
        assert_eq!(align_of::<Flow>(), 64);
        assert_eq!(size_of::<Option<Flow>>(), 128);
        assert_eq!(offset_of!(Flow, peer), 0);
        assert!(offset_of!(Flow, stats) + size_of::<Arc<PortStats>>() <= 64);
        assert_eq!(offset_of!(Flow, loops), 64);
    }

    #[test]
    fn one_sink_is_found_without_the_spec() {
        let via = PortId::new(0, 3).expect("a small slot");
        let sink = Sink {
            via,
            feedback: crate::flow::Feedback::Keep,
            edit: None,
        };
        assert_eq!(Route::of(&Sinks::new()), Route::Nowhere);
        assert_eq!(Route::of(&Sinks::from_slice(&[sink])), Route::One(sink));
        assert_eq!(Route::of(&Sinks::from_slice(&[sink, sink])), Route::Fan);
        let edit = crate::bundle::EditId::new(0);
        assert_eq!(
            Route::of(&Sinks::from_slice(&[Sink { edit, ..sink }])),
            Route::Fan
        );
        assert_eq!(size_of::<Route>(), 8);
    }
}
