//! What the kernel program counts of a flow, and which of its packets it may count at all.
//!
//! A tally follows one RTP stream. It begins as a copy of what the worker knows of that stream, and the
//! worker takes in what it has come to. So the program finishes only what both would judge alike: the next
//! packets of that stream, late ones that are still missing, and nothing that came before, jumps, or is
//! of another stream. That also keeps forwarding loops with the worker, who counts repeats.
//!
//! It begins with the very next packet after the last one that the worker has sent on. Any other says that
//! packets wait for the worker, and they must not be overtaken.

use core::time::Duration;

use crate::Time;

/// A step ahead of this size or more is no loss but a jump (RFC 3550 A.1).
pub const MAX_DROPOUT: u16 = 3_000;
/// A step back of this size or more is a jump too: the window does not remember further.
pub const MAX_MISORDER: u16 = 64;
/// A difference in transit of that many seconds is a new timeline, not jitter.
pub const NEW_TIMELINE: u32 = 4;
/// Marks a transit time as known.
pub const KNOWN: u64 = 1 << 32;

/// The fields of an RTP header that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The payload type.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
}

/// How a packet continues its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is the newest, by that many.
    Ahead(u16),
    /// It was missing so far, and is that many behind the newest.
    Late(u16),
}

/// Counters and stream state of one entry. The kernel writes it as long as the entry exists, the worker
/// before and after; both only read it in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Tally {
    /// Packets forwarded.
    pub packets: u64,
    /// Their bytes of UDP payload.
    pub bytes: u64,
    /// When the last one arrived ([`Time`] ns; 0 = never).
    pub last_seen: u64,
    /// Packets from elsewhere that were dropped.
    pub strangers: u64,
    /// Their bytes of UDP payload.
    pub stranger_bytes: u64,
    /// Which of the last 64 sequence numbers arrived, the newest in bit 0.
    pub window: u64,
    /// The newest sequence number, extended by the cycles so far.
    pub highest: u32,
    /// The extended sequence number that counting began with.
    pub first: u32,
    /// Packets that came after a later one.
    pub late: u32,
    /// The stream.
    pub ssrc: u32,
    /// Its payload type.
    pub payload_type: u32,
    /// RTP clock rate in Hz.
    pub rate: u32,
    /// Last relative transit time (RFC 3550 A.8), with [`KNOWN`].
    pub transit: u64,
    /// Last RTP timestamp.
    pub timestamp: u32,
    /// Interarrival jitter in timestamp units, scaled by 16 (RFC 3550 A.8).
    pub jitter_q4: u32,
    /// 0 until the first packet was forwarded, which has to be the very next one; 1 from the beginning where
    /// order has been given up.
    pub begun: u32,
    /// No bytes without a name.
    pub zero: u32,
    /// Where its packets go next. The program's own.
    pub hop: Hop,
}

const _: () = assert!(size_of::<Tally>() == 128 && size_of::<Hop>() == 32);

/// A next hop as the kernel's routes and neighbours gave it a moment ago, since to ask them takes longer than all the
/// rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Hop {
    /// Until when it is used ([`Time`] ns; 0 = never).
    pub until: u64,
    /// The interface that frames are given to.
    pub interface: u32,
    /// Link address of the neighbour.
    pub to: [u8; 6],
    /// Link address of the interface.
    pub from: [u8; 6],
    /// The VLAN tag to put on, in host byte order; 0: none.
    pub vlan: u16,
    /// Longest IP packet that takes this way whole.
    pub most: u16,
    /// Which program looked it up: they name interfaces in their own ways.
    pub hook: u8,
    /// 1 if a frame that came in there is sent back by `XDP_TX`.
    pub bounces: u8,
    /// The news of routes and neighbours that it was looked up after, their lower half: void with the next.
    pub news: u16,
}

impl Hop {
    /// How long a next hop is used at most, where there are no news.
    pub const KEPT: Duration = Duration::from_secs(1);
}

impl Tally {
    /// How the packet continues the stream; `None`: that is the worker's to judge.
    #[inline]
    pub const fn step(&self, stamp: Stamp) -> Option<Step> {
        if self.ssrc != stamp.ssrc || self.payload_type != stamp.payload_type as u32 {
            return None;
        }
        let ahead = stamp.sequence.wrapping_sub(self.highest as u16);
        if self.begun == 0 && ahead != 1 {
            return None;
        }
        let behind = ahead.wrapping_neg();
        if ahead != 0 && ahead < MAX_DROPOUT {
            return Some(Step::Ahead(ahead));
        }
        let is_near = behind < MAX_MISORDER && self.window >> (behind & 63) & 1 == 0;
        let after_first = self.highest.wrapping_sub(self.first);
        // What came before counting began was not missing.
        if is_near && after_first < 1 << 31 && after_first > behind as u32 {
            Some(Step::Late(behind))
        } else {
            None
        }
    }

    /// The stream's state after such a packet; what was counted is not touched.
    #[inline]
    pub const fn follow(&mut self, at: Time, stamp: Stamp, step: Step) {
        self.last_seen = at.0;
        self.begun = 1;
        match step {
            Step::Ahead(1) => {
                self.highest = self.highest.wrapping_add(1);
                self.window = self.window << 1 | 1;
            }
            Step::Ahead(by) => {
                self.highest = self.highest.wrapping_add(by as u32);
                self.window = if by < 64 { self.window << by | 1 } else { 1 };
            }
            Step::Late(by) => {
                self.window |= 1 << (by & 63);
                self.late = self.late.wrapping_add(1);
                return;
            }
        }
        self.time(at, stamp.timestamp);
    }

