//! A new association beside the old (RFC 8842 §5.1).

use std::time::Duration;

use patchcord_contract::Time;
use patchcord_dtls::{Event, Kind, Options, Output, Role, SessionKeys, State, Succession};
use patchcord_wire::sdp::{Fingerprint, HashName};

use crate::pair::{MATRIX, START, options};

/// Two successions, and their news by generation.
struct Two {
    client: Succession,
    server: Succession,
    keys: [Vec<(u32, SessionKeys)>; 2],
    ended: Vec<(u32, State)>,
    now: Time,
}

fn prints(client: &Options, server: &Options) -> [Fingerprint; 2] {
    [client, server].map(|options| options.certificate.fingerprint(HashName::Sha256))
}

impl Two {
    fn new(client: Options, server: Options) -> Self {
        let [of_client, of_server] = prints(&client, &server);
        Self {
            client: Succession::new(1, client, &[of_server]),
            server: Succession::new(1, server, &[of_client]),
            keys: [vec![], vec![]],
            ended: vec![],
            now: START,
        }
    }

    fn restart(&mut self, generation: u32, client: Options, server: Options) {
        let [of_client, of_server] = prints(&client, &server);
        self.client.restart(generation, client, &[of_server]);
        self.server.restart(generation, server, &[of_client]);
    }

    /// Delivers until nobody says anything more; `lost`: to nobody.
    fn run(&mut self, lost: bool) {
        self.client.start(self.now);
        loop {
            let mut said = false;
            for side in 0..2 {
                let (from, to) = match side {
                    0 => (&mut self.client, &mut self.server),
                    _ => (&mut self.server, &mut self.client),
                };
                while let Some((generation, output)) = from.poll() {
                    match output {
                        Output::Datagram(bytes) if !lost => {
                            to.datagram(self.now, &bytes);
                            said = true;
                        }
                        Output::Event(Event::Keys(keys)) => {
                            self.keys[side].push((generation, *keys));
                        }
                        Output::Event(Event::Changed(state)) if state.is_final() => {
                            self.ended.push((generation, state));
                        }
                        Output::Datagram(_) | Output::Event(_) => {}
                    }
                }
            }
            if !said {
                break;
            }
        }
    }
}

fn both(kinds: (Kind, Kind)) -> (Options, Options) {
    (
        options(Role::Client, kinds.0),
        options(Role::Server, kinds.1),
    )
}

#[test]
fn the_old_keys_stay_until_there_are_new_ones() {
    for kinds in MATRIX {
        let (client, server) = both(kinds);
        let mut two = Two::new(client, server);
        two.run(false);
        let (client, server) = both(kinds);
        two.restart(2, client, server);
        two.run(true);
        let states: Vec<_> = two
            .client
            .status()
            .map(|(g, s)| (g, s.state.as_str()))
            .collect();
        assert_eq!(states, [(1, "connected"), (2, "handshaking")]);
        // The hello was lost; the timer brings another.
        two.now = two.client.next_timeout().expect("a timer");
        two.client.timeout(two.now);
        two.run(false);
        let states: Vec<_> = two
            .client
            .status()
            .map(|(g, s)| (g, s.state.as_str()))
            .collect();
        assert_eq!(states, [(2, "connected")], "{kinds:?}");
        let [client, server] = &two.keys;
        assert_eq!((client.len(), client[1].0), (2, 2));
        assert_ne!(client[0].1, client[1].1);
        assert_eq!(client[1].1.send, server[1].1.receive);
        assert!(two.ended.is_empty(), "{:?}", two.ended);
    }
}

#[test]
fn a_restart_that_fails_leaves_the_old_one_standing() {
    for kinds in MATRIX {
        let (client, server) = both(kinds);
        let mut two = Two::new(client, server);
        two.run(false);
        let (client, server) = both(kinds);
        two.restart(2, client, server);
        for _ in 0..40 {
            two.run(true);
            let Some(next) = two.client.next_timeout() else {
                break;
            };
            two.now = next;
            two.client.timeout(next);
        }
        two.run(true);
        let failed = two.ended.iter().filter(|(generation, _)| *generation == 2);
        assert_eq!(failed.count(), 1, "{:?}", two.ended);
        let states: Vec<_> = two
            .client
            .status()
            .map(|(g, s)| (g, s.state.as_str()))
            .collect();
        assert_eq!(states, [(1, "connected")]);
        assert!(two.now.since(START) >= Duration::from_secs(30));
    }
}

#[test]
fn before_it_is_connected_a_restart_takes_its_place_at_once() {
    let (client, server) = both(MATRIX[0]);
    let mut two = Two::new(client, server);
    two.run(true);
    let (client, server) = both(MATRIX[0]);
    two.restart(2, client, server);
    two.run(false);
    let generations: Vec<_> = two.keys[0]
        .iter()
        .map(|(generation, _)| *generation)
        .collect();
    assert_eq!(generations, [2]);
}

#[test]
fn the_value_of_tls_id_is_carried_as_it_is() {
    let mut with_id = options(Role::Client, Kind::Dimpl);
    with_id.tls_id = Some((*b"abc3de65cddef001be82").into());
    let succession = Succession::new(4, with_id, &[]);
    let (generation, status) = succession.status().next().expect("one");
    assert_eq!(generation, 4);
    assert_eq!(status.tls_id.as_deref(), Some(&b"abc3de65cddef001be82"[..]));
}
