//! Handshakes between all libraries and kinds of peer, on a path that loses nothing.

use std::time::Duration;

use crate::pair::{DELAY, MATRIX, MTU, Pair, START, certificate, deliver, options};
use patchcord_dtls::{
    Closed, Expect, Failure, KeyKind, Kind, Options, Profile, Profiles, Role, State, Version,
};
use patchcord_wire::sdp::HashName;

#[test]
fn every_library_talks_to_every_other() {
    for (client, server) in MATRIX {
        let mut pair = Pair::of(client, server);
        pair.run();
        pair.assert_connected();
        assert_eq!(pair.kinds(), [Some(client), Some(server)]);
        let State::Connected { profile, version } = pair.client.state() else {
            panic!("connected");
        };
        assert_eq!((*profile, *version), (Profile::Aes256Gcm, Version::Dtls12));
        assert_eq!(pair.client.states[0], State::Handshaking);
        assert_eq!(pair.client.states.len(), 2, "{:?}", pair.client.states);
    }
}

#[test]
fn nothing_is_sent_twice_on_a_sound_path() {
    for (client, server) in MATRIX {
        let mut pair = Pair::of(client, server);
        pair.run();
        for side in [&pair.client, &pair.server] {
            let status = side.association.status();
            assert_eq!(status.flights.repeated, 0, "{client} {server} {status:?}");
            assert_eq!(status.flights.sent, 3, "{client} {server} {status:?}");
        }
        // Six flights, one path's delay each, with the exchange of cookies.
        let took = pair.client.association.status().took;
        assert_eq!(took, Some(6 * DELAY), "{client} {server}");
    }
}

#[test]
fn a_server_on_a_path_that_ice_vouches_for_asks_for_no_cookie() {
    for (client, server) in MATRIX {
        let trusting = Options {
            trusted_path: true,
            ..options(Role::Server, server)
        };
        let mut pair = Pair::new(options(Role::Client, client), trusting);
        pair.run();
        pair.assert_connected();
        assert_eq!(pair.client.association.status().took, Some(4 * DELAY));
    }
}

#[test]
fn a_stranger_gets_a_cookie_and_no_more_than_it_sent() {
    for server in [Kind::Dimpl, Kind::OpenSsl] {
        let mut pair = Pair::of(Kind::Dimpl, server);
        pair.client.association.start(START);
        let hello = pair.client.drain().concat();
        for _ in 0..5 {
            pair.server.association.datagram(START, &hello);
            let answer = pair.server.drain().concat();
            assert!(answer.len() <= hello.len(), "{server}: {}", answer.len());
        }
    }
}

#[test]
fn peers_with_rsa_certificates_connect_in_either_role() {
    let rsa = certificate(KeyKind::Rsa2048);
    let with_rsa = |role| Options {
        certificate: rsa.clone(),
        ..options(role, Kind::OpenSsl)
    };
    let mut server = Pair::new(options(Role::Client, Kind::OpenSsl), with_rsa(Role::Server));
    server.run();
    server.assert_connected();
    let mut client = Pair::new(with_rsa(Role::Client), options(Role::Server, Kind::OpenSsl));
    client.run();
    client.assert_connected();
}

#[test]
fn a_browser_with_an_rsa_certificate_is_tried_again_with_openssl() {
    let rsa = Options {
        certificate: certificate(KeyKind::Rsa2048),
        trusted_path: true,
        ..options(Role::Server, Kind::OpenSsl)
    };
    let ours = Options {
        trusted_path: true,
        ..options(Role::Client, Kind::Dimpl)
    };
    let mut pair = Pair::new(ours, rsa);
    pair.client.association.start(START);
    // The server that refuses dimpl's hello is a fresh one for the next.
    let first = pair.client.association.status();
    assert_eq!(first.backend, Some(Kind::Dimpl));
    let refusal = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];
    let _dimpls_hello = pair.client.drain();
    pair.client.association.datagram(START, &refusal);
    pair.settle(Duration::from_secs(5), &mut |_, _, _| deliver());
    pair.assert_connected();
    let status = pair.client.association.status();
    assert_eq!(
        (status.backend, status.fell_back),
        (Some(Kind::OpenSsl), true)
    );
}

