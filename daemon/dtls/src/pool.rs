//! Handshakes on a thread of their own, off control and workers, behind two bounded queues.
//!
//! Any thread may [`send`](Pool::send); one takes the [events](Pool::try_event). A full command queue
//! refuses, and a datagram refused is a datagram lost, which its sender repeats. While the event queue
//! is nearly full no work is begun; a datagram that finds it full all the same is dropped, news are
//! kept. Media never waits: nothing here is shared with it.

mod turn;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::Release};
use std::thread::{Builder, JoinHandle};

use crossbeam_queue::ArrayQueue;
use patchcord_contract::Time;
use patchcord_wire::sdp::Fingerprint;

use crate::association::{self, Failure, Options, Status};

/// The name that the caller has for a path: what lies on it are an association and its successor.
pub type PathId = u64;

/// How a pool is set up.
#[derive(Clone, Copy, Debug)]
pub struct PoolConfig {
    /// Paths that it holds at most.
    pub paths: usize,
    /// Commands that can wait.
    pub commands: usize,
    /// Events that can wait.
    pub events: usize,
    /// What the thread does first.
    pub prepare: fn(),
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            paths: 16_384,
            commands: 4096,
            events: 8192,
            prepare: || {},
        }
    }
}

/// What the pool is told; carried out in the order sent.
#[derive(Debug)]
pub enum Command {
    /// Begins an association; on a path that has one, its successor.
    Open {
        /// The path.
        path: PathId,
        /// A number for the association, which its news carry.
        generation: u32,
        /// How it is set up.
        options: Box<Options>,
        /// The fingerprints that the peer announced; none if its answer is still to come.
        fingerprints: Vec<Fingerprint>,
        /// Whether a client begins at once, or at [`Command::Start`].
        start: bool,
    },
    /// The path is there, a client may begin.
    Start {
        /// The path.
        path: PathId,
    },
    /// A datagram arrived.
    Datagram {
        /// The path.
        path: PathId,
        /// As received.
        bytes: Box<[u8]>,
    },
    /// The peer announced its fingerprints.
    Expect {
        /// The path.
        path: PathId,
        /// All of them.
        fingerprints: Vec<Fingerprint>,
    },
    /// Asks for [`What::Status`].
    Query {
        /// The path.
        path: PathId,
    },
    /// Says goodbye and forgets the path.
    Close {
        /// The path.
        path: PathId,
    },
}

/// Something of one path.
#[derive(Debug, PartialEq)]
pub struct Event {
    /// The path.
    pub path: PathId,
    /// The number of the association, as it was opened.
    pub generation: u32,
    /// What it is.
    pub what: What,
}

/// What a pool tells.
#[derive(Debug, PartialEq)]
pub enum What {
    /// To be sent to the peer.
    Datagram(Vec<u8>),
    /// News.
    News(association::Event),
    /// The answer to [`Command::Query`].
    Status(Box<Status>),
    /// The pool holds as many paths as it may.
    Refused,
}

/// The command queue is full; the command comes back.
#[derive(Debug)]
pub struct Full(pub Command);

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the handshakes' command queue is full")
    }
}

impl std::error::Error for Full {}

/// Counters, written by the pool's thread.
#[derive(Debug, Default)]
pub struct PoolStats {
    /// Paths held.
    pub paths: AtomicUsize,
    /// Handshakes that ended in keys.
    pub connected: AtomicU64,
    /// Handshakes that failed, in the order of [`FAILURES`].
    pub failed: [AtomicU64; FAILURES.len()],
    /// Handshakes that were begun again with the other library.
    pub fell_back: AtomicU64,
    /// Datagrams for paths that are not held.
    pub strays: AtomicU64,
    /// Datagrams that were not sent because the event queue was full.
    pub unsent: AtomicU64,
    /// Paths that were refused.
    pub refused: AtomicU64,
}

/// The reasons that failures are counted by, see [`Failure::as_str`].
pub const FAILURES: [&str; 7] = [
    "timeout",
    "alert",
    "fingerprint",
    "no_certificate",
    "no_profile",
    "goodbye",
    "library",
];

impl PoolStats {
    fn count(&self, failure: &Failure) {
        let reason = FAILURES.iter().position(|r| *r == failure.as_str());
        if let Some(counter) = reason.and_then(|i| self.failed.get(i)) {
            counter.fetch_add(1, Relaxed);
        }
    }
}

/// What the threads share.
struct Shared {
    commands: ArrayQueue<Command>,
    events: ArrayQueue<Event>,
    stop: AtomicBool,
    stats: PoolStats,
}

/// A running pool.
pub struct Pool {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

impl Pool {
    /// Starts the thread. `clock` reads the time; `notify` is called when there are events, and must
    /// not block.
    pub fn spawn(
        config: PoolConfig,
        clock: impl Fn() -> Time + Send + 'static,
        notify: impl Fn() + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            commands: ArrayQueue::new(config.commands.max(1)),
            events: ArrayQueue::new(config.events.max(1)),
            stop: AtomicBool::new(false),
            stats: PoolStats::default(),
        });
        let theirs = Arc::clone(&shared);
        let thread = Builder::new().name("dtls".into()).spawn(move || {
            (config.prepare)();
            turn::run(config.paths, &theirs, clock, notify);
        })?;
        Ok(Self { shared, thread })
    }

    /// Queues a command; it is carried out after the next [`flush`](Self::flush), or before.
    pub fn send(&self, command: Command) -> Result<(), Full> {
        self.shared.commands.push(command).map_err(Full)
    }

    /// Wakes the thread for everything queued, if it sleeps.
    pub fn flush(&self) {
        self.thread.thread().unpark();
    }

    /// The next event.
    pub fn try_event(&self) -> Option<Event> {
        self.shared.events.pop()
    }

    /// The counters.
    pub fn stats(&self) -> &PoolStats {
        &self.shared.stats
    }

    /// Commands that can still be queued.
    pub fn room(&self) -> usize {
        self.shared.commands.capacity() - self.shared.commands.len()
    }

    /// Whether the thread runs.
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Ends the thread. Peers are told goodbye as far as the event queue has room, which can still be
    /// emptied with the handle that comes back.
    pub fn stop(self) -> Remains {
        self.shared.stop.store(true, Release);
        self.flush();
        let Self { shared, thread } = self;
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Remains(shared)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("stats", &self.shared.stats)
            .finish_non_exhaustive()
    }
}

/// What a stopped pool has left to tell.
pub struct Remains(Arc<Shared>);

impl Iterator for Remains {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.0.events.pop()
    }
}
