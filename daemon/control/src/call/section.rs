//! One media section of one leg: what the leg said of it, and the ports it was given.

use std::sync::Arc;

use patchcord_contract::Endpoint;
use patchcord_media::flow::{Clocks, PortId};
use patchcord_media::stats::PortStats;
use patchcord_wire::Proto;
use patchcord_wire::ids::Mid;
use patchcord_wire::ng::mux::MuxInward;
use patchcord_wire::sdp::Direction;

use super::bundled::Bundled;
use super::doors::Doors;
use super::dtls::{Dtls, Said};
use super::keying::{Keying, Lines};
use super::lodging::Lodging;
use crate::ice::{ListId, LocalId};
use crate::ports::{Lease, LeasedPort};
use crate::quality::Quality;

/// One `m=` section of a leg.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// The media type as written: `audio`, `video`, `image`.
    pub(crate) kind: Box<[u8]>,
    /// What the leg said.
    pub(crate) remote: Remote,
    /// The ports that the leg was given.
    pub(crate) local: Option<Local>,
    /// Its checklist, while it has ICE.
    pub(crate) ice: Option<ListId>,
    /// Whose ICE it has, if that is the two ends' own.
    pub(crate) through: Option<Box<Through>>,
    /// What the leg is shown of the section.
    pub(crate) shown: Shown,
    /// The name of the section towards the leg (RFC 5888).
    pub(crate) mid: Option<Mid>,
    /// The protocol that the leg was last told.
    pub(crate) told: Option<Proto>,
    /// The other m= line, if the leg has two for this section.
    pub(crate) twin: Option<Box<Twin>>,
    /// What becomes of rtcp-mux in the leg's own offer.
    pub(crate) mux_inward: MuxInward,
    /// Packet times in force, which bodies without one repeat.
    pub(crate) ptime: PacketTimes,
    /// How the leg's media is keyed.
    pub(crate) keying: Keying,
    /// How keys are made with it, if that is a way.
    pub(crate) dtls: Option<Box<Dtls>>,
    /// Its part in bundles, if its call has any.
    pub(crate) bundled: Option<Box<Bundled>>,
    /// Sampled quality of what the leg sends; made by the first sample.
    pub(crate) quality: Option<Box<Quality>>,
}

/// A section whose ends check each other; what they send goes through unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Through {
    /// How we stand beside them.
    pub(crate) beside: Beside,
    /// The leg's ICE name, as it said last.
    pub(crate) said: Box<[u8]>,
}

/// What an end is told of the other one's candidates, and of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Ours only.
    Only,
    /// All, and ours as the last.
    Last,
    /// All but relayed ones, and ours as such.
    Relay,
}

/// Whether a leg sees the section at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shown {
    /// As any section.
    #[default]
    Yes,
    /// Left out of the offer (`sdp-media-remove`); the answer says port 0 with these formats.
    Hidden(Box<[u8]>),
}

/// The other of two m= lines that are one section (OSRTP before RFC 8643).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Twin {
    /// Where the line in use stands.
    pub(crate) place: Which,
    /// Whether the other one is on offer too.
    pub(crate) is_open: bool,
    /// The other one's protocol.
    pub(crate) proto: Proto,
    /// The other one's formats.
    pub(crate) formats: Box<[u8]>,
}

/// Which of two lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The first.
    First,
    /// The second.
    Second,
}

/// `a=ptime` and `a=maxptime` in milliseconds, 0 if never said (RFC 8866 §6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PacketTimes {
    /// `a=ptime`
    pub(crate) ptime: u16,
    /// `a=maxptime`
    pub(crate) maxptime: u16,
}

/// What a leg said of a section, and how much of it stands.
///
/// Nothing reads a description without saying which one it means: an offer is not an agreement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Remote {
    /// Nothing yet: the leg has been sent an offer at most.
    #[default]
    Silent,
    /// Its offer awaits an answer.
    Offered(Offered),
    /// Agreed.
    Established(Established),
    /// Agreed once, and a new offer of the leg awaits an answer.
    Reoffered(Established, Box<Offered>),
}

