//! SRTP of real phones through the relay: what they heard is measured, not what they said of it.

use std::time::{Duration, Instant};

use patchcord_tests::{Heard, Phone, until, wait_for};

use crate::phones::wait_until_both_hear;
use crate::proxy::Script;
use crate::scene::Scene;
use crate::sipp::STEP;

/// A call from alice to bob, each with its encryption, in which both have to hear the other.
fn call(words: &'static str, [alice, bob]: [&str; 2], suites: [&str; 2]) {
    let Some(scene) = Scene::with_script(2, Script::With(words)) else {
        return;
    };
    let mut alice = scene.secure_baresip(0, "alice", 440, alice);
    let mut bob = scene.secure_baresip(1, "bob", 1000, bob);
    alice.dial("bob");
    alice.wait_event("CALL_ESTABLISHED");
    bob.wait_event("CALL_ESTABLISHED");
    assert_eq!(scene.suites(), suites);
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    alice.command("hangup", "");
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
}

const GCM: &str = "AEAD_AES_256_GCM";
const CM_80: &str = "AES_CM_128_HMAC_SHA1_80";
const CM_32: &str = "AES_CM_128_HMAC_SHA1_32";

#[test]
fn a_plain_baresip_calls_a_secure_one() {
    // It takes the first line, whose key has no whole groups of base64: it wants them filled up.
    call(
        "RTP/SAVP SDES-pad DTLS=off",
        ["", "srtp-mand"],
        [GCM, "none"],
    );
}

#[test]
fn a_secure_baresip_calls_a_plain_one() {
    call("RTP/AVP", ["srtp-mand", ""], [CM_80, "none"]);
}

#[test]
fn a_short_tag_is_enough_for_a_baresip() {
    let words = "RTP/SAVP SDES-only-AES_CM_128_HMAC_SHA1_32 DTLS=off";
    call(words, ["", "srtp-mand"], [CM_32, "none"]);
}

#[test]
fn two_secure_baresips_have_the_same_keys() {
    call(
        "SDES-pad DTLS=off",
        ["srtp-mand", "srtp-mand"],
        [CM_80, CM_80],
    );
}

#[test]
fn two_secure_baresips_have_keys_of_their_own() {
    call(
        "SDES-pad DTLS=off recrypt",
        ["srtp-mand", "srtp-mand"],
        [CM_80, CM_80],
    );
}

#[test]
fn two_secure_baresips_have_different_suites() {
    let words = "SDES-pad DTLS=off SDES-order:AEAD_AES_256_GCM";
    call(words, ["srtp-mand", "srtp-mand"], [GCM, CM_80]);
}

#[test]
fn keys_are_offered_in_a_plain_profile_and_taken() {
    call("OSRTP-offer SDES-pad", ["", "srtp"], [GCM, "none"]);
}

#[test]
fn keys_in_a_plain_profile_are_accepted() {
    call("OSRTP-accept", ["srtp", ""], [CM_80, "none"]);
}

#[test]
fn a_secure_baresip_holds_and_resumes() {
    let words = Script::With("RTP/SAVP SDES-only-AES_CM_128_HMAC_SHA1_80 DTLS=off");
    let Some(scene) = Scene::with_script(2, words) else {
        return;
    };
    let mut a = scene.phone(0, 440.0);
    let mut bob = scene.secure_baresip(1, "bob", 1000, "srtp-mand");
    let caller = scene.caller("caller", &a);
    a.call(&caller.wait("SIP/2.0 200", "INVITE").sdp());
    bob.wait_event("CALL_ESTABLISHED");
    wait_until_both_hear(&mut a, &mut bob, 1000.0);
    // Its re-INVITEs are offers, with the key that it has.
    bob.command("hold", "");
    caller.wait_nth(0, "ACK", "ACK");
    bob.command("resume", "");
    caller.wait_nth(1, "ACK", "ACK");
    wait_until_both_hear(&mut a, &mut bob, 1000.0);
    bob.command("hangup", "");
    caller.finish();
    scene.wait_until_over();
}

#[test]
fn a_plain_phone_calls_a_linphone_that_is_secure() {
    // It takes AES_256_CM, and like baresip wants keys of that length filled up.
    let words = Script::With("RTP/SAVP SDES-pad DTLS=off");
    let Some(scene) = Scene::with_script(2, words) else {
        return;
    };
    let mut a = scene.phone(0, 440.0);
    let bob = scene.linphone(1, "bob", 1000);
    let caller = scene.caller("caller", &a);
    a.call(&caller.wait("SIP/2.0 200", "INVITE").sdp());
    speak_and_hear(&mut a, 1000.0);
    assert!(scene.suites().iter().any(|suite| suite != "none"));
    caller.cue();
    caller.finish();
    scene.wait_until_over();
    until("linphone to have heard the caller", STEP, || bob.heard(440));
}

