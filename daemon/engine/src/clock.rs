//! The clock: CLOCK_MONOTONIC in nanoseconds, which the kernel's `bpf_ktime_get_ns` reads as well.
//!
//! Invariant of the unsafe code: the kernel writes only the `timespec` it is given.

use patchcord_contract::Time;

/// Reads the clock. Workers call it once per batch.
pub fn monotonic() -> Time {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a live, exclusively borrowed timespec, the only memory the call writes.
    let rc = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    assert_eq!(rc, 0, "CLOCK_MONOTONIC exists on every Linux");
    Time(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_does_not_run_backwards() {
        let first = monotonic();
        assert!(first > Time::ZERO);
        assert!(monotonic() >= first);
    }
}
