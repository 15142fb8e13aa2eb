//! The waist of the hourglass: what control tells a worker, and what a worker tells control.
//!
//! A [`Spec`] says what enters at one local port and where it goes. Control compiles Specs from calls
//! and sends them as [`Command`]s; a worker builds its flows from them, keeps their run state as long
//! as it still applies, and answers with [`Event`]s. Nothing else crosses this line, but the counters
//! of [`crate::stats`], which a worker writes and control reads.

use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::{Endpoint, Time};
use smallvec::SmallVec;

use crate::bundle::{Bundle, EditId, PayloadTypes};
use crate::srtp::{Cause, Keys};
use crate::stats::PortStats;

/// A local UDP port as the workers know it: the worker in the top 8 bits, its slot in the low 24.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(u32);

impl PortId {
    /// Slots a worker can have.
    pub const MAX_SLOT: u32 = 0x00ff_ffff;

    /// The port in `slot` of `worker`; `None` if the slot does not fit 24 bits.
    pub const fn new(worker: u8, slot: u32) -> Option<Self> {
        if slot > Self::MAX_SLOT {
            None
        } else {
            Some(Self((worker as u32) << 24 | slot))
        }
    }

    /// The worker that owns the port.
    pub const fn worker(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// Its slot in that worker's table.
    pub const fn slot(self) -> usize {
        (self.0 & Self::MAX_SLOT) as usize
    }
}

/// What a flow accepts at its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// RTP, and RTCP sent to the RTP port by peers that mux without having said so.
    Rtp,
    /// RTCP only: the second port of a split transport.
    Rtcp,
    /// RTP and RTCP on one port (RFC 5761).
    Muxed,
    /// Any bytes, relayed untouched: UDPTL and unknown UDP protocols.
    Opaque,
}

/// How a flow finds out where its peer sends from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Learning {
    /// Never: the advertised endpoint stands (`asymmetric`, `endpoint-learning=off`).
    Off,
    /// The first packet's source.
    Immediate,
    /// The source of the first packet after the learning window.
    Delayed,
    /// In the window: advertised address and port best, then address, then port, then any source.
    #[default]
    Heuristic,
}

/// What happens to a packet from another source once a flow has latched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stranger {
    /// Forwarded, but not believed: replies still go to the latched peer.
    #[default]
    Forward,
    /// Dropped and counted (`strict-source`).
    Drop,
    /// Becomes the peer (`media-handover`).
    Follow,
    /// Dropped, unless [`Handshakes::validated`] has it, even while no peer is known at all: ICE
    /// decides who the peer is, and nothing is learnt from media.
    Validated,
}

/// Who may send to a port, and where packets that leave from it go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Where the peer said it is (SDP); not sendable while unknown or held at 0.0.0.0.
    pub advertised: Endpoint,
    /// How the true source is found.
    pub learning: Learning,
    /// What a stranger's packet does afterwards.
    pub stranger: Stranger,
    /// Counts the changes of `advertised`: a Spec with another epoch than the flow's unlatches it.
    pub epoch: u32,
}

/// How packets are protected on the wire, in one direction of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Plain RTP and RTCP.
    #[default]
    Plain,
    /// SRTP and SRTCP with keys that only the endpoints have. What arrives so leaves as it came,
    /// however the sink protects what it sends; of its RTCP nothing behind the first eight bytes is
    /// checked, read or stripped. As the way to send it adds nothing to plain packets, and nothing
    /// that was decrypted leaves by it.
    EndToEnd,
    /// SRTP and SRTCP with keys that are not known yet: dropped with [`Reason::NoKeys`].
    ///
    /// [`Reason::NoKeys`]: patchcord_contract::Reason::NoKeys
    Pending,
    /// SRTP and SRTCP with these keys. As long as a Spec comes with equal keys their state (rollover
    /// counters, replay windows) is kept; with others it begins anew.
    Srtp(Arc<Keys>),
}

/// What arrives at a port beside media: the protocols by which the peer proves itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshakes {
    /// What of it goes up to control; the rest is dropped.
    pub punts: Punts,
    /// Sources that passed a connectivity check (RFC 8445 §7.3). Their media is let in under
    /// [`Stranger::Validated`], and only their DTLS is.
    pub validated: Box<[Endpoint]>,
}

/// Which protocols go up to control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Punts {
    /// None.
    #[default]
    Nothing,
    /// STUN: the port has an ICE agent.
    Stun,
    /// DTLS: the port makes its own keys.
    Dtls,
    /// Both.
    Both,
}

