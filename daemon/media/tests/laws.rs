//! Laws that hold for any packets and any commands: nothing panics, counters add up (law 5), only
//! what was let in leaves, and the peer is who the rules of learning say it is.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use patchcord_contract::{Endpoint, Reason, Time};
use patchcord_media::flow::{
    Accepts, Admission, Clocks, Command, Event, Feedback, Handshakes, Learning, PortId, Punts,
    Reporting, Security, Sink, Sinks, Spec, Stranger,
};
use patchcord_media::stats::PortStats;
use patchcord_media::{Outbox, Packet, Plane, Rx};
use proptest::collection::vec;
use proptest::prelude::*;

/// What left: for forwards index and length, for copies the bytes.
#[derive(Debug, Default)]
struct Sent {
    forwards: Vec<(usize, usize, Endpoint)>,
    copies: Vec<(Vec<u8>, Endpoint)>,
    events: Vec<Event>,
}

impl Outbox for Sent {
    fn forward(&mut self, index: usize, len: usize, _: PortId, to: Endpoint) {
        self.forwards.push((index, len, to));
    }

    fn copy(&mut self, bytes: &[u8], _: PortId, to: Endpoint) {
        self.copies.push((bytes.to_vec(), to));
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }
}

fn port(slot: u32) -> PortId {
    PortId::new(3, slot).expect("a small slot")
}

fn host(last: u8, port: u16) -> Endpoint {
    Endpoint::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), port)
}

fn sinks(slots: &[u32]) -> Sinks {
    let feedback = |slot: u32| {
        if slot.is_multiple_of(2) {
            Feedback::Strip
        } else {
            Feedback::Keep
        }
    };
    slots
        .iter()
        .map(|slot| Sink {
            via: port(*slot),
            feedback: feedback(*slot),
            edit: None,
        })
        .collect()
}

fn spec(slot: u32, accepts: Accepts, admission: Admission, to: &[u32]) -> Spec {
    Spec {
        port: port(slot),
        accepts,
        admission,
        handshakes: Handshakes::default(),
        receive: Security::Plain,
        send: Security::Plain,
        clocks: Clocks::from_slice(&[(96, 48_000), (97, u32::MAX)]),
        rtp: sinks(to),
        rtcp: sinks(to),
        reporting: Reporting::Relayed,
        bundle: None,
        doors: None,
        tos: 0,
        blocked: false,
        interface: (slot % 3) as u8,
        stats: Arc::new(PortStats::default()),
    }
}

// ---- any bytes ----------------------------------------------------------------------------------

/// One received datagram.
#[derive(Clone, Debug)]
struct Datagram {
    slot: u32,
    source: Option<Endpoint>,
    bytes: Vec<u8>,
    truncated: bool,
}

/// Bytes of every kind: junk, and RTP and RTCP that is right, nearly right, or repeated.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        Just(0x80_u8),
        Just(0x81),
        Just(0x90),
        Just(0xa0),
        any::<u8>()
    ];
    let second = prop_oneof![Just(0_u8), Just(96), 200..=206_u8, any::<u8>()];
    let length = prop_oneof![
        Just((0_u8, 1_u8)),
        Just((0, 2)),
        Just((0, 6)),
        any::<(u8, u8)>()
    ];
    let headed = (first, second, length, vec(0..4_u8, 0..80)).prop_map(|(a, b, (c, d), rest)| {
        let mut bytes = vec![a, b, c, d];
        bytes.extend(rest);
        bytes
    });
    let compound = vec((200..=206_u8, 0..3_u8, 1..14_u8), 1..5).prop_map(|packets| {
        let packet = |(kind, count, words): (u8, u8, u8)| {
            let body = vec![count; 4 * usize::from(words)];
            [vec![0x80 | count, kind, 0, words], body].concat()
        };
        packets.into_iter().flat_map(packet).collect()
    });
    prop_oneof![
        headed,
        compound,
        vec(any::<u8>(), 0..300),
        Just(vec![0x80; 65_507])
    ]
}

fn datagrams() -> impl Strategy<Value = Vec<Datagram>> {
    let source = prop_oneof![
        Just(None),
        (0..4_u8, 4_000..4_003_u16).prop_map(|(h, p)| Some(host(h, p)))
    ];
    let one = (0..8_u32, source, bytes(), prop::bool::weighted(0.05));
    let datagram = one.prop_map(|(slot, source, bytes, truncated)| Datagram {
        slot,
        source,
        bytes,
        truncated,
    });
    vec(datagram, 0..150)
}

