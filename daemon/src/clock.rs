//! The one place where the control thread reads its clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use patchcord_control::Clock;
use patchcord_engine::monotonic;

/// Both clocks, as of now.
pub fn read() -> Clock {
    Clock {
        now: monotonic(),
        wall_us: wall_us(),
    }
}

/// Unix time in microseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the edge that reads the wall clock"
)]
pub fn wall_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}
