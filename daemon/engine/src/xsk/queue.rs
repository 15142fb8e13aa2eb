//! A worker's sockets together: whose turn it is, what each has of the frames, and who leaves by which.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use patchcord_offload::{Entrance, Lanes};

use super::memory::{FRAME, Frame, Memory, Way};
use super::socket::{Mode, Sizes, Socket};
use crate::wake::Wake;
use crate::worker::{LaneReport, WorkerConfig};

/// Fewest frames for each socket.
const LEAST: usize = 64;
/// Most elements of a ring.
const LONGEST: u32 = 2048;
/// Turns in which a socket may make no headway before the worker sleeps all the same.
const PATIENCE: u8 = 32;

/// How often a queue that is taken is asked for.
const TRIES: u32 = 100;
/// And how long is waited before the next time.
const BETWEEN: Duration = Duration::from_millis(20);

/// A socket, and what it has.
pub(super) struct Queue {
    socket: Socket,
    /// The interface that its frames leave by.
    interface: u32,
    /// Frames that it has to fill, or has filled.
    receiving: u32,
    /// Whether packets were added since the kernel was told.
    is_unkicked: bool,
    /// Turns in which the kernel took none of what waits.
    tries: u8,
}

impl Queue {
    /// What to wait on.
    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The sockets.
pub(super) struct Queues {
    pub(super) all: Vec<Queue>,
    /// Frames that the kernel sends.
    pub(super) sending: usize,
    /// Frames that each is to have for receiving.
    share: u32,
    /// Whose turn it is.
    turn: usize,
}

impl Queues {
    /// Opens a socket for each queue, with one memory for all of them, and leads the queues to them. Drivers may
    /// use the frames themselves if those of all can.
    pub(super) fn open(
        config: &WorkerConfig,
        lanes: &mut Lanes,
    ) -> io::Result<(Memory, Self, Vec<Frame>)> {
        let count = lanes.queues().len();
        let frames = config.buffers.max(LEAST * count).next_power_of_two() as u32;
        let share = (frames / 2 / count.max(1) as u32).min(LONGEST);
        let sizes = Sizes {
            receiving: share.next_power_of_two(),
            sending: (frames / 2).min(LONGEST),
        };
        let opened = sockets(frames, sizes, lanes.queues(), Mode::Any).or_else(|error| {
            tracing::info!(%error, "no zero copy on all interfaces: packets are copied once");
            sockets(frames, sizes, lanes.queues(), Mode::Copy)
        });
        let (memory, free, sockets) = opened?;
        let mut all = Vec::with_capacity(count);
        for (nth, socket) in sockets.into_iter().enumerate() {
            if config.busy_poll {
                socket.poll_busily()?;
            }
            lanes.open(nth, socket.as_fd())?;
            all.push(Queue {
                interface: lanes.queues()[nth].index,
                socket,
                receiving: 0,
                is_unkicked: false,
                tries: 0,
            });
        }
        let queues = Self {
            all,
            sending: 0,
            share,
            turn: 0,
        };
        Ok((memory, queues, free))
    }

    /// What became of the queues.
    pub(super) fn report(&self, lanes: &Lanes) -> Vec<LaneReport> {
        let reports = self.all.iter().zip(lanes.queues());
        reports
            .map(|(queue, entrance)| LaneReport {
                interface: entrance.interface.clone(),
                queue: entrance.queue,
                is_zero_copy: queue.socket.is_zero_copy(),
            })
            .collect()
    }

    /// Frames that are there to be filled, or are.
    pub(super) fn receiving(&self) -> usize {
        self.all.iter().map(|queue| queue.receiving as usize).sum()
    }

    /// The socket that packets leave by at that interface.
    #[inline]
    pub(super) fn to(&self, interface: u32) -> Option<usize> {
        self.all
            .iter()
            .position(|queue| queue.interface == interface)
    }

    /// Looks for what has arrived: that, and nothing that arrives later, is received.
    pub(super) fn look(&mut self) {
        for queue in &mut self.all {
            queue.socket.received.look();
        }
    }

    /// Gives up to `most` received frames to `each`, with the bytes that are in use; says whether there may be
    /// more. Sockets take turns in being first.
    pub(super) fn receive(
        &mut self,
        memory: &mut Memory,
        most: usize,
        mut each: impl FnMut(&Memory, Frame, Range<usize>),
    ) -> bool {
        let count = self.all.len();
        let mut left = most;
        for step in 0..count {
            let at = (self.turn + step) % count;
            let queue = &mut self.all[at];
            while left > 0
                && let Some(desc) = queue.socket.received.pop()
            {
                let frame = memory.take_back(desc.addr, Way::Receiving, at as u8);
                let Some(frame) = frame else {
                    debug_assert!(false, "the kernel gave {:#x}, which it had not", desc.addr);
                    continue;
                };
                queue.receiving -= 1;
                left -= 1;
                let start = desc.addr as usize % FRAME;
                let end = (start + desc.len as usize).min(FRAME);
                each(memory, frame, start..end);
            }
            queue.socket.received.release();
        }
        self.turn = (self.turn + 1) % count.max(1);
        left == 0
    }

