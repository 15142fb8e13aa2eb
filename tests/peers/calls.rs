//! SIPp calls SIPp: the shapes of a call, from the ordinary to the unlucky.

use patchcord_tests::{Phone, Sdp, converse, converse_asymmetrically};

use crate::proxy::Script;
use crate::scene::Scene;
use crate::sipp::Sipp;

/// A call between SIPp on host 0 and SIPp on host 1, whose phones hear each other.
struct Talk {
    a: Phone,
    b: Phone,
    caller: Sipp,
    callee: Sipp,
    /// The offer and the answer as they came out of the relay.
    offer: Sdp,
    answer: Sdp,
}

impl Talk {
    /// The ordinary one.
    fn begin(scene: &Scene) -> Self {
        Self::between(scene, "caller", "callee")
    }

    /// One between these scenarios.
    fn between(scene: &Scene, caller: &str, callee: &str) -> Self {
        let (mut a, mut b) = (scene.phone(0, 440.0), scene.phone(1, 1000.0));
        let callee = scene.callee(1, callee, &b);
        let caller = scene.caller(caller, &a);
        let offer = callee.wait("INVITE", "INVITE").sdp();
        b.call(&offer);
        let answer = caller.wait("SIP/2.0 200", "INVITE").sdp();
        a.call(&answer);
        callee.wait("ACK", "ACK");
        converse(&mut a, &mut b);
        Self {
            a,
            b,
            caller,
            callee,
            offer,
            answer,
        }
    }

    fn converse(&mut self) {
        converse(&mut self.a, &mut self.b);
    }

    /// The caller ends it; the relay forgets it.
    fn hang_up(self, scene: &Scene) -> (Phone, Phone) {
        self.caller.cue();
        self.caller.finish();
        self.callee.finish();
        scene.wait_until_over();
        (self.a, self.b)
    }
}

#[test]
fn a_call_has_audio_both_ways_and_the_caller_ends_it() {
    let Some(scene) = Scene::new(2) else { return };
    let talk = Talk::begin(&scene);
    assert_eq!(scene.calls(), 1);
    let (mut a, b) = talk.hang_up(&scene);
    a.speak();
    assert!(b.is_left_alone(), "the relay went on after the end");
}

#[test]
fn the_callee_ends_the_call() {
    let Some(scene) = Scene::new(2) else { return };
    let talk = Talk::begin(&scene);
    talk.callee.cue();
    talk.callee.finish();
    talk.caller.finish();
    scene.wait_until_over();
}

#[test]
fn debians_default_script_relays_a_call() {
    let Some(scene) = Scene::with_script(2, Script::Stock) else {
        return;
    };
    let talk = Talk::begin(&scene);
    talk.hang_up(&scene);
}

#[test]
fn a_cancelled_call_leaves_nothing_behind() {
    let Some(scene) = Scene::new(2) else { return };
    let (a, b) = (scene.phone(0, 440.0), scene.phone(1, 1000.0));
    let callee = scene.callee(1, "callee-rings", &b);
    let caller = scene.caller("caller-cancels", &a);
    caller.wait("SIP/2.0 180", "INVITE");
    assert_eq!(scene.calls(), 1, "an offer makes a call");
    caller.cue();
    caller.finish();
    callee.finish();
    scene.wait_until_over();
}

#[test]
fn early_media_flows_before_the_answer_and_goes_on_after_it() {
    let Some(scene) = Scene::new(2) else { return };
    let (mut a, mut b) = (scene.phone(0, 440.0), scene.phone(1, 1000.0));
    let callee = scene.callee(1, "callee-early", &b);
    let caller = scene.caller("caller", &a);
    b.call(&callee.wait("INVITE", "INVITE").sdp());
    let early = caller.wait("SIP/2.0 183", "INVITE").sdp();
    a.call(&early);
    converse(&mut a, &mut b);
    callee.cue();
    let answer = caller.wait("SIP/2.0 200", "INVITE").sdp();
    assert_eq!(
        answer.rtp(0),
        early.rtp(0),
        "the same answer, said twice, keeps its port"
    );
    callee.wait("ACK", "ACK");
    converse(&mut a, &mut b);
    caller.cue();
    caller.finish();
    callee.finish();
    scene.wait_until_over();
}

