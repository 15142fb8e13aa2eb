//! Agents that have found each other stay together, or notice.

use std::net::Ipv4Addr;
use std::time::Duration;

use patchcord_contract::Time;
use patchcord_control::ice::{Component, Event, Mode, PATIENCE, Standing};
use patchcord_wire::stun::{Class, Message, Writer};

use crate::checks::{Peer, nominating, plain};
use crate::net::{LEFT, Nat, Net, RIGHT, Weather, endpoint};

const SECOND: Duration = Duration::from_secs(1);

fn connected(seed: u64, modes: [Mode; 2]) -> Net {
    let mut net = Net::new(seed, modes);
    net.pair_up();
    net.talking = true;
    net.signal();
    assert!(net.run_until(3 * SECOND, Net::both_connected));
    net.run(SECOND);
    net
}

/// A left agent that is lite, and a peer by hand behind a wall.
fn lite(seed: u64) -> (Net, Peer) {
    let mut net = Net::new(seed, [Mode::Lite, Mode::Full]);
    net.pair_up();
    net.cut = true;
    net.tell_credentials(LEFT, 0);
    let peer = Peer::of(&net);
    (net, peer)
}

fn lost_at(net: &Net, side: usize) -> Option<Time> {
    let mut events = net.sides[side].events.iter();
    events.find_map(|(at, event)| matches!(event, Event::Lost { .. }).then_some(*at))
}

#[test]
fn consent_is_asked_every_five_seconds_give_or_take_a_fifth() {
    let mut net = connected(1, [Mode::Full; 2]);
    net.sides[LEFT].sent.clear();
    net.run(600 * SECOND);
    let requests: Vec<_> = net.sides[LEFT]
        .sent
        .iter()
        .filter(|(.., bytes)| Message::parse(bytes).is_ok_and(|m| m.class == Class::Request))
        .collect();
    let gaps: Vec<_> = requests.windows(2).map(|w| w[1].0.since(w[0].0)).collect();
    let bounds = Duration::from_secs(4)..=Duration::from_secs(6);
    assert!(gaps.iter().all(|gap| bounds.contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap < Duration::from_millis(4_300)));
    assert!(gaps.iter().any(|gap| *gap > Duration::from_millis(5_700)));
    let ids = |w: &[&(Time, _, _, Box<[u8]>)]| w[0].3[8..20] != w[1].3[8..20];
    assert!(
        requests.windows(2).all(ids),
        "each is a transaction of its own"
    );
    assert_eq!(lost_at(&net, LEFT), None);
}

#[test]
fn a_dead_path_is_noticed_within_thirty_seconds_and_nothing_is_sent_after_it() {
    for seed in 0..30 {
        let mut net = connected(seed, [Mode::Full; 2]);
        net.run(Duration::from_millis(700 * seed));
        net.cut = true;
        let cut = net.now;
        net.run(31 * SECOND);
        for side in [LEFT, RIGHT] {
            let lost = lost_at(&net, side).expect("it is noticed");
            let late = lost.since(cut);
            assert!(late <= 30 * SECOND && late >= 23 * SECOND, "{late:?}");
            assert_eq!(net.selected(side, 0, Component::Rtp), None);
        }
    }
}

#[test]
fn a_path_that_loses_every_fourth_packet_keeps_its_consent() {
    for seed in 0..20 {
        let mut net = connected(seed, [Mode::Full; 2]);
        net.weather = Weather {
            loss: 250,
            ..Weather::FINE
        };
        net.run(120 * SECOND);
        net.weather = Weather::FINE;
        net.run(20 * SECOND);
        assert_eq!(
            net.selected(LEFT, 0, Component::Rtp).map(|p| p.standing),
            Some(Standing::Nominated),
            "{seed}"
        );
    }
}

#[test]
fn a_lite_agent_answers_for_consent_and_asks_for_none() {
    let mut net = connected(3, [Mode::Full, Mode::Lite]);
    let class = |bytes: &[u8]| Message::parse(bytes).map(|message| message.class);
    net.run(300 * SECOND);
    assert_eq!(lost_at(&net, LEFT), None);
    let mut sent = net.sides[RIGHT].sent.iter();
    assert!(sent.all(|(.., bytes)| class(bytes) == Ok(Class::Success)));
    assert_eq!(lost_at(&net, RIGHT), None);
}

