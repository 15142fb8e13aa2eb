//! Re-INVITEs on calls with SRTP (RFC 4568 §5.1.4, RFC 3264 §8): the keys stay, or one side draws new ones.
//!
//! Each phone's sequence number has passed zero by then, so that a rollover counter begun anew would be heard.

use patchcord_media::srtp::Suite;
use patchcord_tests::{Phone, Sdp, converse};

use crate::phones::wait_until_both_hear;
use crate::proxy::Script;
use crate::scene::Scene;
use crate::sipp::Sipp;

const CM_80: Suite = Suite::AesCm128Sha1_80;
const GCM: Suite = Suite::AeadAes128Gcm;
/// Where sequence numbers begin: the first conversation passes zero.
const BEFORE_ZERO: u16 = 65_530;

/// A call from host 0 to host 1 whose SIPps say what the test tells them.
struct Talk {
    scene: Scene,
    phones: [Phone; 2],
    sipps: [Sipp; 2],
    /// INVITEs that each side has sent.
    invites: [usize; 2],
}

impl Talk {
    /// A call with these words of the proxy, whose phones speak these suites or none.
    fn begin(words: &'static str, suites: [Option<Suite>; 2]) -> Option<Self> {
        let scene = Scene::with_script(2, Script::With(words))?;
        let phone = |host: usize, hertz| {
            let phone = scene.phone(host, hertz).counting_from(BEFORE_ZERO);
            match suites[host] {
                Some(suite) => phone.secured(suite, host as u8 + 1),
                None => phone,
            }
        };
        let [mut a, mut b] = [phone(0, 440.0), phone(1, 1000.0)];
        let callee = scene.callee(1, "callee-told", &b);
        let caller = scene.caller_with("caller-told", &a.sdp());
        b.call(&callee.wait("INVITE", "INVITE").sdp());
        callee.tell(&b.sdp());
        a.call(&caller.wait("SIP/2.0 200", "INVITE").sdp());
        callee.wait("ACK", "ACK");
        let mut talk = Self {
            scene,
            phones: [a, b],
            sipps: [caller, callee],
            invites: [1, 0],
        };
        talk.converse();
        Some(talk)
    }

    /// Number `from` offers again and the other answers, each with its keys of now.
    fn reinvite(&mut self, from: usize) {
        let (to, nth) = (1 - from, self.invites[from]);
        self.invites[from] += 1;
        self.sipps[from].tell(&self.phones[from].sdp());
        let offer = self.sipps[to].wait_nth(nth, "INVITE", "INVITE").sdp();
        self.phones[to].call(&offer);
        self.sipps[to].tell(&self.phones[to].sdp());
        let answer = self.sipps[from].wait_nth(nth, "SIP/2.0 200", "INVITE");
        self.phones[from].call(&answer.sdp());
        self.sipps[to].wait_nth(nth, "ACK", "ACK");
    }

    fn converse(&mut self) {
        let [a, b] = &mut self.phones;
        converse(a, b);
    }

    /// Number `from` re-INVITEs without new keys: not one packet is lost to SRTP.
    fn goes_on(&mut self, from: usize) {
        let before = self.scene.refused();
        self.reinvite(from);
        self.converse();
        assert_eq!(self.scene.refused(), before, "the state of SRTP goes on");
    }

    /// Number `who` draws a new key and tells it in a re-INVITE of number `from`, in the offer or the answer.
    /// The old one works until then, and no longer.
    fn rekeys(&mut self, who: usize, suite: Suite, from: usize) {
        let seed = 0x50 + self.invites.iter().sum::<usize>() as u8;
        let [early, late] = [(); 2].map(|()| self.phones[who].utter());
        let other = 1 - who;
        self.phones[other].flush();
        self.phones[who].send(&early);
        assert_eq!(self.phones[other].hear(1).packets.len(), 1);
        self.phones[who].rekey(suite, seed);
        self.reinvite(from);
        let [tags, others] = self.scene.refused();
        self.converse();
        self.phones[who].send(&late);
        assert!(
            self.phones[other].is_left_alone(),
            "the old key still works"
        );
        assert_eq!(
            self.scene.refused(),
            [tags + 1, others],
            "nothing else is lost"
        );
        self.converse();
    }

    fn end(self) {
        let Self { scene, sipps, .. } = self;
        let [caller, callee] = sipps;
        caller.cue();
        caller.finish();
        callee.finish();
        scene.wait_until_over();
    }
}

