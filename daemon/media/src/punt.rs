//! How often packets may go up to control: token buckets, so that a flood on one port stays there,
//! a flood on many leaves control its time, and neither hides what a known peer says.

use std::time::Duration;

use patchcord_contract::Time;

use crate::flow::PuntClass;

/// Longest datagram that goes up: what a path carries in one piece. Longer ones are
/// [`PuntLimit`](patchcord_contract::Reason::PuntLimit)ed.
pub const LONGEST: usize = 1_500;

/// Who sends what is to go up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The peer, or a source that ICE has validated.
    Known,
    /// Anybody.
    Stranger,
}

/// What may go up at one port, or at one worker.
#[derive(Clone, Debug)]
pub(crate) struct Buckets {
    /// STUN of strangers, DTLS of strangers, STUN and DTLS of who is known.
    buckets: [TokenBucket; 4],
}

impl Buckets {
    /// For a port: checks of a peer with many candidates, a handshake repeated in haste.
    pub(crate) fn of_port() -> Self {
        Self {
            buckets: [(200, 100), (100, 64), (200, 100), (200, 128)]
                .map(|(rate, burst)| TokenBucket::new(rate, burst)),
        }
    }

    /// For a worker: a burst of 500 calls passes, and control has time for requests beside.
    pub(crate) fn of_worker() -> Self {
        Self {
            buckets: [
                (5_000, 2_500),
                (5_000, 4_000),
                (10_000, 5_000),
                (10_000, 8_000),
            ]
            .map(|(rate, burst)| TokenBucket::new(rate, burst)),
        }
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self, now: Time, class: PuntClass, standing: Standing) -> bool {
        let place = match (standing, class) {
            (Standing::Stranger, PuntClass::Stun) => 0,
            (Standing::Stranger, PuntClass::Dtls) => 1,
            (Standing::Known, PuntClass::Stun) => 2,
            (Standing::Known, PuntClass::Dtls) => 3,
        };
        self.buckets[place].take(now)
    }
}

/// A token bucket as a virtual clock (GCRA): no counter to refill, one point in time is the state.
///
/// ```
/// use patchcord_contract::Time;
/// use patchcord_media::punt::TokenBucket;
/// let mut bucket = TokenBucket::new(10, 2);
/// let now = Time::from_secs(1);
/// assert!(bucket.take(now) && bucket.take(now) && !bucket.take(now));
/// assert!(bucket.take(Time::from_millis(1_100)));
/// ```
#[derive(Clone, Debug)]
pub struct TokenBucket {
    /// Time that a token is worth.
    interval: Duration,
    /// Time that a full bucket is worth.
    depth: Duration,
    /// When the bucket will be full again.
    full: Time,
}

impl TokenBucket {
    /// A full bucket of `burst` tokens that gains `rate` a second; both are at least one.
    pub fn new(rate: u32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / rate.max(1);
        Self {
            interval,
            depth: interval * burst.max(1),
            full: Time::ZERO,
        }
    }

    /// Takes a token if there is one.
    pub fn take(&mut self, now: Time) -> bool {
        let full = self.full.max(now) + self.interval;
        let taken = full.since(now) <= self.depth;
        if taken {
            self.full = full;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut TokenBucket, now: Time, tries: u32) -> u32 {
        (0..tries).map(|_| u32::from(bucket.take(now))).sum()
    }

    #[test]
    fn a_burst_ends_at_its_bound_and_the_rate_holds_after_it() {
        let mut bucket = TokenBucket::new(50, 8);
        assert_eq!(taken(&mut bucket, Time::from_secs(9), 1_000), 8);
        let later = (1..=1_000).map(|ms| Time::from_secs(9) + Duration::from_millis(ms));
        assert_eq!(
            later.map(|now| taken(&mut bucket, now, 10)).sum::<u32>(),
            50
        );
    }

    #[test]
    fn idle_time_saves_no_more_than_a_full_bucket() {
        let mut bucket = TokenBucket::new(1_000, 4);
        taken(&mut bucket, Time::from_secs(1), 100);
        assert_eq!(taken(&mut bucket, Time::from_secs(3_600), 100), 4);
    }

    #[test]
    fn refused_tries_do_not_postpone_the_next_token() {
        let mut bucket = TokenBucket::new(10, 1);
        assert!(bucket.take(Time::from_secs(1)));
        assert_eq!(taken(&mut bucket, Time::from_millis(1_099), 1_000), 0);
        assert!(bucket.take(Time::from_millis(1_100)));
    }

    #[test]
    fn a_bucket_of_nothing_still_gives_one_a_second() {
        let mut bucket = TokenBucket::new(0, 0);
        assert!(bucket.take(Time::from_secs(1)));
        assert!(!bucket.take(Time::from_millis(1_999)));
        assert!(bucket.take(Time::from_secs(2)));
    }
}
