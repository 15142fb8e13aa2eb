//! How edges ask the control loop: a bounded queue, a descriptor that wakes it, an answer each.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crossbeam_queue::ArrayQueue;
use nix::sys::eventfd::{EfdFlags, EventFd};
use patchcord_wire::ng::Format;
use tokio::sync::oneshot;

use crate::figures::Transport;

/// Questions that can wait.
const QUESTIONS: usize = 4_096;

/// What an edge wants.
#[derive(Debug)]
pub enum Ask {
    /// A whole NG message, cookie included.
    Unit(Vec<u8>),
    /// A dictionary without a cookie.
    Plain(Vec<u8>),
    /// A command line.
    Line(Vec<u8>),
    /// That all figures are as of now.
    Refresh,
}

/// What it gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The reply's bytes and their encoding.
    Reply(Vec<u8>, Format),
    /// A command line's text.
    Text(Vec<u8>),
    /// Nothing: the message had no cookie.
    Dropped,
    /// It was done.
    Done,
}

/// A question on its way.
#[derive(Debug)]
pub struct Letter {
    /// What is wanted.
    pub ask: Ask,
    /// By which way it came.
    pub transport: Transport,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Answer>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too many questions wait.
    Busy,
    /// The relay ends.
    Gone,
}

/// The queue between the edges and the control loop.
#[derive(Debug)]
pub struct Mailbox {
    letters: ArrayQueue<Letter>,
    bell: EventFd,
}

impl Mailbox {
    /// An empty one.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let bell = EventFd::from_value_and_flags(0, flags)?;
        Ok(Self {
            letters: ArrayQueue::new(QUESTIONS),
            bell,
        })
    }

    /// Asks, and waits for the answer.
    pub async fn ask(&self, transport: Transport, ask: Ask) -> Result<Answer, Refused> {
        let (answer, answered) = oneshot::channel();
        self.letters
            .push(Letter {
                ask,
                transport,
                answer,
            })
            .map_err(|_| Refused::Busy)?;
        self.ring();
        answered.await.map_err(|_| Refused::Gone)
    }

    /// Wakes the control loop.
    pub fn ring(&self) {
        // Only a counter at its limit refuses, and then the loop is awake anyway.
        let _awake = self.bell.write(1);
    }

    /// The next question. At `None` the bell is silent until there is another.
    pub fn next(&self) -> Option<Letter> {
        self.letters.pop().or_else(|| {
            let _silent = self.bell.read();
            self.letters.pop()
        })
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
