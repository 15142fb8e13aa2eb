//! `hold`: many calls, held at a low rate, over and over; what the relay took it must give back.
//!
//! Memory may grow in the first half of the rounds, while pools fill that later rounds reuse (ports
//! stay open, replies are kept for retransmissions); from then on it must be flat. Descriptors must
//! come back after every round.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::{Value, json};

use super::with_calls;
use crate::cli::{RigOptions, rate, seconds};
use crate::load::step::{Plan, Step};
use crate::os::clock;
use crate::process::Process;
use crate::report::Report;
use crate::rig::Rig;

/// Resident memory may differ by this much after the same work done again.
const SLACK_BYTES: u64 = 2 << 20;
/// And by this share.
const SLACK_SHARE: f64 = 0.05;
/// Descriptors may differ by this many: a log, a timer.
const SLACK_DESCRIPTORS: usize = 8;

/// Options of `hold`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Calls, each with an RTP stream in both directions
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    calls: usize,
    /// Packets a second in all
    #[arg(long, default_value = "10000", value_parser = rate, value_name = "RATE")]
    pps: f64,
    /// How long in each round
    #[arg(long, default_value = "60", value_parser = seconds, value_name = "SECONDS")]
    seconds: Duration,
    /// Times the calls are set up, held and torn down
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// How long the relay may take to give back what the calls took
    #[arg(long, default_value = "15", value_parser = seconds, value_name = "SECONDS")]
    settle: Duration,
    /// Share of packets that may be lost or late, in percent
    #[arg(long, default_value_t = 0.1, value_name = "PERCENT")]
    loss: f64,
    #[command(flatten)]
    rig: RigOptions,
}

/// What the relay holds on to.
#[derive(Clone, Copy, Debug)]
struct Held {
    bytes: u64,
    descriptors: usize,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.bytes as f64 / f64::from(1 << 20);
        write!(f, "{mib:.1} MiB resident, {} descriptors", self.descriptors)
    }
}

impl Held {
    fn to_json(self) -> Value {
        json!({ "resident": self.bytes, "descriptors": self.descriptors })
    }

    fn by(relay: Process) -> Result<Self> {
        Ok(Self {
            bytes: relay.resident()?,
            descriptors: relay.descriptors()?,
        })
    }

    /// Whether this is no more than `earlier`, within the slack.
    fn is_back_at(self, earlier: Self) -> bool {
        let slack = SLACK_BYTES.max((earlier.bytes as f64 * SLACK_SHARE) as u64);
        self.bytes <= earlier.bytes + slack
            && self.descriptors <= earlier.descriptors + SLACK_DESCRIPTORS
    }
}

/// Runs the mode.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let rig = options.rig.open()?;
    let Some(relay) = rig.relay else {
        bail!("hold needs --relay-pid to see what is given back")
    };
    let mut report = Report::default();
    let start = Held::by(relay)?;
    report.row("start", start.to_string());
    let mut mark = Held {
        bytes: u64::MAX / 2,
        ..start
    };
    with_calls(rig, |rig| {
        for n in 1..=options.rounds {
            let counted = rig.relayed()?;
            let (step, peak) = round(rig, options, relay)?;
            let after = settle(relay, mark, options.settle)?;
            report.row(
                format!("round {n}, {} calls held", options.calls),
                told(&step, peak),
            );
            report.row("  given back", after.to_string());
            report.check_step(&step, options.loss / 100.0);
            report.check(after.is_back_at(mark), || {
                format!("after round {n}: {after}, not back")
            });
            check_count(&mut report, &step, counted, rig.relayed()?);
            let json = json!({ "step": step.to_json(), "held": peak.to_json(),
                               "after": after.to_json() });
            report.json(&format!("round_{n}"), json);
            if n == options.rounds.div_ceil(2) {
                mark = Held {
                    bytes: after.bytes,
                    ..start
                };
            }
        }
        Ok(())
    })?;
    Ok(report)
}

fn told(step: &Step, peak: Held) -> String {
    let (t, pps) = (&step.tally, step.pps);
    format!(
        "{peak}; {pps:.0} pps, {} of {} lost, {} late",
        t.lost(),
        t.sent,
        t.late
    )
}

/// The relay's count of what it forwarded lies between what came out and what went in.
fn check_count(report: &mut Report, step: &Step, before: Option<u64>, after: Option<u64>) {
    let Some((before, after)) = before.zip(after) else {
        return;
    };
    let (counted, tally) = (after - before, &step.tally);
    report.check((tally.received..=tally.sent).contains(&counted), || {
        format!(
            "the relay counts {counted} packets of {} sent, {} received",
            tally.sent, tally.received
        )
    });
}

fn round(rig: &mut Rig, options: &Options, relay: Process) -> Result<(Step, Held)> {
    rig.set_up(options.calls)?;
    let step = rig.step(Plan {
        pps: options.pps,
        time: options.seconds,
    })?;
    let peak = Held::by(relay)?;
    rig.tear_down()?;
    Ok((step, peak))
}

/// Waits until the relay is back at `mark`, for a time.
fn settle(relay: Process, mark: Held, patience: Duration) -> Result<Held> {
    let until = clock::now() + patience;
    loop {
        let now = Held::by(relay)?;
        if now.is_back_at(mark) || clock::now() > until {
            return Ok(now);
        }
        clock::sleep(Duration::from_millis(100));
    }
}
