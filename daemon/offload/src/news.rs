//! Tells the program that links, addresses, neighbours, routes or rules may have changed (`rtnetlink(7)`): it then
//! asks the kernel anew where packets go.
//!
//! What the news say does not matter, only that there are some. They are heard once a tick at most, however many
//! there are: neighbours come and go all the time.
//!
//! Invariant of the unsafe code: the kernel reads only the address that it is given, with its length.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use aya::maps::{Array, MapData};

/// Links, neighbours, and addresses, routes and rules of either family (`RTNLGRP_…`).
const GROUPS: [u32; 8] = [1, 3, 5, 7, 8, 9, 11, 19];

/// The number that the program compares.
pub(crate) type Number = Array<MapData, u32>;

/// A connection to the kernel, and the number.
pub(crate) struct News {
    /// Opened when it is asked for first, in the worker's own thread.
    socket: Option<File>,
    number: Number,
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = &self.socket;
        f.debug_struct("News")
            .field("socket", socket)
            .finish_non_exhaustive()
    }
}

impl News {
    pub(crate) const fn new(number: Number) -> Self {
        Self {
            socket: None,
            number,
        }
    }

    /// Passes on that there were news since the last time, if there were. The first time it begins to listen.
    pub(crate) fn pass_on(&mut self) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(open()?),
        };
        if hear(socket) {
            let now = self.number.get(&0, 0).map_err(io::Error::other)?;
            let next = now.wrapping_add(1);
            self.number.set(0, next, 0).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

/// Whether anything was told. Where more was told than there is room for, something was.
fn hear(socket: &mut File) -> bool {
    let mut bytes = [0; 8192];
    let mut heard = false;
    loop {
        match socket.read(&mut bytes) {
            Ok(_) => heard = true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return heard,
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => heard = true,
            Err(_) => return true,
        }
    }
}

/// A connection in the thread's network namespace.
fn open() -> io::Result<File> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: open, new, and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: integers, for which zero is a value.
    let mut name: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    name.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    name.nl_groups = GROUPS.iter().fold(0, |bits, group| bits | 1 << (group - 1));
    let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    // SAFETY: the name is live and as long as said.
    if unsafe { libc::bind(fd.as_raw_fd(), (&raw const name).cast(), len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(fd.into())
}
