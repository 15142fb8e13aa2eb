//! What a backend does for a worker; the implementations behave the same.

use std::io;

use patchcord_contract::{Endpoint, Reason, Time};
use patchcord_media::flow::PortId;
use patchcord_media::{Plane, Rx};
use socket2::Socket;

use crate::limits::Room;
use crate::outbox::Outbox;
use crate::socket::Place;
use crate::stats::WorkerStats;
use crate::twin::Stray;
use crate::worker::LaneReport;

/// Packets that the plane judges at once, on one reading of the clock.
pub(crate) const BATCH: usize = 64;

/// Longest datagram taken whole; what is longer is counted as truncated.
pub(crate) const DATAGRAM: usize = patchcord_contract::LONGEST as usize;

/// Room behind a datagram, for what is added to it in place.
pub(crate) const TAIL: usize = 128;

/// How many turns a pairing waits for the port's own queue to be empty before it gives order up: a flood of
/// strangers must not keep the peer waiting. A full queue is empty after ten.
pub(crate) const DRAIN_TRIES: u8 = 64;

/// A worker's input and output. Statically dispatched: the loop is generic over it.
///
/// An error from any method is the end of the worker; what concerns one packet or one port is counted.
pub(crate) trait Backend: Sized {
    /// Whether its ports are addresses without sockets.
    const STEERED: bool = false;

    /// Takes over a port and receives on it until [`Self::detach`]. The slot is vacant, and the place is what
    /// [`Self::STEERED`] says.
    fn attach(&mut self, port: PortId, place: Place) -> io::Result<()>;

    /// Closes a port's sockets.
    fn detach(&mut self, port: PortId) -> io::Result<()>;

    /// Whether the slot is taken.
    fn is_attached(&self, port: PortId) -> bool;

    /// The local address of an attached port.
    fn local_addr(&self, port: PortId) -> Option<std::net::SocketAddr>;

    /// The TOS byte of what leaves from `port`, twin included.
    fn set_tos(&mut self, port: PortId, tos: u8) -> io::Result<()>;

    /// How much room there is for sockets when this worker may open at most `coming` more ports.
    fn room(&self, coming: usize) -> Room;

    /// Takes a socket connected to `peer` beside the port's own; it has the port's local address. It is
    /// sent from at once, and received from after [`Self::listen`].
    fn pair(&mut self, port: PortId, twin: Socket, peer: Endpoint) -> io::Result<()>;

    /// Closes the twin, if there is one. With `keep`, what has arrived in it is still relayed: by the backend,
    /// or by who called, if it is returned.
    fn unpair(&mut self, port: PortId, keep: bool) -> io::Result<Vec<Stray>>;

    /// Whom the port's twin is connected to.
    fn paired(&self, port: PortId) -> Option<Endpoint>;

    /// Paired ports whose own socket has been found empty: what came in before their twin took over has been
    /// handed to the plane by the time [`Self::relay`] returns. Emptied by the caller, who then lets each listen.
    fn caught_up(&mut self) -> &mut Vec<PortId>;

    /// Receives from the port's twin, if it is still there, from here on.
    fn listen(&mut self, port: PortId) -> io::Result<()>;

    /// Ports whose twin reported that its peer refuses packets; emptied by the caller.
    fn refused(&mut self) -> &mut Vec<PortId>;

    /// Gives the kernel what is queued; with `sleep`, waits until a packet, a wake-up or the tick is due.
    /// Afterwards the kernel reads no byte of any batch or outbox.
    fn wait(&mut self, sleep: bool) -> io::Result<()>;

    /// Gives the kernel what is queued to be sent, and has it sent.
    fn flush(&mut self) -> io::Result<()>;

    /// Hands what arrived to the plane, batch by batch, and queues what is to be sent.
    fn relay(&mut self, plane: &mut Plane, outbox: &mut Outbox) -> io::Result<Time>;

    /// Queues the outbox's sends, none of which is of a batch.
    fn send_copies(&mut self, plane: &mut Plane, outbox: &mut Outbox) -> io::Result<()>;

    /// The receive queues that lead to it past the kernel's stack.
    fn lanes(&self) -> Vec<LaneReport> {
        Vec::new()
    }

    /// Closes all ports and waits until the kernel has let go of them and of every buffer.
    fn close(self) -> io::Result<()>;
}

/// The batch's room for the next batch: nothing is allocated, because the elements' layout is the same.
pub(crate) fn recycle<'a>(mut batch: Vec<Rx<'_>>) -> Vec<Rx<'a>> {
    batch.clear();
    batch
        .into_iter()
        .map(|_| unreachable!("the batch was just emptied"))
        .collect()
}

/// Why the kernel did not send, by its error number.
pub(crate) fn reason_of(errno: i32) -> Reason {
    match errno {
        libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM => Reason::SendFull,
        _ => Reason::SendFailed,
    }
}

/// Counts a packet that did not leave from `via`.
#[cold]
pub(crate) fn unsent(stats: &WorkerStats, plane: &mut Plane, via: PortId, reason: Reason) {
    let full = reason == Reason::SendFull;
    if full {
        &stats.send_full
    } else {
        &stats.send_failed
    }
    .add(1);
    plane.unsent(via, reason);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recycled_batch_keeps_its_room() {
        let batch: Vec<Rx<'static>> = Vec::with_capacity(BATCH);
        let before = batch.as_ptr();
        let after = recycle(batch);
        assert_eq!((after.as_ptr(), after.capacity()), (before, BATCH));
    }
}