/// A plane with a flow of each kind in slots 0 to 6, each strict or not, none in slot 7.
fn zoo() -> (Plane, Vec<Arc<PortStats>>) {
    let mut plane = Plane::new(3, 2);
    let mut stats = Vec::new();
    for slot in 0..7 {
        let admission = Admission {
            advertised: if slot == 5 {
                host(0, 0)
            } else {
                host(slot as u8 % 4, 4_000)
            },
            learning: Learning::Heuristic,
            stranger: [Stranger::Forward, Stranger::Drop, Stranger::Follow][slot as usize % 3],
            epoch: 1,
        };
        let accepts =
            [Accepts::Muxed, Accepts::Rtp, Accepts::Rtcp, Accepts::Opaque][slot as usize % 4];
        let to: &[u32] = [&[1][..], &[0, 5, 2, 3], &[6], &[3, 7], &[], &[0], &[7]][slot as usize];
        let spec = Spec {
            blocked: slot == 6,
            handshakes: Handshakes {
                punts: if slot % 2 == 0 {
                    Punts::Both
                } else {
                    Punts::Nothing
                },
                ..Handshakes::default()
            },
            ..spec(slot, accepts, admission, to)
        };
        stats.push(Arc::clone(&spec.stats));
        plane.command(Time::ZERO, Command::Set(Arc::new(spec)));
    }
    (plane, stats)
}

proptest! {
    #[test]
    fn any_bytes_get_one_verdict_each_and_leave_unchanged(
        rounds in vec((datagrams(), 0..5_000_u64), 1..4),
    ) {
        let (mut plane, ports) = zoo();
        let totals = plane.stats();
        let mut now = Time::from_secs(10);
        let mut arrived = [0_u64; 8];
        for (datagrams, millis) in rounds {
            now = now + std::time::Duration::from_millis(millis);
            let mut buffers: Vec<_> = datagrams.iter().map(|d| d.bytes.clone()).collect();
            let mut batch: Vec<_> = buffers
                .iter_mut()
                .zip(&datagrams)
                .map(|(buffer, d)| {
                    let len = buffer.len();
                    let packet = Packet::new(buffer, len);
                    Rx { port: port(d.slot), source: d.source, packet, truncated: d.truncated }
                })
                .collect();
            let mut out = Sent::default();
            plane.process(now, &mut batch, &mut out);
            plane.tick(now, &mut out);
            for (index, len, to) in &out.forwards {
                let given = &datagrams[*index].bytes;
                let rtcp = matches!(given.as_slice(), [128..=191, 192..=223, ..]);
                prop_assert!(to.is_sendable() && *len <= given.len());
                prop_assert!(rtcp || buffers[*index] == *given, "only feedback is ever cut out");
            }
            for (bytes, to) in &out.copies {
                prop_assert!(to.is_sendable() && !bytes.is_empty());
            }
            for datagram in &datagrams {
                arrived[datagram.slot as usize] += 1;
            }
        }
        prop_assert_eq!(totals.received.packets.get(), arrived.iter().sum::<u64>());
        prop_assert_eq!(totals.decided(), arrived.iter().sum::<u64>());
        prop_assert_eq!(totals.unassigned.dropped() >= arrived[7], true);
        for (stats, arrived) in ports.iter().zip(arrived) {
            let decided = stats.forwarded.get() + stats.punted.get() + stats.dropped();
            prop_assert_eq!(decided, arrived);
        }
    }
}

// ---- who is the peer ----------------------------------------------------------------------------

/// A packet that arrived in one admission epoch.
#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Time,
    source: Endpoint,
    follow: bool,
}

/// What the rules say, computed anew from all that was heard.
#[derive(Clone, Debug)]
struct Model {
    admission: Admission,
    heard: Vec<Heard>,
    guess: Option<Endpoint>,
    before: Option<(Endpoint, Endpoint)>,
}

/// Where the peer is, and on what grounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Belief {
    destination: Option<Endpoint>,
    settled: bool,
    latched: bool,
}

const WINDOW: std::time::Duration = std::time::Duration::from_secs(3);

impl Model {
    fn new(admission: Admission) -> Self {
        Self {
            admission,
            heard: Vec::new(),
            guess: None,
            before: None,
        }
    }

