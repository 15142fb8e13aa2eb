//! The replay window (RFC 3711 §3.3.2): which of the latest indices were seen.
//!
//! A ring of words (RFC 6479): going ahead clears whole words instead of shifting all of them.

/// Words of the ring.
const WORDS: usize = 8;
/// Indices at least that the window remembers behind the highest.
#[cfg(test)]
const WINDOW: u64 = 64 * (WORDS as u64 - 1);

/// What the window knows of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Never seen.
    Fresh,
    /// Seen.
    Replayed,
    /// Too far behind to know.
    Old,
}

/// The highest index seen and a bit for each of those before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    highest: u64,
    words: [u64; WORDS],
}

impl Window {
    /// A window that has seen `index` and nothing else.
    pub(super) fn beginning(index: u64) -> Self {
        let mut window = Self {
            highest: index,
            words: [0; WORDS],
        };
        window.mark(index);
        window
    }

    /// A window that counts everything up to `highest` as seen.
    pub(super) const fn closed(highest: u64) -> Self {
        Self {
            highest,
            words: [!0; WORDS],
        }
    }

    /// The highest index seen.
    #[inline]
    pub(super) const fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether `index` was seen.
    #[inline]
    pub(super) fn check(&self, index: u64) -> Seen {
        if index > self.highest {
            Seen::Fresh
        } else if (self.highest >> 6) - (index >> 6) >= WORDS as u64 {
            Seen::Old
        } else if self.words[slot(index)] & bit(index) == 0 {
            Seen::Fresh
        } else {
            Seen::Replayed
        }
    }

    /// Counts `index`, which is not [`Seen::Old`], as seen.
    #[inline]
    pub(super) fn mark(&mut self, index: u64) {
        if index > self.highest {
            let ahead = (index >> 6) - (self.highest >> 6);
            for word in 1..=ahead.min(WORDS as u64) {
                self.words[slot(self.highest + (word << 6))] = 0;
            }
            self.highest = index;
        }
        self.words[slot(index)] |= bit(index);
    }
}

#[inline]
const fn slot(index: u64) -> usize {
    (index >> 6) as usize % WORDS
}

#[inline]
const fn bit(index: u64) -> u64 {
    1 << (index & 63)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_window_is_longer_than_the_rfc_asks_for() {
        let mut window = Window::beginning(0);
        window.mark(100_000);
        assert_eq!(window.check(100_000 - 128), Seen::Fresh);
        assert_eq!(window.check(100_000 - WINDOW), Seen::Fresh);
        assert_eq!(window.check(100_000 - WINDOW - 64), Seen::Old);
        assert_eq!(window.check(0), Seen::Old);
    }

    #[test]
    fn a_closed_window_takes_only_what_is_ahead() {
        let mut window = Window::closed(1_000);
        for index in 0..=1_000 {
            assert_ne!(window.check(index), Seen::Fresh, "{index}");
        }
        assert_eq!(window.check(1_001), Seen::Fresh);
        window.mark(1_500);
        assert_eq!(window.check(1_400), Seen::Fresh);
    }

    proptest! {
        #[test]
        fn it_is_a_set_with_a_horizon(steps in prop::collection::vec(-600_i64..600, 1..400)) {
            let mut window = Window::beginning(5_000);
            let mut model = BTreeSet::from([5_000_u64]);
            for step in steps {
                let highest = *model.last().expect("never empty");
                let index = highest.saturating_add_signed(step);
                match window.check(index) {
                    Seen::Fresh => {
                        prop_assert!(!model.contains(&index));
                        window.mark(index);
                        model.insert(index);
                        prop_assert_eq!(window.check(index), Seen::Replayed);
                    }
                    Seen::Replayed => prop_assert!(model.contains(&index)),
                    Seen::Old => prop_assert!(index + WINDOW < highest),
                }
                prop_assert_eq!(window.highest(), *model.last().expect("never empty"));
            }
        }
    }
}
