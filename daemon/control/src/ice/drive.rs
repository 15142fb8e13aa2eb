//! What time does: retransmission, consent, nomination, the next check at its pace (RFC 8445 §6.1.4.2).

use std::time::Duration;

use patchcord_contract::Time;

use super::agent::Turn;
use super::check::{Check, Claims, Due, Nominates, request, transaction};
use super::checklist::{Checklist, Outcome};
use super::event::{Event, Transmit};
use super::pair::{Foundation, Nomination, State};
use super::session::{Choice, Session};
use super::{Agent, Component, ListId, Mode, PACE, PATIENCE, RTO, Role};

/// What a session needs to know of its agent to send.
#[derive(Clone, Copy, Debug)]
struct Voice {
    role: Role,
    tie: u64,
    rto: Duration,
}

impl Agent {
    /// Does what is due; at most one new check, at its pace.
    pub(super) fn drive(&mut self, turn: &mut Turn<'_>) {
        match self.mode {
            Mode::Full => {
                self.expire(turn);
                self.ask(turn);
                if self.role == Role::Controlling {
                    self.propose(turn.now);
                }
                self.check(turn);
                self.lose_patience(turn);
            }
            Mode::Lite if self.peer == Mode::Lite => self.trust(turn),
            Mode::Lite => {
                self.miss(turn.now);
                self.lose_patience(turn);
            }
        }
        self.report(turn.out);
    }

    /// When [`Self::tick`] has to be called, unless something else happens before.
    pub fn next(&self) -> Option<Time> {
        if self.mode == Mode::Lite && self.peer == Mode::Lite {
            return None;
        }
        let checks = (0..self.lists.len())
            .any(|at| self.mode == Mode::Full && self.pick(at).is_some())
            .then_some(self.pace);
        let timers = self.lists.iter().filter_map(|list| self.timer(list));
        checks.into_iter().chain(timers).min()
    }

    fn timer(&self, list: &Checklist) -> Option<Time> {
        let pairs = list.sessions().flat_map(|session| &session.pairs);
        let pairs = pairs.flat_map(|pair| {
            let consent = pair.consent.as_deref();
            let check = pair.check.as_deref().map(|check| check.due);
            check
                .into_iter()
                .chain(consent.into_iter().flat_map(|c| [c.next, c.until]))
        });
        let graces = Component::ALL
            .into_iter()
            .filter(|_| self.role == Role::Controlling)
            .filter_map(|component| list.current.grace(component));
        let patience = deadline(list);
        let missed = list.sessions().flat_map(Session::missed_at);
        pairs.chain(graces).chain(patience).chain(missed).min()
    }

    /// Checks that are over are repeated or given up, pairs whose consent has expired are left.
    fn expire(&mut self, turn: &mut Turn<'_>) {
        let role = self.role;
        let sessions = self.lists.iter_mut().flat_map(Checklist::sessions_mut);
        for session in sessions {
            for at in 0..session.pairs.len() {
                let pair = &mut session.pairs[at];
                let expired = pair.consent.as_ref().is_some_and(|c| c.until <= turn.now);
                let due = pair.check.as_mut().and_then(|check| check.due(turn.now));
                if expired || due == Some(Due::Over) {
                    session.lose(turn, at, role);
                } else if due == Some(Due::Again)
                    && let Some(check) = &pair.check
                {
                    turn.out.transmits.push(Transmit {
                        local: pair.local,
                        to: pair.remote,
                        bytes: check.bytes.clone(),
                    });
                }
            }
        }
    }

    /// A lite agent asks nobody for consent. A peer that kept it fresh and has stopped is gone (RFC 7675 §5.1 seen
    /// from the other end); one that never did, as before RFC 7675, is believed to stay.
    fn miss(&mut self, now: Time) {
        let sessions = self.lists.iter_mut().flat_map(Checklist::sessions_mut);
        sessions.for_each(|session| session.miss(now));
    }

    /// Asks for consent where it is time to.
    fn ask(&mut self, turn: &mut Turn<'_>) {
        let voice = self.voice();
        let locals = &self.locals;
        let sessions = self.lists.iter_mut().flat_map(Checklist::sessions_mut);
        for session in sessions {
            for at in 0..session.pairs.len() {
                let consent = session.pairs[at].consent.as_deref();
                if consent.is_some_and(|consent| consent.next <= turn.now) {
                    let local = &locals[usize::from(session.pairs[at].local.0)];
                    session.ask(turn, at, local.reflexive_priority(), voice);
                    session.seek_rivals(turn.now, at);
                }
            }
        }
    }

    /// Nominates where there is something to nominate.
    fn propose(&mut self, now: Time) {
        for list in &mut self.lists {
            for component in list.components() {
                let session = &mut list.current;
                if let Some(at) = session.nominee(now, component, Role::Controlling) {
                    let pair = &mut session.pairs[at];
                    pair.nomination = Nomination::Proposed;
                    pair.cancel();
                    session.triggered.push_front(at);
                }
            }
        }
    }

