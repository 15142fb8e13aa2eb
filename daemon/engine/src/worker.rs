//! The handle that the daemon holds of a worker thread, and the two bounded queues between them.
//!
//! Waking is lazy: a worker says when it sleeps, and only then does [`Worker::flush`] cost a system call.
//! The worker checks its queue after saying so and the daemon looks after queueing, so no wake is lost.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::mpsc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use patchcord_contract::Endpoint;
use patchcord_media::flow::{Event, PortId};
use patchcord_media::{Plane, totals};
use patchcord_offload::{Gate, Lanes, Table};

use crate::clock::monotonic;
use crate::socket::Place;
use crate::stats::WorkerStats;
use crate::steer::Intake;
use crate::turn;
use crate::wake::Wake;

/// How a worker does its input and output. The configuration's `auto` is resolved before it gets here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    /// One io_uring a worker.
    Uring,
    /// `epoll`, `recvmmsg` and `sendmmsg`: where io_uring is forbidden.
    Mmsg,
    /// One socket is all ports of a worker, and frames leave past the kernel's UDP.
    Steer,
    /// `AF_XDP`, past the kernel's stack; what cannot go that way goes as with `mmsg`.
    Xsk,
}

impl BackendKind {
    /// The name used in configuration, logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Mmsg => "mmsg",
            Self::Steer => "steer",
            Self::Xsk => "xsk",
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a worker is set up.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// Its number: the top bits of its ports' [`PortId`]s.
    pub id: u8,
    /// The core it is pinned to; `None` leaves it to the scheduler.
    pub core: Option<usize>,
    /// How it does its input and output.
    pub backend: BackendKind,
    /// Configured interfaces, which the plane counts by.
    pub interfaces: usize,
    /// Ports it can hold: slots from 0 up to, not including, this.
    pub max_ports: usize,
    /// Packet buffers (2 KiB each with `uring`, 4 KiB with `xsk`, none with `mmsg`); rounded up to a power of two, at most 32,768.
    pub buffers: usize,
    /// Whether a second socket is connected to the peer of a flow that has settled.
    pub connect: bool,
    /// How long a flow is left with the worker before it is looked at for the kernel, and between looks.
    pub patience: Duration,
    /// Entries of the ring's file table (`uring` only); `None`: as many as the process may have descriptors.
    pub file_table: Option<usize>,
    /// Whether it asks drivers for packets without a pause (`xsk` only): quickest, and takes all of its core.
    pub busy_poll: bool,
    /// Commands that can wait.
    pub commands: usize,
    /// Events that can wait.
    pub events: usize,
}

/// A receive queue that leads to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneReport {
    /// The interface.
    pub interface: String,
    /// The queue's number.
    pub queue: u32,
    /// Whether the driver uses the worker's buffers itself.
    pub is_zero_copy: bool,
}

impl WorkerConfig {
    /// A worker with the defaults: not pinned, connected twins, 4,096 buffers.
    pub fn new(id: u8, backend: BackendKind) -> Self {
        Self {
            id,
            core: None,
            backend,
            interfaces: 1,
            max_ports: 16_384,
            buffers: 4096,
            connect: true,
            patience: Duration::from_millis(200),
            file_table: None,
            busy_poll: false,
            commands: 16_384,
            events: 16_384,
        }
    }
}

/// What a worker has of the kernel's programs.
#[derive(Debug, Default)]
pub struct Lower {
    /// A table for the flows that need no worker.
    pub table: Option<Table>,
    /// The sockets that its ports are steered to: `steer` needs them.
    pub intake: Option<Intake>,
    /// The queues that lead to it: `xsk` needs them.
    pub lanes: Option<Lanes>,
}

/// What the daemon tells a worker; carried out in the order sent.
#[derive(Debug)]
pub enum Command {
    /// Gives it a port. The port stays attached, with or without a flow, until it is detached.
    Attach {
        /// The port: this worker's number, and a free slot.
        port: PortId,
        /// Its address, and unless it is steered the socket, which the worker owns from here on.
        place: Place,
    },
    /// Closes the port's socket. Its flow, if any, is cleared.
    Detach {
        /// The port.
        port: PortId,
    },
    /// Takes in what the kernel has counted of the flow at a port.
    CatchUp {
        /// The port.
        port: PortId,
    },
    /// Programs the plane.
    Flow(patchcord_media::flow::Command),
}

