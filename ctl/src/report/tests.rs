use serde_json::json;

use super::*;

/// A call behind a NAT: alice is heard, bob is not.
const CALL: &str = include_str!("call.json");

#[test]
fn a_call_is_told_leg_by_leg() {
    let call = Call::read(&serde_json::from_str(CALL).expect("it is JSON"));
    let call = call.expect("a call as the relay describes it");
    let expected = "\
Call c1@phone: answered, 3m07s old, worker 1, 9 300 packets, 1.6 MB, 2 dropped

alice ↔ bob
  1. audio RTP/AVP PCMA sendrecv
    port  here                there                       SDP said          in  out  dropped   last  carried by
    RTP   pub 10.0.0.1:30010  198.51.100.7:61000 latched  10.1.1.7:4000  9 300    0        2     0s  -
    RTCP  10.0.0.1:30011      10.1.1.7:4001               10.1.1.7:4001      0    0        0  never  -
    SSRC      packets   loss  reordered  twice  jitter  round trip  MOS  worst
    12345678    9 300  0.2 %          1      0    4 ms     40.5 ms  4.3    3.9
    ! 2 empty datagrams from alice: a NAT keepalive, harmless
    ! alice sends from 198.51.100.7:61000, not from 10.1.1.7:4000 as their SDP says (a NAT): packets go to the former

bob ↔ alice
  1. audio RTP/SAVP PCMA sendrecv rtcp-mux
    SRTP: AEAD_AES_256_GCM from them, AES_CM_128_HMAC_SHA1_80 to them
    port      here            there               SDP said            in    out  dropped   last  carried by
    RTP+RTCP  10.0.0.1:30012  [2001:db8::9]:5004  [2001:db8::9]:5004   0  9 300        0  never  -
    ! nothing received from bob yet: their packets do not reach 192.0.2.1:30012 (a firewall, or is that address not the one they can reach?)
";
    assert_eq!(render(&call), expected);
}

#[test]
fn a_call_that_works_is_said_to() {
    let port = json!({
        "last packet": 1009, "flags": ["RTP"], "endpoint": {"address": "192.0.2.7", "port": 4},
        "stats": {"packets": 9}, "stats_out": {"packets": 9},
    });
    let leg = |tag: &str| json!({"tag": tag, "medias": [{"flags": ["initialized", "send"], "streams": [port]}]});
    let document = json!({"created": 1000, "seconds": 10, "answered seconds": 10, "tags": {"a": leg("a"), "b": leg("b")}});
    let text = render(&Call::read(&document).expect("a call"));
    assert!(text.ends_with("\nMedia flows both ways.\n"), "{text}");
}

#[test]
fn an_agent_is_told_pair_by_pair_with_what_it_waits_for() {
    let pair = |port: u16, state: &str| {
        json!({
            "component": 1, "state": state,
            "local": {"address": "192.0.2.1", "port": 30000},
            "remote": {"address": "198.51.100.7", "port": port},
        })
    };
    let pairs = [pair(61_000, "succeeded"), pair(61_002, "in progress")];
    let ice = json!({
        "role": "controlled", "waits for": "a nomination", "disbelieved": 3, "pairs": pairs,
    });
    let leg = json!({"tag": "a", "medias": [{"type": "audio", "index": 1, "ICE": ice}]});
    let document =
        json!({"created": 1000, "seconds": 10, "answered seconds": 10, "tags": {"a": leg}});
    let text = render(&Call::read(&document).expect("a call"));
    let expected = "
    ICE: controlled, waits for a nomination, 3 datagrams not believed
    pair  here             there               state
    RTP   192.0.2.1:30000  198.51.100.7:61000  succeeded
    RTP   192.0.2.1:30000  198.51.100.7:61002  in progress
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn sections_on_one_transport_are_told_by_their_names() {
    let media = json!([{"type": "video", "index": 2, "flags": ["rtcp-mux"], "bundle": "0 1"}]);
    let leg = json!({"tag": "a", "medias": media});
    let document =
        json!({"created": 1000, "seconds": 10, "answered seconds": 10, "tags": {"a": leg}});
    let text = render(&Call::read(&document).expect("a call"));
    assert!(text.contains("2. video rtcp-mux bundle 0 1\n"), "{text}");
}

#[test]
fn a_handshake_is_told_port_by_port_with_what_it_waits_for() {
    let associations = json!([
        {"local port": 30000, "role": "server", "state": "connected", "suite": "AEAD_AES_128_GCM"},
        {"local port": 30001, "role": "client", "state": "failed",
            "failure": "the certificate is not the one announced"},
    ]);
    let dtls = json!({
        "role": "server", "waits for": "the peer's first flight", "associations": associations,
    });
    let leg = json!({"tag": "a", "medias": [{"type": "audio", "index": 1, "DTLS": dtls}]});
    let document =
        json!({"created": 1000, "seconds": 10, "answered seconds": 10, "tags": {"a": leg}});
    let text = render(&Call::read(&document).expect("a call"));
    let expected = "
    DTLS: server, waits for the peer's first flight
      port 30000: connected as server, AEAD_AES_128_GCM
      port 30001: failed as client, the certificate is not the one announced
";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn an_answer_of_another_shape_is_an_error_that_says_so() {
    let failure = Call::read(&json!({"tags": {"a": {"medias": 7}}})).expect_err("no list");
    assert!(matches!(&failure, Failure::Refused(why) if why.contains("patchctl version")));
}
