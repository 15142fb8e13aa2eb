//! ICE through the relay at several addresses of one interface (RFC 8445 §5.1.1.1).

use std::net::SocketAddr;
use std::time::Duration;

use patchcord_tests::{Backend, DtlsSide, Family, NgCall, Phone, Site, converse, until};
use serde_json::json;

use crate::dtls::browser;
use crate::field::Field;

on_each_backend! {
    a_browser_reaches_every_address_and_media_leaves_by_the_one_it_chose,
}

fn a_browser_reaches_every_address_and_media_leaves_by_the_one_it_chose(backend: Backend) {
    let second = Site::relay(Family::V4, 2);
    let option = format!("--interface=main/{second}");
    let Some(field) = Field::ours_on(backend, 2, &[&option]) else {
        return;
    };
    let side = DtlsSide {
        is_browser: true,
        ..DtlsSide::new("active")
    };
    let web = field.phone(0, Family::V4, 4000, 440.0);
    let mut web = web.shaking_hands(side).in_a_browser();
    let mut b = field.phone(1, Family::V4, 4000, 1000.0);
    let call = NgCall::new("several addresses");
    let words = json!({"transport-protocol": "RTP/AVP", "ICE": "remove", "rtcp-mux": ["demux"]});
    let offer = call.offer(&field.ng, &web.sdp(), words).sdp();
    assert_eq!(offer.candidates(0).count(), 0, "{}", offer.text());
    b.call(&offer);
    let answer = call.answer(&field.ng, &b.sdp(), json!({})).sdp();
    web.call(&answer);
    let places: Vec<SocketAddr> = answer.candidates(0).collect();
    let [first, six, other] = places[..] else {
        panic!("not three candidates in\n{}", answer.text())
    };
    assert_eq!(first, answer.rtp(0));
    assert!(six.is_ipv6(), "{six}");
    assert_eq!(other.ip(), second);

    // The handshake itself goes by an address that no line but the candidate names.
    assert!(web.moves_to(other), "a check to {other} is answered");
    web.shake_hands(|| true).expect("keys");
    meet(&mut web, &mut b);
    converse(&mut web, &mut b);
    // The same keys and streams go on at the other one.
    for place in [first, other, first] {
        assert!(web.moves_to(place), "a check to {place} is answered");
        meet(&mut web, &mut b);
        converse(&mut web, &mut b);
    }
}

/// Both speak until each has heard the other from where it speaks to; then what is under way is let go.
fn meet(web: &mut Phone, b: &mut Phone) {
    let mut heard = [false; 2];
    until("media on the new path", Duration::from_secs(10), || {
        web.speak();
        b.speak();
        if let Some((source, _)) = web.arrived() {
            heard[0] |= Some(source) == web.peer;
        }
        heard[1] |= b.arrived().is_some();
        heard == [true; 2]
    });
    while web.arrived_soon().is_some() || b.arrived_soon().is_some() {}
}

#[test]
fn two_ends_that_check_each_other_meet_through_the_relay_under_keys_of_their_own() {
    let Some(field) = Field::ours(2, &[]) else {
        return;
    };
    let port = |nth: u16| 4000 + 10 * nth;
    for (nth, word) in (0..).zip(["optional", "force-relay"]) {
        let mut a = field
            .phone(0, Family::V4, port(nth), 440.0)
            .shaking_hands(browser("actpass"))
            .in_a_browser();
        let mut b = field
            .phone(1, Family::V4, port(nth), 1000.0)
            .shaking_hands(browser("active"))
            .in_a_browser();
        let call = NgCall::new(word);
        let offer = call
            .offer(&field.ng, &a.sdp(), json!({"ICE": [word]}))
            .sdp();
        let answer = call
            .answer(&field.ng, &b.sdp(), json!({"ICE": [word]}))
            .sdp();
        b.call(&offer);
        a.call(&answer);
        b.is_called();
        // The path beside us is not to be had: of all candidates each tries the relay's.
        let places = [b.address(), a.address()];
        for (phone, told, theirs) in [(&mut a, &answer, places[0]), (&mut b, &offer, places[1])] {
            let places: Vec<_> = told.candidates(0).collect();
            let [beside, relay] = places[..] else {
                panic!("{word}: {}", told.text());
            };
            assert_eq!(beside, theirs);
            phone.peer = Some(relay);
            phone.peer_rtcp = Some(relay);
        }
        std::thread::scope(|scope| {
            let b = scope.spawn(|| b.shake_hands(|| true));
            a.shake_hands(|| true).expect("keys");
            b.join().expect("no panic").expect("keys");
        });
        meet(&mut a, &mut b);
    }
}
