//! Tens of thousands of datagrams on the control port while a call talks: each is accounted for, none
//! is waited for, and what they leave behind is bounded.

use std::time::{Duration, Instant};

use patchcord_tests::{Family, Metrics, NgCall, converse, encode};
use serde_json::json;

use crate::field::Field;

/// Calls that the relay takes.
const CALLS: u64 = 40;
/// Rounds; the first of them warms up.
const ROUNDS: u32 = 12;
/// Small datagrams of a round, in parts that fit into any socket's buffer.
const SMALL: usize = 2_400;
const PART: usize = 80;
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
