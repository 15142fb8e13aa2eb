//! The kernel and nothing else: workers, their backends and the sockets they relay through.
//!
//! A [`Worker`] is a pinned thread that owns its ports, its backend and its
//! [`Plane`](patchcord_media::Plane). The daemon hands it bound [`MediaSocket`]s and flow commands through
//! a bounded queue and takes its events from another; nothing else crosses the line but counters.
//!
//! One turn of a worker: wait for packets → read the clock once → let the plane judge a batch → queue
//! its sends → submit them with the next wait. Two backends do the waiting, with the same semantics:
//! `uring` (one io_uring a worker) and `mmsg` (epoll, `recvmmsg`, `sendmmsg`) where io_uring is forbidden.
//!
//! With `offload`, and the kernels of `cipher`, this is the only userspace crate with `unsafe`; each file that has any names its invariant first.
//! Read in this order: [`worker`], `turn`, `backend`, `uring`, `mmsg`, `twin`, `lowering`.

pub mod limits;
pub mod priority;
pub mod probe;
pub mod stats;
pub mod worker;

mod address;
mod backend;
mod clock;
#[cfg_attr(
    not(test),
    expect(
        dead_code,
        unused_imports,
        reason = "what backends with frames of their own are built on"
    )
)]
mod link;
mod lowering;
mod mmsg;
mod outbox;
mod socket;
mod turn;
mod twin;
mod uring;
mod wake;

pub use clock::monotonic;
pub use socket::MediaSocket;
pub use stats::WorkerStats;
pub use worker::{BackendKind, Command, Full, QueueDepths, Worker, WorkerConfig};
