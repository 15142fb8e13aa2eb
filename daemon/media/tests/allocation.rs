//! Once a flow stands, a packet costs no allocation: not the first, not a stranger's, not a bad one.

#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::{Endpoint, Time};
use patchcord_media::bundle::{Bundle, Edit, EditId, Part};
use patchcord_media::flow::{
    Accepts, Admission, Clocks, Command, Event, Feedback, Handshakes, Learning, PortId, Reporting,
    Security, Sink, Sinks, Spec, Stranger,
};
use patchcord_media::srtp::{Keys, Protocol, Sealing, Sender, Suite, Tier, seal};
use patchcord_media::stats::PortStats;
use patchcord_media::{Outbox, Packet, Plane, Rx};
use patchcord_wire::ids::Mid;

thread_local! {
    /// Allocations made by this thread.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting.
struct Counting;

fn count() {
    ALLOCATIONS.with(|n| n.set(n.get() + 1));
}

// SAFETY: every call goes to `System` unchanged; counting touches a const-initialised thread-local
// without a destructor, so it neither allocates nor runs after the thread's end.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's contract is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from `System`, by `alloc` or `realloc` here.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the block came from `System`, by `alloc` or `realloc` here.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts what leaves and keeps nothing.
#[derive(Default)]
struct Count {
    sent: u64,
    events: u64,
}

impl Outbox for Count {
    fn forward(&mut self, _: usize, _: usize, _: PortId, _: Endpoint) {
        self.sent += 1;
    }

    fn copy(&mut self, _: &[u8], _: PortId, _: Endpoint) {
        self.sent += 1;
    }

    fn event(&mut self, _: Event) {
        self.events += 1;
    }
}

const SLOTS: u32 = 200;

fn port(slot: u32) -> PortId {
    PortId::new(0, slot).expect("a small slot")
}

fn peer(slot: u32) -> Endpoint {
    Endpoint::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1_000 + slot as u16)
}

/// Pairs of slots relay to each other; every tenth pair forks to a third place as well.
fn spec(slot: u32) -> Spec {
    let keep = |slot| Sink {
        via: port(slot),
        feedback: Feedback::Keep,
        edit: None,
    };
    let strip = |slot| Sink {
        via: port(slot),
        feedback: Feedback::Strip,
        edit: None,
    };
    let far = slot ^ 1;
    let sinks = if slot.is_multiple_of(20) { 2 } else { 1 };
    Spec {
        port: port(slot),
        accepts: Accepts::Muxed,
        admission: Admission {
            advertised: peer(slot),
            learning: Learning::Heuristic,
            stranger: Stranger::Follow,
            epoch: 1,
        },
        handshakes: Handshakes::default(),
        receive: Security::Plain,
        send: Security::Plain,
        clocks: Clocks::from_slice(&[(96, 48_000); 9]),
        rtp: Sinks::from_slice(&[keep(far), keep(7)][..sinks]),
        rtcp: Sinks::from_slice(&[strip(far), keep(7)][..sinks]),
        reporting: Reporting::Relayed,
        bundle: None,
        doors: None,
        tos: 0,
        blocked: false,
        interface: 0,
        stats: Arc::new(PortStats::default()),
    }
}

fn rtp(sequence: u16, ssrc: u32) -> Vec<u8> {
    let head = [
        0x8000_0000 | u32::from(sequence),
        u32::from(sequence) * 160,
        ssrc,
    ];
    let mut packet: Vec<u8> = head.iter().flat_map(|word| word.to_be_bytes()).collect();
    packet.resize(172, 0x55);
    packet
}

/// A report with a block and a picture loss indication behind it.
fn rtcp(sequence: u16) -> Vec<u8> {
    let words = [
        0x81c9_0007,
        9,
        1,
        0,
        0,
        0,
        u32::from(sequence),
        0,
        0x81ce_0002,
        9,
        u32::from(sequence),
    ];
    words
        .iter()
        .flat_map(|word: &u32| word.to_be_bytes())
        .collect()
}

