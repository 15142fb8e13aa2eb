//! A worker's counters, for metrics: the worker writes them, any thread reads them.

use patchcord_contract::Reason;

use crate::stats::{ByReason, Cell, Traffic};

/// What a packet is counted as when it is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Proto {
    /// RTP.
    Rtp,
    /// RTCP.
    Rtcp,
    /// Neither: ZRTP beside RTP, and everything on flows that are relayed untouched.
    Opaque,
}

impl Proto {
    /// All of them, in counter order.
    pub const ALL: [Self; 3] = [Self::Rtp, Self::Rtcp, Self::Opaque];

    /// The label used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rtp => "rtp",
            Self::Rtcp => "rtcp",
            Self::Opaque => "opaque",
        }
    }
}

/// What arrived at the ports of one interface.
#[derive(Debug, Default)]
pub struct InterfaceStats {
    /// Packets and bytes forwarded, by [`Proto`]; a forked packet counts once.
    pub forwarded: [Traffic; Proto::ALL.len()],
    /// Packets not forwarded, by [`Reason`]; copies that failed to leave under the egress reasons.
    pub dropped: ByReason<Cell>,
}

impl InterfaceStats {
    /// Packets forwarded, whatever they were.
    pub fn forwarded(&self) -> u64 {
        self.forwarded.iter().map(|t| t.packets.get()).sum()
    }

    /// Packets received but not forwarded.
    pub fn dropped(&self) -> u64 {
        let ingress = Reason::ALL.iter().filter(|r| !r.is_egress());
        ingress.map(|r| self.dropped[*r as usize].get()).sum()
    }
}

/// Upper bounds of the batch-size buckets, the last bucket being what is larger than all of them.
pub const BATCH_BOUNDS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// What happened at one worker.
#[derive(Debug)]
pub struct WorkerStats {
    /// Packets and bytes received, counted before anything is decided about them.
    pub received: Traffic,
    /// By interface, as configured.
    pub interfaces: Box<[InterfaceStats]>,
    /// At ports without a flow, whose interface is unknown here.
    pub unassigned: InterfaceStats,
    /// Packets handed up to control.
    pub punts: Cell,
    /// Endpoints latched, improvements and moves included.
    pub latches: Cell,
    /// Flows programmed at this time.
    pub flows: Cell,
    /// Batches by size: [`BATCH_BOUNDS`] and one bucket above them.
    pub batches: [Cell; BATCH_BOUNDS.len() + 1],
}

impl WorkerStats {
    /// Counters at zero.
    pub fn new(interfaces: usize) -> Self {
        Self {
            received: Traffic::default(),
            interfaces: (0..interfaces).map(|_| InterfaceStats::default()).collect(),
            unassigned: InterfaceStats::default(),
            punts: Cell::default(),
            latches: Cell::default(),
            flows: Cell::default(),
            batches: Default::default(),
        }
    }

    /// The interface's counters; the unassigned ones if there is no such interface.
    #[inline]
    pub fn interface(&self, index: Option<u8>) -> &InterfaceStats {
        index
            .and_then(|i| self.interfaces.get(usize::from(i)))
            .unwrap_or(&self.unassigned)
    }

    /// Packets with a verdict: forwarded, punted and dropped together. Equal to `received`
    /// whenever the worker is between two batches.
    pub fn decided(&self) -> u64 {
        let interfaces = self.interfaces.iter().chain([&self.unassigned]);
        self.punts.get() + interfaces.map(|i| i.forwarded() + i.dropped()).sum::<u64>()
    }

    /// Counts a batch of `len` packets.
    #[inline]
    pub(crate) fn count_batch(&self, len: usize) {
        let bucket = BATCH_BOUNDS.iter().position(|bound| len <= *bound);
        self.batches[bucket.unwrap_or(BATCH_BOUNDS.len())].add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fall_into_the_bucket_that_bounds_them() {
        let stats = WorkerStats::new(0);
        for len in [1, 2, 3, 4, 64, 65, 1_000] {
            stats.count_batch(len);
        }
        assert_eq!(
            stats.batches.each_ref().map(Cell::get),
            [1, 1, 2, 0, 0, 0, 1, 2]
        );
    }

    #[test]
    fn an_unknown_interface_counts_as_unassigned() {
        let stats = WorkerStats::new(1);
        stats.interface(Some(1)).dropped[Reason::NoPeer as usize].add(2);
        stats.interface(Some(0)).forwarded[Proto::Rtp as usize].count(172);
        assert_eq!(stats.unassigned.dropped(), 2);
        assert_eq!(stats.decided(), 3);
    }

    #[test]
    fn failed_sends_are_not_packets_received() {
        let stats = WorkerStats::new(1);
        stats.interface(Some(0)).dropped[Reason::SendFull as usize].add(1);
        assert_eq!(stats.decided(), 0);
    }
}
