//! Laws that hold after any sequence of requests, whatever it asks for.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::{Addr, Endpoint, Time};
use patchcord_control::{
    Clock, Control, Count, Interface, Lease, LeasedPort, NoPorts, Outcome, Ports, Seed, Settings,
    Want,
};
use patchcord_media::flow::{Command, Event, PortId, Security, Spec};
use patchcord_wire::ng::{Reply, Request};
use patchcord_wire::sdp::base64;
use patchcord_wire::value::{Dict, Value};
use proptest::prelude::*;

/// A keeper of ports that checks what it is asked.
#[derive(Default)]
struct Keeper {
    leased: BTreeSet<PortId>,
    next: u32,
    most: usize,
}

impl Keeper {
    fn open(&mut self, worker: u8) -> LeasedPort {
        let id = PortId::new(worker, self.next).expect("few ports");
        self.leased.insert(id);
        let port = 10_000 + (self.next % 50_000) as u16;
        self.next += 1;
        LeasedPort { id, port }
    }
}

impl Ports for Keeper {
    fn lease(&mut self, _now: Time, want: Want) -> Result<Lease, NoPorts> {
        if self.leased.len() + 2 > self.most {
            return Err(NoPorts);
        }
        self.next += self.next % 2;
        let worker = want.worker.unwrap_or((self.next / 2 % 4) as u8);
        let rtp = self.open(worker);
        let rtcp = (want.count == Count::Pair).then(|| self.open(worker));
        Ok(Lease { rtp, rtcp })
    }

    fn release(&mut self, _now: Time, port: LeasedPort) {
        assert!(
            self.leased.remove(&port.id),
            "only what is leased is given back, once"
        );
    }
}

struct World {
    control: Control,
    /// Keys in bodies that came, and in bodies that went on.
    heard: BTreeSet<Vec<u8>>,
    told: BTreeSet<Vec<u8>>,
    keeper: Keeper,
    flows: BTreeMap<PortId, Spec>,
    clock: Clock,
}

impl World {
    fn new(most: usize) -> Self {
        let ip = |text: &str| Addr::from(text.parse::<IpAddr>().expect("an address"));
        let mut settings = Settings::with_address(ip("203.0.113.1"));
        for (name, address) in [
            ("default", "2001:db8::1"),
            ("priv", "10.0.0.1"),
            ("g:1", "10.0.0.2"),
        ] {
            let address = ip(address);
            settings.interfaces.push(Interface {
                name: name.to_owned(),
                aliases: Vec::new(),
                address,
                advertised: address,
            });
        }
        Self {
            control: Control::new(settings, &Seed::of_number(7)),
            keeper: Keeper {
                most,
                ..Keeper::default()
            },
            heard: BTreeSet::new(),
            told: BTreeSet::new(),
            flows: BTreeMap::new(),
            clock: Clock {
                now: Time::from_secs(100),
                wall_us: 1_700_000_000_000_000,
            },
        }
    }

    fn request(&mut self, request: &Dict<'static>) -> (Reply<'static>, usize) {
        let value = Value::Dict(request.clone());
        let (parsed, warnings) = Request::parse(&value);
        let parsed = parsed.expect("steps are complete");
        let mut commands = Vec::new();
        let outcome = self.control.request(
            self.clock,
            &parsed,
            &warnings,
            &mut self.keeper,
            &mut commands,
        );
        let Outcome::Reply(reply) = outcome else {
            panic!("not about the process")
        };
        let count = commands.len();
        if let Some(body) = request.get("sdp").and_then(Value::as_bytes) {
            self.heard.extend(keys_in(body));
        }
        if let Reply::Ok {
            sdp: Some(body), ..
        } = &reply
        {
            self.told.extend(keys_in(body));
        }
        self.obey(commands);
        (reply, count)
    }

    fn tick(&mut self, seconds: u64) {
        self.clock.now = self.clock.now + Duration::from_secs(seconds);
        let mut commands = Vec::new();
        self.control
            .tick(self.clock, &mut self.keeper, &mut commands);
        self.obey(commands);
    }

    fn latch(&mut self) {
        let events: Vec<_> = self
            .flows
            .values()
            .map(|spec| Event::Latched {
                port: spec.port,
                peer: Endpoint::new(IpAddr::from([192, 0, 2, 77]), 7777),
                epoch: spec.admission.epoch,
                at: self.clock.now,
                settled: true,
            })
            .collect();
        let mut commands = Vec::new();
        for event in &events {
            self.control.event(self.clock, event, &mut commands);
        }
        self.obey(commands);
    }

