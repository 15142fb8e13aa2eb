//! SRTP keyed by DTLS through the relay, without ICE: both roles, all kinds of peers, heard and not only
//! relayed (RFC 5763, RFC 5764).

use std::collections::HashSet;
use std::time::Duration;

use patchcord_dtls::record::records;
use patchcord_dtls::{KeyKind, Profile, Profiles};
use patchcord_tests::{Backend, DtlsSide, Family, NgCall, Phone, Way, converse, until};
use serde_json::{Value, json};

use crate::field::Field;

on_each_backend! {
    a_phone_with_dtls_and_a_plain_one_hear_each_other_whoever_calls,
    a_browser_and_a_plain_phone_hear_each_other_whoever_calls,
}

/// A phone with DTLS and a plain one.
fn pair(field: &Field, side: DtlsSide, port: u16) -> (Phone, Phone) {
    let a = field.phone(0, Family::V4, port, 440.0).shaking_hands(side);
    let b = field.phone(1, Family::V4, port, 1000.0);
    (a, b)
}

fn a_phone_with_dtls_and_a_plain_one_hear_each_other_whoever_calls(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 2, &[]) else {
        return;
    };
    for (setup, port) in [("actpass", 4000), ("active", 4010), ("passive", 4020)] {
        let (mut a, mut b) = pair(&field, DtlsSide::new(setup), port);
        let to_plain = json!({"transport-protocol": "RTP/AVP"});
        field.connect(setup, &mut a, &mut b, to_plain);
        a.shake_hands(|| true).expect("keys");
        meet(&mut a, &mut b);
    }
    for (setup, port) in [("active", 4030), ("passive", 4040)] {
        let (mut a, mut b) = pair(&field, DtlsSide::new(setup), port);
        let to_dtls = json!({"transport-protocol": "UDP/TLS/RTP/SAVP", "SDES": "off"});
        field.connect(&format!("to {setup}"), &mut b, &mut a, to_dtls);
        a.shake_hands(|| true).expect("keys");
        meet(&mut a, &mut b);
    }
}

#[test]
fn peers_that_only_openssl_can_serve_are_served() {
    let Some(field) = Field::ours(2, &[]) else {
        return;
    };
    let weak = Profiles::NONE.with(Profile::Aes128Sha1_32);
    let sides = [
        (KeyKind::Rsa2048, Profiles::ALL, "active"),
        (KeyKind::Rsa2048, Profiles::ALL, "passive"),
        (KeyKind::P256, weak, "active"),
        (KeyKind::P256, weak, "passive"),
    ];
    for ((key, profiles, setup), port) in sides.into_iter().zip((4000..).step_by(10)) {
        let side = DtlsSide {
            key,
            profiles,
            ..DtlsSide::new(setup)
        };
        let (mut a, mut b) = pair(&field, side, port);
        let to_plain = json!({"transport-protocol": "RTP/AVP"});
        field.connect(&format!("{port}"), &mut a, &mut b, to_plain);
        a.shake_hands(|| true).expect("keys");
        meet(&mut a, &mut b);
    }
}

/// Both have keys, the relay in a moment: as soon as each hears the other they converse.
pub(crate) fn meet(a: &mut Phone, b: &mut Phone) {
    let mut heard = [false; 2];
    until("media under keys", Duration::from_secs(10), || {
        a.speak();
        b.speak();
        for (heard, one) in heard.iter_mut().zip([&*a, &*b]) {
            *heard |= one.arrived().is_some();
        }
        heard == [true; 2]
    });
    // What is still under way is not to be heard twice.
    while a.arrived_soon().is_some() || b.arrived_soon().is_some() {}
    converse(a, b);
}

/// What a script asks for between a browser and a phone, in both directions.
fn words() -> (Value, Value) {
    let to_plain = json!({
        "transport-protocol": "RTP/AVP",
        "ICE": "remove",
        "rtcp-mux": ["demux"],
        "replace": ["origin"],
    });
    let to_web = json!({
        "transport-protocol": "UDP/TLS/RTP/SAVPF",
        "ICE": "force",
        "rtcp-mux": ["require"],
        "SDES": "off",
    });
    (to_plain, to_web)
}

/// A side as browsers are.
pub(crate) fn browser(setup: &'static str) -> DtlsSide {
    DtlsSide {
        is_browser: true,
        ..DtlsSide::new(setup)
    }
}