    /// Adds a frame, of which `range` is to be sent, to what leaves by that socket; it comes back if there is no
    /// room.
    pub(super) fn send(
        &mut self,
        memory: &mut Memory,
        at: usize,
        frame: Frame,
        range: Range<usize>,
    ) -> Result<(), Frame> {
        let queue = &mut self.all[at];
        if !queue.socket.send.has_room() {
            return Err(frame);
        }
        let first = memory.lend(frame, Way::Sending, at as u8);
        queue.socket.send.push(libc::xdp_desc {
            addr: first + range.start as u64,
            len: range.len() as u32,
            options: 0,
        });
        queue.is_unkicked = true;
        self.sending += 1;
        Ok(())
    }

    /// Lets the kernel send what was added.
    pub(super) fn kick(&mut self) {
        for queue in &mut self.all {
            if queue.is_unkicked {
                queue.socket.send.publish();
                queue.kick();
            }
        }
    }

    /// Before waiting: reminds the kernel of what it did not take, and of what it may fill.
    pub(super) fn wake(&mut self, polls: bool) {
        for queue in &mut self.all {
            if queue.is_unkicked {
                queue.kick();
            }
            if polls || queue.socket.fill.wants_waking() {
                queue.socket.poll();
            }
        }
    }

    /// Whether something waits to be sent that the kernel may take soon.
    pub(super) fn is_impatient(&self) -> bool {
        self.all
            .iter()
            .any(|queue| queue.is_unkicked && queue.tries < PATIENCE)
    }

    /// Takes back the frames that were sent.
    pub(super) fn take_back(&mut self, memory: &mut Memory, free: &mut Vec<Frame>) {
        for (at, queue) in self.all.iter_mut().enumerate() {
            queue.socket.sent.look();
            while let Some(address) = queue.socket.sent.pop() {
                match memory.take_back(address, Way::Sending, at as u8) {
                    Some(frame) => {
                        self.sending -= 1;
                        free.push(frame);
                    }
                    None => debug_assert!(false, "the kernel sent {address:#x}, which it had not"),
                }
            }
            queue.socket.sent.release();
        }
    }

    /// Gives the kernel frames to fill, to each socket up to its share.
    pub(super) fn refill(&mut self, memory: &mut Memory, free: &mut Vec<Frame>) {
        for (at, queue) in self.all.iter_mut().enumerate() {
            if queue.receiving == self.share {
                continue;
            }
            while queue.receiving < self.share
                && let Some(frame) = free.pop()
            {
                queue
                    .socket
                    .fill
                    .push(memory.lend(frame, Way::Receiving, at as u8));
                queue.receiving += 1;
            }
            queue.socket.fill.publish();
        }
    }
}

impl Queue {
    /// Lets the kernel send; what it does not take now is tried again before the next wait.
    fn kick(&mut self) {
        let mut before = self.socket.send.pending();
        while before > 0 {
            let outcome = self.socket.kick();
            let after = self.socket.send.pending();
            let is_stuck = after == before;
            if after == 0 || (outcome.is_ok() && is_stuck) {
                break;
            }
            if is_stuck {
                // Busy, out of room, or down: none is an error of ours, and the ring keeps what is in it.
                self.tries = self.tries.saturating_add(1);
                self.is_unkicked = true;
                return;
            }
            before = after;
        }
        self.is_unkicked = false;
        self.tries = 0;
    }
}

/// Opens the sockets.
fn sockets(
    frames: u32,
    sizes: Sizes,
    queues: &[Entrance],
    mode: Mode,
) -> io::Result<(Memory, Vec<Frame>, Vec<Socket>)> {
    let (memory, free) = Memory::new(frames)?;
    let mut sockets: Vec<Socket> = Vec::with_capacity(queues.len());
    for entrance in queues {
        let socket = open(&memory, sockets.first(), entrance, sizes, mode)?;
        sockets.push(socket);
    }
    Ok((memory, free, sockets))
}

/// Opens a socket. The kernel takes its time to free the queue of one that was closed, by a relay that was killed
/// just now or by ourselves.
fn open(
    memory: &Memory,
    first: Option<&Socket>,
    entrance: &Entrance,
    sizes: Sizes,
    mode: Mode,
) -> io::Result<Socket> {
    let nobody = Wake::new()?;
    let mut tries = 0;
    loop {
        match Socket::open(memory, first, entrance, sizes, mode) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && tries < TRIES => {
                tries += 1;
                nobody.wait(BETWEEN);
            }
            opened => return opened.map_err(|error| at(entrance, &error)),
        }
    }
}

/// An error with the queue that it is about.
fn at(entrance: &Entrance, error: &io::Error) -> io::Error {
    let Entrance {
        interface, queue, ..
    } = entrance;
    let why = match error.raw_os_error() {
        Some(libc::EPERM) => "CAP_NET_RAW is missing",
        Some(libc::EAFNOSUPPORT) => "the kernel has no AF_XDP (CONFIG_XDP_SOCKETS)",
        Some(libc::EBUSY) => "another process has the queue",
        Some(libc::ENOBUFS) => "the limit of locked memory is too low (LimitMEMLOCK)",
        _ => "unexpected",
    };
    io::Error::new(
        error.kind(),
        format!("AF_XDP on {interface}, queue {queue}: {why} ({error})"),
    )
}
