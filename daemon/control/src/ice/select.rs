//! Which of the valid pairs is used: nomination and selection (RFC 8445 §8).

use patchcord_contract::Time;

use super::agent::Turn;
use super::consent::Consent;
use super::pair::{Nomination, Pair, State, Weighed};
use super::session::{Choice, Session, Trickle};
use super::{CONSENT, Component, GRACE, Mode, Role, STALE};

impl Session {
    /// A pair passed its check: it is used while nothing better is known.
    pub(super) fn validate(&mut self, turn: &mut Turn<'_>, at: usize, role: Role) {
        let component = self.pairs[at].component;
        let half = &mut self.halves[component.index()];
        half.first.get_or_insert(turn.now);
        let half = *half;
        let better =
            |other: usize| self.pairs[at].priority(role) > self.pairs[other].priority(role);
        let quiet = |other: usize| !self.pairs[other].is_proven(turn.now);
        match (half.choice, half.selected) {
            (Choice::Open, selected) if selected.is_none_or(better) => {
                self.select(turn, at, Mode::Full);
            }
            (_, Some(selected)) if quiet(selected) => {
                self.halves[component.index()].choice = Choice::Open;
                self.select(turn, at, Mode::Full);
            }
            _ => {}
        }
    }

    /// The controlling side has chosen a pair. A later choice counts more than an earlier one. Of pairs
    /// that were never checked without being nominated the best counts (aggressive nomination), unless
    /// the peer has stopped checking it: then it has moved.
    pub(super) fn nominate(&mut self, turn: &mut Turn<'_>, at: usize, mode: Mode, role: Role) {
        self.pairs[at].nomination = Nomination::Done;
        let component = self.pairs[at].component;
        let half = *self.half(component);
        let stays = half.choice == Choice::Made
            && half.selected.is_some_and(|other| {
                other != at
                    && self.pairs[at].weighed == Weighed::No
                    && self.pairs[other].priority(role) > self.pairs[at].priority(role)
                    && is_checked(&self.pairs[other], turn.now)
            });
        if stays {
            return;
        }
        self.halves[component.index()].choice = Choice::Made;
        self.select(turn, at, mode);
        self.conclude(component, at, role);
    }

    /// Whether the controlling side may nominate for a component now, and which pair.
    pub(super) fn nominee(&self, now: Time, component: Component, role: Role) -> Option<usize> {
        let half = self.half(component);
        if half.choice == Choice::Made || self.is_proposing(component) {
            return None;
        }
        let best = half.selected?;
        let waited = half.first.is_none_or(|first| now.since(first) >= GRACE);
        (waited || (self.trickle == Trickle::Ended && self.is_best(best, role))).then_some(best)
    }

    /// When [`Self::nominee`] is worth a look, though nothing else happens.
    pub(super) fn grace(&self, component: Component) -> Option<Time> {
        let half = self.half(component);
        let open =
            half.choice == Choice::Open && half.selected.is_some() && !self.is_proposing(component);
        half.first.filter(|_| open).map(|first| first + GRACE)
    }

    /// The pair in use is lost; the next best valid one takes over.
    pub(super) fn lose(&mut self, turn: &mut Turn<'_>, at: usize, role: Role) {
        let component = self.pairs[at].component;
        self.fail(at);
        if self.half(component).selected.is_some() {
            return;
        }
        let fresh = |pair: &Pair| {
            pair.component == component
                && pair.state == State::Succeeded
                && pair
                    .proven
                    .is_some_and(|proven| turn.now.since(proven) < CONSENT)
        };
        let valid = self.pairs.iter().enumerate().filter(|(_, p)| fresh(p));
        let next = valid.max_by_key(|(_, p)| (p.nomination == Nomination::Done, p.priority(role)));
        if let Some((next, pair)) = next {
            if pair.nomination == Nomination::Done {
                self.halves[component.index()].choice = Choice::Made;
            }
            self.select(turn, next, Mode::Full);
        }
    }

    /// When pairs in use are lost whose peer stops checking them.
    pub(super) fn missed_at(&self) -> impl Iterator<Item = Time> {
        let used = self.halves.iter().filter_map(|half| half.selected);
        used.filter_map(|at| Some(self.pairs[at].renewed? + CONSENT))
    }

    /// Pairs in use whose peer has stopped checking them are lost, until it checks again.
    pub(super) fn miss(&mut self, now: Time) {
        for half in &mut self.halves {
            let used = half.selected.map(|at| &mut self.pairs[at]);
            let is_over = |pair: &Pair| pair.renewed.is_some_and(|last| last + CONSENT <= now);
            if let Some(pair) = used.filter(|pair| is_over(pair)) {
                pair.renewed = None;
                half.selected = None;
                half.choice = Choice::Open;
            }
        }
    }

    /// Has what the peer uses instead of a quiet pair checked: it may have moved.
    pub(super) fn seek_rivals(&mut self, now: Time, quiet: usize) {
        let pair = &self.pairs[quiet];
        if pair.is_proven(now) {
            return;
        }
        let (component, heard) = (pair.component, pair.heard);
        let rival = |pair: &Pair| {
            pair.component == component && pair.state == State::Succeeded && pair.heard > heard
        };
        for at in 0..self.pairs.len() {
            if rival(&self.pairs[at]) {
                self.trigger(at);
            }
        }
    }

    fn select(&mut self, turn: &mut Turn<'_>, at: usize, mode: Mode) {
        let component = self.pairs[at].component;
        let before = self.halves[component.index()].selected.replace(at);
        if before == Some(at) {
            return;
        }
        if let Some(before) = before {
            self.pairs[before].consent = None;
        }
        let pair = &mut self.pairs[at];
        let proven = pair.proven.unwrap_or(turn.now);
        pair.consent = match mode {
            Mode::Full => Some(Box::new(Consent::new(turn.now, proven, turn.random))),
            Mode::Lite => None,
        };
    }

    /// Nothing but the chosen pair needs further checks, unless the peer asks (RFC 8445 §8.1.2).
    fn conclude(&mut self, component: Component, chosen: usize, role: Role) {
        let priority = self.pairs[chosen].priority(role);
        for (at, pair) in self.pairs.iter_mut().enumerate() {
            if at == chosen || pair.component != component || !pair.is_pending() {
                continue;
            }
            if pair.state == State::InProgress && pair.priority(role) > priority {
                continue;
            }
            pair.cancel();
            pair.state = State::Frozen;
        }
        let Self {
            triggered, pairs, ..
        } = self;
        triggered.retain(|at| *at == chosen || pairs[*at].component != component);
    }

    /// Whether a nomination of ours is under way.
    fn is_proposing(&self, component: Component) -> bool {
        let mut pairs = self.pairs.iter();
        pairs.any(|p| p.component == component && p.nomination == Nomination::Proposed)
    }

    /// Whether no better pair may still turn out to be valid.
    fn is_best(&self, best: usize, role: Role) -> bool {
        let best = &self.pairs[best];
        let same = self.pairs.iter().filter(|p| p.component == best.component);
        let mut pending = same.filter(|pair| pair.is_pending());
        pending.all(|pair| pair.priority(role) < best.priority(role))
    }
}

fn is_checked(pair: &Pair, now: Time) -> bool {
    pair.heard.is_some_and(|heard| now.since(heard) < STALE)
}
