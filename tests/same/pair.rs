//! Two relays of the same flow: in one every packet goes through the plane, in the other the kernel program is
//! in front of it. What leaves and what is counted is compared.

use std::fmt;
use std::sync::Arc;

use patchcord_contract::{Endpoint, Entry, Hop, Reason, Tally, Time};
use patchcord_media::flow::{
    Accepts, Admission, Clocks, Command, Event, Feedback, Handshakes, Learning, PortId, Reporting,
    Security, Sink, Sinks, Spec, Stranger,
};
use patchcord_media::offload::{Offer, Tallies};
use patchcord_media::stats::PortStats;
use patchcord_media::{Outbox, Packet, Plane, Rx};
use patchcord_offload::{Hook, Opened, Program, Ran, Table};
use patchcord_tests::rtp;

use crate::frame::{Datagram, Shape};
use crate::judge::{Finish, Why, judge};
use crate::place::{hop, ttl};

/// The stream that is carried.
pub(crate) const SSRC: u32 = 0x1234_5678;
/// The last sequence number that both relays have heard of it.
pub(crate) const HEARD: u16 = 500;
/// TOS byte of what leaves.
const TOS: u8 = 0xb8;

/// A flow in one direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    /// Who sends.
    pub(crate) source: Endpoint,
    /// Where to.
    pub(crate) local: Endpoint,
    /// Where it leaves from.
    pub(crate) from: Endpoint,
    /// Where it goes.
    pub(crate) to: Endpoint,
    /// What becomes of others' packets.
    pub(crate) stranger: Stranger,
}

/// One relay.
struct Relay {
    plane: Plane,
    stats: [Arc<PortStats>; 2],
}

/// What a plane did with one packet.
#[derive(Debug, Default)]
struct Sent {
    left: Vec<(Vec<u8>, PortId, Endpoint)>,
    events: Vec<Event>,
    forward: Option<(usize, PortId, Endpoint)>,
}

impl Outbox for Sent {
    fn forward(&mut self, index: usize, len: usize, via: PortId, to: Endpoint) {
        assert_eq!((index, self.forward), (0, None), "one packet, once");
        self.forward = Some((len, via, to));
    }

    fn copy(&mut self, bytes: &[u8], via: PortId, to: Endpoint) {
        self.left.push((bytes.to_vec(), via, to));
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }
}

fn port(slot: u32) -> PortId {
    PortId::new(0, slot).expect("a small slot")
}

impl Relay {
    fn new(route: &Route) -> Self {
        let mut plane = Plane::new(0, 1);
        let stats = [(0, 1, route.source), (1, 0, route.to)].map(|(slot, via, advertised)| {
            let stats = Arc::new(PortStats::default());
            let sinks = Sinks::from_slice(&[Sink {
                via: port(via),
                feedback: Feedback::Keep,
                edit: None,
            }]);
            let spec = Spec {
                port: port(slot),
                accepts: Accepts::Muxed,
                admission: Admission {
                    advertised,
                    learning: Learning::Heuristic,
                    stranger: route.stranger,
                    epoch: 1,
                },
                handshakes: Handshakes::default(),
                receive: Security::Plain,
                send: Security::Plain,
                clocks: Clocks::new(),
                rtp: sinks.clone(),
                rtcp: sinks,
                reporting: Reporting::Relayed,
                bundle: None,
                doors: None,
                tos: TOS,
                blocked: false,
                interface: 0,
                stats: Arc::clone(&stats),
            };
            plane.command(Time::from_secs(1), Command::Set(Arc::new(spec)));
            stats
        });
        let mut relay = Self { plane, stats };
        // Who is where SDP said is settled at once.
        let packet = rtp(1, 160, !SSRC, &[0xd5; 160]);
        relay.process(Time::from_secs(1), 1, route.to, &packet);
        for sequence in [HEARD - 4, HEARD - 2, HEARD - 1, HEARD] {
            let packet = rtp(sequence, u32::from(sequence) * 160, SSRC, &[0xd5; 160]);
            relay.process(Time::from_secs(1), 0, route.source, &packet);
        }
        relay
    }

