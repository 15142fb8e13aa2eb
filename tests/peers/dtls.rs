//! DTLS-SRTP of real phones: libre's and linphone's handshakes against ours, heard by frequency.

use patchcord_tests::until;

use crate::proxy::Script;
use crate::scene::Scene;
use crate::sipp::STEP;

const DTLS: &str = "mediaenc=dtls_srtp";

/// A call from alice to bob in which both have to hear the other; so many legs are keyed.
fn call(words: &'static str, [alice, bob]: [&str; 2], keyed: usize) {
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
    let suites = scene.suites();
    let have = suites.iter().filter(|suite| *suite != "none");
    assert_eq!(have.count(), keyed, "{suites:?}");
    alice.command("hangup", "");
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
}

#[test]
fn a_baresip_with_dtls_calls_a_plain_one() {
    call("RTP/AVP", [DTLS, ""], 1);
}

#[test]
fn a_plain_baresip_calls_one_with_dtls() {
    call("UDP/TLS/RTP/SAVP SDES-off", ["", DTLS], 1);
}

#[test]
fn a_passive_relay_is_begun_with() {
    call("RTP/AVP DTLS=passive", [DTLS, ""], 1);
}

#[test]
fn two_baresips_with_dtls_each_have_keys_with_the_relay() {
    call("SDES-off", [DTLS, DTLS], 2);
}

#[test]
fn a_baresip_with_dtls_calls_one_with_lines() {
    call("RTP/SAVP SDES-pad", [DTLS, "mediaenc=srtp-mand"], 2);
}

#[test]
fn a_baresip_with_ice_and_dtls_calls_a_plain_one() {
    let web = "mediaenc=dtls_srtp;medianat=ice";
    call("RTP/AVP", [web, ""], 1);
}

#[test]
fn a_plain_baresip_calls_one_with_ice_and_dtls() {
    let web = "mediaenc=dtls_srtp;medianat=ice";
    call("UDP/TLS/RTP/SAVPF ICE=force SDES-off", ["", web], 1);
}

#[test]
fn a_linphone_with_dtls_calls_a_plain_baresip() {
    // It offers IPv6, of which baresip knows nothing.
    let words = Script::With("RTP/AVP address-family=IP4");
    let Some(scene) = Scene::with_script(2, words) else {
        return;
    };
    let more = "[sip]\nmedia_encryption=dtls\n";
    let mut alice = scene.linphone_with(0, "alice", 440, more);
    let mut bob = scene.baresip_with(1, "bob", 1000, "");
    alice.dial("bob");
    bob.wait_event("CALL_ESTABLISHED");
    bob.wait_to_hear(440);
    assert!(scene.suites().iter().any(|suite| suite != "none"));
    std::thread::sleep(std::time::Duration::from_secs(1));
    alice.command("terminate");
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
    until("linphone to have heard baresip", STEP, || alice.heard(1000));
}

#[test]
fn a_plain_baresip_calls_a_linphone_with_dtls() {
    let words = Script::With("UDP/TLS/RTP/SAVP SDES-off");
    let Some(scene) = Scene::with_script(2, words) else {
        return;
    };
    let more = "[sip]\nmedia_encryption=dtls\n";
    let bob = scene.linphone_with(1, "bob", 1000, more);
    let mut alice = scene.baresip_with(0, "alice", 440, "");
    alice.dial("bob");
    alice.wait_event("CALL_ESTABLISHED");
    alice.wait_to_hear(1000);
    assert!(scene.suites().iter().any(|suite| suite != "none"));
    std::thread::sleep(std::time::Duration::from_secs(1));
    alice.command("hangup", "");
    scene.wait_until_over();
    until("linphone to have heard baresip", STEP, || bob.heard(440));
}
