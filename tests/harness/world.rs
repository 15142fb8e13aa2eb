//! A relay, its peers and a bad network in virtual time: control and a plane as they are, and between
//! them and the phones a network that loses, repeats, delays and rebinds. A run follows from its seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use patchcord_contract::{Endpoint, Time};
use patchcord_control::{Clock, Control, Outcome, Seed, Settings};
use patchcord_media::flow::{Command, Event, PortId};
use patchcord_media::{Outbox, Packet, Plane, Rx};
use patchcord_wire::ng::{self, Request};
use patchcord_wire::value::{Limits, Value};

use crate::leases::Leases;

/// How the network between the phones and the relay behaves, each way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Packets lost, per thousand.
    pub loss: u32,
    /// Packets that arrive twice, per thousand.
    pub repeats: u32,
    /// Delay of every packet.
    pub delay: Duration,
    /// Further delay, uniformly up to this: more than a packet interval reorders.
    pub jitter: Duration,
}

/// Everything but the kernel.
pub struct World {
    /// The calls.
    pub control: Control,
    /// The packets.
    pub plane: Plane,
    /// The ports.
    pub ports: Leases,
    /// The network.
    pub weather: Weather,
    now: Time,
    random: Random,
    sequence: u64,
    flights: BinaryHeap<Reverse<Flight>>,
    inboxes: BTreeMap<Endpoint, Vec<Arrival>>,
    relayed: u64,
    delivered: u64,
}

/// A packet that reached a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When.
    pub at: Time,
    /// The relay's endpoint that it came from.
    pub from: Endpoint,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: Time,
    sequence: u64,
    from: Endpoint,
    to: Endpoint,
    bytes: Vec<u8>,
}

impl World {
    /// A relay with `settings` in fine weather.
    pub fn new(settings: Settings, seed: u64) -> Self {
        let ports = Leases::new(&settings, 200);
        Self {
            plane: Plane::new(0, settings.interfaces.len()),
            control: Control::new(settings, &Seed::of_number(seed)),
            ports,
            weather: Weather::default(),
            now: Time::from_secs(1000),
            random: Random(seed | 1),
            sequence: 0,
            flights: BinaryHeap::new(),
            inboxes: BTreeMap::new(),
            relayed: 0,
            delivered: 0,
        }
    }

    /// The virtual time.
    pub fn now(&self) -> Time {
        self.now
    }

    fn clock(&self) -> Clock {
        Clock {
            now: self.now,
            wall_us: 1_700_000_000_000_000 + self.now.0 / 1000,
        }
    }

    /// A request as a proxy sends it, answered at once; returns the reply's dictionary.
    pub fn request(&mut self, body: &Value<'_>) -> Value<'static> {
        let (request, warnings) = Request::parse(body);
        let clock = self.clock();
        let mut commands = Vec::new();
        let reply = match request {
            Ok(request) => match self.control.request(
                clock,
                &request,
                &warnings,
                &mut self.ports,
                &mut commands,
            ) {
                Outcome::Reply(reply) => reply,
                Outcome::Process(_) => ng::Reply::ok(),
            },
            Err(error) => ng::Reply::error(error.to_string()),
        };
        let bytes = reply.to_bytes(Some(b"1"), ng::Format::Bencode);
        self.execute(commands);
        ng::parse_with(&bytes, Limits::REPLY)
            .expect("our own reply")
            .body
            .into_owned()
    }

    /// A phone sends `bytes` from `from` to the relay's `to`.
    pub fn send(&mut self, from: Endpoint, to: Endpoint, bytes: &[u8]) {
        self.fly(from, to, bytes);
    }

    /// Lets virtual time pass.
    pub fn run(&mut self, span: Duration) {
        let until = self.now + span;
        while self.now < until {
            let tick = Time((self.now.0 / 100_000_000 + 1) * 100_000_000).min(until);
            // Agents have times of their own.
            let pulse = self.control.next_pulse().unwrap_or(tick);
            let tick = tick.min(pulse.max(self.now + Duration::from_millis(1)));
            while let Some(Reverse(flight)) = self.flights.peek()
                && flight.at <= tick
            {
                let Some(Reverse(flight)) = self.flights.pop() else {
                    break;
                };
                self.now = self.now.max(flight.at);
                self.arrive(flight);
            }
            self.now = tick;
            self.tick();
        }
    }

    /// Takes what reached the phone at `endpoint` so far, in order of arrival.
    pub fn inbox(&mut self, endpoint: Endpoint) -> Vec<Arrival> {
        self.inboxes.remove(&endpoint).unwrap_or_default()
    }

    /// Packets that left the relay so far.
    pub fn relayed(&self) -> u64 {
        self.relayed
    }

    /// Packets that reached one of the relay's ports so far.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    fn tick(&mut self) {
        if self.control.next_pulse().is_some_and(|at| at <= self.now) {
            let clock = self.clock();
            let mut commands = Vec::new();
            self.control.pulse(clock, &mut commands);
            self.execute(commands);
        }
        let mut out = Out::default();
        self.plane.tick(self.now, &mut out);
        self.settle(out, &[]);
        if self.now.0.is_multiple_of(1_000_000_000) {
            let clock = self.clock();
            let mut commands = Vec::new();
            self.control.tick(clock, &mut self.ports, &mut commands);
            self.execute(commands);
        }
    }