    fn process(&mut self, now: Time, slot: u32, source: Endpoint, payload: &[u8]) -> Sent {
        let mut sent = Sent::default();
        let mut buffer = payload.to_vec();
        buffer.resize(payload.len() + 64, 0);
        let mut batch = [Rx {
            port: port(slot),
            source: Some(source),
            packet: Packet::new(&mut buffer, payload.len()),
            truncated: false,
        }];
        self.plane.process(now, &mut batch, &mut sent);
        if let Some((len, via, to)) = sent.forward {
            sent.left.push((buffer[..len].to_vec(), via, to));
        }
        sent
    }

    /// Everything that was counted, but by how many at a time.
    fn counts(&self) -> String {
        let totals = self.plane.stats();
        let received = (totals.received.packets.get(), totals.received.bytes.get());
        format!(
            "{received:?} {:?} {:?} {} {} {:?}",
            totals.interfaces,
            totals.unassigned,
            totals.punts.get(),
            totals.latches.get(),
            self.stats
        )
    }
}

struct Reader<F>(F);

impl<F> fmt::Debug for Reader<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

impl<F: Fn(u32) -> Tally + Send> Tallies for Reader<F> {
    fn read(&self, index: u32) -> Tally {
        (self.0)(index)
    }
}

/// The two relays, with one program.
pub(crate) struct Pair<'a> {
    program: &'a mut Program,
    table: &'a mut Table,
    route: Route,
    alone: Relay,
    aided: Relay,
    open: Option<(Opened, Entry)>,
    /// Whether the program may begin with another packet than the next.
    is_lax: bool,
    now: Time,
}

impl<'a> Pair<'a> {
    /// Both relays have heard the beginning of the stream, and one has given it to the kernel.
    pub(crate) fn new(program: &'a mut Program, table: &'a mut Table, route: Route) -> Self {
        let mut aided = Relay::new(&route);
        aided.plane.set_tallies(Box::new(Reader(table.reader())));
        let mut pair = Self {
            program,
            table,
            route,
            alone: Relay::new(&route),
            aided,
            open: None,
            is_lax: false,
            now: Time::from_secs(1),
        };
        pair.lower();
        assert!(pair.open.is_some(), "a settled flow is lowered");
        pair
    }

    /// The same, and the program may begin with any packet that it could go on with.
    pub(crate) fn lax(mut self) -> Self {
        self.raise();
        self.is_lax = true;
        self.lower();
        self
    }

    /// Gives the stream to the kernel.
    pub(crate) fn lower(&mut self) {
        let Route { local, from, .. } = self.route;
        let offer: Option<Offer> = self
            .aided
            .plane
            .offer(port(0), |id| Some([local, from][id.slot()]))
            .ok();
        let begun = u32::from(self.is_lax);
        self.open = offer.map(|mut offer| {
            offer.tally.begun = begun;
            let opened = self.table.open(offer.local, offer.entry, offer.tally);
            let opened = opened.expect("there is room for one");
            self.aided.plane.lower(port(0), &offer, opened.tally());
            (opened, offer.entry)
        });
    }

    /// Takes it back.
    pub(crate) fn raise(&mut self) {
        if let Some((opened, _)) = self.open.take() {
            let tally = self.table.close(opened);
            self.aided.plane.raise(port(0), &tally);
            for _ in 0..=Table::REST {
                self.table.tick().expect("a connection to the kernel");
            }
        }
    }

    /// Sends a frame to both. `Err`: it went up, and why; `None` where the kernel runs no program on such a
    /// frame.
    pub(crate) fn send(&mut self, hook: Hook, frame: &[u8]) -> Option<Result<Finish, Why>> {
        let (opened, entry) = self.open?;
        let before = self.table.read(opened);
        let ran = match hook {
            Hook::Tc => self.program.run_tc(frame, 1),
            Hook::Native | Hook::Generic => self.program.run_xdp(frame, 1),
        };
        let Ok(ran) = ran else {
            assert!(frame.len() < 14 + 40, "refused: {frame:02x?}");
            return None;
        };
        let due = judge(frame, hook, (self.route.local, &entry), &before);
        let datagram = Datagram::read(frame);
        let after = self.table.read(opened);
        match due {
            Ok(Finish::Forward) => {
                assert_eq!(ran.action, redirected(hook), "should leave: {frame:02x?}");
                self.now = Time(after.last_seen);
                let datagram = datagram.expect("a datagram is what leaves");
                self.compare(hook, frame, &datagram, &ran);
            }
            Ok(Finish::Drop) => {
                assert_eq!(ran.action, dropped(hook), "should end: {frame:02x?}");
                let datagram = datagram.expect("a datagram is what ends");
                let wrong = |relay: &Relay| relay.stats[0].drops(Reason::WrongSource);
                let before = wrong(&self.alone);
                let sent = self
                    .alone
                    .process(self.now, 0, datagram.source, &datagram.payload);
                assert!(sent.left.is_empty(), "the plane drops it too");
                assert_eq!(wrong(&self.alone), before + 1, "for the same reason");
            }
            Err(why) => {
                assert_eq!(
                    ran.action,
                    passed(hook),
                    "should go up, {why:?}: {frame:02x?}"
                );
                assert_eq!(ran.frame, frame, "as it came");
                let counted = |tally: Tally| Tally {
                    hop: Hop::default(),
                    ..tally
                };
                assert_eq!(counted(before), counted(after), "uncounted");
                self.deliver(datagram);
            }
        }
        Some(due)
    }

