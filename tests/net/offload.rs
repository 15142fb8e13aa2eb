//! Calls that the kernel carries: the same packets, the same counts, and back to the worker in time.

use std::time::Duration;

use patchcord_tests::{Backend, Family, Metrics, Phone, Relay, converse, until};
use serde_json::json;

use crate::field::Field;

/// How long a settled flow may take to be given to the kernel.
const LOWERING: Duration = Duration::from_secs(10);

on_each_hook! {
    the_kernel_carries_a_call_in_and_between_both_families,
    what_the_kernel_counted_is_what_is_told,
    declining_half_of_the_packets_changes_none,
    a_changed_call_goes_where_it_should_at_once,
    strangers_are_dropped_and_counted_as_the_worker_does,
    nothing_is_left_of_a_killed_relay,
}

/// A relay whose kernel program carries what it can as soon as it can.
fn field(backend: Backend, options: &[&str]) -> Option<Field> {
    Field::ours_on(backend, 3, &[&["--num-threads=1"], options].concat())
}

/// The same with the usual patience, and with a hook of this name.
fn patient_field(hook: &str) -> Option<Field> {
    let options = [&format!("--offload={hook}"), "--num-threads=1"];
    let field = Field::of_its_own(3, &options)?;
    field.site.lend_to_xdp()?;
    Some(field)
}

pub(crate) fn lowered(metrics: &Metrics) -> u64 {
    metrics.count("patchcord_worker_kernel_flows", &[])
}

/// Speaks until the kernel carries `flows`; nothing is overtaken as it takes them.
fn until_lowered(field: &Field, a: &mut Phone, b: &mut Phone, flows: u64) {
    until("the kernel to carry the call", LOWERING, || {
        converse(a, b);
        lowered(&field.relay.metrics(&field.site)) == flows
    });
}

/// Packets that went through the worker's own hands.
pub(crate) fn by_hand(field: &Field) -> u64 {
    field
        .relay
        .metrics(&field.site)
        .count("patchcord_worker_sent_packets_total", &[])
}

fn the_kernel_carries_a_call_in_and_between_both_families(backend: Backend) {
    let Some(field) = field(backend, &[]) else {
        return;
    };
    let families = [Family::V4, Family::V6];
    let pairs = families.map(|near| families.map(|far| (near, far)));
    for (number, (near, far)) in (0..).zip(pairs.into_iter().flatten()) {
        let port = 4000 + 10 * number;
        let mut a = field.phone(0, near, port, 440.0);
        let mut b = field.phone(1, far, port, 1000.0);
        let more = json!({"address-family": far.sdp()});
        let call = field.connect(&format!("{near:?}-{far:?}"), &mut a, &mut b, more);
        until_lowered(&field, &mut a, &mut b, 2);
        let before = by_hand(&field);
        for _ in 0..4 {
            converse(&mut a, &mut b);
        }
        let went = by_hand(&field) - before;
        assert_eq!(went, 8, "of all packets RTCP goes through the worker");
        assert_eq!(call.delete(&field.ng).result(), "ok");
        until("the entries to go", LOWERING, || {
            lowered(&field.relay.metrics(&field.site)) == 0
        });
        a.speak();
        assert!(b.is_left_alone());
    }
}

