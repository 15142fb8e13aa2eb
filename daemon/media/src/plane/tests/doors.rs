//! A flow at several ports: what comes in by any is its, and all it sends leaves by one.

use super::*;
use crate::flow::{Doors, Punts};

/// A call whose slot 0 has doors at 5 and 6, and sends by `leaves`.
fn call(leaves: u32) -> Bench {
    let mut bench = Bench::call();
    let mut spec = bench.spec(0);
    spec.doors = Some(Box::new(Doors {
        ports: [port(5), port(6)].into(),
        leaves: port(leaves),
        lodgers: Box::default(),
    }));
    spec.handshakes.punts = Punts::Stun;
    bench.set(spec);
    bench
}

#[test]
fn what_comes_in_by_a_door_is_the_flows() {
    let mut bench = call(0);
    for (slot, sequence) in [(5, 1), (0, 2), (6, 3)] {
        assert_eq!(
            bench.send(slot, peer(0), &rtp(sequence)),
            [(rtp(sequence), port(1), peer(1))]
        );
    }
    assert_eq!(bench.stats(0).rtp_in.packets.get(), 3);
    assert_eq!(bench.stats(0).forwarded.get(), 3);
}

#[test]
fn what_it_sends_leaves_by_the_chosen_port_and_is_counted_as_its() {
    let mut bench = call(6);
    for _ in 0..2 {
        let left = bench.send(1, peer(1), &rtp(9));
        assert_eq!(left, [(rtp(9), port(6), peer(0))]);
        bench.wait(10);
    }
    assert_eq!(bench.stats(0).rtp_out.packets.get(), 2);
    bench.plane.unsent(port(6), Reason::SendFailed);
    let failed = bench.stats(0).drops[Reason::SendFailed as usize].get();
    assert_eq!(failed, 1);
    assert_eq!(
        bench.plane.peer(port(0)),
        None,
        "nothing is to be connected here"
    );
}

#[test]
fn a_check_says_which_door_it_came_by() {
    let mut bench = call(0);
    for slot in [5, 0, 6] {
        bench.send(slot, peer(0), &STUN);
    }
    let ports: Vec<PortId> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Punted { port, .. } => Some(*port),
            Event::Latched { .. }
            | Event::Unauthentic { .. }
            | Event::KeyExpired { .. }
            | Event::Looped { .. } => None,
        })
        .collect();
    assert_eq!(ports, [port(5), port(0), port(6)]);
}

#[test]
fn a_door_is_shut_with_its_flow_or_by_another_spec() {
    let mut bench = call(0);
    let mut spec = bench.spec(0);
    spec.doors = Some(Box::new(Doors {
        ports: [port(6)].into(),
        leaves: port(0),
        lodgers: Box::default(),
    }));
    bench.set(spec);
    assert_eq!(bench.send(5, peer(0), &rtp(1)), []);
    assert_eq!(bench.send(6, peer(0), &rtp(1)).len(), 1);
    bench.plane.command(bench.now, Command::Clear(port(0)));
    assert_eq!(bench.send(6, peer(0), &rtp(2)), []);
    assert_eq!(bench.drops()[Reason::NoFlow as usize], 2);
}
