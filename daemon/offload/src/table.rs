//! A worker's share of the kernel's entries: it alone opens and closes them.

use std::io;
use std::sync::Arc;

use aya::maps::MapError;
use patchcord_contract::{Entry, EntryKey, Tally};

use crate::neighbours::Neighbours;
use crate::news::{News, Number};
use crate::object::{Entries, Wire};
use crate::tallies::Tallies;

/// An entry that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    key: EntryKey,
    entry: Entry,
}

impl Opened {
    /// Index of its tally.
    pub const fn tally(&self) -> u32 {
        self.entry.tally
    }
}

/// Entries with tallies of one worker's own.
#[derive(Debug)]
pub struct Table {
    entries: Entries,
    tallies: Arc<Tallies>,
    free: Vec<u32>,
    /// Opened when it is asked for first, in the worker's own thread.
    neighbours: Option<Neighbours>,
    news: News,
}

impl Table {
    pub(crate) fn new(
        entries: Entries,
        tallies: Arc<Tallies>,
        own: std::ops::Range<u32>,
        news: Number,
    ) -> Self {
        Self {
            entries,
            tallies,
            free: own.rev().collect(),
            neighbours: None,
            news: News::new(news),
        }
    }

    /// Opens an entry, whose tally begins as `tally`. An error of kind `StorageFull` says that there is
    /// no more room.
    pub fn open(&mut self, key: EntryKey, entry: Entry, tally: Tally) -> io::Result<Opened> {
        let index = self.free.pop().ok_or(io::ErrorKind::StorageFull)?;
        self.tallies.write(index, tally);
        let entry = Entry {
            tally: index,
            ..entry
        };
        if let Err(error) = self.entries.insert(Wire(key), Wire(entry), 0) {
            self.free.push(index);
            return Err(refusal(error));
        }
        Ok(Opened { key, entry })
    }

    /// Closes an entry: what comes now goes to the worker. Returns what its tally has come to. If the
    /// kernel keeps the entry, its tally stays the entry's.
    pub fn close(&mut self, opened: Opened) -> io::Result<Tally> {
        match self.entries.remove(&Wire(opened.key)).map_err(refusal) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                self.free.push(opened.tally());
                Ok(self.read(opened))
            }
        }
    }

    /// What the tally of an open entry has come to.
    pub fn read(&self, opened: Opened) -> Tally {
        self.tallies.read(opened.tally())
    }

    /// Tells the kernel that the neighbour which an open entry's packets go to is in use.
    pub fn touch(&mut self, opened: Opened) -> io::Result<()> {
        let neighbours = match &mut self.neighbours {
            Some(neighbours) => neighbours,
            none => none.insert(Neighbours::open()?),
        };
        neighbours.touch(&opened.entry).map(drop)
    }

    /// Passes news of routes and neighbours on to the program, if there are any. So much later than the kernel's
    /// own a packet may follow a new route as this is called from one time to the next; the first time before any
    /// entry is opened.
    pub fn pass_news_on(&mut self) -> io::Result<()> {
        self.news.pass_on()
    }

    /// Reads tallies without the table.
    pub fn reader(&self) -> impl Fn(u32) -> Tally + Send + Sync + use<> {
        let tallies = Arc::clone(&self.tallies);
        move |index| tallies.read(index)
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
