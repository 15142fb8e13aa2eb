//! Tens of thousands of datagrams for control while a call talks, as requests and as checks: each is
//! accounted for, none is waited for, and what they leave behind is bounded.

use std::time::{Duration, Instant};

use patchcord_tests::{DtlsSide, Family, Metrics, NgCall, Phone, converse, encode};
use patchcord_wire::stun::{Class, Key, Method, Role, TransactionId, Writer};
use serde_json::json;

use crate::dtls::meet;
use crate::field::Field;

/// Calls that the relay takes.
const CALLS: u64 = 40;
/// Rounds; the first of them warms up.
const ROUNDS: u32 = 12;
/// Small datagrams of a round, in parts that fit into any socket's buffer.
const SMALL: usize = 2_400;
const PART: usize = 80;
/// Datagrams of each protocol from a stranger, at the port of a call, in bursts that leave room for media in a
/// socket's buffer.
const STRANGE: usize = 50_000;
const BURST: usize = 50;
/// How long a `ping` may take in the middle of it; a proxy repeats it after a second.
const STALL: Duration = Duration::from_millis(800);
/// What may be resident more at the end than after the first round, KiB.
const GROWTH: u64 = 4_096;

#[test]
fn a_flood_of_requests_stalls_nothing_and_leaves_nothing() {
    let options = [
        format!("--max-sessions={CALLS}"),
        "--set=limits.cookie-cache-mib=1".to_owned(),
        "--log-level=4".to_owned(),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let Some(mut field) = Field::ours(2, &options) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    field.connect("call", &mut a, &mut b, json!({}));
    let flood = field.relay.ng(&field.site);
    field.ng.set_patience(STALL);
    let before = field.relay.metrics(&field.site);
    let (mut sent, mut pings, mut settled) = (0, 0, 0);
    for round in 0..ROUNDS {
        let small = (0..SMALL).map(|n| hostile(round as usize * SMALL + n, &field));
        let large =
            [64_000, 65_507].map(|len| [&b"x d5:large"[..], &vec![b'9'; len - 10]].concat());
        let parts = small.collect::<Vec<_>>();
        for part in parts.chunks(PART).chain(large.chunks(1)) {
            for datagram in part {
                flood.send_raw(datagram);
            }
            sent += part.len() as u64;
            let asked = Instant::now();
            assert!(field.ng.pings(), "no pong in {STALL:?}, round {round}");
            assert!(asked.elapsed() < STALL);
            pings += 1;
        }
        converse(&mut a, &mut b);
        let resident = resident_kib(field.relay.program().pid());
        if round == 0 {
            settled = resident;
        }
        let most = settled + GROWTH;
        assert!(
            resident < most,
            "{settled} KiB became {resident} KiB in round {round}"
        );
    }
    assert!(sent > 25_000, "{sent}");
    let after = field.relay.metrics(&field.site);
    assert_eq!(accounted(&after) - accounted(&before), sent + pings);
    assert_eq!(after.count("patchcord_calls", &[]), CALLS);
    let offers = |metrics: &Metrics| metrics.count("patchcord_ng_requests_total", &["offer"]);
    let refused = after.count("patchcord_refused_calls_total", &[]);
    let made = offers(&after) - offers(&before);
    assert_eq!(
        refused,
        made - (CALLS - 1),
        "all above the limit, and no other"
    );
}

/// Forged checks at a port with ICE, by somebody who knows all but the password.
#[test]
fn a_flood_of_stun_stalls_neither_media_nor_requests() {
    let Some(field) = Field::ours(2, &["--log-level=4"]) else {
        return;
    };
    let (mut a, mut b) = field.pair();
    field.connect("talk", &mut a, &mut b, json!({}));
    let target = field.phone(0, Family::V4, 0, 440.0);
    let offer = NgCall::new("target").offer(&field.ng, &target.sdp(), json!({"ICE": "force"}));
    let sdp = offer.sdp();
    let mut attacker = field.phone(1, Family::V4, 0, 700.0);
    attacker.call(&sdp);
    let ufrag = sdp
        .text()
        .lines()
        .find_map(|line| line.strip_prefix("a=ice-ufrag:"));
    let ufrag = ufrag.expect("ICE is forced").as_bytes();
    let before = field.relay.metrics(&field.site);
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        for part in 0..SMALL / PART {
            for n in 0..PART {
                attacker.send(&forged(round as usize * SMALL + part * PART + n, ufrag));
            }
            let asked = Instant::now();
            assert!(field.ng.pings(), "no pong, round {round}");
            slowest = slowest.max(asked.elapsed());
        }
        converse(&mut a, &mut b);
    }
    assert!(slowest < STALL, "{slowest:?}");
    let after = field.relay.metrics(&field.site);
    let count = |labels: &[&str]| {
        let name = "patchcord_packets_total";
        after.count(name, labels) - before.count(name, labels)
    };
    let (up, refused) = (
        count(&["verdict=\"punt\""]),
        count(&["reason=\"punt_limit\""]),
    );
    // What a socket's buffer does not hold is the kernel's to drop.
    let sent = u64::from(ROUNDS) * SMALL as u64;
    assert!(
        (sent / 4..=sent).contains(&(up + refused)),
        "{up}, {refused} of {sent}"
    );
    assert!(up > 0 && refused > up, "{up} went up, {refused} did not");
    assert!(attacker.is_left_alone(), "a forgery is answered by nobody");
}

