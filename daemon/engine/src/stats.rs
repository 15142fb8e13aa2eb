//! Counters of a worker as such; those of its packets are the plane's.
//!
//! Written by the worker, read by anyone, never locked; see [`patchcord_media::stats::Cell`].

use patchcord_media::stats::Cell;

/// Buckets of [`WorkerStats::batches`]: a batch of `n` packets counts in bucket `⌊log2 n⌋`.
pub const BATCH_BUCKETS: usize = 8;

/// What a worker did.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct WorkerStats {
    /// Turns of the loop, which is also how often the worker entered the kernel to wait.
    pub turns: Cell,
    /// Batches by size: 1, 2–3, 4–7, … packets.
    pub batches: [Cell; BATCH_BUCKETS],
    /// Packets received and given to the plane.
    pub received: Cell,
    /// Packets given to the kernel to send.
    pub sent: Cell,
    /// Sends that the kernel refused.
    pub send_failed: Cell,
    /// Sends that found a full queue: the kernel's, or the worker's own.
    pub send_full: Cell,
    /// Packets that came in for a port while it was being detached or re-programmed.
    pub stale: Cell,
    /// Receives that were armed again after the kernel ended them.
    pub rearmed: Cell,
    /// Receives that ended because all buffers were in use.
    pub exhausted: Cell,
    /// Errors that a socket reported in place of a packet, such as a refused port (ICMP).
    pub socket_errors: Cell,
    /// Ports attached.
    pub ports: Cell,
    /// Connected twins open.
    pub twins: Cell,
    /// Connected twins opened so far.
    pub twins_opened: Cell,
    /// Connected twins that could not be opened.
    pub twins_failed: Cell,
    /// Commands carried out.
    pub commands: Cell,
    /// Commands that named a port which is not there, or not here.
    pub commands_refused: Cell,
    /// Events dropped because the event queue was full.
    pub events_dropped: Cell,
    /// Packet buffers the backend has.
    pub buffers: Cell,
    /// Packet buffers that are not the kernel's to fill: in a batch or in a send.
    pub buffers_out: Cell,
}

impl WorkerStats {
    /// Counts a batch of `packets`.
    pub(crate) fn batch(&self, packets: usize) {
        if let Some(log) = packets.checked_ilog2() {
            self.batches[(log as usize).min(BATCH_BUCKETS - 1)].add(1);
            self.received.add(packets as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_fall_into_powers_of_two() {
        let stats = WorkerStats::default();
        for n in [0, 1, 2, 3, 4, 64, 127, 128, 100_000] {
            stats.batch(n);
        }
        assert_eq!(
            stats.batches.each_ref().map(Cell::get),
            [1, 2, 1, 0, 0, 0, 2, 2]
        );
        assert_eq!(
            stats.received.get(),
            1 + 2 + 3 + 4 + 64 + 127 + 128 + 100_000
        );
    }
}
