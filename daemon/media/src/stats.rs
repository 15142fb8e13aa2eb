//! Counters that one worker writes and control reads, without a lock.
//!
//! Each cell has one writer, so an update is a plain load and store of a relaxed atomic; a reader may
//! see two cells of one packet at different times, never a torn value.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use patchcord_contract::{Reason, Time};

use crate::mos;
use crate::offload::Tier;

/// RTP streams (SSRCs) told apart at one port; further ones count in the port's totals only.
pub const SSRCS: usize = 4;

/// A counter with one writer.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Adds `n`; only the owning worker may call this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Replaces the value; only the owning worker may call this.
    #[inline]
    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// As [`Cell`], for what 32 bits hold; sums wrap.
#[derive(Debug, Default)]
pub struct Cell32(AtomicU32);

impl Cell32 {
    /// Adds `n`; only the owning worker may call this.
    #[inline]
    pub fn add(&self, n: u32) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// Replaces the value; only the owning worker may call this.
    #[inline]
    pub fn set(&self, n: u32) {
        self.0.store(n, Relaxed);
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

/// As [`Cell`], for what 8 bits hold.
#[derive(Debug, Default)]
pub struct Cell8(AtomicU8);

impl Cell8 {
    /// Replaces the value; only the owning worker may call this.
    #[inline]
    pub fn set(&self, n: u8) {
        self.0.store(n, Relaxed);
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> u8 {
        self.0.load(Relaxed)
    }
}

/// A counter for each [`Reason`], in its order.
#[derive(Debug)]
pub struct ByReason<T>([T; Reason::COUNT]);

impl<T: Default> Default for ByReason<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| T::default()))
    }
}

impl<T> Deref for ByReason<T> {
    type Target = [T; Reason::COUNT];

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for ByReason<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// Packets and bytes (of UDP payload).
#[derive(Debug, Default)]
pub struct Traffic {
    /// Packets.
    pub packets: Cell,
    /// Bytes of UDP payload.
    pub bytes: Cell,
}

impl Traffic {
    /// Counts one packet of `len` bytes.
    #[inline]
    pub fn count(&self, len: usize) {
        self.packets.add(1);
        self.bytes.add(len as u64);
    }
}

/// What happened at one local port. The first cache line is what any packet touches, on its way in or
/// out; the first RTP stream follows it.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub struct PortStats {
    /// When the last packet that counts as a sign of life arrived ([`Time`] ns; 0 = never).
    pub last_packet: Cell,
    /// Packets received here that left through at least one sink.
    pub forwarded: Cell,
    /// RTP (or opaque) packets received from the peer, forwarded or not.
    pub rtp_in: Traffic,
    /// RTP (or opaque) packets sent from this port.
    pub rtp_out: Traffic,
    /// RTCP packets received from the peer, forwarded or not.
    pub rtcp_in: Traffic,
    /// The RTP streams seen here, in order of appearance. At the RTCP port of a split transport: the
    /// streams whose sender reports arrive there, with what their receivers say and no traffic.
    pub ssrcs: [SsrcStats; SSRCS],
    /// RTCP packets sent from this port.
    pub rtcp_out: Traffic,
    /// Packets received here that went up to control.
    pub punted: Cell,
    /// Packets received but not forwarded, by reason; under the egress reasons
    /// ([`Reason::is_egress`]) those counted as sent from this port that did not leave.
    pub drops: ByReason<Cell32>,
    /// Which tier carries the flow here, and why not a lower one.
    tier: Cell8,
}

impl PortStats {
    /// When the last packet arrived, if ever.
    pub fn last_packet(&self) -> Option<Time> {
        Some(Time(self.last_packet.get())).filter(|t| *t != Time::ZERO)
    }

    /// Packets received but not forwarded, all reasons together. With `forwarded` and `punted`, every packet
    /// that arrived at this port.
    pub fn dropped(&self) -> u64 {
        Reason::ALL
            .iter()
            .filter(|r| !r.is_egress())
            .map(|r| self.drops(*r))
            .sum()
    }

    /// Packets counted as sent from this port that did not leave.
    pub fn unsent(&self) -> u64 {
        Reason::ALL
            .iter()
            .filter(|r| r.is_egress())
            .map(|r| self.drops(*r))
            .sum()
    }

    /// Which tier carries the flow here, and why not a lower one.
    pub fn tier(&self) -> Tier {
        Tier::from_number(self.tier.get())
    }

    /// Says so; only the owning worker may call this.
    pub fn set_tier(&self, tier: Tier) {
        self.tier.set(tier.number());
    }

    /// Packets that ended here because of `reason`.
    pub fn drops(&self, reason: Reason) -> u64 {
        u64::from(self.drops[reason as usize].get())
    }

    /// Counts packets that were not forwarded; only the owning worker may call this.
    pub(crate) fn drop_many(&self, reason: Reason, packets: u64) {
        self.drops[reason as usize].add(packets as u32);
    }

    /// Counts a packet that was not forwarded; only the owning worker may call this.
    #[inline]
    pub fn drop_one(&self, reason: Reason) {
        self.drops[reason as usize].add(1);
    }
}

