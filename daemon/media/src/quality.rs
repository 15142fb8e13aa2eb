//! What can be told of incoming RTP streams by their headers: sequence (RFC 3550 A.1), loss (A.3),
//! jitter (A.8).
//!
//! A port has [`SSRCS`] slots. The first stream takes the first slot at once; any other must show
//! two packets in sequence first, and takes a free slot or that of the stream that has been silent
//! longest and for [`IDLE`] at least. So a flood of made-up SSRCs never evicts a stream that is in use.

use std::time::Duration;

use patchcord_contract::Time;
pub(crate) use patchcord_contract::tally::units;
use patchcord_contract::tally::{MAX_DROPOUT, MAX_MISORDER, NEW_TIMELINE};
use patchcord_wire::rtp::Rtp;

use crate::clocks;
use crate::flow::Clocks;
use crate::stats::{SSRCS, SsrcStats};

/// How long a stream is silent before another one may take its slot.
const IDLE: Duration = Duration::from_secs(5);
/// The same for a stream known by sender reports only, which come every few seconds (RFC 3550 §6.2).
const UNREPORTED: Duration = Duration::from_secs(30);
/// No sequence number confirms a restart.
const NO_RESTART: u32 = 1 << 16;

/// The fields of an RTP header that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

impl From<Rtp<'_>> for Header {
    #[inline]
    fn from(rtp: Rtp<'_>) -> Self {
        Self {
            payload_type: rtp.payload_type().get(),
            sequence: rtp.sequence(),
            timestamp: rtp.timestamp(),
            ssrc: rtp.ssrc().0,
        }
    }
}

/// The first packet of a stream that has no slot yet.
#[derive(Clone, Debug)]
pub(crate) struct Probation {
    header: Header,
    len: usize,
    at: Time,
}

/// A packet as it is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// When.
    pub(crate) at: Time,
    /// Its header.
    pub(crate) header: Header,
    /// Its length, of UDP payload.
    pub(crate) len: usize,
}

/// Measures a packet of the stream in slot `recent`; if it is of another, finds or makes that
/// stream's slot and remembers it in `recent`.
#[inline]
pub(crate) fn observe(
    ssrcs: &[SsrcStats; SSRCS],
    recent: &mut u8,
    probation: &mut Option<Probation>,
    clocks: &Clocks,
    packet: &Arrival,
) {
    let guess = &ssrcs[usize::from(*recent) % SSRCS];
    if guess.holds(packet.header.ssrc) {
        return guess.receive(clocks, packet);
    }
    if let Some(slot) = slot_of(ssrcs, probation, clocks, packet) {
        *recent = slot as u8;
        ssrcs[slot].receive(clocks, packet);
    }
}

/// The slot of a stream, whoever made it.
pub(crate) fn find(ssrcs: &[SsrcStats; SSRCS], ssrc: u32) -> Option<&SsrcStats> {
    ssrcs.iter().find(|s| s.holds(ssrc))
}

/// The slot of a stream that is known by its sender reports only; made if there is room.
pub(crate) fn find_or_reserve(
    ssrcs: &[SsrcStats; SSRCS],
    ssrc: u32,
    now: Time,
) -> Option<&SsrcStats> {
    let found = find(ssrcs, ssrc).or_else(|| {
        let stream = &ssrcs[vacancy(ssrcs, now, UNREPORTED)?];
        stream.clear(ssrc);
        Some(stream)
    })?;
    found.last_seen.set(now.0);
    Some(found)
}

#[cold]
fn slot_of(
    ssrcs: &[SsrcStats; SSRCS],
    probation: &mut Option<Probation>,
    clocks: &Clocks,
    packet: &Arrival,
) -> Option<usize> {
    let header = packet.header;
    if let Some(slot) = ssrcs.iter().position(|s| s.holds(header.ssrc)) {
        return Some(slot);
    }
    if !ssrcs[0].is_used() {
        ssrcs[0].clear(header.ssrc);
        return Some(0);
    }
    let first = probation.replace(Probation {
        header,
        len: packet.len,
        at: packet.at,
    })?;
    let proven = first.header.ssrc == header.ssrc
        && first.header.sequence.wrapping_add(1) == header.sequence;
    if !proven {
        return None;
    }
    let slot = vacancy(ssrcs, packet.at, IDLE)?;
    ssrcs[slot].clear(header.ssrc);
    ssrcs[slot].receive(
        clocks,
        &Arrival {
            at: first.at,
            header: first.header,
            len: first.len,
        },
    );
    *probation = None;
    Some(slot)
}

/// A free slot, or the one that has been silent longest and long enough.
fn vacancy(ssrcs: &[SsrcStats; SSRCS], now: Time, idle: Duration) -> Option<usize> {
    ssrcs.iter().position(|s| !s.is_used()).or_else(|| {
        let slot = (0..SSRCS).min_by_key(|i| ssrcs[*i].last_seen.get())?;
        (now.since(Time(ssrcs[slot].last_seen.get())) >= idle).then_some(slot)
    })
}

impl SsrcStats {
    #[inline]
    pub(crate) fn holds(&self, ssrc: u32) -> bool {
        self.ssrc.get() == ssrc && self.is_used()
    }

