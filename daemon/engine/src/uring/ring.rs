//! The ring itself: queueing requests, entering the kernel, taking completions.
//!
//! Invariant of the unsafe code: whatever a queued request points at lives, unchanged, until the
//! [`Ring::enter`] that hands it over returns. The kernel needs it no longer than that: it copies
//! addresses, times and message headers while it prepares a request, and a send with `MSG_DONTWAIT` on a
//! datagram socket is carried out while it is submitted, or fails then; nothing is tried again later.
//! `enter` does not return before the kernel has taken every queued request.

use std::io;

use io_uring::squeue::Flags;
use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use patchcord_contract::Endpoint;

use super::files::File;
use super::mark::{Kind, Mark};
use super::pool::Pool;
use crate::address::{Family, LEN_V4, LEN_V6, RawAddr};
use crate::turn::TICK;

/// Requests that can be queued: a batch, its forks, and what sockets need. Small, so that it stays in cache.
const REQUESTS: u32 = 256;

/// Completions that can be queued. In one turn the kernel does 20 pieces of deferred work of at most 32
/// packets each; what does not fit it keeps elsewhere. Small as well.
const COMPLETIONS: u32 = 2048;

/// `IORING_ENTER_GETEVENTS`: run the deferred work of receiving.
const GET_EVENTS: u32 = 1;

/// The only group of buffers.
const GROUP: u16 = 0;

/// `IORING_ENTER_NO_IOWAIT`: a worker that waits for packets is idle, not waiting for a disk.
const NO_IOWAIT: u32 = 1 << 7;

/// How often the kernel may refuse to take requests before the worker gives up.
const ENTER_TRIES: usize = 1000;

/// The tick as the kernel reads it.
static TICK_TIME: Timespec = Timespec::new().nsec(TICK.as_nanos() as u32);

/// Every value of the option `IP_TOS`, so that a pointer to one is always valid.
static TOS: [i32; 256] = {
    let mut values = [0; 256];
    let mut tos: i32 = 0;
    while tos < 256 {
        values[tos as usize] = tos;
        tos += 1;
    }
    values
};

/// An io_uring whose only submitter is the worker's thread.
pub(super) struct Ring {
    /// Dropped, hence closed, before the pool, whose owner keeps it behind the ring.
    io: IoUring,
    /// Flags of an `enter` that may wait.
    waiting: u32,
    /// Addresses of queued sends.
    names: Box<[RawAddr]>,
    named: usize,
    /// How multishot receives lay out a source, by family.
    layout_v4: Box<libc::msghdr>,
    layout_v6: Box<libc::msghdr>,
}

impl Ring {
    /// Opens a ring with a table of `files` entries; the kernel fills the buffers of `pool`.
    pub(super) fn open(files: usize, pool: &Pool) -> io::Result<Self> {
        let mut io = build()?;
        let mut submitter = io.submitter();
        submitter.register_files_sparse(files as u32)?;
        // A saving of an fd lookup per enter; a kernel without it works as well.
        let _slower_without = submitter.register_ring_fd();
        // SAFETY: the pages of the pool's ring hold `entries` entries and are unmapped only after this
        // ring is closed: the struct that owns both drops the ring first.
        unsafe {
            submitter.register_buf_ring_with_flags(pool.ring_addr(), pool.entries(), GROUP, 0)?;
        }
        let requests = io.submission().capacity();
        Ok(Self {
            waiting: if io.params().is_feature_no_iowait() {
                GET_EVENTS | NO_IOWAIT
            } else {
                GET_EVENTS
            },
            io,
            names: vec![RawAddr::ROOM; requests].into_boxed_slice(),
            named: 0,
            layout_v4: Box::new(layout(LEN_V4)),
            layout_v6: Box::new(layout(LEN_V6)),
        })
    }

    /// Queues a request, entering the kernel first if the queue is full.
    ///
    /// # Safety
    /// What the request points at lives, unchanged, until the next [`Self::enter`] returns.
    #[inline]
    unsafe fn push(&mut self, request: &squeue::Entry) -> io::Result<()> {
        // SAFETY: passed on to the caller.
        while unsafe { self.io.submission().push(request) }.is_err() {
            self.enter()?;
        }
        Ok(())
    }

    /// Receives from `file`, with sources, until cancelled.
    pub(super) fn receive_any(
        &mut self,
        file: &File,
        family: Family,
        mark: Mark,
    ) -> io::Result<()> {
        let layout = match family {
            Family::V4 => &*self.layout_v4,
            Family::V6 { .. } => &*self.layout_v6,
        };
        let request = opcode::RecvMsgMulti::new(file.fd(), layout, GROUP).build();
        // SAFETY: the layout lives as long as the ring and never changes.
        unsafe { self.push(&file.address(request).user_data(mark.0)) }
    }

