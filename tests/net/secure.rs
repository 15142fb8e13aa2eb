//! SRTP keyed by SDES through the relay: every suite on either side, heard and not only relayed.

use patchcord_media::srtp::Suite;
use patchcord_tests::{Backend, Family, Phone, converse, converse_all, rtp};
use serde_json::{Value, json};

use crate::field::{Field, is_yardstick};

on_each_path! {
    every_suite_reaches_a_plain_phone_and_back,
    every_suite_is_spoken_to_by_a_plain_phone,
    suites_of_both_sides_may_differ,
    one_suite_on_both_sides_may_share_its_keys_or_not,
    keys_in_a_plain_profile_are_taken_up,
    secure_rtcp_may_share_the_port,
    a_reinvite_keeps_keys_or_changes_one,
    nothing_leaves_plain_before_the_answer,
    what_is_not_under_the_key_reaches_nobody,
}

/// Every suite with a port and a tone of its own. Debian's rtpengine opens only the first packet of a
/// stream under AEAD_AES_256_GCM and passes no RTCP under NULL, so it is asked for the others.
fn suites() -> impl Iterator<Item = (Suite, u16, f64)> {
    let fails = |suite: &Suite| {
        matches!(
            suite,
            Suite::AeadAes256Gcm | Suite::NullSha1_80 | Suite::NullSha1_32
        )
    };
    Suite::ALL
        .into_iter()
        .filter(move |suite| !is_yardstick() || !fails(suite))
        .zip(0_u16..)
        .map(|(suite, number)| {
            let hertz = 400.0 + 50.0 * f64::from(number);
            (suite, 4000 + 4 * number, hertz)
        })
}

/// Calls of one pair of phones a suite, all at once.
fn in_every_suite(backend: Backend, offer: &Value, secure: [bool; 2]) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let mut pairs: Vec<(Phone, Phone)> = Vec::new();
    for (suite, port, hertz) in suites() {
        let phone = |host: usize, hertz| {
            let phone = field.phone(host, Family::V4, port, hertz);
            if secure[host] {
                phone.secured(suite, host as u8 + 1)
            } else {
                phone
            }
        };
        let (mut a, mut b) = (phone(0, hertz), phone(1, hertz + 1000.0));
        field.connect(suite.name(), &mut a, &mut b, offer.clone());
        pairs.push((a, b));
    }
    converse_all(&mut pairs.iter_mut().map(|(a, b)| (a, b)).collect::<Vec<_>>());
}

fn every_suite_reaches_a_plain_phone_and_back(backend: Backend) {
    in_every_suite(
        backend,
        &json!({"transport-protocol": "RTP/AVP"}),
        [true, false],
    );
}

fn every_suite_is_spoken_to_by_a_plain_phone(backend: Backend) {
    let offer = json!({"transport-protocol": "RTP/SAVP", "DTLS": "off"});
    in_every_suite(backend, &offer, [false, true]);
}

fn one_suite_on_both_sides_may_share_its_keys_or_not(backend: Backend) {
    in_every_suite(backend, &json!({"DTLS": "off"}), [true, true]);
    in_every_suite(
        backend,
        &json!({"flags": ["recrypt"], "DTLS": "off"}),
        [true, true],
    );
    in_every_suite(
        backend,
        &json!({"passthrough": "on", "DTLS": "off"}),
        [true, true],
    );
}

fn suites_of_both_sides_may_differ(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let mut pairs: Vec<(Phone, Phone)> = Vec::new();
    for (suite, port, hertz) in suites() {
        let other = if suite == Suite::AesCm128Sha1_80 {
            Suite::AesCm256Sha1_80
        } else {
            Suite::AesCm128Sha1_80
        };
        let mut a = field.phone(0, Family::V4, port, hertz).secured(suite, 1);
        let mut b = field
            .phone(1, Family::V4, port, hertz + 1000.0)
            .secured(other, 2);
        field.connect(suite.name(), &mut a, &mut b, json!({"DTLS": "off"}));
        pairs.push((a, b));
    }
    converse_all(&mut pairs.iter_mut().map(|(a, b)| (a, b)).collect::<Vec<_>>());
}

fn keys_in_a_plain_profile_are_taken_up(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 2, &[]) else {
        return;
    };
    let secured = |host, seed| {
        let phone = field.phone(host, Family::V4, 4000, 440.0 * f64::from(seed));
        phone
            .secured(Suite::AesCm128Sha1_80, seed)
            .in_profile("RTP/AVP")
    };
    let mut b = field.phone(1, Family::V4, 4002, 1000.0);
    let mut a = secured(0, 1);
    field.connect("accepted", &mut a, &mut b, json!({"OSRTP": ["accept"]}));
    converse(&mut a, &mut b);
    let mut a = field.phone(0, Family::V4, 4002, 600.0);
    let mut b = secured(1, 2);
    field.connect("offered", &mut a, &mut b, json!({"OSRTP": ["offer"]}));
    converse(&mut a, &mut b);
}

fn secure_rtcp_may_share_the_port(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    for (suite, port) in [(Suite::AeadAes256Gcm, 4000), (Suite::AesCm128Sha1_32, 4010)] {
        let mut a = field
            .phone(0, Family::V4, port, 440.0)
            .secured(suite, 1)
            .muxed();
        let mut b = field.phone(1, Family::V4, port, 1000.0);
        let offer = json!({"transport-protocol": "RTP/AVP", "rtcp-mux": ["demux"]});
        field.connect(suite.name(), &mut a, &mut b, offer);
        converse(&mut a, &mut b);
    }
}

