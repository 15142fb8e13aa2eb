//! The replies already given: a repeated request gets the same bytes and is not executed again.
//!
//! A request is repeated if its cookie and its text are. The cookie alone does not tell: proxies make
//! it of process id and counter, which begin anew when a container does.
//!
//! Two generations are swapped every 30 s, so a reply is kept for 30 to 60 s. Each may hold half of
//! the memory allowed; one that is full is swapped early, which forgets the oldest replies. Requests
//! are executed one after the other by one thread, so a duplicate that arrives while the first is
//! being executed waits in the socket and finds the reply here.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::time::Duration;

use patchcord_contract::Time;
use smallvec::SmallVec;

/// How long a generation takes new replies.
const GENERATION: Duration = Duration::from_secs(30);
/// What an entry costs beside its bytes: an allocation, and its place in the table.
const OVERHEAD: usize = 80;

/// By what a request is known: its cookie, and a hash of all of it that nobody outside can aim at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(SmallVec<[u8; 64]>);

/// Replies by request.
#[derive(Debug)]
pub struct Cache {
    hasher: RandomState,
    young: Generation,
    old: Generation,
    swapped: Time,
    limit: usize,
}

#[derive(Debug, Default)]
struct Generation {
    replies: HashSet<Kept, BuildHasherDefault<Drawn>>,
    bytes: usize,
}

/// A reply, found by its key.
#[derive(Debug)]
struct Kept {
    /// The key, then the reply.
    bytes: Box<[u8]>,
    /// Where the reply begins.
    reply: usize,
}

impl Kept {
    fn new(key: &[u8], reply: &[u8]) -> Self {
        Self {
            bytes: [key, reply].concat().into(),
            reply: key.len(),
        }
    }

    fn reply(&self) -> &[u8] {
        &self.bytes[self.reply..]
    }
}

impl Borrow<[u8]> for Kept {
    fn borrow(&self) -> &[u8] {
        &self.bytes[..self.reply]
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        let [mine, theirs]: [&[u8]; 2] = [self.borrow(), other.borrow()];
        mine == theirs
    }
}

impl Eq for Kept {}

impl Hash for Kept {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let key: &[u8] = self.borrow();
        key.hash(state);
    }
}

/// The hash at the end of a key is the key's own.
#[derive(Debug, Default)]
struct Drawn(u64);

impl Hasher for Drawn {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last_chunk() {
            self.0 = u64::from_ne_bytes(*last);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Cache {
    /// An empty cache that holds at most `limit` bytes.
    pub fn new(now: Time, limit: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            young: Generation::default(),
            old: Generation::default(),
            swapped: now,
            limit,
        }
    }

    /// By what the request is known.
    pub fn key(&self, cookie: &[u8], payload: &[u8]) -> Key {
        let mut key = SmallVec::from_slice(cookie);
        key.extend_from_slice(&self.hasher.hash_one((cookie, payload)).to_ne_bytes());
        Key(key)
    }

    /// The whole reply that was given to a request.
    pub fn get(&self, key: &Key) -> Option<&[u8]> {
        let key = key.0.as_slice();
        let found = self
            .young
            .replies
            .get(key)
            .or_else(|| self.old.replies.get(key));
        found.map(Kept::reply)
    }

    /// Keeps the reply given to a request. One larger than half of the limit is not kept.
    pub fn put(&mut self, now: Time, key: &Key, reply: &[u8]) {
        let key = key.0.as_slice();
        let cost = key.len() + reply.len() + OVERHEAD;
        if cost > self.limit / 2 {
            return;
        }
        if self.young.bytes + cost > self.limit / 2 {
            self.swap(now);
        }
        self.young.bytes += cost;
        if let Some(replaced) = self.young.replies.replace(Kept::new(key, reply)) {
            self.young.bytes -= replaced.bytes.len() + OVERHEAD;
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
        let key = cache.key(b"c1", b"d");
        cache.put(Time::from_secs(29), &key, b"c1 reply");
        cache.tick(Time::from_secs(30));
        cache.tick(Time::from_secs(59));
        assert_eq!(cache.get(&key), Some(&b"c1 reply"[..]));
        assert_eq!(cache.get(&cache.key(b"c2", b"d")), None);
    }

    #[test]
    fn a_reply_is_forgotten_after_a_minute() {
        let mut cache = Cache::new(Time::ZERO, 1 << 20);
        let key = cache.key(b"c1", b"d");
        cache.put(Time::ZERO, &key, b"c1 reply");
        cache.tick(Time::from_secs(30));
        cache.tick(Time::from_secs(60));
        assert_eq!(cache.get(&key), None);
        assert_eq!((cache.len(), cache.bytes()), (0, 0));
    }

    #[test]
    fn one_cookie_with_another_text_is_another_request() {
        let mut cache = Cache::new(Time::ZERO, 1 << 20);
        let [first, second] = [&b"d1:ai1ee"[..], b"d1:ai2ee"].map(|text| cache.key(b"7_1", text));
        cache.put(Time::ZERO, &first, b"7_1 first");
        assert_eq!(cache.get(&second), None);
        cache.put(Time::ZERO, &second, b"7_1 second");
        // A late repetition of the first one still finds its own.
        assert_eq!(cache.get(&first), Some(&b"7_1 first"[..]));
        assert_eq!(cache.get(&second), Some(&b"7_1 second"[..]));
        let shifted = cache.key(b"7_", b"1d1:ai1ee");
        assert_eq!(cache.get(&shifted), None);
    }

    #[test]
    fn a_reply_too_large_to_keep_is_not_kept() {
        let mut cache = Cache::new(Time::ZERO, 1_000);
        cache.put(Time::ZERO, &cache.key(b"c1", b"d"), &[0; 500]);
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn a_full_cache_forgets_the_oldest_first() {
        let mut cache = Cache::new(Time::ZERO, 10 * (OVERHEAD + 18));
        for n in 0..100_u8 {
            cache.put(Time::ZERO, &cache.key(&[n], b"d"), &[n; 9]);
            let is_kept = |n| cache.get(&cache.key(&[n], b"d")).is_some();
            assert!(is_kept(n));
            assert!(is_kept(n.saturating_sub(4)), "{n}: the last five stay");
        }
        assert_eq!(cache.get(&cache.key(&[1], b"d")), None);
    }

    fn held(generation: &Generation) -> usize {
        generation
            .replies
            .iter()
            .map(|kept| kept.bytes.len() + OVERHEAD)
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
                cache.put(now, &cache.key(&cookie.to_be_bytes(), b"d"), &vec![0; size]);
                prop_assert!(cache.bytes() <= limit);
                prop_assert_eq!(held(&cache.young) + held(&cache.old), cache.bytes());
            }
        }
    }
}