    fn execute(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Send { port, to, bytes } => self.leave(port, to, &bytes),
                Command::Set(_) | Command::Clear(_) => self.plane.command(self.now, command),
            }
        }
    }

    fn arrive(&mut self, flight: Flight) {
        let Some(port) = self.ports.port(flight.to) else {
            let arrival = Arrival {
                at: self.now,
                from: flight.from,
                bytes: flight.bytes,
            };
            self.inboxes.entry(flight.to).or_default().push(arrival);
            return;
        };
        self.delivered += 1;
        let len = flight.bytes.len();
        let mut buffer = flight.bytes;
        buffer.resize(len + 80, 0);
        let mut out = Out::default();
        let mut batch = [Rx {
            port,
            source: Some(flight.from),
            packet: Packet::new(&mut buffer, len),
            truncated: false,
        }];
        self.plane.process(self.now, &mut batch, &mut out);
        self.settle(out, &batch);
    }

    fn settle(&mut self, out: Out, batch: &[Rx<'_>]) {
        for (index, len, via, to) in out.forwards {
            let bytes = &batch[index].packet.bytes()[..len];
            self.leave(via, to, bytes);
        }
        for (bytes, via, to) in out.copies {
            self.leave(via, to, &bytes);
        }
        for event in out.events {
            let clock = self.clock();
            let mut commands = Vec::new();
            self.control.event(clock, &event, &mut commands);
            self.execute(commands);
        }
    }

    fn leave(&mut self, via: PortId, to: Endpoint, bytes: &[u8]) {
        self.relayed += 1;
        let from = self
            .ports
            .endpoint(via)
            .expect("packets leave from leased ports");
        self.fly(from, to, bytes);
    }

    fn fly(&mut self, from: Endpoint, to: Endpoint, bytes: &[u8]) {
        let copies = if self.random.per_mille(self.weather.repeats) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            if self.random.per_mille(self.weather.loss) {
                continue;
            }
            let jitter = self.random.below(self.weather.jitter.as_nanos() as u64 + 1);
            self.sequence += 1;
            self.flights.push(Reverse(Flight {
                at: self.now + self.weather.delay + Duration::from_nanos(jitter),
                sequence: self.sequence,
                from,
                to,
                bytes: bytes.to_vec(),
            }));
        }
    }
}

/// What a plane put out, kept until the batch is free again.
#[derive(Default)]
struct Out {
    forwards: Vec<(usize, usize, PortId, Endpoint)>,
    copies: Vec<(Vec<u8>, PortId, Endpoint)>,
    events: Vec<Event>,
}

impl Outbox for Out {
    fn forward(&mut self, index: usize, len: usize, via: PortId, to: Endpoint) {
        self.forwards.push((index, len, via, to));
    }

    fn copy(&mut self, bytes: &[u8], via: PortId, to: Endpoint) {
        self.copies.push((bytes.to_vec(), via, to));
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// xorshift64*: a run is its seed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator; the seed must not be 0.
    pub fn new(seed: u64) -> Self {
        Self(seed.max(1))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// True `n` times of a thousand.
    pub fn per_mille(&mut self, n: u32) -> bool {
        self.below(1000) < u64::from(n)
    }
}
