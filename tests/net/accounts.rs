//! What the relay says it has done is what it has done.

use patchcord_tests::{Backend, Metrics, converse, rtp, sender_report, until};
use serde_json::json;

use crate::field::Field;

/// A STUN binding request (RFC 8489 §5).
const STUN: &[u8] = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl";
/// The head of a DTLS ClientHello record (RFC 6347 §4.1).
const DTLS: &[u8] = b"\x16\xfe\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x01\x00\x00\x00";

on_each_path! {
    query_and_delete_tell_what_was_relayed,
    every_packet_has_one_verdict_and_one_reason,
}

fn query_and_delete_tell_what_was_relayed(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    let call = field.connect("call", &mut a, &mut b, json!({}));
    converse(&mut a, &mut b);
    for reply in [call.query(&field.ng), call.delete(&field.ng)] {
        assert_eq!(reply.result(), "ok");
        let totals = &reply["totals"];
        // Twelve packets of 12 + 160 octets each way, and one compound of 28 + 16.
        assert_eq!(totals["RTP"]["packets"], 24, "{totals}");
        assert_eq!(totals["RTP"]["bytes"], 24 * 172, "{totals}");
        assert_eq!(totals["RTCP"]["packets"], 2, "{totals}");
        for (tag, phone) in [(&call.from, &a), (&call.to, &b)] {
            let section = &reply["tags"][tag]["medias"][0];
            assert_eq!(section["type"], "audio", "{section}");
            let rtp = &section["streams"][0];
            let endpoint = &rtp["endpoint"];
            assert_eq!(
                endpoint["address"],
                phone.address().ip().to_string(),
                "{endpoint}"
            );
            assert_eq!(endpoint["port"], phone.address().port(), "{endpoint}");
            assert_eq!(
                Some(&rtp["local port"]),
                phone.peer.map(|p| json!(p.port())).as_ref()
            );
            assert_eq!(rtp["stats"]["packets"], 12, "{rtp}");
        }
    }
}

fn every_packet_has_one_verdict_and_one_reason(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 3, &[]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({"flags": ["strict-source"]}));
    converse(&mut a, &mut b);
    let mut stranger = field.phone(2, patchcord_tests::Family::V4, 4000, 2000.0);
    stranger.peer = a.peer;
    stranger.speak();
    let contributors = rtp(1, 2, a.ssrc(), &[])
        .into_iter()
        .enumerate()
        .map(|(at, octet)| if at == 0 { 0x8f } else { octet })
        .collect::<Vec<_>>();
    // The largest there is may not fit a socket's buffer: tests/net/hostile.rs has that one.
    let huge = rtp(1, 2, a.ssrc(), &[0xd5; 9000]);
    for packet in [
        &[][..],
        &[0x80],
        &[0x80; 11],
        STUN,
        DTLS,
        &contributors,
        &huge,
    ] {
        a.send(packet);
    }
    // A version that is none, of RTP at the one port and of RTCP at the other.
    let mut unknown = sender_report(a.ssrc(), 1);
    unknown[0] = 0xc0;
    a.send(&unknown);
    a.send_rtcp(&unknown);
    a.send_rtcp(&rtp(1, 2, a.ssrc(), &[0; 160]));
    let mut cut = sender_report(a.ssrc(), 1);
    cut.truncate(30);
    a.send_rtcp(&cut);
    let expected = [
        ("wrong_source", 1),
        ("empty", 1),
        ("short", 2),
        ("unexpected_stun", 1),
        ("unexpected_dtls", 1),
        ("bad_header", 1),
        ("truncated", 1),
        ("not_rtp", 1),
        ("not_rtcp", 2),
        ("bad_rtcp", 1),
    ];
    let dropped: u64 = expected.iter().map(|(_, count)| count).sum();
    until(
        "all to be counted",
        std::time::Duration::from_secs(5),
        || packets(&field.relay.metrics(&field.site), "drop") >= dropped,
    );
    let metrics = field.relay.metrics(&field.site);
    for (reason, count) in expected {
        let label = format!("reason=\"{reason}\"");
        let counted = metrics.count("patchcord_packets_total", &[&label]);
        let all: Vec<String> = metrics
            .lines()
            .filter(|line| line.contains("_packets_"))
            .collect();
        assert_eq!(counted, count, "{reason} in\n{}", all.join("\n"));
    }
    assert_eq!(
        packets(&metrics, "forward"),
        26,
        "twelve and a report, each way"
    );
    let received = metrics.count("patchcord_received_packets_total", &[]);
    assert_eq!(
        received,
        metrics.count("patchcord_packets_total", &[]),
        "each has one verdict"
    );
    converse(&mut a, &mut b);
}

/// Packets with that verdict.
fn packets(metrics: &Metrics, verdict: &str) -> u64 {
    metrics.count(
        "patchcord_packets_total",
        &[&format!("verdict=\"{verdict}\"")],
    )
}