    /// Receives from a connected `file` until cancelled.
    pub(super) fn receive_peer(&mut self, file: &File, mark: Mark) -> io::Result<()> {
        let request = opcode::RecvMulti::new(file.fd(), GROUP)
            .flags(libc::MSG_TRUNC)
            .build();
        // SAFETY: the request points at nothing.
        unsafe { self.push(&file.address(request).user_data(mark.0)) }
    }

    /// Receives one packet from a connected `file`, if there is one.
    pub(super) fn receive_late(&mut self, file: &File, mark: Mark) -> io::Result<()> {
        let nowhere = std::ptr::null_mut();
        let request = opcode::Recv::new(file.fd(), nowhere, 0)
            .flags(libc::MSG_TRUNC | libc::MSG_DONTWAIT)
            .buf_group(GROUP)
            .build()
            .flags(Flags::BUFFER_SELECT);
        // SAFETY: the kernel chooses one of the pool's buffers; the request points at nothing.
        unsafe { self.push(&file.address(request).user_data(mark.0)) }
    }

    /// Connects `file` to `to`, if that is of its family.
    pub(super) fn connect(
        &mut self,
        file: &File,
        family: Family,
        to: Endpoint,
        mark: Mark,
    ) -> io::Result<()> {
        let Some(name) = self.name(family, to)? else {
            return Ok(());
        };
        let len = family.addr_len() as libc::socklen_t;
        let request = opcode::Connect::new(file.fd(), name, len).build();
        // SAFETY: as in `send`: the name stays until the next `enter`, and there was room in the queue.
        unsafe { self.push(&file.address(request).user_data(mark.0)) }
    }

    /// An address that lives until the next `enter`, with room in the queue for the request that names it.
    #[inline]
    fn name(&mut self, family: Family, to: Endpoint) -> io::Result<Option<*const libc::sockaddr>> {
        if self.io.submission().is_full() {
            self.enter()?;
        }
        let name = &mut self.names[self.named];
        if family.encode(to, name).is_none() {
            return Ok(None);
        }
        self.named += 1;
        Ok(Some(name.0.as_ptr().cast()))
    }

    /// Looks whether there is a packet in `file`; completes with `EAGAIN` if there is none.
    pub(super) fn peek(&mut self, file: &File, mark: Mark) -> io::Result<()> {
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        let nowhere = std::ptr::NonNull::<u8>::dangling().as_ptr();
        let request = opcode::Recv::new(file.fd(), nowhere, 0)
            .flags(flags)
            .build();
        // SAFETY: the request's buffer has no bytes.
        unsafe { self.push(&file.address(request).user_data(mark.0)) }
    }

    /// Sends `len` bytes from `file`, to `to` unless it is connected. Completes only if it fails.
    /// `false` if `to` is not of the family of `file`.
    ///
    /// # Safety
    /// The bytes live, unchanged, until the next [`Self::enter`] returns.
    #[inline]
    pub(super) unsafe fn send(
        &mut self,
        file: &File,
        bytes: *const u8,
        len: usize,
        to: Option<(Family, Endpoint)>,
        mark: Mark,
    ) -> io::Result<bool> {
        let mut request = opcode::Send::new(file.fd(), bytes, len as u32).flags(libc::MSG_DONTWAIT);
        if let Some((family, to)) = to {
            let Some(name) = self.name(family, to)? else {
                return Ok(false);
            };
            request = request
                .dest_addr(name)
                .dest_addr_len(family.addr_len() as libc::socklen_t);
        }
        let request = file
            .address(request.build())
            .flags(Flags::SKIP_SUCCESS)
            .user_data(mark.0);
        // SAFETY: the caller keeps the bytes. Names are used in turn and from the start after an `enter`,
        // and there is one for each request that can be queued, so none is written twice in between;
        // with a name there was room in the queue, so `push` does not enter between the two.
        unsafe { self.push(&request) }?;
        Ok(true)
    }

    /// Sets the TOS byte of what leaves from `file`.
    pub(super) fn set_tos(
        &mut self,
        file: &File,
        family: Family,
        tos: u8,
        mark: Mark,
    ) -> io::Result<()> {
        let (level, option) = match family {
            Family::V4 => (libc::IPPROTO_IP, libc::IP_TOS),
            Family::V6 { .. } => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
        };
        let value = (&raw const TOS[usize::from(tos)]).cast();
        let len = size_of::<i32>() as u32;
        let request =
            opcode::SetSockOpt::new(file.fd(), level as u32, option as u32, value, len).build();
        // SAFETY: the value is in a static.
        unsafe { self.push(&file.address(request).user_data(mark.0)) }
    }