    #[inline]
    const fn time(&mut self, at: Time, timestamp: u32) {
        // Packets of one video frame share a timestamp: only the first was sent when it says.
        if self.transit != 0 && self.timestamp == timestamp {
            return;
        }
        let transit = units(at, self.rate).wrapping_sub(timestamp);
        let before = self.transit;
        self.timestamp = timestamp;
        self.transit = transit as u64 | KNOWN;
        let step = transit
            .wrapping_sub(before as u32)
            .cast_signed()
            .unsigned_abs();
        if before != 0 && step < self.rate.saturating_mul(NEW_TIMELINE) {
            let jitter = self.jitter_q4;
            self.jitter_q4 = jitter.wrapping_add(step).wrapping_sub((jitter + 8) >> 4);
        }
    }
}

/// A point in time in RTP timestamp units, modulo 2^32.
#[inline]
pub const fn units(at: Time, rate: u32) -> u32 {
    let (seconds, nanos) = (at.0 / 1_000_000_000, at.0 % 1_000_000_000);
    (seconds.wrapping_mul(rate as u64) + nanos * rate as u64 / 1_000_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOP: Hop = Hop {
        until: 0,
        interface: 0,
        to: [0; 6],
        from: [0; 6],
        vlan: 0,
        most: 0,
        hook: 0,
        bounces: 0,
        news: 0,
    };

    const fn tally() -> Tally {
        Tally {
            packets: 0,
            bytes: 0,
            last_seen: 0,
            strangers: 0,
            stranger_bytes: 0,
            window: 0b1011,
            highest: 1_000,
            first: 900,
            late: 0,
            ssrc: 7,
            payload_type: 8,
            rate: 8_000,
            transit: 0,
            timestamp: 0,
            jitter_q4: 0,
            begun: 1,
            zero: 0,
            hop: HOP,
        }
    }

    const fn stamp(sequence: u16) -> Stamp {
        Stamp {
            payload_type: 8,
            sequence,
            timestamp: sequence as u32 * 160,
            ssrc: 7,
        }
    }

    #[test]
    fn the_next_packets_and_missing_ones_are_counted() {
        let tally = tally();
        assert_eq!(tally.step(stamp(1_001)), Some(Step::Ahead(1)));
        assert_eq!(tally.step(stamp(3_999)), Some(Step::Ahead(2_999)));
        assert_eq!(tally.step(stamp(998)), Some(Step::Late(2)));
    }

    #[test]
    fn counting_begins_with_the_very_next_packet() {
        let mut tally = Tally {
            begun: 0,
            ..tally()
        };
        for sequence in [998, 1_002, 1_003, 3_999] {
            assert_eq!(tally.step(stamp(sequence)), None, "{sequence}");
        }
        let step = tally.step(stamp(1_001)).expect("the next");
        tally.follow(Time::from_secs(9), stamp(1_001), step);
        assert_eq!(tally.step(stamp(1_003)), Some(Step::Ahead(2)));
    }

    #[test]
    fn repeats_jumps_and_other_streams_are_not() {
        let tally = tally();
        for sequence in [1_000, 999, 997, 4_000, 936, 40_000] {
            assert_eq!(tally.step(stamp(sequence)), None, "{sequence}");
        }
        let other = Stamp {
            ssrc: 8,
            ..stamp(1_001)
        };
        assert_eq!(tally.step(other), None);
        let other = Stamp {
            payload_type: 101,
            ..stamp(1_001)
        };
        assert_eq!(tally.step(other), None);
    }

    #[test]
    fn what_came_before_counting_began_was_not_missing() {
        let tally = Tally {
            first: 998,
            ..tally()
        };
        assert_eq!(tally.step(stamp(998)), None);
        let tally = Tally {
            first: 997,
            ..tally
        };
        assert_eq!(tally.step(stamp(998)), Some(Step::Late(2)));
    }

    #[test]
    fn a_stream_is_followed_over_the_wrap_of_its_numbers() {
        let mut tally = Tally {
            highest: 65_535,
            window: 1,
            ..tally()
        };
        let at = Time::from_secs(9);
        let step = tally.step(stamp(1)).expect("two ahead");
        tally.follow(at, stamp(1), step);
        assert_eq!((tally.highest, tally.window), (65_537, 0b101));
        let step = tally.step(stamp(0)).expect("late");
        tally.follow(at, stamp(0), step);
        assert_eq!((tally.window, tally.late), (0b111, 1));
        assert_eq!(tally.step(stamp(0)), None, "now it is a repeat");
    }

    #[test]
    fn jitter_is_that_of_the_arrivals() {
        let mut tally = tally();
        for (nth, millis) in [0, 20, 45, 60].into_iter().enumerate() {
            let stamp = stamp(1_001 + nth as u16);
            tally.follow(Time::from_millis(50_000 + millis), stamp, Step::Ahead(1));
        }
        // 5 ms late, then 5 ms early again: 40 units, then 40 - 3 (rounded 40 / 16) + 40.
        assert_eq!(tally.jitter_q4, 40 + 40 - 3);
    }
}
