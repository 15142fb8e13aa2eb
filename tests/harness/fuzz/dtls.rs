//! A DTLS client and a server, and whoever else can send to them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use patchcord_contract::Time;
use patchcord_dtls::{
    Association, Certificate, Event, Expect, KeyKind, Options, Output, Role, SessionKeys, State,
};
use patchcord_wire::sdp::HashName;

use super::Input;

/// Datagrams that one input may bring forth: a flight at the smallest MTU, and room.
const MOST: usize = 40;

static CERTIFICATES: LazyLock<[Arc<Certificate>; 2]> = LazyLock::new(|| {
    [0, 1].map(|_| {
        Arc::new(Certificate::generate(KeyKind::P256, 1_790_000_000).expect("a certificate"))
    })
});

/// One side.
struct Side {
    association: Association,
    keys: Option<SessionKeys>,
    told: bool,
    was_connected: bool,
}

/// Two sides, the time, and what was said.
struct Play<'d> {
    input: Input<'d>,
    sides: [Side; 2],
    now: Time,
    /// All that was sent, and by whom.
    said: Vec<(usize, Vec<u8>)>,
    delivered: usize,
}

/// Some of a handshake, then any bytes at either side, genuine ones bent, repeated, lost or late: no
/// panic, bounded answers, keys only for the peer that was announced and the same on both sides, and
/// what is connected stays so unless it is closed by who has the keys.
pub fn dtls(data: &[u8]) {
    let mut input = Input(data);
    let (flags, steps) = (input.byte().unwrap_or(0), input.byte().unwrap_or(0));
    let sides = [Role::Client, Role::Server].map(|role| Side::new(role, flags));
    let mut play = Play {
        input,
        sides,
        now: Time::from_secs(1),
        said: Vec::new(),
        delivered: 0,
    };
    play.sides[0].association.start(play.now);
    play.listen(0);
    for _ in 0..steps.min(40) {
        play.deliver();
    }
    while let Some(word) = play.input.byte() {
        play.step(word);
    }
    play.judge();
}

impl Side {
    fn new(role: Role, flags: u8) -> Self {
        let own = usize::from(role == Role::Server);
        let browser = flags >> own & 1 == 0;
        let told = flags & 16 == 0;
        let options = Options {
            expect: if browser {
                Expect::Browser
            } else {
                Expect::Anyone
            },
            trusted_path: flags & 32 != 0,
            dtls13: flags & 64 != 0,
            seed: Some(u64::from(flags)),
            ..Options::new(role, Arc::clone(&CERTIFICATES[own]))
        };
        let peer = CERTIFICATES[1 - own].fingerprint(HashName::Sha256);
        Self {
            association: Association::new(
                options,
                if told {
                    std::slice::from_ref(&peer)
                } else {
                    &[]
                },
            ),
            keys: None,
            told,
            was_connected: false,
        }
    }
}

impl Play<'_> {
    fn step(&mut self, word: u8) {
        let side = usize::from(word >> 7);
        match word & 7 {
            0 | 1 => {
                let bytes = self.input.chunk();
                self.give(usize::from(word & 1), bytes);
            }
            2 => self.bend(side),
            3 => self.delivered = (self.delivered + 1).min(self.said.len()),
            4 => {
                let peer = CERTIFICATES[1 - side].fingerprint(HashName::Sha256);
                self.sides[side].told = true;
                self.sides[side].association.expect(self.now, &[peer]);
                self.listen(side);
            }
            5 if word >> 3 & 1 == 1 => {
                self.sides[side].was_connected = false;
                self.sides[1 - side].was_connected = false;
                self.sides[side].association.close(self.now);
                self.listen(side);
            }
            6 => {
                let wait = u64::from(self.input.byte().unwrap_or(0)) * 16;
                self.now = self.now + Duration::from_millis(wait);
                for side in 0..2 {
                    self.sides[side].association.timeout(self.now);
                    self.listen(side);
                }
            }
            _ => self.deliver(),
        }
    }

    /// Gives a side something that was said, with one byte changed; or not, if it is changed by 0.
    fn bend(&mut self, side: usize) {
        let mut pick = || self.input.byte().unwrap_or(0);
        let (which, at, change) = (usize::from(pick()), usize::from(pick()), pick());
        if self.said.is_empty() {
            return;
        }
        let mut bytes = self.said[which % self.said.len()].1.clone();
        let at = at % bytes.len();
        bytes[at] ^= change;
        self.give(side, &bytes);
    }

    fn deliver(&mut self) {
        let Some((from, bytes)) = self.said.get(self.delivered).cloned() else {
            return;
        };
        self.delivered += 1;
        self.give(1 - from, &bytes);
    }

    fn give(&mut self, to: usize, bytes: &[u8]) {
        self.sides[to].association.datagram(self.now, bytes);
        self.listen(to);
    }

    fn listen(&mut self, from: usize) {
        let side = &mut self.sides[from];
        let mut datagrams = 0;
        while let Some(output) = side.association.poll() {
            match output {
                Output::Datagram(bytes) => {
                    datagrams += 1;
                    assert!(!bytes.is_empty() && bytes.len() <= 1200, "{}", bytes.len());
                    self.said.push((from, bytes));
                }
                Output::Event(Event::Keys(keys)) => {
                    assert!(side.told, "keys before the fingerprint");
                    assert!(side.keys.replace(*keys).is_none(), "keys given twice");
                    side.was_connected = true;
                }
                Output::Event(Event::Changed(state)) => {
                    assert!(
                        !(side.was_connected && matches!(state, State::Failed(_))),
                        "connected, then {state:?}"
                    );
                }
            }
        }
        assert!(datagrams <= MOST, "{datagrams} datagrams at once");
    }

    fn judge(&self) {
        let [client, server] = &self.sides;
        if let (Some(client), Some(server)) = (&client.keys, &server.keys) {
            assert!(client.send == server.receive && client.receive == server.send);
        }
        for side in &self.sides {
            let final_state = side.association.state().is_final();
            assert!(!final_state || side.association.next_timeout().is_none());
        }
    }
}
