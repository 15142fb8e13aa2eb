//! The replies already given, by cookie: a repeated request gets the same bytes and is not executed
//! again.
//!
//! Two generations are swapped every 30 s, so a reply is kept for 30 to 60 s. Each may hold half of
//! the memory allowed; one that is full is swapped early, which forgets the oldest replies. Requests
//! are executed one after the other by one thread, so a duplicate that arrives while the first is
//! being executed waits in the socket and finds the reply here.

use std::collections::HashMap;
use std::time::Duration;

use patchcord_contract::Time;

/// How long a generation takes new replies.
const GENERATION: Duration = Duration::from_secs(30);
/// What an entry costs beside its bytes: two allocations, and its place in the map.
const OVERHEAD: usize = 96;

/// Replies by cookie.
#[derive(Debug)]
pub struct Cache {
    young: Generation,
    old: Generation,
    swapped: Time,
    limit: usize,
}

#[derive(Debug, Default)]
struct Generation {
    replies: HashMap<Box<[u8]>, Box<[u8]>>,
    bytes: usize,
}

impl Cache {
    /// An empty cache that holds at most `limit` bytes.
    pub fn new(now: Time, limit: usize) -> Self {
        Self {
            young: Generation::default(),
            old: Generation::default(),
            swapped: now,
            limit,
        }
    }

    /// The whole reply that was given to `cookie`.
    pub fn get(&self, cookie: &[u8]) -> Option<&[u8]> {
        let found = self
            .young
            .replies
            .get(cookie)
            .or_else(|| self.old.replies.get(cookie));
        found.map(|reply| &**reply)
    }

    /// Keeps the reply given to `cookie`. One larger than half of the limit is not kept.
    pub fn put(&mut self, now: Time, cookie: &[u8], reply: &[u8]) {
        let cost = cookie.len() + reply.len() + OVERHEAD;
        if cost > self.limit / 2 {
            return;
        }
        if self.young.bytes + cost > self.limit / 2 {
            self.swap(now);
        }
        self.young.bytes += cost;
        if let Some(replaced) = self.young.replies.insert(cookie.into(), reply.into()) {
            self.young.bytes -= cookie.len() + replaced.len() + OVERHEAD;
        }
    }

    /// Swaps the generations when it is time.
    pub fn tick(&mut self, now: Time) {
        if now.since(self.swapped) >= GENERATION {
            self.swap(now);
        }
    }

    /// Changes the memory allowed; it applies to what comes in from here on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Bytes held, overhead included.
    pub fn bytes(&self) -> usize {
        self.young.bytes + self.old.bytes
    }

    /// Replies held.
    pub fn len(&self) -> usize {
        self.young.replies.len() + self.old.replies.len()
    }

    fn swap(&mut self, now: Time) {
        // The young map starts at the size that the last one needed, so that it need not grow.
        let expected = self.young.replies.len();
        self.old = std::mem::take(&mut self.young);
        self.young
            .replies
            .reserve(expected.min(self.limit / 2 / OVERHEAD));
        self.swapped = now;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_repeated_cookie_finds_the_same_bytes_for_half_a_minute_at_least() {
        let mut cache = Cache::new(Time::ZERO, 1 << 20);
        cache.put(Time::from_secs(29), b"c1", b"c1 reply");
        cache.tick(Time::from_secs(30));
        cache.tick(Time::from_secs(59));
        assert_eq!(cache.get(b"c1"), Some(&b"c1 reply"[..]));
        assert_eq!(cache.get(b"c2"), None);
    }

    #[test]
    fn a_reply_is_forgotten_after_a_minute() {
        let mut cache = Cache::new(Time::ZERO, 1 << 20);
        cache.put(Time::ZERO, b"c1", b"c1 reply");
        cache.tick(Time::from_secs(30));
        cache.tick(Time::from_secs(60));
        assert_eq!(cache.get(b"c1"), None);
        assert_eq!((cache.len(), cache.bytes()), (0, 0));
    }

    #[test]
    fn a_reply_too_large_to_keep_is_not_kept() {
        let mut cache = Cache::new(Time::ZERO, 1_000);
        cache.put(Time::ZERO, b"c1", &[0; 500]);
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn a_full_cache_forgets_the_oldest_first() {
        let mut cache = Cache::new(Time::ZERO, 10 * (OVERHEAD + 10));
        for n in 0..100_u8 {
            cache.put(Time::ZERO, &[n], &[n; 9]);
            assert!(cache.get(&[n]).is_some());
            assert!(
                cache.get(&[n.saturating_sub(4)]).is_some(),
                "{n}: the last five stay"
            );
        }
        assert_eq!(cache.get(&[1]), None);
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a sum does not depend on the order"
    )]
    fn held(generation: &Generation) -> usize {
        generation
            .replies
            .iter()
            .map(|(k, v)| k.len() + v.len() + OVERHEAD)
            .sum()
    }

    proptest! {
        #[test]
        fn memory_is_bounded_whatever_comes(
            limit in 0..20_000_usize,
            requests in prop::collection::vec((any::<u16>(), 0..3_000_usize, 0..40_u64), 0..300),
        ) {
            let mut cache = Cache::new(Time::ZERO, limit);
            let mut now = Time::ZERO;
            for (cookie, size, wait) in requests {
                now = now + Duration::from_secs(wait);
                cache.tick(now);
                cache.put(now, &cookie.to_be_bytes(), &vec![0; size]);
                prop_assert!(cache.bytes() <= limit);
                prop_assert_eq!(held(&cache.young) + held(&cache.old), cache.bytes());
            }
        }
    }
}
