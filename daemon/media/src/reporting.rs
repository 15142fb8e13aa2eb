//! RTCP of our own towards a peer: SR or RR, and SDES (RFC 3550 §6).
//!
//! The port that reports leave from has a [`Reporter`], and a place in a queue by time; the port of
//! its RTP an [`Outgoing`], which counts what leaves towards the peer, for each of its sections. In a bundle each
//! section has a compound of its own, which names it (RFC 9143 §15). Their clock is the monotonic one:
//! a sender without a wall clock may tell the time that has passed since some start (§6.4.1).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use patchcord_contract::{Endpoint, Time};
use patchcord_wire::rtcp::{Ntp, ReportBlock, SenderInfo, Writer};
use smallvec::SmallVec;

use crate::bundle::MAX_PARTS;
use crate::egress::{self, Lane};
use crate::flow::{PortId, Reporting, Reports, Spec};
use crate::outbox::Outbox;
use crate::packet::Packet;
use crate::quality::{Header, units};
use crate::reports::{SenderReports, Sent};
use crate::secure::Secure;
use crate::stats::{PortStats, SSRCS, SsrcStats};
use crate::table::{Flow, Guard, Table};
use crate::totals::Proto;

/// The most that is added to an interval.
const SPREAD: u64 = 1_000_000_000;
/// The longest compound, each of all streams with all blocks, and room for a tag behind it.
const LONGEST: usize = 512;
/// The longest name of a section that has room there.
const LONGEST_NAME: usize = 32;
/// How long a stream that stopped keeps its place while others want it.
const IDLE: Duration = Duration::from_secs(5);

/// The reporters of a worker by the time that they are due. What a reporter does not expect at that
/// time is of one that is gone.
#[derive(Debug, Default)]
pub(crate) struct Queue(BinaryHeap<Reverse<(Time, PortId)>>);

/// What a port that reports leave from remembers between two of them.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    /// When the next one leaves, once that is decided.
    due: Option<Time>,
    /// When the last one left.
    last: Time,
    /// How many left.
    turn: u32,
    /// What was said of each section at the port.
    parts: Vec<Told>,
}

/// What was said of one section.
#[derive(Debug, Default)]
struct Told {
    before: [Before; SSRCS],
    /// The sender reports that left, for the round trip.
    sent: SenderReports,
}

/// The counters of a stream received when it was last reported on.
#[derive(Clone, Copy, Debug, Default)]
struct Before {
    ssrc: u32,
    expected: i64,
    lost: i64,
}

/// The streams that leave towards a peer.
#[derive(Debug, Default)]
pub(crate) struct Outgoing([Option<Stream>; SSRCS]);

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    packets: u32,
    octets: u32,
    /// The last timestamp, and when it first left.
    timestamp: u32,
    stamped: Time,
    clock_rate: u32,
    /// When the last packet left.
    sent: Time,
}

/// A packet that left towards a peer.
#[derive(Clone, Copy, Debug)]
struct Left {
    at: Time,
    header: Header,
    octets: usize,
    clock_rate: u32,
    is_newest: bool,
}

impl Outgoing {
    fn count(&mut self, left: &Left) {
        let ssrc = left.header.ssrc;
        let known = self
            .0
            .iter()
            .position(|s| s.is_some_and(|s| s.ssrc == ssrc));
        let Some(place) = known.or_else(|| self.vacancy(left.at)) else {
            return;
        };
        let new = Stream {
            ssrc,
            packets: 0,
            octets: 0,
            timestamp: left.header.timestamp,
            stamped: left.at,
            clock_rate: left.clock_rate,
            sent: left.at,
        };
        let stream = self.0[place].get_or_insert(new);
        if stream.ssrc != ssrc {
            *stream = new;
        }
        stream.packets = stream.packets.wrapping_add(1);
        stream.octets = stream.octets.wrapping_add(left.octets as u32);
        stream.sent = left.at;
        // Packets of one event share a timestamp: only the first of them left when it says.
        if left.is_newest && stream.timestamp != left.header.timestamp {
            stream.timestamp = left.header.timestamp;
            stream.stamped = left.at;
        }
        stream.clock_rate = left.clock_rate;
    }