    fn change(&mut self, now: Time, admission: Admission) {
        let belief = self.belief(now);
        if belief.latched {
            self.before = belief
                .destination
                .map(|peer| (self.admission.advertised, peer));
        }
        let same = |a: &Admission| (a.epoch, a.advertised, a.learning);
        if same(&self.admission) != same(&admission) {
            self.heard.clear();
            let before = self.before.filter(|(a, _)| *a == admission.advertised);
            self.guess = before.map(|(_, peer)| peer);
        }
        self.admission = admission;
    }

    fn belief(&self, now: Time) -> Belief {
        let advertised = self.admission.advertised;
        let first_guess = self.guess.unwrap_or(advertised);
        let fixed = |destination, settled| Belief {
            destination,
            settled,
            latched: false,
        };
        if !advertised.is_sendable() {
            return fixed(None, false);
        }
        let settled_by = match self.admission.learning {
            Learning::Off => return fixed(Some(advertised), true),
            Learning::Immediate => self.heard.first().map(|h| (0, h.source)),
            Learning::Delayed => self.late().map(|n| (n, self.heard[n].source)),
            Learning::Heuristic => self.best(now),
        };
        match settled_by {
            Some((n, source)) => {
                let followed = self.heard[n..].iter().rev().find(|h| h.follow);
                let peer = followed.map_or(source, |h| h.source);
                Belief {
                    destination: Some(peer),
                    settled: true,
                    latched: true,
                }
            }
            None => match self
                .in_window(now)
                .max_by_key(|(n, h)| (self.rank(h), usize::MAX - n))
            {
                Some((_, h)) if self.admission.learning == Learning::Heuristic => Belief {
                    destination: Some(h.source),
                    settled: false,
                    latched: true,
                },
                _ => fixed(Some(first_guess), false),
            },
        }
    }

    fn rank(&self, heard: &Heard) -> u8 {
        let advertised = self.admission.advertised;
        let (addr, port) = (
            heard.source.addr == advertised.addr,
            heard.source.port == advertised.port,
        );
        u8::from(addr) * 2 + u8::from(port)
    }

    fn closes(&self) -> Option<Time> {
        self.heard.first().map(|h| h.at + WINDOW)
    }

    /// The first packet after the window.
    fn late(&self) -> Option<usize> {
        self.heard
            .iter()
            .position(|h| Some(h.at) >= self.closes() && self.closes().is_some())
    }

    fn in_window(&self, now: Time) -> impl Iterator<Item = (usize, &Heard)> {
        let closes = self.closes().unwrap_or(now);
        self.heard
            .iter()
            .enumerate()
            .filter(move |(_, h)| h.at < closes)
    }

    /// The heuristic's choice, if it is final, and the packet from which on others are strangers.
    fn best(&self, now: Time) -> Option<(usize, Endpoint)> {
        if let Some((n, exact)) = self.in_window(now).find(|(_, h)| self.rank(h) == 3) {
            return Some((n, exact.source));
        }
        if self.closes()? > now {
            return None;
        }
        let (_, best) = self
            .in_window(now)
            .max_by_key(|(n, h)| (self.rank(h), usize::MAX - n))?;
        Some((self.late().unwrap_or(self.heard.len()), best.source))
    }
}

