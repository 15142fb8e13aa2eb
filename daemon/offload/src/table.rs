//! A worker's share of the kernel's entries: it alone opens and closes them.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use aya::maps::MapError;
use patchcord_contract::{Endpoint, Entry, Tally};

use crate::book::Book;
use crate::neighbours::Neighbours;
use crate::news::{News, Number};

/// An entry that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    entry: Entry,
    slot: u32,
    /// Where the number of the slot stands.
    number: u32,
}

impl Opened {
    /// Index of its tally.
    pub const fn tally(&self) -> u32 {
        self.slot
    }
}

/// Entries with tallies of one worker's own.
#[derive(Debug)]
pub struct Table {
    book: Arc<Book>,
    free: Vec<u32>,
    /// Slots whose entries are closed, and the tick in which they were, oldest first.
    resting: VecDeque<(u32, u32)>,
    ticks: u32,
    /// Opened when it is asked for first, in the worker's own thread.
    neighbours: Option<Neighbours>,
    news: News,
}

impl Table {
    /// For so many ticks a slot is not used again, and one more, because the first may be about to end: a program
    /// that has found its entry is to be done with it. A program takes microseconds; this is for the processor that
    /// it runs on, if that is taken from the machine meanwhile.
    pub const REST: u32 = 10;

    pub(crate) fn new(book: Arc<Book>, own: std::ops::Range<u32>, news: Number) -> Self {
        Self {
            book,
            free: own.rev().collect(),
            resting: VecDeque::new(),
            ticks: 0,
            neighbours: None,
            news: News::new(news),
        }
    }

    /// Opens an entry, whose tally begins as `tally`. An error of kind `StorageFull` says that there is
    /// no more room.
    pub fn open(&mut self, local: Endpoint, entry: Entry, tally: Tally) -> io::Result<Opened> {
        let slot = *self.free.last().ok_or(io::ErrorKind::StorageFull)?;
        let number = self.book.enter(slot, local, entry, tally)?;
        self.free.pop();
        Ok(Opened {
            entry,
            slot,
            number,
        })
    }

    /// Closes an entry: what comes now goes to the worker. Returns what its tally has come to.
    pub fn close(&mut self, opened: Opened) -> Tally {
        self.book.strike(opened.number, opened.slot);
        self.resting.push_back((self.ticks, opened.slot));
        self.read(opened)
    }

    /// What the tally of an open entry has come to.
    pub fn read(&self, opened: Opened) -> Tally {
        self.book.tally(opened.slot)
    }

    /// Tells the kernel that the neighbour which an open entry's packets go to is in use.
    pub fn touch(&mut self, opened: Opened) -> io::Result<()> {
        let neighbours = match &mut self.neighbours {
            Some(neighbours) => neighbours,
            none => none.insert(Neighbours::open()?),
        };
        neighbours.touch(&opened.entry).map(drop)
    }

    /// Time has passed: slots have rested, and news of routes and neighbours are passed on to the program, if there
    /// are any. So much later than the kernel's own a packet may follow a new route as this is called from one time
    /// to the next; the first time before any entry is opened.
    pub fn tick(&mut self) -> io::Result<()> {
        self.ticks = self.ticks.wrapping_add(1);
        while let Some((since, slot)) = self.resting.front().copied()
            && self.ticks.wrapping_sub(since) > Self::REST
        {
            self.resting.pop_front();
            self.free.push(slot);
        }
        self.news.pass_on()
    }

    /// Reads tallies without the table.
    pub fn reader(&self) -> impl Fn(u32) -> Tally + Send + Sync + use<> {
        let book = Arc::clone(&self.book);
        move |index| book.tally(index)
    }

    /// Entries that can still be opened.
    pub fn room(&self) -> usize {
        self.free.len()
    }
}

/// What the kernel says of a map; `NotFound` where a key is not there.
pub(crate) fn refusal(error: MapError) -> io::Error {
    if matches!(error, MapError::KeyNotFound) {
        return io::ErrorKind::NotFound.into();
    }
    let MapError::SyscallError(error) = error else {
        return io::Error::other(error);
    };
    if error.io_error.raw_os_error() == Some(libc::E2BIG) {
        io::ErrorKind::StorageFull.into()
    } else {
        error.io_error
    }
}
