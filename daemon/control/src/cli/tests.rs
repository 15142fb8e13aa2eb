use patchcord_contract::{Addr, Reason};
use patchcord_media::flow::PortId;
use patchcord_wire::json;
use patchcord_wire::ng::Request;
use patchcord_wire::value::Limits;

use super::*;
use crate::Settings;
use crate::ports::{Lease, LeasedPort, NoPorts, Want};

/// Every pair of ports in turn, none ever given back.
struct Endless(u16);

impl Ports for Endless {
    fn lease(&mut self, _now: patchcord_contract::Time, _want: Want) -> Result<Lease, NoPorts> {
        let mut next = || {
            self.0 += 1;
            let id = PortId::new(3, u32::from(self.0)).ok_or(NoPorts)?;
            Ok(LeasedPort {
                id,
                port: 30_000 + self.0 - 1,
            })
        };
        Ok(Lease {
            rtp: next()?,
            rtcp: Some(next()?),
        })
    }

    fn release(&mut self, _now: patchcord_contract::Time, _port: LeasedPort) {}
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
                   m=audio 4000 RTP/AVP 8\r\na=sendonly\r\n";

/// A relay with an offer for each call-id.
fn offered(ids: &[&str]) -> Control {
    let address = Addr::from(std::net::IpAddr::from([203, 0, 113, 1]));
    let mut settings = Settings::with_address(address);
    settings.interfaces[0].advertised = Addr::from(std::net::IpAddr::from([198, 51, 100, 1]));
    let mut control = Control::new(settings, &crate::Seed::of_number(1));
    let mut ports = Endless(0);
    for id in ids {
        let body = Value::Dict(
            Dict::new()
                .with("command", "offer")
                .with("call-id", *id)
                .with("from-tag", "alice")
                .with("sdp", SDP),
        );
        let (request, warnings) = Request::parse(&body);
        let request = request.expect("a good offer");
        let clock = Clock::default();
        let outcome = control.request(clock, &request, &warnings, &mut ports, &mut Vec::new());
        assert!(
            matches!(&outcome, Outcome::Reply(Reply::Ok { .. })),
            "{outcome:?}"
        );
    }
    control
}

/// The reply to a line: its text, or the error.
fn answer(control: &mut Control, line: &str) -> Result<Vec<u8>, String> {
    let outcome = run(
        control,
        Clock::default(),
        line.as_bytes(),
        &mut Endless(0),
        &mut Vec::new(),
    );
    match outcome {
        Outcome::Reply(Reply::Ok { extra, .. }) => {
            let entries = extra.entries();
            let response = entries.get("response").and_then(Value::as_bytes);
            Ok(response.unwrap_or_default().to_vec())
        }
        Outcome::Reply(Reply::Error(why)) => Err(why.into_owned()),
        Outcome::Reply(Reply::Pong | Reply::LoadLimit(_)) | Outcome::Process(_) => {
            panic!("no text answers {line}")
        }
    }
}

fn document(control: &mut Control, line: &str) -> Value<'static> {
    let text = answer(control, line).expect("a document");
    json::decode(&text, Limits::REPLY)
        .expect("it is JSON")
        .0
        .into_owned()
}

fn ids(document: &Value<'_>) -> Vec<String> {
    let calls = document
        .get("calls")
        .and_then(Value::as_list)
        .unwrap_or_default();
    let ids = calls
        .iter()
        .filter_map(|call| call.get("call_id")?.as_str());
    ids.map(str::to_owned).collect()
}

#[test]
fn calls_are_listed_page_by_page() {
    let mut control = offered(&["a", "b", "c"]);
    assert_eq!(ids(&document(&mut control, "json calls")), ["a", "b", "c"]);
    assert_eq!(ids(&document(&mut control, "json calls 1")), ["b", "c"]);
    assert_eq!(ids(&document(&mut control, "json calls 0 2")), ["a", "b"]);
    assert_eq!(ids(&document(&mut control, "json calls 2 2")), ["c"]);
    assert_eq!(ids(&document(&mut control, "json calls 7 2")), [""; 0]);
    assert!(answer(&mut control, "json calls many").is_err());
    assert!(answer(&mut control, "json calls 1 2 3").is_err());
}

#[test]
fn a_call_in_the_list_says_who_is_there() {
    let mut control = offered(&["a"]);
    let list = document(&mut control, "json calls");
    let call = &list.get("calls").and_then(Value::as_list).expect("a list")[0];
    let one = |key: &str| call.get(key).and_then(Value::as_list).expect("a list")[0].as_str();
    assert_eq!(
        (one("tags"), one("peers")),
        (Some("alice"), Some("192.0.2.7:4000"))
    );
    assert_eq!(call.get("lost").and_then(Value::as_int), Some(0));
    assert_eq!(call.get("worker").and_then(Value::as_int), Some(3));
}

#[test]
fn an_operator_reads_why_packets_were_dropped() {
    let mut control = offered(&["a"]);
    let key = control.calls.find(b"a").expect("it was offered");
    let call = control.calls.get(key).expect("it was offered");
    let stats = &call.legs[0].sections[0]
        .newest()
        .expect("it has ports")
        .rtp
        .stats;
    (0..7).for_each(|_| stats.drop_one(Reason::WrongSource));
    let document = document(&mut control, "json call a");
    let media = document
        .get("tags")
        .and_then(|tags| tags.get("alice")?.get("medias")?.as_list());
    let media = &media.expect("one leg of this name, with sections")[0];
    assert_eq!(
        media.get("direction").and_then(Value::as_str),
        Some("sendonly")
    );
    let port = &media
        .get("streams")
        .and_then(Value::as_list)
        .expect("ports")[0];
    let text = |key: &str| port.get(key).and_then(Value::as_str);
    assert_eq!(text("interface"), Some("default"));
    assert_eq!(text("local advertised address"), Some("198.51.100.1"));
    let drops = port
        .get("drops")
        .and_then(Value::as_dict)
        .expect("a dictionary");
    assert_eq!(
        (
            drops.len(),
            drops.get("wrong_source").and_then(Value::as_int)
        ),
        (1, Some(7))
    );
    assert!(answer(&mut control, "json call b").is_err());
}

#[test]
fn a_proxy_reads_rtpengines_entries_and_no_more() {
    let mut control = offered(&["a"]);
    let body = Dict::new()
        .with("command", "query")
        .with("call-id", "a")
        .into();
    let (request, warnings) = Request::parse(&body);
    let request = request.expect("a good query");
    let clock = Clock::default();
    let outcome = control.request(clock, &request, &warnings, &mut Endless(0), &mut Vec::new());
    let Outcome::Reply(Reply::Ok { extra, .. }) = outcome else {
        panic!("{outcome:?}")
    };
    let entries = extra.entries();
    let media = entries
        .get("tags")
        .and_then(|tags| tags.get("alice")?.get("medias")?.as_list());
    let media = &media.expect("one leg of this name, with sections")[0];
    let port = &media
        .get("streams")
        .and_then(Value::as_list)
        .expect("ports")[0];
    assert!(media.get("direction").is_none() && port.get("drops").is_none());
}
