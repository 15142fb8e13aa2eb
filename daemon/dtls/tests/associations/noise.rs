//! What does not belong here: garbage, replays, another handshake's records.

use std::time::Duration;

use patchcord_dtls::{Failure, Kind, Options, Role, State};
use proptest::prelude::*;

use crate::pair::{MATRIX, Pair, START, Side, deliver, lose, options};

/// The pair with everything delivered, and a stranger's handshake.
fn connected(client: Kind, server: Kind) -> (Pair, Pair) {
    let mut both = [Pair::of(client, server), Pair::of(client, server)];
    for pair in &mut both {
        pair.run();
        pair.assert_connected();
    }
    both.into()
}

fn assert_unmoved(side: &mut Side, datagram: &[u8]) {
    let before = side.state().clone();
    side.association
        .datagram(START + Duration::from_mins(1), datagram);
    let answer = side.drain();
    assert_eq!(*side.state(), before);
    let most = 3 * datagram.len() + 300;
    assert!(answer.concat().len() <= most, "no amplifier");
}

#[test]
fn replays_of_a_whole_handshake_change_nothing() {
    for (client, server) in MATRIX {
        let (mut pair, _) = connected(client, server);
        for datagram in pair.client.sent.clone() {
            assert_unmoved(&mut pair.server, &datagram);
        }
        for datagram in pair.server.sent.clone() {
            assert_unmoved(&mut pair.client, &datagram);
        }
        pair.assert_connected();
    }
}

#[test]
fn another_handshakes_records_change_nothing() {
    for (client, server) in MATRIX {
        let (mut pair, mut stranger) = connected(client, server);
        stranger.client.association.close(stranger.now);
        stranger.server.association.close(stranger.now);
        let _goodbyes = (stranger.client.drain(), stranger.server.drain());
        for datagram in stranger.client.sent.iter().chain(&stranger.server.sent) {
            assert_unmoved(&mut pair.server, datagram);
            assert_unmoved(&mut pair.client, datagram);
        }
        pair.assert_connected();
        // The one that it belongs to still listens.
        pair.client.association.close(pair.now);
        pair.settle(Duration::from_secs(1), &mut |_, _, _| deliver());
        assert!(matches!(pair.server.state(), State::Closed(_)), "{server}");
    }
}

#[test]
fn a_record_too_short_to_be_opened_changes_nothing() {
    for (client, server) in MATRIX {
        let (mut pair, _) = connected(client, server);
        for len in 0..40 {
            let mut stub = vec![20 + len % 4, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, len];
            stub.resize(13 + usize::from(len), 0);
            assert_unmoved(&mut pair.client, &stub);
            assert_unmoved(&mut pair.server, &stub);
        }
        pair.client.association.close(pair.now);
        pair.settle(Duration::from_secs(1), &mut |_, _, _| deliver());
        assert!(matches!(pair.server.state(), State::Closed(_)), "{server}");
    }
}

#[test]
fn a_forged_alert_on_an_open_path_is_not_believed() {
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    for (client, server) in MATRIX {
        let mut pair = Pair::of(client, server);
        pair.client.association.start(START);
        pair.client.association.datagram(START, &alert);
        pair.server.association.datagram(START, &alert);
        pair.settle(Duration::from_secs(20), &mut |_, _, _| deliver());
        pair.assert_connected();
    }
}

#[test]
fn an_alert_that_was_not_believed_explains_the_silence_after_it() {
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    let mut pair = Pair::of(Kind::OpenSsl, Kind::OpenSsl);
    pair.client.association.start(START);
    pair.client.association.datagram(START, &alert);
    pair.settle(Duration::from_mins(1), &mut |_, _, _| lose());
    assert_eq!(*pair.client.state(), State::Failed(Failure::Alert(40)));
}

#[test]
fn a_spoofed_hello_does_not_keep_the_real_client_out() {
    for server in [Kind::Dimpl, Kind::OpenSsl] {
        let mut stranger = Pair::of(Kind::OpenSsl, server);
        stranger.client.association.start(START);
        let spoofed = stranger.client.drain().concat();
        let mut pair = Pair::of(Kind::Dimpl, server);
        pair.server.association.datagram(START, &spoofed);
        let _to_nobody = pair.server.drain();
        pair.run();
        pair.assert_connected();
        assert_eq!(pair.kinds()[1], Some(server));
    }
}

