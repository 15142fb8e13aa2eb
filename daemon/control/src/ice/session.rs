//! What belongs to one pair of credentials of a section: candidates, pairs, the pair in use.

use std::collections::VecDeque;

use patchcord_contract::{Endpoint, Time};

use super::candidate::Local;
use super::pair::{Foundation, Nomination, Pair, State};
use super::{
    Candidate, Component, Credentials, ListId, LocalId, MAX_LEARNT, MAX_PAIRS, MAX_REMOTES, Role,
};

/// A generation of a checklist; an ICE restart begins another.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) ours: Credentials,
    pub(super) theirs: Option<Credentials>,
    /// Named ones first in time, learnt ones among them.
    remotes: Vec<Candidate>,
    pub(super) trickle: Trickle,
    pub(super) pairs: Vec<Pair>,
    /// Pairs to be checked before all others, first come first served.
    pub(super) triggered: VecDeque<usize>,
    /// Who checked us before the peer's credentials were known.
    pub(super) early: Vec<Early>,
    /// When the peer's credentials were known.
    pub(super) started: Option<Time>,
    pub(super) halves: [Half; 2],
}

/// Whether further candidates of the peer are to be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trickle {
    Open,
    Ended,
}

/// A component's choice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Half {
    /// The pair in use.
    pub(super) selected: Option<usize>,
    pub(super) choice: Choice,
    /// When the first pair turned out to be valid.
    pub(super) first: Option<Time>,
}

/// How firm a choice is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Choice {
    /// Any better pair takes over.
    #[default]
    Open,
    /// Nominated.
    Made,
}

/// An authenticated check that came before the peer's credentials.
#[derive(Clone, Debug)]
pub(super) struct Early {
    pub(super) local: LocalId,
    pub(super) source: Endpoint,
    pub(super) priority: u32,
    pub(super) wish: Wish,
    /// The peer's ufrag, by its own word.
    pub(super) ufrag: Box<[u8]>,
}

/// Whether a check of the peer nominates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    None,
    Nominate,
}

impl From<bool> for Wish {
    fn from(use_candidate: bool) -> Self {
        if use_candidate {
            Self::Nominate
        } else {
            Self::None
        }
    }
}

/// Whether a pair may take the place of a better one in a full checklist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Named in SDP.
    Named,
    /// The peer's check proves that it can reach us this way.
    Proven,
}

impl Session {
    pub(super) const fn new(ours: Credentials) -> Self {
        Self {
            ours,
            theirs: None,
            remotes: Vec::new(),
            trickle: Trickle::Open,
            pairs: Vec::new(),
            triggered: VecDeque::new(),
            early: Vec::new(),
            started: None,
            halves: [Half {
                selected: None,
                choice: Choice::Open,
                first: None,
            }; 2],
        }
    }

    pub(super) const fn half(&self, component: Component) -> &Half {
        &self.halves[component.index()]
    }

    /// Whether the peer has any candidate for RTCP.
    pub(super) fn has_remote_rtcp(&self) -> bool {
        let mut remotes = self.remotes.iter();
        remotes.any(|remote| remote.component == Component::Rtcp)
    }

    /// Takes a candidate that the peer named. One that is known already is named anew, so that what
    /// was learnt from checks gets its true priority.
    pub(super) fn name(
        &mut self,
        candidate: Candidate,
        locals: &[Local],
        list: ListId,
        role: Role,
    ) {
        if let Some(known) = self.remote(candidate.component, candidate.endpoint) {
            self.remotes[known] = candidate;
            let (component, endpoint) = (candidate.component, candidate.endpoint);
            let pairs = self.pairs.iter_mut();
            pairs
                .filter(|pair| (pair.component, pair.remote) == (component, endpoint))
                .for_each(|pair| pair.rename(&candidate));
        } else if self.remotes.len() < MAX_REMOTES {
            self.remotes.push(candidate);
            let ours = locals.iter().enumerate();
            for (at, local) in ours.filter(|(_, local)| local.list == list) {
                let id = LocalId(at as u16);
                self.join(id, local, &candidate, role, Urgency::Named);
            }
        }
    }

    /// Pairs a local candidate with all that the peer has named so far.
    pub(super) fn meet(&mut self, id: LocalId, local: &Local, role: Role) {
        for at in 0..self.remotes.len() {
            let candidate = self.remotes[at];
            self.join(id, local, &candidate, role, Urgency::Named);
        }
    }