/// A description in an offer without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offered(pub(crate) Description);

/// A description that was agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Established(pub(crate) Description);

/// What an SDP says of one section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description {
    /// The `<proto>` of its m= line.
    pub(crate) proto: Proto,
    /// Where it wants RTP; port 0 when it is rejected, address 0.0.0.0 or `::` when it is on hold, or
    /// has no candidate yet.
    pub(crate) rtp: Endpoint,
    /// Whether the address is meant.
    pub(crate) place: Named,
    /// Where it wants RTCP.
    pub(crate) rtcp: RtcpPlace,
    /// Whether it has `a=rtcp-mux`.
    pub(crate) mux: MuxWord,
    /// Whether it has `a=rtcp-fb`.
    pub(crate) feedback: FeedbackWord,
    /// The direction that applies to it.
    pub(crate) direction: Direction,
    /// Name of its first codec, as in rtpmap; empty if unknown.
    pub(crate) codec: Box<[u8]>,
    /// Clock rates that differ from what a payload type means by itself.
    pub(crate) clocks: Clocks,
    /// Its crypto lines, as far as we can use them.
    pub(crate) crypto: Lines,
    /// What it says of DTLS, if it has a fingerprint.
    pub(crate) dtls: Option<Box<Said>>,
}

/// Whether the address of a description is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// It is.
    Now,
    /// Candidates will follow: the zero address is no hold (RFC 8840 §4.1.1).
    Later,
}

/// Where a leg wants RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RtcpPlace {
    /// At the port after RTP's (RFC 3550 §11).
    Next,
    /// Where `a=rtcp` says (RFC 3605).
    At(Endpoint),
}

/// Whether a description has `a=rtcp-mux` (RFC 5761 §5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MuxWord {
    /// It has: an offer in an offer, an acceptance in an answer.
    Said,
    /// It has not.
    Unsaid,
}

/// Whether a description has `a=rtcp-fb` (RFC 4585 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedbackWord {
    /// It has.
    Said,
    /// It has not.
    Unsaid,
}

/// The ports of a section, and those that replace them once an offer is answered.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    /// In use.
    pub(crate) now: Transport,
    /// Told to the leg in an offer that has no answer yet. Both are open until then.
    pub(crate) next: Option<Box<Transport>>,
}

/// Ports held towards a leg for one section.
#[derive(Clone, Debug)]
pub(crate) struct Transport {
    /// Index into [`Settings::interfaces`](crate::Settings::interfaces).
    pub(crate) interface: u8,
    /// Whether RTCP shares the RTP port.
    pub(crate) muxing: Muxing,
    /// Whose they are.
    pub(crate) tenure: Tenure,
    /// The far side's advertised endpoint that these ports stand for; another one gets other ports.
    pub(crate) stands_for: Endpoint,
    /// RTP, or all.
    pub(crate) rtp: Component,
    /// RTCP of its own.
    pub(crate) rtcp: Option<Component>,
}

/// Whose ports a transport has (RFC 9143 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tenure {
    /// The section's, and with them all that belongs to a transport.
    Own,
    /// Another section's of the leg; the counters are the section's own.
    Shared,
}

/// How RTCP is carried towards a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Muxing {
    /// On its own port.
    Split,
    /// We offered to mux; until the answer both ports serve.
    Offered,
    /// On the RTP port.
    Muxed,
}

