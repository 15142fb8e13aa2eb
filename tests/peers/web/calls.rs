//! A browser calls a phone and a phone a browser: the recipes of the README, audio checked at both ends.

use super::browser::Kind;
use super::scene::Words;
use crate::baresip::Baresip;
use crate::scene::Scene;

/// The baresip that these words are for.
fn phone(words: Words, scene: &Scene, host: usize, user: &str, hertz: u32) -> Baresip {
    match words {
        Words::Everywhere => scene.web_baresip(host, user, hertz),
        Words::Classic | Words::Short | Words::Lite => scene.baresip(host, user, hertz),
        Words::Secure => scene.secure_baresip(host, user, hertz, "dtls_srtp"),
    }
}

/// A browser at host 0 calls a baresip at host 1, with audio both ways; the browser ends it.
fn browser_calls_phone(words: Words, kind: Kind) {
    let Some(scene) = words.scene(2, &[kind]) else {
        return;
    };
    let mut bob = phone(words, &scene, 1, "bob", 1000);
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
    let mut bob = phone(words, &scene, 1, "bob", 1000);
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

/// One after the other, in the same pages: the first browser calls the second, and is called by it.
fn browsers_call_each_other(words: Words, [first, second]: [Kind; 2]) {
    let Some(scene) = words.scene(2, &[first, second]) else {
        return;
    };
    let mut alice = scene.browser(0, first, "alice", 440);
    let mut bob = scene.browser(1, second, "bob", 1000);
    alice.dial("bob");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    alice.hang_up();
    bob.wait_event("ended", 1);
    scene.wait_until_over();
    bob.dial("alice");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    bob.hang_up();
    // Her own end of the first call was one.
    alice.wait_event("ended", 2);
    scene.wait_until_over();
}

/// One after the other, in the same page: a browser calls a baresip, and is called by it.
fn browser_and_phone_call_each_other(words: Words, kind: Kind) {
    let Some(scene) = words.scene(2, &[kind]) else {
        return;
    };
    let mut bob = phone(words, &scene, 1, "bob", 1000);
    let mut alice = scene.browser(0, kind, "alice", 440);
    alice.dial("bob");
    bob.wait_event("CALL_ESTABLISHED");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    alice.hang_up();
    bob.wait_event("CALL_CLOSED");
    scene.wait_until_over();
    bob.dial("alice");
    bob.wait_event("CALL_ESTABLISHED");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    bob.command("hangup", "");
    alice.wait_event("ended", 2);
    scene.wait_until_over();
}

/// A baresip at host 0 calls one at host 1, with audio both ways.
fn phone_calls_phone(words: Words) {
    let Some(scene) = words.scene(2, &[]) else {
        return;
    };
    let mut alice = phone(words, &scene, 0, "alice", 440);
    let mut bob = phone(words, &scene, 1, "bob", 1000);
    alice.dial("bob");
    bob.wait_event("CALL_ESTABLISHED");
    alice.wait_to_hear(1000);
    bob.wait_to_hear(440);
    alice.command("hangup", "");
    bob.wait_event("CALL_CLOSED");
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
    phone_calls_phone(Words::Classic);
}

#[test]
fn the_short_script_leaves_two_phones_alone() {
    phone_calls_phone(Words::Short);
}

#[test]
fn one_word_is_enough_between_two_phones_that_do_all_of_it() {
    phone_calls_phone(Words::Everywhere);
}

#[test]
fn a_chromium_calls_a_phone_that_does_all_of_it() {
    browser_calls_phone(Words::Everywhere, Kind::Chromium);
}

#[test]
fn a_phone_that_does_all_of_it_calls_a_chromium() {
    phone_calls_browser(Words::Everywhere, Kind::Chromium);
}

#[test]
fn a_chromium_and_a_firefox_call_each_other() {
    browsers_call_each_other(Words::Classic, [Kind::Chromium, Kind::Firefox]);
}

#[test]
fn a_firefox_calls_a_firefox() {
    browser_calls_browser(Words::Classic, [Kind::Firefox; 2]);
}

#[test]
fn a_chromium_and_a_phone_call_each_other_through_a_lite_relay() {
    browser_and_phone_call_each_other(Words::Lite, Kind::Chromium);
}

#[test]
fn a_firefox_and_a_phone_call_each_other_through_a_lite_relay() {
    browser_and_phone_call_each_other(Words::Lite, Kind::Firefox);
}

#[test]
fn a_chromium_calls_a_firefox_through_a_lite_relay() {
    browser_calls_browser(Words::Lite, [Kind::Chromium, Kind::Firefox]);
}