impl Punts {
    /// Whether a protocol is among them.
    pub const fn has(self, class: PuntClass) -> bool {
        match (self, class) {
            (Self::Stun | Self::Both, PuntClass::Stun)
            | (Self::Dtls | Self::Both, PuntClass::Dtls) => true,
            (Self::Nothing, _) | (Self::Stun, PuntClass::Dtls) | (Self::Dtls, PuntClass::Stun) => {
                false
            }
        }
    }
}

/// What goes up to control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PuntClass {
    /// A STUN message (RFC 8489).
    Stun,
    /// DTLS records (RFC 5764 §5.1.2).
    Dtls,
}

/// RTP clock rates in Hz by payload type, from `a=rtpmap`; jitter is measured in their units. What is
/// not listed has its static rate (RFC 3551 §6), else 8000.
pub type Clocks = SmallVec<[(u8, u32); 4]>;

/// RTCP feedback towards a sink (RFC 4585).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feedback {
    /// The far profile carries feedback: everything passes.
    #[default]
    Keep,
    /// The far profile is plain AVP: transport and payload feedback (RTPFB, PSFB) are cut out.
    Strip,
}

/// One outgoing half of a flow. The packet leaves from `via`, towards the peer of the flow at `via`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sink {
    /// The local port that the packet leaves from; same worker as the flow's own port.
    pub via: PortId,
    /// Which RTCP the far side takes.
    pub feedback: Feedback,
    /// Which of the flow's edits is made on the way.
    pub edit: Option<EditId>,
}

/// Sinks of a flow: one in an ordinary call, several in a forked or subscribed one.
pub type Sinks = SmallVec<[Sink; 1]>;

/// Whose RTCP the peer of a port gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reporting {
    /// The other peers': it is relayed.
    #[default]
    Relayed,
    /// Ours, from another port. What arrives here is read and goes no further.
    Elsewhere,
    /// Ours, from this port. What arrives here is read and goes no further.
    Here(Arc<Reports>),
}

/// RTCP of our own (RFC 3550 §6.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reports {
    /// The port of the RTP that is reported on: what arrives there, and what leaves from there.
    pub rtp: PortId,
    /// The shortest time between two; up to a second is added.
    pub interval: Duration,
    /// What the peer knows us by.
    pub cname: [u8; 16],
}

/// What enters at one local port and where it goes.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The ingress port.
    pub port: PortId,
    /// What is accepted there.
    pub accepts: Accepts,
    /// From whom.
    pub admission: Admission,
    /// What else arrives there, and what it has proven.
    pub handshakes: Handshakes,
    /// How what arrives at this port is protected.
    pub receive: Security,
    /// How what leaves from this port is protected.
    pub send: Security,
    /// The clock rates of what the peer sends.
    pub clocks: Clocks,
    /// Where RTP (or opaque bytes) goes. Empty: dropped with `no_sink`.
    pub rtp: Sinks,
    /// Where RTCP goes. Empty: dropped with `unwanted_rtcp`.
    pub rtcp: Sinks,
    /// Whose RTCP the peer gets. Where [`Self::receive`] or [`Self::send`] is not ours to open or seal,
    /// and at opaque ports, RTCP is relayed whatever this says.
    pub reporting: Reporting,
    /// Several sections on the port, and what they need elsewhere.
    pub bundle: Option<Box<Bundle>>,
    /// Further ports that lead here, if there are any.
    pub doors: Option<Box<Doors>>,
    /// TOS byte of what leaves from this port.
    pub tos: u8,
    /// Media is blocked by command: consumed, counted, not forwarded.
    pub blocked: bool,
    /// The configured interface the port belongs to: an index into the worker's counters.
    pub interface: u8,
    /// The counters, written by the worker and read by control.
    pub stats: Arc<PortStats>,
}

/// Further ports of a flow: the same component of a section at other addresses of ours (RFC 8445 §5.1.1.1).
/// They have no flows of their own, so whichever the peer uses, streams, keys and counters go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doors {
    /// What arrives at these is as if it had arrived at the flow's own port; same worker.
    pub ports: Box<[PortId]>,
    /// Where its packets leave: its own port, one of these, or the one that it lodges behind.
    pub leaves: PortId,
    /// Flows of other ports that have their peers here.
    pub lodgers: Box<[Lodger]>,
}