#[test]
fn a_lite_agent_notices_that_its_peer_is_gone_and_when_it_is_back() {
    for seed in 0..20 {
        let mut net = connected(seed, [Mode::Full, Mode::Lite]);
        net.run(Duration::from_millis(10_000 + 700 * seed));
        net.cut = true;
        let cut = net.now;
        let waits = |net: &Net| {
            let side = &net.sides[RIGHT];
            side.agent.waits_for(side.lists[0])
        };
        assert_eq!(waits(&net), None);
        net.run(15 * SECOND);
        net.cut = false;
        // It was away for less than its consent lasts.
        net.run(10 * SECOND);
        assert_eq!(lost_at(&net, RIGHT), None, "{seed}");
        net.cut = true;
        let cut = cut + 25 * SECOND;
        net.run(31 * SECOND);
        let late = lost_at(&net, RIGHT).expect("it is noticed").since(cut);
        assert!(late <= 30 * SECOND && late >= 23 * SECOND, "{late:?}");
        assert_eq!(net.selected(RIGHT, 0, Component::Rtp), None);
        assert_eq!(waits(&net), Some("the peer: it has stopped checking"));
        let mut events = net.sides[RIGHT].events.iter();
        let is_failure = |(_, event): &(Time, Event)| matches!(event, Event::Failed { .. });
        assert!(!events.any(is_failure), "it worked once");
    }
}

#[test]
fn a_lite_agent_takes_its_peer_back_with_any_check_of_the_chosen_pair() {
    let (mut net, mut peer) = lite(7);
    let source = endpoint("203.0.113.1:20000");
    let mut check = |net: &mut Net, more: fn(&mut Writer<'_>)| {
        let bytes = peer.check(net, more);
        net.inject(LEFT, peer.local, source, &bytes);
    };
    check(&mut net, nominating);
    net.run(5 * SECOND);
    check(&mut net, plain);
    net.run(31 * SECOND);
    assert_eq!(net.selected(LEFT, 0, Component::Rtp), None);
    check(&mut net, plain);
    let back = net.selected(LEFT, 0, Component::Rtp);
    assert_eq!(back.map(|pair| pair.remote), Some(source));
    net.run(31 * SECOND);
    assert_eq!(net.selected(LEFT, 0, Component::Rtp), None, "gone again");
}

#[test]
fn a_peer_that_never_kept_consent_fresh_is_believed_to_stay() {
    let (mut net, mut peer) = lite(8);
    for _ in 0..3 {
        let bytes = peer.check(&net, nominating);
        net.inject(LEFT, peer.local, endpoint("203.0.113.1:20000"), &bytes);
        net.run(Duration::from_millis(300));
    }
    net.run(300 * SECOND);
    assert!(net.selected(LEFT, 0, Component::Rtp).is_some());
}

#[test]
fn how_long_it_rings_is_none_of_the_time_that_a_peer_has() {
    for mode in [Mode::Full, Mode::Lite] {
        let mut net = Net::new(10, [mode, Mode::Full]);
        net.pair_up();
        net.cut = true;
        net.tell(LEFT, 0);
        let list = net.sides[LEFT].lists[0];
        net.sides[LEFT].agent.hold(list);
        net.run(90 * SECOND);
        let now = net.now;
        net.sides[LEFT].agent.expect(now, list);
        net.run(60 * SECOND);
        let events = net.sides[LEFT].events.iter();
        let failed = events.filter(|(_, event)| matches!(event, Event::Failed { .. }));
        let times: Vec<_> = failed.map(|(at, _)| at.since(now)).collect();
        assert_eq!(times, [PATIENCE], "{mode:?}");
    }
}

#[test]
fn a_lite_agent_that_nobody_checks_says_so_in_time() {
    let (mut net, mut peer) = lite(9);
    let side = &net.sides[LEFT];
    let none = Some("a check of the peer: none has come");
    assert_eq!(side.agent.waits_for(side.lists[0]), none);
    let start = net.now;
    net.run(60 * SECOND);
    let failed = net.sides[LEFT]
        .events
        .iter()
        .find_map(|(at, event)| matches!(event, Event::Failed { .. }).then(|| at.since(start)));
    assert_eq!(failed, Some(PATIENCE));
    // Late is better than never.
    let bytes = peer.check(&net, nominating);
    net.inject(LEFT, peer.local, endpoint("203.0.113.1:20000"), &bytes);
    assert!(net.selected(LEFT, 0, Component::Rtp).is_some());
}