#[test]
fn a_peer_with_nothing_but_sha1_32_connects_in_either_role() {
    let only = Profiles::NONE.with(Profile::Aes128Sha1_32);
    let narrow = |role| Options {
        profiles: only,
        ..options(role, Kind::OpenSsl)
    };
    for (client, server) in [
        (narrow(Role::Client), options(Role::Server, Kind::Dimpl)),
        (options(Role::Client, Kind::OpenSsl), narrow(Role::Server)),
    ] {
        let mut pair = Pair::new(client, server);
        pair.run();
        pair.assert_connected();
        let State::Connected { profile, .. } = pair.server.state() else {
            panic!("connected");
        };
        assert_eq!(*profile, Profile::Aes128Sha1_32);
    }
}

#[test]
fn sides_without_a_common_profile_fail() {
    let only = |role, profile| Options {
        profiles: Profiles::NONE.with(profile),
        ..options(role, Kind::OpenSsl)
    };
    let mut pair = Pair::new(
        only(Role::Client, Profile::Aes128Gcm),
        only(Role::Server, Profile::Aes128Sha1_80),
    );
    pair.run();
    for side in [&pair.client, &pair.server] {
        assert!(
            matches!(side.state(), State::Failed(_)),
            "{:?}",
            side.state()
        );
        assert!(side.keys.is_none());
    }
}

#[test]
fn with_dtls_1_3_allowed_dimpl_agrees_on_it() {
    let newer = |role| Options {
        dtls13: true,
        ..options(role, Kind::Dimpl)
    };
    let mut pair = Pair::new(newer(Role::Client), newer(Role::Server));
    pair.run();
    pair.assert_connected();
    let version = |state: &State| {
        let State::Connected { version, .. } = state else {
            return None;
        };
        Some(*version)
    };
    assert_eq!(version(pair.client.state()), Some(Version::Dtls13));
    for (client, server) in [
        (newer(Role::Client), options(Role::Server, Kind::Dimpl)),
        (options(Role::Client, Kind::Dimpl), newer(Role::Server)),
        (options(Role::Client, Kind::OpenSsl), newer(Role::Server)),
    ] {
        let mut pair = Pair::new(client, server);
        pair.run();
        pair.assert_connected();
        assert_eq!(version(pair.client.state()), Some(Version::Dtls12));
    }
}

#[test]
fn a_wrong_fingerprint_gives_no_keys() {
    let other = certificate(KeyKind::P256).fingerprint(HashName::Sha256);
    for (client, server) in MATRIX {
        let (client, server) = (options(Role::Client, client), options(Role::Server, server));
        let right = client.certificate.fingerprint(HashName::Sha256);
        let mut pair = Pair::with_prints(client, server, &[other], &[right]);
        pair.run();
        assert_eq!(*pair.client.state(), State::Failed(Failure::Fingerprint));
        assert!(pair.client.keys.is_none());
        assert_eq!(*pair.server.state(), State::Closed(Closed::ByPeer));
    }
}

#[test]
fn a_fingerprint_of_any_hash_will_do() {
    for hash in HashName::ALL {
        let (client, server) = (
            options(Role::Client, Kind::Dimpl),
            options(Role::Server, Kind::Dimpl),
        );
        let prints = [&server, &client].map(|options| options.certificate.fingerprint(hash));
        let mut pair = Pair::with_prints(client, server, &prints[..1], &prints[1..]);
        pair.run();
        pair.assert_connected();
    }
}

#[test]
fn keys_are_withheld_until_the_fingerprint_is_known() {
    for (client, server) in MATRIX {
        let (client, server) = (options(Role::Client, client), options(Role::Server, server));
        let prints =
            [&server, &client].map(|options| options.certificate.fingerprint(HashName::Sha256));
        let mut pair = Pair::with_prints(client, server, &[], &prints[1..]);
        pair.run();
        assert_eq!(*pair.client.state(), State::Postponed);
        assert!(pair.client.keys.is_none());
        pair.client.association.expect(pair.now, &prints[..1]);
        pair.settle(Duration::from_secs(1), &mut |_, _, _| deliver());
        pair.assert_connected();
    }
}

#[test]
fn a_late_fingerprint_that_is_wrong_ends_it() {
    for (client, server) in MATRIX {
        let (client, server) = (options(Role::Client, client), options(Role::Server, server));
        let ours = client.certificate.fingerprint(HashName::Sha256);
        let mut pair = Pair::with_prints(client, server, &[], &[ours]);
        pair.run();
        pair.client.association.expect(pair.now, &[ours]);
        pair.settle(Duration::from_secs(1), &mut |_, _, _| deliver());
        assert_eq!(*pair.client.state(), State::Failed(Failure::Fingerprint));
        assert!(pair.client.keys.is_none());
        assert_eq!(*pair.server.state(), State::Closed(Closed::ByPeer));
    }
}

