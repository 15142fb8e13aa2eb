//! The process as its operating system sees it, under the names that all exporters use.

use std::fs;

use prometheus::proto::MetricFamily;

use super::family::Family;

/// Clock ticks a second in `/proc/self/stat`; fixed on every Linux that is not 30 years old.
const TICKS: f64 = 100.0;
/// The unit of `VmRSS` in `/proc/self/status`.
const KIB_OF_VM_RSS: f64 = 1024.0;

/// Descriptors, memory, processor time.
pub fn families(started: f64, descriptors: usize) -> Vec<MetricFamily> {
    let mut all = vec![
        Family::gauge(
            "process_start_time_seconds",
            "Unix time at which the process started.",
        )
        .with(&[], started),
        Family::gauge(
            "process_max_fds",
            "Descriptors that the process may have open.",
        )
        .with(&[], descriptors as f64),
    ];
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        let family = Family::gauge("process_open_fds", "Descriptors that are open.");
        all.push(family.with(&[], open.count() as f64));
    }
    if let Some(kib) = fs::read_to_string("/proc/self/status")
        .ok()
        .as_deref()
        .and_then(resident)
    {
        let family = Family::gauge("process_resident_memory_bytes", "Resident memory.");
        all.push(family.with(&[], kib * KIB_OF_VM_RSS));
    }
    if let Some(ticks) = fs::read_to_string("/proc/self/stat")
        .ok()
        .as_deref()
        .and_then(ticks)
    {
        let help = "Processor time used, of user and kernel together.";
        let family = Family::counter("process_cpu_seconds_total", help);
        all.push(family.with(&[], ticks / TICKS));
    }
    all.into_iter().filter_map(Family::finish).collect()
}

fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The name in brackets may hold spaces, so fields are counted from behind it.
fn ticks(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let kernel: f64 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20 0 1 0 5";
        assert_eq!(ticks(stat), Some(42.0));
        assert_eq!(ticks("7 (a) S"), None);
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let families = families(1.0, 10);
        let value = |name: &str| {
            let family = families.iter().find(|f| f.name() == name).expect(name);
            family.get_metric()[0].get_gauge().get_value()
        };
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_resident_memory_bytes") > 100_000.0);
    }
}
