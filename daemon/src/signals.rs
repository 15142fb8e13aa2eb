//! Signals as a descriptor that the control loop reads.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// SIGINT, SIGTERM: end.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR1: log more.
    Louder,
    /// SIGUSR2: log less.
    Quieter,
}

const WISHES: [(Signal, Wish); 5] = [
    (Signal::SIGINT, Wish::Stop),
    (Signal::SIGTERM, Wish::Stop),
    (Signal::SIGHUP, Wish::Reload),
    (Signal::SIGUSR1, Wish::Louder),
    (Signal::SIGUSR2, Wish::Quieter),
];

/// The signals that arrived.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Takes the signals over. Called before any thread starts, for threads inherit the mask.
    pub fn new() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for (signal, _) in WISHES {
            set.add(signal);
        }
        set.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self(SignalFd::with_flags(&set, flags)?))
    }

    /// The next one, if any.
    pub fn next(&self) -> Option<Wish> {
        let info = self.0.read_signal().ok().flatten()?;
        let number = i32::try_from(info.ssi_signo).ok()?;
        WISHES
            .iter()
            .find(|(signal, _)| *signal as i32 == number)
            .map(|(_, wish)| *wish)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