    /// A frame goes to both workers, if it is for their flow and a socket takes it.
    fn deliver(&mut self, datagram: Option<Datagram>) {
        let Some(datagram) = datagram
            .filter(|datagram| datagram.local == self.route.local && !datagram.is_damaged())
        else {
            return;
        };
        self.now = Time(self.now.0 + 1);
        let sent = [&mut self.alone, &mut self.aided].map(|relay| {
            let sent = relay.process(self.now, 0, datagram.source, &datagram.payload);
            (sent.left, sent.events)
        });
        assert_eq!(sent[0], sent[1], "both planes judge alike");
        if !self.aided.plane.catch_up(port(0)) {
            self.raise();
            self.lower();
        }
    }

    /// What left of the program is what the plane gives, in a frame made from scratch.
    fn compare(&mut self, hook: Hook, frame: &[u8], datagram: &Datagram, ran: &Ran) {
        let sent = self
            .alone
            .process(self.now, 0, datagram.source, &datagram.payload);
        let [(bytes, via, to)] = sent.left.as_slice() else {
            panic!("the plane does not forward {datagram:?}: {sent:?}");
        };
        assert_eq!((*via, *to), (port(1), self.route.to));
        let hop = hop(*to).expect("it left");
        let tags = hop.tag.filter(|_| hook != Hook::Tc);
        let expected = Shape {
            to: hop.to,
            from: hop.from,
            tags: tags.into_iter().collect(),
            tos: TOS,
            ttl: ttl(*to),
            ..Shape::new(self.route.from, *to, bytes)
        };
        let mut expected = expected.bytes();
        expected.extend(&frame[frame.len() - datagram.padding..]);
        // What came without a checksum leaves without, and one that is wrong stays wrong by as much: it is for
        // the receiver to find out, as behind any router.
        if datagram.checksum == 0 || datagram.is_damaged() {
            let left = Datagram::read(&ran.frame).expect("a datagram");
            assert_eq!(left.error % 0xffff, datagram.error % 0xffff, "{datagram:?}");
            assert_eq!(left.checksum == 0, datagram.checksum == 0);
            let at = left.at + 6;
            expected[at..at + 2].copy_from_slice(&left.checksum.to_be_bytes());
        }
        assert_eq!(ran.frame, expected, "{datagram:?}");
    }

    /// Both have counted the same.
    pub(crate) fn settle(&mut self) {
        self.settle_but(&[]);
    }

    /// Both have counted the same, but for these fields.
    pub(crate) fn settle_but(&mut self, fields: &[&str]) {
        self.raise();
        let [alone, aided] = [&self.alone, &self.aided].map(Relay::counts);
        let differences: Vec<_> = alone
            .split(", ")
            .zip(aided.split(", "))
            .filter(|(alone, aided)| alone != aided)
            .filter(|(alone, _)| !fields.iter().any(|field| alone.starts_with(field)))
            .collect();
        assert!(
            differences.is_empty(),
            "counted otherwise: {differences:#?}"
        );
    }
}

const fn redirected(hook: Hook) -> u32 {
    match hook {
        Hook::Tc => 7,
        Hook::Native | Hook::Generic => 4,
    }
}

const fn dropped(hook: Hook) -> u32 {
    match hook {
        Hook::Tc => 2,
        Hook::Native | Hook::Generic => 1,
    }
}

const fn passed(hook: Hook) -> u32 {
    match hook {
        Hook::Tc => u32::MAX,
        Hook::Native | Hook::Generic => 2,
    }
}
