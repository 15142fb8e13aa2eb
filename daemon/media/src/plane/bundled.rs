//! Packets at a port that carries several sections, or that is blocked (RFC 9143 §9.2).
//!
//! RTP goes the way of its section. A compound goes apart: each section gets what is about its streams,
//! those that arrive here by what demultiplexing has learnt, those that leave by who sends them.

use std::cell::RefCell;

use patchcord_contract::{Reason, Time};
use patchcord_wire::ids::Ssrc;
use patchcord_wire::rtcp::{Compound, Sdes, Source, item, select};

use super::{Kind, Plane, account, payload, reporting, reports};
use crate::bundle::MAX_PARTS;
use crate::demux::{self, Demux};
use crate::egress::{self, Content, Departure, Lane, Place};
use crate::flow::PortId;
use crate::outbox::Outbox;
use crate::packet::{Packet, Rx};
use crate::quality::{self, Arrival, Header};
use crate::secure::COPY;
use crate::table::{Flow, Gate, Guard, Table};
use crate::totals::Proto;
use crate::verdict::Verdict;

/// Sources of a datagram that are looked up, each once; no honest one names more. What is beyond is in
/// no section: to look for each of hundreds in each of many sections would take a worker's time.
const MEMO: usize = 64;

impl Plane {
    /// Decides about a packet that was let in at a port whose gate is not open.
    #[inline(never)]
    pub(super) fn carry_gated<O: Outbox>(
        &mut self,
        now: Time,
        place: Place,
        kind: Kind,
        rx: &mut Rx<'_>,
        out: &mut O,
    ) -> Verdict {
        let Some(flow) = self.table.get_mut(rx.port) else {
            return Verdict::of(Reason::NoFlow);
        };
        match (flow.gate, kind) {
            (Gate::Bundle, Kind::Rtp(header)) => self.carry_part(now, place, header, rx, out),
            (Gate::Bundle, Kind::Rtcp) if flow.receive != Guard::EndToEnd => {
                self.carry_compound(now, place, rx, out)
            }
            (Gate::Bundle, _) => Verdict::of(Reason::NoSection),
            (Gate::Open | Gate::Blocked, _) => {
                account(flow, now, kind, place.len);
                Verdict::of(Reason::Blocked)
            }
        }
    }

    fn carry_part<O: Outbox>(
        &mut self,
        now: Time,
        place: Place,
        header: Header,
        rx: &mut Rx<'_>,
        out: &mut O,
    ) -> Verdict {
        let Some(flow) = self.table.get_mut(rx.port) else {
            return Verdict::of(Reason::NoFlow);
        };
        let arrival = Arrival {
            at: now,
            header,
            len: place.len,
        };
        let part = match enter(flow, &arrival, rx.packet.bytes()) {
            Ok(part) => part,
            Err(reason) => return Verdict::of(reason),
        };
        if flow.cold.spec.blocked {
            return Verdict::of(Reason::Blocked);
        }
        let content = Content {
            proto: Proto::Rtp,
            guard: flow.receive,
        };
        let departure = Departure {
            place,
            content,
            packet: &mut rx.packet,
        };
        let octets = if flow.terminates {
            payload(departure.packet.bytes())
        } else {
            0
        };
        let terminates = flow.terminates;
        let egress = &mut self.egress(now, out);
        let verdict = egress.emit_part(rx.port, part, departure).into();
        if terminates && verdict == Verdict::Forward {
            let lane = Lane {
                port: rx.port,
                part: Some(part),
            };
            reporting::forwarded(&mut self.table, now, lane, header, octets);
        }
        verdict
    }

    #[cold]
    fn carry_compound<O: Outbox>(
        &mut self,
        now: Time,
        place: Place,
        rx: &Rx<'_>,
        out: &mut O,
    ) -> Verdict {
        let (port, bytes) = (rx.port, rx.packet.bytes());
        let Some(flow) = self.table.get_mut(port) else {
            return Verdict::of(Reason::NoFlow);
        };
        let Ok(compound) = Compound::parse(bytes) else {
            return Verdict::of(Reason::BadRtcp);
        };
        flow.stats.last_packet.set(now.0);
        flow.stats.rtcp_in.count(place.len);
        if flow.cold.spec.blocked {
            return Verdict::of(Reason::Blocked);
        }
        let content = Content {
            proto: Proto::Rtcp,
            guard: flow.receive,
        };
        heed_names(flow, now, &compound);
        let parts = flow
            .cold
            .spec
            .split()
            .map_or(0, |b| b.parts.len().min(MAX_PARTS));
        let terminates = flow.terminates;
        reports::read(&mut self.table, now, port, bytes);
        if terminates {
            return Verdict::of(Reason::RtcpTerminated);
        }
        let memo = RefCell::new(Memo::new());
        let (mut refused, mut has_left) = (Reason::NoSection, false);
        for part in 0..parts as u8 {
            let mut room = [0; COPY];
            let table = &self.table;
            let about = |source| memo.borrow_mut().part(table, port, source) == Some(part);
            let len = select(&compound, about, &mut room);
            if len == 0 {
                continue;
            }
            let mut packet = Packet::new(&mut room, len);
            let departure = Departure {
                place,
                content,
                packet: &mut packet,
            };
            let lane = Lane {
                port,
                part: Some(part),
            };
            match self.egress(now, out).remade(lane, &departure) {
                Ok(()) => has_left = true,
                Err(reason) => refused = reason,
            }
        }
        if has_left {
            Verdict::Forward
        } else {
            Verdict::of(refused)
        }
    }
}

