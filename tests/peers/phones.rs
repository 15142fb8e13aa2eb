//! baresip calls and is called: a phone with a stack of its own on one side or on both.

use std::time::Duration;

use patchcord_tests::tone::Tone;
use patchcord_tests::{Heard, Phone, until};

use crate::baresip::Baresip;
use crate::proxy;
use crate::scene::Scene;
use crate::sipp::{STEP, Sipp};

#[test]
fn two_baresips_hear_each_other() {
    let Some(scene) = Scene::new(2) else { return };
    let mut alice = scene.baresip(0, "alice", 440);
    let mut bob = scene.baresip(1, "bob", 1000);
    alice.dial("bob");
    alice.wait_event("CALL_ESTABLISHED");
    bob.wait_event("CALL_ESTABLISHED");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    assert!(!alice.hears(440), "alice hears herself");
    alice.command("hangup", "");
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
}

#[test]
fn a_baresip_holds_and_resumes() {
    let Some(scene) = Scene::new(2) else { return };
    let mut a = scene.phone(0, 440.0);
    let mut bob = scene.baresip(1, "bob", 1000);
    let caller = scene.caller("caller", &a);
    a.call(&caller.wait("SIP/2.0 200", "INVITE").sdp());
    bob.wait_event("CALL_ESTABLISHED");
    wait_until_both_hear(&mut a, &mut bob, 1000.0);
    bob.command("hold", "");
    assert!(
        caller
            .wait_nth(0, "INVITE", "INVITE")
            .sdp()
            .has("a=sendonly")
    );
    caller.wait_nth(0, "ACK", "ACK");
    bob.command("resume", "");
    assert!(
        caller
            .wait_nth(1, "INVITE", "INVITE")
            .sdp()
            .has("a=sendrecv")
    );
    caller.wait_nth(1, "ACK", "ACK");
    wait_until_both_hear(&mut a, &mut bob, 1000.0);
    bob.command("hangup", "");
    caller.finish();
    scene.wait_until_over();
}

#[test]
fn a_baresip_calls_a_sipp_that_echoes() {
    let Some(scene) = Scene::new(2) else { return };
    let host = &scene.site.hosts[1];
    proxy::register(host, "bob");
    let options = ["-rtp_echo", "-mp", "6000"].map(str::to_owned);
    let callee = Sipp::start_with(&scene.site, host, "callee-echoes", "bob", &options);
    let mut alice = scene.baresip(0, "alice", 440);
    alice.dial("bob");
    callee.wait("ACK", "ACK");
    // Through the relay to SIPp, and back through the relay.
    alice.wait_to_hear(440);
    callee.cue();
    alice.wait_event("CALL_CLOSED");
    callee.finish();
    scene.wait_until_over();
}

#[test]
fn a_sipp_that_plays_a_file_calls_a_baresip() {
    let Some(scene) = Scene::new(2) else { return };
    let mut bob = scene.baresip(1, "bob", 1000);
    let mut tone = Tone::new(700.0);
    let octets: Vec<u8> = (0..50).flat_map(|_| tone.frame()).collect();
    let host = &scene.site.hosts[0];
    let directory = Sipp::directory(&scene.site, host, "caller-plays");
    std::fs::write(directory.join("tone.ulaw"), octets).expect("the scratch is writable");
    let caller = Sipp::start_with(&scene.site, host, "caller-plays", "bob", &[]);
    caller.wait("SIP/2.0 200", "INVITE");
    bob.wait_to_hear(700);
    bob.command("hangup", "");
    caller.finish();
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
}

#[test]
fn a_baresip_and_a_phone_of_sockets_hear_each_other() {
    let Some(scene) = Scene::new(2) else { return };
    let mut a = scene.phone(0, 440.0);
    let mut bob = scene.baresip(1, "bob", 1000);
    let caller = scene.caller("caller", &a);
    a.call(&caller.wait("SIP/2.0 200", "INVITE").sdp());
    bob.wait_event("CALL_ESTABLISHED");
    wait_until_both_hear(&mut a, &mut bob, 1000.0);
    until("bob to hear 440 Hz", STEP, || {
        a.speak();
        std::thread::sleep(Duration::from_millis(15));
        bob.hears(440)
    });
    caller.cue();
    caller.finish();
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
}

/// Speaks until `bob` has received half a second of it, and half a second of his tone has come.
pub(crate) fn wait_until_both_hear(a: &mut Phone, bob: &mut Baresip, hertz: f64) {
    a.flush();
    let mut heard = Heard::default();
    let before = bob.received();
    until("both to hear each other", STEP, || {
        a.speak();
        std::thread::sleep(Duration::from_millis(15));
        a.overhears(&mut heard, hertz) && bob.received() >= before + 25
    });
}
