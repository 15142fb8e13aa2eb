//! What the relay refuses, in the words that proxies match, and how it recovers.

use std::time::Duration;

use patchcord_tests::{NgCall, converse, http, until};
use serde_json::{Value, json};

use crate::field::Field;

#[test]
fn running_out_of_ports_is_said_and_got_over() {
    // Room for two calls of two sides of two ports.
    let options = ["--port-min=30000", "--port-max=30007"];
    let Some(field) = Field::new(2, &options) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let first = NgCall::new("first");
    first.offer(&field.ng, &a.sdp(), json!({})).sdp();
    NgCall::new("second")
        .offer(&field.ng, &a.sdp(), json!({}))
        .sdp();
    let third = NgCall::new("third");
    let refusal = third.offer(&field.ng, &a.sdp(), json!({}));
    assert_eq!(refusal.result(), "error");
    assert_eq!(refusal["error-reason"], "Ran out of ports");
    assert_eq!(field.calls(), 2, "the refused call is gone");
    first.delete(&field.ng);
    until("the ports to have rested", Duration::from_secs(5), || {
        third.offer(&field.ng, &a.sdp(), json!({})).result() == "ok"
    });
    b.call(&third.offer(&field.ng, &a.sdp(), json!({})).sdp());
    a.call(&third.answer(&field.ng, &b.sdp(), json!({})).sdp());
    converse(&mut a, &mut b);
}

#[test]
fn a_call_too_many_is_refused_as_load_limit() {
    let Some(field) = Field::new(2, &["--max-sessions=1"]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    let other = NgCall::new("other");
    let refusal = other.offer(&field.ng, &a.sdp(), json!({}));
    assert_eq!(refusal.result(), "load limit");
    assert_eq!(refusal["message"], "Parallel session limit reached");
    let refusal = other.offer(&field.ng, &a.sdp(), json!({"supports": []}));
    assert_eq!(
        refusal.result(),
        "error",
        "to one that does not know better"
    );
    assert_eq!(refusal["error-reason"], "Parallel session limit reached");
    // What is under way goes on, re-INVITEs included.
    b.call(&call.reoffer(&field.ng, &a.sdp(), json!({})).sdp());
    a.call(&call.answer(&field.ng, &b.sdp(), json!({})).sdp());
    converse(&mut a, &mut b);
    call.delete(&field.ng);
    assert_eq!(other.offer(&field.ng, &a.sdp(), json!({})).result(), "ok");
}

#[test]
fn a_busy_relay_takes_no_new_calls_and_says_why() {
    let Some(field) = Field::ours(2, &["--max-bandwidth=2000"]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    assert_eq!(status(&field)["refusing"], Value::Null);
    until("the media to be noticed", Duration::from_secs(10), || {
        (0..50).for_each(|_| a.speak());
        status(&field)["refusing"] == "Bandwidth limit exceeded"
    });
    let other = NgCall::new("other");
    let refusal = other.offer(&field.ng, &a.sdp(), json!({}));
    assert_eq!(refusal.result(), "load limit");
    assert_eq!(refusal["message"], "Bandwidth limit exceeded");
    let refusal = other.offer(&field.ng, &a.sdp(), json!({"supports": []}));
    assert_eq!(refusal["error-reason"], "Parallel session limit reached");
    call.reoffer(&field.ng, &a.sdp(), json!({})).sdp();
    until("the lull to be noticed", Duration::from_secs(5), || {
        other.offer(&field.ng, &a.sdp(), json!({})).result() == "ok"
    });
}

#[test]
fn the_status_tells_drops_by_reason_and_what_a_drain_ends_in() {
    let Some(field) = Field::ours(2, &["--set=process.exit-when-drained=true"]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({}));
    assert_eq!(status(&field)["drops"], json!({}));
    a.send(&[0x80; 5]);
    until("the drop to be counted", Duration::from_secs(5), || {
        status(&field)["drops"] == json!({"short": 1})
    });
    assert_eq!(status(&field)["exit-when-drained"], true);
}

/// What `patchctl status --json` shows.
fn status(field: &Field) -> Value {
    let head = "GET /cli/json+status HTTP/1.1";
    let (_, body) = http(&field.site.core, field.relay.http, head, b"").expect("a response");
    serde_json::from_slice(&body).expect("JSON")
}