    /// Does what workers do.
    fn obey(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Set(spec) => {
                    assert_ne!(
                        self.flows.get(&spec.port),
                        Some(&*spec),
                        "only changes are sent"
                    );
                    self.flows.insert(spec.port, Arc::unwrap_or_clone(spec));
                }
                Command::Clear(port) => {
                    self.flows
                        .remove(&port)
                        .expect("only flows that are there are cleared");
                }
                Command::Send { port, .. } => {
                    let leads = |spec: &Spec| {
                        let mut doors = spec.doors.iter().flat_map(|doors| &doors.ports);
                        spec.port == port || doors.any(|door| *door == port)
                    };
                    assert!(
                        self.flows.values().any(leads),
                        "only from flows that are there"
                    );
                }
            }
        }
    }

    /// What is received is decrypted with a key that came, what is sent is encrypted with one that was
    /// told, and nothing is secure in one direction only.
    fn check_keys(&self, spec: &Spec) {
        let key = |security: &Security| match security {
            Security::Srtp(keys) => Some(keys.inline().to_vec()),
            Security::Plain | Security::EndToEnd | Security::Pending => None,
        };
        if let Some(key) = key(&spec.receive) {
            assert!(self.heard.contains(&key), "a key that never came");
        }
        if let Some(key) = key(&spec.send) {
            assert!(self.told.contains(&key), "a key that nobody was told");
        }
        assert_eq!(
            spec.receive == Security::Plain,
            spec.send == Security::Plain
        );
        assert_eq!(
            spec.receive == Security::EndToEnd,
            spec.send == Security::EndToEnd
        );
    }

    fn check(&self) {
        let ports: BTreeSet<PortId> = self.flows.keys().copied().collect();
        assert_eq!(
            ports, self.keeper.leased,
            "every leased port has a flow, and no other"
        );
        assert_eq!(self.control.gauges().ports, ports.len());
        for spec in self.flows.values() {
            self.check_keys(spec);
            for sink in spec.rtp.iter().chain(&spec.rtcp) {
                assert!(
                    ports.contains(&sink.via),
                    "a sink leaves from a port with a flow"
                );
                assert_eq!(
                    sink.via.worker(),
                    spec.port.worker(),
                    "a call lives on one worker"
                );
                assert_ne!(sink.via, spec.port, "nothing is sent back");
            }
        }
    }
}

/// The keys of crypto lines.
fn keys_in(body: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let lines = body.split(|byte| matches!(byte, b'\r' | b'\n'));
    lines.filter_map(|line| {
        let text = std::str::from_utf8(line).ok()?.strip_prefix("a=crypto:")?;
        let (_, key) = text.split_once("inline:")?;
        let key = key.split(['|', ' ', ';']).next()?;
        let mut decoded = [0; 64];
        let len = base64::decode(key.as_bytes(), &mut decoded)?;
        Some(decoded[..len].to_vec())
    })
}

/// Crypto lines: good ones, the same again with another key, and bad ones.
fn crypto() -> impl Strategy<Value = String> {
    const LINES: [&str; 9] = [
        "1 AES_CM_128_HMAC_SHA1_80 inline:rimCP2dqWTGHu199g/krKFLNGBH/TWwW1xSpjVaP",
        "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4",
        "2 AES_CM_128_HMAC_SHA1_32 inline:QmPmorQNS/By39qFYiH4qnM/IpJv0sh7ILt9PZgh",
        "3 AES_CM_128_HMAC_SHA1_80 inline:Qr+youmT2KfWI6Wf7xW1N9jm1Jq2aHlkTbddOcn7",
        "2 AEAD_AES_256_GCM inline:9nQmpAVqdzvgaInzIx+K62UWlMUq+GSk5m3VLCJteXlKGr44kK8r6VTL8Qg",
        "4 AES_CM_128_HMAC_SHA1_80 inline:AAmCP2dqWTGHu199g/krKFLNGBH/TWwW1xSpjVaP UNENCRYPTED_SRTP",
        "5 AES_CM_128_HMAC_SHA1_80 inline:AAmCP2dqWTGHu199g/krKFLNGBH/TWwW1xSpjVaP KDR=4",
        "6 AES_CM_999_HMAC_SHA1_80 inline:AAmCP2dqWTGHu199g/krKFLNGBH/TWwW1xSpjVaP",
        "999999999 AES_256_CM_HMAC_SHA1_80 inline:TrJ44JQvKGsfLS3L5xKtJpOF/gf1RFCR0fupHLHYFDCPiTrL+YAma5/Ma4UOfA==",
    ];
    prop::collection::vec(prop::sample::select(&LINES[..]), 0..4).prop_map(|lines| {
        let lines = lines.iter().map(|line| format!("a=crypto:{line}\r\n"));
        lines.collect()
    })
}

