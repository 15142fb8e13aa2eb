//! What an operator is told of a browser's call while it is on: `patchctl call` and the metrics.

use std::time::{Duration, Instant};

use patchcord_tests::{RelayKind, skip, until};
use serde_json::json;

use super::browser::{Kind, STEP};
use super::scene::Words;
use super::video::{plain_answer, told};

/// How long the called phone rings.
const RINGING: Duration = Duration::from_secs(1);

/// The lines in which something is waited for.
fn waits(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| line.contains("waits for")).collect()
}

#[test]
fn patchctl_tells_what_a_browsers_call_waits_for_and_then_has() {
    let Some(scene) = Words::Classic.scene(2, &[Kind::Chromium]) else {
        return;
    };
    if RelayKind::under_test() == RelayKind::Rtpengine {
        skip("it is about patchctl");
        return;
    }
    let callee = told(&scene);
    let settings = json!({"video": true, "codecs": {"audio": "opus", "video": "VP8"}});
    let mut alice = scene.browser_with(0, Kind::Chromium, "alice", 440, settings);
    alice.dial("bob");
    let offer = callee.wait("INVITE", "INVITE").sdp();
    // The browser's candidates are checked before anybody has answered; it may not nominate yet.
    until("her candidate to be checked", STEP, || {
        scene
            .told()
            .contains("ICE: controlled, waits for a nomination")
    });
    let before = scene.told();
    for said in [
        "bundle 0 1",
        " succeeded\n",
        "DTLS: client, waits for our answer to go out",
        "yet: ICE waits for a nomination",
        "has not answered yet",
    ] {
        assert!(before.contains(said), "{said:?} in\n{before}");
    }

    // So long it has rung, for the histogram.
    let rang = Instant::now();
    std::thread::sleep(RINGING);
    callee.tell(&plain_answer(&scene, 1, &offer, [5000, 5010]));
    callee.wait("ACK", "ACK");
    until("ICE and DTLS to be done", STEP, || {
        waits(&scene.told()).is_empty()
    });
    let after = scene.told();
    let pair = "10.0.1.2:";
    for said in [
        "ICE: controlled, connected",
        "DTLS: client",
        ": connected as client, A",
        pair,
    ] {
        assert!(after.contains(said), "{said:?} in\n{after}");
    }
    let nominated = after
        .lines()
        .filter(|line| line.trim_end().ends_with("nominated"));
    assert!(nominated.clone().count() >= 1, "{after}");
    assert!(nominated.clone().all(|line| line.contains(pair)), "{after}");

    let metrics = scene.relay.metrics(&scene.site);
    for family in ["patchcord_ice", "patchcord_dtls"] {
        let count =
            |name: &str, labels: &[&str]| metrics.count(&format!("{family}_{name}"), labels);
        assert_eq!(count("total", &["outcome=\"connected\""]), 1, "{family}");
        assert_eq!(count("total", &[]), 1, "{family}: no other outcome");
        assert_eq!(count("seconds_count", &[]), 1, "{family}");
        assert_eq!(count("seconds_bucket", &["le=\"+Inf\""]), 1, "{family}");
        let took = metrics.sum(&format!("{family}_seconds_sum"), &[]);
        let most = rang.elapsed().saturating_sub(RINGING).as_secs_f64();
        assert!(
            took > 0.0 && took < most,
            "{family}: {took}, of {most} since the answer"
        );
    }
    alice.hang_up();
    callee.finish();
    scene.wait_until_over();
}
