//! Laws that hold after any sequence of requests, whatever it asks for.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use patchcord_contract::{Addr, Endpoint, Time};
use patchcord_control::{
    Clock, Control, Count, Interface, Lease, LeasedPort, NoPorts, Outcome, Ports, Settings, Want,
};
use patchcord_media::flow::{Command, Event, PortId, Spec};
use patchcord_wire::ng::{Reply, Request};
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
            control: Control::new(settings, 7),
            keeper: Keeper {
                most,
                ..Keeper::default()
            },
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
                    self.flows.insert(spec.port, *spec);
                }
                Command::Clear(port) => {
                    self.flows
                        .remove(&port)
                        .expect("only flows that are there are cleared");
                }
            }
        }
    }

    fn check(&self) {
        let ports: BTreeSet<PortId> = self.flows.keys().copied().collect();
        assert_eq!(
            ports, self.keeper.leased,
            "every leased port has a flow, and no other"
        );
        assert_eq!(self.control.gauges().ports, ports.len());
        for spec in self.flows.values() {
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

fn section() -> impl Strategy<Value = String> {
    let kind = prop_oneof![Just("audio"), Just("video"), Just("image"), Just("message")];
    let port = prop_oneof![3 => Just(4000_u16), 2 => Just(4100), 1 => Just(0)];
    let proto = prop_oneof![
        5 => Just("RTP/AVP"),
        1 => Just("RTP/AVPF"),
        1 => Just("RTP/SAVP"),
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
    (kind, port, proto, rest)
        .prop_map(|(kind, port, proto, rest)| format!("m={kind} {port} {proto} 0\r\n{rest}"))
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
        word(&["a", "b", "c"]),
        word(&["z1", "z2"]),
    );
    let flags = (
        word(&[
            "strict-source",
            "generate-mid",
            "to-tag",
            "port-latching",
            "no-port-latching",
            "fatal",
        ]),
        word(&["offer", "require", "demux", "accept", "reject"]),
        word(&["RTP/AVP", "RTP/AVPF", "RTP/SAVPF"]),
        word(&["IP4", "IP6"]),
        word(&["priv", "g", "nope", "default"]),
        word(&["origin", "sdp-version", "zero-address"]),
        word(&["video", "audio"]),
    );
    (names, flags, body(), prop::option::of(0_u64..3)).prop_map(|(names, flags, body, delay)| {
        let (command, call, from, to, branch) = names;
        let (flag, mux, proto, family, interface, replace, remove) = flags;
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
                prop_assert_eq!(first, second);
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
