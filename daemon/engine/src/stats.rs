//! Counters of a worker's dealings with the kernel; those of its packets and batches are the plane's.
//!
//! Written by the worker, read by anyone, never locked; see [`patchcord_media::stats::Cell`].

use patchcord_media::offload::WhyNot;
use patchcord_media::stats::Cell;

/// What a worker did.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct WorkerStats {
    /// Turns of the loop, each of which enters the kernel to wait.
    pub turns: Cell,
    /// Packets given to the kernel to send.
    pub sent: Cell,
    /// Sends that the kernel refused.
    pub send_failed: Cell,
    /// Sends that found a full queue: the kernel's, or the worker's own.
    pub send_full: Cell,
    /// Packets that came in past the kernel's stack.
    pub bypassed: Cell,
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
    /// Flows that the kernel carries.
    pub entries: Cell,
    /// Flows that stay with the worker though there is a kernel's table, by the reason.
    pub kept: [Cell; WhyNot::ALL.len()],
    /// Flows given to the kernel so far.
    pub lowered: Cell,
    /// Flows taken back from it so far.
    pub raised: Cell,
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