/// The command queue is full; the command comes back.
#[derive(Debug)]
pub struct Full(pub Command);

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the worker's command queue is full")
    }
}

impl std::error::Error for Full {}

/// How full a worker's queues are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepths {
    /// Commands waiting for the worker.
    pub commands: usize,
    /// Events waiting for the daemon.
    pub events: usize,
}

/// What the two threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// To the worker.
    pub(crate) commands: ArrayQueue<Command>,
    /// From the worker.
    pub(crate) events: ArrayQueue<Event>,
    /// Wakes the worker.
    pub(crate) wake: Wake,
    /// Wakes the daemon.
    pub(crate) notify: Wake,
    /// The worker waits, or is about to.
    sleeping: AtomicBool,
    /// The worker is to end.
    stop: AtomicBool,
    /// Commands queued so far.
    queued: AtomicU64,
    /// Commands carried out so far.
    done: AtomicU64,
    /// The daemon waits for commands to be carried out.
    awaited: AtomicBool,
    /// Wakes the daemon that waits for them.
    settled: Wake,
    /// The worker's counters.
    pub(crate) stats: Arc<WorkerStats>,
}

impl Shared {
    fn new(config: &WorkerConfig) -> io::Result<Self> {
        Ok(Self {
            commands: ArrayQueue::new(config.commands.max(1)),
            events: ArrayQueue::new(config.events.max(1)),
            wake: Wake::new()?,
            notify: Wake::new()?,
            sleeping: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            queued: AtomicU64::new(0),
            done: AtomicU64::new(0),
            awaited: AtomicBool::new(false),
            settled: Wake::new()?,
            stats: Arc::default(),
        })
    }

    /// Worker side: says that it is about to wait; `false` if there is work, so that it must not.
    pub(crate) fn may_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let idle = self.commands.is_empty() && !self.stopping();
        if !idle {
            self.awake();
        }
        idle
    }

    /// Worker side: says that it does not wait.
    pub(crate) fn awake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// Worker side: `count` commands more are carried out.
    pub(crate) fn carried_out(&self, count: u64) {
        self.done.fetch_add(count, Ordering::SeqCst);
        if self.awaited.swap(false, Ordering::SeqCst) {
            self.settled.ring();
        }
    }

    /// Worker side: whether it is to end.
    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Daemon side: wakes the worker if it sleeps.
    fn rouse(&self) {
        fence(Ordering::SeqCst);
        if self.sleeping.swap(false, Ordering::SeqCst) {
            self.wake.ring();
        }
    }
}

/// Lets packets for a port go past the stack before anybody is told of the port, so that none that comes by the
/// stack is overtaken. They are looked at after the commands that were queued before they came.
fn admit(gate: &Gate, port: PortId, local: Endpoint) {
    if local.addr.is_unspecified() {
        return;
    }
    // What is not handed over comes by the stack: an address too many costs speed only.
    if let Err(error) = gate.admit(local) {
        tracing::warn!(?port, %error, "a port stays with the kernel's stack");
    }
}

/// A running worker.
#[derive(Debug)]
pub struct Worker {
    shared: Arc<Shared>,
    thread: JoinHandle<io::Result<()>>,
    backend: BackendKind,
    lanes: Vec<LaneReport>,
    /// Where ports are told of before anybody hears of them.
    gate: Option<Gate>,
    has_table: bool,
    totals: Arc<totals::WorkerStats>,
}

impl Worker {
    /// Starts a worker; returns once its backend is open, or with the reason why it cannot be.
    pub fn spawn(config: WorkerConfig) -> io::Result<Self> {
        Self::spawn_with(config, Lower::default())
    }

