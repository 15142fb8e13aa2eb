//! Learning, attack and hold cases of the source check.

use std::net::{IpAddr, Ipv4Addr};

use super::*;

const START: Time = Time::from_secs(100);

fn at(millis: u64) -> Time {
    START + Duration::from_millis(millis)
}

fn host(last: u8, port: u16) -> Endpoint {
    Endpoint::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), port)
}

fn advertised() -> Endpoint {
    host(1, 4_000)
}

fn admission(learning: Learning, stranger: Stranger) -> Admission {
    Admission {
        advertised: advertised(),
        learning,
        stranger,
        epoch: 1,
    }
}

fn heuristic() -> Peer {
    Peer::new(admission(Learning::Heuristic, Stranger::Forward))
}

fn media(peer: &mut Peer, millis: u64, source: Endpoint) -> Decision {
    peer.admit(at(millis), Some(source), Evidence::Media)
}

#[test]
fn nobody_has_to_send_before_media_flows_to_the_advertised_endpoint() {
    for learning in [
        Learning::Off,
        Learning::Immediate,
        Learning::Delayed,
        Learning::Heuristic,
    ] {
        let peer = Peer::new(admission(learning, Stranger::Forward));
        assert_eq!(peer.destination(), Some(advertised()));
        assert_eq!(peer.latched(), None);
    }
}

#[test]
fn the_advertised_endpoint_settles_at_its_first_packet() {
    let mut peer = heuristic();
    let decision = media(&mut peer, 0, advertised());
    assert_eq!(
        decision,
        Decision {
            welcome: true,
            latched: true,
            opened: false
        }
    );
    assert_eq!(peer.settled(), Some(advertised()));
}

#[test]
fn a_phone_behind_nat_gets_media_at_once_and_settles_after_the_window() {
    let mut peer = heuristic();
    let decision = media(&mut peer, 0, host(9, 61_000));
    assert_eq!(
        decision,
        Decision {
            welcome: true,
            latched: true,
            opened: true
        }
    );
    assert_eq!(peer.destination(), Some(host(9, 61_000)));
    assert_eq!(peer.settled(), None);
    assert!(!peer.settle(at(2_999)));
    assert!(peer.settle(at(3_000)));
    assert!(!peer.settle(at(3_001)), "it is news only once");
    assert_eq!(peer.settled(), Some(host(9, 61_000)));
}

#[test]
fn better_sources_win_within_the_window_and_worse_ones_never() {
    let (any, port, address) = (host(9, 61_000), host(9, 4_000), host(1, 61_000));
    let mut peer = heuristic();
    for (source, expected) in [
        (any, any),
        (port, port),
        (any, port),
        (address, address),
        (port, address),
        (any, address),
        (advertised(), advertised()),
        (address, advertised()),
    ] {
        media(&mut peer, 10, source);
        assert_eq!(peer.destination(), Some(expected), "after {source}");
    }
}

#[test]
fn an_equally_good_source_does_not_displace_the_first() {
    let mut peer = heuristic();
    media(&mut peer, 0, host(9, 61_000));
    assert!(!media(&mut peer, 20, host(10, 61_000)).latched);
    assert_eq!(peer.destination(), Some(host(9, 61_000)));
}

#[test]
fn an_attacker_in_the_window_cannot_keep_the_advertised_owner_out() {
    let mut peer = heuristic();
    for millis in 0..100 {
        media(&mut peer, millis, host(66, 6_666));
    }
    media(&mut peer, 100, advertised());
    for millis in 101..4_000 {
        media(&mut peer, millis, host(66, 6_666));
        assert_eq!(peer.destination(), Some(advertised()));
    }
}

#[test]
fn a_spoofed_source_after_the_latch_does_not_move_the_peer() {
    for stranger in [Stranger::Forward, Stranger::Drop] {
        for learning in [Learning::Immediate, Learning::Heuristic] {
            let mut peer = Peer::new(admission(learning, stranger));
            media(&mut peer, 0, advertised());
            let decision = media(&mut peer, 5_000, host(66, 6_666));
            assert_eq!(decision.welcome, stranger == Stranger::Forward);
            assert!(!decision.latched);
            assert_eq!(peer.destination(), Some(advertised()));
        }
    }
}

#[test]
fn a_strict_flow_refuses_a_worse_source_already_in_the_window() {
    let mut peer = Peer::new(admission(Learning::Heuristic, Stranger::Drop));
    assert!(media(&mut peer, 0, host(9, 4_000)).welcome);
    assert!(!media(&mut peer, 20, host(66, 6_666)).welcome);
    assert!(media(&mut peer, 40, host(9, 4_000)).welcome);
    assert!(media(&mut peer, 60, advertised()).welcome);
}

#[test]
fn a_refused_packet_can_still_close_the_window() {
    let mut peer = Peer::new(admission(Learning::Heuristic, Stranger::Drop));
    media(&mut peer, 0, host(9, 61_000));
    let decision = media(&mut peer, 3_000, host(66, 6_666));
    assert_eq!(
        decision,
        Decision {
            welcome: false,
            latched: true,
            opened: false
        }
    );
    assert_eq!(peer.settled(), Some(host(9, 61_000)));
}

