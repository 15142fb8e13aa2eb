//! STUN and DTLS go up, bounded; under ICE only what was validated is let in.

use super::*;
use crate::flow::Punts;

const STUN: [u8; 20] = [
    0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
const DTLS: [u8; 14] = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];

/// A call whose slot 0 has an agent that validated these, the first being the pair in use.
fn ice(validated: &[Endpoint]) -> Bench {
    let mut bench = Bench::call();
    let mut spec = bench.spec(0);
    spec.admission = Admission {
        advertised: validated.first().copied().unwrap_or(Endpoint::NONE),
        learning: Learning::Off,
        stranger: Stranger::Validated,
        epoch: 2,
    };
    spec.handshakes = Handshakes {
        punts: Punts::Both,
        validated: validated.iter().copied().collect(),
    };
    bench.set(spec);
    bench
}

fn drops(bench: &Bench, reason: Reason) -> u32 {
    let spec = bench.spec(0);
    spec.stats.drops[reason as usize].get()
}

/// Punts since the last time, as source, class and bytes.
fn punted(bench: &mut Bench) -> Vec<(Endpoint, PuntClass, Vec<u8>)> {
    let events = std::mem::take(&mut bench.events);
    let punted = events.into_iter().filter_map(|event| {
        let Event::Punted {
            source,
            class,
            bytes,
            ..
        } = event
        else {
            return None;
        };
        Some((source, class, bytes.into_vec()))
    });
    punted.collect()
}

#[test]
fn stun_of_anybody_goes_up_and_dtls_of_who_was_validated() {
    let mut bench = ice(&[peer(0)]);
    assert_eq!(bench.send(0, host(9, 9), &STUN), []);
    assert_eq!(bench.send(0, peer(0), &DTLS), []);
    assert_eq!(bench.send(0, host(9, 9), &DTLS), []);
    let expected = [
        (host(9, 9), PuntClass::Stun, STUN.to_vec()),
        (peer(0), PuntClass::Dtls, DTLS.to_vec()),
    ];
    assert_eq!(punted(&mut bench), expected);
    assert_eq!(drops(&bench, Reason::WrongSource), 1);
    assert_eq!(bench.plane.stats().punts.get(), 2);
    assert_eq!(bench.plane.stats().decided(), 3);
}

#[test]
fn without_ice_dtls_of_anybody_goes_up() {
    let mut bench = Bench::call();
    let mut spec = bench.spec(0);
    spec.handshakes.punts = Punts::Dtls;
    bench.set(spec);
    bench.send(0, host(9, 9), &DTLS);
    bench.send(0, host(9, 9), &STUN);
    assert_eq!(punted(&mut bench).len(), 1);
    assert_eq!(drops(&bench, Reason::UnexpectedStun), 1);
}

#[test]
fn handshakes_go_up_while_keys_are_missing_and_beside_srtp() {
    let mut bench = ice(&[peer(0)]);
    let mut spec = bench.spec(0);
    spec.receive = Security::Pending;
    bench.set(spec);
    bench.send(0, peer(0), &STUN);
    bench.send(0, peer(0), &DTLS);
    assert_eq!(punted(&mut bench).len(), 2);
}

#[test]
fn where_nobody_listens_handshakes_are_unexpected() {
    let mut bench = Bench::call();
    bench.send(0, peer(0), &STUN);
    bench.send(0, peer(0), &DTLS);
    assert_eq!(punted(&mut bench), []);
    assert_eq!(drops(&bench, Reason::UnexpectedStun), 1);
    assert_eq!(drops(&bench, Reason::UnexpectedDtls), 1);
}

#[test]
fn media_is_let_in_from_validated_sources_only_and_teaches_nothing() {
    let mut bench = ice(&[peer(0), host(7, 7)]);
    for source in [peer(0), host(7, 7)] {
        assert_eq!(bench.send(0, source, &rtp(1)).len(), 1, "{source}");
        bench.wait(5_000);
    }
    assert_eq!(bench.send(0, host(9, 9), &rtp(2)), []);
    assert_eq!(drops(&bench, Reason::WrongSource), 1);
    // What goes back goes to the pair in use, whoever spoke last.
    let back = bench.send(1, peer(1), &rtp(3));
    assert_eq!(back[0].2, peer(0));
    assert_eq!(bench.plane.peer(port(0)), Some(peer(0)));
}

#[test]
fn before_anything_is_validated_nothing_is_let_in_or_sent() {
    let mut bench = ice(&[]);
    assert_eq!(bench.send(0, peer(0), &rtp(1)), []);
    assert_eq!(bench.send(1, peer(1), &rtp(1)), []);
    assert_eq!(drops(&bench, Reason::WrongSource), 1);
    bench.send(0, peer(0), &STUN);
    assert_eq!(punted(&mut bench).len(), 1);
}

#[test]
fn a_flood_of_strangers_does_not_hide_the_peers_checks() {
    let mut bench = ice(&[peer(0)]);
    for n in 0..10_000 {
        bench.send(0, host(9, n), &STUN);
    }
    let flood = punted(&mut bench).len();
    assert!((50..=200).contains(&flood), "{flood} went up at once");
    assert_eq!(drops(&bench, Reason::PuntLimit) as usize, 10_000 - flood);
    bench.send(0, peer(0), &STUN);
    assert_eq!(punted(&mut bench).len(), 1);
    // DTLS has buckets of its own.
    bench.send(0, peer(0), &DTLS);
    assert_eq!(punted(&mut bench).len(), 1);
    // A second later strangers have their share again, and no more.
    bench.wait(1_000);
    for n in 0..10_000 {
        bench.send(0, host(9, n), &STUN);
    }
    assert!(punted(&mut bench).len() <= 200);
}

#[test]
fn a_flood_at_many_ports_is_bounded_for_the_worker() {
    let mut bench = Bench::new([]);
    for slot in 0..200 {
        let mut flow = spec(slot, Accepts::Muxed, &[], &[]);
        flow.handshakes.punts = Punts::Stun;
        bench.set(flow);
    }
    for n in 0..20_000 {
        bench.send(n % 200, host(9, 9), &STUN);
    }
    let most = punted(&mut bench).len();
    assert!((2_000..=3_000).contains(&most), "{most}");
}

#[test]
fn another_spec_does_not_refill_the_buckets() {
    let mut bench = ice(&[peer(0)]);
    for n in 0..2_000 {
        bench.send(0, host(9, n), &STUN);
        if n % 10 == 0 {
            let mut spec = bench.spec(0);
            spec.tos = n as u8;
            bench.set(spec);
        }
    }
    assert!(punted(&mut bench).len() <= 200);
}

#[test]
fn what_is_longer_than_a_path_carries_does_not_go_up() {
    let mut bench = ice(&[peer(0)]);
    let mut long = DTLS.to_vec();
    long.resize(1_501, 0);
    bench.send(0, peer(0), &long);
    bench.send(0, peer(0), &long[..1_500]);
    assert_eq!(punted(&mut bench).len(), 1);
    assert_eq!(drops(&bench, Reason::PuntLimit), 1);
}
