//! The packet buffers, shared with the kernel through a provided-buffer ring.
//!
//! Invariant of the unsafe code: a buffer is either the kernel's (published in the ring, and nothing here
//! touches its bytes) or ours (there is exactly one [`Held`] for it, and the kernel does not write it).
//! [`Pool::take`] turns the first into the second when the kernel reports the buffer, [`Pool::give`] the
//! second into the first; a table of who has what refuses a report about a buffer that is ours.

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use crate::address::LEN_V6;
use crate::backend::{DATAGRAM, TAIL};

/// What the kernel puts before a packet that it received with its source: four words and the address.
pub(super) const HEADER: usize = 16;

/// Bytes of a buffer that the kernel may fill.
const FILLED: usize = DATAGRAM + HEADER + LEN_V6;

/// From one buffer to the next, in whole cache lines.
const STRIDE: usize = (FILLED + TAIL).next_multiple_of(64);

/// Most buffers of a ring.
const MOST: usize = 1 << 15;

/// Buffers that the kernel has at first. It uses them in turn, so that more of them only wear out the cache.
const WINDOW: usize = 256;

/// A buffer that is ours. Not to be dropped but given back.
#[derive(Debug)]
#[must_use]
pub(super) struct Held(u16);

/// All buffers, and the ring through which the kernel gets them.
#[derive(Debug)]
pub(super) struct Pool {
    ring: Pages,
    data: Pages,
    entries: u16,
    tail: u16,
    ours: Box<[bool]>,
    out: usize,
    /// Those that are nobody's for now; the last given back is the first to go.
    spare: Vec<Held>,
    /// How many the kernel is to have.
    window: usize,
}

impl Pool {
    /// At least `wanted` buffers, some of them the kernel's as soon as the ring is registered.
    pub(super) fn new(wanted: usize) -> io::Result<Self> {
        let entries = wanted.clamp(16, MOST).next_power_of_two();
        let mut pool = Self {
            ring: Pages::new(entries * size_of::<BufRingEntry>())?,
            data: Pages::new(entries * STRIDE)?,
            entries: entries as u16,
            tail: 0,
            ours: vec![true; entries].into_boxed_slice(),
            out: 0,
            spare: (0..entries as u16).rev().map(Held).collect(),
            window: WINDOW.min(entries),
        };
        pool.publish();
        Ok(pool)
    }

    /// The address of the ring, for its registration. It lives as long as the pool.
    pub(super) fn ring_addr(&self) -> u64 {
        self.ring.start.as_ptr() as u64
    }

    /// How many buffers there are; a power of two.
    pub(super) fn entries(&self) -> u16 {
        self.entries
    }

    /// Buffers in use: taken and not given back.
    pub(super) fn out(&self) -> usize {
        self.out
    }

    /// The kernel ran out of buffers: it is to have more from now on.
    #[cold]
    pub(super) fn widen(&mut self) {
        self.window = (self.window * 2).min(usize::from(self.entries));
        self.publish();
    }

    /// Takes over the buffer that the kernel reports to have filled.
    ///
    /// # Panics
    /// If it was ours already, or does not exist: the kernel is not what it was.
    #[inline]
    pub(super) fn take(&mut self, id: u16) -> Held {
        let ours = &mut self.ours[usize::from(id)];
        assert!(
            !std::mem::replace(ours, true),
            "the kernel fills only buffers that it has"
        );
        self.out += 1;
        Held(id)
    }

    /// Gives a buffer back; the kernel may get it at [`Self::publish`]. No queued send may point at it.
    #[inline]
    pub(super) fn give(&mut self, held: Held) {
        self.out -= 1;
        self.spare.push(held);
    }

