//! What the lower tier counted, taken into the worker's own counters.
//!
//! A tally begins as a copy of the stream's state and goes on from there; the worker goes on from the same
//! state with what comes up to it. Loss is what is missing between the first and the newest number
//! (RFC 3550 A.3), so both counts add up, whoever saw which packet. Before a worker looks at a packet of such
//! a flow it takes in what the tally has come to: a packet that comes up is judged after those before it.

use std::fmt::Debug;
use std::sync::Arc;

use patchcord_contract::tally::KNOWN;
use patchcord_contract::{Reason, Tally};

use crate::quality;
use crate::stats::{PortStats, SsrcStats};
use crate::table::Flow;
use crate::totals::{Proto, WorkerStats};

/// Reads tallies: the lower tier's side of folding.
pub trait Tallies: Debug + Send {
    /// The tally of that index as it is now.
    fn read(&self, index: u32) -> Tally;
}

/// What the lower tier carries of a flow.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// Index of the tally.
    pub(crate) tally: u32,
    /// The counters of the port that packets leave from.
    pub(crate) sent: Arc<PortStats>,
    /// The tally as it was taken in last.
    pub(crate) before: Tally,
    /// Packets counted before the numbers that they fill were seen to be missing.
    pub(crate) owed: u64,
}

/// Takes in what the lower tier has counted of the flow so far.
#[cold]
pub(crate) fn take_in(flow: &mut Flow, totals: &WorkerStats, tallies: Option<&dyn Tallies>) {
    if let Some((tallies, lowered)) = tallies.zip(flow.cold.lowered.as_deref()) {
        let tally = tallies.read(lowered.tally);
        fold(flow, totals, &tally);
    }
}

/// Takes in what the tally has come to; says whether there was a packet.
#[cold]
pub(crate) fn fold(flow: &mut Flow, totals: &WorkerStats, tally: &Tally) -> bool {
    let Some(lowered) = flow.cold.lowered.as_deref_mut() else {
        return false;
    };
    let before = std::mem::replace(&mut lowered.before, *tally);
    let packets = tally.packets.wrapping_sub(before.packets);
    let bytes = tally.bytes.wrapping_sub(before.bytes);
    let strangers = tally.strangers.wrapping_sub(before.strangers);
    let totals_in = totals.interface(Some(flow.interface));
    if strangers > 0 {
        totals.received.packets.add(strangers);
        let stranger_bytes = tally.stranger_bytes.wrapping_sub(before.stranger_bytes);
        totals.received.bytes.add(stranger_bytes);
        totals_in.dropped[Reason::WrongSource as usize].add(strangers);
        flow.stats.drop_many(Reason::WrongSource, strangers);
    }
    if packets == 0 {
        return false;
    }
    for traffic in [
        &totals.received,
        &totals_in.forwarded[Proto::Rtp as usize],
        &flow.stats.rtp_in,
        &lowered.sent.rtp_out,
    ] {
        traffic.packets.add(packets);
        traffic.bytes.add(bytes);
    }
    flow.stats.forwarded.add(packets);
    let last = flow.stats.last_packet.get().max(tally.last_seen);
    flow.stats.last_packet.set(last);
    if let Some(stream) = quality::find(&flow.stats.ssrcs, tally.ssrc) {
        stream.traffic.packets.add(packets);
        stream.traffic.bytes.add(bytes);
        lowered.owed = stream.take_in(&before, tally, packets, lowered.owed);
    }
    true
}

impl SsrcStats {
    /// The stream as the lower tier is to go on with it.
    pub(crate) fn lend(&self) -> Option<Tally> {
        let is_begun = self.is_used() && self.window.get() != 0 && self.clock_rate.get() != 0;
        let transit = match self.timed.get() {
            0 => 0,
            _ => u64::from(self.transit.get()) | KNOWN,
        };
        is_begun.then(|| Tally {
            window: self.window.get(),
            highest: self.last_seq.get() as u32,
            first: self.first_seq.get(),
            ssrc: self.ssrc.get(),
            payload_type: self.payload_type.get().into(),
            rate: self.clock_rate.get(),
            transit,
            timestamp: self.last_timestamp.get(),
            jitter_q4: self.jitter_q4.get(),
            ..Tally::default()
        })
    }

    /// Takes in what became of it; `owed` are packets that could not be taken off the missing ones yet.
    fn take_in(&self, before: &Tally, now: &Tally, packets: u64, owed: u64) -> u64 {
        let last = self.last_seq.get();
        let ahead = (now.highest as u16).wrapping_sub(last as u16).cast_signed();
        let moved = u64::from(ahead.max(0).unsigned_abs());
        let by = u32::from(ahead.unsigned_abs());
        let shifted = |window: u64| window.checked_shl(by).unwrap_or(0);
        if ahead > 0 {
            self.last_seq.set(last + moved);
            self.window.set(now.window | shifted(self.window.get()));
        } else {
            self.window.set(self.window.get() | shifted(now.window));
        }
        let missing = u64::from(self.lost.get()) + moved;
        let found = packets + owed;
        self.lost.set(missing.saturating_sub(found) as u32);
        self.reordered.add(now.late.wrapping_sub(before.late));
        self.last_seen.set(self.last_seen.get().max(now.last_seen));
        if self.clock_rate.get() == now.rate && now.transit != before.transit {
            self.transit.set(now.transit as u32);
            self.timed.set(1);
            self.last_timestamp.set(now.timestamp);
            self.jitter_q4.set(now.jitter_q4);
        }
        found.saturating_sub(missing)
    }
}