fn a_browser_and_a_plain_phone_hear_each_other_whoever_calls(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 2, &[]) else {
        return;
    };
    let (to_plain, to_web) = words();
    let (a, mut b) = pair(&field, browser("actpass"), 4000);
    let mut a = a.in_a_browser();
    let call = field.connect("web-to-phone", &mut a, &mut b, to_plain);
    let shown = || field.relay.patchctl(&field.site, &["call", &call.id]);
    let before = shown().expect("patchctl finds the call");
    assert!(before.contains("DTLS: client, waits for"), "{before}");
    a.shake_hands(|| true).expect("keys");
    meet(&mut a, &mut b);
    let after = shown().expect("patchctl finds the call");
    assert!(
        after.contains(": connected as client, AEAD_AES_256_GCM"),
        "{after}"
    );
    for (setup, port) in [("active", 4010), ("passive", 4020)] {
        let (a, mut b) = pair(&field, browser(setup), port);
        let mut a = a.in_a_browser();
        a.is_called();
        let call = NgCall::new(setup);
        a.call(&call.offer(&field.ng, &b.sdp(), to_web.clone()).sdp());
        let answer = json!({"ICE": "remove", "rtcp-mux": ["demux"]});
        b.call(&call.answer(&field.ng, &a.sdp(), answer).sdp());
        a.shake_hands(|| true).expect("keys");
        meet(&mut a, &mut b);
    }
}

/// Says which datagrams arrive: all but `percent` of them, drawn from `seed`.
fn loses(percent: u64, seed: u64) -> impl FnMut() -> bool {
    let mut state = seed;
    move || {
        // Knuth's constants; the high bits are the good ones.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 100 >= percent
    }
}

#[test]
fn lost_flights_are_repeated_by_either_side() {
    let Some(field) = Field::ours(2, &[]) else {
        return;
    };
    let (to_plain, _) = words();
    for (percent, port) in [(20, 4000), (40, 4010)] {
        for (setup, port) in [("active", port), ("passive", port + 100)] {
            let (mut a, mut b) = pair(&field, DtlsSide::new(setup), port);
            let id = format!("{setup} {percent}");
            field.connect(&id, &mut a, &mut b, to_plain.clone());
            a.shake_hands(loses(percent, u64::from(port)))
                .expect("keys");
            meet(&mut a, &mut b);
        }
    }
    let (a, mut b) = pair(&field, browser("actpass"), 4300);
    let mut a = a.in_a_browser();
    field.connect("browser", &mut a, &mut b, to_plain);
    a.shake_hands(loses(40, 9)).expect("keys");
    meet(&mut a, &mut b);
}

/// Loses all that has not been sent before: every flight once, either way, at each port.
fn loses_each_flight_once() -> impl FnMut(usize, Way, &[u8]) -> bool {
    let mut seen = HashSet::new();
    move |port, way, datagram| {
        // A repetition is another record with the same message in it.
        let what = records(datagram).next().map(|record| {
            let message = record.handshakes().next();
            let message = message.map(|message| (message.message, message.offset));
            (record.content(), record.epoch(), message)
        });
        !seen.insert((port, way, what))
    }
}

#[test]
fn every_flight_is_lost_once_and_repeated() {
    let Some(field) = Field::ours(2, &[]) else {
        return;
    };
    let (to_plain, _) = words();
    let sides = [
        DtlsSide::new("active"),
        DtlsSide::new("passive"),
        browser("active"),
        browser("passive"),
    ];
    for (side, port) in sides.into_iter().zip((4000..).step_by(10)) {
        let id = format!("{port}");
        let (a, mut b) = pair(&field, side.clone(), port);
        let mut a = if side.is_browser { a.in_a_browser() } else { a };
        field.connect(&id, &mut a, &mut b, to_plain.clone());
        let (mut keeps, mut lost) = (loses_each_flight_once(), [0; 2]);
        let made = a.shake_hands_over(|port, way, datagram| {
            let kept = keeps(port, way, datagram);
            lost[usize::from(way == Way::In)] += usize::from(!kept);
            kept
        });
        made.unwrap_or_else(|why| panic!("{side:?}: {why}, lost {lost:?}"));
        assert!(lost.iter().all(|lost| *lost >= 2), "{side:?}: {lost:?}");
        meet(&mut a, &mut b);
    }
}

