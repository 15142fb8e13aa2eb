//! Audio and video of a browser, bundled on its side and apart on the other (RFC 9143), decoded at both ends.

use patchcord_tests::{Family, Sdp, lacks};
use serde_json::json;

use super::browser::Kind;
use super::player::{Player, camera};
use super::scene::Words;
use crate::proxy;
use crate::scene::Scene;
use crate::sipp::Sipp;

/// What of a stream has to be decoded.
const FRAMES: usize = 30;

/// What a plain phone answers to `offer`: the first codec of each section, on these ports of `host`.
pub(super) fn plain_answer(scene: &Scene, host: usize, offer: &Sdp, ports: [u16; 2]) -> Sdp {
    let own = scene.site.hosts[host].address(Family::V4);
    let text = format!("v=0\r\no=- 1 1 IN IP4 {own}\r\ns=-\r\nc=IN IP4 {own}\r\nt=0 0\r\n");
    let mut answer = Sdp::parse(&text);
    for (at, (kind, port)) in ["audio", "video"].into_iter().zip(ports).enumerate() {
        let (number, lines) = offer.codec(at).expect("two sections, each with a codec");
        answer = answer.with(&format!("m={kind} {port} RTP/AVP {number}"));
        for line in lines {
            answer = answer.with(line);
        }
    }
    answer
}

/// A SIPp that waits as bob and answers with what it is told.
pub(super) fn told(scene: &Scene) -> Sipp {
    let host = &scene.site.hosts[1];
    proxy::register(host, "bob");
    Sipp::start_with(&scene.site, host, "callee-told", "bob", &[])
}

/// A browser's picture and sound, played from the SDP file that came out of the relay.
fn is_played_from_the_file(words: Words, kind: Kind, codec: &str) {
    let Some(scene) = words.scene(2, &[kind]) else {
        return;
    };
    if lacks(&["ffmpeg"]) {
        return;
    }
    let callee = told(&scene);
    let settings = json!({"video": true, "codecs": {"audio": "opus", "video": codec}});
    let mut alice = scene.browser_with(0, kind, "alice", 440, settings);
    alice.dial("bob");
    let offer = callee.wait("INVITE", "INVITE").sdp();
    let mut player = Player::start(&scene.site, &scene.site.hosts[1], &offer);
    let ports = [offer.rtp(0).port(), offer.rtp(1).port()];
    assert_ne!(ports[0], ports[1], "two plain ports");
    callee.tell(&plain_answer(&scene, 1, &offer, ports));
    callee.wait("ACK", "ACK");
    player.wait_to_play(FRAMES, 440);
    let told = alice.run("told()");
    let remote = told["remote"].as_str().unwrap_or_default();
    assert!(
        remote.contains("a=group:BUNDLE 0 1"),
        "one transport on the browser's side:\n{remote}"
    );
    alice.hang_up();
    callee.finish();
    scene.wait_until_over();
}

#[test]
fn vp8_of_a_chromium_is_played_from_the_file() {
    is_played_from_the_file(Words::Classic, Kind::Chromium, "VP8");
}

#[test]
fn h264_of_a_chromium_is_played_from_the_file() {
    is_played_from_the_file(Words::Classic, Kind::Chromium, "H264");
}

#[test]
fn vp8_of_a_firefox_is_played_from_the_file() {
    is_played_from_the_file(Words::Classic, Kind::Firefox, "VP8");
}

#[test]
fn a_chromium_sees_and_hears_a_plain_camera() {
    let Some(scene) = Words::Classic.scene(2, &[Kind::Chromium]) else {
        return;
    };
    if lacks(&["ffmpeg"]) {
        return;
    }
    let callee = told(&scene);
    let settings = json!({"video": true, "codecs": {"audio": "opus", "video": "VP8"}});
    let mut alice = scene.browser_with(0, Kind::Chromium, "alice", 440, settings);
    alice.dial("bob");
    let offer = callee.wait("INVITE", "INVITE").sdp();
    let ports = [5000, 5010];
    callee.tell(&plain_answer(&scene, 1, &offer, ports));
    callee.wait("ACK", "ACK");
    let peers = [offer.rtp(0), offer.rtp(1)];
    let types = [0, 1].map(|at| offer.codec(at).expect("two sections").0);
    let host = &scene.site.hosts[1];
    let _camera = camera(&scene.site, host, 1000, ports, peers, types);
    alice.wait_to_see(FRAMES as u64);
    alice.wait_to_hear(1000);
    alice.hang_up();
    callee.finish();
    scene.wait_until_over();
}

#[test]
fn two_browsers_see_and_hear_each_other() {
    let Some(scene) = Words::Classic.scene(2, &[Kind::Chromium]) else {
        return;
    };
    let video = || json!({"video": true});
    let mut bob = scene.browser_with(1, Kind::Chromium, "bob", 1000, video());
    let mut alice = scene.browser_with(0, Kind::Chromium, "alice", 440, video());
    alice.dial("bob");
    alice.wait_to_see(FRAMES as u64);
    bob.wait_to_see(FRAMES as u64);
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    alice.hang_up();
    bob.wait_event("ended", 1);
    scene.wait_until_over();
}

#[test]
fn video_towards_a_phone_without_it_leaves_the_audio() {
    let Some(scene) = Words::Classic.scene(2, &[Kind::Chromium]) else {
        return;
    };
    let mut bob = scene.baresip(1, "bob", 1000);
    let settings = json!({"video": true});
    let mut alice = scene.browser_with(0, Kind::Chromium, "alice", 440, settings);
    alice.dial("bob");
    bob.wait_event("CALL_ESTABLISHED");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    alice.hang_up();
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
}
