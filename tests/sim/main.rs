//! Two phones and the relay between them, in virtual time, over a network that misbehaves.
#![forbid(unsafe_code)]

mod ice;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use patchcord_contract::{Addr, Endpoint, Reason};
use patchcord_control::Settings;
use patchcord_tests::world::{Arrival, Weather, World};
use patchcord_wire::value::{Dict, Value};

const RELAY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const PTIME: Duration = Duration::from_millis(20);

#[test]
fn what_one_phone_says_is_what_the_other_hears_in_fine_weather() {
    let mut call = Talk::start(1, &[]);
    let heard = call.talk(250);
    assert_eq!(
        heard.by_bob, call.alice.said,
        "all of it, in order, unchanged"
    );
    assert_eq!(
        heard.by_alice, call.bob.said,
        "all of it, in order, unchanged"
    );
}

#[test]
fn nothing_is_invented_or_misdelivered_in_foul_weather() {
    for seed in 1..=20 {
        let mut call = Talk::start(seed, &[]);
        call.world.weather = Weather {
            loss: 100,
            repeats: 50,
            delay: Duration::from_millis(30),
            jitter: Duration::from_millis(60),
        };
        let heard = call.talk(500);
        for (hearer, heard, said) in [
            ("bob", &heard.by_bob, &call.alice.said),
            ("alice", &heard.by_alice, &call.bob.said),
        ] {
            let said: BTreeSet<_> = said.iter().collect();
            assert!(
                heard.iter().all(|packet| said.contains(packet)),
                "seed {seed}: {hearer} heard what nobody said"
            );
            // Twice through a network that loses a tenth: four fifths arrive.
            assert!(
                heard.len() > 350,
                "seed {seed}: {hearer} heard only {} of 500",
                heard.len()
            );
        }
    }
}

#[test]
fn the_relay_counts_what_the_network_did() {
    let mut call = Talk::start(7, &[]);
    call.world.weather = Weather {
        loss: 200,
        ..Weather::default()
    };
    call.talk(1000);
    let reply = call.request("query", &[]);
    let stream = find_ssrc(&reply, call.alice.ssrc).expect("the stream is reported");
    let received = number(stream, "packets");
    assert!(
        (700..900).contains(&received),
        "a fifth of 1000 is lost before the relay: {received}"
    );
    let stats = call.world.plane.stats();
    assert_eq!(
        stats.decided(),
        call.world.delivered(),
        "every packet that reached the relay has one verdict"
    );
}

#[test]
fn a_rebinding_nat_keeps_its_voice_and_gets_it_back_with_handover() {
    let mut call = Talk::start(3, &["media-handover"]);
    call.talk(250);
    call.alice.sends_from.port += 7;
    let heard = call.talk(250);
    assert!(
        heard.by_bob.len() >= 249,
        "bob hears alice from her new port: {}",
        heard.by_bob.len()
    );
    assert!(
        heard.at_new_port >= 200,
        "after the first packet from there, alice hears bob at her new port: {}",
        heard.at_new_port
    );
}

#[test]
fn without_handover_a_stranger_is_heard_but_not_believed() {
    let mut call = Talk::start(4, &[]);
    call.talk(250);
    call.alice.sends_from.port += 7;
    let heard = call.talk(50);
    assert_eq!(heard.by_bob.len(), 50, "forwarded");
    assert_eq!(
        heard.at_new_port, 0,
        "replies still go where the call latched"
    );
}

#[test]
fn a_strict_flow_drops_a_stranger_and_says_so() {
    let mut call = Talk::start(5, &["strict-source"]);
    call.talk(250);
    call.alice.sends_from.port += 7;
    let heard = call.talk(50);
    assert_eq!(heard.by_bob.len(), 0);
    let stats = call.world.plane.stats();
    let strangers = stats.interface(Some(0)).dropped[Reason::WrongSource as usize].get();
    assert_eq!(strangers, 50);
}

#[test]
fn a_phone_behind_a_nat_is_answered_where_it_sends_from() {
    let mut call = Talk::start(6, &[]);
    // What the SDP says is a private address that nobody can reach.
    call.alice.sends_from = endpoint([198, 51, 100, 77], 61_000);
    let heard = call.talk(500);
    assert!(heard.by_bob.len() >= 499);
    assert!(
        heard.at_new_port >= 300,
        "within the learning window: {}",
        heard.at_new_port
    );
}

#[test]
fn a_silent_call_ends_and_gives_everything_back() {
    let mut call = Talk::start(8, &[]);
    call.talk(100);
    call.world.run(Duration::from_secs(90));
    assert_eq!(
        call.world.ports.leased(),
        0,
        "the media timeout is a minute"
    );
    let reply = call.request("query", &[]);
    assert_eq!(reply.get("result").and_then(Value::as_str), Some("error"));
}

#[test]
fn a_run_follows_from_its_seed() {
    let run = |seed| {
        let mut call = Talk::start(seed, &[]);
        call.world.weather = Weather {
            loss: 50,
            repeats: 50,
            delay: PTIME,
            jitter: PTIME * 3,
        };
        let heard = call.talk(200);
        (heard.by_bob, heard.by_alice, call.world.relayed())
    };
    assert_eq!(run(11), run(11));
    assert_ne!(run(11), run(12));
}

/// One end of the call.
struct Party {
    /// What its SDP says.
    advertises: Endpoint,
    /// Where its packets come from, as the relay sees it.
    sends_from: Endpoint,
    /// The relay's port for it.
    relay: Endpoint,
    ssrc: u32,
    sequence: u16,
    said: Vec<Vec<u8>>,
}

