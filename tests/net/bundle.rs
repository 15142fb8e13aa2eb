//! Sections that share a transport on one side and have ports of their own on the other (RFC 9143).

use patchcord_tests::{Backend, Family, NgCall, Phone, Sdp, rtp};
use patchcord_wire::extension::{MID, Rewrite};
use patchcord_wire::rtp::Rtp;
use serde_json::json;

use crate::field::Field;

/// The id of the MID towards the bundled side.
const ID: u8 = 3;
/// SSRCs of its streams.
const SPOKEN: u32 = 1001;
const SHOWN: u32 = 1002;

on_each_backend! {
    a_bundle_is_split_to_two_phones_and_put_together_again,
    a_section_alone_in_its_bundle_is_named,
}

fn a_bundle_is_split_to_two_phones_and_put_together_again(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut web, mut b) = field.pair();
    let mut d = field.phone(1, Family::V4, 4100, 1300.0);
    let call = NgCall::new("call");
    let flags = json!({"bundle": ["accept"], "rtcp-mux": ["demux"]});
    let offer = call.offer(&field.ng, &bundled(&web), flags).sdp();
    assert_ne!(offer.rtp(0), offer.rtp(1), "a port for each phone");
    let answer = call.answer(&field.ng, &phones(&b, &d), json!({})).sdp();
    assert_eq!(answer.rtp(0), answer.rtp(1), "one port for both sections");
    assert!(answer.has("a=group:BUNDLE 0 1"), "{}", answer.text());
    web.call(&answer);
    b.call_section(&offer, 0);
    d.call_section(&offer, 1);

    // Both streams have the same payload type: only the MID of the first packets tells them apart.
    for (sequence, named) in [(1, true), (2, true), (3, false), (4, false)] {
        for (ssrc, mid, phone) in [(SPOKEN, "0", &b), (SHOWN, "1", &d)] {
            let plain = packet(sequence, ssrc);
            web.send(&if named {
                with_name(&plain, mid)
            } else {
                plain.clone()
            });
            let got = phone.receive().map(|(_, got)| got);
            assert_eq!(got, Some(plain), "{ssrc} {sequence}");
        }
    }
    for (phone, ssrc, mid) in [(&b, 2001, "0"), (&d, 2002, "1")] {
        phone.send(&packet(7, ssrc));
        let (source, got) = web.receive().expect("it comes from the bundle's port");
        assert_eq!(Some(source), web.peer);
        let got = Rtp::parse(&got).expect("RTP");
        let named = got.element(ID);
        assert_eq!((got.ssrc().0, named), (ssrc, Some(mid.as_bytes())));
    }
    // What nobody can tell goes nowhere.
    web.send(&packet(1, 9999));
    assert!(b.is_left_alone() && d.is_left_alone());
}

fn a_section_alone_in_its_bundle_is_named(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut web, mut phone) = field.pair();
    let call = NgCall::new("call");
    let flags = json!({"bundle": ["accept"], "rtcp-mux": ["demux"]});
    let alone = bundled(&web).replaced("BUNDLE 0 1", "BUNDLE 0");
    let (alone, _) = alone.text().split_once("m=video").expect("its second one");
    let offer = call.offer(&field.ng, &Sdp::parse(alone), flags).sdp();
    let answer = phone.sdp().with("a=rtpmap:96 x/8000");
    let answer = answer.replaced("RTP/AVP 0", "RTP/AVP 96");
    let answer = call.answer(&field.ng, &answer, json!({})).sdp();
    assert!(answer.has("a=group:BUNDLE 0"), "{}", answer.text());
    web.call(&answer);
    phone.call(&offer);

    let plain = packet(1, SPOKEN);
    web.send(&with_name(&plain, "0"));
    assert_eq!(phone.receive().map(|(_, got)| got), Some(plain));
    phone.send(&packet(7, 2001));
    let (_, got) = web.receive().expect("it is relayed");
    let got = Rtp::parse(&got).expect("RTP");
    assert_eq!(got.element(ID), Some(&b"0"[..]));
}

fn packet(sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = rtp(
        sequence,
        160 * u32::from(sequence),
        ssrc,
        b"a section's own",
    );
    packet[1] = 96;
    packet
}

fn with_name(packet: &[u8], mid: &str) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    bytes.resize(packet.len() + 32, 0);
    let rewrite = Rewrite {
        put: Some((ID, mid.as_bytes())),
        ..Rewrite::default()
    };
    let len = rewrite
        .apply(&mut bytes, packet.len())
        .expect("there is room");
    bytes.truncate(len);
    bytes
}

/// Two sections at one port.
fn bundled(web: &Phone) -> Sdp {
    let (ip, port) = (web.address().ip(), web.address().port());
    let section = |kind: &str, mid: u8| {
        format!(
            "m={kind} {port} RTP/AVP 96\r\nc=IN IP4 {ip}\r\na=mid:{mid}\r\na=rtpmap:96 x/8000\r\n\
             a=extmap:{ID} {MID}\r\na=rtcp-mux\r\na=sendrecv\r\n"
        )
    };
    let (first, second) = (section("audio", 0), section("video", 1));
    Sdp::parse(&format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n{first}{second}"
    ))
}

/// One description of two phones at one host.
fn phones(first: &Phone, second: &Phone) -> Sdp {
    let (ip, ports) = (
        first.address().ip(),
        [first.address().port(), second.address().port()],
    );
    let section = |kind: &str, port: u16| {
        format!(
            "m={kind} {port} RTP/AVP 96\r\nc=IN IP4 {ip}\r\na=rtpmap:96 x/8000\r\na=sendrecv\r\n"
        )
    };
    let (audio, video) = (section("audio", ports[0]), section("video", ports[1]));
    Sdp::parse(&format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nt=0 0\r\n{audio}{video}"
    ))
}
