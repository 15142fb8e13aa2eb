//! Lost, late and repeated flights (RFC 6347 §4.2.4).

use std::collections::BTreeSet;
use std::time::Duration;

use patchcord_dtls::{Failure, KeyKind, Kind, Options, Role, State};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::pair::{DELAY, Fate, MATRIX, Pair, START, certificate, deliver, lose, options};

const LONG: Duration = Duration::from_secs(25);

fn random(seed: u8) -> TestRunner {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    TestRunner::new_with_rng(Config::default(), rng)
}

#[test]
fn any_one_datagram_may_be_lost() {
    for (client, server) in MATRIX {
        let mut sound = Pair::of(client, server);
        sound.run();
        for to_server in [true, false] {
            let side = if to_server {
                &sound.client
            } else {
                &sound.server
            };
            assert!(side.sent.len() >= 3, "three flights of each side");
            for lost in 0..side.sent.len() {
                let mut pair = Pair::of(client, server);
                pair.run_with(LONG, |i, direction, _| {
                    if (i, direction) == (lost, to_server) {
                        lose()
                    } else {
                        deliver()
                    }
                });
                pair.assert_connected();
                let took = pair.client.association.status().took.expect("finished");
                assert!(
                    took < Duration::from_secs(1),
                    "{client} {server} {lost}: {took:?}"
                );
                let repeated = [&pair.client, &pair.server]
                    .map(|side| side.association.status().flights.repeated);
                assert_ne!(repeated, [0, 0], "{client} {server} {lost} {to_server}");
            }
        }
    }
}

#[test]
fn every_flight_of_either_side_may_be_lost_once() {
    for (client, server) in MATRIX {
        let mut pair = Pair::of(client, server);
        let mut seen = BTreeSet::new();
        pair.run_with(LONG, |_, direction, bytes| {
            // A flight is known by the type of its first message, behind two headers.
            let first = (direction, bytes[0], bytes.get(13).copied());
            if seen.insert(first) {
                lose()
            } else {
                deliver()
            }
        });
        pair.assert_connected();
        assert!(seen.len() >= 5, "{client} {server}: {seen:?}");
    }
}

#[test]
fn the_last_flight_is_repeated_when_the_peer_repeats_its_own() {
    for (client, server) in MATRIX {
        let mut pair = Pair::of(client, server);
        // From its last flight on, three of the server's datagrams are lost.
        let mut lost = 0;
        pair.run_with(LONG, |_, to_server, bytes| {
            let last = !to_server && bytes[0] == 20;
            lost += u32::from(last);
            if last && lost <= 3 { lose() } else { deliver() }
        });
        pair.assert_connected();
        assert!(lost > 3, "{client} {server}");
        let server = pair.server.association.status();
        assert!(server.flights.repeated >= 3, "{server:?}");
    }
}

#[test]
fn a_server_that_never_answers_is_given_up_in_time() {
    for client in [Kind::Dimpl, Kind::OpenSsl] {
        let mut pair = Pair::of(client, Kind::OpenSsl);
        pair.run_with(Duration::from_secs(100), |_, _, _| lose());
        assert_eq!(*pair.client.state(), State::Failed(Failure::Timeout));
        assert_eq!(pair.now.since(START), Duration::from_secs(30), "{client}");
        let sent = pair.client.sent.len();
        assert!((6..=10).contains(&sent), "{client} sent {sent} hellos");
        assert_eq!(pair.client.association.next_timeout(), None);
    }
}

#[test]
fn a_client_that_falls_silent_is_given_up_in_time() {
    for server in [Kind::Dimpl, Kind::OpenSsl] {
        let mut pair = Pair::of(Kind::Dimpl, server);
        let trusting = Options {
            trusted_path: true,
            ..options(Role::Server, server)
        };
        pair.server = crate::pair::Side::new(trusting, &[]);
        pair.run_with(Duration::from_secs(100), |i, to_server, _| {
            if to_server && i > 0 {
                lose()
            } else {
                deliver()
            }
        });
        assert_eq!(
            *pair.server.state(),
            State::Failed(Failure::Timeout),
            "{server}"
        );
    }
}

#[test]
fn duplicates_change_nothing() {
    for (client, server) in MATRIX {
        let mut pair = Pair::of(client, server);
        pair.run_with(LONG, |_, _, _| {
            Fate::Arrive(vec![DELAY, DELAY, DELAY + Duration::from_millis(3)])
        });
        pair.assert_connected();
        let sent = pair.client.sent.len() + pair.server.sent.len();
        assert!(sent <= 24, "{client} {server}: {sent} datagrams");
    }
}

#[test]
fn reordering_within_two_seconds_is_survived() {
    for (client, server) in MATRIX {
        for seed in 0..6 {
            let mut random = random(seed);
            let mut pair = Pair::of(client, server);
            pair.run_with(LONG, |_, _, _| {
                Fate::Arrive(vec![Duration::from_millis(
                    random.rng().random_range(0..2000),
                )])
            });
            pair.assert_connected();
        }
    }
}

#[test]
fn fragments_arrive_in_any_order() {
    for seed in 0..6 {
        let rsa = |role| Options {
            mtu: 576,
            certificate: certificate(KeyKind::Rsa2048),
            ..options(role, Kind::OpenSsl)
        };
        let mut random = random(seed);
        let mut pair = Pair::new(rsa(Role::Client), rsa(Role::Server));
        pair.run_with(LONG, |_, _, _| {
            Fate::Arrive(vec![Duration::from_millis(
                random.rng().random_range(1..50),
            )])
        });
        pair.assert_connected();
    }
}

#[test]
fn a_fifth_of_all_datagrams_may_be_lost_both_ways() {
    for (client, server) in MATRIX {
        let mut times = Vec::new();
        for seed in 0..60 {
            let mut random = random(seed);
            let mut pair = Pair::of(client, server);
            pair.run_with(LONG, |_, _, _| {
                if random.rng().random_range(0..5) == 0 {
                    lose()
                } else {
                    deliver()
                }
            });
            pair.assert_connected();
            times.push(pair.client.association.status().took.expect("finished"));
        }
        times.sort();
        let p95 = times[times.len() * 95 / 100];
        assert!(p95 < Duration::from_secs(3), "{client} {server}: {p95:?}");
    }
}