    /// Ends the receive that was queued with `mark`.
    pub(super) fn cancel(&mut self, mark: Mark) -> io::Result<()> {
        let done = Mark::bare(Kind::Cancel);
        let request = opcode::AsyncCancel::new(mark.0).build().user_data(done.0);
        // SAFETY: the request points at nothing.
        unsafe { self.push(&request) }
    }

    /// Completes whenever `fd` becomes readable.
    pub(super) fn watch(&mut self, fd: i32, mark: Mark) -> io::Result<()> {
        let request = opcode::PollAdd::new(Fd(fd), libc::POLLIN as u32)
            .multi(true)
            .build();
        // SAFETY: the request points at nothing.
        unsafe { self.push(&request.user_data(mark.0)) }
    }

    /// Completes once, after a tick.
    pub(super) fn tick(&mut self, mark: Mark) -> io::Result<()> {
        let request = opcode::Timeout::new(&raw const TICK_TIME).build();
        // SAFETY: the time is a static.
        unsafe { self.push(&request.user_data(mark.0)) }
    }

    /// Hands all queued requests to the kernel.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        self.enter_with(0, 0)
    }

    /// Hands all queued requests to the kernel and lets it do what it deferred, such as receiving; with
    /// `sleep`, waits for a completion if there is none.
    ///
    /// Who is woken gets one: the kernel carries out as much deferred work then as was waited for, though
    /// more of it came in with the same interrupt. A second look takes it before that one is judged: a turn
    /// for one packet costs what a turn for five does.
    pub(super) fn enter_for_events(&mut self, sleep: bool) -> io::Result<()> {
        self.enter_with(u32::from(sleep), self.waiting)?;
        if sleep && self.io.completion().len() == 1 {
            self.enter_with(0, self.waiting)?;
        }
        Ok(())
    }

    fn enter_with(&mut self, mut least: u32, flags: u32) -> io::Result<()> {
        for _ in 0..ENTER_TRIES {
            let queued = self.io.submission().len() as u32;
            let submitter = self.io.submitter();
            // SAFETY: flags and counts ask for nothing that points anywhere; what the queued requests
            // point at is alive by the contract of `push`.
            let entered = unsafe { submitter.enter::<()>(queued, least, flags, None) };
            match entered.map_err(|error| error.raw_os_error()) {
                Ok(_) | Err(Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)) => {}
                Err(errno) => return Err(io::Error::from_raw_os_error(errno.unwrap_or(libc::EIO))),
            }
            if self.io.submission().is_empty() {
                self.named = 0;
                return Ok(());
            }
            least = 0;
        }
        Err(io::Error::other("the kernel takes no requests"))
    }

    /// Whether half of the queue is taken.
    pub(super) fn is_half_full(&mut self) -> bool {
        let queue = self.io.submission();
        queue.len() * 2 >= queue.capacity()
    }

    /// Moves up to `most` completions to `into`; says whether there are more.
    #[inline]
    pub(super) fn completions(&mut self, most: usize, into: &mut Vec<cqueue::Entry>) -> bool {
        let mut queue = self.io.completion();
        into.extend(queue.by_ref().take(most));
        !queue.is_empty()
    }

    /// Waits for a completion, but not for long.
    pub(super) fn linger(&mut self) -> io::Result<()> {
        self.enter()?;
        let short = Timespec::new().nsec(5_000_000);
        let args = SubmitArgs::new().timespec(&short);
        match self.io.submitter().submit_with_args(1, &args) {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts `fd` into the file table, or with -1 empties the entry.
    pub(super) fn update_file(&self, index: u32, fd: i32) -> io::Result<()> {
        self.io
            .submitter()
            .register_files_update(index, &[fd])
            .map(drop)
    }

    /// Gives up the file table.
    pub(super) fn unregister_files(&self) -> io::Result<()> {
        self.io.submitter().unregister_files()
    }
}

/// Builds a ring; `NO_SQARRAY` saves an indirection where the kernel has it (6.6).
fn build() -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_submit_all()
        .setup_cqsize(COMPLETIONS)
        .dontfork();
    builder
        .clone()
        .setup_no_sqarray()
        .build(REQUESTS)
        .or_else(|_| builder.build(REQUESTS))
}

/// How a multishot receive is told the length of a source's address.
fn layout(name_len: usize) -> libc::msghdr {
    libc::msghdr {
        msg_name: std::ptr::null_mut(),
        msg_namelen: name_len as libc::socklen_t,
        msg_iov: std::ptr::null_mut(),
        msg_iovlen: 0,
        msg_control: std::ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    }
}
