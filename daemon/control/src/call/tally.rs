//! Packets and bytes of a call, added up over its ports.

use patchcord_media::stats::{PortStats, Traffic};

/// Packets and bytes of UDP payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Packets.
    pub(crate) packets: u64,
    /// Bytes.
    pub(crate) bytes: u64,
}

/// What arrived at a call's ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// RTP, and bytes of other protocols.
    pub(crate) rtp: Count,
    /// RTCP.
    pub(crate) rtcp: Count,
    /// Packets that were not forwarded.
    pub(crate) dropped: u64,
}

impl Count {
    /// Reads a pair of counters.
    pub(crate) fn of(traffic: &Traffic) -> Self {
        Self {
            packets: traffic.packets.get(),
            bytes: traffic.bytes.get(),
        }
    }

    fn add(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

impl Tally {
    /// Adds what arrived at one port.
    pub(crate) fn add(&mut self, stats: &PortStats) {
        self.rtp.add(Count::of(&stats.rtp_in));
        self.rtcp.add(Count::of(&stats.rtcp_in));
        self.dropped += stats.dropped();
    }
}
