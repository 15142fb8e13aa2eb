//! Which sockets have something to read.
//!
//! Invariant of the unsafe code: the kernel writes only the events' array, whose length it is told.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use patchcord_media::flow::PortId;

/// A port's two sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Its own.
    Own,
    /// Its connected twin.
    Twin,
}

/// A socket with something to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    /// The port it belongs to.
    pub(super) port: PortId,
    /// Which of the port's.
    pub(super) which: Which,
}

/// The mark of the worker's wake-up, which no port's is.
const WAKE: u64 = u64::MAX;

/// The mark of what only ends a wait: who waits looks at it anyway.
const QUIET: u64 = u64::MAX - 1;

/// The mark of news from the kernel.
const NEWS: u64 = u64::MAX - 2;

/// The bit that tells a twin.
const TWIN: u64 = 1 << 32;

/// A level-triggered epoll instance. A closed socket leaves it by itself.
#[derive(Debug)]
pub(super) struct Epoll {
    fd: OwnedFd,
    events: Box<[libc::epoll_event]>,
    has_news: bool,
}

impl Epoll {
    /// Opens one that reports up to `most` sockets at once.
    pub(super) fn new(most: usize) -> io::Result<Self> {
        // SAFETY: `epoll_create1` takes no pointers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened by the call above and nothing else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; most].into_boxed_slice();
        Ok(Self {
            fd,
            events,
            has_news: false,
        })
    }

    /// Reports `wake` as the worker's wake-up.
    pub(super) fn watch_wake(&self, wake: BorrowedFd<'_>) -> io::Result<()> {
        self.add(wake, WAKE)
    }

    /// Ends a wait when `fd` is readable, and reports nothing.
    pub(super) fn watch_quietly(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.add(fd, QUIET)
    }

    /// Reports `fd` as news.
    pub(super) fn watch_news(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.add(fd, NEWS)
    }

    /// Whether there were news at the last wait.
    pub(super) fn has_news(&self) -> bool {
        self.has_news
    }

    /// Reports `socket` as `ready`.
    pub(super) fn watch(&self, socket: BorrowedFd<'_>, ready: Ready) -> io::Result<()> {
        let Ready { port, which } = ready;
        let mark = u64::from(port.worker()) << 24 | port.slot() as u64;
        self.add(
            socket,
            if which == Which::Twin {
                mark | TWIN
            } else {
                mark
            },
        )
    }

    fn add(&self, fd: BorrowedFd<'_>, mark: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: mark,
        };
        // SAFETY: both descriptors are borrowed, hence open; `event` is live and only read.
        let rc = unsafe {
            libc::epoll_ctl(
                self.fd.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                fd.as_raw_fd(),
                &raw mut event,
            )
        };
        if rc == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Waits up to `timeout`; adds to `ready`, and says whether the worker was woken.
    pub(super) fn wait(&mut self, timeout: Duration, ready: &mut Vec<Ready>) -> io::Result<bool> {
        // SAFETY: the pointer and the length are of `events`, exclusively borrowed during the call.
        let found = unsafe {
            libc::epoll_wait(
                self.fd.as_raw_fd(),
                self.events.as_mut_ptr(),
                i32::try_from(self.events.len()).unwrap_or(i32::MAX),
                timeout.as_millis() as i32,
            )
        };
        let Ok(found) = usize::try_from(found) else {
            let error = io::Error::last_os_error();
            let interrupted = error.kind() == io::ErrorKind::Interrupted;
            return if interrupted { Ok(false) } else { Err(error) };
        };
        let mut woken = false;
        self.has_news = false;
        for event in &self.events[..found] {
            let mark = event.u64;
            if mark == QUIET {
                continue;
            }
            if mark == NEWS {
                self.has_news = true;
                continue;
            }
            let which = if mark & TWIN == 0 {
                Which::Own
            } else {
                Which::Twin
            };
            match PortId::new((mark >> 24) as u8, (mark & 0x00ff_ffff) as u32) {
                Some(port) if mark != WAKE => ready.push(Ready { port, which }),
                _ => woken = true,
            }
        }
        Ok(woken)
    }
}