    /// A free place, or that of the stream that has been silent longest and long enough.
    fn vacancy(&self, now: Time) -> Option<usize> {
        self.0.iter().position(Option::is_none).or_else(|| {
            let sent = |i: &usize| self.0[*i].map_or(Time::ZERO, |s| s.sent);
            let oldest = (0..SSRCS).min_by_key(sent)?;
            (now.since(sent(&oldest)) >= IDLE).then_some(oldest)
        })
    }
}

impl Stream {
    fn info(&self, now: Time) -> SenderInfo {
        let passed = Time(now.since(self.stamped).as_nanos() as u64);
        SenderInfo {
            ssrc: self.ssrc,
            ntp: ntp(now),
            rtp_timestamp: self.timestamp.wrapping_add(units(passed, self.clock_rate)),
            packets: self.packets,
            octets: self.octets,
        }
    }
}

/// Counts a packet that arrived in a lane and left through its sinks, with `octets` of payload.
pub(crate) fn forwarded(table: &mut Table, now: Time, lane: Lane, header: Header, octets: usize) {
    let Some(flow) = table.get(lane.port) else {
        return;
    };
    let part = lane.part.map(usize::from);
    let recent = part.map_or(Some(flow.recent), |part| {
        Some(flow.cold.demux.as_deref()?.parts.get(part)?.recent)
    });
    let Some((stats, recent)) = stats(flow, part.unwrap_or(0)).zip(recent) else {
        return;
    };
    let stream = &stats.ssrcs[usize::from(recent) % SSRCS];
    if !stream.holds(header.ssrc) {
        return;
    }
    let left = Left {
        at: now,
        header,
        octets,
        clock_rate: stream.clock_rate.get(),
        is_newest: stream.last_seq.get() as u16 == header.sequence,
    };
    let mut nth = 0;
    while let Some(sink) = egress::sinks(table, lane, Proto::Rtp).get(nth).copied() {
        nth += 1;
        let edit = egress::edit(table, lane.port, sink);
        let part = usize::from(edit.and_then(|edit| edit.part).unwrap_or(0));
        let far = table.get_mut(sink.via);
        if let Some(far) = far.filter(|far| far.peer.destination().is_some())
            && let Some(outgoing) = far.cold.outgoing.as_deref_mut()
            && let Some(outgoing) = outgoing.get_mut(part)
        {
            outgoing.count(&left);
        }
    }
}

/// Sections at a port that are reported on.
pub(crate) fn parts(spec: &Spec) -> usize {
    spec.split()
        .map_or(1, |bundle| bundle.parts.len().min(MAX_PARTS))
}

/// The counters of a section at a port.
fn stats(flow: &Flow, part: usize) -> Option<&PortStats> {
    match flow.cold.spec.split() {
        Some(bundle) => Some(&*bundle.parts.get(part)?.stats),
        None => Some(&*flow.stats),
    }
}

impl Queue {
    /// Puts the reporter at `port` in its place, if there is one that has none.
    pub(crate) fn enter(&mut self, table: &mut Table, now: Time, port: PortId) {
        let Some((reporter, reports)) = table.get_mut(port).and_then(reporter) else {
            return;
        };
        if reporter.due.is_none() {
            reporter.last = now;
            let due = reporter.next(now, port, reports.interval);
            self.0.push(Reverse((due, port)));
        }
    }

    /// Sends what is due.
    pub(crate) fn run<O: Outbox>(
        &mut self,
        table: &mut Table,
        secure: &Secure,
        now: Time,
        out: &mut O,
    ) {
        while let Some(Reverse((due, port))) = self.0.peek().copied().filter(|r| r.0.0 <= now) {
            self.0.pop();
            let known = table.get_mut(port).and_then(reporter);
            if known.is_none_or(|(reporter, _)| reporter.due != Some(due)) {
                continue;
            }
            send(table, secure, now, port, out);
            if let Some((reporter, reports)) = table.get_mut(port).and_then(reporter) {
                reporter.last = now;
                let due = reporter.next(now, port, reports.interval);
                self.0.push(Reverse((due, port)));
            }
        }
    }
}

impl Reporter {
    /// There are so many sections from here on.
    pub(crate) fn count(&mut self, parts: usize) {
        self.parts.resize_with(parts, Told::default);
    }

