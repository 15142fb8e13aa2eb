//! A thread's place among those of its core (sched(7), `setpriority(2)`).
//!
//! A worker that wakes waits until whoever runs has used up its slice, milliseconds by default: a burst of
//! handshakes on a worker's core would be heard in its media. A thread that stands back is put aside for a
//! worker at once, and still gets a tenth of a core that is full.

use std::io;

/// Nice by this much: a tenth of an ordinary thread's weight.
const NICE: libc::c_int = 10;

/// Lets this thread stand back behind media, for good.
pub fn stand_back() -> io::Result<()> {
    // SAFETY: takes no pointers. On Linux 0 is the calling thread, not its process.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_that_asks_stands_back() {
        // SAFETY: takes no pointers.
        let nice = || unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
        let before = nice();
        let theirs = std::thread::Builder::new().spawn(move || {
            stand_back().expect("anyone may");
            nice()
        });
        let theirs = theirs.expect("a thread");
        assert_eq!(theirs.join().expect("ends"), NICE.max(before));
        assert_eq!(nice(), before);
    }
}
