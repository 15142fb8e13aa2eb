use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::ng::Member as _;
use crate::ng::address::AddressSource;
use crate::ng::bundle::{BundleInward, BundleOnward};
use crate::ng::flags::{FLAGS, FlagWord, Status, WORDS};
use crate::ng::ice::IceLite;
use crate::ng::learning::{EndpointLearning, MediaEcho, PortLatching, SourceCheck};
use crate::ng::mux::MuxInward;
use crate::ng::offer_answer::SipMessageKind;
use crate::ng::replace::{MediaType, Replace};
use crate::ng::sdp_attr::{AttrEdit, AttrSection};
use crate::ng::security::{DtlsMode, FingerprintHash, OsrtpForm, SdesFlag};
use crate::ng::t38::T38Flag;
use crate::ng::{Format, parse as parse_envelope};
use crate::value::Limits;
use crate::{bencode, json};

/// What Kamailio's module sent along with real SDP, one request a line, without the SDP.
const KAMAILIO: &str = include_str!("kamailio.jsonl");

#[test]
fn requests_of_a_real_kamailio_are_understood_without_a_warning() {
    assert_eq!(KAMAILIO.lines().count(), 60);
    for line in KAMAILIO.lines() {
        let (message, warnings) = offer_or_answer(line);
        assert!(warnings.is_empty(), "{line}: {warnings}");
        assert_eq!(message.load_limit, LoadLimitReply::Result);
        assert_eq!(
            message.rewrite.replace,
            [Replace::Origin].into_iter().collect()
        );
        assert!(message.addressing.received_from.is_some());
        let says = |text: &str| line.contains(text);
        let dtls = says("UDP/TLS");
        assert!(says("\"RTP/") || dtls);
        match message.proto {
            ProtoChoice::To(proto) => {
                assert!(says(&format!("\"{proto}\"")), "{line}");
            }
            ProtoChoice::Unchanged | ProtoChoice::Accept => panic!("{line} has a profile"),
        }
        let onward = if says("demux") {
            MuxOnward::Separate
        } else {
            MuxOnward::Offer
        };
        assert_eq!(message.rtcp_mux.onward, onward);
        let ice = if says("force") {
            IceMode::Force
        } else {
            IceMode::Remove
        };
        assert_eq!(message.ice.mode, ice);
        assert_eq!(message.flags.has(Flag::GenerateMid), says("generate-mid"));
        assert_eq!(
            message.sdes.usage == SdesUse::Off,
            says(r#""SDES": ["off"]"#)
        );
        assert_eq!(
            message.sdes.flags.has(SdesFlag::Pad),
            says(r#""SDES": ["pad"]"#)
        );
        assert_eq!(message.dtls.mode == DtlsMode::Off, says(r#""DTLS": "off""#));
        assert_eq!(
            message.addressing.family,
            says("\"IP4\", \"ICE\"").then_some(Family::V4)
        );
        assert_eq!(message.to_tag.is_some(), says("to-tag"));
        let codecs: &[(CodecOp, &[u8])] = if says("transcode") {
            &[(CodecOp::Mask, b"all"), (CodecOp::Transcode, b"PCMU")]
        } else {
            &[]
        };
        let seen: Vec<_> = message
            .codecs
            .ops
            .iter()
            .map(|(op, codec)| (*op, codec.as_ref()))
            .collect();
        assert_eq!(seen, codecs);
    }
}

#[test]
fn bencode_and_json_say_the_same() {
    for line in KAMAILIO.lines() {
        let value = with_sdp(line);
        let mut text = b"1_2_3 ".to_vec();
        bencode::encode(&value, &mut text);
        let from_bencode = parse_envelope(&text).expect("an envelope");
        assert_eq!(
            (from_bencode.cookie, from_bencode.format),
            (&b"1_2_3"[..], Format::Bencode)
        );
        assert_eq!(Request::parse(&from_bencode.body), Request::parse(&value));
    }
}

#[test]
fn a_request_borrows_from_the_datagram() {
    let text =
        b"c d7:command5:offer7:call-id3:abc8:from-tag1:f3:sdp4:v=0\n5:flagsl13:trust-addressee";
    let request = {
        let envelope = parse_envelope(text).expect("an envelope");
        Request::parse(&envelope.body).0.expect("an offer")
    };
    let Request::Offer(offer) = request else {
        panic!("an offer")
    };
    for text in [&offer.call_id, &offer.from_tag, &offer.sdp] {
        assert!(matches!(text, Cow::Borrowed(_)));
    }
}

#[test]
fn opensips_words_in_flags_are_understood() {
    let flags = [
        "trust-address",
        "SDES-off",
        "transcode-PCMU",
        "transcode-G722",
        "rtcp-mux-demux",
        "replace-origin",
        "replace-session-connection",
        "ICE=force",
        "RTP/SAVPF",
    ];
    let list = flags.map(|flag| format!("{flag:?}")).join(",");
    let (message, warnings) = offer(&format!(r#""flags":[{list}]"#));
    assert_eq!(message.addressing.source, AddressSource::Sdp);
    assert_eq!(message.sdes.usage, SdesUse::Off);
    assert_eq!(codecs(&message), ["Transcode PCMU", "Transcode G722"]);
    assert_eq!(message.rtcp_mux.onward, MuxOnward::Separate);
    assert!(message.rewrite.replace.has(Replace::Origin));
    assert_eq!(message.ice.mode, IceMode::Force);
    // A profile is a flag only in `rtpp-flags`.
    assert_eq!(warnings.to_string(), "unknown flag RTP/SAVPF");
}

#[test]
fn every_word_of_the_table_is_understood() {
    for info in FLAGS {
        let field = match info.key {
            // What a template stands for is the operator's.
            "call-id" | "from-tag" | "to-tag" | "sdp" | "template" => continue,
            "sdp-attr" => format!(r#""sdp-attr":{{"audio":{{"{}":["a>b"]}}}}"#, info.name),
            "codec" | "extmap" => format!(r#""{}":{{"{}":["x"]}}"#, info.key, info.name),
            "received-from" | "media-address" | "peer" | "inbound-peer" | "outbound-peer" => {
                format!(r#""{}":"192.0.2.1""#, info.key)
            }
            "sip-message-type" => r#""sip-message-type":"request""#.to_owned(),
            "sip-code" | "delete-delay" | "TOS" | "T.38-version" | "ptime" | "ptime-reverse"
            | "volume" | "frequency" | "trigger-end-time" | "trigger-end-digits" | "DTMF-delay"
            | "delay-buffer" => format!(r#""{}":"7""#, info.key),
            key => format!(r#""{key}":"{}""#, info.name),
        };
        let (message, warnings) = offer(&field);
        assert!(warnings.is_empty(), "{field}: {warnings}");
        let (plain, _) = offer(r#""flags":[]"#);
        let default = info.key == "ICE" && info.name == "default";
        if info.status != Status::NoEffect && !default {
            assert_ne!(message, plain, "{field} changes something");
        }
    }
}

#[test]
fn every_flag_and_every_key_has_a_row_in_the_table() {
    for flag in Flag::ALL.iter().copied() {
        let spelled = WORDS.names().iter().any(|(name, word)| {
            let means_it =
                *word == FlagWord::Set(flag) || *word == FlagWord::WebRtc && flag == Flag::WebRtc;
            means_it && row("flags", name)
        });
        assert!(spelled, "{flag:?} has no row");
    }
    let mut seen: Vec<Key> = Vec::new();
    for info in FLAGS {
        seen.extend(KEYS.get(info.key.as_bytes()));
    }
    for (name, key) in KEYS.names() {
        let elsewhere = matches!(key, Key::Command | Key::RtppFlags | Key::Elsewhere)
            || matches!(name, &"limit" | &"body");
        assert!(elsewhere || seen.contains(key), "{name} has no row");
    }
}

#[test]
fn keys_are_known_in_every_spelling() {
    for spelling in ["call-id", "call-ID", "call id", "CALL_ID"] {
        let text = format!(r#"{{"command":"query","{spelling}":"c"}}"#);
        assert_eq!(
            parsed(&text)
                .0
                .map(|request| request.call_id().map(<[u8]>::to_vec)),
            Ok(Some(b"c".to_vec()))
        );
    }
    let (message, warnings) = offer(
        r#""ICE lite":"bkw","t38":"decode,no-v27ter","Transport Protocol":"rtp/avpf","DTLS_reverse":"passive",
           "SIP source address":"","delete delay":"0030""#,
    );
    assert_eq!(message.ice.lite, Some(IceLite::Backward));
    assert!(message.t38.flags.has(T38Flag::Decode) && message.t38.flags.has(T38Flag::NoV27ter));
    assert_eq!(message.proto, ProtoChoice::To(Proto::RtpAvpf));
    assert_eq!(message.dtls.mode, DtlsMode::Passive);
    assert_eq!(message.delete_delay, Some(30));
    assert_eq!(warnings.to_string(), "unknown key SIP source address");
}

#[test]
fn flags_are_known_in_every_spelling() {
    for spelling in [
        "SIP-source-address",
        "sip-source-address",
        "SIP source address",
        "sip_source_address",
    ] {
        let (message, warnings) = offer(&format!(r#""flags":["{spelling}"]"#));
        assert_eq!(message.addressing.source, AddressSource::Signalling);
        assert!(warnings.is_empty());
    }
}

#[test]
fn lists_may_be_strings_with_commas() {
    let (message, warnings) = offer(
        r#""replace":"origin,SDP-version","rtcp-mux":"offer,require","flags":"strict-source,port-latching",
           "supports":"load limit","OSRTP":"offer,accept-legacy""#,
    );
    assert!(warnings.is_empty(), "{warnings}");
    assert!(message.rewrite.replace.has(Replace::SdpVersion));
    assert_eq!(message.rtcp_mux.onward, MuxOnward::Require);
    assert_eq!(message.learning.source_check, SourceCheck::Strict);
    assert_eq!(message.learning.port_latching, PortLatching::Keep);
    assert_eq!(message.load_limit, LoadLimitReply::Result);
    assert_eq!(message.osrtp.offer, Some(OsrtpForm::Rfc));
    assert!(message.osrtp.accept.has(OsrtpForm::Legacy));
}

#[test]
fn flags_with_a_prefix_are_members_of_other_keys() {
    let (message, warnings) = offer(
        r#""flags":["replace-zero-address","rtcp-mux-reject","SDES-only-AES_CM_128_HMAC_SHA1_80",
            "SDES-no-new","OSRTP-accept","BUNDLE-strict","BUNDLE-accept","codec-strip-PCMA",
            "codec-mask-opus/48000/2///useinbandfec--1..x","transcode-G722","T.38-decode","T38-no-V.17",
            "endpoint-learning-immediate","sdp-attr-add-audio-ptime:20",
            "sdp-attr-substitute-none-ice-lite>ice..full","DTLS-passive","media-echo-bk",
            "extmap-mask-urn:x","DTLS-fingerprint=sha-512","delete-delay=5","from-tags-a"]"#,
    );
    assert!(warnings.is_empty(), "{warnings}");
    assert!(message.rewrite.replace.has(Replace::ZeroAddress));
    assert_eq!(message.rtcp_mux.inward, MuxInward::Reject);
    assert_eq!(message.sdes.only, [&b"AES_CM_128_HMAC_SHA1_80"[..]]);
    assert!(message.sdes.flags.has(SdesFlag::NoNew));
    assert!(message.osrtp.accept.has(OsrtpForm::Rfc));
    assert_eq!(message.bundle.onward, BundleOnward::Strict);
    assert_eq!(message.bundle.inward, BundleInward::Accept);
    assert_eq!(
        codecs(&message),
        [
            "Strip PCMA",
            "Mask opus/48000/2///useinbandfec=1 x",
            "Transcode G722"
        ]
    );
    assert!(message.t38.flags.has(T38Flag::Decode) && message.t38.flags.has(T38Flag::NoV17));
    assert_eq!(message.learning.mode, Some(EndpointLearning::Immediate));
    assert_eq!(message.dtls.mode, DtlsMode::Passive);
    assert_eq!(message.dtls.fingerprint, Some(FingerprintHash::Sha512));
    assert_eq!(message.learning.echo, Some(MediaEcho::Backwards));
    assert_eq!(message.extmap.mask, [&b"urn:x"[..]]);
    assert_eq!(message.delete_delay, Some(5));
    assert_eq!(
        message.rewrite.sdp_attr.edits,
        [
            (
                AttrSection::Audio,
                AttrEdit::Add(Cow::Borrowed(b"ptime:20"))
            ),
            (
                AttrSection::Global,
                AttrEdit::Substitute {
                    from: Cow::Borrowed(b"ice-lite"),
                    to: Cow::Borrowed(b"ice full"),
                }
            ),
        ]
    );
}

#[test]
fn the_flag_string_has_flags_keys_lists_and_dictionaries() {
    let (message, warnings) = offer(
        r#""rtpp-flags":"trust-address  replace-origin ICE=remove rtcp-mux=[demux accept] SRTP AVPF direction=priv direction=pub TOS=184 sdp-attr=[audio=[add=[ptime:20 x=y] substitute=[[a b] [c d]]] none=[remove=[ice-lite]]] codec-strip=[PCMA G729] codec-mask=opus to-tag=t2 codec=[offer=[G722 PCMU]] extmap=[strip=all] nonsense""#,
    );
    assert_eq!(warnings.to_string(), "unknown flag nonsense");
    assert_eq!(message.addressing.source, AddressSource::Sdp);
    assert_eq!(message.ice.mode, IceMode::Remove);
    assert_eq!(message.rtcp_mux.onward, MuxOnward::Separate);
    assert_eq!(message.proto, ProtoChoice::To(Proto::RtpSavpf));
    let interfaces = &message.addressing.interfaces;
    assert_eq!(
        interfaces.from,
        InterfaceChoice::Named(Cow::Borrowed(b"priv"))
    );
    assert_eq!(interfaces.to, InterfaceChoice::Named(Cow::Borrowed(b"pub")));
    assert_eq!(message.tos, Tos::Set(184));
    assert_eq!(message.rewrite.sdp_attr.edits.len(), 5);
    assert_eq!(
        message.rewrite.sdp_attr.edits[2],
        (
            AttrSection::Audio,
            AttrEdit::Substitute {
                from: b"a"[..].into(),
                to: b"b"[..].into()
            }
        )
    );
    assert_eq!(
        codecs(&message),
        [
            "Strip PCMA",
            "Strip G729",
            "Mask opus",
            "Offer G722",
            "Offer PCMU"
        ]
    );
    assert_eq!(message.to_tag.as_deref(), Some(&b"t2"[..]));
    assert!(message.flags.has(Flag::ToTag));
    assert_eq!(message.extmap.strip, [&b"all"[..]]);
}

#[test]
fn words_of_the_flag_string_spell_a_profile() {
    let cases = [
        ("RTP", Proto::RtpAvp),
        ("AVP", Proto::RtpAvp),
        ("RTP AVPF", Proto::RtpAvpf),
        ("SRTP AVP", Proto::RtpSavp),
        ("AVPF SRTP", Proto::RtpSavpf),
        ("DTLS AVPF SRTP", Proto::UdpTlsRtpSavpf),
        ("DTLS", Proto::UdpTlsRtpSavp),
        ("UDP/TLS/RTP/SAVPF", Proto::UdpTlsRtpSavpf),
        ("transport-protocol=RTP/SAVP AVPF", Proto::RtpSavp),
    ];
    for (words, proto) in cases {
        let (message, warnings) = offer(&format!(r#""rtpp-flags":"{words}""#));
        assert_eq!(message.proto, ProtoChoice::To(proto), "{words}");
        assert!(warnings.is_empty(), "{words}: {warnings}");
    }
}

#[test]
fn the_messages_own_keys_win_over_the_flag_string() {
    let (message, _) = offer(
        r#""ICE":"force","rtpp-flags":"ICE=remove direction=a direction=b","direction":["c","d"]"#,
    );
    assert_eq!(message.ice.mode, IceMode::Force);
    assert_eq!(
        message.addressing.interfaces.from,
        InterfaceChoice::Named(Cow::Borrowed(b"c"))
    );
    assert_eq!(
        message.addressing.interfaces.to,
        InterfaceChoice::Named(Cow::Borrowed(b"d"))
    );
}

#[test]
fn brackets_that_never_end_or_nest_deeply_are_harmless() {
    for words in [
        "[".repeat(10_000),
        "a=[".repeat(5_000),
        "]".repeat(10_000),
        format!("sdp-attr={}x{}", "[".repeat(9_000), "]".repeat(9_000)),
    ] {
        let (_, warnings) = offer(&format!(r#""rtpp-flags":"{words}""#));
        assert!(!warnings.is_empty());
    }
}

#[test]
fn long_strings_are_read_in_linear_time() {
    // The escape makes the string owned: parts are then copies, and copies of rests would add up.
    for field in [
        "flags",
        "replace",
        "SDES",
        "rtcp-mux",
        "direction",
        "codec-strip",
        "rtpp-flags",
    ] {
        for part in ["a,", "order:a;", "a ", "[", "a=[b ", "x=y "] {
            let text = part.repeat(60_000 / part.len());
            let (_, warnings) = offer(&format!(r#""{field}":"\u0041{text}""#));
            assert!(warnings.dropped() < 2 * 1024, "{field} {part}");
        }
    }
}

#[test]
fn the_webrtc_alias_fills_what_is_not_said() {
    for spelling in ["WebRTC", "webrtc", "WEBRTC", "webRTC"] {
        let (message, _) = offer(&format!(r#""flags":["{spelling}"]"#));
        assert_eq!(message.proto, ProtoChoice::To(Proto::UdpTlsRtpSavpf));
        assert_eq!(message.ice.mode, IceMode::Force);
        assert_eq!(message.rtcp_mux.onward, MuxOnward::Require);
        assert_eq!(message.rewrite.rtcp_attribute, RtcpAttribute::Omit);
        assert_eq!(message.sdes.usage, SdesUse::Off);
        assert_eq!(message.bundle.onward, BundleOnward::Require);
        assert!(message.flags.has(Flag::TrickleIce) && message.flags.has(Flag::GenerateMid));
    }
    let (message, _) =
        offer(r#""flags":["WebRTC"],"transport-protocol":"RTP/SAVPF","ICE":"remove""#);
    assert_eq!(message.proto, ProtoChoice::To(Proto::RtpSavpf));
    assert_eq!(message.ice.mode, IceMode::Remove);
}

#[test]
fn leftovers_without_effect_are_silent() {
    let (message, warnings) = offer(
        r#""flags":["symmetric","force","repacketize","trust-address"],"replace":["session-connection"]"#,
    );
    assert!(warnings.is_empty());
    assert!(message.flags.is_empty() && message.rewrite.replace.is_empty());
}

#[test]
fn what_is_not_known_warns_and_never_fails() {
    let (_, warnings) = offer(
        r#""flags":["wibble","sdp-attr-frobnicate-audio-x"],"replace":["everything"],"colour":"blue",
           "ICE":"melt","TOS":"high","codec":{"paint":["PCMA"]},"received-from":["IP4","nowhere"],
           "rtcp-mux":{"a":1},"sdp-attr":"x","address-family":"IP5","transport-protocol":"RTP/XVP""#,
    );
    let seen: Vec<_> = warnings
        .iter()
        .map(|warning| (warning.kind, warning.key.as_str()))
        .collect();
    let value = |key| (WarningKind::UnknownValue, key);
    assert_eq!(
        seen,
        [
            (WarningKind::UnknownKey, "colour"),
            (WarningKind::UnknownFlag, "flags"),
            (WarningKind::UnknownFlag, "flags"),
            value("replace"),
            value("ICE"),
            value("TOS"),
            value("codec"),
            value("received-from"),
            value("rtcp-mux"),
            value("sdp-attr"),
            value("address-family"),
            value("transport-protocol"),
        ]
    );
}

#[test]
fn the_first_of_a_key_given_twice_counts() {
    let (message, warnings) = offer(r#""label":"one","from-label":"two","TOS":1,"tos":2"#);
    assert_eq!(message.label.as_deref(), Some(&b"one"[..]));
    assert_eq!(message.tos, Tos::Set(1));
    assert_eq!(
        warnings.to_string(),
        "key from-label given twice; key tos given twice"
    );
}

#[test]
fn sip_message_types_and_codes_tell_final_replies() {
    let is_final = |fields: &str| offer(fields).0.is_final_reply();
    assert!(is_final(r#""sip-message-type":"sip_reply","sip-code":200"#));
    assert!(is_final(
        r#""sip-message-type":"SIP response","sip-response-code":"486""#
    ));
    assert!(!is_final(
        r#""sip-message-type":"sip_reply","sip-code":183"#
    ));
    assert!(!is_final(
        r#""sip-message-type":"sip_reply","sip-code":200,"flags":["provisional"]"#
    ));
    assert!(!is_final(r#""sip-message-type":"sip_request""#));
    let (message, _) = offer(r#""sip-message-type":"SIP request""#);
    assert_eq!(message.sip.kind, Some(SipMessageKind::Request));
}

#[test]
fn addresses_are_read_in_every_form() {
    let ip: Option<IpAddr> = "2001:db8::7".parse().ok();
    for form in [
        r#"["IP6","2001:db8::7"]"#,
        r#""2001:db8::7""#,
        r#""[2001:db8::7]""#,
        r#""IP6 2001:db8::7""#,
        r#""IP6,2001:db8::7""#,
    ] {
        let (message, warnings) = offer(&format!(r#""received from":{form}"#));
        assert_eq!(message.addressing.received_from, ip, "{form}");
        assert!(warnings.is_empty());
    }
}

#[test]
fn sections_can_be_removed_by_media_type() {
    let (message, _) = offer(r#""sdp-media-remove":["video","other"]"#);
    assert_eq!(
        message.rewrite.media_remove,
        [MediaType::Video, MediaType::Other].into_iter().collect()
    );
}

#[test]
fn asymmetric_means_never_learn() {
    let (message, _) = offer(r#""flags":["asymmetric"],"endpoint-learning":"immediate""#);
    assert_eq!(message.endpoint_learning(), Some(EndpointLearning::Off));
}

#[test]
fn what_is_missing_is_named_in_the_order_of_the_manual() {
    let error = |text: &str| parsed(text).0.expect_err("incomplete");
    assert_eq!(error("{}"), NgError::NoCommand);
    assert_eq!(error(r#"{"command":["offer"]}"#), NgError::NoCommand);
    assert_eq!(error("[]"), NgError::NoCommand);
    assert_eq!(
        error(r#"{"command":"dance"}"#),
        NgError::UnrecognizedCommand
    );
    assert_eq!(error(r#"{"command":"offer"}"#), NgError::NoSdp);
    assert_eq!(
        error(r#"{"command":"offer","sdp":"","call-id":"c"}"#),
        NgError::NoSdp
    );
    assert_eq!(error(r#"{"command":"offer","sdp":"v"}"#), NgError::NoCallId);
    assert_eq!(
        error(r#"{"command":"offer","sdp":"v","call-id":"c"}"#),
        NgError::NoFromTag
    );
    let answer = r#"{"command":"answer","sdp":"v","call-id":"c","from-tag":"f"}"#;
    assert_eq!(error(answer), NgError::NoToTag);
    assert_eq!(
        error(r#"{"command":"delete","from-tag":"f"}"#),
        NgError::NoCallId
    );
    assert_eq!(error(r#"{"command":"query"}"#), NgError::NoCallId);
    assert_eq!(
        error(r#"{"command":"list","limit":-1}"#),
        NgError::InvalidLimit
    );
    assert_eq!(error(r#"{"command":"cli"}"#), NgError::NoBody);
}

#[test]
fn small_commands_are_read() {
    let request = |text: &str| format!("{:?}", parsed(text).0.expect("a request"));
    assert_eq!(
        request(r#"{"command":"ping"}"#),
        format!("{:?}", Request::Ping)
    );
    assert_eq!(
        request(r#"{"command":"list"}"#),
        format!("{:?}", Request::List { limit: 32 })
    );
    assert_eq!(
        request(r#"{"command":"list","limit":"99"}"#),
        format!("{:?}", Request::List { limit: 99 })
    );
    assert_eq!(
        request(r#"{"command":"statistics"}"#),
        format!("{:?}", Request::Statistics)
    );
    assert_eq!(
        request(r#"{"command":"CLI","body":"list totals"}"#),
        format!("{:?}", Request::Cli(b"list totals"[..].into()))
    );
    assert_eq!(
        request(r#"{"command":"play media"}"#),
        format!("{:?}", Request::Unsupported(Command::PlayMedia))
    );
}

#[test]
fn deletes_heed_the_to_tag_only_when_told_to() {
    let delete = |flags: &str| {
        let text = format!(
            r#"{{"command":"delete","call-id":"c","from-tag":"f","to-tag":"t","delete delay":0,"flags":[{flags}]}}"#
        );
        match parsed(&text).0 {
            Ok(Request::Delete(delete)) => (
                delete.to_tag.map(Cow::into_owned),
                delete.delay,
                delete.flags,
            ),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(delete("").0, None);
    assert_eq!(delete(r#""to-tag""#).0, Some(b"t".to_vec()));
    let (_, delay, flags) = delete(r#""fatal","fast""#);
    assert_eq!(delay, Some(0));
    assert!(flags.has(Flag::Fatal) && flags.has(Flag::Fast));
}

proptest! {
    #[test]
    fn arbitrary_datagrams_never_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(envelope) = parse_envelope(&text) {
            drop(Request::parse(&envelope.body));
        }
    }

    #[test]
    fn arbitrary_words_under_known_keys_never_panic(
        fields in proptest::collection::vec((0..KEYS.names().len(), "[ -~]{0,30}"), 0..12),
    ) {
        let mut dict = Dict::new().with("command", "offer").with("sdp", "v=0").with("call-id", "c");
        for (key, text) in &fields {
            dict.push(KEYS.names()[*key].0.as_bytes(), Value::str(text));
        }
        let (result, _) = Request::parse(&Value::Dict(dict));
        prop_assert!(!matches!(result, Err(NgError::NoSdp | NgError::NoCallId)));
    }

    #[test]
    fn arbitrary_flag_strings_never_panic(words in "[ =a-z\\[\\]-]{0,120}") {
        let dict = Dict::new().with("command", "offer").with("sdp", "v=0").with("call-id", "c")
            .with("from-tag", "f").with("rtpp-flags", words.as_str());
        prop_assert!(Request::parse(&Value::Dict(dict)).0.is_ok());
    }

    #[test]
    fn arbitrary_flags_never_fail(flag in ".{0,80}") {
        let dict = Dict::new().with("command", "offer").with("sdp", "v=0").with("call-id", "c")
            .with("from-tag", "f").with("flags", vec![Value::str(&flag)]);
        prop_assert!(Request::parse(&Value::Dict(dict)).0.is_ok());
    }
}

fn row(key: &str, name: &str) -> bool {
    FLAGS.iter().any(|info| {
        spelling::same(info.key.as_bytes(), key.as_bytes())
            && spelling::same(info.name.as_bytes(), name.as_bytes())
    })
}

fn parsed(text: &str) -> (Result<Request<'static>, NgError>, Warnings) {
    let text: &'static [u8] = text.as_bytes().to_vec().leak();
    let (value, _) = json::decode(text, Limits::REQUEST).expect("valid JSON");
    Request::parse(&value)
}

fn offer(fields: &str) -> (OfferAnswer<'static>, Warnings) {
    let text =
        format!(r#"{{"command":"offer","call-id":"c","from-tag":"f","sdp":"v=0",{fields}}}"#);
    match parsed(&text) {
        (Ok(Request::Offer(offer)), warnings) => (*offer, warnings),
        other => panic!("{other:?}"),
    }
}

fn with_sdp(line: &str) -> Value<'_> {
    let (value, _) = json::decode(line.as_bytes(), Limits::REQUEST).expect("valid JSON");
    let Value::Dict(mut dict) = value else {
        panic!("a dictionary")
    };
    dict.push(&b"sdp"[..], Value::str("v=0\r\n"));
    Value::Dict(dict)
}

fn offer_or_answer(line: &str) -> (OfferAnswer<'_>, Warnings) {
    match Request::parse(&with_sdp(line)) {
        (Ok(Request::Offer(message) | Request::Answer(message)), warnings) => (*message, warnings),
        other => panic!("{other:?}"),
    }
}

fn codecs(message: &OfferAnswer<'_>) -> Vec<String> {
    let ops = message.codecs.ops.iter();
    ops.map(|(op, codec)| format!("{op:?} {}", String::from_utf8_lossy(codec)))
        .collect()
}
