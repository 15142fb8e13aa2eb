//! What control orders of DTLS, and what it makes of news (RFC 5763, RFC 8842).
#![forbid(unsafe_code)]

use std::net::IpAddr;
use std::sync::Arc;

use patchcord_contract::{Endpoint, Time};
use patchcord_control::dtls::{Failure, Identity, News, Order, PathId, Role};
use patchcord_control::{
    Clock, Control, Count, Lease, LeasedPort, NoPorts, Outcome, Ports, Seed, Settings, Want,
};
use patchcord_media::flow::{Command, Event, PortId, PuntClass, Security};
use patchcord_media::srtp::{Keys, Suite};
use patchcord_wire::ng::{Reply, Request};
use patchcord_wire::sdp::{Fingerprint, HashName};
use patchcord_wire::value::{Dict, Value};

struct Numbers(u32);

impl Ports for Numbers {
    fn lease(&mut self, _now: Time, want: Want) -> Result<Lease, NoPorts> {
        let mut port = || {
            self.0 += 1;
            let id = PortId::new(3, self.0).expect("few ports");
            LeasedPort {
                id,
                port: 30_000 + self.0 as u16,
            }
        };
        let rtp = port();
        let rtcp = (want.count == Count::Pair).then(port);
        Ok(Lease { rtp, rtcp })
    }

    fn release(&mut self, _now: Time, _port: LeasedPort) {}
}

struct Stage {
    control: Control,
    ports: Numbers,
    commands: Vec<Command>,
}

/// A certificate whose fingerprints are all of this byte.
fn identity(byte: u8) -> Arc<Identity> {
    let print = |hash: HashName| Fingerprint::new(hash, &[byte; 64][..hash.digest_len()]);
    Arc::new(Identity::new(|hash| print(hash).expect("its length")))
}

const CLOCK: Clock = Clock {
    now: Time::from_secs(1000),
    wall_us: 1_700_000_000_000_000,
};

fn keys(byte: u8) -> Keys {
    Keys::from_inline(Suite::AeadAes128Gcm, &[byte; 28]).expect("the suite's lengths")
}

/// News of keys.
fn made(receive: u8, send: u8) -> News {
    News::Keys {
        receive: Box::new(keys(receive)),
        send: Box::new(keys(send)),
    }
}

/// What applies under keys.
fn under(byte: u8) -> Security {
    Security::Srtp(Arc::new(keys(byte)))
}

/// A section with DTLS on one port, whose certificate is all of this byte.
fn web(setup: &str, byte: u8) -> String {
    let print = vec![format!("{byte:02X}"); 32].join(":");
    plain("198.51.100.1").replace("RTP/AVP", "UDP/TLS/RTP/SAVP")
        + &format!("a=rtcp-mux\r\na=setup:{setup}\r\na=fingerprint:sha-256 {print}\r\n")
}

fn plain(ip: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
    )
}

impl Stage {
    fn new() -> Self {
        let ip: IpAddr = [203, 0, 113, 1].into();
        let mut control = Control::new(Settings::with_address(ip.into()), &Seed::of_number(1));
        control.identify(identity(1));
        Self {
            control,
            ports: Numbers(0),
            commands: Vec::new(),
        }
    }

    fn request(&mut self, command: &'static str, call: &str, sdp: String) -> String {
        let words = Dict::new().with("rtcp-mux", Value::List(vec!["demux".into()]));
        let words = if command == "offer" {
            words.with("transport-protocol", "RTP/AVP")
        } else {
            words
        };
        self.send(command, call, sdp, words)
    }

    /// A request with these words.
    fn send(
        &mut self,
        command: &'static str,
        call: &str,
        sdp: String,
        mut body: Dict<'static>,
    ) -> String {
        for (key, value) in [("command", command), ("from-tag", "a"), ("to-tag", "b")] {
            body = body.with(key, value);
        }
        let body = body
            .with("call-id", Value::owned(call))
            .with("delete delay", 0_u64)
            .with("sdp", Value::owned(sdp));
        let value = Value::Dict(body);
        let (parsed, warnings) = Request::parse(&value);
        let parsed = parsed.expect("complete");
        let (ports, commands) = (&mut self.ports, &mut self.commands);
        match self
            .control
            .request(CLOCK, &parsed, &warnings, ports, commands)
        {
            Outcome::Reply(Reply::Ok { sdp, .. }) => {
                String::from_utf8(sdp.unwrap_or_default().to_vec()).expect("text")
            }
            other @ (Outcome::Reply(_) | Outcome::Process(_)) => panic!("{other:?}"),
        }
    }

    /// A call from a browser to a plain phone; what the browser is told.
    fn call(&mut self, call: &str, setup: &str, byte: u8) -> String {
        self.request("offer", call, web(setup, byte));
        self.request("answer", call, plain("198.51.100.9"))
    }