    /// The round trip that a report block about a stream closes which left from here.
    pub(crate) fn round_trip(&self, now: Time, block: &ReportBlock) -> Option<Duration> {
        let mut all = self.parts.iter();
        all.find_map(|part| part.sent.round_trip(now, block))
    }

    fn next(&mut self, now: Time, port: PortId, interval: Duration) -> Time {
        let spread = Duration::from_nanos(mix(port, self.turn) % SPREAD);
        self.turn = self.turn.wrapping_add(1);
        let due = now + interval + spread;
        self.due = Some(due);
        due
    }

    /// What there is to say of the stream in `slot`, if it was heard since the last report.
    fn block(
        &mut self,
        now: Time,
        part: usize,
        (slot, stream): (usize, &SsrcStats),
        peer: [&Flow; 2],
    ) -> Option<ReportBlock> {
        let is_heard = stream.is_used()
            && stream.traffic.packets.get() > 0
            && stream.last_seen.get() > self.last.0;
        if !is_heard {
            return None;
        }
        let ssrc = stream.ssrc.get();
        // Duplicates count as received (RFC 3550 A.3).
        let received = stream.traffic.packets.get().cast_signed();
        let lost = i64::from(stream.lost.get()) - i64::from(stream.duplicates.get());
        let now_there = Before {
            ssrc,
            expected: received + lost,
            lost,
        };
        let known = &mut self.parts.get_mut(part)?.before[slot];
        let before = std::mem::replace(known, now_there);
        let before = Some(before).filter(|b| b.ssrc == ssrc).unwrap_or_default();
        let heard = peer.map(|flow| flow.cold.reports.latest(ssrc));
        let heard = heard.into_iter().flatten().max_by_key(|(_, at)| *at);
        let (last_sr, delay) = heard.map_or((0, 0), |(id, at)| (id, ticks_of(now.since(at))));
        Some(ReportBlock {
            ssrc,
            fraction_lost: fraction(now_there.expected - before.expected, lost - before.lost),
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: stream.last_seq.get() as u32,
            jitter: stream.jitter_q4.get() >> 4,
            last_sr,
            delay_since_last_sr: delay,
        })
    }
}

/// The reporter of a flow, and what it is to report.
fn reporter(flow: &mut Flow) -> Option<(&mut Reporter, &Reports)> {
    let cold = &mut *flow.cold;
    match (&mut cold.reporter, &cold.spec.reporting) {
        (Some(reporter), Reporting::Here(reports)) => Some((reporter, reports)),
        (_, _) => None,
    }
}

/// Writes a report for each section and lets it go, if the peer is somewhere.
fn send<O: Outbox>(table: &mut Table, secure: &Secure, now: Time, port: PortId, out: &mut O) {
    let count = table.get(port).map_or(0, |flow| parts(&flow.cold.spec));
    for part in 0..count {
        let mut buffer = [0; LONGEST];
        let Some((to, len)) = write(table, now, (port, part), &mut buffer) else {
            continue;
        };
        let Some(flow) = table.get(port) else { return };
        let mut packet = Packet::new(&mut buffer, len);
        match flow.peer.guard {
            Guard::Plain | Guard::Elsewhere => {}
            Guard::Srtp => {
                if secure.seal_one(now, table, port, &mut packet, out).is_err() {
                    return;
                }
            }
            Guard::Pending | Guard::EndToEnd => return,
        }
        if let Some(flow) = table.get(port) {
            flow.stats.rtcp_out.count(packet.len());
        }
        out.copy(packet.bytes(), table.exit(port), to);
    }
}

/// Writes the report that is due at `port` of one of its sections: its length and where it goes.
fn write(
    table: &mut Table,
    now: Time,
    (port, part): (PortId, usize),
    buffer: &mut [u8],
) -> Option<(Endpoint, usize)> {
    let flow = table.get_mut(port).filter(|flow| flow.terminates)?;
    let to = flow.peer.destination()?;
    let Reporting::Here(reports) = flow.cold.spec.reporting.clone() else {
        return None;
    };
    let mut reporter = flow.cold.reporter.take()?;
    let len = reporter.write(table, now, (port, part), &reports, buffer);
    table.get_mut(port)?.cold.reporter = Some(reporter);
    Some((to, len?))
}

