//! Lanes: which worker a receive queue leads to past the kernel's stack.

/// A receive queue of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Queue {
    /// The interface's index.
    pub interface: u32,
    /// The queue's number.
    pub queue: u32,
}

const _: () = assert!(size_of::<Queue>() == 8);

/// What is at the end of a lane: a socket, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Lane {
    /// Index of the socket.
    pub socket: u32,
    /// The worker that has it; only what is sent to its ports is handed over.
    pub worker: u16,
    /// The interface's own hardware address; what is for another one is not ours.
    pub address: [u8; 6],
}

const _: () = assert!(size_of::<Lane>() == 12);
