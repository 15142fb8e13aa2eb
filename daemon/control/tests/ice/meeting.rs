//! Agents find each other.

use std::net::Ipv4Addr;
use std::time::Duration;

use patchcord_control::ice::{Agent, CandidateType, Component, Event, Mode, Role, Standing};

use crate::net::{LEFT, Nat, Net, RIGHT, Weather, endpoint};

const SECOND: Duration = Duration::from_secs(1);
const STORM: Weather = Weather {
    loss: 400,
    repeats: 100,
    delay: Duration::from_millis(20),
    jitter: Duration::from_millis(80),
};

/// Both have chosen the same pair, each seen from its end. The addresses are open.
fn assert_same_pair(net: &Net, component: Component) {
    let left = net.way(LEFT, component).expect("a pair");
    let right = net.way(RIGHT, component).expect("a pair");
    assert_eq!(left, (right.1, right.0));
    for side in [LEFT, RIGHT] {
        let pair = net.selected(side, 0, component).expect("a pair");
        assert_eq!(pair.standing, Standing::Nominated);
    }
}

#[test]
fn two_full_agents_choose_the_same_pair() {
    let mut net = Net::new(1, [Mode::Full; 2]);
    net.pair_up();
    net.talking = true;
    net.signal();
    assert!(net.run_until(SECOND, Net::both_connected));
    assert_same_pair(&net, Component::Rtp);
    net.run(SECOND);
    assert!(net.sides[LEFT].heard.len() > 45 && net.sides[RIGHT].heard.len() > 45);
}

#[test]
fn a_check_of_the_offerer_waits_for_nothing_once_the_answer_is_there() {
    let mut net = Net::new(2, [Mode::Full; 2]);
    net.pair_up();
    net.signal();
    let start = net.now;
    assert!(net.run_until(SECOND, |net| {
        net.selected(LEFT, 0, Component::Rtp).is_some()
    }));
    // One way there, one way back, and the early check of the answerer triggered it.
    assert_eq!(net.now.since(start), Duration::from_millis(20));
}

#[test]
fn full_and_lite_meet_either_way_round() {
    for modes in [[Mode::Full, Mode::Lite], [Mode::Lite, Mode::Full]] {
        let mut net = Net::new(3, modes);
        net.pair_up();
        net.talking = true;
        net.signal();
        assert!(net.run_until(SECOND, Net::both_connected), "{modes:?}");
        assert_same_pair(&net, Component::Rtp);
        let full = modes.iter().position(|mode| *mode == Mode::Full);
        let full = full.expect("one of them is");
        assert_eq!(net.sides[full].agent.role(), Role::Controlling);
        net.run(SECOND);
        assert!(net.sides[LEFT].heard.len() > 40 && net.sides[RIGHT].heard.len() > 40);
    }
}

#[test]
fn a_lite_offerer_leaves_the_say_to_who_checks_before_its_answer_is_here() {
    for seed in 0..40 {
        let mut net = Net::new(seed, [Mode::Lite, Mode::Full]);
        // Nobody has told it yet that the peer is full.
        let side = &mut net.sides[LEFT];
        side.agent = Agent::new(Mode::Lite, Role::Controlling, &mut side.random);
        side.lists = vec![side.agent.add_list(&mut side.random)];
        net.pair_up();
        net.tell(RIGHT, 0);
        net.run(SECOND);
        net.sides[LEFT].agent.set_peer(Mode::Full);
        net.tell(LEFT, 0);
        assert!(net.run_until(SECOND, Net::both_connected), "{seed}");
        let events = net.sides.iter().flat_map(|side| &side.events);
        let switches = events.filter(|(_, event)| matches!(event, Event::RoleSwitched(_)));
        assert_eq!(switches.count(), 0, "{seed}");
        assert_eq!(net.sides[RIGHT].agent.role(), Role::Controlling, "{seed}");
    }
}

#[test]
fn two_lite_agents_take_the_best_pair_for_granted() {
    let mut net = Net::new(4, [Mode::Lite; 2]);
    net.pair_up();
    net.host(RIGHT, 0, Component::Rtp, "203.0.113.2:20000");
    net.signal();
    assert!(net.both_connected());
    assert_same_pair(&net, Component::Rtp);
    let best = endpoint("203.0.113.1:20000");
    assert_eq!(net.way(LEFT, Component::Rtp).map(|way| way.1), Some(best));
    assert!(net.sides.iter().all(|side| side.sent.is_empty()));
}

