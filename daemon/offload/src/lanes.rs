//! A worker's lanes: the receive queues that lead to its sockets past the kernel's stack, and the ports that
//! packets are handed to it for. The kernel forgets a socket when it is closed; what came by it goes up then.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use aya::maps::{HashMap, MapData, XskMap};
use patchcord_contract::{Endpoint, Lane, Queue};

use crate::book::Book;
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

/// Which ports packets are handed to a worker for: told by who opens ports, before anybody hears of them, and by the
/// worker, which closes them.
#[derive(Clone, Debug)]
pub struct Gate {
    worker: u8,
    book: Arc<Book>,
}

/// Lanes of one worker.
pub struct Lanes {
    worker: u8,
    queues: Vec<Entrance>,
    gate: Gate,
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

impl Lanes {
    pub(crate) fn new(
        worker: u8,
        queues: Vec<Entrance>,
        gate: Gate,
        table: HashMap<MapData, Wire<Queue>, Wire<Lane>>,
        sockets: XskMap<MapData>,
    ) -> Self {
        Self {
            worker,
            queues,
            gate,
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

    /// The gate to these lanes.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }
}

impl Gate {
    /// A gate to lanes of `worker`.
    pub(crate) fn new(worker: u8, book: Arc<Book>) -> Self {
        Self { worker, book }
    }

    /// Hands what is sent to `local` to the worker from here on, where it comes in by one of its queues. An error of
    /// kind `StorageFull` says that there is no place for another address.
    pub fn admit(&self, local: Endpoint) -> io::Result<()> {
        self.book.admit(local, self.worker)
    }

    /// Leaves what is sent to `local` to the kernel.
    pub fn leave(&self, local: Endpoint) {
        self.book.leave(local, self.worker);
    }
}
