//! Browsers on bad paths: loss, a symmetric NAT, one that only TURN gets through, and hidden addresses.

use std::time::{Duration, Instant};

use patchcord_tests::lacks;
use serde_json::json;

use super::browser::{Browser, Kind};
use super::scene::Words;
use super::turn::{PORT, Turn};
use crate::scene::Scene;

/// How long a call may take to be heard on a bad path.
const SETTING_UP: Duration = Duration::from_secs(10);

/// Alice calls a baresip, both hear each other, alice hangs up; how long it took from dialling.
fn converse(scene: &Scene, alice: &mut Browser) -> Duration {
    let mut bob = scene.baresip(1, "bob", 1000);
    let start = Instant::now();
    alice.dial("bob");
    bob.wait_event("CALL_ESTABLISHED");
    alice.wait_to_hear(1000);
    let took = start.elapsed();
    bob.wait_to_hear(440);
    alice.hang_up();
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
    took
}

#[test]
fn a_tenth_lost_in_both_directions_delays_no_call() {
    let Some(scene) = Words::Classic.scene(2, &[Kind::Chromium]) else {
        return;
    };
    if lacks(&["nft"]) {
        return;
    }
    scene.site.hosts[0].lose(10);
    let mut alice = scene.browser(0, Kind::Chromium, "alice", 440);
    let took = converse(&scene, &mut alice);
    assert!(took < SETTING_UP, "it took {took:?}");
}

#[test]
fn a_picture_survives_a_tenth_lost_in_both_directions() {
    let Some(scene) = Words::Classic.scene(2, &[Kind::Chromium]) else {
        return;
    };
    if lacks(&["nft"]) {
        return;
    }
    scene.site.hosts[0].lose(10);
    let video = || json!({"video": true});
    let mut bob = scene.browser_with(1, Kind::Chromium, "bob", 1000, video());
    let mut alice = scene.browser_with(0, Kind::Chromium, "alice", 440, video());
    alice.dial("bob");
    // What is lost is asked for again, through the relay.
    alice.wait_to_see(60);
    bob.wait_to_see(60);
    alice.hang_up();
    bob.wait_event("ended", 1);
    scene.wait_until_over();
}

/// A Chromium behind a router that drops `forbidden`, and where it says that it sends from.
fn behind_a_nat(forbidden: &str, transport: &str) -> Option<serde_json::Value> {
    let scene = Words::Classic.scene(2, &[Kind::Chromium])?;
    if lacks(&["nft", "turnserver"]) {
        return None;
    }
    let home = scene.site.hosts[0].hide_a_network(forbidden);
    let turn = Turn::start(&scene.site);
    let settings = match transport {
        "" => json!({}),
        named => json!({"configuration": Turn::configuration(named)}),
    };
    let site = &scene.site;
    let mut alice = Browser::start(site, &home, Kind::Chromium, "alice", 440, settings);
    let mut bob = scene.baresip(1, "bob", 1000);
    alice.dial("bob");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    let pair = alice.stats()["pair"].clone();
    alice.hang_up();
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
    drop(turn);
    Some(pair)
}

#[test]
fn a_symmetric_nat_is_no_obstacle() {
    if let Some(pair) = behind_a_nat("", "") {
        assert_ne!(pair["local"], "relay", "{pair}");
    }
}

#[test]
fn a_turn_server_over_udp_is_the_only_path() {
    let forbidden = format!("udp dport != {PORT}");
    if let Some(pair) = behind_a_nat(&forbidden, "udp") {
        assert_eq!(pair["local"], "relay", "{pair}");
    }
}

#[test]
fn a_turn_server_over_tcp_is_the_only_path() {
    if let Some(pair) = behind_a_nat("meta l4proto udp", "tcp") {
        assert_eq!(pair["local"], "relay", "{pair}");
    }
}

#[test]
fn a_browser_that_hides_its_address_is_heard() {
    let Some(scene) = Words::Classic.scene(2, &[Kind::Chromium]) else {
        return;
    };
    // Without the permission for a microphone its candidates are names of mDNS.
    let settings = json!({"microphone": false});
    let mut alice = scene.browser_with(0, Kind::Chromium, "alice", 440, settings);
    let mut bob = scene.baresip(1, "bob", 1000);
    alice.dial("bob");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    let told = alice.run("told()");
    let local = told["local"].as_str().unwrap_or_default();
    assert!(local.contains(".local "), "nothing is hidden in\n{local}");
    alice.hang_up();
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
}