#[test]
fn media_handover_follows_a_stranger_but_not_its_rtcp() {
    let mut peer = Peer::new(admission(Learning::Immediate, Stranger::Follow));
    media(&mut peer, 0, advertised());
    assert!(
        peer.admit(at(20), Some(host(9, 4_001)), Evidence::Beside)
            .welcome
    );
    assert_eq!(peer.destination(), Some(advertised()));
    assert!(media(&mut peer, 40, host(9, 61_000)).latched);
    assert_eq!(peer.settled(), Some(host(9, 61_000)));
}

#[test]
fn rtcp_alone_neither_latches_nor_opens_the_window() {
    let mut peer = heuristic();
    let decision = peer.admit(at(0), Some(advertised()), Evidence::Beside);
    assert_eq!(decision, Decision::PASS);
    assert_eq!((peer.latched(), peer.window()), (None, None));
}

#[test]
fn immediate_believes_whoever_is_first() {
    let mut peer = Peer::new(admission(Learning::Immediate, Stranger::Forward));
    let decision = media(&mut peer, 0, host(9, 61_000));
    assert_eq!(
        decision,
        Decision {
            welcome: true,
            latched: true,
            opened: false
        }
    );
    media(&mut peer, 1, advertised());
    assert_eq!(peer.settled(), Some(host(9, 61_000)));
}

#[test]
fn delayed_believes_the_first_packet_after_the_window() {
    let mut peer = Peer::new(admission(Learning::Delayed, Stranger::Forward));
    assert!(media(&mut peer, 0, host(9, 61_000)).opened);
    media(&mut peer, 2_999, host(9, 61_000));
    assert_eq!(peer.destination(), Some(advertised()));
    assert!(!peer.settle(at(3_000)), "nobody was believed yet");
    assert!(media(&mut peer, 3_500, host(10, 61_000)).latched);
    assert_eq!(peer.settled(), Some(host(10, 61_000)));
}

#[test]
fn asymmetric_keeps_the_advertised_endpoint_and_takes_any_source() {
    for stranger in [Stranger::Forward, Stranger::Follow] {
        let mut peer = Peer::new(admission(Learning::Off, stranger));
        assert_eq!(media(&mut peer, 0, host(9, 61_000)), Decision::PASS);
        assert_eq!(peer.settled(), Some(advertised()));
    }
    let mut strict = Peer::new(admission(Learning::Off, Stranger::Drop));
    assert!(!media(&mut strict, 0, host(9, 61_000)).welcome);
    assert!(media(&mut strict, 0, advertised()).welcome);
}

#[test]
fn a_held_peer_is_heard_but_neither_learnt_nor_sent_to() {
    let held = Endpoint::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 4_000);
    for advertised in [held, Endpoint::NONE] {
        let mut peer = Peer::new(Admission {
            advertised,
            ..admission(Learning::Heuristic, Stranger::Drop)
        });
        assert_eq!(media(&mut peer, 0, host(9, 61_000)), Decision::PASS);
        assert_eq!(
            (peer.destination(), peer.settled(), peer.latched()),
            (None, None, None)
        );
    }
}

#[test]
fn the_same_admission_keeps_everything_a_new_epoch_begins_again() {
    let mut peer = heuristic();
    media(&mut peer, 0, host(9, 61_000));
    peer.settle(at(3_000));
    peer.change(admission(Learning::Heuristic, Stranger::Drop), None);
    assert_eq!(peer.settled(), Some(host(9, 61_000)));
    assert!(
        !media(&mut peer, 4_000, host(66, 6_666)).welcome,
        "the new policy holds"
    );

    let moved = Admission {
        advertised: host(2, 5_000),
        epoch: 2,
        ..*peer.admission()
    };
    peer.change(moved, None);
    assert_eq!(
        (peer.destination(), peer.settled()),
        (Some(host(2, 5_000)), None)
    );
    media(&mut peer, 5_000, host(2, 5_000));
    assert_eq!(peer.settled(), Some(host(2, 5_000)));
}

#[test]
fn after_a_hold_the_old_latch_is_the_first_guess() {
    let mut peer = heuristic();
    peer.change(
        Admission {
            epoch: 3,
            ..admission(Learning::Heuristic, Stranger::Forward)
        },
        Some(host(9, 61_000)),
    );
    assert_eq!(
        (peer.destination(), peer.latched()),
        (Some(host(9, 61_000)), None)
    );
    media(&mut peer, 0, host(10, 62_000));
    assert_eq!(
        peer.destination(),
        Some(host(10, 62_000)),
        "a guess is not a latch"
    );
}

#[test]
fn what_the_kernel_checked_is_welcome_but_no_evidence() {
    let mut peer = heuristic();
    assert_eq!(peer.admit(at(0), None, Evidence::Media), Decision::PASS);
    assert_eq!(peer.window(), None);
}
