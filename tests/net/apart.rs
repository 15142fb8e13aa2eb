//! Sections that were offered one transport and were answered with one each (RFC 9143 §7.3.3), and what is told of
//! sections apart that have one.

use std::collections::BTreeMap;
use std::time::Duration;

use patchcord_tests::{Backend, Family, NgCall, Phone, Sdp, rtp, until};
use patchcord_wire::extension::MID;
use patchcord_wire::rtcp::{Compound, Sdes, SenderReport, item};
use serde_json::json;

use crate::dtls::{browser, meet};
use crate::field::Field;

on_each_backend! {
    a_browsers_equal_without_bundles_hears_and_says_all_at_the_port_it_was_told,
    reports_of_ours_tell_of_each_section_by_its_name,
}

fn a_browsers_equal_without_bundles_hears_and_says_all_at_the_port_it_was_told(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 2, &[]) else {
        return;
    };
    let (mut a, b) = field.pair();
    let mut c = field.phone(0, Family::V4, 4100, 700.0);
    let d = field.phone(1, Family::V4, 4100, 1300.0);
    // One device with a certificate for each of its two streams, and one name for both.
    let mut device = [b, d].map(|phone| phone.shaking_hands(browser("active")).in_a_browser());
    let call = NgCall::new("call");
    let flags = json!({"flags": ["WebRTC"]});
    let offer = call
        .offer(&field.ng, &both(&a.sdp(), &c.sdp()), flags)
        .sdp();
    assert_eq!(offer.rtp(0), offer.rtp(1), "one port for both sections");
    let [b, d] = &mut device;
    let answer = call.answer(&field.ng, &both(&b.sdp(), &d.sdp()), json!({}));
    assert_eq!(answer["warning"], json!(null), "nothing is lost");
    for (index, (phone, other)) in [(&mut a, b), (&mut c, d)].into_iter().enumerate() {
        phone.call_section(&answer.sdp(), index);
        other.call_section(&offer, index);
        other.is_called();
        other.shake_hands(|| true).expect("keys");
        meet(phone, other);
    }
}

/// Two descriptions as one: its second section is the other's only one, as a picture.
fn both(first: &Sdp, second: &Sdp) -> Sdp {
    let second = second.text();
    let (session, section) = second.split_once("m=audio").expect("its section");
    let line = session.lines().find(|line| line.starts_with("c="));
    let (media, rest) = section.split_once("\r\n").expect("a line");
    let line = line.expect("an address");
    Sdp::parse(&format!(
        "{}m=video{media}\r\n{line}\r\n{rest}",
        first.text()
    ))
}

fn reports_of_ours_tell_of_each_section_by_its_name(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 2, &["--rtcp-interval", "500"]) else {
        return;
    };
    let (web, mut b) = field.pair();
    let (mut web, mut d) = (web.muxed(), field.phone(1, Family::V4, 4100, 1300.0));
    let call = NgCall::new("call");
    let flags = json!({"bundle": ["accept"], "rtcp-mux": ["demux"], "generate-RTCP": "on"});
    let offer = call.offer(&field.ng, &bundled(&web), flags).sdp();
    let other = d.sdp().replaced("RTP/AVP 0", "RTP/AVP 8");
    let other = other.replaced("rtpmap:0 PCMU", "rtpmap:8 PCMA");
    let both = both(&b.sdp(), &other);
    let answer = call.answer(&field.ng, &both, json!({})).sdp();
    web.call(&answer);
    b.call_section(&offer, 0);
    d.call_section(&offer, 1);
    let mut told = BTreeMap::new();
    let mut sequence = 0;
    until("a report on each section", Duration::from_secs(10), || {
        sequence += 1;
        let packet = |payload_type, ssrc| {
            let mut packet = rtp(
                sequence,
                160 * u32::from(sequence),
                ssrc,
                b"a section's own",
            );
            packet[1] = payload_type;
            packet
        };
        web.send(&packet(0, 1001));
        web.send(&packet(8, 1002));
        b.send(&packet(0, 2001));
        d.send(&packet(8, 2002));
        while let Some((_, datagram)) = web.arrived_rtcp() {
            told.extend(section_and_streams(&datagram));
        }
        told.len() == 2
    });
    let expected = [("0", (2001, 1001)), ("1", (2002, 1002))];
    let expected = expected.map(|(name, streams)| (name.as_bytes().to_vec(), streams));
    assert_eq!(told, BTreeMap::from(expected));
}

/// Two sections at one port, told apart by their payload types.
fn bundled(web: &Phone) -> Sdp {
    let (ip, port) = (web.address().ip(), web.address().port());
    let section = |kind: &str, mid: u8, payload_type: u8| {
        format!(
            "m={kind} {port} RTP/AVP {payload_type}\r\nc=IN IP4 {ip}\r\na=mid:{mid}\r\n\
             a=extmap:3 {MID}\r\na=rtcp-mux\r\na=sendrecv\r\n"
        )
    };
    let (first, second) = (section("audio", 0, 0), section("video", 1, 8));
    Sdp::parse(&format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n{first}{second}"
    ))
}

/// Of a report the section that it names, its sender, and whom it heard.
fn section_and_streams(datagram: &[u8]) -> Option<(Vec<u8>, (u32, u32))> {
    let compound = Compound::parse(datagram).ok()?;
    let packets: Vec<_> = compound.packets().collect();
    let report = SenderReport::of(packets.first()?)?;
    let heard = report.blocks().next()?.ssrc;
    let sdes = packets.iter().find_map(Sdes::of)?;
    let name = sdes.chunks().next()?.get(item::MID)?.to_vec();
    Some((name, (report.ssrc.0, heard)))
}
