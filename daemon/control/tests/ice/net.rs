//! Two agents, what is between them, and virtual time. A run follows from its seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::Ipv4Addr;
use std::time::Duration;

use patchcord_contract::{Endpoint, Time};
use patchcord_control::ice::{
    Agent, Candidate, CandidateType, Component, Event, ListId, LocalId, Mode, Output, Place, Role,
    Selected,
};
use patchcord_wire::sdp::{self, Field};
use patchcord_wire::stun::{Class, Message};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What a packet of media looks like here.
pub(crate) const MEDIA: &[u8] = &[0x80, 0, 0, 1];

/// How the network behaves, each way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Packets lost, per thousand.
    pub(crate) loss: u32,
    /// Packets that arrive twice, per thousand.
    pub(crate) repeats: u32,
    /// Delay of every packet.
    pub(crate) delay: Duration,
    /// Further delay, uniformly up to this.
    pub(crate) jitter: Duration,
}

impl Weather {
    pub(crate) const FINE: Self = Self {
        loss: 0,
        repeats: 0,
        delay: Duration::from_millis(10),
        jitter: Duration::ZERO,
    };
}

/// One agent and its surroundings.
pub(crate) struct Side {
    pub(crate) agent: Agent,
    pub(crate) random: ChaCha20Rng,
    pub(crate) lists: Vec<ListId>,
    pub(crate) bases: BTreeMap<LocalId, Endpoint>,
    /// Bases that nothing comes from or goes to.
    pub(crate) walled: BTreeSet<Endpoint>,
    pub(crate) nat: Option<Nat>,
    pub(crate) events: Vec<(Time, Event)>,
    /// STUN datagrams sent: when, from which base, to where, what.
    pub(crate) sent: Vec<(Time, Endpoint, Endpoint, Box<[u8]>)>,
    /// Media received: when, at which candidate, from where.
    pub(crate) heard: Vec<(Time, LocalId, Endpoint)>,
    /// Where a check of this agent was answered from, or (lite) the peer checked from.
    pub(crate) proven: BTreeSet<(LocalId, Endpoint)>,
}

/// A NAT that maps and filters by the other endpoint: the worst kind.
pub(crate) struct Nat {
    pub(crate) outside: Ipv4Addr,
    next: u16,
    mappings: BTreeMap<(Endpoint, Endpoint), Endpoint>,
}

impl Nat {
    pub(crate) fn new(outside: Ipv4Addr) -> Self {
        Self {
            outside,
            next: 40_000,
            mappings: BTreeMap::new(),
        }
    }

    /// All mappings are lost; the next packet gets another port.
    pub(crate) fn rebind(&mut self) {
        self.mappings.clear();
    }

    fn out(&mut self, from: Endpoint, to: Endpoint) -> Endpoint {
        *self.mappings.entry((from, to)).or_insert_with(|| {
            self.next += 1;
            Endpoint::new(std::net::IpAddr::from(self.outside), self.next)
        })
    }

    fn back(&self, from: Endpoint, to: Endpoint) -> Option<Endpoint> {
        let found = self
            .mappings
            .iter()
            .find(|((_, peer), outside)| (*peer, **outside) == (from, to));
        found.map(|((inside, _), _)| *inside)
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: Time,
    sequence: u64,
    sender: usize,
    from: Endpoint,
    to: Endpoint,
    bytes: Box<[u8]>,
}

pub(crate) struct Net {
    pub(crate) now: Time,
    pub(crate) weather: Weather,
    pub(crate) sides: [Side; 2],
    /// Nothing arrives.
    pub(crate) cut: bool,
    /// Both send media every 20 ms by the pair that their agent has selected.
    pub(crate) talking: bool,
    next_media: Time,
    random: ChaCha20Rng,
    sequence: u64,
    flights: BinaryHeap<Reverse<Flight>>,
}

/// Which side.
pub(crate) const LEFT: usize = 0;
pub(crate) const RIGHT: usize = 1;

impl Net {
    /// Two agents without candidates; the left one makes the offer.
    pub(crate) fn new(seed: u64, modes: [Mode; 2]) -> Self {
        let roles = [Role::Controlling, Role::Controlled];
        Self::with_roles(seed, modes, roles)
    }

    pub(crate) fn with_roles(seed: u64, modes: [Mode; 2], roles: [Role; 2]) -> Self {
        let side = |at: usize| {
            let mut random = ChaCha20Rng::seed_from_u64(seed * 2 + at as u64);
            let mut agent = Agent::new(modes[at], roles[at], &mut random);
            agent.set_peer(modes[1 - at]);
            let list = agent.add_list(&mut random);
            Side {
                agent,
                random,
                lists: vec![list],
                bases: BTreeMap::new(),
                walled: BTreeSet::new(),
                nat: None,
                events: Vec::new(),
                sent: Vec::new(),
                heard: Vec::new(),
                proven: BTreeSet::new(),
            }
        };
        Self {
            now: Time::from_secs(100),
            weather: Weather::FINE,
            sides: [side(LEFT), side(RIGHT)],
            cut: false,
            talking: false,
            next_media: Time::from_secs(100),
            random: ChaCha20Rng::seed_from_u64(seed ^ 0x5eed),
            sequence: 0,
            flights: BinaryHeap::new(),
        }
    }

