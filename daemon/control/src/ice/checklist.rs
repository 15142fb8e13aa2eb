//! A section's checks: the session of its credentials, and the one before a restart (RFC 8445 §9).

use super::candidate::Local;
use super::event::{Event, Output, Selected, Standing};
use super::session::{Choice, Session, Trickle};
use super::{Component, Credentials, LocalId};

/// A section of an agent, in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListId(pub(super) u16);

/// The checks of one section.
#[derive(Clone, Debug)]
pub(super) struct Checklist {
    pub(super) current: Session,
    /// Serves until the current session has nominated.
    pub(super) previous: Option<Box<Session>>,
    /// Whether RTCP has a component of its own.
    pub(super) rtcp: Rtcp,
    pub(super) outcome: Outcome,
    /// What the owner was last told of each component.
    told: [Option<Selected>; 2],
}

/// Which components a section has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rtcp {
    Separate,
    Muxed,
}

/// What the owner was last told of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Open,
    Connected,
    Failed,
}

/// Which of a checklist's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    Current,
    Previous,
}

impl Checklist {
    pub(super) const fn new(ours: Credentials, rtcp: Rtcp) -> Self {
        Self {
            current: Session::new(ours),
            previous: None,
            rtcp,
            outcome: Outcome::Open,
            told: [None; 2],
        }
    }

    /// Begins anew under other credentials; what was selected goes on until something new is.
    pub(super) fn restart(&mut self, ours: Credentials) {
        let mut old = std::mem::replace(&mut self.current, Session::new(ours));
        self.outcome = Outcome::Open;
        if old.halves.iter().any(|half| half.selected.is_some()) {
            for pair in &mut old.pairs {
                pair.cancel();
            }
            old.triggered.clear();
            self.previous = Some(Box::new(old));
        }
    }

    /// The components in use.
    pub(super) fn components(&self) -> impl Iterator<Item = Component> + use<> {
        // A peer without a candidate for RTCP has none: as many components as both have (RFC 8445 §6.1.2.2).
        let lacks = self.current.trickle == Trickle::Ended && !self.current.has_remote_rtcp();
        let count = match self.rtcp {
            Rtcp::Separate if !lacks => 2,
            Rtcp::Separate | Rtcp::Muxed => 1,
        };
        Component::ALL.into_iter().take(count)
    }

    pub(super) fn session(&self, generation: Generation) -> Option<&Session> {
        match generation {
            Generation::Current => Some(&self.current),
            Generation::Previous => self.previous.as_deref(),
        }
    }

    pub(super) fn session_mut(&mut self, generation: Generation) -> Option<&mut Session> {
        match generation {
            Generation::Current => Some(&mut self.current),
            Generation::Previous => self.previous.as_deref_mut(),
        }
    }

    /// Every session, the current one first.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &Session> {
        std::iter::once(&self.current).chain(self.previous.as_deref())
    }

    /// As [`Self::sessions`], to change them.
    pub(super) fn sessions_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        std::iter::once(&mut self.current).chain(self.previous.as_deref_mut())
    }

    /// The session that a check to `ufrag` is about.
    pub(super) fn generation(&self, ufrag: &[u8]) -> Option<Generation> {
        let is = |session: &Session| session.ours.ufrag() == ufrag;
        if is(&self.current) {
            Some(Generation::Current)
        } else if self.previous.as_deref().is_some_and(is) {
            Some(Generation::Previous)
        } else {
            None
        }
    }

    /// The way that a component's packets go: nominated now, or in use before a restart, or merely valid.
    pub(super) fn selected(&self, component: Component) -> Option<Selected> {
        let current = selected(&self.current, component);
        let firm = current.filter(|pair| pair.standing == Standing::Nominated);
        let before = || selected(self.previous.as_deref()?, component);
        firm.or_else(before).or(current)
    }

    /// Whether every component has a nominated pair.
    pub(super) fn is_connected(&self) -> bool {
        self.components()
            .all(|component| self.current.half(component).choice == Choice::Made)
    }

    /// Tells what has changed since the last time.
    pub(super) fn report(&mut self, list: ListId, out: &mut Output) {
        if self.is_connected() {
            self.previous = None;
            if self.outcome != Outcome::Connected {
                self.outcome = Outcome::Connected;
                out.events.push(Event::Connected { list });
            }
        }
        for component in Component::ALL {
            let pair = self.selected(component);
            if pair == self.told[component.index()] {
                continue;
            }
            self.told[component.index()] = pair;
            out.events.push(match pair {
                Some(pair) => Event::Selected {
                    list,
                    component,
                    pair,
                },
                None => Event::Lost { list, component },
            });
        }
    }

    /// Forgets a local candidate.
    pub(super) fn forget(&mut self, id: LocalId) {
        self.sessions_mut().for_each(|session| session.forget(id));
    }
}

fn selected(session: &Session, component: Component) -> Option<Selected> {
    let half = session.half(component);
    let pair = &session.pairs[half.selected?];
    Some(Selected {
        local: pair.local,
        remote: pair.remote,
        standing: match half.choice {
            Choice::Open => Standing::Valid,
            Choice::Made => Standing::Nominated,
        },
    })
}

/// The foundation of a new local candidate: equal for those of one kind and base address.
pub(super) fn foundation(locals: &[Local], new: &super::Place) -> u16 {
    let twin = locals
        .iter()
        .find(|local| (local.place.kind, local.place.base.addr) == (new.kind, new.base.addr));
    let fresh = || {
        1 + locals
            .iter()
            .map(|local| local.foundation)
            .max()
            .unwrap_or(0)
    };
    twin.map_or_else(fresh, |local| local.foundation)
}
