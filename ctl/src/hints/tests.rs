use serde_json::{Value, json};

use super::*;

/// A call of ten seconds in which alice's one section is as given.
fn call(section: &Value) -> Call {
    answered(Some(10), section)
}

/// The same, answered so long ago.
fn answered(seconds: Option<u64>, section: &Value) -> Call {
    let document = json!({
        "created": 1000, "seconds": 10, "answered seconds": seconds,
        "tags": {
            "alice": {"tag": "alice", "in dialogue with": "bob", "medias": [section]},
            "bob": {"tag": "bob", "in dialogue with": "alice", "medias": []},
        },
    });
    Call::read(&document).expect("a call as the relay describes it")
}

fn hints(section: &Value) -> Vec<String> {
    of_call(&call(section))
}

fn of_call(call: &Call) -> Vec<String> {
    of_section(call, &call.legs[0], &call.legs[0].medias[0])
}

/// A section that sends, with one port with these entries.
fn section(port: Value) -> Value {
    let Value::Object(mut entries) = port else {
        panic!("{port}")
    };
    for (key, value) in [
        ("local port", json!(30012)),
        ("local address", json!("192.0.2.1")),
        ("last packet", json!(1010)),
        ("flags", json!(["RTP"])),
        ("endpoint", json!({"address": "198.51.100.7", "port": 4000})),
        (
            "advertised endpoint",
            json!({"address": "198.51.100.7", "port": 4000}),
        ),
        ("stats", json!({"packets": 500})),
    ] {
        entries.entry(key).or_insert(value);
    }
    json!({"flags": ["initialized", "send", "recv"], "streams": [entries]})
}

fn only(section: &Value) -> String {
    let hints = hints(section);
    assert_eq!(hints.len(), 1, "{hints:?}");
    hints.into_iter().next().unwrap_or_default()
}

#[test]
fn a_section_that_works_needs_no_word() {
    assert_eq!(hints(&section(json!({}))), [""; 0]);
}

#[test]
fn the_first_packet_is_missed_with_the_address_it_should_reach() {
    let hint = only(&section(json!({"stats": {"packets": 0}})));
    assert!(hint.contains("nothing received from alice yet"), "{hint}");
    assert!(hint.contains("do not reach 192.0.2.1:30012"), "{hint}");
    let hint = only(&section(
        json!({"stats": {"packets": 0}, "local advertised address": "203.0.113.5"}),
    ));
    assert!(hint.contains("do not reach 203.0.113.5:30012"), "{hint}");
}

#[test]
fn nobody_is_missed_while_it_rings_nor_in_the_first_moments_after_the_answer() {
    let silent = section(json!({"stats": {"packets": 0}}));
    for (seconds, hints) in [(None, 0), (Some(0), 0), (Some(1), 0), (Some(2), 1)] {
        let found = of_call(&answered(seconds, &silent));
        assert_eq!(found.len(), hints, "{seconds:?}: {found:?}");
    }
}

#[test]
fn who_has_no_path_or_no_keys_yet_is_not_said_to_be_behind_a_firewall() {
    let mut open = section(json!({"stats": {"packets": 0}}));
    open["DTLS"] = json!({"waits for": "the peer's first flight"});
    let silent = "nothing received from alice yet";
    let expected = format!("{silent}: DTLS waits for the peer's first flight");
    assert_eq!(only(&open), expected);
    open["ICE"] = json!({"waits for": "a nomination"});
    assert_eq!(only(&open), format!("{silent}: ICE waits for a nomination"));
    open["ICE"] = json!({});
    open["DTLS"] = json!({});
    assert!(only(&open).contains("a firewall"));
}

#[test]
fn a_party_on_hold_is_not_missed() {
    let mut held = section(json!({"stats": {"packets": 0}}));
    held["flags"] = json!(["initialized", "recv"]);
    let hint = only(&held);
    assert!(
        hint.contains("as announced") && hint.contains("on hold"),
        "{hint}"
    );
}

