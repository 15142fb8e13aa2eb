//! What an operator is shown of an agent.

use patchcord_contract::Endpoint;

use super::pair::{Nomination, Pair, State};
use super::session::Trickle;
use super::{Agent, Component, ListId, Mode};

/// A pair as an operator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairView {
    /// RTP or RTCP.
    pub component: Component,
    /// What the peer was told of our end.
    pub local: Endpoint,
    /// The peer's end.
    pub remote: Endpoint,
    /// How far it came.
    pub state: PairState,
}

/// How far a pair came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairState {
    /// Another pair that resembles it is tried first.
    Frozen,
    /// To be checked.
    Waiting,
    /// Being checked.
    InProgress,
    /// Its check succeeded.
    Succeeded,
    /// Chosen.
    Nominated,
    /// Its check failed, or its consent expired.
    Failed,
}

impl PairState {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Waiting => "waiting",
            Self::InProgress => "in progress",
            Self::Succeeded => "succeeded",
            Self::Nominated => "nominated",
            Self::Failed => "failed",
        }
    }

    fn of(pair: &Pair) -> Self {
        match pair.state {
            State::Frozen => Self::Frozen,
            State::Waiting => Self::Waiting,
            State::InProgress => Self::InProgress,
            State::Succeeded if pair.nomination == Nomination::Done => Self::Nominated,
            State::Succeeded => Self::Succeeded,
            State::Failed => Self::Failed,
        }
    }
}

impl Agent {
    /// The pairs of a section, those of the session before a restart behind the others.
    pub fn pairs(&self, list: ListId) -> impl Iterator<Item = PairView> {
        let pairs = self.list(list).sessions().flat_map(|s| &s.pairs);
        pairs.map(|pair| PairView {
            component: pair.component,
            local: self.locals[usize::from(pair.local.0)].place.advertised,
            remote: pair.remote,
            state: PairState::of(pair),
        })
    }

    /// What a section waits for, in words; `None` once every component has a nominated pair.
    pub fn waits_for(&self, list: ListId) -> Option<&'static str> {
        let list = self.list(list);
        let session = &list.current;
        // Before it is agreed that RTCP is muxed the peer may have named nothing for it.
        let known = |c: &Component| session.pairs.iter().any(|pair| pair.component == *c);
        let mut known = list.components().filter(known).peekable();
        let is_checked = known.peek().is_some() && known.all(|c| list.selected(c).is_some());
        let open = session.trickle == Trickle::Open;
        if list.is_connected() {
            None
        } else if session.theirs.is_none() {
            Some("the peer's credentials")
        } else if self.mode == Mode::Lite {
            let was_chosen = session.pairs.iter().any(|pair| pair.chosen.is_some());
            let is_heard = session.pairs.iter().any(|pair| pair.heard.is_some());
            Some(match (was_chosen, is_heard) {
                (true, _) => "the peer: it has stopped checking",
                (false, true) => "a check of the peer that nominates",
                (false, false) => "a check of the peer: none has come",
            })
        } else if is_checked {
            Some("a nomination")
        } else if session.pairs.iter().any(Pair::is_pending) {
            Some("checks under way")
        } else if session.pairs.is_empty() && open {
            Some("a candidate of the peer")
        } else {
            Some("a check of the peer: none of ours was answered")
        }
    }
}