    /// The pair that a check of the peer came by, made if there is none (RFC 8445 §7.3.1.3).
    pub(super) fn learn(
        &mut self,
        id: LocalId,
        local: &Local,
        source: Endpoint,
        priority: u32,
        role: Role,
    ) -> Option<usize> {
        let known = self.remote(local.component, source);
        let candidate = if let Some(at) = known {
            self.remotes[at]
        } else {
            if self.remotes.len() >= MAX_REMOTES + MAX_LEARNT {
                return None;
            }
            let learnt = Candidate::learnt(local.component, source, priority);
            self.remotes.push(learnt);
            learnt
        };
        self.join(id, local, &candidate, role, Urgency::Proven)
    }

    /// Forgets a local candidate: its pairs fail.
    pub(super) fn forget(&mut self, id: LocalId) {
        for at in 0..self.pairs.len() {
            if self.pairs[at].local == id {
                self.fail(at);
            }
        }
    }

    /// A pair that will not be used, unless the peer checks it again.
    pub(super) fn fail(&mut self, at: usize) {
        let pair = &mut self.pairs[at];
        pair.state = State::Failed;
        pair.nomination = Nomination::No;
        pair.check = None;
        pair.consent = None;
        self.triggered.retain(|queued| *queued != at);
        let half = &mut self.halves[self.pairs[at].component.index()];
        if half.selected == Some(at) {
            half.selected = None;
            half.choice = Choice::Open;
        }
    }

    /// Nominations that are not made are void.
    pub(super) fn forget_nominations(&mut self) {
        for pair in &mut self.pairs {
            if pair.nomination != Nomination::Done {
                pair.nomination = Nomination::No;
            }
        }
    }

    /// Has a pair checked before all others.
    pub(super) fn trigger(&mut self, at: usize) {
        if !self.triggered.contains(&at) {
            self.triggered.push_back(at);
        }
    }

    /// Other pairs of that foundation need not wait any longer (RFC 8445 §7.2.5.3.3).
    pub(super) fn unfreeze(&mut self, foundation: Foundation) {
        let frozen = self.pairs.iter_mut().filter(|p| p.state == State::Frozen);
        for pair in frozen.filter(|pair| pair.foundation == foundation) {
            pair.state = State::Waiting;
        }
    }

    /// Foundations that are being tried: frozen pairs of these wait.
    pub(super) fn busy(&self) -> impl Iterator<Item = Foundation> {
        let tried = |pair: &&Pair| matches!(pair.state, State::Waiting | State::InProgress);
        self.pairs.iter().filter(tried).map(|pair| pair.foundation)
    }

    /// Whether the peer is known to be there.
    pub(super) fn knows(&self, endpoint: Endpoint) -> bool {
        self.remotes.iter().any(|known| known.endpoint == endpoint)
    }

    fn remote(&self, component: Component, endpoint: Endpoint) -> Option<usize> {
        let same = |known: &Candidate| (known.component, known.endpoint) == (component, endpoint);
        self.remotes.iter().position(same)
    }

    /// The pair of two candidates, made if they can reach each other and there is room.
    fn join(
        &mut self,
        id: LocalId,
        local: &Local,
        remote: &Candidate,
        role: Role,
        urgency: Urgency,
    ) -> Option<usize> {
        let same = |pair: &Pair| (pair.local, pair.remote) == (id, remote.endpoint);
        if let Some(known) = self.pairs.iter().position(same) {
            return Some(known);
        }
        if !local.reaches(remote) {
            return None;
        }
        let pair = Pair::new(id, local, remote);
        if self.pairs.len() < MAX_PAIRS {
            self.pairs.push(pair);
            return Some(self.pairs.len() - 1);
        }
        let at = self.dispensable(role)?;
        let worse = self.pairs[at].priority(role) < pair.priority(role);
        if !worse && urgency == Urgency::Named && self.pairs[at].state != State::Failed {
            return None;
        }
        self.triggered.retain(|queued| *queued != at);
        self.pairs[at] = pair;
        Some(at)
    }

    /// The pair that is missed least: a failed one, else the one of lowest priority that was not tried.
    fn dispensable(&self, role: Role) -> Option<usize> {
        let unused = self.pairs.iter().enumerate().filter(|(_, pair)| {
            pair.check.is_none() && pair.state != State::Succeeded && pair.heard.is_none()
        });
        unused
            .min_by_key(|(_, pair)| (pair.state != State::Failed, pair.priority(role)))
            .map(|(at, _)| at)
    }
}
