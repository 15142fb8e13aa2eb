//! How long things took, as a histogram.

use std::time::Duration;

/// Counts by how long something took, and the sum of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    counts: [u64; Self::BOUNDS.len() + 1],
    sum: Duration,
}

impl Spans {
    /// Upper bounds of the buckets in milliseconds; what is above all of them has one more.
    pub const BOUNDS: [u64; 13] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000,
    ];

    /// Counts one.
    pub(crate) fn add(&mut self, took: Duration) {
        let bucket = Self::BOUNDS
            .iter()
            .position(|bound| took <= Duration::from_millis(*bound));
        self.counts[bucket.unwrap_or(Self::BOUNDS.len())] += 1;
        self.sum += took;
    }

    /// How many fell into each bucket.
    pub const fn counts(&self) -> &[u64; Self::BOUNDS.len() + 1] {
        &self.counts
    }

    /// All together.
    pub const fn sum(&self) -> Duration {
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_falls_into_the_bucket_that_bounds_it() {
        let mut spans = Spans::default();
        for ms in [0, 1, 3, 10_000, 10_001] {
            spans.add(Duration::from_millis(ms));
        }
        let counts = spans.counts();
        assert_eq!((counts[0], counts[2], counts[12], counts[13]), (2, 1, 1, 1));
        assert_eq!(spans.sum(), Duration::from_millis(20_005));
    }
}
