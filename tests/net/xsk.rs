//! Packets past the kernel's stack, and what comes up to it all the same: nothing is lost between the two.

use std::time::Duration;

use patchcord_media::srtp::Suite;
use patchcord_tests::{Backend, Family, Metrics, Phone, Relay, converse, rtp, until};
use serde_json::json;

use crate::field::Field;

/// How long a link may take to be up again.
const LINKING: Duration = Duration::from_secs(15);

fn field(options: &[&str]) -> Option<Field> {
    if Backend::Xsk.is_refused() {
        return None;
    }
    Field::ours_on(Backend::Xsk, 2, options)
}

/// Packets received past the stack.
fn past(field: &Field) -> u64 {
    count(&field.relay.metrics(&field.site), "bypassed")
}

/// All packets received.
fn received(field: &Field) -> u64 {
    field
        .relay
        .metrics(&field.site)
        .count("patchcord_received_packets_total", &[])
}

fn count(metrics: &Metrics, what: &str) -> u64 {
    metrics.count(&format!("patchcord_worker_{what}_packets_total"), &[])
}

/// What one says, the other hears.
fn passes(from: &mut Phone, to: &Phone) {
    let said = from.utter();
    from.send(&said);
    let heard = to.receive().map(|(_, heard)| heard);
    assert_eq!(heard.as_deref(), Some(said.as_slice()));
}

/// Whether what one says is heard, after all that the links had kept of what was said before.
fn reaches(from: &mut Phone, to: &Phone) -> bool {
    let said = from.utter();
    from.send(&said);
    std::iter::from_fn(|| to.receive()).any(|(_, heard)| heard == said)
}

#[test]
fn media_and_its_control_go_past_the_stack_in_both_families() {
    let Some(field) = field(&[]) else { return };
    for (number, family) in (0..).zip([Family::V4, Family::V6]) {
        let port = 4000 + 10 * number;
        let mut a = field
            .phone(0, family, port, 440.0)
            .secured(Suite::AesCm128Sha1_80, 1);
        let mut b = field.phone(1, family, port, 1000.0);
        let offer = json!({"transport-protocol": "RTP/AVP"});
        field.connect(&format!("{family:?}"), &mut a, &mut b, offer);
        converse(&mut a, &mut b);
    }
    let (past, all) = (past(&field), received(&field));
    assert_eq!(past, all, "all that came in came past the stack");
    assert!(past > 40, "{past}");
}

#[test]
fn a_datagram_longer_than_the_links_take_arrives_whole() {
    let Some(field) = field(&[]) else { return };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    let before = past(&field);
    for (sequence, len) in (3000..).zip([1460, 1461, 1900, 1972]) {
        let long = rtp(sequence, 0, a.ssrc(), &vec![0x55; len - 12]);
        a.send(&long);
        let heard = b.receive().map(|(_, heard)| heard);
        assert_eq!(heard.as_deref(), Some(long.as_slice()), "{len} bytes");
    }
    assert_eq!(past(&field) - before, 2, "fragments come by the stack");
}

#[test]
fn a_worker_without_a_queue_hears_and_speaks_by_the_stack() {
    let Some(field) = field(&["--set=workers.count=2"]) else {
        return;
    };
    let mut pairs: Vec<_> = (0..4)
        .map(|number| {
            let mut a = field.phone(0, Family::V4, 4000 + 10 * number, 440.0);
            let mut b = field.phone(1, Family::V4, 4000 + 10 * number, 1000.0);
            field.connect(&format!("call-{number}"), &mut a, &mut b, json!({}));
            (a, b)
        })
        .collect();
    for (a, b) in &mut pairs {
        converse(a, b);
    }
    let (past, all) = (past(&field), received(&field));
    assert!(0 < past && past < all, "{past} of {all}");
    let log = field.relay.logged();
    assert!(log.contains("no receive queue is left"), "{log}");
}

#[test]
fn links_may_go_down_and_come_up_again() {
    let Some(field) = field(&[]) else { return };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    for link in ["h1", "h2"] {
        field.site.core.ip(&format!("link set {link} down"));
        (0..20).for_each(|_| a.speak());
        (0..20).for_each(|_| b.speak());
        field.site.core.ip(&format!("link set {link} up"));
        // Taken away with the link.
        let number = &link[1..];
        field.site.core.ip(&format!(
            "address replace fd00:0:0:{number}::1/64 dev {link} nodad"
        ));
        until("the links to be up", LINKING, || {
            field.site.core.links_are_up()
        });
        until("media to pass again", LINKING, || {
            reaches(&mut a, &b) && reaches(&mut b, &a)
        });
        let before = past(&field);
        converse(&mut a, &mut b);
        assert!(past(&field) > before + 20, "past the stack again");
    }
}

#[test]
fn nobody_is_told_that_a_media_port_is_unreachable() {
    let Some(field) = field(&[]) else { return };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    assert_eq!(call.delete(&field.ng).result(), "ok");
    (0..10).for_each(|_| a.speak());
    assert!(b.is_left_alone());
    for host in &field.site.hosts {
        let counters = host.netns.counters();
        assert!(!counters.contains("InDestUnreachs"), "{counters}");
    }
    let before = past(&field);
    let call = field.connect("again", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    assert!(past(&field) > before);
    assert_eq!(call.delete(&field.ng).result(), "ok");
}

#[test]
fn one_program_forwards_plain_calls_and_hands_over_the_others() {
    let Some(field) = field(&["--offload=native"]) else {
        return;
    };
    if field.site.lend_to_xdp().is_none() {
        return;
    }
    let (mut a, mut b) = field.pair();
    field.connect("plain", &mut a, &mut b, json!({}));
    until("the kernel to carry the call", LINKING, || {
        for _ in 0..12 {
            a.speak();
            b.speak();
        }
        std::thread::sleep(Duration::from_millis(100));
        a.flush();
        b.flush();
        let metrics = field.relay.metrics(&field.site);
        metrics.count("patchcord_worker_kernel_flows", &[]) == 2
    });
    let before = past(&field);
    for _ in 0..20 {
        passes(&mut a, &b);
        passes(&mut b, &a);
    }
    let by_worker = past(&field) - before;
    assert!(
        by_worker <= 2,
        "one number in 1024 is the worker's: {by_worker}"
    );
    let mut c = field
        .phone(0, Family::V4, 4100, 440.0)
        .secured(Suite::AeadAes128Gcm, 1);
    let mut d = field.phone(1, Family::V4, 4100, 1000.0);
    let offer = json!({"transport-protocol": "RTP/AVP"});
    field.connect("secure", &mut c, &mut d, offer);
    let before = past(&field);
    converse(&mut c, &mut d);
    assert!(past(&field) > before + 20);
}

#[test]
fn nothing_is_left_of_a_killed_relay() {
    let Some(mut field) = field(&[]) else { return };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    field.relay.kill();
    a.speak();
    assert!(b.is_left_alone());
    field.relay.restart(&field.site);
    field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    assert!(past(&field) > 0);
}

#[test]
fn a_second_relay_is_refused_and_an_operator_is_told_where_packets_come_in() {
    let Some(field) = field(&[]) else { return };
    let refusal = Relay::beside(&field.site, &["--set=workers.backend=xsk"]);
    assert!(
        refusal.contains("another relay forwards on this interface"),
        "{refusal}"
    );
    let Some(told) = field.relay.patchctl(&field.site, &["interfaces"]) else {
        return;
    };
    assert!(told.contains("offload on h1: native, "), "{told}");
    assert!(
        told.contains("xsk on h1: queue 0 to worker 0, copy"),
        "{told}"
    );
}
