//! A netlink socket (`rtnetlink(7)`), which never waits.
//!
//! Invariant of the unsafe code: the kernel reads only the address that it is given, with its length.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// What changes where packets go: links, neighbours, and addresses, routes and rules of either family
/// (`RTNLGRP_…`), a bit each.
pub const CHANGES: u32 = {
    let groups = [1, 3, 5, 7, 8, 9, 11, 19];
    let mut bits = 0;
    let mut at = 0;
    while at < groups.len() {
        bits |= 1 << (groups[at] - 1);
        at += 1;
    }
    bits
};

/// Opens a socket in the thread's network namespace that hears the news of `groups`.
pub(crate) fn open(groups: u32) -> io::Result<File> {
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
    name.nl_groups = groups;
    let len = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    // SAFETY: the name is live and as long as said.
    if unsafe { libc::bind(fd.as_raw_fd(), (&raw const name).cast(), len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(fd.into())
}
