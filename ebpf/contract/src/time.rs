//! One clock for all tiers: nanoseconds of CLOCK_MONOTONIC.

use core::fmt;
use core::ops::{Add, Sub};
use core::time::Duration;

/// A point on CLOCK_MONOTONIC, in nanoseconds; the kernel's `bpf_ktime_get_ns` reads the same clock.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Time(pub u64);

impl Time {
    /// The clock's zero, which is also the "never" of last-seen stamps.
    pub const ZERO: Self = Self(0);

    /// The point `seconds` after the clock's zero.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * 1_000_000_000)
    }

    /// The point `millis` milliseconds after the clock's zero.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// Time since `earlier`, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:09}s",
            self.0 / 1_000_000_000,
            self.0 % 1_000_000_000
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_since_a_later_point_is_zero() {
        let (early, late) = (Time::from_secs(1), Time::from_millis(1_500));
        assert_eq!(late.since(early), Duration::from_millis(500));
        assert_eq!(early.since(late), Duration::ZERO);
    }

    #[test]
    fn arithmetic_stops_at_both_ends_of_the_clock() {
        assert_eq!(Time::from_secs(1) - Duration::from_secs(2), Time::ZERO);
        assert_eq!(Time::from_secs(1) + Duration::MAX, Time(u64::MAX));
        assert_eq!(
            Time::from_secs(1) + Duration::from_millis(5),
            Time::from_millis(1_005)
        );
    }
}
