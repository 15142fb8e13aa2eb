//! Where the program looks up what to do with a packet, shared by all workers: the local addresses, what is at each
//! port, and in the slots the entries and their tallies.
//!
//! An entry is written while no port leads to its slot, and the slot's number behind it, so that who finds the
//! number finds the entry. Invariant of the unsafe code: what is written and read as words is `repr(C)`, of a size that
//! words divide, made of integers, and has no bytes without a name.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use std::sync::{Mutex, PoisonError};

use aya::maps::MapData;
use patchcord_contract::{Addr, Endpoint, Entry, Locals, Port, Tally};

use crate::memory::Memory;

/// Words of an entry.
const ENTRY: usize = size_of::<Entry>() / 8;
/// Words of a tally.
const TALLY: usize = size_of::<Tally>() / 8;
/// Words of an address.
const ADDR: usize = size_of::<Addr>() / 8;

/// The maps of the program.
#[derive(Debug)]
pub(crate) struct Book {
    locals: Memory,
    ports: Memory,
    entries: Memory,
    tallies: Memory,
    /// The addresses that have a place, in their order.
    known: Mutex<Vec<Addr>>,
    /// Places there are.
    places: usize,
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
        let (slots, places) = (maps.slots as usize, maps.places as usize);
        let map = |data: &MapData, len| Memory::map(data.fd().as_fd(), len);
        Ok(Self {
            locals: map(maps.locals, size_of::<Locals>())?,
            ports: map(maps.ports, (places << 16) * size_of::<Port>())?,
            entries: map(maps.entries, slots * size_of::<Entry>())?,
            tallies: map(maps.tallies, slots * size_of::<Tally>())?,
            known: Mutex::default(),
            places,
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
        let number = self.number(at)?;
        // SAFETY: of the same size, and a tally is as the invariant says.
        let tally = unsafe { std::mem::transmute::<Tally, [u64; TALLY]>(tally) };
        write(&self.tallies, slot, tally);
        // SAFETY: of the same size, and an entry is as the invariant says; the one enum is only read by the program,
        // and written here, by a value of its own.
        let entry = unsafe { std::mem::transmute::<Entry, [u64; ENTRY]>(entry) };
        write(&self.entries, slot, entry);
        self.slot_at(number).store(slot + 1, Release);
        Ok(number)
    }

    /// No program that runs from now on finds the entry in `slot` at the port with that number.
    pub(crate) fn strike(&self, number: u32, slot: u32) {
        // Where another entry has taken the port over, it keeps it.
        let cell = self.slot_at(number);
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
        let number = self.number(at)?;
        self.worker_at(number).store(u32::from(worker) + 1, Release);
        Ok(())
    }

    /// Leaves what is sent to `at` to the kernel, if it is handed to that worker.
    pub(crate) fn leave(&self, at: Endpoint, worker: u8) {
        if let Ok(number) = self.number(at) {
            let cell = self.worker_at(number);
            let _kept = cell.compare_exchange(u32::from(worker) + 1, 0, AcqRel, Relaxed);
        }
    }

    /// The number of a local endpoint. An error of kind `StorageFull` says that its address can have no place.
    fn number(&self, at: Endpoint) -> io::Result<u32> {
        let place = self.place(at.addr).ok_or(io::ErrorKind::StorageFull)?;
        Ok(Locals::number(place, at.port))
    }

    fn slot_at(&self, number: u32) -> &AtomicU32 {
        self.ports.half(2 * number as usize)
    }

    fn worker_at(&self, number: u32) -> &AtomicU32 {
        self.ports.half(2 * number as usize + 1)
    }

    /// The place of an address, which gets one if it has none.
    fn place(&self, addr: Addr) -> Option<u32> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = known.iter().position(|known| *known == addr) {
            return Some(place as u32);
        }
        let place = known.len();
        if place == self.places.min(Locals::MOST) || addr == Addr::UNSPECIFIED {
            return None;
        }
        // SAFETY: of the same size, and an address is bytes.
        let words = unsafe { std::mem::transmute::<[u8; 16], [u64; ADDR]>(addr.0) };
        write(&self.locals, place as u32, words);
        known.push(addr);
        Some(place as u32)
    }
}

fn write<const WORDS: usize>(memory: &Memory, nth: u32, words: [u64; WORDS]) {
    for (at, word) in words.into_iter().enumerate() {
        let nth = nth as usize * WORDS + at;
        memory.word(nth).store(word, Relaxed);
    }
}