#[test]
fn a_close_is_told_to_the_peer() {
    for (client, server) in MATRIX {
        let mut pair = Pair::of(client, server);
        pair.run();
        pair.server.association.close(pair.now);
        pair.settle(Duration::from_secs(1), &mut |_, _, _| deliver());
        assert_eq!(*pair.server.state(), State::Closed(Closed::ByUs));
        assert_eq!(*pair.client.state(), State::Closed(Closed::ByPeer));
    }
}

#[test]
fn a_close_before_the_end_leaves_nothing_behind() {
    for (client, server) in MATRIX {
        let mut pair = Pair::of(client, server);
        pair.client.association.start(START);
        pair.client.association.close(START);
        assert_eq!(pair.client.association.next_timeout(), None);
        assert_eq!(*pair.client.state(), State::Closed(Closed::ByUs));
        let hello = pair.client.drain().concat();
        pair.client.association.datagram(START, &hello);
        assert!(pair.client.drain().is_empty());
    }
}

#[test]
fn no_datagram_is_longer_than_the_mtu() {
    for (client, server) in MATRIX {
        for mtu in [576, 800, MTU] {
            let narrow = |role, kind| Options {
                mtu,
                certificate: certificate(if kind == Kind::OpenSsl {
                    KeyKind::Rsa2048
                } else {
                    KeyKind::P256
                }),
                ..options(role, kind)
            };
            // An RSA certificate makes the flights long, but dimpl does not take one.
            if client != server {
                continue;
            }
            let mut pair = Pair::new(narrow(Role::Client, client), narrow(Role::Server, server));
            pair.run();
            pair.assert_connected();
            for side in [&pair.client, &pair.server] {
                let longest = side.sent.iter().map(Vec::len).max();
                assert!(longest <= Some(mtu), "{longest:?} at {mtu}");
            }
            let many = pair.server.sent.len() > 4;
            assert_eq!(
                many,
                mtu == 576 && server == Kind::OpenSsl,
                "{mtu} {server}"
            );
        }
    }
}

#[test]
fn an_mtu_below_the_floor_is_the_floor() {
    let mut tiny = options(Role::Client, Kind::OpenSsl);
    tiny.mtu = 100;
    let mut pair = Pair::new(tiny, options(Role::Server, Kind::OpenSsl));
    pair.run();
    pair.assert_connected();
}

#[test]
fn a_stranger_that_may_have_any_certificate_is_left_to_openssl() {
    let anyone = Options {
        expect: Expect::Anyone,
        ..options(Role::Server, Kind::Dimpl)
    };
    let mut pair = Pair::new(options(Role::Client, Kind::Dimpl), anyone);
    pair.run();
    pair.assert_connected();
    assert_eq!(pair.kinds()[1], Some(Kind::OpenSsl));
}

/// The one message of a datagram in two fragments, each in a datagram of its own, as browsers send
/// their hellos. The second number lies beyond those that the client uses next.
fn in_two(datagram: &[u8]) -> [Vec<u8>; 2] {
    let (head, body) = (&datagram[..25], &datagram[25..]);
    let (first, second) = body.split_at(body.len() / 2);
    [(first, 0, 0u8), (second, first.len(), 40)].map(|(part, offset, number)| {
        let mut out = [head, part].concat();
        out[10] = number;
        out[11..13].copy_from_slice(&(part.len() as u16 + 12).to_be_bytes());
        out[19..22].copy_from_slice(&(offset as u32).to_be_bytes()[1..]);
        out[22..25].copy_from_slice(&(part.len() as u32).to_be_bytes()[1..]);
        out
    })
}

#[test]
fn a_hello_in_two_datagrams_is_put_together_whichever_comes_first() {
    for (client, server) in MATRIX {
        for turned in [false, true] {
            let trusting = Options {
                trusted_path: true,
                ..options(Role::Server, server)
            };
            let mut pair = Pair::new(options(Role::Client, client), trusting);
            pair.client.association.start(START);
            let hello = pair.client.drain().concat();
            let mut parts = in_two(&hello);
            if turned {
                parts.reverse();
            }
            pair.server.association.datagram(START, &parts[0]);
            assert_eq!(*pair.server.state(), State::New, "not whole yet");
            pair.server.association.datagram(START, &parts[1]);
            pair.settle(Duration::from_secs(20), &mut |_, _, _| deliver());
            pair.assert_connected();
            assert_eq!(pair.kinds()[1], Some(server));
        }
    }
}