#[test]
fn conflicts_of_roles_resolve_whoever_has_the_larger_number() {
    for seed in 0..40 {
        for role in [Role::Controlling, Role::Controlled] {
            for simultaneous in [false, true] {
                let mut net = Net::with_roles(seed, [Mode::Full; 2], [role; 2]);
                net.pair_up();
                if simultaneous {
                    net.tell(LEFT, 0);
                    net.tell(RIGHT, 0);
                } else {
                    net.signal();
                }
                assert!(
                    net.run_until(3 * SECOND, Net::both_connected),
                    "{seed} {role:?}"
                );
                assert_same_pair(&net, Component::Rtp);
                assert_ne!(net.sides[LEFT].agent.role(), net.sides[RIGHT].agent.role());
                let switches = |side: usize| {
                    let events = net.sides[side].events.iter();
                    events
                        .filter(|(_, e)| matches!(e, Event::RoleSwitched(_)))
                        .count()
                };
                assert_eq!(switches(LEFT) + switches(RIGHT), 1, "{seed} {role:?}");
            }
        }
    }
}

#[test]
fn every_mixture_meets_in_a_storm() {
    let mixtures = [
        ([Mode::Full; 2], [Role::Controlling, Role::Controlled]),
        ([Mode::Full; 2], [Role::Controlling; 2]),
        ([Mode::Full; 2], [Role::Controlled; 2]),
        ([Mode::Full, Mode::Lite], [Role::Controlled; 2]),
        (
            [Mode::Lite, Mode::Full],
            [Role::Controlling, Role::Controlled],
        ),
    ];
    for seed in 0..60 {
        for (modes, roles) in mixtures {
            let mut net = Net::with_roles(seed, modes, roles);
            net.weather = STORM;
            net.talking = true;
            for component in Component::ALL {
                let port = 10_000 + component.number();
                net.host(LEFT, 0, component, &format!("198.51.100.1:{port}"));
                net.host(LEFT, 0, component, &format!("198.51.100.2:{port}"));
                net.host(RIGHT, 0, component, &format!("203.0.113.1:{port}"));
                net.host(RIGHT, 0, component, &format!("203.0.113.2:{port}"));
            }
            net.signal();
            assert!(
                net.run_until(60 * SECOND, Net::both_connected),
                "{seed} {modes:?} {roles:?}"
            );
            net.run(SECOND);
            for component in Component::ALL {
                assert_same_pair(&net, component);
            }
        }
    }
}

#[test]
fn a_fifth_of_loss_delays_few_by_more_than_a_second() {
    let mut times: Vec<_> = (0..200)
        .map(|seed| {
            let mut net = Net::new(seed, [Mode::Full; 2]);
            net.weather = Weather { loss: 200, ..STORM };
            net.pair_up();
            let start = net.now;
            net.signal();
            assert!(net.run_until(60 * SECOND, Net::both_connected));
            net.now.since(start)
        })
        .collect();
    times.sort();
    assert!(times[100] < Duration::from_millis(700), "{:?}", times[100]);
    assert!(times[190] < 2 * SECOND, "{:?}", times[190]);
}

#[test]
fn without_loss_the_best_pair_of_many_is_chosen() {
    let mut net = Net::new(5, [Mode::Full; 2]);
    for nth in 1..=3 {
        net.host(LEFT, 0, Component::Rtp, &format!("198.51.100.{nth}:10000"));
        net.host(RIGHT, 0, Component::Rtp, &format!("203.0.113.{nth}:10000"));
    }
    net.signal();
    assert!(net.run_until(SECOND, Net::both_connected));
    let best = (
        endpoint("198.51.100.1:10000"),
        endpoint("203.0.113.1:10000"),
    );
    assert_eq!(net.way(LEFT, Component::Rtp), Some(best));
}

#[test]
fn a_family_that_one_side_lacks_is_not_tried() {
    let mut net = Net::new(6, [Mode::Full; 2]);
    net.pair_up();
    net.host(LEFT, 0, Component::Rtp, "[2001:db8::1]:10000");
    net.host(LEFT, 0, Component::Rtp, "[fe80::1]:10000");
    net.host(RIGHT, 0, Component::Rtp, "[fe80::2]:20000");
    net.signal();
    assert!(net.run_until(SECOND, Net::both_connected));
    let list = net.sides[LEFT].lists[0];
    let pairs: Vec<_> = net.sides[LEFT].agent.pairs(list).collect();
    let ends = |text: (&str, &str)| (endpoint(text.0), endpoint(text.1));
    let tried: Vec<_> = pairs.iter().map(|pair| (pair.local, pair.remote)).collect();
    assert_eq!(
        tried,
        [
            ends(("198.51.100.1:10000", "203.0.113.1:20000")),
            ends(("[fe80::1]:10000", "[fe80::2]:20000")),
        ]
    );
}

