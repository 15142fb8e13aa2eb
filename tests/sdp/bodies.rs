//! Bodies of real programs: what is not ours goes through, whatever they wrote.

use patchcord_contract::Time;
use patchcord_control::{Clock, Control, Outcome, Seed, Settings};
use patchcord_wire::ng::{Reply, Request};
use patchcord_wire::value::{Dict, Value};

use crate::shelf::Shelf;

/// Lines that a relay may drop, add or move.
fn is_ours(line: &str) -> bool {
    const OURS: [&str; 30] = [
        "c=",
        "m=",
        "a=rtcp:",
        "a=rtcp-mux",
        "a=sendrecv",
        "a=sendonly",
        "a=recvonly",
        "a=inactive",
        "a=candidate:",
        "a=end-of-candidates",
        "a=ice-",
        "a=fingerprint:",
        "a=setup:",
        "a=crypto:",
        "a=group:BUNDLE",
        "a=bundle-only",
        "a=extmap-allow-mixed",
        "a=ptime:",
        "a=maxptime:",
        "a=rtpmap:0 ",
        "a=rtpmap:8 ",
        "a=rtpmap:18 ",
        "a=rtpmap:9 ",
        "a=rtpmap:13 ",
        "a=mid:",
        "a=tls-id:",
        "a=connection:",
        "a=remote-candidates",
        "a=key-mgmt:",
        "a=rtcp-mux-only",
    ];
    OURS.iter().any(|prefix| line.starts_with(prefix))
}

/// The lines that are not ours, without those about payload types that no m= line names.
fn others(body: &str) -> Vec<&str> {
    let mut payload_types: Vec<&str> = Vec::new();
    let mut lines = Vec::new();
    for line in body.lines() {
        if line.starts_with("m=") {
            payload_types = line.split_whitespace().skip(3).collect();
        }
        let about = ["a=rtpmap:", "a=fmtp:", "a=rtcp-fb:"]
            .iter()
            .find_map(|p| line.strip_prefix(p));
        let named = about.is_none_or(|rest| {
            let payload_type = rest.split_whitespace().next().unwrap_or_default();
            payload_type == "*" || payload_types.contains(&payload_type)
        });
        if named && !is_ours(line) {
            lines.push(line);
        }
    }
    lines.sort_unstable();
    lines
}

/// Offers a body in a fresh call; returns the body that goes on.
fn relay(body: &str) -> String {
    let ip: std::net::IpAddr = [203, 0, 113, 1].into();
    let mut settings = Settings::with_address(ip.into());
    let mut six = settings.interfaces[0].clone();
    six.address = std::net::IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]).into();
    six.advertised = six.address;
    settings.interfaces.push(six);
    let mut shelf = Shelf::new(&settings, 100);
    let mut control = Control::new(settings, &Seed::of_number(1));
    let clock = Clock {
        now: Time::from_secs(1),
        wall_us: 1,
    };
    let request = Dict::new()
        .with("command", "offer")
        .with("call-id", "c")
        .with("from-tag", "a")
        .with("ICE", "remove")
        .with("sdp", body.as_bytes());
    let value = Value::Dict(request);
    let (request, warnings) = Request::parse(&value);
    let request = request.expect("a complete request");
    let mut commands = Vec::new();
    let outcome = control.request(clock, &request, &warnings, &mut shelf, &mut commands);
    let Outcome::Reply(Reply::Ok { sdp: Some(sdp), .. }) = outcome else {
        panic!("refused: {outcome:?}\n{body}")
    };
    String::from_utf8(sdp.into_owned()).expect("text stays text")
}

#[test]
fn what_is_not_ours_stays_in_every_real_body() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sdp/bodies");
    let mut seen = 0;
    for entry in std::fs::read_dir(dir).expect("the bodies are there") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|extension| extension != "sdp") {
            continue;
        }
        let body = std::fs::read_to_string(&path).expect("a readable body");
        let out = relay(&body);
        assert_eq!(others(&out), others(&body), "{}", path.display());
        let sections = |text: &str| text.lines().filter(|line| line.starts_with("m=")).count();
        assert_eq!(sections(&out), sections(&body), "{}", path.display());
        assert_eq!(
            out.lines().filter(|line| line.starts_with("c=")).count(),
            sections(&out),
            "one c= a section: {}",
            path.display()
        );
        assert!(!out.contains("candidate:"), "{}", path.display());
        assert!(out.ends_with("\r\n"), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 60, "only {seen} bodies");
}
