//! ICE of real phones: the implementations of baresip (libre) and linphone against ours.

use patchcord_tests::until;

use crate::proxy::Script;
use crate::scene::Scene;
use crate::sipp::STEP;

const ICE: &str = "medianat=ice";

/// A call from alice to bob in which both have to hear the other; so many legs have ICE, and on each
/// of them the pair in use is the phone's own address.
fn call(words: &'static str, [alice, bob]: [&str; 2], legs: usize) {
    let Some(scene) = Scene::with_script(2, Script::With(words)) else {
        return;
    };
    let mut alice = scene.baresip_with(0, "alice", 440, alice);
    let mut bob = scene.baresip_with(1, "bob", 1000, bob);
    alice.dial("bob");
    alice.wait_event("CALL_ESTABLISHED");
    bob.wait_event("CALL_ESTABLISHED");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    let endpoints = scene.ice_endpoints();
    assert_eq!(endpoints.len(), legs, "{endpoints:?}");
    assert!(
        endpoints
            .iter()
            .all(|address| address != "0.0.0.0" && address != "::"),
        "{endpoints:?}"
    );
    alice.command("hangup", "");
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
}

#[test]
fn a_baresip_with_ice_calls_a_plain_one() {
    call("", [ICE, ""], 1);
}

#[test]
fn a_plain_baresip_calls_one_with_ice() {
    call("ICE=force", ["", ICE], 1);
}

#[test]
fn two_baresips_with_ice_each_have_it_with_the_relay() {
    call("", [ICE, ICE], 2);
}

#[test]
fn a_lite_relay_is_enough_for_baresips() {
    call("ICE-lite=both", [ICE, ICE], 2);
}

#[test]
fn a_secure_baresip_with_ice_calls_a_plain_one() {
    let secure = "mediaenc=srtp-mand;medianat=ice";
    call("RTP/AVP", [secure, ""], 1);
}

#[test]
fn a_linphone_with_ice_calls_a_baresip() {
    // It offers IPv6, of which baresip knows nothing.
    let words = Script::With("RTP/AVP address-family=IP4");
    let Some(scene) = Scene::with_script(2, words) else {
        return;
    };
    let more = "[nat_policy_0]\nref=ice\nprotocols=ice\n[net]\nnat_policy_ref=ice\n";
    let mut alice = scene.linphone_with(0, "alice", 440, more);
    let mut bob = scene.baresip_with(1, "bob", 1000, "");
    alice.dial("bob");
    bob.wait_event("CALL_ESTABLISHED");
    bob.wait_to_hear(440);
    let endpoints = scene.ice_endpoints();
    assert_eq!(endpoints.len(), 1, "{endpoints:?}");
    assert_ne!(endpoints, ["::"], "a pair is in use");
    std::thread::sleep(std::time::Duration::from_secs(1));
    alice.command("terminate");
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
    until("linphone to have heard baresip", STEP, || alice.heard(1000));
}

#[test]
fn a_baresip_with_ice_holds_and_resumes() {
    let Some(scene) = Scene::with_script(2, Script::With("")) else {
        return;
    };
    let mut alice = scene.baresip_with(0, "alice", 440, ICE);
    let mut bob = scene.baresip_with(1, "bob", 1000, ICE);
    alice.dial("bob");
    bob.wait_event("CALL_ESTABLISHED");
    alice.wait_to_hear(1000);
    bob.command("hold", "");
    bob.command("resume", "");
    let before = alice.received();
    until("alice to receive again", STEP, || {
        alice.received() > before + 50
    });
    alice.command("hangup", "");
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
}
