//! A map as memory of this process: the kernel's own pages, read and written without a system call.
//!
//! Invariant of the unsafe code: the mapping is as long as the map and lives as long as this value; the
//! kernel and other threads write it at any time, so nothing of it is ever borrowed but as atomic integers.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

use aya::maps::MapData;

/// The values of an array, back to back.
#[derive(Debug)]
pub(crate) struct Memory {
    first: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory is shared with the kernel already and only touched by atomic integers.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Maps the first `len` bytes of an array.
    pub(crate) fn map(array: &MapData, len: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of this process.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                protection,
                libc::MAP_SHARED,
                array.fd().as_fd().as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let first = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { first, len })
    }

    /// The eight bytes at a multiple of eight.
    pub(crate) fn word(&self, nth: usize) -> &AtomicU64 {
        assert!(nth < self.len / 8, "word {nth} is none");
        // SAFETY: within the mapping, as was just asserted.
        let word = unsafe { self.first.cast::<AtomicU64>().add(nth) };
        // SAFETY: aligned to pages and whole words from there; lives as long as `self`.
        unsafe { word.as_ref() }
    }

    /// The four bytes at a multiple of four.
    pub(crate) fn half(&self, nth: usize) -> &AtomicU32 {
        assert!(nth < self.len / 4, "half a word {nth} is none");
        // SAFETY: within the mapping, as was just asserted.
        let half = unsafe { self.first.cast::<AtomicU32>().add(nth) };
        // SAFETY: aligned to pages and halves of words from there, which nobody touches as whole ones as well;
        // lives as long as `self`.
        unsafe { half.as_ref() }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made, and nobody holds a part of it.
        unsafe { libc::munmap(self.first.as_ptr().cast(), self.len) };
    }
}