#[test]
fn who_shows_another_certificate_than_announced_hears_nothing_and_is_not_heard() {
    let Some(mut field) = Field::ours(2, &[]) else {
        return;
    };
    for (setup, port) in [("active", 4000), ("passive", 4010)] {
        let side = DtlsSide {
            forges: true,
            ..DtlsSide::new(setup)
        };
        let (mut a, mut b) = pair(&field, side, port);
        field.connect(
            setup,
            &mut a,
            &mut b,
            json!({"transport-protocol": "RTP/AVP"}),
        );
        // The forger's library may end well; the relay says goodbye or nothing.
        let _ended = a.shake_hands(|| true);
        b.flush();
        for _ in 0..10 {
            b.speak();
            a.speak();
        }
        assert!(b.is_left_alone(), "{setup}: a forger is heard");
        assert!(a.is_left_alone(), "{setup}: a forger hears");
    }
    let logged = field.relay.logged();
    assert!(logged.contains("reason=\"fingerprint\""), "{logged}");
    let metrics = field.relay.metrics(&field.site);
    let failed = metrics.count("patchcord_dtls_total", &["outcome=\"fingerprint\""]);
    assert!(failed >= 2, "{failed}");
    assert!(field.relay.program().is_running());
}

#[test]
fn nobody_but_who_ice_admitted_begins_a_handshake() {
    let Some(field) = Field::ours(3, &[]) else {
        return;
    };
    let (to_plain, _) = words();
    let (a, mut b) = pair(&field, browser("active"), 4000);
    let mut a = a.in_a_browser();
    field.connect("raced", &mut a, &mut b, to_plain);
    // A stranger with the same announcement but without ICE: what it sends goes nowhere.
    let mut stranger = field
        .phone(2, Family::V4, 4000, 700.0)
        .shaking_hands(DtlsSide::new("active"))
        .muxed();
    let told = a.peer.expect("a was answered");
    stranger.peer = Some(told);
    let hello = [&[22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], &[1]].concat();
    for _ in 0..50 {
        stranger.send(&hello);
    }
    assert!(stranger.is_left_alone());
    a.shake_hands(|| true).expect("keys");
    meet(&mut a, &mut b);
    let metrics = field.relay.metrics(&field.site);
    let connected = metrics.count("patchcord_dtls_total", &["outcome=\"connected\""]);
    assert_eq!(connected, 1);
}

/// A caller's branches ring two phones with DTLS at one port of the relay: each answer's fingerprint has the word
/// as long as its phone has, and the last one's caller and phone converse.
#[test]
fn of_two_forked_answers_with_dtls_the_last_has_the_word() {
    let Some(field) = Field::ours(3, &[]) else {
        return;
    };
    let to_dtls = json!({"transport-protocol": "UDP/TLS/RTP/SAVP", "SDES": "off"});
    for (setup, port) in [("active", 4000), ("passive", 4010)] {
        let mut caller = field.phone(0, Family::V4, port, 440.0);
        let phone = |host: usize, hertz| {
            let phone = field.phone(host, Family::V4, port, hertz);
            phone.shaking_hands(DtlsSide::new(setup))
        };
        let (mut first, mut last) = (phone(1, 700.0), phone(2, 1000.0));
        let call = NgCall::new(setup);
        let branch = |tag: &str| NgCall {
            to: tag.to_owned(),
            ..call.clone()
        };
        let offer = call.offer(&field.ng, &caller.sdp(), to_dtls.clone()).sdp();
        let ringing = json!({"sip-message-type": "sip_reply", "sip-code": 183});
        let taken = json!({"sip-message-type": "sip_reply", "sip-code": 200});

        first.call(&offer);
        let early = branch("first").answer(&field.ng, &first.sdp(), ringing.clone());
        caller.call(&early.sdp());
        first.shake_hands(|| true).expect("keys of the first");
        meet(&mut first, &mut caller);

        last.call(&offer);
        for how in [ringing, taken] {
            let answer = branch("last").answer(&field.ng, &last.sdp(), how).sdp();
            assert_eq!(Some(answer.rtp(0)), caller.peer, "its port stays");
        }
        last.shake_hands(|| true).expect("keys of the last");
        meet(&mut last, &mut caller);
        // Its own keys are still good for the branch that lost, but not for the call.
        caller.flush();
        (0..5).for_each(|_| first.speak());
        assert!(caller.is_left_alone(), "{setup}: the first is heard on");
        first.flush();
        caller.speak();
        assert!(first.is_left_alone(), "{setup}: the first hears on");
        last.flush();
        call.delete(&field.ng);
    }
}
