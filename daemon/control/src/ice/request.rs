//! What the peer asks: its checks are answered, and taken as a hint (RFC 8445 §7.3).

use patchcord_contract::{Endpoint, Time};
use patchcord_wire::stun::{self, Class, ErrorCode, Message, Method, TransactionId, Writer};
use rand_chacha::rand_core::CryptoRng;

use super::agent::Turn;
use super::candidate::Fate;
use super::checklist::Generation;
use super::event::{Event, Output, Transmit};
use super::pair::{Nomination, State, Weighed};
use super::session::{Choice, Early, Session, Wish};
use super::{AGAIN, Agent, Credentials, LocalId, MAX_DATAGRAM, MAX_EARLY, Mode, Role};

/// What is answered.
#[derive(Clone, Copy, Debug)]
enum Answer<'a> {
    Mapped,
    Error(ErrorCode<'a>, &'a [u16]),
}

/// What both sides' roles mean for a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conflict {
    None,
    /// The peer has to give way.
    Refuse,
    /// We give way.
    Yield,
}

/// Where a request was heard.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    local: LocalId,
    source: Endpoint,
    transaction: TransactionId,
}

impl Agent {
    /// A STUN datagram from `source` at a local candidate.
    pub fn receive(
        &mut self,
        now: Time,
        local: LocalId,
        source: Endpoint,
        bytes: &[u8],
        random: &mut dyn CryptoRng,
        out: &mut Output,
    ) {
        if self.locals[usize::from(local.0)].fate == Fate::Retired || bytes.len() > MAX_DATAGRAM {
            return;
        }
        let Ok(message) = Message::parse(bytes) else {
            self.disbelieved += 1;
            return;
        };
        if message.method != Method::BINDING {
            return;
        }
        let mut turn = Turn { now, random, out };
        let believed = match message.class {
            Class::Request => self.request(&mut turn, local, source, &message),
            Class::Success | Class::Error => self.response(&mut turn, local, source, &message),
            Class::Indication => return,
        };
        if believed.is_some() {
            self.drive(&mut turn);
        } else {
            self.disbelieved += 1;
        }
    }

    /// Which of several local candidates at one port a datagram is for: a check is for the section whose peer
    /// names itself in it, and of several of one name for the one that knows its source; a response is for the one
    /// that asked. What nobody knows is for the first.
    pub fn addressee(
        &self,
        candidates: &[LocalId],
        source: Endpoint,
        bytes: &[u8],
    ) -> Option<LocalId> {
        let first = *candidates.first()?;
        let Some(message) = Message::parse(bytes).ok().filter(|_| candidates.len() > 1) else {
            return Some(first);
        };
        let named = message.ufrags().map(|(_, theirs)| theirs);
        let sessions =
            |local: LocalId| self.list(self.locals[usize::from(local.0)].list).sessions();
        let is_named = |local: LocalId| {
            let mut known = sessions(local).filter_map(|session| session.theirs.as_ref());
            known.any(|known| Some(known.ufrag()) == named)
        };
        let is_known = |local: LocalId| sessions(local).any(|session| session.knows(source));
        let rank = |local: LocalId| match message.class {
            Class::Request => usize::from(is_named(local)) * (1 + usize::from(is_known(local))),
            Class::Success | Class::Error => usize::from(self.asked(local, &message).is_some()),
            Class::Indication => 0,
        };
        // Of equals the last is the greatest.
        candidates
            .iter()
            .rev()
            .copied()
            .max_by_key(|local| rank(*local))
    }

