//! How much of a core everything on it takes together: interrupts, softirqs, kernel threads, processes.
//!
//! The kernel's own books do not tell: it counts softirqs by looking what runs at each tick of its clock, and
//! what a packet causes is over between two ticks. So a thread of the lowest priority stays on the core and
//! looks at the clock without a pause. Where its looks are further apart than they can be, the core was taken.

#![expect(
    unsafe_code,
    reason = "neither std nor libc's wrappers set a scheduling policy"
)]

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{clock, pin};

/// Between two looks that nothing came between; they take some 30 ns, and an interrupt a microsecond.
const UNDISTURBED: Duration = Duration::from_nanos(200);

/// Where a thread is put into the group above all others, by the version of control groups.
const TOP: [&str; 2] = ["/sys/fs/cgroup/cpu/tasks", "/sys/fs/cgroup/cgroup.threads"];

/// The thread; gone with the value.
pub(crate) struct Soak {
    taken: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Soak {
    /// Begins to look at core `id`.
    pub(crate) fn start(id: usize) -> Result<Self> {
        let taken = Arc::new(AtomicU64::new(0));
        let ends = Arc::new(AtomicBool::new(false));
        let (sum, over) = (Arc::clone(&taken), Arc::clone(&ends));
        let (ready, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let stands_back = pin::this_thread(id).and_then(|()| stand_back());
            let goes_on = stands_back.is_ok();
            // Whoever started this waits for it.
            drop(ready.send(stands_back));
            if goes_on {
                look(&sum, &over);
            }
        });
        let this = Self {
            taken,
            ends,
            thread: Some(thread),
        };
        told.recv().context("the thread ended")??;
        Ok(this)
    }

    /// Nanoseconds that the core was taken for since the start.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Drop for Soak {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does nothing that could panic.
            drop(thread.join());
        }
    }
}

/// Lets everything else on the core go first, whatever group it is in.
fn stand_back() -> Result<()> {
    // SAFETY: takes nothing and cannot fail.
    let thread = unsafe { libc::gettid() }.to_string();
    // A group counts as a whole: within one that outweighs the kernel's threads, this would too.
    let moved = TOP.iter().any(|top| fs::write(top, &thread).is_ok());
    ensure!(moved, "the control group of this process cannot be left");
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the structure is live and read only.
    let done = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
    if done < 0 {
        return Err(io::Error::last_os_error()).context("the lowest priority");
    }
    Ok(())
}

fn look(taken: &AtomicU64, ends: &AtomicBool) {
    let mut last = clock::now();
    while !ends.load(Ordering::Relaxed) {
        let now = clock::now();
        let apart = now.duration_since(last);
        if apart > UNDISTURBED {
            taken.fetch_add(apart.as_nanos() as u64, Ordering::Relaxed);
        }
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_others_take_is_seen() {
        pin::this_thread(0).expect("there is a first core");
        if !TOP
            .iter()
            .any(|top| fs::OpenOptions::new().write(true).open(top).is_ok())
        {
            let why = "control groups may not be left here";
            drop(writeln!(
                io::stderr(),
                "SKIPPED: what a core is taken for, because {why}"
            ));
            return;
        }
        let soak = Soak::start(0).expect("it starts");
        let until = clock::now() + Duration::from_millis(100);
        while clock::now() < until {
            std::hint::spin_loop();
        }
        // It sees what was taken when it gets the core back.
        clock::sleep(Duration::from_millis(20));
        let taken = soak.taken();
        assert!(taken >= 50_000_000, "{taken} ns, where 100 ms were taken");
    }
}
