//! What strangers, and peers who overdo it, can do: nothing, and within bounds.

use patchcord_contract::Endpoint;
use patchcord_control::ice::{Component, MAX_PAIRS, MAX_REMOTES, Mode, PairState};
use patchcord_wire::stun::{Class, Key, Method, Role, TransactionId, Writer};

use crate::checks::{controlled, nominating, plain};
use crate::net::{LEFT, Net, endpoint};

const PEER: &str = "203.0.113.1:20000";

/// Whoever this is, it does not know the password.
fn forgery(net: &Net, nth: u32) -> Vec<u8> {
    let left = &net.sides[LEFT];
    let ours = left.agent.credentials(left.lists[0]);
    let mut id = [0; 12];
    id[..4].copy_from_slice(&nth.to_be_bytes());
    let mut buffer = [0; 256];
    let id = TransactionId(id);
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id);
    writer.username(ours.ufrag(), b"peer");
    writer
        .priority(u32::MAX)
        .role(Role::Controlling(u64::MAX))
        .use_candidate();
    let len = writer.finish(&Key::new(b"a guess")).expect("room");
    buffer[..len].to_vec()
}

#[test]
fn a_flood_of_forgeries_changes_nothing_and_gets_no_answer() {
    let (mut net, mut peer) = controlled(1);
    let before = format!(
        "{:?}",
        net.sides[LEFT]
            .agent
            .pairs(net.sides[LEFT].lists[0])
            .collect::<Vec<_>>()
    );
    let (role, next) = (net.sides[LEFT].agent.role(), net.sides[LEFT].agent.next());
    for nth in 0..20_000 {
        let source = Endpoint::new(endpoint("192.0.2.1:1").addr, nth as u16 | 1);
        let bytes = forgery(&net, nth);
        let out = net.inject(LEFT, peer.local, source, &bytes);
        assert!(out.transmits.is_empty() && out.events.is_empty());
    }
    let agent = &net.sides[LEFT].agent;
    assert_eq!(agent.disbelieved(), 20_000);
    assert_eq!(
        format!(
            "{:?}",
            agent.pairs(net.sides[LEFT].lists[0]).collect::<Vec<_>>()
        ),
        before
    );
    assert_eq!((agent.role(), agent.next()), (role, next));
    assert_eq!(agent.admitted(peer.local).count(), 0);
    let check = peer.check(&net, plain);
    let out = net.inject(LEFT, peer.local, endpoint(PEER), &check);
    assert_eq!(out.transmits.len(), 2, "the peer is served as ever");
}

#[test]
fn responses_to_nobodys_requests_are_not_even_verified() {
    let (mut net, peer) = controlled(2);
    let check = forgery(&net, 1);
    let response = peer.respond(&check, endpoint("198.51.100.1:10000"));
    let out = net.inject(LEFT, peer.local, endpoint(PEER), &response);
    assert!(out.transmits.is_empty() && out.events.is_empty());
    assert_eq!(net.sides[LEFT].agent.disbelieved(), 1);
}

#[test]
fn a_forged_response_does_not_end_a_check() {
    let (mut net, mut peer) = controlled(3);
    let check = peer.check(&net, nominating);
    let out = net.inject(LEFT, peer.local, endpoint(PEER), &check);
    let request = out.transmits[1].bytes.clone();
    let pwd = std::mem::replace(&mut peer.pwd, b"a guess".to_vec());
    let forged = peer.respond(&request, endpoint("198.51.100.1:10000"));
    net.inject(LEFT, peer.local, endpoint(PEER), &forged);
    assert_eq!(net.selected(LEFT, 0, Component::Rtp), None);
    peer.pwd = pwd;
    let true_one = peer.respond(&request, endpoint("198.51.100.1:10000"));
    net.inject(LEFT, peer.local, endpoint(PEER), &true_one);
    assert!(net.selected(LEFT, 0, Component::Rtp).is_some());
}

#[test]
fn candidates_and_pairs_are_bounded_and_checks_still_get_in() {
    let mut net = Net::new(4, [Mode::Full; 2]);
    for nth in 1..=3 {
        net.host(LEFT, 0, Component::Rtp, &format!("198.51.100.{nth}:10000"));
    }
    net.host(crate::net::RIGHT, 0, Component::Rtp, PEER);
    net.tell_credentials(LEFT, 0);
    for nth in 0..1_000 {
        let (high, low) = (nth / 250, nth % 250 + 1);
        let line = format!("{nth} 1 udp 2130706431 192.0.{high}.{low} 9000 typ host");
        net.tell_line(LEFT, 0, &line);
    }
    let list = net.sides[LEFT].lists[0];
    let pairs: Vec<_> = net.sides[LEFT].agent.pairs(list).collect();
    assert_eq!(pairs.len(), MAX_PAIRS);
    let remotes: std::collections::BTreeSet<_> = pairs.iter().map(|pair| pair.remote).collect();
    assert!(remotes.len() <= MAX_REMOTES);
    let mut peer = crate::checks::Peer::of(&net);
    let check = peer.check(&net, |w| {
        w.priority(1).role(Role::Controlled(1));
    });
    net.inject(LEFT, peer.local, endpoint(PEER), &check);
    assert!(
        net.sides[LEFT]
            .agent
            .admitted(peer.local)
            .any(|source| source == endpoint(PEER))
    );
    assert_eq!(net.sides[LEFT].agent.pairs(list).count(), MAX_PAIRS);
}

#[test]
fn a_peer_that_checks_from_everywhere_fills_no_memory() {
    for known in [false, true] {
        let mut net = Net::new(5, [Mode::Full; 2]);
        net.pair_up();
        net.cut = true;
        if known {
            net.tell_credentials(LEFT, 0);
        }
        let mut peer = crate::checks::Peer::of(&net);
        for port in 1..5_000 {
            let check = peer.check(&net, |w| {
                w.priority(1).role(Role::Controlled(1));
            });
            let out = net.inject(
                LEFT,
                peer.local,
                Endpoint::new(endpoint(PEER).addr, port),
                &check,
            );
            assert!(
                out.transmits.len() <= 2,
                "an answer, and a check at its pace"
            );
        }
        let agent = &net.sides[LEFT].agent;
        assert!(agent.admitted(peer.local).count() <= 116);
        assert!(agent.pairs(net.sides[LEFT].lists[0]).count() <= MAX_PAIRS);
    }
}

#[test]
fn a_check_after_the_port_was_given_back_is_not_heard() {
    let (mut net, mut peer) = controlled(6);
    let check = peer.check(&net, nominating);
    let mut out = patchcord_control::ice::Output::default();
    net.sides[LEFT].agent.retire(peer.local, &mut out);
    let out = net.inject(LEFT, peer.local, endpoint(PEER), &check);
    assert!(out.transmits.is_empty());
    let list = net.sides[LEFT].lists[0];
    let mut pairs = net.sides[LEFT].agent.pairs(list);
    assert!(pairs.all(|pair| pair.state == PairState::Failed));
}