#[test]
fn a_peer_behind_the_worst_nat_is_learnt_from_its_checks() {
    for lite in [Mode::Full, Mode::Lite] {
        for nated in [LEFT, RIGHT] {
            let mut modes = [Mode::Full; 2];
            modes[1 - nated] = lite;
            let mut net = Net::new(7, modes);
            net.pair_up();
            net.talking = true;
            net.sides[nated].nat = Some(Nat::new(Ipv4Addr::new(192, 0, 2, 77)));
            net.signal();
            assert!(
                net.run_until(3 * SECOND, Net::both_connected),
                "{lite:?} {nated}"
            );
            let pair = net.selected(1 - nated, 0, Component::Rtp).expect("a pair");
            assert_eq!(pair.remote.addr, endpoint("192.0.2.77:1").addr);
            net.run(SECOND);
            assert!(net.sides[LEFT].heard.len() > 40 && net.sides[RIGHT].heard.len() > 40);
        }
    }
}

#[test]
fn names_and_tcp_are_skipped_and_the_checks_rescue_the_peer() {
    let mut net = Net::new(8, [Mode::Full; 2]);
    net.pair_up();
    net.tell_credentials(LEFT, 0);
    for line in [
        "1 1 udp 2122260223 4b1c6b2a-1b4e-4d0f-9c2a-1c.local 54386 typ host",
        "14 1 TCP 1518280447 10.99.11.2 9 typ host tcptype active generation 0",
        "2 7 udp 1 203.0.113.1 5 typ host",
        "2 1 udp 1 0.0.0.0 5 typ host",
        "2 1 udp 1 239.1.2.3 5 typ host",
        "2 1 udp 1 203.0.113.1 0 typ host",
    ] {
        net.tell_line(LEFT, 0, line);
    }
    let list = net.sides[LEFT].lists[0];
    assert_eq!(net.sides[LEFT].agent.pairs(list).count(), 0);
    net.tell(RIGHT, 0);
    assert!(net.run_until(SECOND, Net::both_connected));
    assert_same_pair(&net, Component::Rtp);
}

#[test]
fn a_peer_that_only_its_relay_can_reach_is_reached() {
    for relayed in [LEFT, RIGHT] {
        let mut net = Net::new(9, [Mode::Full; 2]);
        net.pair_up();
        net.talking = true;
        for nth in 1..=3 {
            let address = format!("10.0.0.{nth}:5000");
            net.host(relayed, 0, Component::Rtp, &address);
            net.sides[relayed].walled.insert(endpoint(&address));
        }
        let open = net.sides[relayed].bases.values().next().copied();
        net.sides[relayed].walled.extend(open);
        let turn = "192.0.2.200:49152";
        net.candidate(relayed, 0, Component::Rtp, turn, CandidateType::Relayed);
        net.signal();
        assert!(net.run_until(3 * SECOND, Net::both_connected));
        assert_same_pair(&net, Component::Rtp);
        let way = net.way(1 - relayed, Component::Rtp).expect("a pair");
        assert_eq!(way.1, endpoint(turn));
    }
}

#[test]
fn a_hundred_dead_candidates_do_not_hide_the_one_that_works() {
    let mut net = Net::new(10, [Mode::Full; 2]);
    net.pair_up();
    net.tell_credentials(LEFT, 0);
    for nth in 1..=99 {
        let line = format!("{nth} 1 udp 2130706431 192.0.2.{nth} 9000 typ host");
        net.tell_line(LEFT, 0, &line);
    }
    net.tell_candidates(LEFT, 0);
    assert!(net.run_until(3 * SECOND, |net| {
        net.selected(LEFT, 0, Component::Rtp).is_none()
    }));
    net.tell_credentials(RIGHT, 0);
    assert!(net.run_until(40 * SECOND, Net::both_connected));
    assert_same_pair(&net, Component::Rtp);
}

#[test]
fn candidates_trickle_in_either_direction() {
    let mut net = Net::new(11, [Mode::Full; 2]);
    net.tell_credentials(RIGHT, 0);
    net.tell_credentials(LEFT, 0);
    net.run(SECOND);
    assert!(net.sides.iter().all(|side| side.sent.is_empty()));
    net.host(RIGHT, 0, Component::Rtp, "10.0.0.9:20000");
    net.sides[RIGHT].walled.insert(endpoint("10.0.0.9:20000"));
    net.host(LEFT, 0, Component::Rtp, "198.51.100.1:10000");
    net.tell_candidates(LEFT, 0);
    net.run(SECOND);
    assert!(!net.is_connected(LEFT));
    net.host(RIGHT, 0, Component::Rtp, "203.0.113.1:20000");
    net.tell_candidates(LEFT, 0);
    assert!(net.run_until(SECOND, Net::both_connected));
    assert_same_pair(&net, Component::Rtp);
}