#[derive(Clone, Debug)]
enum Step {
    Media(Endpoint),
    Beside(Endpoint),
    Wait(u64),
    Set {
        learning: Learning,
        stranger: Stranger,
        advertised: Endpoint,
        new_epoch: bool,
    },
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let source = (1..4_u8, 4_000..4_003_u16).prop_map(|(h, p)| host(h, p));
    let learning = prop_oneof![
        Just(Learning::Off),
        Just(Learning::Immediate),
        Just(Learning::Delayed),
        Just(Learning::Heuristic),
        Just(Learning::Heuristic),
    ];
    let stranger = prop_oneof![
        Just(Stranger::Forward),
        Just(Stranger::Drop),
        Just(Stranger::Follow)
    ];
    let advertised = prop_oneof![
        Just(host(1, 4_000)),
        Just(host(1, 4_000)),
        Just(host(2, 4_001)),
        Just(host(0, 0)),
        Just(Endpoint::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 4_000)),
    ];
    let set = (learning, stranger, advertised, any::<bool>()).prop_map(
        |(learning, stranger, advertised, new_epoch)| Step::Set {
            learning,
            stranger,
            advertised,
            new_epoch,
        },
    );
    let step = prop_oneof![
        12 => source.clone().prop_map(Step::Media),
        2 => source.prop_map(Step::Beside),
        4 => prop_oneof![1..500_u64, Just(3_000), 2_000..4_000_u64].prop_map(Step::Wait),
        2 => set,
        1 => Just(Step::Clear),
    ];
    vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_peer_is_who_the_rules_say(steps in steps()) {
        let mut plane = Plane::new(3, 1);
        let far = Admission {
            advertised: host(9, 9_000),
            learning: Learning::Off,
            stranger: Stranger::Forward,
            epoch: 0,
        };
        let start = Admission { advertised: host(1, 4_000), learning: Learning::Heuristic, ..far };
        let mut now = Time::from_secs(10);
        let own = spec(0, Accepts::Muxed, start, &[1]);
        let stats = Arc::clone(&own.stats);
        plane.command(now, Command::Set(Arc::new(own.clone())));
        plane.command(now, Command::Set(Arc::new(spec(1, Accepts::Muxed, far, &[0]))));
        let mut model = Some(Model::new(start));
        let mut told = None;
        let mut epoch = 0;

        for (n, step) in steps.into_iter().enumerate() {
            let mut out = Sent::default();
            let before = stats.drops(Reason::WrongSource);
            let mut refusal = false;
            match step {
                Step::Wait(millis) => now = now + std::time::Duration::from_millis(millis),
                Step::Clear => {
                    plane.command(now, Command::Clear(port(0)));
                    model = None;
                }
                Step::Set { learning, stranger, advertised, new_epoch } => {
                    epoch += u32::from(new_epoch);
                    let admission = Admission { advertised, learning, stranger, epoch };
                    plane.command(now, Command::Set(Arc::new(Spec { admission, ..own.clone() })));
                    match &mut model {
                        Some(model) => model.change(now, admission),
                        None => model = Some(Model::new(admission)),
                    }
                    told = None;
                }
                Step::Media(source) | Step::Beside(source) => {
                    let media = matches!(step, Step::Media(_));
                    let mut bytes = vec![0x80, if media { 0 } else { 201 }, (n >> 8) as u8, n as u8];
                    bytes.extend([n as u8; 168]);
                    if !media {
                        bytes.truncate(8);
                        bytes[2..4].copy_from_slice(&[0, 1]);
                    }
                    let packet = Packet::new(&mut bytes, if media { 172 } else { 8 });
                    let rx = Rx { port: port(0), source: Some(source), packet, truncated: false };
                    plane.process(now, &mut [rx], &mut out);
                    if let Some(model) = &mut model {
                        let follow = model.admission.stranger == Stranger::Follow;
                        if media {
                            model.heard.push(Heard { at: now, source, follow });
                        }
                        let belief = model.belief(now);
                        refusal = model.admission.stranger == Stranger::Drop
                            && (belief.settled || belief.latched)
                            && belief.destination != Some(source);
                    }
                }
            }
            plane.tick(now, &mut out);
            let expected = model.as_ref().map(|m| m.belief(now));
            prop_assert_eq!(plane.destination(port(0)), expected.and_then(|b| b.destination), "step {}", n);
            let settled = expected.filter(|b| b.settled).and_then(|b| b.destination);
            prop_assert_eq!(plane.peer(port(0)), settled, "step {}", n);
            prop_assert_eq!(stats.drops(Reason::WrongSource) - before, u64::from(refusal), "step {}", n);
            for event in out.events {
                match event {
                    Event::Latched { port: at, peer, epoch: of, settled, .. } => {
                        prop_assert_eq!((at, of), (port(0), epoch));
                        prop_assert_ne!(told, Some((peer, settled)), "nothing is told twice");
                        told = Some((peer, settled));
                    }
                    Event::Looped { .. } => prop_assert!(false, "no packet was repeated"),
                    Event::Punted { .. } => prop_assert!(false, "nobody asked for handshakes"),
                    Event::Unauthentic { .. } | Event::KeyExpired { .. } => {
                        prop_assert!(false, "nothing is protected");
                    }
                }
            }
            if let Some(belief) = expected.filter(|b| b.latched) {
                let news = belief.destination.map(|peer| (peer, belief.settled));
                prop_assert!(told.is_none() || told == news, "step {}: told {:?}, is {:?}", n, told, news);
            }
        }
        prop_assert_eq!(plane.stats().received.packets.get(), plane.stats().decided());
    }
}
