//! The generator is an edge: it may read clocks, here and nowhere else.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock, for pacing and deadlines.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Nanoseconds since 1970: the clock in which the kernel stamps received packets.
pub(crate) fn realtime() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Waits without using the core.
pub(crate) fn sleep(time: Duration) {
    std::thread::sleep(time);
}