#[test]
fn a_party_that_has_not_answered_is_not_missed() {
    let mut open = section(json!({"stats": {"packets": 0}}));
    open["flags"] = json!([]);
    assert!(only(&open).contains("has not answered yet"));
}

#[test]
fn a_party_that_fell_silent_is_told_for_how_long() {
    let hint = only(&section(json!({"last packet": 1003})));
    assert!(hint.contains("alice has been silent for 7s"), "{hint}");
}

#[test]
fn strangers_are_counted_with_the_address_that_was_expected() {
    let hints = hints(&section(json!({
        "stats": {"packets": 0, "errors": 1234}, "drops": {"wrong_source": 1234},
    })));
    assert!(
        hints[0].contains("nothing accepted from alice"),
        "{hints:?}"
    );
    assert!(
        hints[1].contains("strangers dropped by strict-source: 1 234"),
        "{hints:?}"
    );
    assert!(
        hints[1].contains("expected from 198.51.100.7:4000"),
        "{hints:?}"
    );
}

#[test]
fn packets_for_a_held_far_side_are_said_to_have_nowhere_to_go() {
    let hint = only(&section(json!({"drops": {"no_peer": 7}})));
    assert!(
        hint.contains("received but the far side has no address"),
        "{hint}"
    );
    assert!(
        hint.contains("0.0.0.0") && hint.contains("bob") && hint.ends_with(": 7"),
        "{hint}"
    );
}

#[test]
fn a_party_without_an_address_is_said_to_hear_nothing() {
    let hint = only(&section(
        json!({"endpoint": {"address": "0.0.0.0", "port": 4000}}),
    ));
    assert!(hint.contains("nothing can be sent to alice"), "{hint}");
}

#[test]
fn every_reason_has_a_sentence_with_its_number() {
    for reason in Reason::ALL {
        let hint = only(&section(json!({"drops": {reason.as_str(): 4321}})));
        assert!(hint.contains("4 321"), "{reason}: {hint}");
        assert!(!hint.contains(&format!(": {reason}")), "{reason}: {hint}");
    }
}

#[test]
fn a_reason_of_a_newer_relay_is_shown_by_its_word() {
    let hint = only(&section(json!({"drops": {"moon_phase": 3}})));
    assert!(
        hint.contains("3 packets") && hint.ends_with("moon_phase"),
        "{hint}"
    );
}

#[test]
fn drops_without_reasons_are_counted_all_the_same() {
    let hint = only(&section(json!({"stats": {"packets": 500, "errors": 9}})));
    assert!(
        hint.contains("9 packets at 192.0.2.1:30012 dropped"),
        "{hint}"
    );
}

#[test]
fn an_address_behind_a_nat_is_no_riddle() {
    let hint = only(&section(json!({
        "flags": ["RTP", "confirmed"], "endpoint": {"address": "203.0.113.9", "port": 61000},
    })));
    assert!(
        hint.contains("alice sends from 203.0.113.9:61000, not from 198.51.100.7:4000"),
        "{hint}"
    );
}

#[test]
fn a_section_without_ports_was_rejected() {
    let hint = only(&json!({"flags": [], "streams": []}));
    assert!(hint.contains("rejected this section"), "{hint}");
}

#[test]
fn loss_and_jitter_are_told_where_they_are_heard() {
    let with_stream = |stream: Value| {
        let mut section = section(json!({}));
        section["ingress SSRCs"] = json!([stream]);
        hints(&section)
    };
    let lossy = with_stream(json!({"packets": 90, "cumulative loss": 10}));
    assert!(
        lossy[0].starts_with("10.0 % of the packets from alice"),
        "{lossy:?}"
    );
    let uneven = with_stream(json!({"packets": 90, "average MOS": {"jitter": 80}}));
    assert!(uneven[0].contains("jitter 80 ms"), "{uneven:?}");
    assert_eq!(
        with_stream(json!({"packets": 1000, "cumulative loss": 1})),
        [""; 0]
    );
}
