//! Several media sections, other kinds of them, and RTCP where the peer wants it.

use patchcord_tests::{Backend, Family, NgCall, Phone, Sdp, converse, converse_all};
use serde_json::json;

use crate::field::Field;

on_each_path! {
    each_section_of_a_call_is_relayed,
    a_refused_section_leaves_the_other_alone,
    a_section_added_later_is_relayed,
    fax_over_udptl_passes_untouched,
    rtcp_goes_where_the_peer_wants_it,
    a_call_goes_from_one_interface_to_another,
}

fn each_section_of_a_call_is_relayed(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let (mut c, mut d) = second_pair(&field);
    let call = NgCall::new("call");
    let offer = call.offer(&field.ng, &both(&a, &c), json!({})).sdp();
    let answer = call.answer(&field.ng, &both(&b, &d), json!({})).sdp();
    for (sdp, first, second) in [(offer, &mut b, &mut d), (answer, &mut a, &mut c)] {
        first.call_section(&sdp, 0);
        second.call_section(&sdp, 1);
    }
    converse_all(&mut [(&mut a, &mut b), (&mut c, &mut d)]);
}

fn a_refused_section_leaves_the_other_alone(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let (c, _) = second_pair(&field);
    let call = NgCall::new("call");
    b.call(&call.offer(&field.ng, &both(&a, &c), json!({})).sdp());
    let refusing = b.sdp().with("m=audio 0 RTP/AVP 0");
    let answer = call.answer(&field.ng, &refusing, json!({})).sdp();
    assert!(answer.has("m=audio 0 RTP/AVP 0"), "{}", answer.text());
    a.call(&answer);
    converse(&mut a, &mut b);
}

fn a_section_added_later_is_relayed(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let (mut c, mut d) = second_pair(&field);
    let call = field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    let offer = call.reoffer(&field.ng, &both(&a, &c), json!({})).sdp();
    let answer = call.answer(&field.ng, &both(&b, &d), json!({})).sdp();
    assert_eq!(
        (Some(offer.rtp(0)), Some(answer.rtp(0))),
        (b.peer, a.peer),
        "the first stays"
    );
    d.call_section(&offer, 1);
    c.call_section(&answer, 1);
    converse_all(&mut [(&mut a, &mut b), (&mut c, &mut d)]);
}

fn fax_over_udptl_passes_untouched(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let fax = |phone: &Phone| {
        phone
            .sdp()
            .replaced("m=audio 4000 RTP/AVP 0", "m=image 4000 udptl t38")
            .replaced("a=rtpmap:0 PCMU/8000", "a=T38FaxVersion:0")
    };
    let call = NgCall::new("call");
    let offer = call.offer(&field.ng, &fax(&a), json!({})).sdp();
    assert!(offer.has("a=T38FaxVersion:0"), "{}", offer.text());
    b.call(&offer);
    a.call(&call.answer(&field.ng, &fax(&b), json!({})).sdp());
    let packets: [&[u8]; 3] = [
        b"\x00\x00\x06\x00",
        b"\x00\x01\x01\x02\xff\x7f",
        b"\x16\x03",
    ];
    for packet in packets {
        a.send(packet);
        assert_eq!(b.receive().map(|(_, got)| got).as_deref(), Some(packet));
        b.send(packet);
        assert_eq!(a.receive().map(|(_, got)| got).as_deref(), Some(packet));
    }
}

fn rtcp_goes_where_the_peer_wants_it(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let ear = field.phone(0, Family::V4, 4800, 2000.0);
    let call = NgCall::new("call");
    let wish = a.sdp().with("a=rtcp:4800");
    b.call(&call.offer(&field.ng, &wish, json!({})).sdp());
    a.call(&call.answer(&field.ng, &b.sdp(), json!({})).sdp());
    let report = patchcord_tests::sender_report(b.ssrc(), 7);
    b.send_rtcp(&report);
    let (source, got) = ear.receive().expect("RTCP at the port that was asked for");
    assert_eq!((Some(source), got), (a.peer_rtcp, report));
    a.speak();
    assert_eq!(b.hear(1).packets.len(), 1, "and RTP as ever");
}

fn a_call_goes_from_one_interface_to_another(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = NgCall::new("call");
    let direction = json!({"direction": ["side", "main"]});
    let offer = call.offer(&field.ng, &a.sdp(), direction).sdp();
    let answer = call.answer(&field.ng, &b.sdp(), json!({})).sdp();
    let of = |number| patchcord_tests::Site::relay(Family::V4, number);
    assert_eq!((answer.rtp(0).ip(), offer.rtp(0).ip()), (of(1), of(0)));
    b.call(&offer);
    a.call(&answer);
    converse(&mut a, &mut b);
}

/// Two more phones, for a second section.
fn second_pair(field: &Field) -> (Phone, Phone) {
    let c = field.phone(0, Family::V4, 4100, 700.0);
    let d = field.phone(1, Family::V4, 4100, 1300.0);
    (c, d)
}

/// One description of two phones at one host.
fn both(first: &Phone, second: &Phone) -> Sdp {
    first
        .sdp()
        .with(&format!("m=audio {} RTP/AVP 0", second.address().port()))
        .with("a=rtpmap:0 PCMU/8000")
}
