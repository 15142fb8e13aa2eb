//! `max`: the highest rate under a loss bound.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::with_calls;
use crate::cli::{AttackOptions, RigOptions, rate, seconds};
use crate::load::search::{self, Search};
use crate::report::Report;

/// Options of `max`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Calls, each with an RTP stream in both directions
    #[arg(long, default_value_t = 500, value_name = "N")]
    calls: usize,
    #[command(flatten)]
    search: SearchOptions,
    #[command(flatten)]
    attack: AttackOptions,
    #[command(flatten)]
    rig: RigOptions,
}

/// What to search for.
#[derive(Args, Clone, Debug)]
pub(crate) struct SearchOptions {
    /// First rate tried, packets a second
    #[arg(long, default_value = "40000", value_parser = rate, value_name = "RATE")]
    from: f64,
    /// Highest rate tried
    #[arg(long, default_value = "2000000", value_parser = rate, value_name = "RATE")]
    up_to: f64,
    /// Length of a step
    #[arg(long, default_value = "1.5", value_parser = seconds, value_name = "SECONDS")]
    step: Duration,
    /// Share of packets that may be lost or later than 100 ms, in percent
    #[arg(long, default_value_t = 0.1, value_name = "PERCENT")]
    loss: f64,
}

impl SearchOptions {
    pub(crate) fn search(&self) -> Search {
        let (from, up_to) = (self.from, self.up_to);
        Search {
            from,
            up_to,
            time: self.step,
            bound: self.loss / 100.0,
        }
    }
}

/// Runs the mode.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let found = with_calls(options.rig.open()?, |rig| {
        rig.set_up(options.calls)?;
        rig.introduce()?;
        rig.attacker = options.attack.attacker();
        search::run(rig, options.search.search())
    })?;
    let mut report = Report::default();
    report.row("calls", options.calls.to_string());
    report.step(&found.best);
    report.json("calls", options.calls);
    report.json("max", found.to_json());
    Ok(report)
}
