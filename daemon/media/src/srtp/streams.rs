//! The streams (SSRCs) under one key: their windows while they are in use, and where they ended.
//!
//! A place is taken after authentication only, and only from a stream that has been silent; so neither
//! made-up SSRCs nor a flood of them touch a stream in use. A stream that lost its place is not
//! forgotten as long as the key lives: its highest index stays, and nothing up to it is taken again.
//! When no more can be remembered, new streams are refused.

use std::time::Duration;

use patchcord_cipher::prefetch;
use patchcord_contract::{Reason, Time};

use super::replay::{Seen, Window};

/// Streams in use at a time.
pub(super) const LIVE: usize = 8;
/// Streams that lost their place.
const RETIRED: usize = 56;
/// How long a stream is silent before another one may take its place.
pub(super) const IDLE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
struct Live {
    ssrc: u32,
    last: Time,
    window: Window,
}

#[derive(Clone, Copy, Debug)]
struct Retired {
    ssrc: u32,
    highest: u64,
}

/// All streams under a key.
#[derive(Debug)]
pub(super) struct Streams {
    /// The place that was used last.
    recent: usize,
    live: [Option<Live>; LIVE],
    retired: [Option<Retired>; RETIRED],
}

/// What is known of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Its highest index; `None` if it is new.
    pub(super) highest: Option<u64>,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Live(usize),
    Retired(usize),
    Nowhere,
}

impl Streams {
    /// None so far.
    pub(super) const fn new() -> Self {
        Self {
            recent: 0,
            live: [None; LIVE],
            retired: [None; RETIRED],
        }
    }

    /// Asks for the stream that was used last.
    pub(super) fn prefetch(&self) {
        prefetch(&self.live[self.recent]);
    }

    /// Looks a stream up.
    #[inline]
    pub(super) fn find(&self, ssrc: u32) -> Known {
        match &self.live[self.recent] {
            Some(live) if live.ssrc == ssrc => Known {
                highest: Some(live.window.highest()),
                place: Place::Live(self.recent),
            },
            _ => self.search(ssrc),
        }
    }

    fn search(&self, ssrc: u32) -> Known {
        let live = |slot: &Option<Live>| slot.as_ref().is_some_and(|live| live.ssrc == ssrc);
        if let Some(at) = self.live.iter().position(live) {
            return Known {
                highest: self.live[at].map(|live| live.window.highest()),
                place: Place::Live(at),
            };
        }
        let old = |slot: &Option<Retired>| slot.as_ref().is_some_and(|old| old.ssrc == ssrc);
        match self.retired.iter().position(old) {
            Some(at) => Known {
                highest: self.retired[at].map(|old| old.highest),
                place: Place::Retired(at),
            },
            None => Known {
                highest: None,
                place: Place::Nowhere,
            },
        }
    }

    /// Whether a packet with `index` may be taken, should its tag hold.
    #[inline]
    pub(super) fn check(&self, now: Time, known: Known, index: u64) -> Result<(), Reason> {
        let seen = match known.place {
            Place::Live(at) => self.live[at].map_or(Seen::Fresh, |live| live.window.check(index)),
            Place::Retired(at) => {
                self.retired[at].map_or(Seen::Fresh, |old| Window::closed(old.highest).check(index))
            }
            Place::Nowhere => Seen::Fresh,
        };
        match seen {
            Seen::Replayed => Err(Reason::SrtpReplay),
            Seen::Old => Err(Reason::SrtpOld),
            Seen::Fresh if matches!(known.place, Place::Live(_)) => Ok(()),
            Seen::Fresh => self.vacancy(now, known).map(|_| ()),
        }
    }

    /// Takes the packet: its tag held, and [`Self::check`] agreed.
    pub(super) fn mark(&mut self, now: Time, ssrc: u32, known: Known, index: u64) {
        if let Place::Live(at) = known.place {
            if let Some(live) = &mut self.live[at] {
                live.window.mark(index);
                live.last = now;
                self.recent = at;
            }
            return;
        }
        let Ok(at) = self.vacancy(now, known) else {
            return;
        };
        let window = match known.place {
            Place::Retired(old) => {
                let mut window = self.retired[old]
                    .take()
                    .map_or(Window::beginning(index), |old| Window::closed(old.highest));
                window.mark(index);
                window
            }
            Place::Live(_) | Place::Nowhere => Window::beginning(index),
        };
        let leaving = self.live[at].replace(Live {
            ssrc,
            last: now,
            window,
        });
        self.recent = at;
        if let Some(leaving) = leaving
            && let Some(free) = self.retired.iter_mut().find(|slot| slot.is_none())
        {
            *free = Some(Retired {
                ssrc: leaving.ssrc,
                highest: leaving.window.highest(),
            });
        }
    }