/// A flow whose peer was told a port of another one: sections that were offered one transport, and answered with
/// one each (RFC 9143 §7.3.3). Its packets arrive there and leave from there; who sends tells them apart, else
/// what they say of themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lodger {
    /// Its own port, which no peer knows; same worker.
    pub port: PortId,
    /// Payload types that nobody else has who is reached there.
    pub types: PayloadTypes,
    /// Streams that its peer declared.
    pub ssrcs: SmallVec<[u32; 4]>,
}

impl Spec {
    /// The port that packets for the peer leave from.
    pub fn leaves(&self) -> PortId {
        self.doors
            .as_deref()
            .map_or(self.port, |doors| doors.leaves)
    }

    /// Whether other flows have their peers at the port.
    pub fn has_lodgers(&self) -> bool {
        let doors = self.doors.as_deref();
        doors.is_some_and(|doors| !doors.lodgers.is_empty())
    }

    /// Several sections on the port, if there are several.
    pub fn split(&self) -> Option<&Bundle> {
        self.bundle
            .as_deref()
            .filter(|bundle| bundle.parts.len() > 1)
    }

    /// Every sink of RTCP, whichever section it is for.
    pub fn rtcp_sinks(&self) -> impl Iterator<Item = &Sink> {
        let parts = self.split().map(|bundle| bundle.parts.iter());
        let own = if parts.is_none() { &self.rtcp[..] } else { &[] };
        own.iter()
            .chain(parts.into_iter().flatten().flat_map(|part| &part.rtcp))
    }
}

impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        self.port == other.port
            && self.accepts == other.accepts
            && self.admission == other.admission
            && self.handshakes == other.handshakes
            && self.receive == other.receive
            && self.send == other.send
            && self.clocks == other.clocks
            && self.rtp == other.rtp
            && self.rtcp == other.rtcp
            && self.reporting == other.reporting
            && self.bundle == other.bundle
            && self.doors == other.doors
            && self.tos == other.tos
            && self.blocked == other.blocked
            && self.interface == other.interface
            && Arc::ptr_eq(&self.stats, &other.stats)
    }
}

/// What control tells the worker that owns the port.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Creates the port's flow, or changes it and keeps what run state still applies. Control and the
    /// worker have the same Spec.
    Set(Arc<Spec>),
    /// Removes the port's flow; the port itself stays open and rests.
    Clear(PortId),
    /// Sends a datagram of control's own. The plane knows nothing of it: it is for who has the sockets.
    Send {
        /// The port it leaves from.
        port: PortId,
        /// Where it goes.
        to: Endpoint,
        /// The datagram.
        bytes: Box<[u8]>,
    },
}

impl Command {
    /// The port the command is about.
    pub fn port(&self) -> PortId {
        match self {
            Self::Set(spec) => spec.port,
            Self::Clear(port) | Self::Send { port, .. } => *port,
        }
    }
}

/// The two directions of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What arrives.
    Receive,
    /// What leaves.
    Send,
}

/// What a worker tells control.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A datagram that is control's to answer. How many there are is bounded for each port and for
    /// the worker, by protocol ([`crate::punt`]).
    Punted {
        /// The port it came in at.
        port: PortId,
        /// Where it came from.
        source: Endpoint,
        /// What it is.
        class: PuntClass,
        /// When.
        at: Time,
        /// The datagram, at most [`crate::punt::LONGEST`] bytes.
        bytes: Box<[u8]>,
    },
    /// The flow at `port` now sends to `peer`, because that is where its packets come from.
    Latched {
        /// The port whose flow latched.
        port: PortId,
        /// The source it latched to.
        peer: Endpoint,
        /// The admission epoch it latched in, so that a stale event is recognised.
        epoch: u32,
        /// When.
        at: Time,
        /// Whether the choice is final (the learning window is over), or may still improve.
        settled: bool,
    },
    /// Of the packets that arrived at `port` none has authenticated so far; told once for its keys.
    Unauthentic {
        /// The port.
        port: PortId,
        /// The likely cause.
        cause: Cause,
        /// When.
        at: Time,
    },
    /// A key at `port` has protected as many packets as it may; what comes now is dropped until there
    /// is another. Told once for each key.
    KeyExpired {
        /// The port.
        port: PortId,
        /// Whose key.
        side: Side,
        /// When.
        at: Time,
    },
    /// The flow at `port` dropped a forwarding loop's packets.
    Looped {
        /// The port.
        port: PortId,
        /// When.
        at: Time,
    },
}
