//! How busy the machine is, once a second, against the limits for new calls.

use patchcord_contract::Time;
use patchcord_control::LoadLimit;

use crate::config::Limits;

/// What was measured last; what no limit asks for is not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Load average of the last minute.
    pub average: Option<f64>,
    /// Share of all processors that was busy since the sample before, percent.
    pub cpu: Option<f64>,
    /// Bytes of media received a second since then.
    pub bandwidth: Option<f64>,
}

/// Measures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load {
    sample: Sample,
    cpu: Option<Ticks>,
    bytes: Option<(Time, u64)>,
}

/// Time that all processors spent, in the kernel's ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    idle: u64,
    total: u64,
}

impl Load {
    /// What was measured last.
    pub const fn sample(&self) -> Sample {
        self.sample
    }

    /// Measures what `limits` ask for; `bytes` is how much media came in so far.
    pub fn measure(&mut self, now: Time, bytes: u64, limits: &Limits) -> Sample {
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let average = limits.load.and_then(|_| read("/proc/loadavg"));
        let stat = limits.cpu.and_then(|_| read("/proc/stat"));
        let ticks = stat.as_deref().and_then(ticks);
        self.sample = Sample {
            average: average.as_deref().and_then(average_of),
            cpu: self.cpu.zip(ticks).and_then(|(then, now)| busy(then, now)),
            bandwidth: self.bytes.and_then(|(then, before)| {
                let passed = now.since(then).as_secs_f64();
                (passed > 0.0).then(|| bytes.saturating_sub(before) as f64 / passed)
            }),
        };
        self.cpu = ticks;
        self.bytes = limits.bandwidth.map(|_| (now, bytes));
        self.sample
    }
}

impl Sample {
    /// The limit that is exceeded, if one is.
    pub fn exceeds(&self, limits: &Limits) -> Option<LoadLimit> {
        let above = |measured: Option<f64>, most: Option<f64>| {
            measured.zip(most).is_some_and(|(is, most)| is > most)
        };
        if above(self.cpu, limits.cpu) {
            Some(LoadLimit::Cpu)
        } else if above(self.average, limits.load) {
            Some(LoadLimit::Load)
        } else if above(self.bandwidth, limits.bandwidth.map(|most| most as f64)) {
            Some(LoadLimit::Bandwidth)
        } else {
            None
        }
    }
}

/// The first number of `/proc/loadavg`.
fn average_of(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

/// The line `cpu` of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal. What guests
/// use is in user and nice already.
fn ticks(text: &str) -> Option<Ticks> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .take(8)
        .map_while(|field| field.parse().ok())
        .collect();
    let idle = fields.get(3)? + fields.get(4).copied().unwrap_or(0);
    Some(Ticks {
        idle,
        total: fields.iter().sum(),
    })
}

/// Percent of the time between two samples that was not idle.
fn busy(then: Ticks, now: Ticks) -> Option<f64> {
    let total = now
        .total
        .checked_sub(then.total)
        .filter(|total| *total > 0)?;
    // The kernel's idle time has been seen to step back.
    let idle = now.idle.saturating_sub(then.idle).min(total);
    Some(100.0 * (total - idle) as f64 / total as f64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NONE: Limits = Limits {
        calls: None,
        load: None,
        cpu: None,
        bandwidth: None,
        cookie_cache: 0,
        http_body: 0,
        http_timeout: Duration::ZERO,
        idle_timeout: None,
        connections: 0,
    };

    #[test]
    fn what_procfs_says_is_read() {
        assert_eq!(average_of("0.52 0.58 0.59 3/602 12345\n"), Some(0.52));
        let one = ticks("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1 1 1 1\n").expect("a line");
        let two = ticks("cpu  160 0 70 880 90 0 0 0 7 0\n").expect("a line");
        assert_eq!(one.total, 1_000, "guests are not counted twice");
        assert_eq!(busy(one, two), Some(40.0));
        assert_eq!(busy(two, two), None, "no time has passed");
        let back = Ticks { idle: 0, ..two };
        assert_eq!(busy(one, back), Some(100.0));
        for bad in ["", "cpu", "cpu  x", "intr 1 2", "cpu  1 2"] {
            assert_eq!(ticks(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn each_limit_has_its_own_refusal() {
        let sample = Sample {
            average: Some(4.0),
            cpu: Some(90.0),
            bandwidth: Some(1_001.0),
        };
        assert_eq!(sample.exceeds(&NONE), None);
        let of = |limits: Limits| sample.exceeds(&limits);
        let (cpu, load) = (
            |most| Limits {
                cpu: Some(most),
                ..NONE
            },
            |most| Limits {
                load: Some(most),
                ..NONE
            },
        );
        assert_eq!((of(cpu(90.0)), of(cpu(89.9))), (None, Some(LoadLimit::Cpu)));
        assert_eq!(
            (of(load(4.0)), of(load(3.9))),
            (None, Some(LoadLimit::Load))
        );
        let bandwidth = |most| Limits {
            bandwidth: Some(most),
            ..NONE
        };
        assert_eq!(of(bandwidth(1_001)), None);
        assert_eq!(of(bandwidth(1_000)), Some(LoadLimit::Bandwidth));
        assert_eq!(
            Sample::default().exceeds(&cpu(0.1)),
            None,
            "unknown is not too much"
        );
    }

    #[test]
    fn a_rate_needs_two_samples() {
        let limits = Limits {
            bandwidth: Some(1),
            ..NONE
        };
        let mut load = Load::default();
        assert_eq!(
            load.measure(Time::from_secs(1), 5_000, &limits).bandwidth,
            None
        );
        let sample = load.measure(Time::from_secs(3), 9_000, &limits);
        assert_eq!(sample.bandwidth, Some(2_000.0));
        assert_eq!(sample.cpu, None, "nobody asked");
    }

    #[test]
    fn this_machine_can_be_measured() {
        let limits = Limits {
            load: Some(1.0),
            cpu: Some(50.0),
            ..NONE
        };
        let mut load = Load::default();
        let first = load.measure(Time::from_secs(1), 0, &limits);
        assert!(first.average.is_some_and(|average| average >= 0.0));
        assert!(load.cpu.is_some_and(|ticks| ticks.total > 0));
    }
}