#[test]
fn checks_before_the_answer_are_answered_and_taken_up_with_it() {
    let mut net = Net::new(12, [Mode::Full; 2]);
    net.pair_up();
    net.tell(RIGHT, 0);
    net.run(2 * SECOND);
    // The answerer's checks succeed, so it may send; the offerer admits it and sends nothing.
    assert!(net.selected(RIGHT, 0, Component::Rtp).is_some());
    assert!(net.selected(LEFT, 0, Component::Rtp).is_none());
    let (local, _) = net.sides[LEFT].bases.iter().next().expect("a candidate");
    let admitted: Vec<_> = net.sides[LEFT].agent.admitted(*local).collect();
    assert_eq!(admitted, [endpoint("203.0.113.1:20000")]);
    net.tell_credentials(LEFT, 0);
    assert!(net.run_until(SECOND, Net::both_connected));
    assert_same_pair(&net, Component::Rtp);
}

#[test]
fn sections_of_a_call_unfreeze_each_other() {
    let mut net = Net::new(13, [Mode::Full; 2]);
    let video = net.section();
    for (nth, port) in [(0, 1000), (video, 2000)] {
        net.host(LEFT, nth, Component::Rtp, &format!("198.51.100.1:{port}"));
        net.host(RIGHT, nth, Component::Rtp, &format!("203.0.113.1:{port}"));
    }
    // Credentials only to the left, so that nothing but its own order decides.
    net.cut = true;
    for nth in [0, video] {
        net.tell(LEFT, nth);
    }
    net.run(Duration::from_millis(50));
    let ports = |net: &Net| -> Vec<u16> {
        net.sides[LEFT]
            .sent
            .iter()
            .map(|(_, from, ..)| from.port)
            .collect()
    };
    assert_eq!(ports(&net), [1000], "the second waits for the first");
    net.cut = false;
    for nth in [0, video] {
        net.tell(RIGHT, nth);
    }
    assert!(net.run_until(3 * SECOND, |net| {
        net.sides.iter().all(|side| {
            let connected = |(_, event): &&_| matches!(event, Event::Connected { .. });
            side.events.iter().filter(connected).count() == 2
        })
    }));
}

#[test]
fn two_components_become_one_under_mux() {
    let mut net = Net::new(14, [Mode::Full; 2]);
    net.pair_up();
    net.host(LEFT, 0, Component::Rtcp, "198.51.100.1:10001");
    net.host(RIGHT, 0, Component::Rtcp, "203.0.113.1:20001");
    net.sides[RIGHT]
        .walled
        .insert(endpoint("203.0.113.1:20001"));
    net.signal();
    net.run(2 * SECOND);
    assert!(net.selected(LEFT, 0, Component::Rtp).is_some());
    assert!(!net.is_connected(LEFT), "RTCP has no way");
    let mut out = patchcord_control::ice::Output::default();
    let side = &mut net.sides[LEFT];
    side.agent.mux(side.lists[0], &mut out);
    assert!(out.events.contains(&Event::Connected {
        list: side.lists[0]
    }));
    assert_eq!(side.agent.candidates(side.lists[0]).count(), 1);
}

#[test]
fn nothing_fails_before_patience_is_over_and_a_late_check_turns_it() {
    let mut net = Net::new(15, [Mode::Full; 2]);
    net.pair_up();
    net.cut = true;
    net.signal();
    let failed = |net: &Net| {
        let mut events = net.sides[LEFT].events.iter();
        events.any(|(_, event)| matches!(event, Event::Failed { .. }))
    };
    assert!(!net.run_until(39 * SECOND, failed));
    assert!(net.run_until(SECOND, failed));
    let sent = net.sides[LEFT].sent.len();
    net.run(60 * SECOND);
    assert_eq!(
        net.sides[LEFT].sent.len(),
        sent,
        "an agent that failed is silent"
    );
    // The peer begins anew with the same credentials, as far as the left one can see.
    net.cut = false;
    net.tell_line(RIGHT, 0, "77 1 udp 1000 198.51.100.1 10000 typ host");
    let local = *net.sides[LEFT].bases.keys().next().expect("a candidate");
    let check = net.sides[RIGHT].sent[0].3.clone();
    let out = net.inject(LEFT, local, endpoint("203.0.113.1:20000"), &check);
    assert_eq!(out.transmits.len(), 2, "a response and a check");
}