    fn orders(&mut self) -> Vec<Order> {
        std::iter::from_fn(|| self.control.next_order()).collect()
    }

    fn news(&mut self, path: PathId, generation: u32, news: News) {
        let commands = &mut self.commands;
        self.control.news(CLOCK, path, generation, news, commands);
    }

    /// What the last Spec of a port that made keys says of what arrives there.
    fn security(&self) -> Option<&Security> {
        self.commands
            .iter()
            .rev()
            .find_map(|command| match command {
                Command::Set(spec) if spec.receive != Security::Plain => Some(&spec.receive),
                Command::Set(_) | Command::Clear(_) | Command::Send { .. } => None,
            })
    }
}

/// The first association that is opened.
fn opened(orders: &[Order]) -> (PathId, u32, Role) {
    let found = orders.iter().find_map(|order| match order {
        Order::Open {
            path,
            generation,
            role,
            ..
        } => Some((*path, *generation, *role)),
        Order::Start(_) | Order::Datagram(..) | Order::Expect(..) | Order::Close(_) => None,
    });
    found.unwrap_or_else(|| panic!("nothing is opened in {orders:?}"))
}

#[test]
fn a_client_begins_with_the_answer_and_keys_become_a_spec() {
    let mut stage = Stage::new();
    stage.request("offer", "c", web("actpass", 7));
    assert_eq!(stage.orders(), [], "nothing before the answer");
    stage.request("answer", "c", plain("198.51.100.9"));
    let orders = stage.orders();
    let (path, generation, role) = opened(&orders);
    assert_eq!(role, Role::Client);
    assert_eq!(orders.last(), Some(&Order::Start(path)));
    assert_eq!(stage.security(), Some(&Security::Pending));
    stage.news(path, generation + 1, made(1, 2));
    assert_eq!(stage.security(), Some(&Security::Pending), "of nobody's");
    stage.news(path, generation, made(1, 2));
    assert_eq!(stage.security(), Some(&under(1)));
}

#[test]
fn another_fingerprint_is_another_association_and_old_keys_hold_meanwhile() {
    let mut stage = Stage::new();
    stage.call("c", "actpass", 7);
    let (path, generation, _) = opened(&stage.orders());
    stage.news(path, generation, made(1, 2));
    stage.call("c", "actpass", 7);
    assert_eq!(stage.orders(), [], "the same again changes nothing");
    stage.call("c", "actpass", 8);
    let (again, next, role) = opened(&stage.orders());
    assert_eq!((again, next, role), (path, generation + 1, Role::Client));
    assert_eq!(stage.security(), Some(&under(1)));
    stage.news(path, next, made(3, 4));
    assert_eq!(stage.security(), Some(&under(3)));
    // Who shows another certificate than that is not heard under old keys either.
    stage.call("c", "actpass", 9);
    let (_, last, _) = opened(&stage.orders());
    let failure = Failure {
        reason: "fingerprint",
        text: "".into(),
    };
    stage.news(path, last, News::Failed(failure));
    assert_eq!(stage.security(), Some(&Security::Pending));
}

#[test]
fn the_end_of_a_call_closes_its_associations_and_goodbyes_still_leave() {
    let mut stage = Stage::new();
    stage.call("c", "actpass", 7);
    let (path, generation, _) = opened(&stage.orders());
    stage.request("delete", "c", String::new());
    assert_eq!(stage.orders(), [Order::Close(path)]);
    stage.commands.clear();
    stage.news(path, generation, News::Datagram([21, 1].into()));
    let sent = stage.commands.iter().find_map(|command| match command {
        Command::Send { to, .. } => Some(*to),
        Command::Set(_) | Command::Clear(_) => None,
    });
    let ip: IpAddr = [198, 51, 100, 1].into();
    assert_eq!(sent, Some(Endpoint::new(ip, 4000)));
}

#[test]
fn running_calls_keep_the_certificate_that_they_were_told() {
    let mut stage = Stage::new();
    let first = stage.call("old", "actpass", 7);
    assert!(first.contains(":01:01:01"), "{first}");
    stage.control.identify(identity(2));
    let again = stage.call("old", "actpass", 7);
    assert!(again.contains(":01:01:01"), "{again}");
    let fresh = stage.call("new", "actpass", 7);
    assert!(fresh.contains(":02:02:02"), "{fresh}");
}