    /// A local candidate of a side's nth section.
    pub(crate) fn host(
        &mut self,
        side: usize,
        nth: usize,
        component: Component,
        at: &str,
    ) -> LocalId {
        self.candidate(side, nth, component, at, CandidateType::Host)
    }

    pub(crate) fn candidate(
        &mut self,
        side: usize,
        nth: usize,
        component: Component,
        at: &str,
        kind: CandidateType,
    ) -> LocalId {
        let base = endpoint(at);
        let side = &mut self.sides[side];
        let place = Place {
            base,
            advertised: base,
            kind,
            preference: 65_535 - side.bases.len() as u16,
        };
        let id = side.agent.add_local(side.lists[nth], component, place);
        side.bases.insert(id, base);
        id
    }

    /// A further section on both sides.
    pub(crate) fn section(&mut self) -> usize {
        for side in &mut self.sides {
            side.lists.push(side.agent.add_list(&mut side.random));
        }
        self.sides[LEFT].lists.len() - 1
    }

    /// Tells a side the other's credentials and candidates of a section, and that these are all.
    pub(crate) fn tell(&mut self, to: usize, nth: usize) {
        self.tell_credentials(to, nth);
        self.tell_candidates(to, nth);
        let side = &mut self.sides[to];
        side.agent.end_of_candidates(side.lists[nth]);
    }

    pub(crate) fn tell_credentials(&mut self, to: usize, nth: usize) {
        let other = &self.sides[1 - to];
        let theirs = other.agent.credentials(other.lists[nth]).clone();
        let mut out = Output::default();
        let side = &mut self.sides[to];
        let (list, random) = (side.lists[nth], &mut side.random);
        if side.agent.is_restart(list, theirs.ufrag(), theirs.pwd()) {
            side.agent.restart(list, random);
        }
        let (ufrag, pwd) = (theirs.ufrag(), theirs.pwd());
        side.agent
            .describe(self.now, list, ufrag, pwd, random, &mut out);
        self.emit(to, out);
    }

    pub(crate) fn tell_candidates(&mut self, to: usize, nth: usize) {
        for line in self.lines(1 - to, nth) {
            self.tell_line(to, nth, &line);
        }
    }

    /// A candidate line as text; a line that is skipped is no error.
    pub(crate) fn tell_line(&mut self, to: usize, nth: usize, line: &str) {
        let line = sdp::Candidate::parse(line.as_bytes()).expect("a candidate line");
        let Ok(candidate) = Candidate::read(&line) else {
            return;
        };
        let mut out = Output::default();
        let side = &mut self.sides[to];
        let (list, random) = (side.lists[nth], &mut side.random);
        side.agent
            .add_remote(self.now, list, candidate, random, &mut out);
        self.emit(to, out);
    }

    /// A side's candidates as lines of SDP.
    pub(crate) fn lines(&self, side: usize, nth: usize) -> Vec<String> {
        let side = &self.sides[side];
        let candidates = side.agent.candidates(side.lists[nth]);
        let line = |c: patchcord_control::ice::Announced| {
            format!(
                "{} {} udp {} {} {} typ {}",
                c.foundation,
                c.component.number(),
                c.priority,
                c.place.advertised.addr,
                c.place.advertised.port,
                c.place.kind.name(),
            )
        };
        candidates.map(line).collect()
    }

    /// Each side has one candidate for RTP, in the same open network.
    pub(crate) fn pair_up(&mut self) {
        self.host(LEFT, 0, Component::Rtp, "198.51.100.1:10000");
        self.host(RIGHT, 0, Component::Rtp, "203.0.113.1:20000");
    }

