//! `hold`: many calls, held at a low rate, twice over; what the relay took it must give back.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

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
    /// Times the calls are set up, held and torn down; growth shows between the last two
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
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

impl Held {
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
    show(&mut report, "start", start);
    let mut before = start;
    with_calls(rig, |rig| {
        for n in 1..=options.rounds {
            let (step, peak) = round(rig, options, relay)?;
            report.row(
                format!("round {n}"),
                format!("{} calls held", options.calls),
            );
            report.step(&step);
            report.check_step(&step, options.loss / 100.0);
            show(&mut report, &format!("round {n}, held"), peak);
            // The first round may grow pools that later ones reuse; its descriptors must close.
            let mark = Held {
                bytes: if n == 1 { u64::MAX / 2 } else { before.bytes },
                ..start
            };
            let after = settle(relay, mark, options.settle)?;
            show(&mut report, &format!("round {n}, after"), after);
            report.check(after.is_back_at(mark), || {
                format!("after round {n}: {after:?}, before: {before:?}")
            });
            report.json(
                &format!("round_{n}"),
                json!({
                    "step": step.to_json(),
                    "held": { "resident": peak.bytes, "descriptors": peak.descriptors },
                    "after": { "resident": after.bytes, "descriptors": after.descriptors },
                }),
            );
            before = after;
        }
        Ok(())
    })?;
    Ok(report)
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

fn show(report: &mut Report, name: &str, held: Held) {
    let mib = held.bytes as f64 / f64::from(1 << 20);
    report.row(
        name,
        format!("{mib:.1} MiB resident, {} descriptors", held.descriptors),
    );
}
