//! The memory that a worker's sockets share (UMEM), cut into frames, and who has which of them.
//!
//! Invariant of the unsafe code: a frame is either a [`Frame`] in this process, of which there is one and which
//! can neither be copied nor made elsewhere, or noted as the kernel's; its bytes are reached through the
//! former alone. The kernel touches a frame only between [`Memory::lend`] and [`Memory::take_back`], or not
//! at all any more once its sockets are closed. A backend has one memory, and frames never leave the backend.

use std::io;
use std::ptr::NonNull;

/// Bytes of a frame: one page, which the kernel wants a frame to lie in.
pub(super) const FRAME: usize = 4096;

/// What the kernel leaves free in front of a received frame (`XDP_PACKET_HEADROOM`): room for any headers.
pub(super) const HEADROOM: usize = 256;

/// A frame that is in this process's hands.
#[derive(Debug)]
pub(super) struct Frame(u32);

/// Which way the kernel has a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To be filled: in a fill ring, or in a ring of what was received.
    Receiving,
    /// To be sent: in a ring of what is to be sent, or in one of what was.
    Sending,
}

/// Where a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In this process.
    Here,
    /// With the kernel, at the socket of that number.
    Lent(Way, u8),
}

/// The frames.
#[derive(Debug)]
pub(super) struct Memory {
    first: NonNull<u8>,
    places: Box<[Place]>,
}

// SAFETY: the mapping belongs to this value alone and may be reached from any thread that has it.
unsafe impl Send for Memory {}

impl Memory {
    /// Maps `count` frames, all of them here.
    pub(super) fn new(count: u32) -> io::Result<(Self, Vec<Frame>)> {
        let len = count as usize * FRAME;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of this process.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, kind, -1, 0) };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let first = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let places = vec![Place::Here; count as usize].into_boxed_slice();
        Ok((
            Self { first, places },
            (0..count).rev().map(Frame).collect(),
        ))
    }

    /// How many frames there are.
    pub(super) fn count(&self) -> usize {
        self.places.len()
    }

    /// The address of the first byte, for the kernel.
    pub(super) fn address(&self) -> u64 {
        self.first.as_ptr().addr() as u64
    }

    /// The bytes of a frame.
    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "what the frame stands for is borrowed exclusively"
    )]
    pub(super) fn bytes<'a>(&'a self, frame: &'a mut Frame) -> &'a mut [u8] {
        let at = frame.0 as usize;
        assert!(at < self.places.len(), "frame {at} is none");
        // SAFETY: within the mapping, as was just asserted.
        let first = unsafe { self.first.add(at * FRAME) };
        // SAFETY: initialised (zeroed) memory of the mapping. There is one `Frame` of this number and it is
        // borrowed exclusively for as long as the slice lives, while the kernel has the frame only when
        // there is none.
        unsafe { std::slice::from_raw_parts_mut(first.as_ptr(), FRAME) }
    }

    /// Gives a frame to the kernel by the socket of that number; what the kernel knows it by.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it is the kernel's from here on"
    )]
    pub(super) fn lend(&mut self, frame: Frame, way: Way, socket: u8) -> u64 {
        let Frame(at) = frame;
        debug_assert_eq!(self.places[at as usize], Place::Here, "frame {at}");
        self.places[at as usize] = Place::Lent(way, socket);
        u64::from(at) * FRAME as u64
    }

    /// Takes the frame around `address` back from the kernel; `None` if that does not have it.
    pub(super) fn take_back(&mut self, address: u64, way: Way, socket: u8) -> Option<Frame> {
        let at = u32::try_from(address / FRAME as u64).ok()?;
        let place = self.places.get_mut(at as usize)?;
        if *place != Place::Lent(way, socket) {
            return None;
        }
        *place = Place::Here;
        Some(Frame(at))
    }

    /// How many frames the kernel has that way.
    pub(super) fn lent(&self, way: Way) -> usize {
        let is_that = |place: &&Place| matches!(place, Place::Lent(other, _) if *other == way);
        self.places.iter().filter(is_that).count()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let len = self.places.len() * FRAME;
        // SAFETY: the mapping that `new` made. No slice of it lives longer than `self`; the kernel holds the
        // pages of sockets that are not gone yet by itself.
        unsafe { libc::munmap(self.first.as_ptr().cast(), len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_in_one_place() {
        let (mut memory, mut free) = Memory::new(4).expect("mapped");
        let mut frame = free.pop().expect("four");
        memory.bytes(&mut frame)[0] = 7;
        let address = memory.lend(frame, Way::Receiving, 1);
        assert_eq!((free.len(), memory.lent(Way::Receiving)), (3, 1));
        for (way, socket) in [(Way::Sending, 1), (Way::Receiving, 0)] {
            assert!(memory.take_back(address, way, socket).is_none());
        }
        let within = address + HEADROOM as u64;
        let mut frame = memory
            .take_back(within, Way::Receiving, 1)
            .expect("it was lent");
        assert_eq!(memory.bytes(&mut frame)[0], 7);
        assert!(memory.take_back(within, Way::Receiving, 1).is_none());
        assert_eq!(memory.lent(Way::Receiving), 0);
    }

    #[test]
    fn what_the_kernel_cannot_mean_is_no_frame() {
        let (mut memory, _free) = Memory::new(2).expect("mapped");
        for address in [0, 2 * FRAME as u64, u64::MAX] {
            assert!(memory.take_back(address, Way::Sending, 0).is_none());
        }
    }
}
