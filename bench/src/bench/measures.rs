//! What is measured of each kind of calls, and the limits.

use std::fmt;

use super::visit::Visit;
use crate::load::search::Found;

/// What a ratio to the reference must be, or the figure itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    AtLeast(f64),
    AtMost(f64),
    ItselfAtLeast(f64),
    ItselfAtMost(f64),
    /// Of the figure of the bare program at the same hook.
    OfBareAtMost(f64),
}

impl Limit {
    /// `ratio` is that to the bare program where the limit is about it, to the reference otherwise.
    pub(super) fn holds(self, figure: f64, ratio: Option<f64>) -> bool {
        match self {
            Self::AtLeast(bound) => ratio.is_some_and(|r| r >= bound),
            Self::AtMost(bound) | Self::OfBareAtMost(bound) => ratio.is_some_and(|r| r <= bound),
            Self::ItselfAtLeast(bound) => figure >= bound,
            Self::ItselfAtMost(bound) => figure <= bound,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "x >= {bound}"),
            Self::AtMost(bound) => write!(f, "x <= {bound}"),
            Self::ItselfAtLeast(bound) => write!(f, ">= {bound}"),
            Self::ItselfAtMost(bound) => write!(f, "<= {bound}"),
            Self::OfBareAtMost(bound) => write!(f, "<= {bound} of bare"),
        }
    }
}

/// Something measured.
pub(super) struct Measure {
    pub(super) name: &'static str,
    pub(super) digits: usize,
    pub(super) limit: Option<Limit>,
    pub(super) of: fn(&Visit) -> Option<f64>,
}

/// What is compared. The limits are for the default backend; what has none is told
/// so that nothing is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Plain calls: everything.
    Plain,
    /// Calls that are plain on one side and SRTP on the other.
    Secure,
    /// Calls from browsers to plain phones.
    Browsers,
    /// Plain calls, at the steady rate alone.
    Steady,
    /// Plain calls that the kernel carries.
    Hooks,
}

impl Kind {
    /// Whether the relay was drowned as well.
    pub(super) const fn has_overload(self) -> bool {
        matches!(self, Self::Plain | Self::Hooks)
    }

    pub(super) const fn measures(self) -> &'static [Measure] {
        match self {
            Self::Plain => &PLAIN,
            Self::Secure => &SECURE,
            Self::Browsers => &BROWSERS,
            Self::Steady => STEADY,
            Self::Hooks => &HOOKS,
        }
    }
}

const SECURE: [Measure; 5] = [
    Measure {
        name: "highest rate, packets/s",
        digits: 0,
        limit: Some(Limit::AtLeast(1.8)),
        of: |v| v.highest.as_ref().map(Found::pps),
    },
    Measure {
        name: "CPU per packet at the steady rate, us",
        digits: 2,
        limit: Some(Limit::AtMost(0.5)),
        of: |v| v.steady.process_us(),
    },
    Measure {
        name: "latency p50 there, us",
        digits: 1,
        limit: None,
        of: |v| Some(v.steady.latency_us(0.5)),
    },
    Measure {
        name: "latency p99 there, us",
        digits: 0,
        limit: None,
        of: |v| Some(v.steady.latency_us(0.99)),
    },
    Measure {
        name: "highest rate of good packets, 30 % attacked, of that without",
        digits: 2,
        limit: Some(Limit::ItselfAtLeast(0.7)),
        of: |v| Some(v.attacked.as_ref()?.pps() / v.highest.as_ref()?.pps()),
    },
];

const PLAIN: [Measure; 9] = [
    Measure {
        name: "highest rate, packets/s",
        digits: 0,
        limit: Some(Limit::AtLeast(1.5)),
        of: |v| v.highest.as_ref().map(Found::pps),
    },
    Measure {
        name: "CPU per packet at the steady rate, us",
        digits: 2,
        limit: Some(Limit::AtMost(0.55)),
        of: |v| v.steady.process_us(),
    },
    Measure {
        name: "latency p50 there, us",
        digits: 1,
        limit: Some(Limit::AtMost(0.8)),
        of: |v| Some(v.steady.latency_us(0.5)),
    },
    Measure {
        name: "latency p99 there, us",
        digits: 0,
        limit: Some(Limit::AtMost(1.0)),
        of: |v| Some(v.steady.latency_us(0.99)),
    },
    Measure {
        name: "offer + answer + delete a second",
        digits: 0,
        limit: Some(Limit::AtLeast(3.0)),
        of: |v| v.setup.as_ref().map(|s| s.again.per_second()),
    },
    Measure {
        name: "CPU per offer + answer + delete, us",
        digits: 1,
        limit: Some(Limit::AtMost(0.35)),
        of: |v| v.setup.as_ref()?.again.process_us(),
    },
    Measure {
        name: "the same a second, ports never used before",
        digits: 0,
        limit: None,
        of: |v| v.setup.as_ref().map(|s| s.first.per_second()),
    },
    Measure {
        name: "CPU each, ports never used before, us",
        digits: 1,
        limit: None,
        of: |v| v.setup.as_ref()?.first.process_us(),
    },
    Measure {
        name: "resident memory per idle call, KiB",
        digits: 2,
        limit: Some(Limit::AtMost(0.25)),
        of: |v| Some(v.setup.as_ref()?.bytes_per_call()? / 1024.0),
    },
];