    /// The same, with what the kernel's programs have for it.
    pub fn spawn_with(config: WorkerConfig, lower: Lower) -> io::Result<Self> {
        let gate = lower.lanes.as_ref().map(Lanes::gate);
        let shared = Arc::new(Shared::new(&config)?);
        let backend = config.backend;
        let has_table = lower.table.is_some();
        let (opened, ready) = mpsc::sync_channel(1);
        let theirs = Arc::clone(&shared);
        let plane = Plane::new(config.id, config.interfaces);
        let totals = plane.stats();
        let thread = Builder::new()
            .name(format!("worker-{}", config.id))
            .spawn(move || turn::run(&config, &theirs, plane, lower, &opened))?;
        match ready.recv() {
            Ok(Ok(lanes)) => Ok(Self {
                shared,
                thread,
                backend,
                gate: gate.filter(|_| !lanes.is_empty()),
                lanes,
                has_table,
                totals,
            }),
            Ok(Err(error)) => Err(error),
            Err(mpsc::RecvError) => Err(io::Error::other("the worker ended while it started")),
        }
    }

    /// Queues a command; it is carried out after the next [`flush`](Self::flush), or before.
    pub fn send(&self, command: Command) -> Result<(), Full> {
        if let (Some(gate), Command::Attach { port, place }) = (&self.gate, &command) {
            admit(gate, *port, place.local_addr().into());
        }
        self.shared.commands.push(command).map_err(Full)?;
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Wakes the worker for everything queued, if it sleeps.
    pub fn flush(&self) {
        self.shared.rouse();
    }

    /// Waits until all that is queued was carried out: `false` if that takes longer than `patience`. Only of
    /// use after [`flush`](Self::flush).
    pub fn settle(&self, patience: Duration) -> bool {
        let shared = &self.shared;
        let queued = shared.queued.load(Ordering::Relaxed);
        let since = monotonic();
        loop {
            // Said before it is looked at: the worker looks for it after it has counted.
            shared.awaited.store(true, Ordering::SeqCst);
            if shared.done.load(Ordering::SeqCst) >= queued {
                shared.awaited.store(false, Ordering::SeqCst);
                return true;
            }
            let left = patience.saturating_sub(monotonic().since(since));
            if left.is_zero() || !self.is_running() {
                return false;
            }
            shared.settled.wait(left);
            shared.settled.clear();
        }
    }

    /// The next event. At `None` the descriptor is quiet until there is another.
    pub fn try_event(&self) -> Option<Event> {
        self.shared.events.pop().or_else(|| {
            self.shared.notify.clear();
            self.shared.events.pop()
        })
    }

    /// Readable when there are events, or the worker ended.
    pub fn events_fd(&self) -> BorrowedFd<'_> {
        self.shared.notify.as_fd()
    }

    /// The worker's own counters.
    pub fn stats(&self) -> Arc<WorkerStats> {
        Arc::clone(&self.shared.stats)
    }

    /// The counters of its plane: packets and bytes by interface, verdict and reason.
    pub fn totals(&self) -> Arc<totals::WorkerStats> {
        Arc::clone(&self.totals)
    }

    /// How full the queues are.
    pub fn queue_depths(&self) -> QueueDepths {
        QueueDepths {
            commands: self.shared.commands.len(),
            events: self.shared.events.len(),
        }
    }

    /// Commands that can still be queued.
    pub fn room(&self) -> usize {
        self.shared.commands.capacity() - self.shared.commands.len()
    }

    /// The backend it runs on.
    pub fn backend(&self) -> BackendKind {
        self.backend
    }

    /// The receive queues that lead to it past the kernel's stack.
    pub fn lanes(&self) -> &[LaneReport] {
        &self.lanes
    }

    /// Whether the kernel may carry flows of it.
    pub fn has_table(&self) -> bool {
        self.has_table
    }

    /// Whether the thread runs. If not, [`stop`](Self::stop) says why.
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Tells the worker to end, and does not wait for it.
    pub fn ask_to_stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.rouse();
    }

    /// Ends the worker: closes its ports and waits until the kernel has let go of them.
    pub fn stop(self) -> io::Result<()> {
        self.ask_to_stop();
        self.thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
