//! Waiting for a condition instead of for a while.

use std::time::{Duration, Instant};

use crate::last_words;

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(5);

/// Fails, and says so once more below all logs.
///
/// # Panics
/// Always, with `what` in the message.
pub fn give_up(what: &str, limit: Duration) -> ! {
    let why = format!("waited {limit:?} in vain: {what}");
    last_words::add(&why);
    panic!("{why}");
}

/// Waits until `condition` holds.
///
/// # Panics
/// Where it does not within `limit`, with `what` in the message.
pub fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, limit, || condition().then_some(()));
}

/// Waits until `probe` gives something, and gives that.
///
/// # Panics
/// Where it does not within `limit`, with `what` in the message.
pub fn wait_for<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        if start.elapsed() >= limit {
            give_up(what, limit);
        }
        std::thread::sleep(STEP);
    }
}
