//! What happens in a dialogue: hold, re-INVITE, more calls beside it.

use patchcord_tests::{Backend, Family, Phone, converse, converse_all};
use serde_json::json;

use crate::field::{Field, is_yardstick};

on_each_path! {
    a_held_call_resumes,
    a_call_held_by_a_zero_address_resumes,
    a_phone_that_moves_to_another_port_is_followed,
    a_reinvite_from_the_callee_is_relayed_too,
    many_calls_at_once_do_not_mix,
}

fn a_held_call_resumes(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    let offer = call
        .reoffer(&field.ng, &a.sdp().with("a=sendonly"), json!({}))
        .sdp();
    assert!(offer.has("a=sendonly"), "{}", offer.text());
    let answer = call
        .answer(&field.ng, &b.sdp().with("a=recvonly"), json!({}))
        .sdp();
    assert!(answer.has("a=recvonly"), "{}", answer.text());
    assert_eq!(
        (Some(offer.rtp(0)), Some(answer.rtp(0))),
        (b.peer, a.peer),
        "ports stay"
    );
    (0..12).for_each(|_| a.speak());
    assert!(b.hear(12).is_tone(440.0), "music on hold");
    let offer = call.reoffer(&field.ng, &a.sdp(), json!({})).sdp();
    assert!(offer.has("a=sendrecv"), "{}", offer.text());
    let answer = call.answer(&field.ng, &b.sdp(), json!({})).sdp();
    assert_eq!(
        (Some(offer.rtp(0)), Some(answer.rtp(0))),
        (b.peer, a.peer),
        "ports stay"
    );
    converse(&mut a, &mut b);
}

fn a_call_held_by_a_zero_address_resumes(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    let own = format!("c=IN IP4 {}", a.address().ip());
    let held = a.sdp().replaced(&own, "c=IN IP4 0.0.0.0");
    let offer = call.reoffer(&field.ng, &held, json!({})).sdp();
    assert!(offer.has("c=IN IP4 0.0.0.0"), "{}", offer.text());
    call.answer(&field.ng, &b.sdp(), json!({})).sdp();
    a.flush();
    (0..12).for_each(|_| b.speak());
    // rtpengine goes on sending to where it has latched.
    assert!(
        a.is_left_alone() || is_yardstick(),
        "a phone that holds so gets nothing"
    );
    while !a.is_left_alone() {}
    let offer = call.reoffer(&field.ng, &a.sdp(), json!({})).sdp();
    let answer = call.answer(&field.ng, &b.sdp(), json!({})).sdp();
    b.call(&offer);
    a.call(&answer);
    converse(&mut a, &mut b);
}

fn a_phone_that_moves_to_another_port_is_followed(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    let mut moved = field.phone(0, Family::V4, 4800, 2000.0);
    b.call(&call.reoffer(&field.ng, &moved.sdp(), json!({})).sdp());
    moved.call(&call.answer(&field.ng, &b.sdp(), json!({})).sdp());
    converse(&mut moved, &mut b);
    assert!(a.is_left_alone(), "the port it left is left alone");
}

fn a_reinvite_from_the_callee_is_relayed_too(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({})).reversed();
    converse(&mut a, &mut b);
    let mut moved = field.phone(1, Family::V4, 4800, 2000.0);
    a.call(&call.reoffer(&field.ng, &moved.sdp(), json!({})).sdp());
    moved.call(&call.answer(&field.ng, &a.sdp(), json!({})).sdp());
    converse(&mut a, &mut moved);
}

fn many_calls_at_once_do_not_mix(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let mut phones: Vec<(Phone, Phone)> = (0..16u16)
        .map(|number| {
            let port = 4000 + 2 * number;
            let mut a = field.phone(0, Family::V4, port, 400.0 + 100.0 * f64::from(number));
            let mut b = field.phone(1, Family::V4, port, 450.0 + 100.0 * f64::from(number));
            field.connect(&format!("call-{number}"), &mut a, &mut b, json!({}));
            (a, b)
        })
        .collect();
    assert_eq!(field.calls(), 16);
    converse_all(&mut phones.iter_mut().map(|(a, b)| (a, b)).collect::<Vec<_>>());
}