    /// Offer and answer, with an answer that takes its time.
    pub(crate) fn signal(&mut self) {
        for nth in 0..self.sides[LEFT].lists.len() {
            self.tell(RIGHT, nth);
        }
        self.run(Duration::from_millis(30));
        for nth in 0..self.sides[LEFT].lists.len() {
            self.tell(LEFT, nth);
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
    }

    /// Runs until something holds; whether it did before the time was up.
    pub(crate) fn run_until(
        &mut self,
        time: Duration,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> bool {
        let end = self.now + time;
        while !holds(self) {
            let Some(at) = self.next().filter(|at| *at <= end) else {
                self.now = end;
                return false;
            };
            self.now = self.now.max(at);
            self.step();
        }
        true
    }

    pub(crate) fn selected(
        &self,
        side: usize,
        nth: usize,
        component: Component,
    ) -> Option<Selected> {
        let side = &self.sides[side];
        side.agent.selected(side.lists[nth], component)
    }

    /// The way a side sends: its base and the endpoint that it sends to.
    pub(crate) fn way(&self, side: usize, component: Component) -> Option<(Endpoint, Endpoint)> {
        let pair = self.selected(side, 0, component)?;
        Some((self.sides[side].bases[&pair.local], pair.remote))
    }

    pub(crate) fn is_connected(&self, side: usize) -> bool {
        let mut events = self.sides[side].events.iter();
        events.any(|(_, event)| matches!(event, Event::Connected { .. }))
    }

    pub(crate) fn both_connected(&self) -> bool {
        self.is_connected(LEFT) && self.is_connected(RIGHT)
    }

    /// A datagram out of nowhere, at once.
    pub(crate) fn inject(
        &mut self,
        to: usize,
        local: LocalId,
        from: Endpoint,
        bytes: &[u8],
    ) -> Output {
        let side = &mut self.sides[to];
        let mut out = Output::default();
        let random = &mut side.random;
        side.agent
            .receive(self.now, local, from, bytes, random, &mut out);
        out
    }

    fn next(&self) -> Option<Time> {
        let flight = self.flights.peek().map(|Reverse(flight)| flight.at);
        let timers = self.sides.iter().filter_map(|side| side.agent.next());
        let media = self.talking.then_some(self.next_media);
        flight.into_iter().chain(timers).chain(media).min()
    }

    fn step(&mut self) {
        while let Some(Reverse(flight)) = self.flights.peek() {
            if flight.at > self.now {
                break;
            }
            if let Some(Reverse(flight)) = self.flights.pop() {
                self.arrive(&flight);
            }
        }
        for at in [LEFT, RIGHT] {
            let side = &mut self.sides[at];
            if side.agent.next().is_some_and(|next| next <= self.now) {
                let mut out = Output::default();
                side.agent.tick(self.now, &mut side.random, &mut out);
                let next = side.agent.next();
                assert!(
                    next.is_none_or(|next| next > self.now),
                    "an agent that was served has nothing due: {next:?} at {:?}",
                    self.now
                );
                self.emit(at, out);
            }
        }
        if self.talking && self.next_media <= self.now {
            self.next_media = self.now + Duration::from_millis(20);
            self.talk();
        }
    }

    fn talk(&mut self) {
        for at in [LEFT, RIGHT] {
            for nth in 0..self.sides[at].lists.len() {
                let Some(pair) = self.selected(at, nth, Component::Rtp) else {
                    continue;
                };
                assert!(
                    self.sides[at].proven.contains(&(pair.local, pair.remote)),
                    "media goes where no check has been: {pair:?}"
                );
                let from = self.sides[at].bases[&pair.local];
                self.send(at, from, pair.remote, MEDIA);
            }
        }
    }

    fn emit(&mut self, at: usize, out: Output) {
        let now = self.now;
        let events = out.events.into_iter().map(|event| (now, event));
        self.sides[at].events.extend(events);
        for transmit in out.transmits {
            let from = self.sides[at].bases[&transmit.local];
            let record = (now, from, transmit.to, transmit.bytes.clone());
            self.sides[at].sent.push(record);
            self.send(at, from, transmit.to, &transmit.bytes);
        }
    }

    fn send(&mut self, sender: usize, from: Endpoint, to: Endpoint, bytes: &[u8]) {
        if self.sides[sender].walled.contains(&from) {
            return;
        }
        let from = match &mut self.sides[sender].nat {
            Some(nat) => nat.out(from, to),
            None => from,
        };
        let Weather {
            loss,
            repeats,
            delay,
            jitter,
        } = self.weather;
        if self.draw(1000) < u64::from(loss) {
            return;
        }
        let copies = 1 + u64::from(self.draw(1000) < u64::from(repeats));
        for _ in 0..copies {
            let extra = self.draw(jitter.as_micros() as u64 + 1);
            self.sequence += 1;
            self.flights.push(Reverse(Flight {
                at: self.now + delay + Duration::from_micros(extra),
                sequence: self.sequence,
                sender,
                from,
                to,
                bytes: bytes.into(),
            }));
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random.next_u64() % below
    }

    fn arrive(&mut self, flight: &Flight) {
        if self.cut {
            return;
        }
        let receiver = 1 - flight.sender;
        let side = &mut self.sides[receiver];
        let base = match &side.nat {
            Some(nat) => nat.back(flight.from, flight.to),
            None => Some(flight.to),
        };
        let base = base.filter(|base| !side.walled.contains(base));
        let mut bases = side.bases.iter();
        let Some(local) = bases.find_map(|(id, at)| (Some(*at) == base).then_some(*id)) else {
            return;
        };
        if flight.bytes[0] >= 0x80 {
            let mut admitted = side.agent.admitted(local);
            assert!(
                admitted.any(|source| source == flight.from),
                "media from where no check has come: {}",
                flight.from
            );
            side.heard.push((self.now, local, flight.from));
            return;
        }
        let message = Message::parse(&flight.bytes).expect("agents send STUN");
        let lite = side.agent.mode() == Mode::Lite;
        let proof = if lite { Class::Request } else { Class::Success };
        if message.class == proof {
            side.proven.insert((local, flight.from));
        }
        let mut out = Output::default();
        let random = &mut side.random;
        side.agent.receive(
            self.now,
            local,
            flight.from,
            &flight.bytes,
            random,
            &mut out,
        );
        self.emit(receiver, out);
    }
}

pub(crate) fn endpoint(text: &str) -> Endpoint {
    text.parse::<std::net::SocketAddr>()
        .expect("an address")
        .into()
}
