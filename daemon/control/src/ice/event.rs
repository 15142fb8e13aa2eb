//! What an agent gives: datagrams to send, and news.

use patchcord_contract::Endpoint;

use super::{Component, ListId, LocalId, Role};

/// Filled by an agent, emptied by its owner.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Datagrams, in order.
    pub transmits: Vec<Transmit>,
    /// News, in order.
    pub events: Vec<Event>,
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From which local candidate's base.
    pub local: LocalId,
    /// To where.
    pub to: Endpoint,
    /// What.
    pub bytes: Box<[u8]>,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// What the component sends goes this way from now on.
    Selected {
        /// The section.
        list: ListId,
        /// RTP or RTCP.
        component: Component,
        /// Which way.
        pair: Selected,
    },
    /// Nothing may be sent any more: the pair's consent expired (RFC 7675 §5.1), or it is gone.
    Lost {
        /// The section.
        list: ListId,
        /// RTP or RTCP.
        component: Component,
    },
    /// A source has proven that it knows our password: what it sends at this candidate is the peer's.
    Admitted {
        /// The candidate that heard it.
        local: LocalId,
        /// The source.
        source: Endpoint,
    },
    /// All components of the section have a nominated pair.
    Connected {
        /// The section.
        list: ListId,
    },
    /// No pair works, and patience is over. A check of the peer may still turn it.
    Failed {
        /// The section.
        list: ListId,
    },
    /// A conflict of roles was resolved.
    RoleSwitched(Role),
}

/// The pair in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selected {
    /// From which local candidate.
    pub local: LocalId,
    /// To where.
    pub remote: Endpoint,
    /// How firmly.
    pub standing: Standing,
}

/// How firmly a pair is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Checked, and the best so far (RFC 8445 §12.1.1).
    Valid,
    /// Chosen by the controlling side.
    Nominated,
}
