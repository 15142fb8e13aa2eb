//! The kernel and nothing else: workers, their backends and the sockets they relay through.
//!
//! A [`Worker`] is a pinned thread that owns its ports, its backend and its
//! [`Plane`](patchcord_media::Plane). The daemon hands it bound [`MediaSocket`]s and flow commands through
//! a bounded queue and takes its events from another; nothing else crosses the line but counters.
//!
//! One turn of a worker: wait for packets → read the clock once → let the plane judge a batch → queue
//! its sends → submit them with the next wait. Four backends do the waiting, with the same semantics:
//! `uring` (one io_uring a worker), `mmsg` (epoll, `recvmmsg`, `sendmmsg`) where io_uring is forbidden, `steer`, where
//! one socket is all ports of a worker and frames leave past the kernel's UDP, and `xsk` (`AF_XDP` sockets past the
//! kernel's stack, with `mmsg` for what they cannot take).
//!
//! With `offload`, and the kernels of `cipher`, this is the only userspace crate with `unsafe`; each file that has any names its invariant first.
//! Read in this order: [`worker`], `turn`, `backend`, `uring`, `mmsg`, `twin`, `lowering`,
//! `steer`, `link`, `xsk`.

pub mod limits;
pub mod priority;
pub mod probe;
pub mod stats;
pub mod worker;

mod address;
mod backend;
mod clock;
mod link;
mod lowering;
mod mmsg;
mod outbox;
mod socket;
mod steer;
mod turn;
mod twin;
mod uring;
mod wake;
mod xsk;

pub use clock::monotonic;
pub use socket::{MediaSocket, Place};
pub use stats::WorkerStats;
pub use steer::Intake;
pub use worker::{
    BackendKind, Command, Full, LaneReport, Lower, QueueDepths, Worker, WorkerConfig,
};
