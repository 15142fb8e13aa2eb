//! `bare`: the generator's own limit, without a relay between the endpoints.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::cli::{NetworkOptions, rate, seconds};
use crate::load::payload::Payload;
use crate::load::step::Plan;
use crate::progress::Progress;
use crate::report::Report;
use crate::rig::Rig;

/// Options of `bare`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Pairs of endpoints
    #[arg(long, default_value_t = 500, value_name = "N")]
    calls: usize,
    /// Packets a second in all
    #[arg(long, default_value = "100000", value_parser = rate, value_name = "RATE")]
    pps: f64,
    /// How long
    #[arg(long, default_value = "2", value_parser = seconds, value_name = "SECONDS")]
    seconds: Duration,
    /// Bytes of RTP payload
    #[arg(long, default_value_t = 160, value_name = "BYTES")]
    size: usize,
    #[command(flatten)]
    network: NetworkOptions,
}

/// Runs the mode.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let payload = Payload::pattern(options.size)?;
    let mut bare = Rig::bare(options.network.open()?, payload, options.calls);
    let plan = Plan {
        pps: options.pps,
        time: options.seconds,
    };
    let step = bare.step(plan, &mut Progress::new())?;
    let mut report = Report::default();
    report.step(&step);
    report.json("step", step.to_json());
    report.check_step(&step, 0.0);
    Ok(report)
}
