//! What changes in the middle of a browser's call: hold and resume, its network, the browser itself.

use std::time::Duration;

use patchcord_tests::{Heard, until};

use super::browser::{Kind, STEP};
use super::scene::Words;

fn holds_and_resumes(kind: Kind) {
    let Some(scene) = Words::Classic.scene(2, &[kind]) else {
        return;
    };
    let mut bob = scene.baresip(1, "bob", 1000);
    let mut alice = scene.browser(0, kind, "alice", 440);
    alice.dial("bob");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    alice.run("hold()");
    alice.wait_event("hold", 1);
    until("the held phone to be silent", STEP, || !alice.hears(1000));
    alice.run("unhold()");
    alice.wait_event("unhold", 1);
    alice.wait_to_hear(1000);
    let before = bob.received();
    until("bob to receive again", STEP, || {
        bob.received() > before + 50
    });
    alice.hang_up();
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
}

#[test]
fn a_chromium_holds_and_resumes() {
    holds_and_resumes(Kind::Chromium);
}

#[test]
fn a_firefox_holds_and_resumes() {
    holds_and_resumes(Kind::Firefox);
}

fn is_held_and_resumed(kind: Kind) {
    let Some(scene) = Words::Classic.scene(2, &[kind]) else {
        return;
    };
    let mut bob = scene.baresip(1, "bob", 1000);
    let mut alice = scene.browser(0, kind, "alice", 440);
    bob.dial("alice");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    bob.command("hold", "");
    alice.wait_event("hold", 1);
    until("the phone to be silent", STEP, || !alice.hears(1000));
    bob.command("resume", "");
    alice.wait_event("unhold", 1);
    alice.wait_to_hear(1000);
    let before = bob.received();
    until("bob to receive again", STEP, || {
        bob.received() > before + 50
    });
    bob.command("hangup", "");
    alice.wait_event("ended", 1);
    scene.wait_until_over();
}

#[test]
fn a_phone_holds_a_chromium_and_resumes() {
    is_held_and_resumed(Kind::Chromium);
}

#[test]
fn a_phone_holds_a_firefox_and_resumes() {
    is_held_and_resumed(Kind::Firefox);
}

fn restarts_ice(kind: Kind) {
    let Some(scene) = Words::Classic.scene(2, &[kind]) else {
        return;
    };
    let mut bob = scene.baresip(1, "bob", 1000);
    let mut alice = scene.browser(0, kind, "alice", 440);
    alice.dial("bob");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    let credentials = |alice: &mut super::browser::Browser| {
        let told = alice.run("told()");
        let remote = told["remote"].as_str().unwrap_or_default().to_owned();
        let line = |key: &str| {
            let found = remote.lines().find(|line| line.starts_with(key));
            found.expect("the relay says so").to_owned()
        };
        (line("a=ice-ufrag:"), line("a=fingerprint:"))
    };
    let (ufrag, fingerprint) = credentials(&mut alice);
    alice.run("restartIce()");
    until(
        "the relay to answer with credentials of its own",
        STEP,
        || credentials(&mut alice).0 != ufrag,
    );
    assert_eq!(credentials(&mut alice).1, fingerprint, "DTLS goes on");
    alice.wait_to_hear(1000);
    let before = bob.received();
    until("bob to receive on", STEP, || bob.received() > before + 100);
    alice.wait_to_hear(1000);
    alice.hang_up();
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
}

#[test]
fn a_chromium_restarts_ice_and_is_heard_on() {
    restarts_ice(Kind::Chromium);
}

#[test]
fn a_firefox_restarts_ice_and_is_heard_on() {
    restarts_ice(Kind::Firefox);
}

fn moves_to_another_address(kind: Kind) {
    let Some(scene) = Words::Classic.scene(2, &[kind]) else {
        return;
    };
    let mut bob = scene.baresip(1, "bob", 1000);
    let mut alice = scene.browser(0, kind, "alice", 440);
    alice.dial("bob");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    scene.site.hosts[0].move_to(7);
    alice.run("reconnect()");
    until("alice to be registered from there", STEP, || {
        alice.run("registrations") == 2
    });
    until("alice to be ready for an offer", STEP, || {
        alice.run("restartIce()") == true
    });
    until("alice to use her new address", STEP, || {
        alice.stats()["pair"]["address"] == "10.0.1.7"
    });
    alice.wait_to_hear(1000);
    let before = bob.received();
    until("bob to receive on", STEP, || bob.received() > before + 50);
    bob.command("hangup", "");
    alice.wait_event("ended", 1);
    scene.wait_until_over();
}

#[test]
fn a_chromium_moves_to_another_address() {
    moves_to_another_address(Kind::Chromium);
}

#[test]
fn a_firefox_moves_to_another_address() {
    moves_to_another_address(Kind::Firefox);
}

fn is_killed_and_comes_back(kind: Kind) {
    let Some(scene) = Words::Classic.scene(2, &[kind]) else {
        return;
    };
    let mut bob = scene.baresip(1, "bob", 1000);
    let mut alice = scene.browser(0, kind, "alice", 440);
    alice.dial("bob");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    alice.kill();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(scene.calls(), 1, "nobody has ended it yet");
    bob.command("hangup", "");
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
    let mut alice = scene.browser(0, kind, "alice", 700);
    bob.dial("alice");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(700);
    bob.command("hangup", "");
    alice.wait_event("ended", 1);
    scene.wait_until_over();
}

#[test]
fn a_chromium_that_is_killed_comes_back_and_calls_again() {
    is_killed_and_comes_back(Kind::Chromium);
}

#[test]
fn a_firefox_that_is_killed_comes_back_and_calls_again() {
    is_killed_and_comes_back(Kind::Firefox);
}

#[test]
fn a_phone_without_mux_gets_rtcp_on_its_second_port() {
    let Some(scene) = Words::Classic.scene(2, &[Kind::Chromium]) else {
        return;
    };
    let mut bob = scene.phone(1, 1000.0);
    let callee = scene.callee(1, "callee", &bob);
    let mut alice = scene.browser(0, Kind::Chromium, "alice", 440);
    alice.dial("bob");
    let offer = callee.wait("INVITE", "INVITE").sdp();
    assert!(!offer.has("a=rtcp-mux"), "{}", offer.text());
    bob.call(&offer);
    callee.wait("ACK", "ACK");
    let mut heard = Heard::default();
    let (mut turns, mut told) = (0_u32, [false; 3]);
    until("both to hear each other, and bob to get RTCP", STEP, || {
        bob.speak();
        std::thread::sleep(Duration::from_millis(15));
        told[0] |= bob.overhears(&mut heard, 440.0);
        told[1] |= bob.arrived_rtcp().is_some();
        // The page is asked now and then.
        turns += 1;
        told[2] |= turns.is_multiple_of(25) && alice.hears(1000);
        told == [true; 3]
    });
    assert!(
        heard.others.is_empty(),
        "only RTP at the first port: {:x?}",
        heard.others
    );
    alice.hang_up();
    callee.finish();
    scene.wait_until_over();
}

#[test]
fn a_call_of_browsers_gets_a_picture_in_its_middle() {
    let Some(scene) = Words::Classic.scene(2, &[Kind::Chromium]) else {
        return;
    };
    let mut bob = scene.browser(1, Kind::Chromium, "bob", 1000);
    let mut alice = scene.browser(0, Kind::Chromium, "alice", 440);
    alice.dial("bob");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    alice.run("addVideo()");
    bob.wait_to_see(30);
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    alice.hang_up();
    bob.wait_event("ended", 1);
    scene.wait_until_over();
}
