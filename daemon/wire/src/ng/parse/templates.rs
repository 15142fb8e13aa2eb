//! Templates: which are read, in what order, and that none can be read for ever.

use super::*;
use crate::ng::mux::MuxOnward;

fn offer<'a>(keys: &[(&'a str, Value<'a>)], templates: &'a Templates) -> (OfferAnswer<'a>, String) {
    let fixed = [
        ("command", Value::from("offer")),
        ("call-id", Value::from("c")),
        ("from-tag", Value::from("a")),
        ("sdp", Value::from("v=0")),
    ];
    let all = fixed.iter().chain(keys);
    let dict: Dict<'a> = all
        .map(|(key, value)| (Cow::Borrowed(key.as_bytes()), value.clone()))
        .collect();
    let (request, warnings) = Request::parse_with(&Value::Dict(dict), templates);
    match request {
        Ok(Request::Offer(message)) => (*message, warnings.to_string()),
        other => panic!("{other:?}"),
    }
}

fn label<'a>(message: &'a OfferAnswer<'_>) -> &'a str {
    let label = message.label.as_deref().expect("a label");
    std::str::from_utf8(label).expect("text")
}

#[test]
fn what_is_said_closer_to_the_message_wins() {
    let names = ["default", "offer", "answer", "wanted"];
    let all: Templates = names
        .iter()
        .map(|name| (name, format!("label={name}")))
        .collect();
    let only = |names: &[&str]| -> Templates {
        let texts = names
            .iter()
            .filter_map(|name| Some((name, all.get(name.as_bytes())?)));
        texts.collect()
    };
    let wanted = [("template", Value::from("wanted"))];
    let said = [
        ("template", Value::from("wanted")),
        ("label", Value::from("said")),
    ];
    let flags = [("rtpp-flags", Value::from("label=flags template=wanted"))];
    assert_eq!(
        label(&offer(&[], &only(&["default", "answer"])).0),
        "default"
    );
    assert_eq!(label(&offer(&[], &all).0), "offer", "not the answer's");
    assert_eq!(label(&offer(&wanted, &all).0), "wanted");
    assert_eq!(label(&offer(&said, &all).0), "said");
    assert_eq!(
        label(&offer(&flags, &all).0),
        "wanted",
        "where it stands in the string"
    );
}

#[test]
fn templates_nest_and_end() {
    let round = [
        ("a", "template=b label=a"),
        ("b", "template=a rtcp-mux=require"),
    ];
    let round: Templates = round.into_iter().collect();
    let (message, warnings) = offer(&[("template", Value::from("A"))], &round);
    assert_eq!((label(&message), warnings.as_str()), ("a", ""));
    assert_eq!(message.rtcp_mux.onward, MuxOnward::Require);
    let deep: Templates = (0..1000)
        .map(|n| (n.to_string(), format!("template={}", n + 1)))
        .collect();
    let (_, warnings) = offer(&[("template", Value::from("0"))], &deep);
    assert_eq!(warnings, "unknown value nested too deep of template");
}

#[test]
fn an_unknown_template_is_told_by_name() {
    let none = Templates::default();
    for key in ["template", "templates"] {
        let (_, warnings) = offer(&[(key, Value::from("nope"))], &none);
        assert_eq!(warnings, "unknown value nope of template");
    }
    let (_, warnings) = offer(&[("flags", Value::from("template=nope"))], &none);
    assert_eq!(warnings, "unknown value nope of template");
}

#[test]
fn the_shipped_example_for_browsers_is_understood() {
    let example = "transport-protocol=UDP/TLS/RTP/SAVPF ICE=force trickle-ICE rtcp-mux=[offer require] \
                   no-rtcp-attribute SDES=off generate-mid";
    let all: Templates = [("WebRTC", example)].into_iter().collect();
    let (message, warnings) = offer(&[("template", Value::from("webrtc"))], &all);
    assert_eq!(warnings, "");
    assert_eq!(message.proto, ProtoChoice::To(Proto::UdpTlsRtpSavpf));
    assert_eq!(message.rewrite.rtcp_attribute, RtcpAttribute::Omit);
    assert!(message.flags.has(Flag::TrickleIce) && message.flags.has(Flag::GenerateMid));
}
