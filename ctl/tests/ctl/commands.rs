//! Every command against a relay that only answers.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use patchcord_wire::value::{Dict, Value};
use serde_json::json;

use crate::relay::{Relay, line, refusal, response, word};
use crate::tool::{patchctl, patchctl_with};

/// A relay with 250 calls that answers what a healthy one does.
fn healthy(request: &Value<'_>) -> Dict<'static> {
    match (word(request), line(request)) {
        ("ping", _) => Dict::new().with("result", "pong"),
        ("cli", "json status") => response(
            json!({"name": "patchcord", "version": "9.9.9", "calls": 250, "workers": []})
                .to_string(),
        ),
        ("cli", "json version") => {
            response(json!({"name": "patchcord", "version": "9.9.9"}).to_string())
        }
        ("cli", "json interfaces") => {
            response(json!({"interfaces": [{"name": "pub", "address": "192.0.2.1"}]}).to_string())
        }
        ("cli", "list timeout") => response("TIMEOUT=60\n"),
        ("cli", "set timeout 120") => response("Success setting timeout to 120\n"),
        ("cli", "reload") => response("Configuration read again\nneeds a restart: ports.min\n"),
        ("cli", "terminate c1") => response("Terminated 1 calls\n"),
        ("cli", "list numsessions") => response("Current sessions own: 250\n"),
        ("cli", page) if page.starts_with("json calls ") => calls(page),
        ("cli", one) if one.starts_with("json call ") => refusal("Unknown call-id"),
        ("cli", one) if one.starts_with("terminate ") => response("\nCall Id not found (x)\n\n"),
        ("statistics", _) => {
            let current = Dict::new().with("sessionstotal", 250_i64);
            let statistics = Dict::new().with("currentstatistics", current);
            Dict::new()
                .with("result", "ok")
                .with("statistics", statistics)
        }
        ("delete", _) => {
            let rtp = Dict::new().with("packets", 1234_i64).with("errors", 5_i64);
            Dict::new()
                .with("result", "ok")
                .with("totals", Dict::new().with("RTP", rtp))
        }
        _ => refusal("Unrecognized command"),
    }
}

/// One page of calls c0 to c249, of which the higher have more packets and are younger.
fn calls(line: &str) -> Dict<'static> {
    let mut numbers = line
        .split(' ')
        .skip(2)
        .map(|word| word.parse::<u64>().expect("a number"));
    let (from, most) = (numbers.next().expect("from"), numbers.next().expect("most"));
    let calls: Vec<_> = (from..250.min(from + most))
        .map(|at| {
            json!({"call_id": format!("c{at}"), "state": "answered", "seconds": 1000 - at,
                "tags": [format!("tag{at}"), "b"], "packets": at * 10, "lost": at % 7})
        })
        .collect();
    response(json!({"calls": calls}).to_string())
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_transport_reaches_the_relay() {
    let relay = Relay::start(healthy);
    for place in [&relay.udp, &relay.tcp, &relay.http] {
        let (code, out, err) = patchctl(place, &["ping"]);
        assert_eq!(code, 0, "{place}: {err}");
        assert!(out.starts_with(&format!("pong from {place} in ")), "{out}");
        assert_eq!(
            json(&patchctl(place, &["ping", "--json"]).1)["result"],
            "pong"
        );
    }
}

#[test]
fn a_lost_datagram_is_repeated_with_the_same_cookie() {
    let relay = Relay::deaf(2, healthy);
    let (code, _, err) = patchctl(&relay.udp, &["ping"]);
    assert_eq!(code, 0, "{err}");
    let heard = relay.heard();
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|datagram| *datagram == heard[0]));
}

#[test]
fn without_a_relay_the_exit_code_is_3_and_the_text_says_what_to_look_at() {
    for place in ["udp:127.0.0.1:9", "tcp:127.0.0.1:9", "http://127.0.0.1:9"] {
        let (code, out, err) = patchctl(place, &["--timeout", "0.2", "status"]);
        assert_eq!((code, out.as_str()), (3, ""), "{err}");
        assert!(
            err.contains(place) && err.contains("listen.") && err.contains("--relay"),
            "{err}"
        );
    }
}