    /// Sends the next check, if it is time to; sections take turns.
    fn check(&mut self, turn: &mut Turn<'_>) {
        if turn.now < self.pace {
            return;
        }
        let count = self.lists.len();
        let next = (0..count)
            .map(|step| (self.turn + step) % count)
            .find_map(|list| Some((list, self.pick(list)?)));
        let Some((list, at)) = next else { return };
        self.turn = (list + 1) % count;
        self.pace = turn.now + PACE;
        let voice = self.voice();
        let session = &mut self.lists[list].current;
        let local = self.locals[usize::from(session.pairs[at].local.0)];
        session.send(turn, at, local.reflexive_priority(), voice);
    }

    /// The pair of a section that is to be checked next: one that was triggered, the best that waits,
    /// or the best frozen one of a foundation that nobody is trying.
    fn pick(&self, list: usize) -> Option<usize> {
        let session = &self.lists[list].current;
        session.theirs.as_ref()?;
        if let Some(at) = session.triggered.front() {
            return Some(*at);
        }
        if let Some(at) = self.best(session, |state, _| state == State::Waiting) {
            return Some(at);
        }
        if !session.pairs.iter().any(|pair| pair.state == State::Frozen) {
            return None;
        }
        let mut busy: Vec<_> = self.lists.iter().flat_map(|l| l.current.busy()).collect();
        busy.sort_unstable();
        self.best(session, |state, foundation| {
            state == State::Frozen && busy.binary_search(&foundation).is_err()
        })
    }

    /// The best pair that qualifies, of those whose component has no choice yet.
    fn best(&self, session: &Session, is: impl Fn(State, Foundation) -> bool) -> Option<usize> {
        let open = session.pairs.iter().enumerate().filter(|(_, pair)| {
            session.half(pair.component).choice == Choice::Open && is(pair.state, pair.foundation)
        });
        open.max_by_key(|(_, pair)| pair.priority(self.role))
            .map(|(at, _)| at)
    }

    /// Says that nothing works, once that is certain (RFC 8863).
    fn lose_patience(&mut self, turn: &mut Turn<'_>) {
        for (at, list) in self.lists.iter_mut().enumerate() {
            if deadline(list).is_some_and(|deadline| deadline <= turn.now) {
                list.outcome = Outcome::Failed;
                let list = ListId(at as u16);
                turn.out.events.push(Event::Failed { list });
            }
        }
    }

    /// Two lite agents check nothing: the best pair is taken for granted (RFC 8445 §8.2).
    fn trust(&mut self, turn: &mut Turn<'_>) {
        let role = self.role;
        for list in &mut self.lists {
            for component in Component::ALL {
                let session = &mut list.current;
                let pairs = session.pairs.iter().enumerate();
                let pairs = pairs.filter(|(_, pair)| pair.component == component);
                let usable = pairs.filter(|(_, pair)| pair.state != State::Failed);
                let best = usable.max_by_key(|(_, pair)| pair.priority(role));
                if let Some((at, _)) = best.filter(|_| session.theirs.is_some()) {
                    session.pairs[at].state = State::Succeeded;
                    session.nominate(turn, at, Mode::Lite, role);
                }
            }
        }
    }

    fn voice(&self) -> Voice {
        let sessions = self.lists.iter().map(|list| &list.current);
        let pairs = sessions.flat_map(|session| &session.pairs);
        let busy = pairs.filter(|pair| pair.check.is_some()).count() as u32;
        Voice {
            role: self.role,
            tie: self.tie,
            rto: RTO.max(PACE * busy),
        }
    }
}

impl Session {
    fn ask(&mut self, turn: &mut Turn<'_>, at: usize, priority: u32, voice: Voice) {
        let pair = &mut self.pairs[at];
        let (Some(theirs), Some(consent)) = (&self.theirs, &mut pair.consent) else {
            return;
        };
        let id = transaction(turn.random);
        consent.ask(turn.now, id, turn.random);
        let claims = Claims {
            ours: &self.ours,
            theirs,
            priority,
            role: voice.role,
            tie: voice.tie,
            nominates: Nominates::No,
        };
        turn.out.transmits.push(Transmit {
            local: pair.local,
            to: pair.remote,
            bytes: request(id, &claims),
        });
    }

    fn send(&mut self, turn: &mut Turn<'_>, at: usize, priority: u32, voice: Voice) {
        self.triggered.retain(|queued| *queued != at);
        let Some(theirs) = &self.theirs else { return };
        let pair = &mut self.pairs[at];
        let nominates = match pair.nomination {
            Nomination::Proposed => Nominates::Yes,
            Nomination::No | Nomination::Wanted | Nomination::Done => Nominates::No,
        };
        let claims = Claims {
            ours: &self.ours,
            theirs,
            priority,
            role: voice.role,
            tie: voice.tie,
            nominates,
        };
        pair.cancel();
        let check = Check::new(turn.now, voice.rto, transaction(turn.random), &claims);
        if pair.state != State::Succeeded {
            pair.state = State::InProgress;
        }
        turn.out.transmits.push(Transmit {
            local: pair.local,
            to: pair.remote,
            bytes: check.bytes.clone(),
        });
        pair.check = Some(Box::new(check));
    }
}

/// When patience with a section ends, if nothing works.
fn deadline(list: &Checklist) -> Option<Time> {
    let session = &list.current;
    let hopeless = list.outcome == Outcome::Open
        && session.halves.iter().all(|half| half.selected.is_none())
        && !session.pairs.iter().any(|pair| pair.check.is_some());
    session
        .started
        .filter(|_| hopeless)
        .map(|started| started + PATIENCE)
}