/// Strangers' checks and handshakes, 100,000 together, at the very port of a call that talks.
fn strangers_flood_a_port(field: &Field, a: &mut Phone, b: &mut Phone) {
    let mut stranger = field.phone(2, Family::V4, 0, 700.0);
    stranger.peer = a.peer;
    let before = field.relay.metrics(&field.site);
    let (mut slowest, mut sent) = (Duration::ZERO, 0_usize);
    for make in [unsolicited_check as fn(usize) -> Vec<u8>, client_hello] {
        for burst in 0..STRANGE / BURST {
            for n in 0..BURST {
                stranger.send(&make(burst * BURST + n));
                sent += 1;
            }
            a.speak();
            b.speak();
            hears_one_packet(b, a);
            hears_one_packet(a, b);
            if burst.is_multiple_of(50) {
                let asked = Instant::now();
                assert!(field.ng.pings(), "no pong after {sent}");
                slowest = slowest.max(asked.elapsed());
            }
        }
    }
    assert!(slowest < STALL, "{slowest:?}");
    let after = field.relay.metrics(&field.site);
    let count = |labels: &[&str]| {
        let name = "patchcord_packets_total";
        after.count(name, labels) - before.count(name, labels)
    };
    let (up, all) = (count(&["verdict=\"punt\""]), count(&[]));
    assert!(all >= sent as u64, "{all} of {sent} were seen");
    assert!(up < all / 10, "{up} of {all} went up");
    assert_eq!(
        after.count("patchcord_dtls_total", &["outcome=\"connected\""]),
        1
    );
}

/// What arrives next is the other's packet, and nothing beside it.
fn hears_one_packet(one: &Phone, other: &Phone) {
    let heard = one.hear(1);
    let got: Vec<_> = heard.packets.iter().map(|packet| packet.ssrc).collect();
    assert_eq!(got, [other.ssrc()], "{:x?}", heard.others);
}

#[test]
fn strangers_at_the_port_of_a_browsers_call_cost_it_nothing() {
    let Some(field) = Field::ours(3, &["--log-level=4"]) else {
        return;
    };
    let side = DtlsSide {
        is_browser: true,
        ..DtlsSide::new("actpass")
    };
    let (a, mut b) = field.pair();
    let mut a = a.shaking_hands(side).in_a_browser();
    let words = json!({"transport-protocol": "RTP/AVP", "ICE": "remove", "rtcp-mux": ["demux"]});
    field.connect("talk", &mut a, &mut b, words);
    a.shake_hands(|| true).expect("keys");
    meet(&mut a, &mut b);
    strangers_flood_a_port(&field, &mut a, &mut b);
    converse(&mut a, &mut b);
}

