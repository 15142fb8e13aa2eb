//! Opens sockets in another network namespace (`setns(2)`); a socket stays where it was made.

#![expect(
    unsafe_code,
    reason = "setns has no safe wrapper in the standard library"
)]

use std::fs::File;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};

/// Runs `make` with this thread inside the namespace that `ip netns` knows by that name, or that lies at that
/// path; right here for `None`.
pub(crate) fn inside<T>(name: Option<&str>, make: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(name) = name else { return make() };
    let home = File::open("/proc/thread-self/ns/net").context("own network namespace")?;
    let path = if name.contains('/') {
        name.to_owned()
    } else {
        format!("/run/netns/{name}")
    };
    let there = File::open(&path).with_context(|| format!("network namespace {path}"))?;
    enter(&there).with_context(|| format!("entering network namespace {name} (needs root)"))?;
    let made = make();
    enter(&home).context("returning from a network namespace")?;
    made
}

fn enter(namespace: &File) -> std::io::Result<()> {
    // SAFETY: setns takes no pointer; the descriptor is open because `namespace` is borrowed.
    let done = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    if done == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}
