//! Packets at a port that carries three sections, and rules that change under them.

use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::{Endpoint, Reason, Time};
use patchcord_media::bundle::{Bundle, Edit, EditId, Part};
use patchcord_media::flow::{
    Accepts, Admission, Clocks, Command, Event, Feedback, Handshakes, Learning, PortId, Reporting,
    Security, Sink, Sinks, Spec, Stranger,
};
use patchcord_media::stats::PortStats;
use patchcord_media::{Outbox, Packet, Plane, Rx};
use patchcord_wire::ids::Mid;
use patchcord_wire::rtcp::Compound;
use patchcord_wire::rtp::Rtp;

use super::Input;

/// The id of the MID.
const ID: u8 = 3;
const NAMES: [&[u8]; 3] = [b"0", b"1", b"a-long-name-that-is-no-short-element"];

/// What left: the bytes and the slot.
#[derive(Default)]
struct Sent {
    forwards: Vec<(usize, usize, usize)>,
    copies: Vec<(Vec<u8>, usize)>,
}

impl Outbox for Sent {
    fn forward(&mut self, index: usize, len: usize, via: PortId, _to: Endpoint) {
        self.forwards.push((index, len, via.slot()));
    }

    fn copy(&mut self, bytes: &[u8], via: PortId, _to: Endpoint) {
        self.copies.push((bytes.to_vec(), via.slot()));
    }

    fn event(&mut self, _event: Event) {}
}

/// What a packet names leaves at the section of that name and no other, what leaves is well formed, and
/// every packet has one verdict.
pub fn bundle(data: &[u8]) {
    let mut input = Input(data);
    let mut plane = Plane::new(0, 1);
    let stats: [Arc<PortStats>; 4] = std::array::from_fn(|_| Arc::default());
    let mut now = Time::from_secs(100);
    let mut received = [0_u64; 4];
    set(&mut plane, now, input.byte().unwrap_or(0), &stats);
    while let Some(step) = input.byte() {
        now = now + Duration::from_millis(u64::from(step) * 10);
        if step & 0x0f == 0x0f {
            set(&mut plane, now, input.byte().unwrap_or(0), &stats);
            continue;
        }
        let slot = u32::from(step & 3);
        let bytes = packet(step, input.chunk());
        let mut buffer = bytes.clone();
        buffer.resize(bytes.len() + 64, 0);
        let mut out = Sent::default();
        let mut batch = [Rx {
            port: port(slot),
            source: Some(place(slot)),
            packet: Packet::new(&mut buffer, bytes.len()),
            truncated: false,
        }];
        plane.process(now, &mut batch, &mut out);
        received[slot as usize] += 1;
        let own = out.forwards.iter();
        let own = own.map(|(_, len, slot)| (buffer[..*len].to_vec(), *slot));
        for (left, via) in own.chain(out.copies) {
            examine(slot, &bytes, &left, via);
        }
    }
    for (stats, received) in stats.iter().zip(received) {
        assert_eq!(stats.forwarded.get() + stats.dropped(), received);
    }
    assert_eq!(stats[0].drops(Reason::SrtpAuth), 0);
}

fn examine(slot: u32, arrived: &[u8], left: &[u8], via: usize) {
    match left {
        // ZRTP, which is in no section, passes where there is only one.
        [first, ..] if first >> 6 != 2 => {
            assert_ne!(slot, 0);
            return;
        }
        [_, 192..=223, ..] => {
            assert!(Compound::parse(left).is_ok(), "a compound stays a compound");
            return;
        }
        _ => {}
    }
    let rtp = Rtp::parse_protected(left).expect("what leaves has a header");
    let arrived = Rtp::parse_protected(arrived).expect("what was forwarded was RTP");
    assert_eq!(rtp.payload(), arrived.payload());
    if slot != 0 {
        assert_eq!(via, 0);
        return;
    }
    assert_ne!(via, 0, "it goes to a section");
    assert_eq!(rtp.element(ID), None, "the name stays behind");
    if let Some(name) = arrived.element(ID) {
        assert_eq!(name, NAMES[via - 1]);
    }
}

