//! What RTCP reports tell of the streams relayed: round-trip time, loss and jitter as the receiver
//! sees them (RFC 3550 §6.4).
//!
//! A sender report that passes is remembered with the time of its passing, at the port where it
//! arrives. A report block that comes back about it leaves through that port, and so finds it there:
//! the time since, less the receiver's delay, is the round trip between here and the receiver.

use std::time::Duration;

use patchcord_contract::Time;
use patchcord_wire::rtcp::{Compound, Packet, ReceiverReport, ReportBlock, SenderReport};

use crate::flow::{Accepts, PortId};
use crate::quality;
use crate::table::{Flow, Table};

/// Sender reports remembered at a port.
const REMEMBERED: usize = 4;
/// Report blocks read of one datagram; no honest one has more.
const MAX_BLOCKS: usize = 64;
/// A longer round trip is nonsense.
const MAX_ROUND_TRIP: Duration = Duration::from_secs(30);

/// The last sender reports that arrived at a port.
#[derive(Clone, Debug, Default)]
pub(crate) struct SenderReports {
    sent: [Option<Sent>; REMEMBERED],
    next: usize,
}

/// A sender report that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Whose it is.
    pub(crate) ssrc: u32,
    /// The middle 32 bits of its NTP timestamp, which report blocks return.
    pub(crate) id: u32,
    /// When.
    pub(crate) at: Time,
}

impl SenderReports {
    pub(crate) fn remember(&mut self, sent: Sent) {
        self.sent[self.next % REMEMBERED] = Some(sent);
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// The last report of a stream: what report blocks return of it, and when it came.
    pub(crate) fn latest(&self, ssrc: u32) -> Option<(u32, Time)> {
        let known = self.sent.iter().flatten().filter(|sent| sent.ssrc == ssrc);
        known
            .map(|sent| (sent.id, sent.at))
            .max_by_key(|(_, at)| *at)
    }

    /// The round trip that a report block closes.
    pub(crate) fn round_trip(&self, now: Time, block: &ReportBlock) -> Option<Duration> {
        let known = |sent: &&Sent| sent.ssrc == block.ssrc && sent.id == block.last_sr;
        let sent = self.sent.iter().flatten().find(known)?;
        let held = u64::from(block.delay_since_last_sr) * 1_000_000_000 / 65_536;
        let trip = now.since(sent.at).checked_sub(Duration::from_nanos(held))?;
        (trip <= MAX_ROUND_TRIP).then_some(trip)
    }
}

/// Reads the reports of a datagram that arrived at `port`.
pub(crate) fn read(table: &mut Table, now: Time, port: PortId, datagram: &[u8]) {
    let Ok(compound) = Compound::parse(datagram) else {
        return;
    };
    let mut budget = MAX_BLOCKS;
    for packet in compound.packets() {
        if let Some(report) = SenderReport::of(&packet) {
            let id = report.ntp.middle();
            sender(
                table,
                port,
                Sent {
                    ssrc: report.ssrc.0,
                    id,
                    at: now,
                },
            );
        }
        for block in blocks(&packet).take(budget) {
            budget -= 1;
            receiver(table, now, port, &block);
        }
    }
}

fn blocks<'p>(packet: &Packet<'p>) -> impl Iterator<Item = ReportBlock> + use<'p> {
    let sender = SenderReport::of(packet).map(|r| r.blocks());
    let receiver = ReceiverReport::of(packet).map(|r| r.blocks());
    sender
        .into_iter()
        .flatten()
        .chain(receiver.into_iter().flatten())
}

/// A sender report came. An RTCP port of its own learns of the stream only by this.
fn sender(table: &mut Table, port: PortId, sent: Sent) {
    let Some(flow) = table.get_mut(port) else {
        return;
    };
    flow.cold.reports.remember(sent);
    if flow.accepts == Accepts::Rtcp {
        quality::find_or_reserve(&flow.stats.ssrcs, sent.ssrc, sent.at);
    }
}

/// A report block came: it is about a stream that arrives where the report leaves.
fn receiver(table: &Table, now: Time, port: PortId, block: &ReportBlock) {
    let Some(flow) = table.get(port) else { return };
    for sink in flow.cold.spec.rtcp_sinks() {
        if let Some(source) = table.get(sink.via) {
            // Where RTCP is terminated, the report that it answers was ours and left from here.
            let ours = flow.cold.reporter.as_deref().filter(|_| flow.terminates);
            let trip = match ours {
                Some(reporter) => reporter.round_trip(now, block),
                None => source.cold.reports.round_trip(now, block),
            };
            note(source, trip, block);
        }
    }
}

fn note(source: &Flow, trip: Option<Duration>, block: &ReportBlock) {
    let parts = source.cold.spec.split().map(|bundle| bundle.parts.iter());
    let parts = parts.into_iter().flatten().map(|part| &part.stats);
    let mut all = std::iter::once(&source.stats).chain(parts);
    let Some(stream) = all.find_map(|stats| quality::find(&stats.ssrcs, block.ssrc)) else {
        return;
    };
    stream.reports.add(1);
    stream.reported_loss.set(block.fraction_lost);
    stream.reported_jitter.set(block.jitter);
    if let Some(trip) = trip {
        // Zero would mean unknown.
        let micros = u32::try_from(trip.as_micros()).unwrap_or(u32::MAX);
        stream.rtt_us.set(micros.max(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: Sent = Sent {
        ssrc: 7,
        id: 0x1234_5678,
        at: Time::from_secs(10),
    };

    fn block(delay_ms: u32) -> ReportBlock {
        let delay_since_last_sr = delay_ms * 65_536 / 1_000;
        ReportBlock {
            ssrc: 7,
            last_sr: SENT.id,
            delay_since_last_sr,
            ..ReportBlock::default()
        }
    }

    fn after(reports: &SenderReports, millis: u64, block: &ReportBlock) -> Option<u128> {
        let now = SENT.at + Duration::from_millis(millis);
        reports.round_trip(now, block).map(|trip| trip.as_millis())
    }

    #[test]
    fn the_round_trip_is_what_the_receiver_did_not_hold() {
        let mut reports = SenderReports::default();
        reports.remember(SENT);
        assert_eq!(after(&reports, 540, &block(500)), Some(40));
        assert_eq!(
            after(&reports, 400, &block(500)),
            None,
            "a clock that runs ahead"
        );
        assert_eq!(after(&reports, 100_000, &block(500)), None, "nonsense");
    }

    #[test]
    fn another_stream_with_the_same_timestamp_is_another_report() {
        let mut reports = SenderReports::default();
        reports.remember(SENT);
        assert_eq!(
            after(
                &reports,
                540,
                &ReportBlock {
                    ssrc: 8,
                    ..block(500)
                }
            ),
            None
        );
        assert_eq!(
            after(
                &reports,
                540,
                &ReportBlock {
                    last_sr: 1,
                    ..block(500)
                }
            ),
            None
        );
    }

    #[test]
    fn the_oldest_report_is_forgotten_first() {
        let mut reports = SenderReports::default();
        for n in 0..=REMEMBERED as u32 {
            reports.remember(Sent {
                id: SENT.id + n,
                ..SENT
            });
        }
        assert_eq!(after(&reports, 540, &block(500)), None);
        assert!(
            after(
                &reports,
                540,
                &ReportBlock {
                    last_sr: SENT.id + 1,
                    ..block(0)
                }
            )
            .is_some()
        );
    }
}
