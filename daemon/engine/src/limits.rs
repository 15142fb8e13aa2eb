//! Descriptors: how many ports fit, and what to say when they do not.
//!
//! Under `uring` a worker keeps its sockets in its ring's file table, which may have as many entries as
//! the process may have descriptors, and only the rest as descriptors; under `mmsg` and `xsk` each is a
//! descriptor, and under `steer` none is.
//! Invariant of the unsafe code: the kernel reads or writes only the `rlimit` it is given.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::worker::BackendKind;

/// Descriptors that the process needs besides its ports: rings, queues, control connections, logs.
pub const RESERVED: usize = 512;

/// Raises the soft limit of open descriptors to the hard limit and returns it.
pub fn raise_descriptors() -> io::Result<usize> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a live, exclusively borrowed rlimit, the only memory the call writes.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is a live rlimit, which the call only reads.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

/// How many ports `workers` workers can hold when the process may have `descriptors`.
pub fn capacity(backend: BackendKind, workers: usize, descriptors: usize) -> usize {
    let plain = descriptors.saturating_sub(RESERVED);
    match backend {
        BackendKind::Uring => plain.saturating_add(workers.saturating_mul(table(descriptors))),
        BackendKind::Mmsg | BackendKind::Xsk => plain,
        // A port is an address.
        BackendKind::Steer => usize::MAX,
    }
}

/// Says what is missing for `ports` ports, if anything.
pub fn check(
    backend: BackendKind,
    workers: usize,
    ports: usize,
    descriptors: usize,
) -> Result<(), Shortage> {
    let fit = capacity(backend, workers, descriptors);
    if ports <= fit {
        return Ok(());
    }
    let need = match backend {
        BackendKind::Uring => (ports + RESERVED).div_ceil(workers + 1),
        BackendKind::Mmsg | BackendKind::Xsk | BackendKind::Steer => ports + RESERVED,
    };
    Err(Shortage {
        ports,
        fit,
        descriptors,
        need,
    })
}

/// Entries of a ring's file table when the process may have `descriptors`.
pub(crate) fn table(descriptors: usize) -> usize {
    /// The kernel's own ceiling (`IORING_MAX_FIXED_FILES`).
    const CEILING: usize = 1 << 20;
    descriptors.min(CEILING)
}

/// Descriptors that workers of this process hold for ports and twins.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// How full something is that ports and twins share. Twins are opened while there is plenty of room and
/// closed again when it runs short, long before a port would miss it.
///
/// There is plenty while much is free, and while more is free than can ever be asked for: a table
/// that all ports of the range are in already is nearly full, and what is left of it is for twins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Twins may be opened.
    Plenty,
    /// Twins may stay.
    Enough,
    /// Twins are to be closed.
    Short,
}

impl Room {
    /// The room left when `used` of `all` places are taken and at most `coming` more ports may need one.
    pub(crate) fn left(used: usize, all: usize, coming: usize) -> Self {
        let free = all.saturating_sub(used);
        match used {
            _ if used < all / 4 * 3 || free > coming.saturating_add(all / 64) => Self::Plenty,
            _ if used < all / 8 * 7 || free > coming => Self::Enough,
            _ => Self::Short,
        }
    }
}

/// The descriptors that a worker holds, counted among those of all workers.
#[derive(Debug)]
pub(crate) struct Share {
    taken: usize,
    limit: usize,
}

impl Share {
    /// None yet.
    pub(crate) fn new() -> io::Result<Self> {
        let limit = raise_descriptors()?.saturating_sub(RESERVED);
        Ok(Self { taken: 0, limit })
    }

    /// The room for more. How many ports the other workers will open is not known here.
    pub(crate) fn room(&self) -> Room {
        Room::left(TAKEN.load(Relaxed), self.limit, usize::MAX)
    }

    /// Counts a descriptor.
    pub(crate) fn take(&mut self) {
        self.taken += 1;
        TAKEN.fetch_add(1, Relaxed);
    }

    /// Counts a descriptor out.
    pub(crate) fn give(&mut self) {
        self.taken -= 1;
        TAKEN.fetch_sub(1, Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        TAKEN.fetch_sub(self.taken, Relaxed);
    }
}

/// More ports are configured than the process may open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Ports wanted.
    pub ports: usize,
    /// Ports that fit.
    pub fit: usize,
    /// The limit of open descriptors.
    pub descriptors: usize,
    /// The limit that would do.
    pub need: usize,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ports,
            fit,
            descriptors,
            need,
        } = self;
        write!(
            f,
            "{ports} media ports are configured but only {fit} fit: this process may open \
             {descriptors} descriptors; raise the limit to {need} (LimitNOFILE={need} in the systemd \
             unit, `ulimit -Hn {need}` in a shell, `--ulimit nofile={need}` for a container) or \
             configure fewer ports"
        )
    }
}

impl std::error::Error for Shortage {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_split_calls_fit_two_uring_workers() {
        assert_eq!(check(BackendKind::Uring, 2, 40_000, 20_000), Ok(()));
        assert!(check(BackendKind::Mmsg, 2, 40_000, 20_000).is_err());
    }

    #[test]
    fn the_limit_that_is_asked_for_is_enough() {
        for backend in [BackendKind::Uring, BackendKind::Mmsg] {
            for workers in 1..5 {
                let short = check(backend, workers, 40_000, 1024).expect_err("1024 are too few");
                assert_eq!(check(backend, workers, 40_000, short.need), Ok(()));
                assert!(short.to_string().contains("1024 descriptors"));
            }
        }
    }

    #[test]
    fn twins_stop_before_room_is_short() {
        let rooms = [0, 11, 12, 13, 14, 16, 17].map(|used| Room::left(used, 16, 16));
        let [
            Room::Plenty,
            Room::Plenty,
            Room::Enough,
            Room::Enough,
            rest @ ..,
        ] = rooms
        else {
            panic!("{rooms:?}");
        };
        assert_eq!(rest, [Room::Short; 3]);
        assert_eq!(Room::left(0, 0, 0), Room::Short);
    }

    #[test]
    fn what_no_port_can_need_any_more_is_for_twins() {
        let rooms = [16_000, 19_600, 19_700, 20_000].map(|used| Room::left(used, 20_000, 0));
        assert_eq!(
            rooms,
            [Room::Plenty, Room::Plenty, Room::Enough, Room::Short]
        );
        assert_eq!(Room::left(18_000, 20_000, 1_999), Room::Enough);
        assert_eq!(Room::left(18_000, 20_000, 2_000), Room::Short);
    }

    #[test]
    fn raising_reaches_the_hard_limit_and_stays() {
        let first = raise_descriptors().expect("getrlimit");
        assert_eq!(raise_descriptors().expect("getrlimit"), first);
        assert!(first > 0);
    }
}