#[test]
fn packets_allocate_nothing_once_their_flow_stands() {
    let mut plane = Plane::new(0, 1);
    let mut now = Time::from_secs(1_000);
    for slot in 0..SLOTS {
        plane.command(now, Command::Set(Arc::new(spec(slot))));
    }
    let mut out = Count::default();
    let mut counted = 0;
    for round in 0..400_u16 {
        now = now + Duration::from_millis(20);
        let mut packets: Vec<(u32, Endpoint, Vec<u8>)> = Vec::new();
        for slot in 0..SLOTS {
            // Half the peers are behind NAT; each changes its SSRC now and then, and its source once.
            let moved = if slot % 2 == 0 { 0 } else { 3 + round / 300 };
            let source = Endpoint {
                port: peer(slot).port + 10_000 * moved,
                ..peer(slot)
            };
            packets.push((
                slot,
                source,
                rtp(round, u32::from(round / 70) * 1_000 + slot),
            ));
            if round % 50 == 0 {
                packets.push((slot, source, rtcp(round)));
                packets.push((slot, source, b"neither".to_vec()));
                packets.push((SLOTS + slot, source, rtp(round, 1)));
            }
        }
        for chunk in packets.chunks_mut(64) {
            let mut batch: Vec<Rx<'_>> = chunk
                .iter_mut()
                .map(|(slot, source, bytes)| {
                    let (source, len) = (Some(*source), bytes.len());
                    let packet = Packet::new(bytes, len);
                    Rx {
                        port: port(*slot),
                        source,
                        packet,
                        truncated: false,
                    }
                })
                .collect();
            let before = ALLOCATIONS.get();
            plane.process(now, &mut batch, &mut out);
            plane.tick(now, &mut out);
            counted += ALLOCATIONS.get() - before;
        }
    }
    assert_eq!(counted, 0);
    assert!(
        out.sent > u64::from(SLOTS) * 400,
        "{} packets left",
        out.sent
    );
    assert!(
        out.events >= u64::from(SLOTS),
        "every peer latched: {}",
        out.events
    );
    assert!(ALLOCATIONS.get() > 1_000, "the counter counts");
}

/// Slot 0 carries two sections, which go to slots 2 and 4 and come from there.
fn bundled(slot: u32) -> Spec {
    let mid = |name: &str| Mid::new(name.as_bytes()).expect("a token");
    let to = |slot, edit| {
        let edit = EditId::new(edit);
        let via = port(slot);
        let feedback = Feedback::Keep;
        Sinks::from_slice(&[Sink {
            via,
            feedback,
            edit,
        }])
    };
    let part = |name, slot| Part {
        mid: mid(name),
        ssrcs: [slot].into_iter().collect(),
        rids: Vec::new(),
        types: [96, 110 + slot as u8].into_iter().collect(),
        clocks: Clocks::new(),
        rtp: to(slot, 0),
        rtcp: to(slot, 9),
        stats: Arc::new(PortStats::default()),
    };
    let edit = Edit {
        cut: [1, 2, 3].into_iter().collect(),
        name: (slot != 0).then(|| (3, mid(["a", "v"][slot as usize / 4]))),
        part: (slot != 0).then_some(slot as u8 / 4),
        ..Edit::default()
    };
    let parts = [part("a", 2), part("v", 4)]
        .into_iter()
        .filter(|_| slot == 0);
    Spec {
        rtp: to(0, 0),
        rtcp: to(0, 9),
        bundle: Some(Box::new(Bundle {
            mid: Some(3),
            rids: [None; 2],
            parts: parts.collect(),
            edits: vec![edit],
        })),
        ..spec(slot)
    }
}

#[test]
fn bundled_packets_allocate_nothing_either() {
    let mut plane = Plane::new(0, 1);
    let mut now = Time::from_secs(1_000);
    for slot in [0, 2, 4] {
        plane.command(now, Command::Set(Arc::new(bundled(slot))));
    }
    let mut out = Count::default();
    let mut counted = 0;
    for round in 0..600_u16 {
        now = now + Duration::from_millis(20);
        let mut packets = Vec::new();
        for slot in [0, 2, 4] {
            let mut named = rtp(round, u32::from(round));
            named[0] |= 0x10;
            named.splice(
                12..12,
                [
                    0xbe,
                    0xde,
                    0,
                    1,
                    0x30,
                    b"avx"[usize::from(round) % 3],
                    0x10,
                    7,
                ],
            );
            packets.extend([(slot, named), (slot, rtp(round, slot)), (slot, rtcp(round))]);
        }
        for (_, bytes) in &mut packets {
            bytes.resize(bytes.len() + 64, 0);
        }
        let mut batch: Vec<Rx<'_>> = packets
            .iter_mut()
            .map(|(slot, bytes)| {
                let len = bytes.len() - 64;
                Rx {
                    port: port(*slot),
                    source: Some(peer(*slot)),
                    packet: Packet::new(bytes, len),
                    truncated: false,
                }
            })
            .collect();
        let before = ALLOCATIONS.get();
        plane.process(now, &mut batch, &mut out);
        counted += ALLOCATIONS.get() - before;
    }
    assert_eq!(counted, 0);
    assert!(out.sent > 3_000, "{}", out.sent);
}

