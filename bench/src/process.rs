//! What the relay costs, from `/proc`: scheduler run time of its threads, what else its core does to forward
//! packets, its memory and its descriptors.

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
    /// Time that all forwarding took on the core, whoever was billed for it, in steps of 10 ms: interrupts,
    /// softirqs, kernel threads that poll links, and the process.
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
        let core = match self.core {
            Some(core) => TICK * (interrupts(core)? + pollers()? + ticks(self.pid)),
            None => 0,
        };
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

/// Nanoseconds of the kernel's statistics' unit: USER_HZ is 100 on every Linux ABI in use.
const TICK: u64 = 10_000_000;

/// Ticks in which core `id` served interrupts and softirqs, from `/proc/stat` (proc(5)).
fn interrupts(id: usize) -> Result<u64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let name = format!("cpu{id}");
    let line = stat
        .lines()
        .find(|l| l.split_whitespace().next() == Some(&name))
        .with_context(|| format!("no core {id} in /proc/stat"))?;
    // user nice system idle iowait irq softirq
    let fields = line.split_whitespace().skip(1 + 5).take(2);
    let fields: Vec<u64> = fields.map_while(|f| f.parse().ok()).collect();
    ensure!(fields.len() == 2, "short line for {name} in /proc/stat");
    Ok(fields.iter().sum())
}

/// Ticks of the kernel threads that poll links.
fn pollers() -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse::<u32>().ok());
        let Some(pid) = pid else { continue };
        let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if comm.starts_with("napi/") {
            sum += ticks(pid);
        }
    }
    Ok(sum)
}

/// Ticks of all threads of a process, softirqs in their context not included.
fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is a name in brackets, which may hold spaces; utime is the 14th.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields = rest.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
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
        let core = me.cpu().expect("readable").since(before).core;
        assert!(core < 1_000_000_000, "{core} ns in a moment");
        assert!(me.resident().expect("readable") > 100_000);
        assert!(me.descriptors().expect("readable") >= 3);
    }
}
