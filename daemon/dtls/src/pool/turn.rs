//! The pool's thread: commands, timers, events, and sleep until the next of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::thread;
use std::time::Duration;

use patchcord_contract::Time;

use super::{Command, Event, PathId, Shared, What};
use crate::association::{self, Options, Output, State};
use crate::succession::Succession;
use patchcord_wire::sdp::Fingerprint;

/// Commands, and timers, of one turn: then the other gets its turn.
const PER_TURN: usize = 64;
/// Sleep when there is nothing to wait for; a wake ends it early.
const IDLE: Duration = Duration::from_secs(1);
/// The least time between two timeouts of a path.
const TICK: Duration = Duration::from_millis(1);
/// Events of a flight and its news, with room to spare.
const FLIGHT: usize = 32;
/// Sleep while the event queue is full.
const CROWDED: Duration = Duration::from_millis(2);

/// Runs until it is told to stop.
pub(super) fn run(paths: usize, shared: &Shared, clock: impl Fn() -> Time, notify: impl Fn()) {
    let mut turn = Turn {
        capacity: paths,
        shared,
        paths: BTreeMap::new(),
        timers: BTreeSet::new(),
        news: VecDeque::new(),
        told: false,
    };
    while !shared.stop.load(Acquire) {
        turn.tell();
        let crowded = !turn.has_room();
        let mut done = 0;
        if !crowded {
            done = turn.commands(clock()) + turn.timers(&clock);
        }
        if std::mem::take(&mut turn.told) {
            notify();
        }
        if crowded {
            thread::park_timeout(CROWDED);
        } else if done == 0 {
            // A command pushed before this has left its token, so the thread does not stay asleep.
            thread::park_timeout(turn.rest(clock()));
        }
    }
    turn.goodbye(clock());
    notify();
}

/// A path and when it is to be woken.
struct Path {
    succession: Succession,
    due: Option<Time>,
}

struct Turn<'s> {
    capacity: usize,
    shared: &'s Shared,
    paths: BTreeMap<PathId, Path>,
    timers: BTreeSet<(Time, PathId)>,
    /// News that found the queue full.
    news: VecDeque<Event>,
    /// There are events that nobody was notified of.
    told: bool,
}

