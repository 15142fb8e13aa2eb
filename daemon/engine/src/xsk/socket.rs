//! An `AF_XDP` socket: bound to one receive queue of one interface, with four rings of its own and frames of a
//! memory that it may share with sockets of other queues and interfaces.
//!
//! Own code: the crates at hand share no memory between sockets, and a frame has to get from one interface to
//! another without being copied. Invariant of the unsafe code: what the kernel is given a pointer to is a live
//! value of the type that the option's name stands for, and of the length said.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use patchcord_offload::Entrance;

use super::memory::{FRAME, Memory};
use super::ring::{Consumer, Kind, Producer};

/// The kernel's `SO_PREFER_BUSY_POLL`.
const PREFER_BUSY_POLL: i32 = 69;
/// The kernel's `SO_BUSY_POLL_BUDGET`.
const BUSY_POLL_BUDGET: i32 = 70;
/// The kernel's `XDP_MAX_TX_SKB_BUDGET`, since 6.17: packets sent by one call in copy mode, else 32.
const SEND_BUDGET: i32 = 9;

/// How long a call may poll the driver, µs; ours ask once and return.
const BUSY_POLL: u32 = 20;
/// Packets that a driver hands over in one poll.
const BUDGET: u32 = 64;
/// What `SO_SNDBUF` is set to: in copy mode what is on its way counts.
const SEND_BUFFER: u32 = 16 << 20;

/// How many elements the rings have; powers of two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Frames to be filled, and received ones.
    pub(super) receiving: u32,
    /// Frames to be sent, and sent ones.
    pub(super) sending: u32,
}

/// Whether drivers may use the frames themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Where they can.
    Any,
    /// No: the kernel copies each packet once.
    Copy,
}

/// A socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) fill: Producer<u64>,
    pub(super) received: Consumer<libc::xdp_desc>,
    pub(super) send: Producer<libc::xdp_desc>,
    pub(super) sent: Consumer<u64>,
    is_zero_copy: bool,
    fd: OwnedFd,
}

