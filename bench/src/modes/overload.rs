//! `overload`: drown the relay, then see how soon it serves again.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::max::SearchOptions;
use super::with_calls;
use crate::cli::{RigOptions, rate};
use crate::load::{overload, search};
use crate::report::Report;

/// The longest that recovery may take.
pub(crate) const RECOVERY: Duration = Duration::from_secs(1);

/// Options of `overload`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Calls, each with an RTP stream in both directions
    #[arg(long, default_value_t = 500, value_name = "N")]
    calls: usize,
    /// The relay's highest rate; searched for if not given
    #[arg(long, value_parser = rate, value_name = "RATE")]
    highest: Option<f64>,
    #[command(flatten)]
    search: SearchOptions,
    #[command(flatten)]
    rig: RigOptions,
}

/// Runs the mode.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let (highest, outcome) = with_calls(options.rig.open()?, |rig| {
        rig.set_up(options.calls)?;
        rig.introduce()?;
        let highest = match options.highest {
            Some(pps) => pps,
            None => search::run(rig, options.search.search())?.pps(),
        };
        rig.renew()?;
        Ok((highest, overload::run(rig, highest)?))
    })?;
    let mut report = Report::default();
    report.row("highest rate", format!("{highest:.0} packets/s"));
    report.row(
        "drowned at",
        format!("{:.0} packets/s", outcome.drowned.pps),
    );
    report.row(
        "  lost or late",
        format!("{:.2} %", 100.0 * outcome.drowned.tally.loss()),
    );
    report.row("then at", format!("{:.0} packets/s", outcome.after.pps));
    let recovered = outcome
        .recovered
        .map_or("never".into(), |t| format!("{} ms", t.as_millis()));
    report.row("  loss below 0.1 % after", recovered);
    report.check(outcome.recovered.is_some_and(|t| t <= RECOVERY), || {
        format!(
            "service was not back within {} s of the overload's end",
            RECOVERY.as_secs()
        )
    });
    report.json("highest_pps", highest.round());
    report.json("overload", outcome.to_json());
    Ok(report)
}
