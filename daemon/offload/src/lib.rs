//! Loads the kernel program, attaches it, and keeps its entries. Whose entries they are is the workers' to say.
//!
//! [`Offload::start`] checks what the kernel and the process can do, claims each interface, chooses a hook for
//! it and attaches the program by links, which end with the process however it ends. A worker then has a
//! [`Table`] of its own: it opens and closes entries, and reads their tallies without a system call. Where workers
//! take packets past the kernel's stack, each has its [`Lanes`]: the queues that lead to it, and its ports.
//!
//! [`Steering`] is another program, for another place: where the kernel looks up the socket of a datagram.
//!
//! Each file with `unsafe` names its invariant first. Reading order: `object`, `choice`, `start`, `table`, `ports`, `book`, `lanes`,
//! `steering`.

mod book;
mod bound;
mod choice;
mod claim;
mod device;
mod lanes;
mod lookups;
mod memory;
mod needs;
mod neighbours;
mod netlink;
mod news;
mod object;
mod ports;
mod reserved;
mod start;
mod steering;
mod table;

pub use choice::{Choice, Hook};
pub use device::Device;
pub use lanes::{Entrance, Gate, Lanes};
pub use needs::{missing, missing_for_lanes, missing_for_steering};
pub use netlink::CHANGES;
pub use object::{Program, Ran, Sizes, Wire};
pub use start::{Attached, Offload, Plan, Refused};
pub use steering::Steering;
pub use table::{Opened, Table};