/// A plain slot 0 and a secure slot for each suite behind it; slot 0 forks to all of them, and each of
/// them sends to slot 0.
fn secure(slot: u32) -> Spec {
    let suites = Suite::ALL.len() as u32;
    let keep = |slot| Sink {
        via: port(slot),
        feedback: Feedback::Strip,
        edit: None,
    };
    let sinks: Sinks = if slot == 0 {
        (1..=suites).map(keep).collect()
    } else {
        [keep(0)].into_iter().collect()
    };
    let security = if slot == 0 {
        Security::Plain
    } else {
        Security::Srtp(Arc::new(keys(slot)))
    };
    Spec {
        receive: security.clone(),
        send: security,
        rtp: sinks.clone(),
        rtcp: sinks,
        ..spec(slot)
    }
}

fn keys(slot: u32) -> Keys {
    let suite = Suite::ALL[slot as usize - 1];
    let len = suite.key_len() + suite.salt_len();
    Keys::from_inline(suite, &[slot as u8; 46][..len]).expect("the suite's lengths")
}

fn sealed(now: Time, sender: &mut Sender, protocol: Protocol, plain: &[u8]) -> Vec<u8> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + 64, 0);
    let mut packet = Packet::new(&mut buffer, plain.len());
    let job = Sealing::new(now, sender, port(0), protocol, &mut packet);
    seal(Tier::PORTABLE, sender, &mut [job.expect("a fresh index")]);
    packet.bytes().to_vec()
}

#[test]
fn secure_packets_allocate_nothing_either() {
    let mut plane = Plane::new(0, 1);
    let mut now = Time::from_secs(1_000);
    let suites = Suite::ALL.len() as u32;
    for slot in 0..=suites {
        plane.command(now, Command::Set(Arc::new(secure(slot))));
    }
    let mut senders: Vec<Sender> = (1..=suites)
        .map(|slot| Sender::new(Tier::PORTABLE, Arc::new(keys(slot))))
        .collect();
    let mut out = Count::default();
    let mut counted = 0;
    for round in 0..400_u16 {
        now = now + Duration::from_millis(200);
        let ssrc = u32::from(round / 30);
        let mut packets = vec![
            (0, rtp(round, ssrc)),
            (0, rtcp(round)),
            (0, rtp(round, ssrc)),
        ];
        for (slot, sender) in (1..).zip(&mut senders) {
            let mut forged = sealed(now, sender, Protocol::Rtp, &rtp(round, ssrc));
            packets.push((slot, forged.clone()));
            packets.push((slot, forged.clone()));
            forged[50] ^= 1;
            packets.push((slot, forged));
            packets.push((slot, rtp(round, 9_000 + u32::from(round))));
            packets.push((slot, sealed(now, sender, Protocol::Rtcp, &rtcp(round))));
        }
        for chunk in packets.chunks_mut(64) {
            let mut batch: Vec<Rx<'_>> = chunk
                .iter_mut()
                .map(|(slot, bytes)| {
                    let len = bytes.len();
                    bytes.resize(len + 64, 0);
                    Rx {
                        port: port(*slot),
                        source: Some(peer(*slot)),
                        packet: Packet::new(bytes, len),
                        truncated: false,
                    }
                })
                .collect();
            let before = ALLOCATIONS.get();
            plane.process(now, &mut batch, &mut out);
            counted += ALLOCATIONS.get() - before;
        }
    }
    assert_eq!(counted, 0);
    // Each round: one packet and its report to every suite, and the same back.
    assert_eq!(out.sent, 400 * u64::from(suites) * 4);
}