fn a_reinvite_keeps_keys_or_changes_one(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (a, b) = field.pair();
    let (mut a, mut b) = (
        a.secured(Suite::AesCm128Sha1_80, 1),
        b.secured(Suite::AeadAes128Gcm, 2),
    );
    let offer = json!({"DTLS": "off"});
    let call = field.connect("call", &mut a, &mut b, offer.clone());
    converse(&mut a, &mut b);
    let line = |sdp: &patchcord_tests::Sdp, suite: &str| {
        let line = sdp.crypto(0).find(|line| line.suite == suite);
        line.map(|line| line.key.to_owned())
            .expect("the suite in force is told again")
    };
    let mut told = Vec::new();
    for rekeyed in [false, true] {
        if rekeyed {
            a.rekey(Suite::AesCm128Sha1_80, 9);
        }
        let onward = call.reoffer(&field.ng, &a.sdp(), offer.clone()).sdp();
        b.call(&onward);
        let back = call.answer(&field.ng, &b.sdp(), json!({})).sdp();
        a.call(&back);
        converse(&mut a, &mut b);
        told.push([
            line(&onward, "AEAD_AES_128_GCM"),
            line(&back, "AES_CM_128_HMAC_SHA1_80"),
        ]);
    }
    assert_eq!(
        told[0], told[1],
        "our own keys stay whatever the other side does with its"
    );
}

fn nothing_leaves_plain_before_the_answer(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 2, &[]) else {
        return;
    };
    let (a, mut b) = field.pair();
    let mut a = a.secured(Suite::AesCm128Sha1_80, 1);
    let call = patchcord_tests::NgCall::new("early");
    let offer = json!({"transport-protocol": "RTP/AVP"});
    let onward = call.offer(&field.ng, &a.sdp(), offer).sdp();
    b.call(&onward);
    // What the callee says meanwhile has nowhere to go: the caller has no key for it yet.
    (0..3).for_each(|_| b.speak());
    assert!(
        a.is_left_alone(),
        "nothing leaves without the key that was agreed"
    );
    let back = call.answer(&field.ng, &b.sdp(), json!({})).sdp();
    a.call(&back);
    converse(&mut a, &mut b);
}

fn what_is_not_under_the_key_reaches_nobody(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (a, mut b) = field.pair();
    let mut a = a.secured(Suite::AesCm128Sha1_80, 1);
    let call = field.connect(
        "call",
        &mut a,
        &mut b,
        json!({"transport-protocol": "RTP/AVP"}),
    );
    converse(&mut a, &mut b);
    b.flush();
    a.send(&rtp(2000, 0, a.ssrc(), &[0x55; 160]));
    let mut forged = rtp(2001, 0, a.ssrc(), &[0x55; 160]);
    forged.extend([7; 10]);
    a.send(&forged);
    assert!(b.is_left_alone(), "plain and forged packets end here");
    converse(&mut a, &mut b);
    if !is_yardstick() {
        let reply = call.query(&field.ng);
        let stream = &reply["tags"][&call.from]["medias"][0]["streams"][0];
        assert_eq!(
            stream["crypto suite"], "AES_CM_128_HMAC_SHA1_80",
            "{stream}"
        );
        assert_eq!(stream["stats"]["errors"], 2, "{stream}");
    }
}

#[test]
fn no_key_is_logged_or_told_to_an_operator() {
    let Some(field) = Field::ours(2, &[]) else {
        return;
    };
    let level = field
        .ng
        .request(&json!({"command": "cli", "body": "set loglevel 7"}));
    assert_eq!(level.result(), "ok", "{}", level.0);
    let (a, b) = field.pair();
    let mut a = a.secured(Suite::AesCm128Sha1_80, 1);
    let mut b = b.secured(Suite::AeadAes256Gcm, 2);
    let call = patchcord_tests::NgCall::new("call");
    let recrypt = json!({"flags": ["recrypt"]});
    let broken = "a=crypto:7 AES_CM_128_HMAC_SHA1_32 inline:c2VjcmV0LWJ1dC10b28tc2hvcnQ";
    let offer = a.sdp().with(broken);
    let onward = call.offer(&field.ng, &offer, recrypt).sdp();
    b.call(&onward);
    let back = call.answer(&field.ng, &b.sdp(), json!({})).sdp();
    a.call(&back);
    converse(&mut a, &mut b);
    a.send(&rtp(2000, 0, a.ssrc(), &[0x55; 160]));
    let shown = [
        call.query(&field.ng).0.to_string(),
        field
            .relay
            .patchctl(&field.site, &["call", &call.id])
            .expect("it is there"),
        field
            .relay
            .patchctl(&field.site, &["--json", "call", &call.id])
            .expect("it is there"),
        call.delete(&field.ng).0.to_string(),
        field.relay.logged(),
    ];
    assert!(
        shown[1].contains("SRTP: AEAD_AES_256_GCM from them"),
        "{}",
        shown[1]
    );
    assert!(shown[4].contains("signalled"), "the log is there");
    let bodies = [offer, onward, b.sdp(), back];
    let keys: Vec<&str> = bodies
        .iter()
        .flat_map(|sdp| sdp.crypto(0))
        .map(|line| line.key)
        .collect();
    assert!(keys.len() >= 16, "{keys:?}");
    for (text, key) in shown
        .iter()
        .flat_map(|text| keys.iter().map(move |key| (text, key)))
    {
        assert!(!text.contains(&key[..12]), "{key} in\n{text}");
    }
}
