//! Which of a worker's flows the kernel carries: offered when they are settled and simple, taken back before
//! anything about them changes.
//!
//! Without a table all of this is a test for `None`. With one, flows are looked at as the twins are, and the
//! tallies of those that are lowered are taken in with each tick.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::Duration;

use patchcord_contract::{Endpoint, Time};
use patchcord_media::Plane;
use patchcord_media::flow::PortId;
use patchcord_media::offload::WhyNot;
use patchcord_offload::{Opened, Table};

use crate::stats::WorkerStats;
use crate::turn::TICK;

/// Flows looked at in one turn: an entry takes the kernel about 2 µs.
const LOOKS: usize = 64;

/// After so many times its patience the kernel is told once of each entry that its neighbour is in use: with the
/// usual one, every 20 s.
const ROUND: u32 = 100;

/// Entries whose neighbours are told of in one tick: each takes about 10 µs.
const TOUCHES: usize = 64;

/// How often in a row a flow may be found to have gone on before the kernel began: there are always packets of
/// it that wait for the worker, who is overloaded, and to take it off him is worth more than their order.
const PATIENT: u8 = 16;

/// The lower tier of one worker.
#[derive(Debug, Default)]
pub(crate) struct Lowering {
    table: Option<Table>,
    /// How long a flow that is not lowered is left alone.
    patience: Duration,
    ports: Vec<Port>,
    queue: VecDeque<(Time, PortId)>,
    live: Vec<PortId>,
    /// Where among them neighbours were told of last.
    touched: usize,
    /// Entries due to be told of, times the ticks that it takes for all of them.
    owed: usize,
}

/// What is known of a port.
#[derive(Debug, Default)]
struct Port {
    /// Its flow may be lowered at some time.
    is_watched: bool,
    is_queued: bool,
    /// How often in a row the kernel did not begin.
    missed: u8,
    /// Why it is not lowered, as it is counted.
    kept: Option<WhyNot>,
    entry: Option<Lowered>,
    /// Ports with entries that leave from this one.
    sources: Vec<PortId>,
}

impl Port {
    /// Keeps its flow for this reason, or for none, and counts it so.
    fn keep(&mut self, why: Option<WhyNot>, stats: &WorkerStats) {
        let before = std::mem::replace(&mut self.kept, why);
        if let Some(before) = before {
            let cell = &stats.kept[before as usize];
            cell.set(cell.get() - 1);
        }
        if let Some(why) = why {
            stats.kept[why as usize].add(1);
        }
    }
}

/// A flow that the kernel carries.
#[derive(Clone, Copy, Debug)]
struct Lowered {
    opened: Opened,
    /// Where its packets leave.
    via: PortId,
    /// Where it stands in [`Lowering::live`].
    at: usize,
}

/// A table's tallies, for the plane.
struct Reader<F>(F);

impl<F> std::fmt::Debug for Reader<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl<F: Fn(u32) -> patchcord_contract::Tally + Send> patchcord_media::offload::Tallies
    for Reader<F>
{
    fn read(&self, index: u32) -> patchcord_contract::Tally {
        (self.0)(index)
    }
}

/// Why the kernel takes no entry.
fn refusal(port: PortId, error: &std::io::Error) -> WhyNot {
    if error.kind() == ErrorKind::StorageFull {
        return WhyNot::Full;
    }
    tracing::debug!(?port, %error, "the kernel refused an entry");
    WhyNot::Refused
}

impl Lowering {
    /// Lowers flows of `plane` into the table, if there is one.
    pub(crate) fn new(table: Option<Table>, patience: Duration, plane: &mut Plane) -> Self {
        if let Some(table) = &table {
            plane.set_tallies(Box::new(Reader(table.reader())));
        }
        let mut lowering = Self {
            table,
            patience,
            ..Self::default()
        };
        lowering.age();
        lowering
    }

    /// Whether the flow at `port` is lowered.
    pub(crate) fn has(&self, port: PortId) -> bool {
        let port = self.ports.get(port.slot());
        port.is_some_and(|port| port.entry.is_some())
    }

    /// The flow at `port` was programmed.
    pub(crate) fn set(&mut self, now: Time, port: PortId) {
        if self.table.is_none() {
            return;
        }
        if self.ports.len() <= port.slot() {
            self.ports.resize_with(port.slot() + 1, Port::default);
        }
        self.ports[port.slot()].is_watched = true;
        self.enqueue(now, port);
    }

    /// The flow at `port` is gone.
    pub(crate) fn clear(&mut self, port: PortId, stats: &WorkerStats) {
        if let Some(port) = self.ports.get_mut(port.slot()) {
            port.is_watched = false;
            port.keep(None, stats);
        }
    }

    /// Something about the flow at `port` changes: what depends on it is the worker's again.
    pub(crate) fn raise(
        &mut self,
        now: Time,
        port: PortId,
        plane: &mut Plane,
        stats: &WorkerStats,
    ) {
        if self.live.is_empty() {
            return;
        }
        self.raise_one(now, port, plane, stats);
        let Some(state) = self.ports.get_mut(port.slot()) else {
            return;
        };
        for source in std::mem::take(&mut state.sources) {
            self.raise_one(now, source, plane, stats);
        }
    }

