//! Where the plane's results go: the engine implements it, statically dispatched.

use patchcord_contract::Endpoint;

use crate::flow::{Event, PortId};

/// Takes what leaves and what control has to know. Nothing here may fail: an engine that cannot
/// send reports it afterwards by [`Plane::unsent`](crate::Plane::unsent).
pub trait Outbox {
    /// The first `len` bytes of the batch's packet `index`, as they stand when `process` returns,
    /// leave from `via` to `to`. At most once for each packet: the last sink takes the buffer itself.
    fn forward(&mut self, index: usize, len: usize, via: PortId, to: Endpoint);

    /// A copy of `bytes` leaves from `via` to `to`: further sinks.
    fn copy(&mut self, bytes: &[u8], via: PortId, to: Endpoint);

    /// Control has to know; may be dropped when the queue is full, never waited for.
    fn event(&mut self, event: Event);
}
