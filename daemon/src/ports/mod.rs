//! The keeper of local ports: who has which, which worker holds its socket, which rest.
//!
//! Sockets are opened at the first lease and then stay open at their worker: the next lease costs no
//! system call. A release only clears the flow. How many unleased sockets stay open is bounded.

mod shelf;

use std::io;
use std::net::SocketAddr;

use patchcord_contract::Time;
use patchcord_control::{Lease, LeasedPort, NoPorts, Ports, Want};
use patchcord_media::flow::PortId;

use crate::config::{self, Interface};
use shelf::{Half, Rest, Shelf};

pub use shelf::Counts;

/// Opens ports at workers and closes them.
pub trait Door {
    /// Opens `addr` at `worker`.
    fn open(&mut self, worker: u8, addr: SocketAddr) -> io::Result<PortId>;

    /// Closes `port`, after the flow commands of the request at hand.
    fn close(&mut self, port: PortId);
}

/// The ports of all interfaces.
#[derive(Debug)]
pub struct Pool<D> {
    door: D,
    shelves: Vec<Shelf>,
    /// Which shelf each interface takes from; interfaces with one address and range share one.
    shelf_of: Vec<usize>,
    /// What each open port is, by worker and slot.
    owners: Vec<Vec<Option<Owner>>>,
    /// Ports leased, by worker.
    load: Vec<usize>,
    rest: Rest,
    warm: usize,
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    shelf: u32,
    pair: u32,
    half: Half,
}

impl<D: Door> Pool<D> {
    /// All ports of `interfaces`, closed.
    pub fn new(
        door: D,
        workers: usize,
        interfaces: &[Interface],
        settings: &config::Ports,
        seed: u64,
    ) -> Self {
        let mut pool = Self {
            door,
            shelves: Vec::new(),
            shelf_of: Vec::new(),
            owners: vec![Vec::new(); workers],
            load: vec![0; workers],
            rest: Rest {
                preferred: settings.rest,
                least: settings.rest_min,
            },
            warm: settings.warm,
            seed,
        };
        for interface in interfaces {
            pool.add(interface);
        }
        pool
    }

    /// Adds one more interface.
    pub fn add(&mut self, interface: &Interface) {
        let key = (interface.address, interface.range);
        let known = self.shelves.iter().position(|shelf| shelf.key() == key);
        let shelf = known.unwrap_or_else(|| {
            let seed = self.seed.wrapping_add(self.shelves.len() as u64);
            let workers = self.load.len();
            self.shelves.push(Shelf::new(
                interface.address,
                interface.range,
                workers,
                seed,
            ));
            self.shelves.len() - 1
        });
        self.shelf_of.push(shelf);
    }

    /// Takes over changed settings.
    pub fn reconfigure(&mut self, settings: &config::Ports) {
        self.rest = Rest {
            preferred: settings.rest,
            least: settings.rest_min,
        };
        self.warm = settings.warm;
    }

    /// Opens `ports` ports ahead of their first lease, spread over interfaces and workers.
    pub fn warm_up(&mut self, now: Time, ports: usize) -> usize {
        let pairs = ports.min(self.warm).div_ceil(2);
        let (shelves, workers) = (self.shelves.len(), self.load.len());
        let mut opened = 0;
        for n in 0..pairs {
            let worker = (n / shelves % workers) as u8;
            if self.shelves[n % shelves].warm_up(now, worker, &mut self.door) {
                opened += 2;
            }
        }
        opened
    }

    /// How many ports of `interface` are what; shared ports count for each that shares them.
    pub fn counts(&self, now: Time, interface: usize) -> Counts {
        self.shelves[self.shelf_of[interface]].counts(now, self.rest)
    }

    /// How many interfaces there are.
    pub fn interfaces(&self) -> usize {
        self.shelf_of.len()
    }

    /// The door, when no port is needed any more.
    pub fn into_door(self) -> D {
        self.door
    }

    /// What opens and closes the ports.
    pub fn door(&mut self) -> &mut D {
        &mut self.door
    }

    /// The worker with the fewest leased ports among those that the shelf can serve at once.
    fn lightest(&self, now: Time, shelf: usize) -> u8 {
        let workers = 0..self.load.len() as u8;
        let serves = |worker: &u8| self.shelves[shelf].serves(now, self.rest, *worker);
        let load = |worker: &u8| self.load[usize::from(*worker)];
        let able = workers.clone().filter(serves).min_by_key(load);
        able.or_else(|| workers.min_by_key(load)).unwrap_or(0)
    }

    fn own(&mut self, port: PortId, owner: Owner) {
        let slots = &mut self.owners[usize::from(port.worker())];
        if slots.len() <= port.slot() {
            slots.resize(port.slot() + 1, None);
        }
        slots[port.slot()] = Some(owner);
    }

    /// Closes what was opened last as long as too many sockets are open and unleased.
    fn cool(&mut self, now: Time, shelf: usize, worker: u8) {
        while 2 * self.shelves.iter().map(Shelf::warm_pairs).sum::<usize>() > self.warm {
            if !self.shelves[shelf].cool(now, worker, &mut self.door) {
                break;
            }
        }
    }
}

impl<D: Door> Ports for Pool<D> {
    fn lease(&mut self, now: Time, want: Want) -> Result<Lease, NoPorts> {
        let shelf = *self.shelf_of.get(want.interface).ok_or(NoPorts)?;
        let worker = want.worker.unwrap_or_else(|| self.lightest(now, shelf));
        if usize::from(worker) >= self.load.len() {
            return Err(NoPorts);
        }
        let taken = self.shelves[shelf]
            .lease(now, self.rest, worker, want.count, &mut self.door)
            .ok_or(NoPorts)?;
        let owner = |half| Owner {
            shelf: shelf as u32,
            pair: taken.pair,
            half,
        };
        self.own(taken.even, owner(Half::Even));
        self.load[usize::from(worker)] += 1;
        if let Some(odd) = taken.odd {
            self.own(odd, owner(Half::Odd));
            self.load[usize::from(worker)] += 1;
        }
        Ok(Lease {
            rtp: LeasedPort {
                id: taken.even,
                port: taken.port,
            },
            rtcp: taken.odd.map(|id| LeasedPort {
                id,
                port: taken.port + 1,
            }),
        })
    }

    fn release(&mut self, now: Time, port: LeasedPort) {
        let worker = usize::from(port.id.worker());
        let owner = self
            .owners
            .get_mut(worker)
            .and_then(|slots| slots.get_mut(port.id.slot()));
        let Some(owner) = owner.and_then(Option::take) else {
            debug_assert!(false, "a port is given back once, by who leased it");
            return;
        };
        self.load[worker] -= 1;
        let shelf = owner.shelf as usize;
        if self.shelves[shelf].release(now, owner.pair, owner.half) {
            self.cool(now, shelf, port.id.worker());
        }
    }
}

#[cfg(test)]
mod tests;
