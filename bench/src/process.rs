//! What the relay costs, from `/proc`: scheduler run time of its threads, its core's busy time,
//! its memory and its descriptors.

use std::fs;

use anyhow::{Context, Result, ensure};

/// A process to watch, and the core it is pinned to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    /// Process id.
    pub(crate) pid: u32,
    /// Its core, if it has one of its own.
    pub(crate) core: Option<usize>,
}

/// CPU time at one moment, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuTime {
    /// Run time of all threads, by the scheduler's own clock.
    pub(crate) process: u64,
    /// Time the core was not idle, in steps of 10 ms.
    pub(crate) core: u64,
}

impl CpuTime {
    /// What was used since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            process: self.process.saturating_sub(earlier.process),
            core: self.core.saturating_sub(earlier.core),
        }
    }
}

impl Process {
    /// The process `pid`, if there is one.
    pub(crate) fn new(pid: u32, core: Option<usize>) -> Result<Self> {
        let this = Self { pid, core };
        this.cpu()
            .with_context(|| format!("no process {pid} to watch"))?;
        Ok(this)
    }

    /// CPU time so far.
    pub(crate) fn cpu(&self) -> Result<CpuTime> {
        let mut process = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            // A thread may end between the listing and the read.
            let Ok(line) = fs::read_to_string(task?.path().join("schedstat")) else {
                continue;
            };
            let run = line
                .split_whitespace()
                .next()
                .and_then(|w| w.parse::<u64>().ok());
            process += run.unwrap_or(0);
        }
        let core = self.core.map(core_busy).transpose()?.unwrap_or(0);
        Ok(CpuTime { process, core })
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> Result<u64> {
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
    pub(crate) fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid))?.count())
    }

    pub(crate) fn is_alive(&self) -> bool {
        // A zombie has no descriptors left to list and no memory.
        self.resident().is_ok()
    }
}

/// Time core `id` was not idle, in nanoseconds, from `/proc/stat` (proc(5)).
fn core_busy(id: usize) -> Result<u64> {
    const TICK_NS: u64 = 10_000_000; // USER_HZ is 100 on every Linux ABI in use
    let stat = fs::read_to_string("/proc/stat")?;
    let name = format!("cpu{id}");
    let line = stat
        .lines()
        .find(|l| l.split_whitespace().next() == Some(&name))
        .with_context(|| format!("no core {id} in /proc/stat"))?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .map_while(|f| f.parse().ok())
        .collect();
    ensure!(fields.len() >= 8, "short line for {name} in /proc/stat");
    // user nice system idle iowait irq softirq steal; guest time is part of user
    Ok((fields[..3].iter().sum::<u64>() + fields[5..8].iter().sum::<u64>()) * TICK_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_what_it_spends() {
        let me = Process::new(std::process::id(), Some(0)).expect("we exist");
        let before = me.cpu().expect("readable");
        let until = crate::os::clock::now() + std::time::Duration::from_millis(50);
        while crate::os::clock::now() < until {
            std::hint::spin_loop();
        }
        let used = me.cpu().expect("readable").since(before).process;
        assert!(used > 5_000_000, "{used} ns of CPU in 50 ms of spinning");
        assert!(me.resident().expect("readable") > 100_000);
        assert!(me.descriptors().expect("readable") >= 3);
    }
}
