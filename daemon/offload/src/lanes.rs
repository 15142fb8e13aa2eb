//! A worker's lanes: the receive queues that lead to its sockets past the kernel's stack, and the ports that
//! packets are handed to it for. The kernel forgets a socket when it is closed; what came by it goes up then.

use std::io;
use std::os::fd::BorrowedFd;

use aya::maps::{HashMap, MapData, XskMap};
use patchcord_contract::{Endpoint, EntryKey, Lane, Queue};

use crate::object::Wire;
use crate::table::refusal;

/// A receive queue that a worker may open a socket for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// The interface's name.
    pub interface: String,
    /// The index of the interface that frames come in by: the one below a VLAN.
    pub index: u32,
    /// The queue's number.
    pub queue: u32,
    /// The hardware address that frames are sent to.
    pub address: [u8; 6],
    /// The place of the queue's socket in the kernel's table.
    pub place: u32,
}

/// Which ports packets are handed over for. There are two to the lanes of a worker: one for who opens ports, before
/// anybody is told of them, and one for the worker, which closes them.
pub struct Gate {
    worker: u8,
    ports: HashMap<MapData, Wire<EntryKey>, u32>,
}

/// Lanes of one worker.
pub struct Lanes {
    worker: u8,
    queues: Vec<Entrance>,
    gates: Vec<Gate>,
    table: HashMap<MapData, Wire<Queue>, Wire<Lane>>,
    sockets: XskMap<MapData>,
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lanes")
            .field("worker", &self.worker)
            .field("queues", &self.queues)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate")
            .field("worker", &self.worker)
            .finish_non_exhaustive()
    }
}

impl Lanes {
    pub(crate) fn new(
        worker: u8,
        queues: Vec<Entrance>,
        gates: [Gate; 2],
        table: HashMap<MapData, Wire<Queue>, Wire<Lane>>,
        sockets: XskMap<MapData>,
    ) -> Self {
        Self {
            worker,
            queues,
            gates: gates.into(),
            table,
            sockets,
        }
    }

    /// The queues that are this worker's.
    pub fn queues(&self) -> &[Entrance] {
        &self.queues
    }

    /// Leads the `nth` of the queues to `socket`, which is bound to it.
    pub fn open(&mut self, nth: usize, socket: BorrowedFd<'_>) -> io::Result<()> {
        let entrance = self.queues.get(nth).ok_or(io::ErrorKind::NotFound)?;
        self.sockets
            .set(entrance.place, socket, 0)
            .map_err(refusal)?;
        let queue = Queue {
            interface: entrance.index,
            queue: entrance.queue,
        };
        let lane = Lane {
            socket: entrance.place,
            worker: self.worker.into(),
            address: entrance.address,
        };
        self.table
            .insert(Wire(queue), Wire(lane), 0)
            .map_err(refusal)
    }

    /// The gate to these lanes, for who has not taken it yet.
    pub fn take_gate(&mut self) -> Option<Gate> {
        self.gates.pop()
    }
}

impl Gate {
    /// A gate to lanes of `worker`.
    pub(crate) fn new(worker: u8, ports: HashMap<MapData, Wire<EntryKey>, u32>) -> Self {
        Self { worker, ports }
    }

    /// Hands what is sent to `local` to the worker from here on, where it comes in by one of its queues.
    pub fn admit(&mut self, local: Endpoint) -> io::Result<()> {
        let key = Wire(EntryKey::new(local));
        self.ports
            .insert(key, u32::from(self.worker), 0)
            .map_err(refusal)
    }

    /// Leaves what is sent to `local` to the kernel.
    pub fn leave(&mut self, local: Endpoint) -> io::Result<()> {
        let removed = self.ports.remove(&Wire(EntryKey::new(local)));
        match removed.map_err(refusal) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
