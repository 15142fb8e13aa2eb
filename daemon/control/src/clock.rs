//! The two clocks a request is handled by: one to count with, one to show.

use patchcord_contract::Time;

/// The moment of a request or tick, read once by the edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// Monotonic time, which every timeout counts with.
    pub now: Time,
    /// Unix time in microseconds, for NG's `created` and `last signal` fields only.
    pub wall_us: u64,
}

impl Clock {
    /// Unix time in whole seconds.
    pub const fn wall_secs(self) -> u64 {
        self.wall_us / 1_000_000
    }
}
