//! A browser calls a phone and a phone a browser: the recipes of the README, audio checked at both ends.

use std::time::Duration;

use patchcord_tests::until;

use super::browser::{Kind, STEP};
use super::scene::Words;

/// What linphone records of a call is complete once it is over: so long it has to last.
const TALK: Duration = Duration::from_secs(2);

/// A browser at host 0 calls a baresip at host 1, with audio both ways; the browser ends it.
fn browser_calls_phone(words: Words, kind: Kind) {
    let Some(scene) = words.scene(2, &[kind]) else {
        return;
    };
    let mut bob = scene.baresip(1, "bob", 1000);
    let mut alice = scene.browser(0, kind, "alice", 440);
    alice.dial("bob");
    bob.wait_event("CALL_ESTABLISHED");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    assert!(!alice.hears(440), "alice hears herself");
    alice.hang_up();
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
}

/// A baresip at host 1 calls a browser at host 0, with audio both ways; the phone ends it.
fn phone_calls_browser(words: Words, kind: Kind) {
    let Some(scene) = words.scene(2, &[kind]) else {
        return;
    };
    let mut bob = scene.baresip(1, "bob", 1000);
    let mut alice = scene.browser(0, kind, "alice", 440);
    bob.dial("alice");
    bob.wait_event("CALL_ESTABLISHED");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    bob.command("hangup", "");
    alice.wait_event("ended", 1);
    scene.wait_until_over();
}

/// Two browsers at hosts of their own, with audio both ways.
fn browser_calls_browser(words: Words, [caller, callee]: [Kind; 2]) {
    let Some(scene) = words.scene(2, &[caller, callee]) else {
        return;
    };
    let mut bob = scene.browser(1, callee, "bob", 1000);
    let mut alice = scene.browser(0, caller, "alice", 440);
    alice.dial("bob");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    alice.hang_up();
    bob.wait_event("ended", 1);
    scene.wait_until_over();
}

#[test]
fn a_chromium_calls_a_phone() {
    browser_calls_phone(Words::Classic, Kind::Chromium);
}

#[test]
fn a_phone_calls_a_chromium() {
    phone_calls_browser(Words::Classic, Kind::Chromium);
}

#[test]
fn a_firefox_calls_a_phone() {
    browser_calls_phone(Words::Classic, Kind::Firefox);
}

#[test]
fn a_phone_calls_a_firefox() {
    phone_calls_browser(Words::Classic, Kind::Firefox);
}

#[test]
fn a_chromium_calls_a_chromium() {
    browser_calls_browser(Words::Classic, [Kind::Chromium; 2]);
}

#[test]
fn one_word_is_enough_for_a_chromium_that_calls_a_phone() {
    browser_calls_phone(Words::Short, Kind::Chromium);
}

#[test]
fn one_word_is_enough_for_a_phone_that_calls_a_firefox() {
    phone_calls_browser(Words::Short, Kind::Firefox);
}

#[test]
fn one_word_is_enough_between_two_chromiums() {
    browser_calls_browser(Words::Short, [Kind::Chromium; 2]);
}

#[test]
fn two_phones_need_no_browser() {
    let Some(scene) = Words::Classic.scene(2, &[]) else {
        return;
    };
    let mut alice = scene.baresip(0, "alice", 440);
    let mut bob = scene.baresip(1, "bob", 1000);
    alice.dial("bob");
    bob.wait_event("CALL_ESTABLISHED");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    alice.command("hangup", "");
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
}

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
fn a_chromium_calls_a_firefox() {
    browser_calls_browser(Words::Classic, [Kind::Chromium, Kind::Firefox]);
}
