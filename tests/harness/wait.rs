//! Waiting for a condition instead of for a while.

use std::time::{Duration, Instant};

use crate::last_words;

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(5);

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
            last_words::add(&format!("waited {limit:?} in vain: {what}"));
            panic!("waited {limit:?} in vain: {what}");
        }
        std::thread::sleep(STEP);
    }
}
