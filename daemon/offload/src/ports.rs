//! What a program finds at a local endpoint: the addresses, each with a place for ever, and at each place the ports by
//! their numbers. Shared by all workers, and by those who open ports for them.

use std::io;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

use aya::maps::MapData;
use patchcord_contract::{Addr, Endpoint, Locals, Port};

use crate::memory::Memory;

/// Local addresses that may come with interfaces added later.
const SPARE: usize = 4;

/// The places that there are to be for so many addresses.
pub(crate) fn places(addresses: usize) -> u32 {
    (addresses + SPARE).min(Locals::MOST) as u32
}

/// The maps `LOCALS` and `PORTS` of a program.
#[derive(Debug)]
pub(crate) struct Ports {
    locals: Memory,
    cells: Memory,
    /// The addresses that have a place, in their order.
    known: Mutex<Vec<Addr>>,
    /// Places there are.
    places: usize,
}

impl Ports {
    /// Opens them; the program knows no address yet.
    pub(crate) fn open(locals: &MapData, ports: &MapData, places: u32) -> io::Result<Self> {
        let places = places as usize;
        Ok(Self {
            locals: Memory::map(locals, size_of::<Locals>())?,
            cells: Memory::map(ports, (places << 16) * size_of::<Port>())?,
            known: Mutex::default(),
            places,
        })
    }

    /// The number of a local endpoint, whose address gets a place if it has none. An error of kind `StorageFull` says
    /// that it can have none.
    pub(crate) fn number(&self, at: Endpoint) -> io::Result<u32> {
        let place = self.place(at.addr).ok_or(io::ErrorKind::StorageFull)?;
        Ok(Locals::number(place, at.port))
    }

    /// [`Port::slot`] of the port with that number.
    pub(crate) fn slot(&self, number: u32) -> &AtomicU32 {
        self.cells.half(2 * number as usize)
    }

    /// [`Port::worker`] of the port with that number.
    pub(crate) fn worker(&self, number: u32) -> &AtomicU32 {
        self.cells.half(2 * number as usize + 1)
    }

    fn place(&self, addr: Addr) -> Option<u32> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = known.iter().position(|known| *known == addr) {
            return Some(place as u32);
        }
        let place = known.len();
        if place == self.places || addr == Addr::UNSPECIFIED {
            return None;
        }
        let (halves, _) = addr.0.as_chunks::<8>();
        for (at, half) in halves.iter().enumerate() {
            let word = self.locals.word(2 * place + at);
            word.store(u64::from_ne_bytes(*half), Relaxed);
        }
        known.push(addr);
        Some(place as u32)
    }
}