/// RTP or RTCP half of a transport (RFC 8445 §3 component), at one local port.
#[derive(Clone, Debug)]
pub(crate) struct Component {
    /// The port.
    pub(crate) port: LeasedPort,
    /// Its counters.
    pub(crate) stats: Arc<PortStats>,
    /// Where the leg says it is, as last compiled.
    pub(crate) advertised: Endpoint,
    /// Counts changes of `advertised`.
    pub(crate) epoch: u32,
    /// Where its packets come from, as far as a worker has said.
    pub(crate) latched: Option<Endpoint>,
    /// The candidate that it is to the leg's agent.
    pub(crate) candidate: Option<LocalId>,
    /// The same at other addresses of the interface, for a leg with ICE.
    pub(crate) doors: Option<Box<Doors>>,
    /// Where its peer is, if that is not here.
    pub(crate) lodging: Option<Box<Lodging>>,
}

impl Section {
    /// A section that nothing is known of but its type.
    pub(crate) fn new(kind: &[u8]) -> Self {
        Self {
            kind: kind.into(),
            remote: Remote::Silent,
            local: None,
            ice: None,
            through: None,
            shown: Shown::Yes,
            mid: None,
            told: None,
            twin: None,
            mux_inward: MuxInward::Mirror,
            ptime: PacketTimes::default(),
            keying: Keying::default(),
            dtls: None,
            bundled: None,
            quality: None,
        }
    }

    /// Every transport that holds ports.
    pub(crate) fn transports(&self) -> impl Iterator<Item = &Transport> {
        self.local
            .iter()
            .flat_map(|local| std::iter::once(&local.now).chain(local.next.as_deref()))
    }

    /// As [`Self::transports`], to change them.
    pub(crate) fn transports_mut(&mut self) -> impl Iterator<Item = &mut Transport> {
        self.local
            .iter_mut()
            .flat_map(|local| std::iter::once(&mut local.now).chain(local.next.as_deref_mut()))
    }

    /// Every component that holds a port.
    pub(crate) fn components(&self) -> impl Iterator<Item = &Component> {
        self.transports().flat_map(Transport::components)
    }

    /// Every component whose port is the section's own.
    pub(crate) fn own_components(&self) -> impl Iterator<Item = &Component> {
        let own = self.transports().filter(|t| t.tenure == Tenure::Own);
        own.flat_map(Transport::components)
    }

    /// Whether the leg is told ports of another section.
    pub(crate) fn shares(&self) -> bool {
        self.newest().is_some_and(|t| t.tenure == Tenure::Shared)
    }

    /// The group of the leg's that it is in.
    pub(crate) fn group(&self) -> Option<u8> {
        self.bundled.as_deref()?.group
    }

    /// The transport that is told to the leg: the newest.
    pub(crate) fn newest(&self) -> Option<&Transport> {
        self.local
            .as_ref()
            .map(|local| local.next.as_deref().unwrap_or(&local.now))
    }
}

impl PacketTimes {
    /// Takes what a body says; what it does not say stays.
    pub(crate) fn learn(&mut self, said: Self) {
        for (mine, said) in [
            (&mut self.ptime, said.ptime),
            (&mut self.maxptime, said.maxptime),
        ] {
            if said != 0 {
                *mine = said;
            }
        }
    }
}

impl Remote {
    /// What packets are sent by: the agreed description, or the offered one while none is agreed,
    /// so that early media flows.
    pub(crate) fn effective(&self) -> Option<&Description> {
        match self {
            Self::Silent => None,
            Self::Offered(Offered(description))
            | Self::Established(Established(description))
            | Self::Reoffered(Established(description), _) => Some(description),
        }
    }

    /// What the leg said last, agreed or not.
    pub(crate) fn latest(&self) -> Option<&Description> {
        match self {
            Self::Silent => None,
            Self::Offered(Offered(description)) | Self::Established(Established(description)) => {
                Some(description)
            }
            Self::Reoffered(_, offered) => Some(&offered.0),
        }
    }

    /// Whether a description with media was agreed.
    pub(crate) fn is_agreed(&self) -> bool {
        match self {
            Self::Silent | Self::Offered(_) => false,
            Self::Established(Established(agreed)) | Self::Reoffered(Established(agreed), _) => {
                !agreed.is_rejected()
            }
        }
    }