    /// Whether a flow is to be looked at.
    pub(crate) fn is_due(&self, now: Time) -> bool {
        self.queue.front().is_some_and(|(due, _)| *due <= now)
    }

    /// Takes in what the kernel counted, and passes on what is new of routes and neighbours.
    pub(crate) fn tick(&mut self, now: Time, plane: &mut Plane, stats: &WorkerStats) {
        if self.table.is_none() {
            return;
        }
        self.age();
        for at in (0..self.live.len()).rev() {
            let port = self.live[at];
            if !plane.catch_up(port) {
                let missed = &mut self.ports[port.slot()].missed;
                *missed = missed.saturating_add(1);
                self.raise_one(now, port, plane, stats);
            }
        }
        self.touch();
    }

    /// Has closed entries' slots rest, and the program ask for routes anew if there are news of any.
    fn age(&mut self) {
        let passed_on = self.table.as_mut().map(Table::tick);
        if let Some(Err(error)) = passed_on {
            tracing::debug!(%error, "the program is not told of news");
        }
    }

    /// Looks at the flows that are due. What the worker has processed of them has been sent.
    pub(crate) fn look(
        &mut self,
        now: Time,
        plane: &mut Plane,
        stats: &WorkerStats,
        local: impl Fn(PortId) -> Option<Endpoint>,
    ) {
        for _ in 0..self.queue.len().min(LOOKS) {
            let Some((_, port)) = self.queue.front().copied().filter(|(due, _)| *due <= now) else {
                break;
            };
            self.queue.pop_front();
            self.look_at(now, port, plane, stats, &local);
        }
    }

    /// Tells the kernel of a few entries that their neighbours are in use.
    fn touch(&mut self) {
        let Some(table) = &mut self.table else {
            return;
        };
        let round = self.patience * ROUND;
        let round = round.div_duration_f32(TICK).max(1.0) as usize;
        self.owed = (self.owed + self.live.len()).min(TOUCHES * round);
        while self.owed >= round && !self.live.is_empty() {
            self.owed -= round;
            self.touched = (self.touched + 1) % self.live.len();
            let port = self.live[self.touched];
            let Some(lowered) = &self.ports[port.slot()].entry else {
                continue;
            };
            if let Err(error) = table.touch(lowered.opened) {
                tracing::debug!(?port, %error, "the kernel is not told of a neighbour");
            }
        }
    }

    fn look_at(
        &mut self,
        now: Time,
        port: PortId,
        plane: &mut Plane,
        stats: &WorkerStats,
        local: impl Fn(PortId) -> Option<Endpoint>,
    ) {
        let Some(state) = self.ports.get_mut(port.slot()) else {
            return;
        };
        state.is_queued = false;
        if !state.is_watched || state.entry.is_some() {
            return;
        }
        let lowered = self.lower(port, plane, local);
        self.ports[port.slot()].keep(lowered.err(), stats);
        match lowered {
            Ok(()) => stats.lowered.add(1),
            Err(why) => {
                plane.keep(port, why);
                if !why.is_lasting() {
                    self.enqueue(now, port);
                }
            }
        }
        stats.entries.set(self.live.len() as u64);
    }

    fn lower(
        &mut self,
        port: PortId,
        plane: &mut Plane,
        local: impl Fn(PortId) -> Option<Endpoint>,
    ) -> Result<(), WhyNot> {
        let mut offer = plane.offer(port, local)?;
        let table = self.table.as_mut().ok_or(WhyNot::Refused)?;
        offer.tally.begun = u32::from(self.ports[port.slot()].missed >= PATIENT);
        let opened = table.open(offer.local, offer.entry, offer.tally);
        let opened = opened.map_err(|error| refusal(port, &error))?;
        plane.lower(port, &offer, opened.tally());
        self.ports[port.slot()].entry = Some(Lowered {
            opened,
            via: offer.via,
            at: self.live.len(),
        });
        if let Some(via) = self.ports.get_mut(offer.via.slot()) {
            via.sources.push(port);
        }
        self.live.push(port);
        Ok(())
    }

    fn raise_one(&mut self, now: Time, port: PortId, plane: &mut Plane, stats: &WorkerStats) {
        let state = self.ports.get_mut(port.slot());
        let Some(Lowered { opened, via, at }) = state.and_then(|state| state.entry.take()) else {
            return;
        };
        if let Some(table) = &mut self.table {
            let tally = table.close(opened);
            plane.raise(port, &tally);
            if tally.begun != 0 {
                self.ports[port.slot()].missed = 0;
            }
        }
        if let Some(via) = self.ports.get_mut(via.slot()) {
            via.sources.retain(|source| *source != port);
        }
        self.live.swap_remove(at);
        if let Some(moved) = self.live.get(at)
            && let Some(entry) = &mut self.ports[moved.slot()].entry
        {
            entry.at = at;
        }
        stats.entries.set(self.live.len() as u64);
        stats.raised.add(1);
        self.enqueue(now, port);
    }

    fn enqueue(&mut self, now: Time, port: PortId) {
        if let Some(state) = self.ports.get_mut(port.slot())
            && state.is_watched
            && !std::mem::replace(&mut state.is_queued, true)
        {
            self.queue.push_back((now + self.patience, port));
        }
    }
}
