//! Counters that one worker writes and control reads, without a lock.
//!
//! Each cell has one writer, so an update is a plain load and store of a relaxed atomic; a reader may
//! see two cells of one packet at different times, never a torn value.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use patchcord_contract::{Reason, Time};

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

/// What happened at one local port.
#[derive(Debug, Default)]
#[repr(align(64))]
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
    /// RTCP packets sent from this port.
    pub rtcp_out: Traffic,
    /// Packets received but not forwarded, by reason; under the egress reasons
    /// ([`Reason::is_egress`]) those counted as sent from this port that did not leave.
    pub drops: [AtomicU32; Reason::COUNT],
    /// The RTP streams seen here, in order of appearance.
    pub ssrcs: [SsrcStats; SSRCS],
}

impl PortStats {
    /// When the last packet arrived, if ever.
    pub fn last_packet(&self) -> Option<Time> {
        Some(Time(self.last_packet.get())).filter(|t| *t != Time::ZERO)
    }

    /// Packets received but not forwarded, all reasons together. With `forwarded`, every packet
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

    /// Packets that ended here because of `reason`.
    pub fn drops(&self, reason: Reason) -> u64 {
        u64::from(self.drops[reason as usize].load(Relaxed))
    }

    /// Counts a packet that was not forwarded; only the owning worker may call this.
    #[inline]
    pub fn drop_one(&self, reason: Reason) {
        let cell = &self.drops[reason as usize];
        cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

/// Quality of one incoming RTP stream (RFC 3550 A.1, A.3, A.8) and what its RTCP says of it.
#[derive(Debug, Default)]
pub struct SsrcStats {
    /// 1 when the slot is in use; the SSRC itself may be any value.
    pub used: Cell,
    /// The SSRC.
    pub ssrc: Cell,
    /// RTP packets and bytes received.
    pub traffic: Traffic,
    /// Last sequence number, extended by the cycles counted so far.
    pub last_seq: Cell,
    /// Last RTP timestamp.
    pub last_timestamp: Cell,
    /// Payload type of the last packet.
    pub payload_type: Cell,
    /// Packets missing so far; falls again when a late packet arrives.
    pub lost: Cell,
    /// Packets that came after a later one.
    pub reordered: Cell,
    /// Packets that came twice.
    pub duplicates: Cell,
    /// Jumps too large to be loss: the sender restarted its sequence.
    pub resets: Cell,
    /// Interarrival jitter in RTP timestamp units, scaled by 16 (RFC 3550 A.8).
    pub jitter_q4: Cell,
    /// RTP clock rate in Hz that jitter is measured with; 0 while unknown.
    pub clock_rate: Cell,
    /// Round-trip time to the sender's peer from LSR and DLSR, µs; 0 while unknown (RFC 3550 §6.4.1).
    pub rtt_us: Cell,
    /// Loss fraction (1/256) that the receiver of this stream last reported.
    pub reported_loss: Cell,
    /// Jitter in RTP timestamp units that the receiver of this stream last reported.
    pub reported_jitter: Cell,
    /// Receiver reports about this stream.
    pub reports: Cell,
}

impl SsrcStats {
    /// Whether the slot holds a stream.
    pub fn is_used(&self) -> bool {
        self.used.get() != 0
    }
}
