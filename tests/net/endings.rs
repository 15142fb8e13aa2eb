//! How calls end: by delete, with and without delay, by timeout, with the relay itself.

use std::time::Duration;

use nix::sys::signal::Signal;
use patchcord_tests::{Backend, converse, until};
use serde_json::json;

use crate::field::Field;

/// How long an end may take to come, beyond the seconds asked for.
const ENDING: Duration = Duration::from_secs(15);

on_each_path! {
    delete_stops_the_relay,
    a_delayed_delete_lets_the_call_go_on_for_so_long,
    a_killed_relay_starts_again_on_the_same_ports,
    a_relay_asked_to_end_does_so_with_success,
}

fn delete_stops_the_relay(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    let reply = call.delete(&field.ng);
    assert_eq!(reply.result(), "ok");
    assert_eq!(field.calls(), 0);
    a.speak();
    b.speak();
    assert!(a.is_left_alone() && b.is_left_alone());
    assert_eq!(
        call.delete(&field.ng).result(),
        "ok",
        "a second delete is only warned of"
    );
}

fn a_delayed_delete_lets_the_call_go_on_for_so_long(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    assert_eq!(call.delete_after(&field.ng, 2).result(), "ok");
    converse(&mut a, &mut b);
    until("the delay to run out", ENDING, || field.calls() == 0);
    a.speak();
    assert!(b.is_left_alone());
}

fn a_killed_relay_starts_again_on_the_same_ports(backend: Backend) {
    let Some(mut field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    field.relay.kill();
    a.speak();
    assert!(b.is_left_alone());
    field.relay.restart(&field.site);
    assert_eq!(
        call.delete(&field.ng).result(),
        "ok",
        "of a call unknown by now"
    );
    field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
}

fn a_relay_asked_to_end_does_so_with_success(backend: Backend) {
    let Some(mut field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    assert!(field.relay.program().terminate().success());
    field.relay.restart(&field.site);
    field.relay.program().signal(Signal::SIGINT);
    assert!(field.relay.program().wait(ENDING).success());
}

#[test]
fn a_silent_call_times_out_and_a_talking_one_does_not() {
    let Some(field) = Field::new(2, &["--timeout=2"]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let mut c = field.phone(0, patchcord_tests::Family::V4, 4100, 700.0);
    let mut d = field.phone(1, patchcord_tests::Family::V4, 4100, 900.0);
    field.connect("silent", &mut a, &mut b, json!({}));
    field.connect("talking", &mut c, &mut d, json!({}));
    converse(&mut a, &mut b);
    until(
        "the silent call to time out",
        ENDING + Duration::from_secs(2),
        || {
            c.speak();
            field.calls() == 1
        },
    );
    let list = field.ng.request(&json!({"command": "list"}));
    assert_eq!(list["calls"], json!(["talking"]));
    while !d.is_left_alone() {}
    converse(&mut c, &mut d);
}

#[test]
fn an_unanswered_offer_times_out() {
    let Some(field) = Field::ours(2, &["--offer-timeout=2"]) else {
        return;
    };
    let (a, _) = field.pair();
    let call = patchcord_tests::NgCall::new("ringing");
    call.offer(&field.ng, &a.sdp(), json!({})).sdp();
    assert_eq!(field.calls(), 1);
    until(
        "the offer to time out",
        ENDING + Duration::from_secs(2),
        || field.calls() == 0,
    );
}
