//! `generate-RTCP`: each phone gets the relay's reports, and none of the other phone's.

use std::time::{Duration, Instant};

use patchcord_media::srtp::Suite;
use patchcord_tests::{Backend, Phone, converse, sender_report};
use patchcord_wire::rtcp::{Compound, Sdes, SenderReport};
use serde_json::json;

use crate::field::Field;

/// As often as it goes: a second or less is added.
const OFTEN: &[&str] = &["--rtcp-interval", "500"];
/// Longer than two reports take.
const LONG: Duration = Duration::from_secs(4);

on_each_path! {
    phones_get_our_reports_and_not_each_others,
    secure_and_muxed_phones_get_them_too,
    a_reinvite_may_switch_it_off,
}

/// Speech at its own pace both ways, with reports of both phones, while `time` passes.
fn chat(a: &mut Phone, b: &mut Phone, time: Duration) -> u32 {
    let start = Instant::now();
    let mut spoken = 0;
    while start.elapsed() < time {
        for one in [&mut *a, &mut *b] {
            one.speak();
            if spoken % 25 == 0 {
                one.send_rtcp(&sender_report(one.ssrc(), spoken));
            }
        }
        spoken += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    spoken
}

/// The RTCP that came to a phone on either port; RTP between it is left out.
fn reports(phone: &Phone) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some((_, datagram)) = phone.arrived_rtcp() {
        if matches!(datagram.get(1), Some(200..=207)) {
            all.push(datagram);
        }
    }
    all
}

/// Every report that `one` got is of the relay and tells of both directions.
fn is_told(one: &Phone, other: &Phone, spoken: u32) {
    let reports = reports(one);
    assert!(
        (2..=9).contains(&reports.len()),
        "{} reports in {LONG:?}",
        reports.len()
    );
    let mut names = Vec::new();
    for report in &reports {
        let compound = Compound::parse(report).expect("a compound");
        let packets: Vec<_> = compound.packets().collect();
        let sender = SenderReport::of(&packets[0]).expect("both sides speak");
        assert_eq!(sender.ssrc.0, other.ssrc());
        assert!((1..=spoken).contains(&sender.packets), "{sender:?}");
        assert_eq!(sender.octets, sender.packets * 160, "{sender:?}");
        let blocks: Vec<_> = sender.blocks().collect();
        let [block] = blocks.as_slice() else {
            panic!("{blocks:?}");
        };
        assert_eq!((block.ssrc, block.cumulative_lost), (one.ssrc(), 0));
        assert!(block.delay_since_last_sr < 65_536, "{block:?}");
        assert_eq!(block.last_sr, 0, "what the harness's reports say");
        let sdes = Sdes::of(&packets[1]).expect("its name");
        let chunk = sdes.chunks().next().expect("a chunk");
        names.push(chunk.items().next().expect("an item").text.to_vec());
    }
    assert!(names.windows(2).all(|pair| pair[0] == pair[1]), "{names:?}");
    assert_eq!(names[0].len(), 16, "not the harness's name");
}

fn phones_get_our_reports_and_not_each_others(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 2, OFTEN) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({"generate-RTCP": "on"}));
    let spoken = chat(&mut a, &mut b, LONG);
    is_told(&a, &b, spoken);
    is_told(&b, &a, spoken);
    let reply = call.query(&field.ng);
    for tag in [&call.from, &call.to] {
        let streams = &reply["tags"][tag]["medias"][0]["streams"];
        assert_eq!(streams[1]["stats"]["errors"], 0, "{streams}");
    }
}

fn secure_and_muxed_phones_get_them_too(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 2, OFTEN) else {
        return;
    };
    let (a, b) = field.pair();
    let mut a = a.secured(Suite::AeadAes128Gcm, 1).muxed();
    let mut b = b.secured(Suite::AeadAes128Gcm, 2);
    let offer = json!({"flags": ["generate-RTCP"], "rtcp-mux": ["demux"], "DTLS": "off"});
    field.connect("call", &mut a, &mut b, offer);
    let spoken = chat(&mut a, &mut b, LONG);
    is_told(&a, &b, spoken);
    is_told(&b, &a, spoken);
}

fn a_reinvite_may_switch_it_off(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 2, OFTEN) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({"generate-RTCP": "on"}));
    chat(&mut a, &mut b, Duration::from_secs(2));
    let off = json!({"generate-RTCP": "off"});
    b.call(&call.reoffer(&field.ng, &a.sdp(), off).sdp());
    a.call(&call.answer(&field.ng, &b.sdp(), json!({})).sdp());
    converse(&mut a, &mut b);
}
