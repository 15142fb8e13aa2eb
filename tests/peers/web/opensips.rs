//! The lines of the OpenSIPS script for the relay, sent as OpenSIPS's module puts them into messages.
//!
//! Its module knows the words for profiles, `replace-` and `rtcp-mux-`, and makes keys and lists of them; what
//! has a value is a key of its own, and every other word goes into `flags` as it is.

use patchcord_tests::{Family, NgCall, Relay, RelayKind, Sdp, Site, skip, skipped};
use serde_json::{Value, json};

use super::recipes;

/// The message that OpenSIPS makes of a line's words, beside what names the call.
fn keys(words: &str) -> Value {
    let mut keys = json!({"flags": [], "replace": [], "rtcp-mux": []});
    let append = |list: &mut Value, word: &str| {
        let list = list.as_array_mut().expect("made above");
        list.push(json!(word));
    };
    for word in words.split_whitespace() {
        if word.ends_with("RTP/AVP") || word.contains("RTP/SAVP") || word.ends_with("RTP/AVPF") {
            keys["transport-protocol"] = json!(word);
        } else if let Some(what) = word.strip_prefix("replace-") {
            append(&mut keys["replace"], what);
        } else if let Some(what) = word.strip_prefix("rtcp-mux-") {
            append(&mut keys["rtcp-mux"], what);
        } else if let Some((key, value)) = word.split_once('=') {
            keys[key] = json!(value);
        } else {
            append(&mut keys["flags"], word);
        }
    }
    let from = Site::relay(Family::V4, 0).to_string();
    keys["received-from"] = json!(["IP4", from]);
    keys
}

/// A description that a real peer wrote.
fn body(name: &str) -> Sdp {
    let file = format!("{}/sdp/bodies/{name}.sdp", env!("CARGO_MANIFEST_DIR"));
    Sdp::parse(&std::fs::read_to_string(file).expect("it is in the tree"))
}

/// Whether a browser can take it: checks, a handshake, one port.
fn suits_a_browser(sdp: &Sdp) {
    let profile = sdp.profile(0).unwrap_or_default();
    assert!(profile.ends_with("RTP/SAVPF"), "{}", sdp.text());
    for attribute in ["ice-ufrag", "ice-pwd", "candidate", "fingerprint", "setup"] {
        assert!(
            sdp.value(0, attribute).is_some(),
            "{attribute}: {}",
            sdp.text()
        );
    }
    assert!(sdp.has("a=rtcp-mux"), "{}", sdp.text());
}

/// Whether a phone can take it that was to get what `words` say.
fn suits_a_phone(words: &str, sdp: &Sdp) {
    if words.ends_with("WebRTC") {
        return suits_a_browser(sdp);
    }
    let wanted = words.split(' ').next_back();
    assert_eq!(sdp.profile(0), wanted, "{}", sdp.text());
    assert_eq!(sdp.value(0, "candidate"), None, "{}", sdp.text());
    assert!(!sdp.has("a=rtcp-mux"), "{}", sdp.text());
    let keyed = words.contains("SAVP");
    assert_eq!(
        sdp.value(0, "fingerprint").is_some(),
        keyed,
        "{}",
        sdp.text()
    );
}

/// An offer and its answer, each with a line's words; what goes to the callee and to the caller.
fn negotiate(relay: &Relay, site: &Site, sides: [(&Sdp, &str); 2]) -> [Sdp; 2] {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let (ng, call) = (relay.ng(site), NgCall::new(&format!("opensips-{next}")));
    let [(offer, onward), (answer, back)] = sides;
    let replies = [
        call.offer(&ng, offer, keys(onward)),
        call.answer(&ng, answer, keys(back)),
    ];
    for (reply, words) in replies.iter().zip([onward, back]) {
        assert!(reply["warning"].is_null(), "{words}: {}", reply["warning"]);
    }
    call.delete(&ng);
    replies.map(|reply| reply.sdp())
}

#[test]
fn what_the_opensips_script_says_is_understood() {
    if skipped() {
        return;
    }
    if RelayKind::under_test() == RelayKind::Rtpengine {
        skip("it is about Patchcord's warnings");
        return;
    }
    let site = Site::new(1);
    let Some(relay) = Relay::start_as_asked(&site, &[]) else {
        return;
    };
    let web = ["chromium-offer-web-to-sip", "chromium-answer-sip-to-web"].map(body);
    let sip = ["baresip-offer-sip-to-sip", "baresip-answer-sip-to-sip"].map(body);
    let script = recipes::read("peers/opensips-web.cfg");
    let [to_web, to_sip] = ["MEDIA_TO_WEB", "MEDIA_TO_SIP"].map(|route| {
        let lines = recipes::lines_of(&script, route);
        assert!(!lines.is_empty(), "{route} says nothing");
        lines
    });
    let dtls = [
        "baresip-answer-web-to-baresip-dtls-ice-2",
        "linphone-answer-sip-to-linphone-dtls",
    ]
    .map(body);
    for web_words in &to_web {
        let sides = [(&web[0], *web_words), (&web[1], *web_words)];
        negotiate(&relay, &site, sides)
            .iter()
            .for_each(suits_a_browser);
        for sip_words in &to_sip {
            let phone = match *sip_words {
                words if words.ends_with("WebRTC") => &dtls[0],
                words if words.contains("SAVP") => &dtls[1],
                _ => &sip[1],
            };
            let sides = [(&web[0], *sip_words), (phone, *web_words)];
            let [onward, back] = negotiate(&relay, &site, sides);
            suits_a_phone(sip_words, &onward);
            suits_a_browser(&back);
            let sides = [(&sip[0], *web_words), (&web[1], *sip_words)];
            let [onward, back] = negotiate(&relay, &site, sides);
            suits_a_browser(&onward);
            assert_eq!(back.profile(0), Some("RTP/AVP"), "as it was offered");
        }
    }
}