#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let Some(scene) = Scene::new(2) else { return };
    let (mut a, mut b) = (scene.phone(0, 440.0), scene.phone(1, 1000.0));
    let callee = scene.callee(1, "callee", &b);
    let caller = scene.caller("caller-offers-late", &a);
    assert_eq!(callee.wait("INVITE", "INVITE").body, "");
    a.call(&caller.wait("SIP/2.0 200", "INVITE").sdp());
    b.call(&callee.wait("ACK", "ACK").sdp());
    converse(&mut a, &mut b);
    caller.cue();
    caller.finish();
    callee.finish();
    scene.wait_until_over();
}

#[test]
fn a_held_call_resumes_on_the_same_ports() {
    let Some(scene) = Scene::new(2) else { return };
    let mut talk = Talk::between(&scene, "caller-holds", "callee");
    talk.caller.cue();
    let held = talk.callee.wait_nth(1, "INVITE", "INVITE").sdp();
    assert!(
        held.has("a=sendonly"),
        "the hold is passed on:\n{}",
        held.text()
    );
    assert_eq!(held.rtp(0), talk.offer.rtp(0));
    let held = talk.caller.wait_nth(1, "SIP/2.0 200", "INVITE").sdp();
    assert!(
        held.has("a=recvonly"),
        "and so is its answer:\n{}",
        held.text()
    );
    talk.callee.wait_nth(1, "ACK", "ACK");
    talk.b.flush();
    (0..12).for_each(|_| talk.a.speak());
    assert!(talk.b.hear(12).is_tone(440.0), "music on hold");

    talk.caller.cue();
    let resumed = talk.callee.wait_nth(2, "INVITE", "INVITE").sdp();
    assert!(resumed.has("a=sendrecv"));
    assert_eq!(resumed.rtp(0), talk.offer.rtp(0));
    let resumed = talk.caller.wait_nth(2, "SIP/2.0 200", "INVITE").sdp();
    assert_eq!(resumed.rtp(0), talk.answer.rtp(0));
    talk.callee.wait_nth(2, "ACK", "ACK");
    talk.converse();
    talk.hang_up(&scene);
}

#[test]
fn a_refused_reinvite_leaves_the_call_as_it_was() {
    let Some(scene) = Scene::new(2) else { return };
    let mut talk = Talk::between(&scene, "caller-refused", "callee-refuses");
    talk.caller.cue();
    talk.caller.wait("SIP/2.0 488", "INVITE");
    talk.callee.wait_nth(1, "ACK", "ACK");
    talk.converse();
    talk.hang_up(&scene);
}

#[test]
fn of_two_ringing_phones_the_first_to_ring_answers() {
    fork(0);
}

#[test]
fn of_two_ringing_phones_the_last_to_ring_answers() {
    fork(1);
}

/// Two phones of one user both send early media; the one that rang as number `winner` answers.
fn fork(winner: usize) {
    let Some(scene) = Scene::new(3) else { return };
    let mut a = scene.phone(0, 440.0);
    let mut phones = [scene.phone(1, 1000.0), scene.phone(2, 1700.0)];
    let scenarios = ["callee-early", "callee-early-loses"];
    let callees = [0, 1].map(|number| {
        let scenario = scenarios[usize::from(number != winner)];
        scene.callee(number + 1, scenario, &phones[number])
    });
    let caller = scene.caller("caller", &a);
    for (callee, phone) in callees.iter().zip(&mut phones) {
        phone.call(&callee.wait("INVITE", "INVITE").sdp());
    }
    caller.wait_nth(1, "SIP/2.0 183", "INVITE");
    callees[winner].cue();
    a.call(&caller.wait("SIP/2.0 200", "INVITE").sdp());
    callees[winner].wait("ACK", "ACK");
    callees[1 - winner].wait("CANCEL", "CANCEL");
    // Two offers without a to-tag look like one said twice: both phones may have been told the same
    // port, and only an answer tells them apart.
    converse_asymmetrically(&mut a, &mut phones[winner]);
    caller.cue();
    caller.finish();
    for callee in callees {
        callee.finish();
    }
    scene.wait_until_over();
}

#[test]
fn a_proxy_that_restarts_in_mid_call_costs_no_audio() {
    let Some(mut scene) = Scene::new(2) else {
        return;
    };
    let mut talk = Talk::begin(&scene);
    scene.proxy.kill();
    talk.converse();
    scene.proxy.restart(&scene.site);
    talk.converse();
    talk.hang_up(&scene);
}