    /// Takes an offer of the leg; what was agreed stands until its answer.
    pub(crate) fn offer(&mut self, description: Description) {
        *self = match std::mem::take(self) {
            Self::Silent | Self::Offered(_) => Self::Offered(Offered(description)),
            Self::Established(agreed) | Self::Reoffered(agreed, _) => {
                Self::Reoffered(agreed, Box::new(Offered(description)))
            }
        };
    }

    /// Takes an answer of the leg.
    pub(crate) fn answer(&mut self, description: Description) {
        *self = Self::Established(Established(description));
    }

    /// The leg's own offer was answered: what it offered is agreed.
    pub(crate) fn accepted(&mut self) {
        *self = match std::mem::take(self) {
            Self::Silent => Self::Silent,
            Self::Established(agreed) => Self::Established(agreed),
            Self::Offered(Offered(description)) => Self::Established(Established(description)),
            Self::Reoffered(_, offered) => Self::Established(Established(offered.0)),
        };
    }
}

impl Description {
    /// Whether the section is refused or ended: port 0.
    pub(crate) const fn is_rejected(&self) -> bool {
        self.rtp.port == 0
    }

    /// Whether the section has an endpoint but the address that means hold.
    pub(crate) const fn is_zero_address(&self) -> bool {
        self.rtp.port != 0 && self.rtp.addr.is_unspecified() && matches!(self.place, Named::Now)
    }

    /// Where RTCP goes while it is not muxed.
    pub(crate) fn rtcp_endpoint(&self) -> Endpoint {
        match self.rtcp {
            RtcpPlace::At(endpoint) => endpoint,
            RtcpPlace::Next => match self.rtp.port.checked_add(1) {
                Some(port) if self.rtp.port != 0 => Endpoint { port, ..self.rtp },
                _ => Endpoint::NONE,
            },
        }
    }

    /// Whether the leg expects silence: it takes part, but neither side needs to send.
    pub(crate) fn is_held(&self) -> bool {
        self.is_zero_address() || self.direction != Direction::Sendrecv
    }
}

impl Transport {
    /// Its components: one or two.
    pub(crate) fn components(&self) -> impl Iterator<Item = &Component> {
        std::iter::once(&self.rtp).chain(self.rtcp.as_ref())
    }

    /// As [`Self::components`], to change them.
    pub(crate) fn components_mut(&mut self) -> impl Iterator<Item = &mut Component> {
        std::iter::once(&mut self.rtp).chain(self.rtcp.as_mut())
    }

    /// The component that RTCP towards the leg leaves from.
    pub(crate) fn rtcp_component(&self) -> &Component {
        match (self.muxing, &self.rtcp) {
            (Muxing::Split | Muxing::Offered, Some(rtcp)) => rtcp,
            (Muxing::Muxed, _) | (_, None) => &self.rtp,
        }
    }
}

impl Component {
    /// A component at a fresh port.
    pub(crate) fn new(port: LeasedPort) -> Self {
        Self {
            port,
            stats: Arc::new(PortStats::default()),
            advertised: Endpoint::NONE,
            epoch: 0,
            latched: None,
            candidate: None,
            doors: None,
            lodging: None,
        }
    }

    /// Both components of a lease.
    pub(crate) fn of(lease: Lease) -> (Self, Option<Self>) {
        (Self::new(lease.rtp), lease.rtcp.map(Self::new))
    }

    /// The worker's name of the port.
    pub(crate) const fn id(&self) -> PortId {
        self.port.id
    }

    /// What is known of where the leg's packets come from is void.
    pub(crate) fn relearn(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.latched = None;
    }

    /// Notes where the leg says it is; a change makes what was latched void.
    pub(crate) fn advertise(&mut self, endpoint: Endpoint) {
        if self.advertised != endpoint {
            self.advertised = endpoint;
            self.relearn();
        }
    }
}
