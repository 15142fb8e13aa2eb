//! What the relay costs, from `/proc`: scheduler run time of its threads, its memory and its descriptors.

use std::fs;

use anyhow::{Context, Result};

/// A process to watch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    /// Process id.
    pub(crate) pid: u32,
}

impl Process {
    /// The process `pid`, if there is one.
    pub(crate) fn new(pid: u32) -> Result<Self> {
        let this = Self { pid };
        this.cpu()
            .with_context(|| format!("no process {pid} to watch"))?;
        Ok(this)
    }

    /// Run time of all threads so far, in nanoseconds by the scheduler's own clock.
    pub(crate) fn cpu(self) -> Result<u64> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            // A thread may end between the listing and the read.
            let Ok(line) = fs::read_to_string(task?.path().join("schedstat")) else {
                continue;
            };
            let run = line
                .split_whitespace()
                .next()
                .and_then(|w| w.parse::<u64>().ok());
            sum += run.unwrap_or(0);
        }
        Ok(sum)
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        let kib: u64 = line
            .split_whitespace()
            .next()
            .context("no value")?
            .parse()?;
        Ok(kib * 1024)
    }

    /// Open descriptors.
    pub(crate) fn descriptors(self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid))?.count())
    }

    pub(crate) fn is_alive(self) -> bool {
        // A zombie has no descriptors left to list and no memory.
        self.resident().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_what_it_spends() {
        let me = Process::new(std::process::id()).expect("we exist");
        let before = me.cpu().expect("readable");
        let until = crate::os::clock::now() + std::time::Duration::from_millis(50);
        while crate::os::clock::now() < until {
            std::hint::spin_loop();
        }
        let used = me.cpu().expect("readable") - before;
        assert!(used > 5_000_000, "{used} ns of CPU in 50 ms of spinning");
        assert!(me.resident().expect("readable") > 100_000);
        assert!(me.descriptors().expect("readable") >= 3);
    }
}
