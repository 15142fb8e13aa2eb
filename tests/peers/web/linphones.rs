//! A linphone with DTLS and a Chromium: audio alone, and audio and video in a bundle on both sides.

use std::time::Duration;

use patchcord_tests::until;
use serde_json::json;

use super::browser::{Kind, STEP};
use super::scene::Words;

/// What linphone records of a call is complete once it is over: so long it has to last.
const TALK: Duration = Duration::from_secs(2);
/// A linphone with a bundle, and a picture that it draws itself.
const BUNDLED: &str = "[rtp]\nbundle=1\nvideo_rtp_port=22000\n\
    [video]\nenabled=1\nautomatically_initiate=1\nautomatically_accept=1\n\
    device=Mire: Mire (synthetic moving picture)\nsize=qvga\n\
    [video_codec_0]\nmime=VP8\nrate=90000\nenabled=1\n";

#[test]
fn a_chromium_calls_a_linphone_with_dtls() {
    let Some(scene) = Words::Secure.scene(2, &[Kind::Chromium]) else {
        return;
    };
    let mut alice = scene.browser(0, Kind::Chromium, "alice", 440);
    let bob = scene.dtls_linphone(1, "bob", 1000);
    alice.dial("bob");
    alice.wait_to_hear(1000);
    std::thread::sleep(TALK);
    alice.hang_up();
    scene.wait_until_over();
    until("linphone to have heard the browser", STEP, || {
        bob.heard(440)
    });
}

#[test]
fn a_linphone_with_dtls_calls_a_chromium() {
    let Some(scene) = Words::Secure.scene(2, &[Kind::Chromium]) else {
        return;
    };
    let mut alice = scene.browser(0, Kind::Chromium, "alice", 440);
    let mut bob = scene.dtls_linphone(1, "bob", 1000);
    bob.dial("alice");
    alice.wait_to_hear(1000);
    std::thread::sleep(TALK);
    bob.command("terminate");
    alice.wait_event("ended", 1);
    scene.wait_until_over();
    until("linphone to have heard the browser", STEP, || {
        bob.heard(440)
    });
}

#[test]
fn a_linphone_with_a_bundle_calls_a_chromium() {
    let Some(scene) = Words::Secure.scene(2, &[Kind::Chromium]) else {
        return;
    };
    let settings = json!({"video": true});
    let mut alice = scene.browser_with(0, Kind::Chromium, "alice", 440, settings);
    let mut bob = scene.dtls_linphone_with(1, "bob", 1000, BUNDLED);
    bob.dial("alice");
    alice.wait_to_hear(1000);
    // Its profile has no feedback, so it cannot be asked for the key frame that it sent before there were keys.
    until("alice to receive its picture", STEP, || {
        let packets = alice.stats()["video"]["packets"].as_u64();
        packets.is_some_and(|packets| packets > 30)
    });
    let answer = bob.told("SIP/2.0 200").expect("it was answered");
    let group = answer
        .text()
        .lines()
        .find(|line| line.starts_with("a=group:BUNDLE"));
    assert_eq!(
        group.map(|line| line.split(' ').count()),
        Some(3),
        "{}",
        answer.text()
    );
    assert_eq!(answer.rtp(0), answer.rtp(1), "one transport");
    std::thread::sleep(TALK);
    bob.command("terminate");
    alice.wait_event("ended", 1);
    scene.wait_until_over();
    until("linphone to have heard the browser", STEP, || {
        bob.heard(440)
    });
}
