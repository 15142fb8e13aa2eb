//! Whose packets are believed: latching, strict and asymmetric peers, strangers.

use patchcord_tests::{Backend, Family, NgCall, Phone, Sdp, converse, receiver_report};
use serde_json::json;

use crate::field::Field;

on_each_path! {
    a_phone_behind_nat_is_found_by_its_packets,
    an_address_that_leads_nowhere_is_replaced_by_the_true_one,
    a_stranger_is_not_answered,
    a_strict_call_drops_strangers,
    an_asymmetric_phone_is_sent_to_where_it_said,
    media_handover_follows_the_phone,
}

fn a_phone_behind_nat_is_found_by_its_packets(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let mut told = a.address();
    told.set_port(4444);
    connect_as(&field, &mut a, &mut b, &Sdp::audio(told), &[]);
    be_found(&mut a, &b);
    converse(&mut a, &mut b);
}

fn an_address_that_leads_nowhere_is_replaced_by_the_true_one(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let private = Sdp::audio("192.168.7.7:4000".parse().expect("an endpoint"));
    connect_as(&field, &mut a, &mut b, &private, &[]);
    // What is sent there meanwhile is lost, and nothing else is.
    b.speak();
    be_found(&mut a, &b);
    converse(&mut a, &mut b);
}

fn a_stranger_is_not_answered(backend: Backend) {
    let Some(field) = Field::on(backend, 3, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    let mut stranger = stranger(&field, &a);
    for _ in 0..20 {
        stranger.speak();
    }
    converse_despite(&mut a, &mut b, &stranger);
}

fn a_strict_call_drops_strangers(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 3, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({"flags": ["strict-source"]}));
    converse(&mut a, &mut b);
    let mut stranger = stranger(&field, &a);
    let mut neighbour = field.phone(0, Family::V4, 4800, 2000.0);
    neighbour.peer = a.peer;
    for _ in 0..20 {
        stranger.speak();
        neighbour.speak();
    }
    assert!(b.is_left_alone(), "a stranger was heard");
    converse_despite(&mut a, &mut b, &stranger);
    let shown = field.relay.patchctl(&field.site, &["call", "call"]);
    let shown = shown.expect("patchctl finds the call");
    assert!(
        shown.contains("strangers dropped by strict-source: 40"),
        "{shown}"
    );
}

fn an_asymmetric_phone_is_sent_to_where_it_said(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut ear, mut b) = field.pair();
    let mut mouth = field.phone(0, Family::V4, 4800, 2000.0);
    field.connect("call", &mut ear, &mut b, json!({"flags": ["asymmetric"]}));
    mouth.peer = ear.peer;
    for _ in 0..12 {
        mouth.speak();
        b.speak();
    }
    assert!(b.hear(12).is_tone(2000.0), "what it says is relayed");
    assert!(
        ear.hear(12).is_tone(1000.0),
        "what it hears goes where it said"
    );
    assert!(mouth.is_left_alone());
}

fn media_handover_follows_the_phone(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({"flags": ["media-handover"]}));
    converse(&mut a, &mut b);
    let mut moved = field.phone(0, Family::V4, 4800, 2000.0);
    (moved.peer, moved.peer_rtcp) = (a.peer, a.peer_rtcp);
    be_found(&mut moved, &b);
    converse(&mut moved, &mut b);
}

/// Sets up a call in which `a` says of itself what `sdp` says.
fn connect_as(field: &Field, a: &mut Phone, b: &mut Phone, sdp: &Sdp, flags: &[&str]) {
    let call = NgCall::new("call");
    b.call(&call.offer(&field.ng, sdp, json!({"flags": flags})).sdp());
    a.call(&call.answer(&field.ng, &b.sdp(), json!({})).sdp());
}

/// Sends from both ports until both have been relayed, and so were seen.
fn be_found(one: &mut Phone, other: &Phone) {
    other.flush();
    one.speak();
    assert_eq!(
        other.hear(1).packets.len(),
        1,
        "its first packet is relayed"
    );
    let report = receiver_report(one.ssrc());
    one.send_rtcp(&report);
    assert!(
        other.receive_rtcp().is_some_and(|(_, got)| got == report),
        "and its first RTCP"
    );
}

/// Someone at a third host who sends to where `a` sends.
fn stranger(field: &Field, a: &Phone) -> Phone {
    let mut stranger = field.phone(2, Family::V4, 4000, 2000.0);
    stranger.peer = a.peer;
    stranger
}

/// The two talk as before, and the stranger has got nothing.
fn converse_despite(a: &mut Phone, b: &mut Phone, stranger: &Phone) {
    // What the stranger said may be relayed, but must have passed before silence can be heard.
    while !b.is_left_alone() {}
    converse(a, b);
    assert!(stranger.is_left_alone(), "the stranger was sent something");
}