#[test]
fn a_secure_linphone_is_held_and_resumed() {
    let words = Script::With("RTP/SAVP SDES-pad DTLS=off");
    let Some(scene) = Scene::with_script(2, words) else {
        return;
    };
    let mut a = scene.phone(0, 440.0);
    let bob = scene.linphone(1, "bob", 1000);
    let caller = scene.caller_with("caller-told", &a.sdp());
    a.call(&caller.wait("SIP/2.0 200", "INVITE").sdp());
    speak_and_hear(&mut a, 1000.0);
    assert_eq!(scene.refused(), [0, 0]);
    caller.tell(&a.sdp().with("a=sendonly"));
    let held = caller.wait_nth(1, "SIP/2.0 200", "INVITE").sdp();
    assert!(held.has("a=recvonly"), "{}", held.text());
    // Another tone, so that its recording tells the time before from the time after.
    a.retune(600.0);
    caller.tell(&a.sdp().with("a=sendrecv"));
    a.call(&caller.wait_nth(2, "SIP/2.0 200", "INVITE").sdp());
    a.flush();
    speak_and_hear(&mut a, 1000.0);
    assert!(scene.suites().iter().any(|suite| suite != "none"));
    // Of its SRTCP it begins the index anew: under that key the relay has seen it before.
    assert!(matches!(scene.refused(), [0, 0..=2]));
    caller.cue();
    caller.finish();
    scene.wait_until_over();
    until("linphone to have heard the caller again", STEP, || {
        bob.heard(600)
    });
}

#[test]
fn a_linphone_takes_no_keys_in_a_plain_profile_and_talks_without() {
    let words = Script::With("OSRTP-offer SDES-pad");
    let Some(scene) = Scene::with_script(2, words) else {
        return;
    };
    let mut a = scene.phone(0, 440.0);
    let bob = scene.linphone_with(1, "bob", 1000, "[sip]\nmedia_encryption_mandatory=0\n");
    let caller = scene.caller("caller", &a);
    a.call(&caller.wait("SIP/2.0 200", "INVITE").sdp());
    speak_and_hear(&mut a, 1000.0);
    let offer = wait_for("its offer", STEP, || bob.told("INVITE sip:bob"));
    let answer = wait_for("its answer", STEP, || bob.told("SIP/2.0 200 Ok"));
    assert!(offer.crypto(0).count() > 0, "{}", offer.text());
    assert_eq!(offer.profile(0), Some("RTP/AVP"));
    assert_eq!(answer.profile(0), Some("RTP/AVP"));
    assert_eq!(answer.crypto(0).count(), 0, "{}", answer.text());
    assert_eq!(scene.suites(), ["none", "none"]);
    caller.cue();
    caller.finish();
    scene.wait_until_over();
    until("linphone to have heard the caller", STEP, || bob.heard(440));
}

/// Speaks at the pace of speech, which a jitter buffer wants, for three seconds and until a tone of `hertz` is
/// heard.
fn speak_and_hear(a: &mut Phone, hertz: f64) {
    let mut heard = Heard::default();
    let (start, mut spoken) = (Instant::now(), 0);
    until("both to have heard enough", STEP, || {
        a.speak();
        spoken += 1;
        let next = start + Duration::from_millis(20) * spoken;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        a.overhears(&mut heard, hertz) && spoken > 150
    });
}

#[test]
fn a_linphone_calls_a_baresip_in_another_suite() {
    // It offers IPv6, of which baresip knows nothing.
    let words =
        Script::With("RTP/SAVP SDES-pad DTLS=off SDES-order:AEAD_AES_256_GCM address-family=IP4");
    let Some(scene) = Scene::with_script(2, words) else {
        return;
    };
    let mut alice = scene.linphone(0, "alice", 440);
    let mut bob = scene.secure_baresip(1, "bob", 1000, "srtp-mand");
    alice.dial("bob");
    bob.wait_event("CALL_ESTABLISHED");
    assert_eq!(scene.suites(), [GCM, CM_80]);
    bob.wait_to_hear(440);
    std::thread::sleep(Duration::from_secs(1));
    alice.command("terminate");
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
    until("linphone to have heard baresip", STEP, || alice.heard(1000));
}