#[test]
fn a_relay_that_never_answers_is_given_up_after_the_timeout() {
    let relay = Relay::deaf(usize::MAX, healthy);
    let start = Instant::now();
    let (code, _, err) = patchctl(&relay.udp, &["ping", "--timeout", "0.7"]);
    assert_eq!(code, 3, "{err}");
    assert!(err.contains("nothing came within 0.7 s"), "{err}");
    assert!(start.elapsed() >= Duration::from_millis(700));
    assert_eq!(relay.heard().len(), 2, "repeated after half a second");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for words in [
        &["frobnicate"][..],
        &["--relay", "nowhere", "ping"],
        &["set", "colour", "1"],
        &["set", "timeout", "soon"],
        &["call", "two words"],
        &["top"],
        &[
            "offer",
            "--call-id",
            "c",
            "--from-tag",
            "f",
            "/nowhere/a.sdp",
        ],
    ] {
        let (code, out, err) = patchctl("udp:127.0.0.1:9", words);
        assert_eq!((code, out.as_str()), (2, ""), "{words:?}: {err}");
        assert!(!err.is_empty(), "{words:?}");
    }
}

#[test]
fn calls_come_in_pages_and_are_filtered_and_ordered_here() {
    let relay = Relay::start(healthy);
    let (code, out, err) = patchctl(&relay.udp, &["calls"]);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 251, "{out}");
    assert!(
        lines[0].starts_with("call ") && lines[1].starts_with("c249 "),
        "{out}"
    );
    let (_, out, _) = patchctl(
        &relay.udp,
        &["calls", "tag24", "--sort", "packets", "--limit", "3"],
    );
    let ids: Vec<_> = out
        .lines()
        .skip(1)
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(ids, ["c249", "c248", "c247", "3"], "{out}");
    let (_, out, _) = patchctl(&relay.udp, &["--json", "calls", "c7", "--sort", "id"]);
    let found = json(&out)["calls"].as_array().expect("a list").len();
    assert_eq!(found, 11, "c7 and c70 to c79: {out}");
}

#[test]
fn a_call_that_does_not_exist_is_exit_code_1_with_advice() {
    let relay = Relay::start(healthy);
    for words in [["call", "x"], ["terminate", "x"]] {
        let (code, out, err) = patchctl(&relay.udp, &words);
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        assert!(err.contains("patchctl calls"), "{err}");
    }
    assert_eq!(
        patchctl(&relay.udp, &["terminate", "c1"]).1,
        "Terminated 1 calls\n"
    );
}

#[test]
fn an_offer_prints_the_sdp_alone_and_complains_elsewhere() {
    let relay = Relay::start(|request| {
        assert_eq!(word(request), "offer");
        let get = |key| request.get(key).and_then(Value::as_str).unwrap_or_default();
        assert_eq!(
            (get("call-id"), get("from-tag"), get("sdp")),
            ("c", "f", "v=0\r\n")
        );
        let flags = get("rtpp-flags").to_owned();
        Dict::new()
            .with("result", "ok")
            .with("sdp", "v=0\r\ns=ours\r\n")
            .with("warning", format!("flags were: {flags}"))
    });
    let words = [
        "offer",
        "--call-id",
        "c",
        "--from-tag",
        "f",
        "-",
        "replace-origin",
        "ICE=remove",
    ];
    let (code, out, err) = patchctl_with(&relay.udp, &words, b"v=0\r\n");
    assert_eq!((code, out.as_str()), (0, "v=0\r\ns=ours\r\n"), "{err}");
    assert!(
        err.contains("warning: flags were: replace-origin ICE=remove"),
        "{err}"
    );
    let words = ["--json", "offer", "--call-id", "c", "--from-tag", "f", "-"];
    let (_, out, _) = patchctl_with(&relay.tcp, &words, b"v=0\r\n");
    assert_eq!(json(&out)["sdp"], "v=0\r\ns=ours\r\n");
}

