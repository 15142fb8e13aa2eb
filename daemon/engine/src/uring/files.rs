//! Where a worker's sockets live: in the ring's file table, their descriptors closed, as long as it has
//! room; beyond that as descriptors. The table may have as many entries as a process descriptors, so a
//! worker can hold twice as many sockets as the limit says.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use io_uring::squeue;
use io_uring::types::Fd;
use socket2::Socket;

use super::ring::Ring;
use crate::limits::Room;

/// A socket as requests address it.
#[derive(Debug)]
pub(super) struct File {
    /// An entry of the table if `fixed`, else the number of `fd`.
    number: i32,
    fixed: bool,
    fd: Option<OwnedFd>,
}

impl File {
    /// The number that a request is built with; its meaning is settled by [`Self::address`].
    #[inline]
    pub(super) fn fd(&self) -> Fd {
        Fd(self.number)
    }

    /// Says in the request whether the number is an entry of the table.
    #[inline]
    pub(super) fn address(&self, request: squeue::Entry) -> squeue::Entry {
        if self.fixed {
            request.flags(squeue::Flags::FIXED_FILE)
        } else {
            request
        }
    }

    /// The descriptor, if one is kept.
    pub(super) fn kept(&self) -> Option<&OwnedFd> {
        self.fd.as_ref()
    }
}

/// The file table.
#[derive(Debug)]
pub(super) struct Files {
    size: u32,
    used: u32,
    free: Vec<u32>,
    keep: bool,
}

impl Files {
    /// A table of `size` entries; with `keep`, descriptors stay open beside it.
    pub(super) fn new(size: usize, keep: bool) -> Self {
        Self {
            size: size as u32,
            used: 0,
            free: Vec::new(),
            keep,
        }
    }

    /// The room in the table when at most `coming` more ports may need a place.
    pub(super) fn room(&self, coming: usize) -> Room {
        let used = self.used as usize - self.free.len();
        Room::left(used, self.size as usize, coming)
    }

    /// Puts a socket into the table, or keeps its descriptor if that is full.
    pub(super) fn adopt(&mut self, ring: &Ring, socket: Socket) -> io::Result<File> {
        let fd = OwnedFd::from(socket);
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.used < self.size => {
                self.used += 1;
                self.used - 1
            }
            None => {
                return Ok(File {
                    number: fd.as_raw_fd(),
                    fixed: false,
                    fd: Some(fd),
                });
            }
        };
        ring.update_file(index, fd.as_raw_fd())?;
        let fd = self.keep.then_some(fd);
        Ok(File {
            number: index.cast_signed(),
            fixed: true,
            fd,
        })
    }

    /// Lets go of a socket. Nothing queued may address it.
    #[expect(clippy::needless_pass_by_value, reason = "the socket ends here")]
    pub(super) fn release(&mut self, ring: &Ring, file: File) -> io::Result<()> {
        if file.fixed {
            let index = file.number.cast_unsigned();
            ring.update_file(index, -1)?;
            self.free.push(index);
        }
        Ok(())
    }
}
