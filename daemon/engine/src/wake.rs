//! An eventfd: how one thread wakes another that sleeps on descriptors.
//!
//! Invariant of the unsafe code: a descriptor is owned by exactly one `OwnedFd` from its creation on.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// A non-blocking eventfd; readable after [`Wake::ring`] until [`Wake::clear`].
#[derive(Debug)]
pub(crate) struct Wake(File);

impl Wake {
    /// Opens one.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: `eventfd` takes no pointers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened by the call above and nothing else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self(File::from(fd)))
    }

    /// Makes it readable. A counter at its ceiling already is, so a refused write is no failure.
    pub(crate) fn ring(&self) {
        let _full_is_readable = (&self.0).write(&1u64.to_ne_bytes());
    }

    /// Waits until it is readable, or for `patience`, rounded up to milliseconds.
    pub(crate) fn wait(&self, patience: Duration) {
        let mut poll = libc::pollfd {
            fd: self.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let millis = patience.as_nanos().div_ceil(1_000_000);
        let millis = i32::try_from(millis).unwrap_or(i32::MAX);
        // SAFETY: one `pollfd`, alive and borrowed by nobody else during the call; the descriptor is ours.
        // Whoever waits looks again, whatever the outcome.
        unsafe { libc::poll(&raw mut poll, 1, millis) };
    }

    /// Makes it unreadable until the next ring.
    pub(crate) fn clear(&self) {
        let _empty_is_clear = (&self.0).read(&mut [0u8; 8]);
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Wake {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_seen_once() {
        let wake = Wake::new().expect("eventfd");
        wake.ring();
        wake.ring();
        let mut count = [0; 8];
        assert_eq!((&wake.0).read(&mut count).expect("readable"), 8);
        assert_eq!(u64::from_ne_bytes(count), 2);
        wake.clear();
        let again = (&wake.0).read(&mut count).expect_err("nothing left");
        assert_eq!(again.kind(), io::ErrorKind::WouldBlock);
    }
}