#[test]
fn a_client_that_begins_anew_on_a_path_of_ice_is_heard() {
    for server in [Kind::Dimpl, Kind::OpenSsl] {
        let trusting = Options {
            trusted_path: true,
            ..options(Role::Server, server)
        };
        let mut pair = Pair::new(options(Role::Client, Kind::Dimpl), trusting);
        let mut first = Pair::of(Kind::OpenSsl, server);
        first.client.association.start(START);
        let hello = first.client.drain().concat();
        pair.server.association.datagram(START, &hello);
        let _lost = pair.server.drain();
        pair.run();
        pair.assert_connected();
    }
}

#[test]
fn other_data_of_the_peer_is_not_ours() {
    for (client, server) in MATRIX {
        let (mut pair, _) = connected(client, server);
        for first in [0, 1, 63, 64, 79, 128, 200] {
            assert_unmoved(&mut pair.client, &[first; 60]);
            assert_unmoved(&mut pair.server, &[first; 60]);
        }
    }
}

/// Bytes that look the more like a record the longer one looks.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..600);
    (bytes, 18u8..28, 0u8..3, 0u8..4, 0u8..25).prop_map(|(body, content, epoch, shape, kind)| {
        let mut out = vec![content, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 9];
        let mut inner = body.clone();
        if shape > 1 && inner.len() >= 12 {
            let len = (inner.len() - 12) as u32;
            inner[0] = kind;
            inner[1..4].copy_from_slice(&len.to_be_bytes()[1..]);
            inner[4..9].fill(0);
            inner[9..12].copy_from_slice(&len.to_be_bytes()[1..]);
        }
        if shape == 0 {
            return body;
        }
        out.extend((inner.len() as u16).to_be_bytes());
        out.extend(inner);
        out
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn garbage_never_moves_a_connection(junk in prop::collection::vec(noise(), 1..12)) {
        for (client, server) in MATRIX {
            let (mut pair, _) = connected(client, server);
            for datagram in &junk {
                assert_unmoved(&mut pair.client, datagram);
                assert_unmoved(&mut pair.server, datagram);
            }
            pair.client.association.close(pair.now);
            pair.settle(Duration::from_secs(1), &mut |_, _, _| deliver());
            prop_assert!(matches!(pair.server.state(), State::Closed(_)));
        }
    }

    #[test]
    fn bytes_without_sound_records_never_disturb_a_handshake(
        junk in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8),
    ) {
        for (client, server) in MATRIX {
            let mut pair = Pair::of(client, server);
            pair.client.association.start(START);
            for datagram in &junk {
                // Versions of other protocols.
                let mut datagram = datagram.clone();
                if let Some(byte) = datagram.get_mut(1) {
                    *byte &= 0x7f;
                }
                if let Some(byte) = datagram.first_mut() {
                    *byte |= 0x80;
                }
                pair.client.association.datagram(START, &datagram);
                pair.server.association.datagram(START, &datagram);
            }
            pair.settle(Duration::from_secs(20), &mut |_, _, _| deliver());
            pair.assert_connected();
        }
    }

    #[test]
    fn noise_in_mid_handshake_never_panics(junk in prop::collection::vec((noise(), 0usize..6), 1..8)) {
        for (client, server) in MATRIX {
            let mut pair = Pair::of(client, server);
            let mut step = 0;
            pair.client.association.start(START);
            pair.settle(Duration::from_secs(20), &mut |_, _, _| { step += 1; deliver() });
            let mut again = Pair::of(client, server);
            for (datagram, turn) in &junk {
                again.client.association.start(START);
                again.settle(Duration::from_millis(10 * *turn as u64), &mut |_, _, _| deliver());
                again.client.association.datagram(again.now, datagram);
                again.server.association.datagram(again.now, datagram);
            }
            again.settle(Duration::from_secs(40), &mut |_, _, _| deliver());
            prop_assert!(step >= 5);
            for side in [&again.client, &again.server] {
                prop_assert_ne!(side.state().as_str(), "postponed");
            }
        }
    }
}