impl Reporter {
    fn write(
        &mut self,
        table: &Table,
        now: Time,
        (port, part): (PortId, usize),
        reports: &Reports,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let (rtp, rtcp) = table.get(reports.rtp).zip(table.get(port))?;
        let streams = stats(rtp, part)?.ssrcs.iter().enumerate();
        let blocks: SmallVec<[ReportBlock; SSRCS]> = streams
            .filter_map(|stream| self.block(now, part, stream, [rtp, rtcp]))
            .collect();
        let outgoing = rtp.cold.outgoing.as_deref();
        let outgoing = outgoing.and_then(|outgoing| outgoing.get(part));
        let known = outgoing.map_or([None; SSRCS], |outgoing| outgoing.0);
        let is_fresh =
            |s: &Stream| now.since(s.sent) <= (reports.interval + Duration::from_secs(1)) * 2;
        let senders: SmallVec<[SenderInfo; SSRCS]> = (known.iter().flatten())
            .filter(|stream| is_fresh(stream))
            .map(|stream| stream.info(now))
            .collect();
        // One section says that we are there; the others need not.
        if part > 0 && senders.is_empty() && blocks.is_empty() {
            return None;
        }
        let silent = (known.iter().flatten().max_by_key(|s| s.sent))
            .map_or_else(|| mix(port, part as u32) as u32 | 1, |s| s.ssrc);
        let bundle = rtp.cold.spec.split();
        let section = bundle.and_then(|bundle| Some(bundle.parts.get(part)?.mid.as_bytes()));
        let names = (
            &reports.cname[..],
            section.filter(|mid| mid.len() <= LONGEST_NAME),
        );
        let len = compound(&senders, silent, &blocks, names, buffer);
        for info in &senders {
            self.parts.get_mut(part)?.sent.remember(Sent {
                ssrc: info.ssrc,
                id: info.ntp.middle(),
                at: now,
            });
        }
        Some(len)
    }
}

/// A sender report for each sender, or the receiver report of `silent`, and their name.
fn compound(
    senders: &[SenderInfo],
    silent: u32,
    blocks: &[ReportBlock],
    names: (&[u8], Option<&[u8]>),
    buffer: &mut [u8],
) -> usize {
    let mut writer = Writer::new(buffer);
    let ssrcs: SmallVec<[u32; SSRCS]> = senders.iter().map(|info| info.ssrc).collect();
    let ssrcs = if ssrcs.is_empty() {
        &[silent][..]
    } else {
        &ssrcs
    };
    for (nth, info) in senders.iter().enumerate() {
        writer.sender_report(info, if nth == 0 { blocks } else { &[] });
    }
    if senders.is_empty() {
        writer.receiver_report(silent, blocks);
    }
    match names {
        (cname, Some(section)) => writer.names_in(ssrcs.iter().copied(), cname, section),
        (cname, None) => writer.canonical_name(ssrcs.iter().copied(), cname),
    }
    writer.len()
}

/// The time since the clock's start as a timestamp.
const fn ntp(now: Time) -> Ntp {
    let (seconds, nanos) = (now.0 / 1_000_000_000, now.0 % 1_000_000_000);
    let fraction = (nanos << 32) / 1_000_000_000;
    Ntp(seconds << 32 | fraction)
}

/// In 65536ths of a second.
fn ticks_of(duration: Duration) -> u32 {
    let ticks = duration.as_nanos() * 65_536 / 1_000_000_000;
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// The part that was lost, in 256ths.
fn fraction(expected: i64, lost: i64) -> u8 {
    if expected <= 0 || lost <= 0 {
        return 0;
    }
    u8::try_from(lost * 256 / expected).unwrap_or(u8::MAX)
}

/// A number that looks random and follows from a port and a turn (the finalizer of SplitMix64).
const fn mix(port: PortId, turn: u32) -> u64 {
    let seed = (port.slot() as u64) << 40 | (port.worker() as u64) << 32 | turn as u64;
    let seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let seed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let seed = (seed ^ (seed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ (seed >> 31)
}