    /// Lets the kernel have as many buffers as it should.
    #[inline]
    pub(super) fn publish(&mut self) {
        let before = self.tail;
        while self.spare.len() + self.out + self.window > usize::from(self.entries) {
            let Some(held) = self.spare.pop() else { break };
            self.enqueue(held);
        }
        if self.tail == before {
            return;
        }
        // SAFETY: the argument is the address of the ring's first entry, in live, zeroed pages.
        let tail = unsafe { BufRingEntry::tail(self.ring.start.as_ptr().cast()) };
        // SAFETY: the address is that of the 16-bit tail in pages that outlive the reference; we only
        // write it, and the kernel only reads it, atomically.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Puts a buffer behind the published part of the ring.
    #[inline]
    fn enqueue(&mut self, Held(id): Held) {
        self.ours[usize::from(id)] = false;
        let at = usize::from(self.tail & (self.entries - 1));
        // SAFETY: `at` is below `entries`, for which the ring's pages have room.
        let entry = unsafe { self.ring.start.cast::<BufRingEntry>().add(at) };
        // SAFETY: the entry lies beyond the published tail, where the kernel does not look; zeroed
        // pages are valid entries; the tail that shares the first entry's last bytes is not written.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr(self.address(id).as_ptr() as u64);
        entry.set_len(FILLED as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the window shrink to its first width, slowly. To be called every tick.
    pub(super) fn narrow(&mut self) {
        let surplus = self.window.saturating_sub(WINDOW);
        self.window -= surplus.div_ceil(64);
    }

    /// The bytes of a buffer of ours.
    #[inline]
    pub(super) fn bytes<'a>(&'a self, held: &'a Held) -> &'a [u8] {
        let start = self.address(held.0).as_ptr();
        // SAFETY: `STRIDE` initialised bytes from `start` lie in the live pages; the buffer is ours
        // while there is a `Held`, and a shared borrow of it excludes `bytes_mut`.
        unsafe { std::slice::from_raw_parts(start, STRIDE) }
    }

    /// The bytes of a buffer of ours, to write.
    #[inline]
    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "an exclusive borrow of the only `Held` is the proof"
    )]
    pub(super) fn bytes_mut<'a>(&'a self, held: &'a mut Held) -> &'a mut [u8] {
        let start = self.address(held.0).as_ptr();
        // SAFETY: as in `bytes`; the only `Held` of the buffer is borrowed exclusively for 'a, and
        // buffers do not overlap.
        unsafe { std::slice::from_raw_parts_mut(start, STRIDE) }
    }

    /// Where a buffer begins.
    #[inline]
    fn address(&self, id: u16) -> NonNull<u8> {
        // SAFETY: ids are below `entries` (only `new` makes them up), and the pages hold that many.
        unsafe { self.data.start.add(usize::from(id) * STRIDE) }
    }
}

/// Anonymous, zeroed pages; touched, hence resident, only where used.
#[derive(Debug)]
struct Pages {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the pages belong to whoever owns the value; nothing about them is tied to a thread.
unsafe impl Send for Pages {}

impl Pages {
    fn new(len: usize) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: without an address and a file, a mapping touches nothing that exists.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        match NonNull::new(start.cast()) {
            Some(start) => Ok(Self { start, len }),
            None => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the range is exactly what `new` mapped, and its owner, the pool, outlives the ring
        // that told the kernel about it.
        let rc = unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert_eq!(rc, 0, "the range was mapped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Buffers that the kernel has.
    fn lent(pool: &Pool) -> usize {
        pool.ours.iter().filter(|ours| !**ours).count()
    }

    #[test]
    fn the_kernel_gets_more_buffers_when_it_ran_out_and_fewer_later() {
        let mut pool = Pool::new(1024).expect("pages");
        assert_eq!(lent(&pool), WINDOW);
        pool.widen();
        assert_eq!(lent(&pool), 2 * WINDOW);
        for _ in 0..10 {
            pool.widen();
        }
        assert_eq!((lent(&pool), pool.spare.len()), (1024, 0));
        for _ in 0..1000 {
            pool.narrow();
        }
        let all: Vec<_> = (0..1024).map(|id| pool.take(id)).collect();
        for held in all {
            pool.give(held);
        }
        pool.publish();
        assert_eq!((lent(&pool), pool.out()), (WINDOW, 0));
    }

    #[test]
    fn the_buffer_used_last_is_used_next() {
        let mut pool = Pool::new(1024).expect("pages");
        let first = pool.take(0);
        pool.give(first);
        pool.publish();
        assert!(!pool.ours[0], "the same buffer went out again");
        assert_eq!(lent(&pool), WINDOW);
    }

    #[test]
    fn buffers_do_not_overlap() {
        let mut pool = Pool::new(16).expect("pages");
        let mut held: Vec<_> = (0..16).map(|id| pool.take(id)).collect();
        assert_eq!(pool.out(), 16);
        for (n, held) in held.iter_mut().enumerate() {
            pool.bytes_mut(held).fill(n as u8);
        }
        for (n, held) in held.iter().enumerate() {
            assert!(pool.bytes(held).iter().all(|byte| *byte == n as u8));
            assert!(pool.bytes(held).len() >= FILLED + TAIL);
        }
        for held in held {
            pool.give(held);
        }
        assert_eq!(pool.out(), 0);
    }

    #[test]
    #[should_panic(expected = "only buffers that it has")]
    fn a_buffer_is_not_taken_twice() {
        let mut pool = Pool::new(16).expect("pages");
        let first = pool.take(3);
        let second = pool.take(3);
        drop((first, second));
    }

    #[test]
    fn the_number_of_buffers_is_a_power_of_two_within_bounds() {
        let entries = |wanted| Pool::new(wanted).expect("pages").entries();
        assert_eq!(
            (entries(0), entries(17), entries(1 << 20)),
            (16, 32, 1 << 15)
        );
    }
}
