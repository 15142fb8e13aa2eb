//! `demo`: one call, a tone from each side, heard at the other by its frequency.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::with_calls;
use crate::cli::{RigOptions, seconds};
use crate::io::Side;
use crate::load::payload::Payload;
use crate::load::step::Plan;
use crate::load::tone::{self, Tone};
use crate::report::{Report, ng_json};

/// Share of the power that must lie at the tone's frequency.
const HEARD: f64 = 0.95;
/// Packets a second of a call: both directions, 20 ms each.
const PPS: f64 = 100.0;

/// Options of `demo`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How long the tones last
    #[arg(long, default_value = "3", value_parser = seconds, value_name = "SECONDS")]
    seconds: Duration,
    /// Tone of the offering side
    #[arg(long, default_value_t = 440, value_name = "HZ", value_parser = hz())]
    offerer_hz: u32,
    /// Tone of the answering side
    #[arg(long, default_value_t = 1000, value_name = "HZ", value_parser = hz())]
    answerer_hz: u32,
    #[command(flatten)]
    rig: RigOptions,
}

fn hz() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(50..=3400)
}

/// Runs the mode.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let mut rig = options.rig.open()?;
    let tones = [options.offerer_hz, options.answerer_hz];
    rig.payload = Payload::Tones(tones.map(Tone::new));
    let mut report = Report::default();
    let (times, step, heard) = with_calls(rig, |rig| {
        let times = rig.set_up(1)?;
        rig.ledger().listen();
        let step = rig.step(Plan {
            pps: PPS,
            time: options.seconds,
        })?;
        let heard = rig.ledger().heard().context("nobody listened")?.clone();
        Ok((times, step, heard))
    })?;
    for side in Side::BOTH {
        let (sent, hears) = (tones[side.other() as usize], &heard[side as usize]);
        let [at_sent, at_own] = [sent, tones[side as usize]].map(|hz| tone::share(hears, hz));
        let seconds = hears.len() as f64 / 8000.0;
        report.row(
            format!("{} hears", name(side)),
            format!(
                "{sent} Hz, {:.1} % of {seconds:.1} s of sound",
                100.0 * at_sent
            ),
        );
        report.check(
            at_sent > HEARD && (sent == tones[side as usize] || at_own < 0.05),
            || {
                format!(
                    "{} should hear {sent} Hz, but only {:.1} % is",
                    name(side),
                    100.0 * at_sent
                )
            },
        );
        report.json(
            name(side),
            json!({ "sent_hz": tones[side as usize], "should_hear_hz": sent, "share": at_sent,
                    "seconds": seconds }),
        );
    }
    report.step(&step);
    report.check_step(&step, 0.0);
    report.json("ng", ng_json(&times));
    report.json("step", step.to_json());
    Ok(report)
}

fn name(side: Side) -> &'static str {
    match side {
        Side::Offerer => "offerer",
        Side::Answerer => "answerer",
    }
}