impl Turn<'_> {
    /// Whether what one input brings forth is likely to find room. If not no work is begun: what could
    /// not be sent would have to be done again, by all at the same time.
    fn has_room(&self) -> bool {
        let events = &self.shared.events;
        let flight = FLIGHT.min(events.capacity() / 2);
        self.news.is_empty() && events.capacity() - events.len() >= flight
    }

    /// Tells the news that wait, as far as there is room.
    fn tell(&mut self) {
        while let Some(event) = self.news.pop_front() {
            if let Err(event) = self.shared.events.push(event) {
                self.news.push_front(event);
                break;
            }
            self.told = true;
        }
    }

    fn commands(&mut self, now: Time) -> usize {
        let mut done = 0;
        while done < PER_TURN && self.has_room() {
            let Some(command) = self.shared.commands.pop() else {
                break;
            };
            self.command(now, command);
            done += 1;
        }
        done
    }

    fn command(&mut self, now: Time, command: Command) {
        match command {
            Command::Open {
                path,
                generation,
                options,
                fingerprints,
                start,
            } => {
                if self.open(path, generation, *options, &fingerprints) && start {
                    self.with(path, |succession| succession.start(now));
                }
            }
            Command::Start { path } => self.with(path, |s| s.start(now)),
            Command::Datagram { path, bytes } => {
                if self.paths.contains_key(&path) {
                    self.with(path, |s| s.datagram(now, &bytes));
                } else {
                    self.shared.stats.strays.fetch_add(1, Relaxed);
                }
            }
            Command::Expect { path, fingerprints } => {
                self.with(path, |s| s.expect(now, &fingerprints));
            }
            Command::Query { path } => self.query(path),
            Command::Close { path } => {
                self.with(path, |s| s.close(now));
                self.forget(path);
            }
        }
    }

    /// Whether there is a path now.
    fn open(
        &mut self,
        path: PathId,
        generation: u32,
        options: Options,
        fingerprints: &[Fingerprint],
    ) -> bool {
        if let Some(held) = self.paths.get_mut(&path) {
            held.succession.restart(generation, options, fingerprints);
            return true;
        }
        if self.paths.len() >= self.capacity {
            self.shared.stats.refused.fetch_add(1, Relaxed);
            self.keep(path, generation, What::Refused);
            return false;
        }
        let succession = Succession::new(generation, options, fingerprints);
        self.paths.insert(
            path,
            Path {
                succession,
                due: None,
            },
        );
        self.shared.stats.paths.store(self.paths.len(), Relaxed);
        true
    }

    fn forget(&mut self, path: PathId) {
        if let Some(due) = self.paths.remove(&path).and_then(|held| held.due) {
            self.timers.remove(&(due, path));
        }
        self.shared.stats.paths.store(self.paths.len(), Relaxed);
    }

    fn query(&mut self, path: PathId) {
        let Some(held) = self.paths.get(&path) else {
            return;
        };
        let all: Vec<_> = held.succession.status().collect();
        for (generation, status) in all {
            self.keep(path, generation, What::Status(Box::new(status)));
        }
    }

    /// Does something with a path, and tells what came of it.
    fn with(&mut self, path: PathId, work: impl FnOnce(&mut Succession)) {
        self.with_timer(path, Time::ZERO, work);
    }

    /// The same, to be woken no earlier than `earliest`.
    fn with_timer(&mut self, path: PathId, earliest: Time, work: impl FnOnce(&mut Succession)) {
        let Some(held) = self.paths.get_mut(&path) else {
            return;
        };
        work(&mut held.succession);
        let mut news = Vec::new();
        while let Some((generation, output)) = held.succession.poll() {
            match output {
                Output::Event(event) => {
                    let fell_back = is_outcome(&event)
                        && held
                            .succession
                            .status()
                            .any(|(g, s)| g == generation && s.fell_back);
                    news.push((generation, event, fell_back));
                }
                Output::Datagram(bytes) => {
                    let what = What::Datagram(bytes);
                    let event = Event {
                        path,
                        generation,
                        what,
                    };
                    if self.shared.events.push(event).is_err() {
                        self.shared.stats.unsent.fetch_add(1, Relaxed);
                    }
                    self.told = true;
                }
            }
        }
        let due = held.succession.next_timeout().map(|due| due.max(earliest));
        if held.due != due {
            held.due.map(|old| self.timers.remove(&(old, path)));
            due.map(|new| self.timers.insert((new, path)));
            held.due = due;
        }
        for (generation, event, fell_back) in news {
            self.count(&event, fell_back);
            self.keep(path, generation, What::News(event));
        }
    }

    fn count(&self, event: &association::Event, fell_back: bool) {
        let stats = &self.shared.stats;
        match event {
            association::Event::Keys(_) => {
                stats.connected.fetch_add(1, Relaxed);
            }
            association::Event::Changed(State::Failed(failure)) => stats.count(failure),
            association::Event::Changed(_) => {}
        }
        stats.fell_back.fetch_add(u64::from(fell_back), Relaxed);
    }

    /// Tells something that must not be lost, after what already waits.
    fn keep(&mut self, path: PathId, generation: u32, what: What) {
        self.news.push_back(Event {
            path,
            generation,
            what,
        });
        self.tell();
    }

    fn timers(&mut self, clock: &impl Fn() -> Time) -> usize {
        let mut done = 0;
        while done < PER_TURN && self.has_room() {
            let now = clock();
            let Some((due, path)) = self.timers.first().copied().filter(|(due, _)| *due <= now)
            else {
                break;
            };
            self.timers.remove(&(due, path));
            if let Some(held) = self.paths.get_mut(&path) {
                held.due = None;
            }
            // A timer that does not move on must not take the thread.
            self.with_timer(path, now + TICK, |succession| succession.timeout(now));
            done += 1;
        }
        done
    }

    /// How long there is nothing to do.
    fn rest(&self, now: Time) -> Duration {
        self.timers
            .first()
            .map_or(IDLE, |(due, _)| due.since(now).min(IDLE))
    }

    fn goodbye(&mut self, now: Time) {
        let paths: Vec<_> = self.paths.keys().copied().collect();
        for path in paths {
            self.with(path, |succession| succession.close(now));
            self.forget(path);
        }
        self.tell();
    }
}

/// Whether this is the end of a handshake, at which it is counted once.
fn is_outcome(event: &association::Event) -> bool {
    match event {
        association::Event::Keys(_) => true,
        association::Event::Changed(state) => matches!(state, State::Failed(_)),
    }
}