    /// Answers a check; `None` if it is not from who has our password.
    fn request(
        &mut self,
        turn: &mut Turn<'_>,
        local: LocalId,
        source: Endpoint,
        message: &Message<'_>,
    ) -> Option<()> {
        let list = self.list(self.locals[usize::from(local.0)].list);
        let (ours, theirs) = message.ufrags()?;
        let generation = list.generation(ours)?;
        let session = list.session(generation)?;
        let credentials = session.ours.clone();
        if !message.verify(credentials.key()) {
            return None;
        }
        // A peer that has begun anew and whose offer is still under way, or another branch of a fork. One that
        // got an answer would stay with this pair and its old names for good: Chromium does.
        if session
            .theirs
            .as_ref()
            .is_some_and(|known| known.ufrag() != theirs)
        {
            return Some(());
        }
        let arrival = Arrival {
            local,
            source,
            transaction: message.transaction,
        };
        let refuse = |turn: &mut Turn<'_>, error| {
            let answer = Answer::Error(error, &message.unknown);
            respond(turn, arrival, &credentials, answer);
            Some(())
        };
        if !message.unknown.is_empty() {
            return refuse(turn, ErrorCode::UNKNOWN_ATTRIBUTE);
        }
        let Some(priority) = message.priority else {
            return refuse(turn, ErrorCode::BAD_REQUEST);
        };
        if self.mode == Mode::Lite {
            // Who checks is full and so has the say (RFC 8445 §6.1.1), though its description may be under way
            // still: a browser begins before its answer is here, and one that is refused waits to be nominated.
            self.take_role(Role::Controlled);
        }
        match self.conflict(message.role) {
            Conflict::None => {}
            Conflict::Refuse => return refuse(turn, ErrorCode::ROLE_CONFLICT),
            Conflict::Yield => self.switch_role(turn.out),
        }
        respond(turn, arrival, &credentials, Answer::Mapped);
        let check = Early {
            local,
            source,
            priority,
            wish: Wish::from(message.use_candidate),
            ufrag: theirs.into(),
        };
        self.heard(turn, generation, &check);
        Some(())
    }

    /// Takes an authenticated check as a hint: its source is a candidate, and the pair worth a check.
    pub(super) fn heard(&mut self, turn: &mut Turn<'_>, generation: Generation, check: &Early) {
        let (mode, role) = (self.mode, self.role);
        let local = self.locals[usize::from(check.local.0)];
        let Some(session) = self.list_mut(local.list).session_mut(generation) else {
            return;
        };
        match &session.theirs {
            None => return remember(session, check, turn.out),
            // Said before the peer was known, and not by it.
            Some(theirs) if *theirs.ufrag() != *check.ufrag => return,
            Some(_) => {}
        }
        let pair = session.learn(check.local, &local, check.source, check.priority, role);
        let Some(at) = pair else { return };
        if session.pairs[at].heard.replace(turn.now).is_none() {
            turn.out.events.push(Event::Admitted {
                local: check.local,
                source: check.source,
            });
        }
        if check.wish == Wish::None {
            session.pairs[at].weighed = Weighed::Yes;
        }
        match mode {
            Mode::Lite => session.renew(turn, at, check.wish, role),
            Mode::Full => session.react(turn, at, check.wish, role),
        }
    }

    fn conflict(&self, claimed: Option<stun::Role>) -> Conflict {
        match (self.role, claimed) {
            (Role::Controlling, Some(stun::Role::Controlling(tie))) if self.tie >= tie => {
                Conflict::Refuse
            }
            (Role::Controlling, Some(stun::Role::Controlling(_))) => Conflict::Yield,
            (Role::Controlled, Some(stun::Role::Controlled(tie)))
                if self.mode == Mode::Full && self.tie >= tie =>
            {
                Conflict::Yield
            }
            (Role::Controlled, Some(stun::Role::Controlled(_))) => Conflict::Refuse,
            _ => Conflict::None,
        }
    }

    /// Gives way in a conflict of roles.
    pub(super) fn switch_role(&mut self, out: &mut Output) {
        self.take_role(self.role.other());
        out.events.push(Event::RoleSwitched(self.role));
    }
}

impl Session {
    /// A check of a lite agent's peer: it chooses a pair, or says that it still wants what is sent by the one it
    /// chose. One that was lost is in use again.
    fn renew(&mut self, turn: &mut Turn<'_>, at: usize, wish: Wish, role: Role) {
        let half = *self.half(self.pairs[at].component);
        let pair = &mut self.pairs[at];
        let is_back = pair.nomination == Nomination::Done && half.selected.is_none();
        let is_old = pair
            .chosen
            .is_some_and(|chosen| turn.now.since(chosen) >= AGAIN);
        if is_old && (is_back || half.selected == Some(at)) {
            pair.renewed = Some(turn.now);
        }
        if wish == Wish::Nominate || is_back {
            pair.chosen.get_or_insert(turn.now);
            pair.state = State::Succeeded;
            self.nominate(turn, at, Mode::Lite, role);
        }
    }

    /// A check of the peer came by this pair (RFC 8445 §7.3.1.4, §7.3.1.5).
    fn react(&mut self, turn: &mut Turn<'_>, at: usize, wish: Wish, role: Role) {
        let half = *self.half(self.pairs[at].component);
        let chosen = half.choice == Choice::Made && half.selected == Some(at);
        let pair = &mut self.pairs[at];
        let nominated = wish == Wish::Nominate && role == Role::Controlled;
        match pair.state {
            State::Succeeded if !nominated || chosen => {}
            State::Succeeded if pair.is_proven(turn.now) => {
                self.nominate(turn, at, Mode::Full, role);
            }
            // It worked once; whether it does is seen first.
            State::Succeeded => {
                pair.nomination = Nomination::Wanted;
                self.trigger(at);
            }
            State::Frozen | State::Waiting | State::InProgress | State::Failed => {
                if nominated {
                    pair.nomination = Nomination::Wanted;
                }
                pair.cancel();
                pair.state = State::Waiting;
                self.trigger(at);
            }
        }
    }
}

/// Keeps a check until the peer's credentials are known.
fn remember(session: &mut Session, check: &Early, out: &mut Output) {
    let same = |known: &&mut Early| (known.local, known.source) == (check.local, check.source);
    if let Some(known) = session.early.iter_mut().find(same) {
        if check.wish == Wish::Nominate {
            known.wish = Wish::Nominate;
        }
    } else if session.early.len() < MAX_EARLY {
        session.early.push(check.clone());
        out.events.push(Event::Admitted {
            local: check.local,
            source: check.source,
        });
    }
}

fn respond(turn: &mut Turn<'_>, arrival: Arrival, credentials: &Credentials, answer: Answer<'_>) {
    let class = match answer {
        Answer::Mapped => Class::Success,
        Answer::Error(..) => Class::Error,
    };
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&mut buffer, class, Method::BINDING, arrival.transaction);
    match answer {
        Answer::Mapped => writer.mapped(arrival.source.socket_addr()),
        Answer::Error(error, []) => writer.error(error),
        Answer::Error(error, unknown) => writer.error(error).unknown(unknown),
    };
    let len = writer.finish(credentials.key());
    let len = len.expect("64 attributes that are unknown have 128 bytes");
    turn.out.transmits.push(Transmit {
        local: arrival.local,
        to: arrival.source,
        bytes: buffer[..len].into(),
    });
}