    /// The slot is another stream's from here on.
    fn clear(&self, ssrc: u32) {
        let (traffic, seq) = (&self.traffic, &self.last_seq);
        for cell in [&traffic.packets, &traffic.bytes, seq, &self.window] {
            cell.set(0);
        }
        for cell in [
            &self.last_timestamp,
            &self.transit,
            &self.jitter_q4,
            &self.clock_rate,
            &self.lost,
            &self.reordered,
            &self.duplicates,
            &self.resets,
            &self.first_seq,
            &self.restart,
            &self.rtt_us,
            &self.reported_jitter,
            &self.reports,
        ] {
            cell.set(0);
        }
        for cell in [&self.timed, &self.payload_type, &self.reported_loss] {
            cell.set(0);
        }
        self.ssrc.set(ssrc);
        self.used.set(1);
    }

    /// Counting begins with `sequence`.
    fn begin(&self, sequence: u16) {
        self.first_seq.set(sequence.into());
        self.last_seq.set(u64::from(sequence));
        self.window.set(1);
        self.restart.set(NO_RESTART);
        self.timed.set(0);
    }

    #[inline]
    fn receive(&self, clocks: &Clocks, packet: &Arrival) {
        self.traffic.count(packet.len);
        self.last_seen.set(packet.at.0);
        if self.sequence(packet.header.sequence) {
            self.timing(clocks, packet);
        }
    }

    /// Counts a sequence number; says whether it is the newest.
    #[inline]
    fn sequence(&self, sequence: u16) -> bool {
        let last = self.last_seq.get();
        let window = self.window.get();
        let ahead = sequence.wrapping_sub(last as u16);
        if ahead == 1 && window != 0 {
            self.last_seq.set(last + 1);
            self.window.set(window << 1 | 1);
            return true;
        }
        self.out_of_step(sequence, ahead)
    }

    #[cold]
    fn out_of_step(&self, sequence: u16, ahead: u16) -> bool {
        let (last, window) = (self.last_seq.get(), self.window.get());
        let behind = ahead.wrapping_neg();
        if window == 0 {
            self.begin(sequence);
            true
        } else if (1..MAX_DROPOUT).contains(&ahead) {
            self.last_seq.set(last + u64::from(ahead));
            self.window
                .set(window.checked_shl(u32::from(ahead)).unwrap_or(0) | 1);
            self.lost.add(u32::from(ahead) - 1);
            true
        } else if behind < MAX_MISORDER {
            self.late(u64::from(behind));
            false
        } else if self.restart.get() == u32::from(sequence) {
            self.begin(sequence);
            self.resets.add(1);
            true
        } else {
            self.restart.set(sequence.wrapping_add(1).into());
            false
        }
    }

    /// A packet that is `behind` the last one; zero is the last one again.
    fn late(&self, behind: u64) {
        let bit = 1 << behind;
        if self.window.get() & bit != 0 {
            return self.duplicates.add(1);
        }
        self.window.set(self.window.get() | bit);
        self.reordered.add(1);
        // What came before counting began was not missing.
        if self
            .last_seq
            .get()
            .checked_sub(behind)
            .is_some_and(|s| s > self.first_seq.get().into())
        {
            self.lost.set(self.lost.get().saturating_sub(1));
        }
    }

    #[inline]
    fn timing(&self, clocks: &Clocks, packet: &Arrival) {
        let header = packet.header;
        let same_payload = self.payload_type.get() == header.payload_type;
        if !same_payload || self.clock_rate.get() == 0 {
            self.change_payload(clocks, header.payload_type);
        }
        let rate = self.clock_rate.get();
        let transit = units(packet.at, rate).wrapping_sub(header.timestamp);
        let (before, is_timed) = (self.transit.get(), self.timed.get() != 0);
        // Packets of one video frame, or of one telephone event, share a timestamp: only the first
        // of them was sent when it says.
        if is_timed && self.last_timestamp.get() == header.timestamp {
            return;
        }
        self.last_timestamp.set(header.timestamp);
        self.transit.set(transit);
        self.timed.set(1);
        let step = transit.wrapping_sub(before).cast_signed().unsigned_abs();
        if is_timed && step < rate.saturating_mul(NEW_TIMELINE) {
            let jitter = self.jitter_q4.get();
            let decay = (u64::from(jitter) + 8) >> 4;
            self.jitter_q4
                .set((jitter - decay as u32).saturating_add(step));
        }
    }

    /// Another payload type may tick at another rate; jitter so far is converted.
    #[cold]
    fn change_payload(&self, clocks: &Clocks, payload_type: u8) {
        let old = self.clock_rate.get();
        let new = clocks::rate(clocks, payload_type);
        self.payload_type.set(payload_type);
        self.clock_rate.set(new);
        let jitter = u64::from(self.jitter_q4.get()) * u64::from(new);
        let jitter = jitter.checked_div(old.into()).unwrap_or(0);
        self.jitter_q4.set(jitter.min(u32::MAX.into()) as u32);
        self.timed.set(0);
    }
}

#[cfg(test)]
mod tests;
