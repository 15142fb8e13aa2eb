//! Where the forwarder looks up what to do with a packet, shared by all workers: what is at each port, and in the slots
//! the entries and their tallies.
//!
//! An entry is written while no port leads to its slot, and the slot's number behind it, so that who finds the
//! number finds the entry. Invariant of the unsafe code: what is written and read as words is `repr(C)`, of a size that
//! words divide, made of integers, and has no bytes without a name.

use std::io;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};

use aya::maps::MapData;
use patchcord_contract::{Endpoint, Entry, Tally};

use crate::memory::Memory;
use crate::ports::Ports;

/// Words of an entry.
const ENTRY: usize = size_of::<Entry>() / 8;
/// Words of a tally.
const TALLY: usize = size_of::<Tally>() / 8;

/// The maps of the program.
#[derive(Debug)]
pub(crate) struct Book {
    ports: Ports,
    entries: Memory,
    tallies: Memory,
}

/// The book's maps, and how much they hold.
pub(crate) struct Maps<'a> {
    pub(crate) locals: &'a MapData,
    pub(crate) ports: &'a MapData,
    pub(crate) entries: &'a MapData,
    pub(crate) tallies: &'a MapData,
    pub(crate) slots: u32,
    pub(crate) places: u32,
}

impl Book {
    /// Opens it; the program knows no address yet.
    pub(crate) fn open(maps: &Maps<'_>) -> io::Result<Self> {
        let slots = maps.slots as usize;
        Ok(Self {
            ports: Ports::open(maps.locals, maps.ports, maps.places)?,
            entries: Memory::map(maps.entries, slots * size_of::<Entry>())?,
            tallies: Memory::map(maps.tallies, slots * size_of::<Tally>())?,
        })
    }

    /// Lets the program find an entry, in a slot that no port leads to. An error of kind `StorageFull` says that
    /// there is no place for another address.
    pub(crate) fn enter(
        &self,
        slot: u32,
        at: Endpoint,
        entry: Entry,
        tally: Tally,
    ) -> io::Result<u32> {
        let number = self.ports.number(at)?;
        // SAFETY: of the same size, and a tally is as the invariant says.
        let tally = unsafe { std::mem::transmute::<Tally, [u64; TALLY]>(tally) };
        write(&self.tallies, slot, tally);
        // SAFETY: of the same size, and an entry is as the invariant says; the one enum is only read by the program,
        // and written here, by a value of its own.
        let entry = unsafe { std::mem::transmute::<Entry, [u64; ENTRY]>(entry) };
        write(&self.entries, slot, entry);
        self.ports.slot(number).store(slot + 1, Release);
        Ok(number)
    }

    /// No program that runs from now on finds the entry in `slot` at the port with that number.
    pub(crate) fn strike(&self, number: u32, slot: u32) {
        // Where another entry has taken the port over, it keeps it.
        let cell = self.ports.slot(number);
        let _kept = cell.compare_exchange(slot + 1, 0, AcqRel, Relaxed);
    }

    /// What was counted in a slot, word by word.
    pub(crate) fn tally(&self, slot: u32) -> Tally {
        let words = std::array::from_fn(|at| {
            let nth = slot as usize * TALLY + at;
            self.tallies.word(nth).load(Relaxed)
        });
        // SAFETY: of the same size, and a tally is as the invariant says.
        unsafe { std::mem::transmute::<[u64; TALLY], Tally>(words) }
    }

    /// Lets the program hand what is sent to `at` to a worker from here on.
    pub(crate) fn admit(&self, at: Endpoint, worker: u8) -> io::Result<()> {
        let number = self.ports.number(at)?;
        self.ports
            .worker(number)
            .store(u32::from(worker) + 1, Release);
        Ok(())
    }

    /// Leaves what is sent to `at` to the kernel, if it is handed to that worker.
    pub(crate) fn leave(&self, at: Endpoint, worker: u8) {
        if let Ok(number) = self.ports.number(at) {
            let cell = self.ports.worker(number);
            let _kept = cell.compare_exchange(u32::from(worker) + 1, 0, AcqRel, Relaxed);
        }
    }
}

fn write<const WORDS: usize>(memory: &Memory, nth: u32, words: [u64; WORDS]) {
    for (at, word) in words.into_iter().enumerate() {
        let nth = nth as usize * WORDS + at;
        memory.word(nth).store(word, Relaxed);
    }
}