impl Socket {
    /// Opens a socket and binds it to a queue. It registers `memory` if it is the first of it, and else shares it
    /// with `first`.
    pub(super) fn open(
        memory: &Memory,
        first: Option<&Self>,
        entrance: &Entrance,
        sizes: Sizes,
        mode: Mode,
    ) -> io::Result<Self> {
        // SAFETY: `socket` takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened by the call above and nothing else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if first.is_none() {
            register(fd.as_fd(), memory)?;
        }
        let rings = [
            (libc::XDP_UMEM_FILL_RING, sizes.receiving),
            (libc::XDP_RX_RING, sizes.receiving),
            (libc::XDP_TX_RING, sizes.sending),
            (libc::XDP_UMEM_COMPLETION_RING, sizes.sending),
        ];
        for (ring, size) in rings {
            set(fd.as_fd(), libc::SOL_XDP, ring, &size)?;
        }
        let offsets = offsets(fd.as_fd())?;
        let kind = |offset, parts| Kind { offset, parts };
        let fill = kind(libc::XDP_UMEM_PGOFF_FILL_RING.cast_signed(), offsets.fr);
        let sent = kind(
            libc::XDP_UMEM_PGOFF_COMPLETION_RING.cast_signed(),
            offsets.cr,
        );
        let received = kind(libc::XDP_PGOFF_RX_RING, offsets.rx);
        let send = kind(libc::XDP_PGOFF_TX_RING, offsets.tx);
        let mut socket = Self {
            fill: Producer::new(fd.as_fd(), fill, sizes.receiving)?,
            received: Consumer::new(fd.as_fd(), received, sizes.receiving)?,
            send: Producer::new(fd.as_fd(), send, sizes.sending)?,
            sent: Consumer::new(fd.as_fd(), sent, sizes.sending)?,
            is_zero_copy: false,
            fd,
        };
        socket.bind(first, entrance, mode)?;
        Ok(socket)
    }

    fn bind(&mut self, first: Option<&Self>, entrance: &Entrance, mode: Mode) -> io::Result<()> {
        let (flags, shared) = match (first, mode) {
            // The first one's flags hold for all.
            (Some(first), _) => (libc::XDP_SHARED_UMEM, first.fd.as_raw_fd() as u32),
            (None, Mode::Any) => (libc::XDP_USE_NEED_WAKEUP, 0),
            (None, Mode::Copy) => (libc::XDP_USE_NEED_WAKEUP | libc::XDP_COPY, 0),
        };
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: flags,
            sxdp_ifindex: entrance.index,
            sxdp_queue_id: entrance.queue,
            sxdp_shared_umem_fd: shared,
        };
        let len = size_of::<libc::sockaddr_xdp>() as u32;
        // SAFETY: a live address of that length, which is only read.
        let bound = unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), len) };
        if bound < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut options = libc::xdp_options { flags: 0 };
        get(self.as_fd(), libc::XDP_OPTIONS, &mut options)?;
        self.is_zero_copy = options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0;
        // Both are for speed: where the kernel knows or permits less, less it is.
        let budget = set(self.as_fd(), libc::SOL_XDP, SEND_BUDGET, &BUDGET);
        let forced = set(
            self.as_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUFFORCE,
            &SEND_BUFFER,
        );
        tracing::debug!(?budget, ?forced, "options of an AF_XDP socket");
        Ok(())
    }

    /// Lets each call of [`Self::poll`] ask the driver, which then asks for no interrupt.
    pub(super) fn poll_busily(&self) -> io::Result<()> {
        let socket = libc::SOL_SOCKET;
        set(self.as_fd(), socket, PREFER_BUSY_POLL, &1_u32)?;
        set(self.as_fd(), socket, libc::SO_BUSY_POLL, &BUSY_POLL)?;
        set(self.as_fd(), socket, BUSY_POLL_BUDGET, &BUDGET)
    }

    /// Whether the driver uses the frames itself.
    pub(super) fn is_zero_copy(&self) -> bool {
        self.is_zero_copy
    }

    /// Lets the kernel send what is in the ring, as far as it wants to be told; the error number if it did
    /// not take all.
    pub(super) fn kick(&self) -> Result<(), i32> {
        if !self.send.wants_waking() {
            return Ok(());
        }
        // SAFETY: no bytes and no address.
        let done = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                std::ptr::null(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null(),
                0,
            )
        };
        if done < 0 {
            return Err(io::Error::last_os_error()
                .raw_os_error()
                .unwrap_or(libc::EIO));
        }
        Ok(())
    }

    /// Lets the kernel look at the fill ring, and the driver at its queue.
    pub(super) fn poll(&self) {
        // SAFETY: no bytes and no address. There is nothing to learn from an error: packets come or do not.
        unsafe {
            libc::recvfrom(
                self.fd.as_raw_fd(),
                std::ptr::null_mut(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Lets the kernel use `memory`.
fn register(socket: BorrowedFd<'_>, memory: &Memory) -> io::Result<()> {
    let memory = libc::xdp_umem_reg {
        addr: memory.address(),
        len: (memory.count() * FRAME) as u64,
        chunk_size: FRAME as u32,
        headroom: 0,
        flags: 0,
        tx_metadata_len: 0,
    };
    set(socket, libc::SOL_XDP, libc::XDP_UMEM_REG, &memory)
}

fn offsets(socket: BorrowedFd<'_>) -> io::Result<libc::xdp_mmap_offsets> {
    let none = || libc::xdp_ring_offset {
        producer: 0,
        consumer: 0,
        desc: 0,
        flags: 0,
    };
    let mut offsets = libc::xdp_mmap_offsets {
        rx: none(),
        tx: none(),
        fr: none(),
        cr: none(),
    };
    get(socket, libc::XDP_MMAP_OFFSETS, &mut offsets)?;
    Ok(offsets)
}

fn set<T>(socket: BorrowedFd<'_>, level: i32, option: i32, value: &T) -> io::Result<()> {
    let len = size_of::<T>() as u32;
    // SAFETY: a live value of that length, which is only read.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            len,
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Reads an option of `AF_XDP`, of which every value is a number.
fn get<T>(socket: BorrowedFd<'_>, option: i32, value: &mut T) -> io::Result<()> {
    let mut len = size_of::<T>() as u32;
    // SAFETY: exclusively borrowed values; the kernel writes no more bytes than `len` says.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_XDP,
            option,
            std::ptr::from_mut(value).cast(),
            &raw mut len,
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
