//! An ICE agent, whatever is said to it and whatever arrives.

use std::collections::BTreeSet;
use std::time::Duration;

use patchcord_contract::{Endpoint, Time};
use patchcord_control::ice::{
    Agent, Candidate, CandidateType, Component, Credentials, ListId, LocalId, MAX_PAIRS, Mode,
    Output, Place, Role,
};
use patchcord_wire::stun::{self, Class, Key, Message, Method, TransactionId, Writer};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::{Input, place};

const UFRAG: &[u8] = b"peer";
const PWD: &[u8] = b"the password of the peer";

/// The agent, and a peer that knows the credentials and sends what it likes.
struct Play<'d> {
    input: Input<'d>,
    random: ChaCha20Rng,
    agent: Agent,
    list: ListId,
    locals: Vec<LocalId>,
    now: Time,
    /// Requests of the agent that have no response yet.
    asked: Vec<(LocalId, Endpoint, TransactionId)>,
    /// Where a check went that was answered from there.
    proven: BTreeSet<(LocalId, Endpoint)>,
}

/// Any commands, any time, any datagrams, forged or signed: no panic, bounded work and memory, and
/// nothing is selected that has not passed a check.
pub fn ice(data: &[u8]) {
    let mut input = Input(data);
    let mut random = ChaCha20Rng::seed_from_u64(7);
    let lite = input.byte().unwrap_or(0) & 1 == 1;
    let mode = if lite { Mode::Lite } else { Mode::Full };
    let mut agent = Agent::new(mode, Role::Controlling, &mut random);
    let list = agent.add_list(&mut random);
    let mut play = Play {
        input,
        random,
        agent,
        list,
        locals: Vec::new(),
        now: Time::from_secs(1),
        asked: Vec::new(),
        proven: BTreeSet::new(),
    };
    while let Some(word) = play.input.byte() {
        play.step(word);
    }
}

