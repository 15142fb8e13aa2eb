//! What the relay refuses, in the words that proxies match, and how it recovers.

use std::time::Duration;

use patchcord_tests::{NgCall, converse, until};
use serde_json::json;

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
