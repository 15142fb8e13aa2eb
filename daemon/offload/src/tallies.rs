//! The tallies' map as memory of this process: the kernel's own pages, read without a system call.
//!
//! Invariant of the unsafe code: the mapping is as long as the map and lives as long as this value; the
//! kernel writes it at any time, so nothing of it is ever borrowed, only read and written by atomic words.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use patchcord_contract::Tally;

/// Words of a tally.
const WORDS: usize = size_of::<Tally>() / 8;

/// All tallies.
#[derive(Debug)]
pub(crate) struct Tallies {
    first: NonNull<AtomicU64>,
    count: u32,
}

// SAFETY: the memory is shared with the kernel already and only touched by atomic words.
unsafe impl Send for Tallies {}
// SAFETY: as above.
unsafe impl Sync for Tallies {}

impl Tallies {
    /// Maps `count` tallies of the map behind `fd`.
    pub(crate) fn map(fd: BorrowedFd<'_>, count: u32) -> io::Result<Self> {
        let len = count as usize * size_of::<Tally>();
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of this process.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                protection,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let first = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { first, count })
    }

    /// A tally, word by word.
    pub(crate) fn read(&self, index: u32) -> Tally {
        let words = std::array::from_fn(|at| self.word(index, at).load(Relaxed));
        // SAFETY: of the same size, and a tally is integers without padding.
        unsafe { std::mem::transmute::<[u64; WORDS], Tally>(words) }
    }

    /// Writes a tally that no entry names.
    pub(crate) fn write(&self, index: u32, tally: Tally) {
        // SAFETY: of the same size, and a tally is integers without padding.
        let words = unsafe { std::mem::transmute::<Tally, [u64; WORDS]>(tally) };
        for (at, word) in words.into_iter().enumerate() {
            self.word(index, at).store(word, Relaxed);
        }
    }

    fn word(&self, index: u32, at: usize) -> &AtomicU64 {
        assert!(index < self.count && at < WORDS, "tally {index} is none");
        // SAFETY: within the mapping, as was just asserted.
        let word = unsafe { self.first.add(index as usize * WORDS + at) };
        // SAFETY: aligned to pages and whole words from there; lives as long as `self`.
        unsafe { word.as_ref() }
    }
}

impl Drop for Tallies {
    fn drop(&mut self) {
        let len = self.count as usize * size_of::<Tally>();
        // SAFETY: the mapping that `map` made, and nobody holds a part of it.
        unsafe { libc::munmap(self.first.as_ptr().cast(), len) };
    }
}
