//! Candidates, ours and the peer's (RFC 8445 §5.1; names and TCP are skipped).

use std::hash::BuildHasher;
use std::net::IpAddr;

use patchcord_contract::{Addr, Endpoint};
use patchcord_wire::sdp;
use rustc_hash::FxBuildHasher;

use super::ListId;

/// A local candidate of an agent, in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(pub(super) u16);

/// RTP or RTCP half of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// 1: RTP, or all under rtcp-mux.
    Rtp,
    /// 2: RTCP.
    Rtcp,
}

impl Component {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Rtp, Self::Rtcp];

    /// Its number in SDP.
    pub const fn number(self) -> u16 {
        match self {
            Self::Rtp => 1,
            Self::Rtcp => 2,
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// How a candidate came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateType {
    /// An address of the host itself.
    Host,
    /// Seen by a STUN server.
    ServerReflexive,
    /// Seen by the peer.
    PeerReflexive,
    /// Leased from a TURN server.
    Relayed,
}

impl CandidateType {
    /// The type preference (RFC 8445 §5.1.2.2).
    const fn preference(self) -> u32 {
        match self {
            Self::Host => 126,
            Self::PeerReflexive => 110,
            Self::ServerReflexive => 100,
            Self::Relayed => 0,
        }
    }

    /// Its word in SDP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
        }
    }
}

/// RFC 8445 §5.1.2.1.
const fn priority(kind: CandidateType, preference: u16, component: Component) -> u32 {
    kind.preference() << 24 | (preference as u32) << 8 | (256 - component.number() as u32)
}

/// Where a local candidate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it is sent from.
    pub base: Endpoint,
    /// What the peer is told: the base, or the address that stands for it outside.
    pub advertised: Endpoint,
    /// Host, or relayed for those who want to be told so.
    pub kind: CandidateType,
    /// Higher is better; distinct among the candidates of a component.
    pub preference: u16,
}

/// What SDP says of a local candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Which one.
    pub id: LocalId,
    /// Equal for candidates that live and die together.
    pub foundation: u16,
    /// RTP or RTCP.
    pub component: Component,
    /// What we think of it.
    pub priority: u32,
    /// Where.
    pub place: Place,
}

/// One of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    pub(super) list: ListId,
    pub(super) component: Component,
    pub(super) place: Place,
    pub(super) foundation: u16,
    pub(super) fate: Fate,
}

/// Whether a local candidate is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Alive,
    Retired,
}

impl Local {
    pub(super) const fn priority(&self) -> u32 {
        priority(self.place.kind, self.place.preference, self.component)
    }

    /// What the peer should give a candidate that it learns from our check (RFC 8445 §7.1.1).
    pub(super) const fn reflexive_priority(&self) -> u32 {
        let kind = CandidateType::PeerReflexive;
        priority(kind, self.place.preference, self.component)
    }

    /// Whether a candidate of the peer can be reached from this one (RFC 8445 §6.1.2.2).
    pub(super) fn reaches(&self, remote: &Candidate) -> bool {
        let (ours, theirs) = (self.place.base.addr, remote.endpoint.addr);
        self.fate == Fate::Alive
            && self.component == remote.component
            && ours.is_v4() == theirs.is_v4()
            && is_link_local(ours) == is_link_local(theirs)
    }
}

/// One of the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// RTP or RTCP.
    pub component: Component,
    /// Where.
    pub endpoint: Endpoint,
    /// How it came about.
    pub kind: CandidateType,
    /// What the peer thinks of it.
    pub priority: u32,
    /// Equal for candidates that live and die together: a digest of the text.
    pub foundation: u64,
}

/// Why a candidate line is of no use, which is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skipped {
    /// Not UDP.
    Transport,
    /// A name, such as `….local`.
    Name,
    /// Neither RTP nor RTCP.
    Component,
    /// Nothing that a datagram could be sent to.
    Address,
}

impl Candidate {
    /// Reads a candidate line.
    pub fn read(line: &sdp::Candidate<'_>) -> Result<Self, Skipped> {
        if !line.is_udp() {
            return Err(Skipped::Transport);
        }
        let component = match line.component {
            1 => Component::Rtp,
            2 => Component::Rtcp,
            _ => return Err(Skipped::Component),
        };
        let ip = line.host.ip().ok_or(Skipped::Name)?;
        let endpoint = Endpoint::new(ip, line.port);
        if !endpoint.is_sendable() || !is_unicast(ip) {
            return Err(Skipped::Address);
        }
        let kind = match line.kind {
            sdp::CandidateKind::Host | sdp::CandidateKind::Other(_) => CandidateType::Host,
            sdp::CandidateKind::ServerReflexive => CandidateType::ServerReflexive,
            sdp::CandidateKind::PeerReflexive => CandidateType::PeerReflexive,
            sdp::CandidateKind::Relayed => CandidateType::Relayed,
        };
        Ok(Self {
            component,
            endpoint,
            kind,
            priority: line.priority,
            foundation: FxBuildHasher.hash_one(line.foundation),
        })
    }

    /// A candidate learnt from a check (RFC 8445 §7.3.1.3): its foundation is nobody else's.
    pub(super) fn learnt(component: Component, endpoint: Endpoint, priority: u32) -> Self {
        Self {
            component,
            endpoint,
            kind: CandidateType::PeerReflexive,
            priority,
            foundation: FxBuildHasher.hash_one(endpoint),
        }
    }
}

fn is_unicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_multicast(),
    }
}

fn is_link_local(addr: Addr) -> bool {
    match addr.ip() {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}