/// Those of `PLAIN` that need no more than the steady rate.
const STEADY: &[Measure] = PLAIN.split_at(1).1.split_at(3).0;

/// The core's time is that of everything that ran there: softirqs, threads that poll, the relay, and the
/// endpoints' packet sockets.
const HOOKS: [Measure; 7] = [
    Measure {
        name: "highest rate, packets/s",
        digits: 0,
        limit: Some(Limit::AtLeast(5.0)),
        of: |v| v.highest.as_ref().map(Found::pps),
    },
    Measure {
        name: "time of the relay's core per packet, at 300,000 a second or 0.8 of the highest rate, us",
        digits: 2,
        limit: Some(Limit::OfBareAtMost(1.25)),
        of: |v| v.core.as_ref()?.busy.core_us(),
    },
    Measure {
        name: "the same at the steady rate, us",
        digits: 2,
        limit: None,
        of: |v| v.core.as_ref()?.steady.core_us(),
    },
    Measure {
        name: "the relay's own threads there, without such a look, us",
        digits: 2,
        limit: None,
        of: |v| v.steady.process_us(),
    },
    Measure {
        name: "latency p50 there, us",
        digits: 1,
        limit: Some(Limit::AtMost(0.35)),
        of: |v| Some(v.steady.latency_us(0.5)),
    },
    Measure {
        name: "latency p99 there, us",
        digits: 0,
        limit: None,
        of: |v| Some(v.steady.latency_us(0.99)),
    },
    Measure {
        name: "offer + answer + delete a second",
        digits: 0,
        limit: None,
        of: |v| v.setup.as_ref().map(|s| s.again.per_second()),
    },
];

const BROWSERS: [Measure; 8] = [
    Measure {
        name: "calls with audio and video set up a second and core",
        digits: 0,
        limit: Some(Limit::AtLeast(3.0)),
        of: |v| Some(1e6 / v.browsers.as_ref()?.call_us()?),
    },
    Measure {
        name: "CPU per call, us",
        digits: 0,
        limit: None,
        of: |v| v.browsers.as_ref()?.call_us(),
    },
    Measure {
        name: "answer to media, one call at a time, median, ms",
        digits: 2,
        limit: Some(Limit::AtMost(1.0)),
        of: |v| Some(v.browsers.as_ref()?.prompt_ms()),
    },
    Measure {
        name: "answer to media, a fifth lost, p95, ms",
        digits: 0,
        limit: Some(Limit::ItselfAtMost(3000.0)),
        of: |v| Some(v.browsers.as_ref()?.lossy_ms()),
    },
    Measure {
        name: "sections without media, of all",
        digits: 0,
        limit: Some(Limit::ItselfAtMost(0.0)),
        of: |v| Some(v.browsers.as_ref()?.silent() as f64),
    },
    Measure {
        name: "CPU per packet, bundled SRTP to plain RTP and back, us",
        digits: 2,
        limit: Some(Limit::AtMost(0.55)),
        of: |v| v.steady.process_us(),
    },
    Measure {
        name: "p99 of plain media beside it, us",
        digits: 0,
        limit: None,
        of: |v| Some(v.browsers.as_ref()?.calm.latency_us(0.99)),
    },
    Measure {
        name: "500 calls at once add to that p99, us",
        digits: 0,
        limit: Some(Limit::ItselfAtMost(5000.0)),
        of: |v| Some(v.browsers.as_ref()?.disturbed_us()),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_look_in_the_right_direction() {
        let holds = |limit: Limit, ratio| limit.holds(0.0, Some(ratio));
        assert!(holds(Limit::AtLeast(1.5), 1.5) && !holds(Limit::AtLeast(1.5), 1.49));
        assert!(holds(Limit::AtMost(0.8), 0.8) && !holds(Limit::AtMost(0.8), 0.81));
        assert!(
            !Limit::AtLeast(0.1).holds(9.0, None),
            "no reference, no verdict"
        );
        let itself = Limit::ItselfAtLeast(0.7);
        assert!(itself.holds(0.7, None) && !itself.holds(0.69, Some(2.0)));
        assert!(holds(Limit::OfBareAtMost(1.25), 1.25) && !holds(Limit::OfBareAtMost(1.25), 1.26));
        let most = |figure| Limit::ItselfAtMost(3.0).holds(figure, None);
        assert!(most(3.0) && !most(3.01));
    }
}
