//! `run`: one rate, held; every packet checked.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::with_calls;
use crate::cli::{AttackOptions, RigOptions, rate, seconds};
use crate::load::step::Plan;
use crate::report::{Report, ng_json};

/// Options of `run`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Calls, each with an RTP stream in both directions
    #[arg(long, default_value_t = 100, value_name = "N")]
    calls: usize,
    /// Packets a second in all; by default what the ptime makes of the calls
    #[arg(long, value_parser = rate, value_name = "RATE")]
    pps: Option<f64>,
    /// How long
    #[arg(long, default_value = "5", value_parser = seconds, value_name = "SECONDS")]
    seconds: Duration,
    /// Share of packets that may be lost or late, in percent
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    loss: f64,
    #[command(flatten)]
    attack: AttackOptions,
    #[command(flatten)]
    rig: RigOptions,
}

/// Runs the mode.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let natural = 2.0 * options.calls as f64 * 1000.0 / f64::from(options.rig.ptime());
    let plan = Plan {
        pps: options.pps.unwrap_or(natural),
        time: options.seconds,
    };
    let mut report = Report::default();
    let (times, step) = with_calls(options.rig.open()?, |rig| {
        let times = rig.set_up(options.calls)?;
        rig.introduce()?;
        rig.attacker = options.attack.attacker();
        Ok((times, rig.step(plan)?))
    })?;
    report.row("calls", options.calls.to_string());
    report.step(&step);
    report.json("calls", options.calls);
    report.json("ng", ng_json(&times));
    report.json("step", step.to_json());
    report.check_step(&step, options.loss / 100.0);
    Ok(report)
}
