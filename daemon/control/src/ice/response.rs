//! What the peer answers (RFC 8445 §7.2.5).

use patchcord_contract::Endpoint;
use patchcord_wire::stun::{Class, ErrorCode, Message};

use super::agent::Turn;
use super::check::{Check, Nominates};
use super::checklist::Generation;
use super::pair::{Foundation, Nomination, State};
use super::session::Session;
use super::{Agent, LocalId, Mode, Role};

/// What a response means for the agent as a whole.
#[derive(Clone, Copy, Debug)]
enum News {
    None,
    /// Pairs of this foundation are worth a check.
    Works(Foundation),
    /// The peer insists on the role that we claimed.
    Conflict(Role),
}

impl Agent {
    /// Takes a response; `None` if nobody asked, or it is not from whom we asked.
    pub(super) fn response(
        &mut self,
        turn: &mut Turn<'_>,
        local: LocalId,
        source: Endpoint,
        message: &Message<'_>,
    ) -> Option<()> {
        let role = self.role;
        let list = self.locals[usize::from(local.0)].list;
        let (generation, at) = self.asked(local, message)?;
        let session = self.list_mut(list).session_mut(generation)?;
        if !message.verify(session.theirs.as_ref()?.key()) {
            return None;
        }
        let news = if session.pairs[at].remote != source {
            session.asymmetric(turn, at, message, role)
        } else if message.class == Class::Success {
            session.succeeded(turn, at, message, role)
        } else {
            session.refused(turn, at, message, role)
        };
        match news {
            News::Works(foundation) => {
                for list in &mut self.lists {
                    list.current.unfreeze(foundation);
                }
            }
            News::Conflict(claimed) if claimed == self.role => {
                // Two that give way at once would do so for ever with the same numbers.
                self.tie = turn.random.next_u64();
                self.switch_role(turn.out);
            }
            News::None | News::Conflict(_) => {}
        }
        Some(())
    }

    /// The pair that a response is about.
    pub(super) fn asked(
        &self,
        local: LocalId,
        message: &Message<'_>,
    ) -> Option<(Generation, usize)> {
        let list = self.list(self.locals[usize::from(local.0)].list);
        [Generation::Current, Generation::Previous]
            .into_iter()
            .find_map(|generation| {
                let mut pairs = list.session(generation)?.pairs.iter();
                let at = pairs.position(|p| p.local == local && p.awaits(message.transaction))?;
                Some((generation, at))
            })
    }
}

impl Session {
    fn succeeded(
        &mut self,
        turn: &mut Turn<'_>,
        at: usize,
        message: &Message<'_>,
        role: Role,
    ) -> News {
        let pair = &mut self.pairs[at];
        pair.proven = Some(turn.now);
        if let Some(consent) = &mut pair.consent {
            consent.renew(turn.now);
            if consent.asked(message.transaction) {
                return News::None;
            }
        }
        let answered = |check: &&Check| check.id == message.transaction;
        let check = pair.check.as_deref().filter(answered);
        let proposed = check.is_some_and(|check| check.nominates == Nominates::Yes);
        if check.is_some() || pair.nomination != Nomination::Proposed {
            pair.check = None;
        }
        pair.cancelled = None;
        pair.state = State::Succeeded;
        let foundation = pair.foundation;
        let nominated = match role {
            Role::Controlling => proposed,
            Role::Controlled => pair.nomination == Nomination::Wanted,
        };
        if self.pairs[at].nomination != Nomination::Proposed {
            self.triggered.retain(|queued| *queued != at);
        }
        if nominated {
            self.nominate(turn, at, Mode::Full, role);
        } else {
            self.validate(turn, at, role);
        }
        News::Works(foundation)
    }

    /// A response from elsewhere than where the check went: the path is not usable (§7.2.5.2.1).
    fn asymmetric(
        &mut self,
        turn: &mut Turn<'_>,
        at: usize,
        message: &Message<'_>,
        role: Role,
    ) -> News {
        let check = self.pairs[at].check.as_ref();
        if check.is_some_and(|check| check.id == message.transaction) {
            self.lose(turn, at, role);
        }
        News::None
    }

    fn refused(
        &mut self,
        turn: &mut Turn<'_>,
        at: usize,
        message: &Message<'_>,
        role: Role,
    ) -> News {
        let pair = &mut self.pairs[at];
        let Some(check) = pair.check.take_if(|check| check.id == message.transaction) else {
            return News::None;
        };
        let code = message.error.map(|error| error.code);
        if code != Some(ErrorCode::ROLE_CONFLICT.code) {
            self.lose(turn, at, role);
            return News::None;
        }
        if pair.state == State::InProgress {
            pair.state = State::Waiting;
        }
        self.trigger(at);
        News::Conflict(check.role)
    }
}
