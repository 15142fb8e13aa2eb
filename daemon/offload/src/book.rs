//! Where the program looks entries up, shared by all workers: the local addresses, the number of each port's slot,
//! and in the slots the entries and their tallies.
//!
//! An entry is written while no number leads to its slot, and the number behind it, so that who finds the number
//! finds the entry. Invariant of the unsafe code: what is written and read as words is `repr(C)`, of a size that
//! words divide, made of integers, and has no bytes without a name.

use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, Release};
use std::sync::{Mutex, PoisonError};

use aya::maps::MapData;
use patchcord_contract::{Addr, Endpoint, Entry, Locals, Tally};

use crate::memory::Memory;

/// Words of an entry.
const ENTRY: usize = size_of::<Entry>() / 8;
/// Words of a tally.
const TALLY: usize = size_of::<Tally>() / 8;
/// Words of an address.
const ADDR: usize = size_of::<Addr>() / 8;

/// The maps of the program that entries are in.
#[derive(Debug)]
pub(crate) struct Book {
    locals: Memory,
    numbers: Memory,
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
    pub(crate) numbers: &'a MapData,
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
            numbers: map(maps.numbers, (places << 16) * size_of::<u32>())?,
            entries: map(maps.entries, slots * size_of::<Entry>())?,
            tallies: map(maps.tallies, slots * size_of::<Tally>())?,
            known: Mutex::default(),
            places,
        })
    }

    /// Lets the program find an entry, in a slot that no number leads to. An error of kind `StorageFull` says that
    /// there is no place for another address.
    pub(crate) fn enter(
        &self,
        slot: u32,
        at: Endpoint,
        entry: Entry,
        tally: Tally,
    ) -> io::Result<u32> {
        let place = self.place(at.addr).ok_or(io::ErrorKind::StorageFull)?;
        // SAFETY: of the same size, and a tally is as the invariant says.
        let tally = unsafe { std::mem::transmute::<Tally, [u64; TALLY]>(tally) };
        write(&self.tallies, slot, tally);
        // SAFETY: of the same size, and an entry is as the invariant says; the one enum is only read by the program,
        // and written here, by a value of its own.
        let entry = unsafe { std::mem::transmute::<Entry, [u64; ENTRY]>(entry) };
        write(&self.entries, slot, entry);
        let number = Locals::number(place, at.port);
        self.numbers.half(number as usize).store(slot + 1, Release);
        Ok(number)
    }

    /// No program that runs from now on finds the entry in `slot` by that number.
    pub(crate) fn strike(&self, number: u32, slot: u32) {
        let cell = self.numbers.half(number as usize);
        // Where another entry has taken the number over, it keeps it.
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