/// The words for a caller with SRTP and a callee without, and the other way round.
const TO_PLAIN: &str = "RTP/AVP";
const TO_SECURE: &str = "RTP/SAVP DTLS=off SDES-only-AES_CM_128_HMAC_SHA1_80";

#[test]
fn a_secure_caller_of_a_plain_phone_keeps_its_key_and_then_changes_it() {
    let Some(mut talk) = Talk::begin(TO_PLAIN, [Some(CM_80), None]) else {
        return;
    };
    talk.goes_on(0);
    talk.rekeys(0, CM_80, 0);
    talk.goes_on(0);
    talk.end();
}

#[test]
fn a_secure_callee_of_a_plain_phone_keeps_its_key_and_then_changes_it() {
    let Some(mut talk) = Talk::begin(TO_SECURE, [None, Some(CM_80)]) else {
        return;
    };
    talk.goes_on(0);
    talk.rekeys(1, CM_80, 0);
    talk.goes_on(0);
    talk.end();
}

#[test]
fn two_suites_go_on_through_reinvites_of_either_side() {
    let Some(mut talk) = Talk::begin("DTLS=off", [Some(CM_80), Some(GCM)]) else {
        return;
    };
    talk.goes_on(0);
    talk.goes_on(1);
    talk.goes_on(0);
    talk.end();
}

#[test]
fn of_two_suites_the_caller_changes_its_key_and_then_the_callee() {
    let Some(mut talk) = Talk::begin("DTLS=off", [Some(CM_80), Some(GCM)]) else {
        return;
    };
    talk.rekeys(0, CM_80, 0);
    talk.rekeys(1, GCM, 0);
    talk.goes_on(0);
    talk.end();
}

#[test]
fn of_two_suites_the_callee_changes_its_key_in_a_reinvite_of_its_own() {
    let Some(mut talk) = Talk::begin("DTLS=off", [Some(CM_80), Some(GCM)]) else {
        return;
    };
    talk.rekeys(1, GCM, 1);
    talk.rekeys(0, CM_80, 1);
    talk.goes_on(1);
    talk.end();
}

#[test]
fn a_baresip_reinvites_with_the_key_it_had_and_is_heard_on() {
    // One suite on both sides: its own key goes on to the caller, and so is seen.
    let Some(scene) = Scene::with_script(2, Script::With("DTLS=off SDES-pad")) else {
        return;
    };
    let mut a = scene.phone(0, 440.0).secured(CM_80, 1);
    let mut bob = scene.secure_baresip(1, "bob", 1000, "srtp-mand");
    let caller = scene.caller_with("caller-told", &a.sdp());
    let answer = caller.wait("SIP/2.0 200", "INVITE").sdp();
    a.call(&answer);
    bob.wait_event("CALL_ESTABLISHED");
    wait_until_both_hear(&mut a, &mut bob, 1000.0);
    // What it sends with its answer may be here before its key is.
    let early = (scene.dropped_rtp(), scene.refused());
    let mut keys = vec![key(&answer)];
    for (nth, (command, direction)) in [("hold", "a=recvonly"), ("resume", "a=sendrecv")]
        .into_iter()
        .enumerate()
    {
        bob.command(command, "");
        let offer = caller.wait_nth(nth, "INVITE", "INVITE").sdp();
        keys.push(key(&offer));
        a.call(&offer);
        caller.tell(&a.sdp().with(direction));
        caller.wait_nth(nth, "ACK", "ACK");
    }
    wait_until_both_hear(&mut a, &mut bob, 1000.0);
    assert!(keys.iter().all(|other| *other == keys[0]), "{keys:?}");
    // Of its SRTCP it begins the index anew each time: under that key the relay has seen it before.
    let (dropped, [tags, others]) = (scene.dropped_rtp(), scene.refused());
    let (dropped_early, [_, others_early]) = early;
    assert_eq!((dropped, tags), (dropped_early, 0));
    assert!(
        (0..=2).contains(&(others - others_early)),
        "{early:?}, {others}"
    );
    bob.command("hangup", "");
    caller.finish();
    scene.wait_until_over();
}

/// The key that `sdp` tells for the suite.
fn key(sdp: &Sdp) -> String {
    let line = sdp.crypto(0).find(|line| line.suite == CM_80.name());
    line.map(|line| line.key.to_owned())
        .expect("the suite is told")
}