/// Quality of one incoming RTP stream (RFC 3550 A.1, A.3, A.8) and what its RTCP says of it. It is
/// also the working state of the quality module: what each packet writes comes first and fills one
/// cache line.
#[derive(Debug, Default)]
#[repr(C)]
pub struct SsrcStats {
    /// RTP packets and bytes received.
    pub traffic: Traffic,
    /// Last sequence number, extended by the cycles counted so far.
    pub last_seq: Cell,
    /// When the last packet or sender report arrived ([`Time`] ns).
    pub last_seen: Cell,
    /// Which of the last 64 sequence numbers arrived, the last one in bit 0.
    pub(crate) window: Cell,
    /// The SSRC.
    pub ssrc: Cell32,
    /// Last RTP timestamp.
    pub last_timestamp: Cell32,
    /// Last relative transit time (RFC 3550 A.8).
    pub(crate) transit: Cell32,
    /// Interarrival jitter in RTP timestamp units, scaled by 16 (RFC 3550 A.8).
    pub jitter_q4: Cell32,
    /// RTP clock rate in Hz that jitter is measured with; 0 while unknown.
    pub clock_rate: Cell32,
    /// 1 when the slot is in use; the SSRC itself may be any value.
    pub used: Cell8,
    /// 1 when the transit time is known.
    pub(crate) timed: Cell8,
    /// Payload type of the last packet.
    pub payload_type: Cell8,
    /// Packets missing so far; falls again when a late packet arrives.
    pub lost: Cell32,
    /// Packets that came after a later one.
    pub reordered: Cell32,
    /// Packets that came twice.
    pub duplicates: Cell32,
    /// Jumps too large to be loss: the sender restarted its sequence.
    pub resets: Cell32,
    /// The sequence number that counting began with.
    pub(crate) first_seq: Cell32,
    /// The sequence number that would confirm a restart; above 16 bits: none.
    pub(crate) restart: Cell32,
    /// Round-trip time between here and the stream's receiver from LSR and DLSR, µs; 0 while unknown
    /// (RFC 3550 §6.4.1).
    pub rtt_us: Cell32,
    /// Jitter in RTP timestamp units that the receiver of this stream last reported.
    pub reported_jitter: Cell32,
    /// Receiver reports about this stream.
    pub reports: Cell32,
    /// Loss fraction (1/256) that the receiver of this stream last reported.
    pub reported_loss: Cell8,
}

impl SsrcStats {
    /// Whether the slot holds a stream.
    pub fn is_used(&self) -> bool {
        self.used.get() != 0
    }

    /// Interarrival jitter; `None` while the clock rate is unknown.
    pub fn jitter(&self) -> Option<Duration> {
        let jitter = u64::from(self.jitter_q4.get());
        let rate = u64::from(self.clock_rate.get());
        let nanos = (jitter.saturating_mul(1_000_000_000) >> 4).checked_div(rate)?;
        Some(Duration::from_nanos(nanos))
    }

    /// Packets missing, per cent of those expected.
    pub fn loss_percent(&self) -> f64 {
        let (lost, duplicates) = (u64::from(self.lost.get()), self.duplicates.get());
        let expected = (self.traffic.packets.get() + lost).saturating_sub(duplicates.into());
        if expected == 0 {
            0.0
        } else {
            lost as f64 * 100.0 / expected as f64
        }
    }

    /// The round-trip time, if it is known.
    pub fn rtt(&self) -> Option<Duration> {
        Some(Duration::from_micros(self.rtt_us.get().into())).filter(|rtt| !rtt.is_zero())
    }

    /// The mean opinion score times ten, from what was measured here.
    pub fn mos_x10(&self) -> u8 {
        let jitter = self.jitter().unwrap_or_default();
        mos::mos_x10(self.loss_percent(), jitter, self.rtt().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_any_packet_touches_is_one_cache_line() {
        assert_eq!(align_of::<PortStats>(), 64);
        assert_eq!(std::mem::offset_of!(PortStats, ssrcs), 64);
        assert_eq!(std::mem::offset_of!(SsrcStats, lost), 64);
    }

    #[test]
    fn packets_in_are_those_forwarded_and_those_dropped() {
        let stats = PortStats::default();
        stats.forwarded.add(3);
        stats.drop_one(Reason::NoPeer);
        stats.drop_one(Reason::SendFailed);
        assert_eq!((stats.dropped(), stats.unsent()), (1, 1));
    }

    #[test]
    fn quality_reads_in_units_of_people() {
        let stream = SsrcStats::default();
        assert_eq!((stream.jitter(), stream.rtt()), (None, None));
        assert!(stream.loss_percent().abs() < 1e-9);
        stream.clock_rate.set(8_000);
        stream.jitter_q4.set(16 * 80);
        stream.traffic.packets.set(96);
        stream.duplicates.set(1);
        stream.lost.set(5);
        stream.rtt_us.set(40_000);
        assert_eq!(stream.jitter(), Some(Duration::from_millis(10)));
        assert_eq!(stream.rtt(), Some(Duration::from_millis(40)));
        assert!((stream.loss_percent() - 5.0).abs() < 1e-9);
        // R is 93.2 - 50 ms / 40 - 2.5 * 5 % = 79.45.
        assert_eq!(stream.mos_x10(), 40);
    }
}