impl Play<'_> {
    fn step(&mut self, word: u8) {
        let mut out = Output::default();
        match word % 12 {
            0 => self.add_local(word),
            1 => self.add_remote(word, &mut out),
            2 => self.describe(word, &mut out),
            3 => self.agent.restart(self.list, &mut self.random),
            4 if word & 0x80 == 0 => self.agent.mux(self.list, &mut out),
            4 => self.agent.end_of_candidates(self.list),
            5 => self.retire(word, &mut out),
            6 => {
                let step = u64::from(self.input.byte().unwrap_or(0)) << (word >> 4);
                self.now = self.now + Duration::from_millis(step);
            }
            7 => self.arbitrary(word, &mut out),
            8 | 9 => self.check(word, &mut out),
            _ => self.respond(word, &mut out),
        }
        self.agent.tick(self.now, &mut self.random, &mut out);
        self.settle(out);
    }

    fn add_local(&mut self, word: u8) {
        if self.locals.len() == 8 {
            return;
        }
        let base = place(word >> 4);
        let component = Component::ALL[usize::from(word >> 7)];
        let place = Place {
            base,
            advertised: base,
            kind: CandidateType::Host,
            preference: 1_000 - u16::from(word),
        };
        let id = self.agent.add_local(self.list, component, place);
        self.locals.push(id);
    }

    fn add_remote(&mut self, word: u8, out: &mut Output) {
        let port = u16::from(self.input.byte().unwrap_or(0)) + 1;
        let candidate = Candidate {
            component: Component::ALL[usize::from(word >> 7)],
            endpoint: Endpoint {
                port,
                ..place(word >> 4)
            },
            kind: CandidateType::Host,
            priority: u32::from(word) << 16,
            foundation: u64::from(word >> 5),
        };
        let random = &mut self.random;
        self.agent
            .add_remote(self.now, self.list, candidate, random, out);
    }

    fn describe(&mut self, word: u8, out: &mut Output) {
        if word & 0x40 != 0 {
            self.agent.set_peer(if word & 0x80 == 0 {
                Mode::Full
            } else {
                Mode::Lite
            });
        }
        let random = &mut self.random;
        self.agent
            .describe(self.now, self.list, UFRAG, PWD, random, out);
    }

    fn retire(&mut self, word: u8, out: &mut Output) {
        if let Some(local) = self.locals.get(usize::from(word >> 4)) {
            self.agent.retire(*local, out);
        }
    }

    fn arbitrary(&mut self, word: u8, out: &mut Output) {
        let len = usize::from(self.input.byte().unwrap_or(0)) * 2;
        let bytes = self.input.bytes(len).to_vec();
        self.deliver(word, place(word >> 4), &bytes, out);
    }

    /// A check of the peer; some of its bytes are the input's.
    fn check(&mut self, word: u8, out: &mut Output) {
        let ours: Credentials = self.agent.credentials(self.list).clone();
        let [flags, number] = [0; 2].map(|_| self.input.byte().unwrap_or(0));
        let mut buffer = [0; 1_024];
        let id = TransactionId([number; 12]);
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id);
        writer.username(ours.ufrag(), UFRAG);
        if flags & 1 == 0 {
            writer.priority(u32::from(number) << 12);
        }
        if flags & 2 != 0 {
            writer.use_candidate();
        }
        match flags >> 2 & 3 {
            0 => writer.role(stun::Role::Controlled(u64::from(number) << 56)),
            1 => writer.role(stun::Role::Controlling(u64::from(number) << 56)),
            2 => writer.unknown(&[7]),
            _ => writer.raw(&[0x7f, number, 0, 0]),
        };
        let len = writer.finish(&Key::new(ours.pwd())).expect("room");
        let port = u16::from(number) + 1;
        let source = Endpoint {
            port,
            ..place(word >> 4)
        };
        self.deliver(word, source, &buffer[..len], out);
    }

    /// An answer of the peer to a request of ours, good or bad.
    fn respond(&mut self, word: u8, out: &mut Output) {
        if self.asked.is_empty() {
            return;
        }
        let flags = self.input.byte().unwrap_or(0);
        let nth = usize::from(word >> 4) % self.asked.len();
        let (local, to, id) = self.asked.swap_remove(nth);
        let class = if flags & 3 == 3 {
            Class::Error
        } else {
            Class::Success
        };
        let mut buffer = [0; 256];
        let mut writer = Writer::new(&mut buffer, class, Method::BINDING, id);
        if class == Class::Error {
            let code = if flags & 4 == 0 { 487 } else { 500 };
            writer.error(stun::ErrorCode { code, reason: b"" });
        }
        let len = writer.finish(&Key::new(PWD)).expect("room");
        let source = if flags & 8 == 0 { to } else { place(flags) };
        if class == Class::Success && source == to {
            self.proven.insert((local, to));
        }
        let random = &mut self.random;
        self.agent
            .receive(self.now, local, source, &buffer[..len], random, out);
    }

    fn deliver(&mut self, word: u8, source: Endpoint, bytes: &[u8], out: &mut Output) {
        let nth = usize::from(word >> 5) % self.locals.len().max(1);
        if let Some(local) = self.locals.get(nth) {
            let random = &mut self.random;
            self.agent
                .receive(self.now, *local, source, bytes, random, out);
        }
    }

    fn settle(&mut self, out: Output) {
        assert!(out.transmits.len() <= 2 * MAX_PAIRS + 3, "bounded work");
        assert!(out.events.len() <= 40, "bounded news");
        let next = self.agent.next();
        assert!(
            next.is_none_or(|next| next > self.now),
            "nothing is due after a tick"
        );
        assert!(self.agent.pairs(self.list).count() <= 2 * MAX_PAIRS);
        for transmit in out.transmits {
            let message = Message::parse(&transmit.bytes).expect("an agent writes STUN");
            if message.class == Class::Request && self.asked.len() < 256 {
                let asked = (transmit.local, transmit.to, message.transaction);
                self.asked.push(asked);
            }
        }
        if self.agent.mode() == Mode::Full {
            for component in Component::ALL {
                if let Some(pair) = self.agent.selected(self.list, component) {
                    let way = (pair.local, pair.remote);
                    assert!(self.proven.contains(&way), "selected without a check");
                }
            }
        }
    }
}