/// Finds the section of a packet and counts it there.
fn enter(flow: &mut Flow, arrival: &Arrival, packet: &[u8]) -> Result<u8, Reason> {
    let cold = &mut *flow.cold;
    let (Some(demux), Some(bundle)) = (cold.demux.as_deref_mut(), cold.spec.split()) else {
        return Err(Reason::NoSection);
    };
    let number = demux.section(arrival.at, bundle, &arrival.header, packet)?;
    let at = usize::from(number);
    let (Some(part), Some(measured)) = (bundle.parts.get(at), demux.parts.get_mut(at)) else {
        return Err(Reason::NoSection);
    };
    flow.stats.last_packet.set(arrival.at.0);
    part.stats.last_packet.set(arrival.at.0);
    part.stats.rtp_in.count(arrival.len);
    quality::observe(
        &part.stats.ssrcs,
        &mut measured.recent,
        &mut measured.probation,
        &part.clocks,
        arrival,
    );
    Ok(number)
}

/// Learns the sections that source descriptions name (RFC 9143 §15.2).
fn heed_names(flow: &mut Flow, now: Time, compound: &Compound<'_>) {
    let cold = &mut *flow.cold;
    let (Some(demux), Some(bundle)) = (cold.demux.as_deref_mut(), cold.spec.split()) else {
        return;
    };
    let descriptions = compound.packets().filter_map(|packet| Sdes::of(&packet));
    for chunk in descriptions.flat_map(|sdes| sdes.chunks()) {
        let named = chunk
            .get(item::MID)
            .and_then(|name| demux::by_name(bundle, name));
        if let Some(part) = named {
            demux.note(now, chunk.ssrc.0, part);
        }
    }
}

/// The sections of the sources that a datagram names.
#[derive(Debug)]
struct Memo {
    known: [Option<(Source, Option<u8>)>; MEMO],
    len: usize,
}

impl Memo {
    const fn new() -> Self {
        Self {
            known: [None; MEMO],
            len: 0,
        }
    }

    fn part(&mut self, table: &Table, port: PortId, source: Source) -> Option<u8> {
        let mut known = self.known[..self.len].iter().flatten();
        if let Some((_, part)) = known.find(|(of, _)| *of == source) {
            return *part;
        }
        let place = self.known.get_mut(self.len)?;
        let part = match source {
            Source::Sender(ssrc) => arriving(table, port, ssrc),
            Source::Media(ssrc) => leaving(table, port, ssrc),
        };
        *place = Some((source, part));
        self.len += 1;
        part
    }
}

/// The section of a stream that arrives at `port`.
fn arriving(table: &Table, port: PortId, ssrc: Ssrc) -> Option<u8> {
    let demux: &Demux = table.get(port)?.cold.demux.as_deref()?;
    demux.known(ssrc.0)
}

/// The section of a stream that leaves from `port`: that of whoever sends it.
fn leaving(table: &Table, port: PortId, ssrc: Ssrc) -> Option<u8> {
    let bundle = table.get(port)?.cold.spec.split()?;
    for (part, own) in (0..).zip(bundle.parts.iter().take(MAX_PARTS)) {
        for sink in &own.rtp {
            let Some(far) = table.get(sink.via) else {
                continue;
            };
            let Some(bundled) = far.cold.spec.split() else {
                if quality::find(&far.stats.ssrcs, ssrc.0).is_some() {
                    return Some(part);
                }
                continue;
            };
            // A bundle there too: its section of the stream says as which of ours it leaves.
            let theirs = arriving(table, sink.via, ssrc);
            let theirs = theirs.and_then(|part| bundled.parts.get(usize::from(part)));
            let mut back = theirs.into_iter().flat_map(|part| &part.rtp);
            let is_ours = |sink: &&crate::flow::Sink| {
                let edit = egress::edit(table, far.cold.spec.port, **sink);
                sink.via == port && edit.and_then(|edit| edit.part) == Some(part)
            };
            if back.any(|sink| is_ours(&sink)) {
                return Some(part);
            }
        }
    }
    None
}