/// An established call and its world.
struct Talk {
    world: World,
    alice: Party,
    bob: Party,
}

/// What arrived since the last look.
struct Heard {
    by_bob: Vec<Vec<u8>>,
    by_alice: Vec<Vec<u8>>,
    /// Of the latter, at the port that alice now sends from, if that is not the advertised one.
    at_new_port: usize,
}

impl Talk {
    fn start(seed: u64, flags: &[&'static str]) -> Self {
        let mut settings = Settings::with_address(Addr::from(std::net::IpAddr::V4(RELAY)));
        settings.timeouts.media = Some(Duration::from_mins(1));
        let mut call = Self {
            world: World::new(settings, seed),
            alice: Party::new([192, 0, 2, 10], 4000, 0xa11ce),
            bob: Party::new([192, 0, 2, 20], 5000, 0xb0b),
        };
        let sdp = body(call.alice.advertises);
        let reply = call.request("offer", &with(flags, &[("sdp", Value::owned(sdp))]));
        call.bob.relay = media(&reply);
        let sdp = body(call.bob.advertises);
        let reply = call.request(
            "answer",
            &with(
                flags,
                &[("sdp", Value::owned(sdp)), ("to-tag", Value::str("b"))],
            ),
        );
        call.alice.relay = media(&reply);
        call
    }

    fn request(&mut self, command: &str, more: &[(&str, Value<'_>)]) -> Value<'static> {
        let mut dict = Dict::new()
            .with("command", Value::owned(command))
            .with("call-id", Value::str("sim"))
            .with("from-tag", Value::str("a"));
        for (key, value) in more {
            dict.push(key.as_bytes().to_vec(), value.clone());
        }
        self.world.request(&Value::Dict(dict))
    }

    /// Both talk for `packets` packet intervals, and what is under way then still arrives.
    fn talk(&mut self, packets: usize) -> Heard {
        for party in [&mut self.alice, &mut self.bob] {
            party.said.clear();
        }
        for _ in 0..packets {
            for party in [&mut self.alice, &mut self.bob] {
                let packet = party.speak();
                self.world.send(party.sends_from, party.relay, &packet);
            }
            self.world.run(PTIME);
        }
        self.world.run(Duration::from_millis(500));
        let at_new_port = if self.alice.sends_from == self.alice.advertises {
            Vec::new()
        } else {
            payloads(self.world.inbox(self.alice.sends_from), self.alice.relay)
        };
        let mut by_alice = payloads(self.world.inbox(self.alice.advertises), self.alice.relay);
        let count = at_new_port.len();
        by_alice.extend(at_new_port);
        Heard {
            by_bob: payloads(self.world.inbox(self.bob.sends_from), self.bob.relay),
            by_alice,
            at_new_port: count,
        }
    }
}

impl Party {
    fn new(address: [u8; 4], port: u16, ssrc: u32) -> Self {
        let at = endpoint(address, port);
        Self {
            advertises: at,
            sends_from: at,
            relay: Endpoint::NONE,
            ssrc,
            sequence: 100,
            said: Vec::new(),
        }
    }

    fn speak(&mut self) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let timestamp = u32::from(self.sequence).wrapping_mul(160);
        let mut packet = vec![0x80, 0];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend((0..160u16).map(|n| (n.wrapping_mul(self.sequence) >> 3) as u8));
        self.said.push(packet.clone());
        packet
    }
}

fn with<'v>(
    flags: &[&'static str],
    more: &[(&'v str, Value<'static>)],
) -> Vec<(&'v str, Value<'static>)> {
    let flags = flags.iter().map(|flag| Value::str(*flag)).collect();
    more.iter()
        .cloned()
        .chain([("flags", Value::List(flags))])
        .collect()
}

fn endpoint(address: [u8; 4], port: u16) -> Endpoint {
    Endpoint::new(std::net::IpAddr::from(address), port)
}

fn body(at: Endpoint) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 0\r\n",
        at.addr, at.port
    )
}

/// The first media section's endpoint, read with a parser that is not the relay's.
fn media(reply: &Value<'_>) -> Endpoint {
    let sdp = reply
        .get("sdp")
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no SDP in {reply:?}"));
    let word = |start: &str, nth: usize| {
        sdp.lines()
            .find(|l| l.starts_with(start))
            .and_then(|l| l.split(' ').nth(nth))
            .map(str::to_owned)
    };
    let port = word("m=audio", 1)
        .and_then(|port| port.parse().ok())
        .expect("a port");
    let address: std::net::IpAddr = word("c=", 2)
        .and_then(|a| a.parse().ok())
        .expect("an address");
    Endpoint::new(address, port)
}

fn payloads(arrivals: Vec<Arrival>, from: Endpoint) -> Vec<Vec<u8>> {
    arrivals
        .into_iter()
        .map(|arrival| {
            assert_eq!(
                arrival.from, from,
                "media comes from the port that the SDP promised"
            );
            arrival.bytes
        })
        .collect()
}

fn number(dict: &Value<'_>, key: &str) -> i64 {
    dict.get(key)
        .and_then(Value::as_int)
        .unwrap_or_else(|| panic!("no {key} in {dict:?}"))
}

fn find_ssrc<'v>(reply: &'v Value<'_>, ssrc: u32) -> Option<&'v Value<'v>> {
    reply.get("SSRC")?.get(&ssrc.to_string())
}