fn what_the_kernel_counted_is_what_is_told(backend: Backend) {
    let Some(field) = field(backend, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    let mut rounds = 0;
    until("the kernel to carry the call", LOWERING, || {
        converse(&mut a, &mut b);
        rounds += 1;
        lowered(&field.relay.metrics(&field.site)) == 2
    });
    for _ in 0..8 {
        converse(&mut a, &mut b);
        rounds += 1;
    }
    until("the counts to be taken in", LOWERING, || {
        call.query(&field.ng)["totals"]["RTP"]["packets"] == rounds * 24
    });
    let reply = call.query(&field.ng);
    let totals = &reply["totals"];
    assert_eq!(totals["RTP"]["bytes"], rounds * 24 * 172, "{totals}");
    for (tag, phone) in [(&call.from, &a), (&call.to, &b)] {
        let rtp = &reply["tags"][tag]["medias"][0]["streams"][0];
        assert_eq!(rtp["stats"]["packets"], rounds * 12, "{rtp}");
        assert_eq!(rtp["stats_out"]["packets"], rounds * 12, "{rtp}");
        let stream = &reply["SSRC"][phone.ssrc().to_string()];
        assert_eq!(stream["packets"], rounds * 12, "{stream}");
        assert_eq!(stream["cumulative loss"], 0, "{stream}");
    }
    let metrics = field.relay.metrics(&field.site);
    let forwarded = metrics.count(
        "patchcord_packets_total",
        &["verdict=\"forward\"", "proto=\"rtp\""],
    );
    assert_eq!(forwarded, rounds * 24);
}

fn declining_half_of_the_packets_changes_none(backend: Backend) {
    let Some(field) = field(backend, &["--set=offload.decline=0.5"]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    until("the kernel to carry the call", LOWERING, || {
        passes(&mut a, &b);
        passes(&mut b, &a);
        lowered(&field.relay.metrics(&field.site)) == 2
    });
    // One at a time: the two ways through the machine are not equally long.
    for _ in 0..200 {
        passes(&mut a, &b);
        passes(&mut b, &a);
    }
    let reply = call.query(&field.ng);
    for phone in [&a, &b] {
        let stream = &reply["SSRC"][phone.ssrc().to_string()];
        assert_eq!(stream["cumulative loss"], 0, "{stream}");
        assert_eq!(stream["duplicates"], 0, "{stream}");
    }
}

/// What one says, the other hears.
pub(crate) fn passes(from: &mut Phone, to: &Phone) {
    let said = from.utter();
    from.send(&said);
    let heard = to.receive().map(|(_, heard)| heard);
    assert_eq!(heard.as_deref(), Some(said.as_slice()));
}

fn a_changed_call_goes_where_it_should_at_once(backend: Backend) {
    let Some(field) = field(backend, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    until_lowered(&field, &mut a, &mut b, 2);
    // The caller moves to another host: what the callee says must not reach the old one any more.
    let mut moved = field.phone(2, Family::V4, 4000, 1500.0);
    let offer = call.reoffer(&field.ng, &moved.sdp(), json!({}));
    b.call(&offer.sdp());
    moved.call(&call.answer(&field.ng, &b.sdp(), json!({})).sdp());
    a.flush();
    b.speak();
    assert!(a.is_left_alone());
    until_lowered(&field, &mut moved, &mut b, 2);
    converse(&mut moved, &mut b);
    assert!(a.is_left_alone());
    assert_eq!(call.delete(&field.ng).result(), "ok");
    moved.speak();
    assert!(b.is_left_alone());
}

fn strangers_are_dropped_and_counted_as_the_worker_does(backend: Backend) {
    let Some(field) = field(backend, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({"flags": ["strict-source"]}));
    until_lowered(&field, &mut a, &mut b, 2);
    let mut stranger = field.phone(2, Family::V4, 4000, 2000.0);
    stranger.peer = a.peer;
    for _ in 0..5 {
        stranger.speak();
    }
    assert!(b.is_left_alone());
    until("the strangers to be counted", LOWERING, || {
        field
            .relay
            .metrics(&field.site)
            .count("patchcord_packets_total", &["reason=\"wrong_source\""])
            >= 5
    });
    converse(&mut a, &mut b);
}

fn nothing_is_left_of_a_killed_relay(backend: Backend) {
    let Some(mut field) = field(backend, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({}));
    until_lowered(&field, &mut a, &mut b, 2);
    field.relay.kill();
    a.speak();
    assert!(b.is_left_alone());
    field.relay.restart(&field.site);
    a.speak();
    assert!(b.is_left_alone());
    field.connect("call", &mut a, &mut b, json!({}));
    until_lowered(&field, &mut a, &mut b, 2);
}

#[test]
fn what_is_set_for_route_lookups_is_set_back() {
    let Some(mut field) = patient_field("tc") else {
        return;
    };
    let core = &field.site.core;
    let settings = || {
        core.run(|| {
            ["ipv4", "ipv6"].map(|family| {
                let path = format!("/proc/sys/net/{family}/conf/lo/forwarding");
                std::fs::read_to_string(path).expect("it is there").trim() == "1"
            })
        })
    };
    assert_eq!(settings(), [true, true]);
    assert!(field.relay.program().terminate().success());
    assert_eq!(settings(), [false, false]);
}

#[test]
fn calls_end_in_any_order() {
    let Some(field) = patient_field("tc") else {
        return;
    };
    let mut calls: Vec<_> = (0..6)
        .map(|number| {
            let mut a = field.phone(0, Family::V4, 4000 + 10 * number, 440.0);
            let mut b = field.phone(1, Family::V4, 4000 + 10 * number, 1000.0);
            let call = field.connect(&format!("call-{number}"), &mut a, &mut b, json!({}));
            until_lowered(&field, &mut a, &mut b, 2 * (u64::from(number) + 1));
            (call, a, b)
        })
        .collect();
    let mut went = 0;
    for place in [1, 4, 0, 2, 1, 0] {
        let (call, mut gone, _) = calls.remove(place);
        assert_eq!(call.delete(&field.ng).result(), "ok");
        let flows = lowered(&field.relay.metrics(&field.site));
        assert_eq!(flows, 2 * calls.len() as u64);
        gone.speak();
        let before = by_hand(&field);
        for (_, a, b) in &mut calls {
            passes(a, b);
            passes(b, a);
        }
        went += by_hand(&field) - before;
    }
    assert_eq!(went, 0, "packets through the worker");
}

#[test]
fn a_second_relay_is_refused_the_interface() {
    let Some(field) = patient_field("tc") else {
        return;
    };
    let refusal = Relay::beside(&field.site, &["--offload=tc"]);
    assert!(
        refusal.contains("another relay forwards on this interface"),
        "{refusal}"
    );
}

#[test]
fn auto_knows_why_it_chose() {
    let Some(field) = patient_field("auto") else {
        return;
    };
    let Some(told) = field.relay.patchctl(&field.site, &["interfaces"]) else {
        return;
    };
    assert!(told.contains("offload on h1: tc, "), "{told}");
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({}));
    until_lowered(&field, &mut a, &mut b, 2);
    let call = field.relay.patchctl(&field.site, &["call", "call"]);
    let call = call.expect("patchctl is there");
    assert!(call.contains("kernel"), "{call}");
    assert!(
        call.contains("worker: RTCP is read by the worker"),
        "{call}"
    );
}
