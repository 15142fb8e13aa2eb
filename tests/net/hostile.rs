//! Odd and hostile packets: each is counted, and nothing else is disturbed.

use std::time::Duration;

use patchcord_tests::{Backend, Family, NgCall, Sdp, converse, rtp, until};
use serde_json::json;

use crate::field::Field;

on_each_path! {
    odd_packets_disturb_nobody,
    a_flood_of_garbage_on_the_control_port_stops_nothing,
    media_for_the_relay_itself_does_not_go_round_for_ever,
}

/// A STUN binding request (RFC 8489 §5).
const STUN: &[u8] = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl";
/// The head of a DTLS ClientHello record (RFC 9147 §4).
const DTLS: &[u8] = b"\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00";

fn odd_packets_disturb_nobody(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    let versions = [0x00u8, 0x40, 0xc0].map(|first| {
        let mut packet = rtp(1, 2, a.ssrc(), &[0; 160]);
        packet[0] |= first;
        packet[0] &= first | 0x3f;
        packet
    });
    let contributors = b"\x8f\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01".to_vec();
    let mut odd = vec![
        vec![],
        vec![0x80],
        vec![0x80; 11],
        STUN.to_vec(),
        DTLS.to_vec(),
    ];
    odd.extend(versions);
    odd.push(contributors);
    for packet in &odd {
        a.send(packet);
        a.send_rtcp(packet);
    }
    assert!(b.is_left_alone(), "an odd packet was relayed");
    converse(&mut a, &mut b);
    // The largest datagram there is: relayed or counted, but survived.
    a.send(&rtp(1, 2, a.ssrc(), &vec![0xd5; 65_507 - 12]));
    // It fills the socket's buffer until it is read, and the kernel drops what comes meanwhile.
    until(
        "the next packet to be relayed",
        Duration::from_secs(15),
        || {
            a.speak();
            !b.hear(1).packets.is_empty()
        },
    );
    converse(&mut a, &mut b);
}

fn a_flood_of_garbage_on_the_control_port_stops_nothing(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({}));
    let flood = field.relay.ng(&field.site);
    let deep = [b"c d7:command".to_vec(), vec![b'l'; 60_000]].concat();
    let garbage: [&[u8]; 7] = [
        b"",
        b"x",
        b"\x00\xff\x00\xff \xff",
        b"c d7:command4294967296:pinge",
        b"c d7:command-1:e",
        b"c i99999999999999999999999999e",
        b"c {\"command\":",
    ];
    // What does not fit into the socket's buffer is lost, as with any flood: a proxy asks again.
    field.ng.set_patience(Duration::from_millis(300));
    for round in 0..40 {
        garbage
            .iter()
            .cycle()
            .take(200)
            .for_each(|packet| flood.send_raw(packet));
        flood.send_raw(&deep);
        if round % 10 == 0 {
            assert!(
                (0..3).any(|_| field.ng.pings()),
                "control is gone after {round} rounds"
            );
            converse(&mut a, &mut b);
        }
    }
    until("the flood to be dealt with", Duration::from_secs(2), || {
        field.ng.pings()
    });
    assert_eq!(field.calls(), 1);
    converse(&mut a, &mut b);
}

fn media_for_the_relay_itself_does_not_go_round_for_ever(backend: Backend) {
    let Some(mut field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let (mut c, mut d) = (
        field.phone(0, Family::V4, 4100, 700.0),
        field.phone(1, Family::V4, 4100, 1300.0),
    );
    field.connect("sane", &mut a, &mut b, json!({}));
    // A phone that claims to be the very port at which the relay takes its peer's packets.
    let call = NgCall::new("round");
    let offer = call.offer(&field.ng, &c.sdp(), json!({})).sdp();
    let claim = Sdp::audio(offer.rtp(0));
    d.call(&call.reoffer(&field.ng, &claim, json!({})).sdp());
    c.call(&call.answer(&field.ng, &d.sdp(), json!({})).sdp());
    (0..20).for_each(|_| d.speak());
    let before = field.relay.program().cpu_time();
    std::thread::sleep(Duration::from_millis(400));
    let spent = field.relay.program().cpu_time().saturating_sub(before);
    assert!(
        spent < Duration::from_millis(120),
        "{spent:?} of 400 ms went round"
    );
    converse(&mut a, &mut b);
}