#[test]
fn without_ice_one_source_has_the_word_until_a_likelier_one_comes() {
    let mut stage = Stage::new();
    stage.call("c", "active", 7);
    let (path, generation, role) = opened(&stage.orders());
    assert_eq!(role, Role::Server);
    let hello = [
        &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1][..],
        &[0; 20],
    ]
    .concat();
    let heard = |stage: &mut Stage, ip: [u8; 4], port| {
        let ip: IpAddr = ip.into();
        let event = Event::Punted {
            port: path_port(path),
            source: Endpoint::new(ip, port),
            class: PuntClass::Dtls,
            at: CLOCK.now,
            bytes: hello.clone().into(),
        };
        let mut commands = Vec::new();
        stage.control.event(CLOCK, &event, &mut commands);
        stage.orders()
    };
    let datagram = Order::Datagram(path, hello.clone().into());
    assert_eq!(
        heard(&mut stage, [192, 0, 2, 66], 9),
        std::slice::from_ref(&datagram)
    );
    assert_eq!(heard(&mut stage, [192, 0, 2, 77], 9), [], "no likelier");
    let orders = heard(&mut stage, [198, 51, 100, 1], 4000);
    let (again, next, _) = opened(&orders);
    assert_eq!((again, next), (path, generation + 1));
    assert_eq!(orders.last(), Some(&datagram));
    assert_eq!(heard(&mut stage, [192, 0, 2, 66], 9), [], "it had its turn");
}

#[test]
fn a_peer_at_another_place_is_begun_with_there() {
    let mut stage = Stage::new();
    stage.call("c", "passive", 7);
    let (path, generation, role) = opened(&stage.orders());
    assert_eq!(role, Role::Client);
    let heard = |stage: &mut Stage, last: u8| {
        let ip: IpAddr = [198, 51, 100, last].into();
        let event = Event::Punted {
            port: path_port(path),
            source: Endpoint::new(ip, 4000),
            class: PuntClass::Dtls,
            at: CLOCK.now,
            bytes: [22, 254, 253].into(),
        };
        stage.control.event(CLOCK, &event, &mut Vec::new());
        stage.orders()
    };
    assert_eq!(heard(&mut stage, 1).len(), 1);
    stage.news(path, generation, made(1, 2));
    let elsewhere = web("passive", 8).replace("198.51.100.1", "198.51.100.2");
    stage.request("offer", "c", elsewhere);
    stage.request("answer", "c", plain("198.51.100.9"));
    let (again, next, _) = opened(&stage.orders());
    assert_eq!((again, next), (path, generation + 1));
    stage.commands.clear();
    stage.news(path, next, News::Datagram([22, 1].into()));
    let sent = stage.commands.iter().find_map(|command| match command {
        Command::Send { to, .. } => Some(*to),
        Command::Set(_) | Command::Clear(_) => None,
    });
    let ip: IpAddr = [198, 51, 100, 2].into();
    assert_eq!(sent, Some(Endpoint::new(ip, 4000)));
    assert_eq!(heard(&mut stage, 1), [], "the old place has lost the word");
    assert_eq!(heard(&mut stage, 2).len(), 1);
}

#[test]
fn of_two_that_answer_for_themselves_at_one_port_each_keeps_the_handshake_that_it_began() {
    let mut stage = Stage::new();
    let both = |first: String, second: &str| {
        let at = second.find("m=").expect("a section");
        first + &second[at..].replace("audio 4000", "video 4002")
    };
    let offer = both(plain("198.51.100.9"), &plain("198.51.100.9"));
    let words = Dict::new()
        .with("bundle", Value::List(vec!["require".into()]))
        .with("SDES", "off")
        .with("transport-protocol", "UDP/TLS/RTP/SAVP");
    stage.send("offer", "c", offer, words);
    let (path, ..) = opened(&stage.orders());
    let heard = |stage: &mut Stage, from: u16| {
        let ip: IpAddr = [198, 51, 100, 1].into();
        let event = Event::Punted {
            port: path_port(path),
            source: Endpoint::new(ip, from),
            class: PuntClass::Dtls,
            at: CLOCK.now,
            bytes: [22, 254, 253].into(),
        };
        stage.control.event(CLOCK, &event, &mut Vec::new());
        stage.orders()
    };
    // The picture begins first, before anybody can know whose handshake it is.
    assert_eq!(heard(&mut stage, 4002).len(), 1);
    let answer = both(web("active", 7), &web("active", 8));
    stage.send("answer", "c", answer, Dict::new());
    let orders = stage.orders();
    let its: Vec<&Order> = orders
        .iter()
        .filter(|order| matches!(order, Order::Expect(of, _) | Order::Close(of) if *of == path))
        .collect();
    let [Order::Expect(_, prints)] = its[..] else {
        panic!("{orders:?}");
    };
    assert_eq!(prints[0].digest()[0], 8, "it is the picture's by now");
    let (other, ..) = opened(&orders);
    assert_eq!(path_port(other), path_port(path), "the sound has its port");
    let datagram = Order::Datagram(other, [22, 254, 253].into());
    assert_eq!(heard(&mut stage, 4000), [datagram]);
}

/// The port that a path is named after.
fn path_port(path: PathId) -> PortId {
    let number = path.number() >> 32;
    PortId::new((number >> 24) as u8, number as u32 & 0x00ff_ffff).expect("a slot")
}