#[test]
fn a_peer_that_comes_back_after_its_consent_expired_is_taken_back() {
    let mut net = connected(4, [Mode::Full; 2]);
    net.cut = true;
    net.run(40 * SECOND);
    assert_eq!(net.selected(LEFT, 0, Component::Rtp), None);
    net.cut = false;
    net.tell_line(LEFT, 0, "9 1 udp 2000 203.0.113.9 9 typ host");
    // Both have lost it, so nobody checks by itself; an ICE restart is the peer's way back.
    let list = net.sides[LEFT].lists[0];
    let side = &mut net.sides[LEFT];
    side.agent.restart(list, &mut side.random);
    net.signal();
    assert!(net.run_until(3 * SECOND, |net| {
        net.selected(LEFT, 0, Component::Rtp).is_some()
    }));
}

#[test]
fn a_restart_keeps_the_pair_in_use_until_the_new_one_is_nominated() {
    for restarts in [LEFT, RIGHT] {
        let mut net = connected(5, [Mode::Full; 2]);
        let before = net.selected(LEFT, 0, Component::Rtp);
        let list = net.sides[restarts].lists[0];
        let old = net.sides[restarts].agent.credentials(list).clone();
        let side = &mut net.sides[restarts];
        side.agent.restart(list, &mut side.random);
        assert_ne!(*net.sides[restarts].agent.credentials(list), old);
        assert_eq!(net.selected(LEFT, 0, Component::Rtp), before);
        net.sides.iter_mut().for_each(|side| side.heard.clear());
        // The answer takes a while, and consent has to hold meanwhile.
        net.run(50 * SECOND);
        net.tell(1 - restarts, 0);
        net.run(5 * SECOND);
        net.tell(restarts, 0);
        net.run(5 * SECOND);
        for side in [LEFT, RIGHT] {
            let gaps = net.sides[side]
                .heard
                .windows(2)
                .map(|w| w[1].0.since(w[0].0));
            assert_eq!(
                gaps.max(),
                Some(Duration::from_millis(20)),
                "not one packet is missing"
            );
            let connects = net.sides[side].events.iter();
            let connects = connects.filter(|(_, e)| matches!(e, Event::Connected { .. }));
            assert_eq!(connects.count(), 2);
            assert_eq!(lost_at(&net, side), None);
        }
    }
}

#[test]
fn a_restart_moves_to_another_network_without_a_gap() {
    let mut net = connected(6, [Mode::Full; 2]);
    let cafe = "192.0.2.33:7000";
    net.host(LEFT, 0, Component::Rtp, cafe);
    net.sides.iter_mut().for_each(|side| side.heard.clear());
    let side = &mut net.sides[LEFT];
    let list = side.lists[0];
    side.agent.restart(list, &mut side.random);
    let mut out = patchcord_control::ice::Output::default();
    let home = *side.bases.keys().next().expect("a candidate");
    net.tell(RIGHT, 0);
    net.run(Duration::from_millis(30));
    net.tell(LEFT, 0);
    assert!(net.run_until(SECOND, |net| {
        let events = net.sides[RIGHT].events.iter();
        events
            .filter(|(_, e)| matches!(e, Event::Connected { .. }))
            .count()
            == 2
    }));
    net.run(SECOND);
    let side = &mut net.sides[LEFT];
    side.agent.retire(home, &mut out);
    assert!(
        out.events
            .iter()
            .any(|event| matches!(event, Event::Lost { .. }))
            || net.way(LEFT, Component::Rtp).map(|way| way.0) == Some(endpoint(cafe))
    );
    for side in [LEFT, RIGHT] {
        let gaps = net.sides[side]
            .heard
            .windows(2)
            .map(|w| w[1].0.since(w[0].0));
        assert_eq!(gaps.max(), Some(Duration::from_millis(20)));
    }
}

#[test]
fn a_nat_that_forgets_its_mappings_costs_less_than_consent() {
    for seed in 0..20 {
        let mut net = Net::new(seed, [Mode::Full; 2]);
        net.pair_up();
        net.talking = true;
        net.sides[RIGHT].nat = Some(Nat::new(Ipv4Addr::new(192, 0, 2, 77)));
        net.signal();
        assert!(net.run_until(3 * SECOND, Net::both_connected));
        net.run(7 * SECOND);
        if let Some(nat) = &mut net.sides[RIGHT].nat {
            nat.rebind();
        }
        // Media from the new mapping is not admitted before a check came that way.
        net.talking = false;
        let before = net.way(LEFT, Component::Rtp);
        net.run(20 * SECOND);
        let after = net.way(LEFT, Component::Rtp);
        assert!(after.is_some() && after != before, "{seed}");
        assert_eq!(lost_at(&net, LEFT), None);
        net.talking = true;
        net.sides[RIGHT].heard.clear();
        net.run(SECOND);
        assert!(net.sides[RIGHT].heard.len() > 45, "{seed}");
    }
}
