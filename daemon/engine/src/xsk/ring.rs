//! The four rings that a socket shares with the kernel: one side writes, the other reads, each moves an index.
//!
//! Invariant of the unsafe code: the mapping is as long as the kernel's offsets and the ring's size say and lives
//! as long as this value; indices are only touched by atomic loads and stores; an element is read after the
//! producer's index was acquired and before the consumer's is released, or written the other way round, so
//! never while the kernel has it.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Which ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// Where it is mapped (`XDP_…_PGOFF_…`).
    pub(super) offset: libc::off_t,
    /// Where in the mapping its parts are.
    pub(super) parts: libc::xdp_ring_offset,
}

/// A ring of `T`, mapped.
#[derive(Debug)]
struct Mapped<T> {
    start: NonNull<u8>,
    len: usize,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    first: NonNull<T>,
    size: u32,
}

// SAFETY: the memory is shared with the kernel already, and with no other thread.
unsafe impl<T: Send> Send for Mapped<T> {}

impl<T: Copy> Mapped<T> {
    fn new(socket: BorrowedFd<'_>, kind: Kind, size: u32) -> io::Result<Self> {
        let parts = kind.parts;
        let len = parts.desc as usize + size as usize * size_of::<T>();
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of this process.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                socket.as_raw_fd(),
                kind.offset,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: all four offsets are the kernel's for this mapping, and within it.
        let at = |offset: u64| unsafe { start.add(offset as usize) };
        Ok(Self {
            start,
            len,
            producer: at(parts.producer).cast(),
            consumer: at(parts.consumer).cast(),
            flags: at(parts.flags).cast(),
            first: at(parts.desc).cast(),
            size,
        })
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: in the mapping, aligned by the kernel; lives as long as `self`.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { self.consumer.as_ref() }
    }

    fn element(&self, index: u32) -> NonNull<T> {
        // SAFETY: the size is a power of two, so this is within the elements.
        unsafe { self.first.add((index & (self.size - 1)) as usize) }
    }

    /// Whether the kernel wants to be woken for what is in the ring.
    fn wants_waking(&self) -> bool {
        // SAFETY: as above.
        let flags = unsafe { self.flags.as_ref() };
        flags.load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, and nobody holds a part of it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// A ring that we write: what is to be filled, what is to be sent.
#[derive(Debug)]
pub(super) struct Producer<T> {
    ring: Mapped<T>,
    /// Where the next element goes.
    next: u32,
    /// Up to where the kernel had read when we last looked.
    read: u32,
}

impl<T: Copy> Producer<T> {
    pub(super) fn new(socket: BorrowedFd<'_>, kind: Kind, size: u32) -> io::Result<Self> {
        let ring = Mapped::new(socket, kind, size)?;
        Ok(Self {
            ring,
            next: 0,
            read: 0,
        })
    }

    /// Elements that the kernel has not read yet.
    pub(super) fn pending(&mut self) -> u32 {
        self.read = self.ring.consumer().load(Ordering::Acquire);
        self.next.wrapping_sub(self.read)
    }

    /// Whether there is room for one more.
    pub(super) fn has_room(&mut self) -> bool {
        self.next.wrapping_sub(self.read) < self.ring.size || self.pending() < self.ring.size
    }

    /// Adds an element, for which there is room; the kernel sees it after [`Self::publish`].
    pub(super) fn push(&mut self, element: T) {
        assert!(self.has_room(), "who adds has asked for room");
        // SAFETY: the kernel has read what stood there, and is not told of it again before `publish`.
        unsafe { self.ring.element(self.next).write(element) };
        self.next = self.next.wrapping_add(1);
    }

    /// Shows the kernel what was added.
    pub(super) fn publish(&self) {
        self.ring.producer().store(self.next, Ordering::Release);
    }

    /// Whether the kernel wants to be woken for what is in the ring.
    pub(super) fn wants_waking(&self) -> bool {
        self.ring.wants_waking()
    }
}

/// A ring that we read: what was received, what was sent.
#[derive(Debug)]
pub(super) struct Consumer<T> {
    ring: Mapped<T>,
    /// Where the next element is.
    next: u32,
    /// Up to where the kernel had written when we last looked.
    written: u32,
}

impl<T: Copy> Consumer<T> {
    pub(super) fn new(socket: BorrowedFd<'_>, kind: Kind, size: u32) -> io::Result<Self> {
        let ring = Mapped::new(socket, kind, size)?;
        Ok(Self {
            ring,
            next: 0,
            written: 0,
        })
    }

    /// Looks at how far the kernel has written.
    pub(super) fn look(&mut self) {
        self.written = self.ring.producer().load(Ordering::Acquire);
    }

    /// The next element that was there at the last [`Self::look`]; the kernel may use its place after
    /// [`Self::release`].
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.next == self.written {
            return None;
        }
        // SAFETY: the kernel has written it, as `written` says, and leaves it alone until `release`.
        let element = unsafe { self.ring.element(self.next).read() };
        self.next = self.next.wrapping_add(1);
        Some(element)
    }

    /// Lets the kernel use the places of what was taken.
    pub(super) fn release(&self) {
        self.ring.consumer().store(self.next, Ordering::Release);
    }
}
