//! Flows whose peers were told one port: what comes in there is told apart, what they send leaves from there.

use super::*;
use crate::flow::{Doors, Lodger, Punts};

/// Two calls, 0 with 1 and 2 with 3: the peers of 0 and 2 were both told the port of 0. What is at 2 has
/// payload type 96.
fn calls() -> Bench {
    let pairs = [(0, 1), (1, 0), (2, 3), (3, 2)];
    let mut bench =
        Bench::new(pairs.map(|(slot, other)| spec(slot, Accepts::Muxed, &[other], &[other])));
    let mut host = bench.spec(0);
    host.doors = Some(Box::new(Doors {
        ports: Box::default(),
        leaves: port(0),
        lodgers: [Lodger {
            port: port(2),
            types: [96].into_iter().collect(),
            ssrcs: SmallVec::from_slice(&[0xbeef_0001]),
        }]
        .into(),
    }));
    bench.set(host);
    let mut lodger = bench.spec(2);
    lodger.doors = Some(Box::new(Doors {
        ports: Box::default(),
        leaves: port(0),
        lodgers: Box::default(),
    }));
    bench.set(lodger);
    bench
}

/// RTP of that payload type and stream.
fn of(payload_type: u8, ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = rtp(sequence);
    packet[1] = payload_type;
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    packet
}

#[test]
fn who_sends_from_where_he_said_is_known_whatever_he_sends() {
    let mut bench = calls();
    for (source, to) in [(0, 1), (2, 3)] {
        let packet = of(8, 7, 1);
        let left = bench.send(0, peer(source), &packet);
        assert_eq!(left, [(packet, port(to), peer(to))]);
    }
    assert_eq!(bench.stats(0).rtp_in.packets.get(), 1);
    assert_eq!(bench.stats(2).rtp_in.packets.get(), 1);
}

#[test]
fn what_a_lodger_is_sent_leaves_from_the_port_its_peer_knows() {
    let mut bench = calls();
    for _ in 0..2 {
        assert_eq!(
            bench.send(3, peer(3), &rtp(1)),
            [(rtp(1), port(0), peer(2))]
        );
        bench.wait(10);
    }
    assert_eq!(
        bench.send(1, peer(1), &rtp(1)),
        [(rtp(1), port(0), peer(0))]
    );
    assert_eq!(bench.stats(2).rtp_out.packets.get(), 2);
    assert_eq!(bench.stats(0).rtp_out.packets.get(), 1);
    assert_eq!(bench.plane.peer(port(2)), None, "not to be connected");
}

#[test]
fn behind_a_nat_payload_types_and_declared_streams_tell_and_sources_are_learnt() {
    let mut bench = calls();
    let nat = [host(50, 1_000), host(50, 1_002)];
    for (source, packet, to) in [
        (nat[0], of(96, 7, 1), 3),
        (nat[1], of(0, 0xbeef_0001, 1), 3),
        (nat[1], of(0, 8, 1), 1),
    ] {
        let left = bench.send(0, source, &packet);
        assert_eq!(left, [(packet, port(to), peer(to))]);
    }
    bench.wait(4_000);
    assert_eq!(bench.send(3, peer(3), &rtp(1))[0].2, nat[0]);
    assert_eq!(bench.send(1, peer(1), &rtp(1))[0].2, nat[1]);
    // From here on the source decides: what has no type of its own is told as well.
    assert_eq!(bench.send(0, nat[0], &of(0, 7, 2))[0].1, port(3));
}

#[test]
fn one_address_for_both_leaves_it_to_the_packets() {
    let mut bench = calls();
    let mut lodger = bench.spec(2);
    lodger.admission.advertised = peer(0);
    lodger.admission.epoch = 2;
    bench.set(lodger);
    assert_eq!(bench.send(0, peer(0), &of(96, 7, 1))[0].1, port(3));
    assert_eq!(bench.send(0, peer(0), &of(0, 8, 1))[0].1, port(1));
}

#[test]
fn a_check_goes_up_with_its_port_and_a_handshake_with_its_flow() {
    let mut bench = calls();
    for slot in [0, 2] {
        let mut spec = bench.spec(slot);
        spec.handshakes.punts = Punts::Both;
        bench.set(spec);
    }
    bench.send(0, peer(2), &STUN);
    bench.send(0, peer(2), &DTLS);
    let punted = |event: &Event| match event {
        Event::Punted { port, class, .. } => Some((*port, *class)),
        Event::Latched { .. }
        | Event::Unauthentic { .. }
        | Event::KeyExpired { .. }
        | Event::Looped { .. } => None,
    };
    let found: Vec<_> = bench.events.iter().filter_map(punted).collect();
    assert_eq!(
        found,
        [(port(0), PuntClass::Stun), (port(2), PuntClass::Dtls)]
    );
}

#[test]
fn a_port_that_others_lodge_at_is_told_apart_until_they_are_gone() {
    let mut bench = calls();
    let mut host = bench.spec(0);
    host.doors = None;
    bench.set(host);
    assert_eq!(bench.send(0, peer(2), &of(96, 7, 1))[0].1, port(1));
    assert!(!bench.plane.table.has_doors());
}

#[test]
fn who_has_a_lodger_is_not_carried_by_the_kernel() {
    use crate::offload::{Place, WhyNot, entry};
    let bench = calls();
    let place = Place {
        local: host(1, 30_000),
        peer: Some(peer(0)),
        tos: 0,
        is_sealed: false,
        is_elsewhere: false,
    };
    let kept = entry(&bench.spec(0), &place, &[place]);
    assert_eq!(kept.err(), Some(WhyNot::Bundled));
}