fn section() -> impl Strategy<Value = String> {
    let kind = prop_oneof![Just("audio"), Just("video"), Just("image"), Just("message")];
    let port = prop_oneof![3 => Just(4000_u16), 2 => Just(4100), 1 => Just(0)];
    let proto = prop_oneof![
        5 => Just("RTP/AVP"),
        1 => Just("RTP/AVPF"),
        4 => Just("RTP/SAVP"),
        1 => Just("RTP/SAVPF"),
        1 => Just("UDP/TLS/RTP/SAVPF"),
        1 => Just("udptl"),
        1 => Just("TCP/MSRP")
    ];
    let rest = prop_oneof![
        3 => Just("a=sendrecv\r\n"),
        2 => Just("a=rtcp-mux\r\n"),
        1 => Just("a=sendonly\r\n"),
        1 => Just("c=IN IP4 0.0.0.0\r\n"),
        1 => Just("c=IN IP6 2001:db8:5::5\r\na=inactive\r\n"),
        1 => Just("a=rtcp:4999\r\na=mid:x\r\n")
    ];
    let parts = (kind, port, proto, rest, crypto());
    parts.prop_map(|(kind, port, proto, rest, crypto)| {
        let crypto = if proto.contains("AVP") {
            crypto
        } else {
            String::new()
        };
        format!("m={kind} {port} {proto} 0\r\n{rest}{crypto}")
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let address = prop_oneof![Just("198.51.100.1"), Just("198.51.100.2")];
    let broken = prop_oneof![9 => Just(""), 1 => Just("m=audio x\r\n")];
    (address, prop::collection::vec(section(), 0..4), broken).prop_map(
        |(address, sections, broken)| {
            let mut text = format!(
                "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
            );
            text.extend(sections);
            text.push_str(broken);
            text.into_bytes()
        },
    )
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(prop::sample::select(words))
}

/// A request of a small world: two calls, few tags, so that names collide.
fn request() -> impl Strategy<Value = Dict<'static>> {
    let names = (
        prop::sample::select(&["offer", "offer", "answer", "answer", "delete", "query"][..]),
        prop::sample::select(&["c1", "c2"][..]),
        prop::sample::select(&["a", "b"][..]),
        word(&["a", "b", "c", "d"]),
        word(&["z1", "z2"]),
        word(&["183", "200"]),
    );
    let flags = (
        word(&[
            "strict-source",
            "generate-mid",
            "to-tag",
            "new-branch",
            "recrypt",
            "passthrough",
            "port-latching",
            "no-port-latching",
            "fatal",
        ]),
        word(&["offer", "require", "demux", "accept", "reject"]),
        word(&["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "accept"]),
        word(&["IP4", "IP6"]),
        word(&["priv", "g", "nope", "default"]),
        word(&["origin", "sdp-version", "zero-address"]),
        word(&["video", "audio"]),
        word(&[
            "off",
            "nonew",
            "static",
            "lifetime",
            "unauthenticated_srtp",
            "encrypted_srtp",
            "only-AES_CM_128_HMAC_SHA1_80",
            "no-AES_CM_128_HMAC_SHA1_80",
            "offerer_pref:AES_CM_128_HMAC_SHA1_32",
        ]),
        word(&["offer", "accept", "offer-legacy", "accept-legacy"]),
        word(&["SDP", "address", "off"]),
    );
    (names, flags, body(), prop::option::of(0_u64..3)).prop_map(|(names, flags, body, delay)| {
        let (command, call, from, to, branch, code) = names;
        let (flag, mux, proto, family, interface, replace, remove, sdes, osrtp, alias) = flags;
        let mut dict = Dict::new()
            .with("command", command)
            .with("call-id", call)
            .with("from-tag", from);
        let to = if command == "answer" {
            to.or(Some("b"))
        } else {
            to
        };
        let entries = [
            ("to-tag", to),
            ("via-branch", branch),
            ("flags", flag),
            ("rtcp-mux", mux),
            ("transport-protocol", proto),
            ("address-family", family),
            ("to-interface", interface),
            ("replace", replace),
            ("sdp-media-remove", remove),
            ("SDES", sdes),
            ("OSRTP", osrtp),
            ("sip-code", code),
            ("alias-key", alias),
        ];
        for (key, value) in entries {
            if let Some(value) = value {
                dict.push(key.as_bytes(), Value::str(value));
            }
        }
        if matches!(command, "offer" | "answer") {
            dict.push(&b"sdp"[..], Value::owned(body));
        }
        if command == "delete"
            && let Some(delay) = delay
        {
            dict.push(&b"delete-delay"[..], delay.into());
        }
        dict
    })
}

/// A reply without its warning, which may be about a change: repeated, there is none.
fn unwarned(reply: Reply<'static>) -> Reply<'static> {
    match reply {
        Reply::Ok { sdp, extra, .. } => Reply::Ok {
            sdp,
            warning: None,
            extra,
        },
        other @ (Reply::Pong | Reply::Error(_) | Reply::LoadLimit(_)) => other,
    }
}

fn is_error(reply: &Reply<'_>) -> bool {
    matches!(reply, Reply::Error(_) | Reply::LoadLimit(_))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flows_ports_and_calls_agree_after_any_sequence(
        requests in prop::collection::vec((request(), 0_u64..3, any::<bool>()), 1..40),
        most in 4_usize..60,
    ) {
        let mut world = World::new(most);
        for (request, seconds, latch) in &requests {
            let leased = world.keeper.leased.clone();
            let (reply, commands) = world.request(request);
            if is_error(&reply) {
                prop_assert_eq!(&leased, &world.keeper.leased, "an error gives back what it leased");
                prop_assert_eq!(commands, 0, "an error changes no flow");
            }
            world.check();
            if *latch {
                world.latch();
            }
            world.tick(*seconds);
            world.check();
        }
        for call in ["c1", "c2"] {
            let delete = Dict::new().with("command", "delete").with("call-id", call).with("delete-delay", 0_u64);
            world.request(&delete);
        }
        world.check();
        prop_assert_eq!(world.keeper.leased.len(), 0, "nothing leaks");
        prop_assert_eq!(world.control.gauges(), patchcord_control::Gauges::default());
    }

    #[test]
    fn the_same_request_again_changes_nothing(
        requests in prop::collection::vec(request(), 1..20),
    ) {
        let mut world = World::new(10_000);
        for request in &requests {
            let (first, _) = world.request(request);
            let is_signalling = request.get("command") != Some(&Value::str("delete"));
            if is_signalling && !is_error(&first) {
                let (second, commands) = world.request(request);
                prop_assert_eq!(unwarned(first), unwarned(second));
                prop_assert_eq!(commands, 0);
            }
            world.check();
        }
    }

    #[test]
    fn any_bytes_for_a_body_get_a_reply(body in prop::collection::vec(any::<u8>(), 1..400)) {
        let mut world = World::new(100);
        let mut text = b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nc=IN IP4 1.2.3.4\r\n".to_vec();
        text.extend_from_slice(&body);
        let request = Dict::new()
            .with("command", "offer")
            .with("call-id", "c1")
            .with("from-tag", "a")
            .with("sdp", text);
        world.request(&request);
        world.check();
    }
}

#[test]
fn a_thousand_sections_are_refused_or_relayed_but_do_not_stall() {
    let mut world = World::new(100_000);
    let mut body =
        b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\n".to_vec();
    for _ in 0..1000 {
        body.extend_from_slice(b"m=audio 4000 RTP/AVP 0\r\n");
    }
    let request = Dict::new()
        .with("command", "offer")
        .with("call-id", "c1")
        .with("from-tag", "a")
        .with("sdp", body);
    let (reply, commands) = world.request(&request);
    assert_eq!(reply, Reply::error("Failed to parse SDP"));
    assert_eq!(commands, 0);
    world.check();
}

#[test]
fn a_call_that_is_full_of_legs_refuses_more_and_stays_as_it_was() {
    let mut world = World::new(100_000);
    let body = b"v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 1.2.3.4\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let mut refused = 0;
    for number in 0..300 {
        let request = Dict::new()
            .with("command", "offer")
            .with("call-id", "c1")
            .with("from-tag", "a")
            .with("via-branch", format!("z{number}"))
            .with("sdp", body.to_vec());
        let leased = world.keeper.leased.len();
        let (reply, _) = world.request(&request);
        if is_error(&reply) {
            refused += 1;
            assert_eq!(world.keeper.leased.len(), leased);
        }
    }
    assert!(refused > 0, "there is an end to it");
    world.check();
}