#[test]
fn a_full_relay_is_a_refusal() {
    let full = "Parallel session limit reached";
    let relay = Relay::start(move |_| {
        Dict::new()
            .with("result", "load limit")
            .with("message", full)
    });
    let words = ["offer", "--call-id", "c", "--from-tag", "f", "-"];
    let (code, out, err) = patchctl_with(&relay.udp, &words, b"v=0\r\n");
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("no new calls") && err.contains(full), "{err}");
}

#[test]
fn a_deletion_tells_what_the_call_came_to() {
    let relay = Relay::start(healthy);
    let (code, out, _) = patchctl(&relay.udp, &["delete", "c1"]);
    assert_eq!(
        (code, out.as_str()),
        (
            0,
            "Deleted: 1 234 RTP packets, 0 RTCP packets, 5 dropped.\n"
        )
    );
}

#[test]
fn parameters_are_read_and_set_by_name() {
    let relay = Relay::start(healthy);
    let (_, out, _) = patchctl(&relay.udp, &["get", "timeout"]);
    assert!(out.contains("timeout    60 s"), "{out}");
    assert_eq!(
        json(&patchctl(&relay.udp, &["--json", "get", "timeout"]).1),
        json!({"timeout": 60})
    );
    let (code, out, _) = patchctl(&relay.udp, &["set", "time_out", "120"]);
    assert_eq!(
        (code, out.as_str()),
        (0, "Success setting timeout to 120\n")
    );
}

#[test]
fn the_relay_as_a_whole_is_told_in_either_form() {
    let relay = Relay::start(healthy);
    for (command, needle) in [
        ("status", "patchcord 9.9.9 at udp:"),
        ("interfaces", "192.0.2.1"),
        ("statistics", "sessionstotal  250"),
        ("version", "patchcord 9.9.9"),
        ("reload", "needs a restart: ports.min"),
    ] {
        let (code, out, err) = patchctl(&relay.udp, &[command]);
        assert_eq!(code, 0, "{command}: {err}");
        assert!(out.contains(needle), "{command}: {out}");
        let (code, out, _) = patchctl(&relay.udp, &["--json", command]);
        assert!(code == 0 && json(&out).is_object(), "{command}: {out}");
    }
    let (_, out, _) = patchctl(&relay.udp, &["cli", "list", "numsessions"]);
    assert_eq!(out, "Current sessions own: 250\n");
}

#[test]
fn draining_ends_with_the_last_call() {
    let left = AtomicU64::new(2);
    let relay = Relay::start(move |request| match line(request) {
        "drain" => response("Draining: no new calls, 2 left\n"),
        "undrain" => response("Taking new calls, 0 now\n"),
        "json status" => {
            let now = left.load(Ordering::Relaxed);
            left.store(now.saturating_sub(1), Ordering::Relaxed);
            response(json!({"calls": now}).to_string())
        }
        _ => refusal("Unrecognized command"),
    });
    let (code, out, err) = patchctl(&relay.udp, &["drain"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out, "Draining: no new calls, 2 left\nThe relay is empty.\n");
    assert!(
        err.contains("2 calls left") && err.contains("1 calls left"),
        "{err}"
    );
    assert_eq!(
        patchctl(&relay.udp, &["drain", "--off"]).1,
        "Taking new calls, 0 now\n"
    );
    let (_, out, _) = patchctl(&relay.udp, &["drain", "--no-wait", "--json"]);
    assert_eq!(json(&out), json!({"draining": true, "calls": 0}));
}

#[test]
fn top_without_a_terminal_names_what_suits_a_pipe() {
    let relay = Relay::start(healthy);
    let (code, _, err) = patchctl(&relay.udp, &["top"]);
    assert_eq!(code, 2);
    assert!(err.contains("patchctl --json calls"), "{err}");
}

#[test]
fn a_reader_that_has_seen_enough_gets_no_complaint() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_patchctl"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cargo built it");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it runs");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = patchctl("udp:127.0.0.1:9", &["completions", shell]);
        assert!(code == 0 && out.contains("interfaces"), "{shell}");
    }
}