    /// The place that a stream without one would take.
    #[cold]
    fn vacancy(&self, now: Time, known: Known) -> Result<usize, Reason> {
        if let Some(free) = self.live.iter().position(Option::is_none) {
            return Ok(free);
        }
        // A stream that comes back leaves the room in which the one it replaces is remembered.
        let returns = matches!(known.place, Place::Retired(_));
        let remembers = returns || self.retired.iter().any(Option::is_none);
        let silent = (0..LIVE)
            .filter_map(|at| Some((self.live[at]?.last, at)))
            .min()
            .filter(|(last, _)| now.since(*last) >= IDLE);
        match silent {
            Some((_, at)) if remembers => Ok(at),
            _ => Err(Reason::SrtpSsrc),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(streams: &mut Streams, now: Time, ssrc: u32, index: u64) -> Result<(), Reason> {
        let known = streams.find(ssrc);
        streams.check(now, known, index)?;
        streams.mark(now, ssrc, known, index);
        Ok(())
    }

    fn at(seconds: u64) -> Time {
        Time::from_secs(100 + seconds)
    }

    #[test]
    fn each_stream_has_a_window_of_its_own() {
        let mut streams = Streams::new();
        for ssrc in 0..LIVE as u32 {
            assert_eq!(take(&mut streams, at(0), ssrc, 7), Ok(()));
        }
        for ssrc in 0..LIVE as u32 {
            let again = take(&mut streams, at(0), ssrc, 7);
            assert_eq!(again, Err(Reason::SrtpReplay));
            assert_eq!(take(&mut streams, at(0), ssrc, 8), Ok(()));
        }
    }

    #[test]
    fn a_stream_in_use_keeps_its_place() {
        let mut streams = Streams::new();
        for ssrc in 0..LIVE as u32 {
            assert_eq!(take(&mut streams, at(0), ssrc, 7), Ok(()));
        }
        assert_eq!(take(&mut streams, at(4), 99, 1), Err(Reason::SrtpSsrc));
        assert_eq!(take(&mut streams, at(4), 3, 8), Ok(()));
        for ssrc in 100..107 {
            assert_eq!(take(&mut streams, at(5), ssrc, 1), Ok(()));
        }
        assert_eq!(take(&mut streams, at(5), 107, 1), Err(Reason::SrtpSsrc));
        assert_eq!(take(&mut streams, at(5), 3, 8), Err(Reason::SrtpReplay));
    }

    #[test]
    fn a_stream_that_lost_its_place_takes_nothing_again() {
        let mut streams = Streams::new();
        assert_eq!(take(&mut streams, at(0), 1, 70_000), Ok(()));
        for ssrc in 10..10 + LIVE as u32 {
            assert_eq!(take(&mut streams, at(5), ssrc, 7), Ok(()));
        }
        assert_eq!(streams.find(1).highest, Some(70_000));
        assert_eq!(
            take(&mut streams, at(10), 1, 69_999),
            Err(Reason::SrtpReplay)
        );
        assert_eq!(take(&mut streams, at(10), 1, 5), Err(Reason::SrtpOld));
        assert_eq!(take(&mut streams, at(10), 1, 70_001), Ok(()));
        assert_eq!(
            take(&mut streams, at(10), 1, 69_999),
            Err(Reason::SrtpReplay)
        );
    }

    #[test]
    fn when_no_more_can_be_remembered_new_streams_are_refused_and_old_ones_go_on() {
        let mut streams = Streams::new();
        let total = (LIVE + RETIRED) as u32;
        for ssrc in 0..total {
            assert_eq!(take(&mut streams, at(u64::from(ssrc) * 5), ssrc, 7), Ok(()));
        }
        let late = at(u64::from(total) * 5 + 100);
        assert_eq!(take(&mut streams, late, 9_999, 1), Err(Reason::SrtpSsrc));
        for ssrc in 0..3 {
            assert_eq!(take(&mut streams, late, ssrc, 7), Err(Reason::SrtpReplay));
            assert_eq!(take(&mut streams, late, ssrc, 8), Ok(()), "it comes back");
        }
        assert_eq!(take(&mut streams, late, total - 1, 8), Ok(()));
    }
}