/// RTP with small SSRCs and payload types that sections share, or RTCP, or what the input says.
fn packet(step: u8, body: &[u8]) -> Vec<u8> {
    let byte = |at: usize| body.get(at).copied().unwrap_or(0);
    let rest = body.get(4..).unwrap_or_default();
    match step >> 4 & 3 {
        0 => body.to_vec(),
        1 => {
            let mut packet = vec![0x80, 200 + byte(0) % 8, 0, 0, 0, 0, 0, byte(1) & 7];
            packet.extend(rest);
            packet.truncate(packet.len() / 4 * 4);
            packet[0] |= byte(2) & 3;
            packet[3] = (packet.len() / 4 - 1) as u8;
            packet
        }
        _ => {
            let mut packet = vec![
                0x80,
                96 + byte(0) % 5,
                0,
                byte(1),
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                byte(2) & 7,
            ];
            let name = NAMES[usize::from(byte(3) % 3)];
            if byte(3) & 0x80 != 0 {
                packet[0] |= 0x10;
                let words = (2 + name.len()).div_ceil(4);
                packet.extend([0x10, 0, 0, words as u8, ID, name.len() as u8]);
                packet.extend(name);
                packet.resize(16 + 4 * words, 0);
            }
            packet.extend(rest);
            packet
        }
    }
}

fn port(slot: u32) -> PortId {
    PortId::new(0, slot).expect("a small slot")
}

fn place(slot: u32) -> Endpoint {
    Endpoint::new(std::net::IpAddr::from([192, 0, 2, 1 + slot as u8]), 4000)
}

/// Slot 0 carries the sections, in an order and with payload types that `choice` says; the others carry
/// one each.
fn set(plane: &mut Plane, now: Time, choice: u8, stats: &[Arc<PortStats>; 4]) {
    let mid = |at: usize| Mid::new(NAMES[at]).expect("a token");
    let to = |slot: usize, edit| {
        let via = port(slot as u32);
        let feedback = Feedback::Keep;
        Sinks::from_slice(&[Sink {
            via,
            feedback,
            edit,
        }])
    };
    let edit = EditId::new(0);
    let mut parts: Vec<Part> = (0..3)
        .map(|at| Part {
            mid: mid(at),
            ssrcs: (0..choice & 1).map(|n| u32::from(n) + at as u32).collect(),
            rids: Vec::new(),
            types: [96, 97 + at as u8, 100]
                .into_iter()
                .skip(usize::from(choice >> 1 & 1))
                .collect(),
            clocks: Clocks::new(),
            rtp: to(at + 1, edit),
            rtcp: to(at + 1, None),
            stats: Arc::default(),
        })
        .collect();
    parts.rotate_left(usize::from(choice >> 2 & 3) % 3);
    for (slot, stats) in stats.iter().enumerate() {
        let part = parts
            .iter()
            .position(|part| slot > 0 && part.mid == mid(slot - 1));
        let own = Edit {
            cut: [ID].into_iter().collect(),
            name: part.map(|_| (ID, mid(slot - 1))),
            part: part.map(|part| part as u8),
            ..Edit::default()
        };
        let bundle = Bundle {
            mid: Some(ID),
            rids: [None; 2],
            parts: if slot == 0 { parts.clone() } else { Vec::new() },
            edits: vec![own],
        };
        let spec = Spec {
            port: port(slot as u32),
            accepts: Accepts::Muxed,
            admission: Admission {
                advertised: place(slot as u32),
                learning: Learning::Heuristic,
                stranger: Stranger::Forward,
                epoch: 1,
            },
            handshakes: Handshakes::default(),
            receive: Security::Plain,
            send: Security::Plain,
            clocks: Clocks::new(),
            rtp: to(0, edit),
            rtcp: to(0, None),
            reporting: Reporting::Relayed,
            bundle: Some(Box::new(bundle)),
            doors: None,
            tos: 0,
            blocked: false,
            interface: 0,
            stats: Arc::clone(stats),
        };
        plane.command(now, Command::Set(Arc::new(spec)));
    }
}
