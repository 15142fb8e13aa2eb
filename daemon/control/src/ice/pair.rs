//! A pair of candidates and how far its checks came (RFC 8445 §6.1.2).

use patchcord_contract::{Endpoint, Time};
use patchcord_wire::stun::TransactionId;

use super::candidate::Local;
use super::check::Check;
use super::consent::Consent;
use super::{Candidate, Component, LocalId, QUIET, Role};

/// Our candidate and the peer's.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) local: LocalId,
    pub(super) component: Component,
    pub(super) remote: Endpoint,
    pub(super) foundation: Foundation,
    pub(super) state: State,
    pub(super) nomination: Nomination,
    /// The check under way.
    pub(super) check: Option<Box<Check>>,
    /// A check given up for a newer one; a response to it is good all the same.
    pub(super) cancelled: Option<TransactionId>,
    /// While it is the pair in use.
    pub(super) consent: Option<Box<Consent>>,
    /// When the peer last checked it.
    pub(super) heard: Option<Time>,
    /// Whether the peer checked it without nominating: who nominates such a pair has chosen it.
    pub(super) weighed: Weighed,
    /// When the peer of a lite agent chose it, and when it last checked it after that, if it goes on checking.
    pub(super) chosen: Option<Time>,
    pub(super) renewed: Option<Time>,
    /// When the peer last answered a check.
    pub(super) proven: Option<Time>,
    /// Priorities of our candidate and of theirs.
    ours: u32,
    theirs: u32,
}

/// Pairs of equal foundation likely work or fail together.
pub(super) type Foundation = (u16, u64);

/// How far its checks came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Frozen,
    Waiting,
    InProgress,
    Succeeded,
    Failed,
}

/// Whether a peer tells its checks from its nominations (regular nomination), or nominates whatever
/// it checks (aggressive nomination, RFC 5245 §8.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weighed {
    No,
    Yes,
}

/// Whether it is the one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nomination {
    No,
    /// The peer nominated it before our own check succeeded.
    Wanted,
    /// We nominate it: its next check says so.
    Proposed,
    Done,
}

impl Pair {
    pub(super) fn new(local: LocalId, ours: &Local, theirs: &Candidate) -> Self {
        Self {
            local,
            component: ours.component,
            remote: theirs.endpoint,
            foundation: (ours.foundation, theirs.foundation),
            state: State::Frozen,
            nomination: Nomination::No,
            check: None,
            cancelled: None,
            consent: None,
            heard: None,
            weighed: Weighed::No,
            chosen: None,
            renewed: None,
            proven: None,
            ours: ours.priority(),
            theirs: theirs.priority,
        }
    }

    /// RFC 8445 §6.1.2.3. Both sides compute the same.
    pub(super) fn priority(&self, role: Role) -> u64 {
        let (g, d) = match role {
            Role::Controlling => (self.ours, self.theirs),
            Role::Controlled => (self.theirs, self.ours),
        };
        let (low, high) = (u64::from(g.min(d)), u64::from(g.max(d)));
        (low << 32).saturating_add(2 * high + u64::from(g > d))
    }

    /// The peer's candidate is named, or named anew.
    pub(super) fn rename(&mut self, theirs: &Candidate) {
        self.theirs = theirs.priority;
        self.foundation.1 = theirs.foundation;
    }

    /// Gives the check under way up; its response is still welcome.
    pub(super) fn cancel(&mut self) {
        if let Some(check) = self.check.take() {
            self.cancelled = Some(check.id);
        }
    }

    /// Whether it may yet succeed.
    pub(super) const fn is_pending(&self) -> bool {
        matches!(
            self.state,
            State::Frozen | State::Waiting | State::InProgress
        )
    }

    /// Whether the peer answered a check of ours lately.
    pub(super) fn is_proven(&self, now: Time) -> bool {
        self.proven.is_some_and(|proven| now.since(proven) < QUIET)
    }

    /// Whether a response of this transaction is about this pair.
    pub(super) fn awaits(&self, id: TransactionId) -> bool {
        self.check.as_ref().is_some_and(|check| check.id == id)
            || self.cancelled == Some(id)
            || self.consent.as_ref().is_some_and(|c| c.asked(id))
    }
}