#[test]
fn strangers_at_the_port_of_a_phone_with_dtls_cost_it_nothing() {
    let Some(field) = Field::ours(3, &["--log-level=4"]) else {
        return;
    };
    let (a, mut b) = field.pair();
    let mut a = a.shaking_hands(DtlsSide::new("active")).muxed();
    let words = json!({"transport-protocol": "RTP/AVP", "rtcp-mux": ["demux"]});
    field.connect("talk", &mut a, &mut b, words);
    a.shake_hands(|| true).expect("keys");
    meet(&mut a, &mut b);
    strangers_flood_a_port(&field, &mut a, &mut b);
    converse(&mut a, &mut b);
}

/// A well-formed check from somebody who knows nothing.
fn unsolicited_check(n: usize) -> Vec<u8> {
    forged(n, b"nobody")
}

/// The beginning of a handshake that goes no further, each with another random.
fn client_hello(n: usize) -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend([n.to_be_bytes(); 4].concat());
    // No session, no cookie, one suite, no compression; no extension.
    body.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
    let len = (body.len() as u32).to_be_bytes();
    let mut fragment = vec![
        1, len[1], len[2], len[3], 0, 0, 0, 0, 0, len[1], len[2], len[3],
    ];
    fragment.extend(body);
    let mut record = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
    record.extend((fragment.len() as u16).to_be_bytes());
    record.extend(fragment);
    record
}

/// The check number `n`, signed with a guess.
fn forged(n: usize, ufrag: &[u8]) -> Vec<u8> {
    let mut id = [0; 12];
    id[..8].copy_from_slice(&n.to_be_bytes());
    let mut buffer = [0; 256];
    let id = TransactionId(id);
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id);
    writer
        .username(ufrag, b"peer")
        .priority(1)
        .role(Role::Controlling(1));
    let len = writer.finish(&Key::new(b"a guess")).expect("room");
    buffer[..len].to_vec()
}

/// Datagrams that became a request, a repetition, or nothing.
fn accounted(metrics: &Metrics) -> u64 {
    let udp = [
        "patchcord_ng_requests_total",
        "patchcord_ng_repeated_requests_total",
    ];
    let good: u64 = udp
        .iter()
        .map(|name| metrics.count(name, &["transport=\"udp\""]))
        .sum();
    good + metrics.count("patchcord_ng_bad_messages_total", &[])
}

/// The datagram number `n`: every eighth an offer of a new call, the others broken each in its way.
fn hostile(n: usize, field: &Field) -> Vec<u8> {
    let text = |rest: &str| format!("{n} {rest}").into_bytes();
    match n % 8 {
        0 => {
            let phone = field.phone(0, Family::V4, 0, 440.0);
            let call = NgCall::new(&format!("flood-{n}"));
            let offer = encode(&call.message("offer", &phone.sdp(), json!({}), false));
            [text(""), offer].concat()
        }
        1 => text("d7:command5:offer3:sdp400:v=0"),
        2 => text(&format!("d7:command4:ping1:a{}", "l".repeat(600))),
        3 => text(&format!("d7:command4:ping1:ai{}ee", "9".repeat(900))),
        4 => text(&format!("{{\"command\":\"ping\",\"a\":{}", "[".repeat(600))),
        5 => text("d7:command6:answer7:call-id5:nobody8:from-tag1:a6:to-tag1:b3:sdp3:v=0e"),
        6 => vec![0xff; 40],
        _ => text("d7:command99999999999999999999:"),
    }
}

fn resident_kib(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|kib| kib.parse().ok()).expect("a size")
}
