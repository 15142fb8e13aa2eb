//! `setup`: calls a second, and what one costs.

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::cli::RigOptions;
use crate::ng::client::NgTimes;
use crate::process::CpuTime;
use crate::report::{Report, ng_json};
use crate::rig::Rig;

/// Options of `setup`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Calls set up, and as many set up and deleted
    #[arg(long, default_value_t = 1000, value_name = "N")]
    calls: usize,
    #[command(flatten)]
    rig: RigOptions,
}

/// What setting calls up took.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    calls: usize,
    cycles: usize,
    /// Offer and answer.
    pub(crate) established: NgTimes,
    /// Offer, answer and delete.
    pub(crate) cycled: NgTimes,
    /// What the relay spent on the cycles.
    pub(crate) cpu: Option<CpuTime>,
    /// Resident bytes that the established calls added.
    pub(crate) resident: Option<i64>,
}

impl Measured {
    pub(crate) fn established_per_second(&self) -> f64 {
        self.calls as f64 / self.established.elapsed.as_secs_f64()
    }

    pub(crate) fn cycles_per_second(&self) -> f64 {
        self.cycles as f64 / self.cycled.elapsed.as_secs_f64()
    }

    /// Microseconds of relay CPU per offer, answer and delete.
    pub(crate) fn cycle_us(&self) -> Option<f64> {
        self.cpu
            .map(|cpu| cpu.process as f64 / 1000.0 / self.cycles as f64)
    }

    /// Bytes of resident memory per idle call.
    pub(crate) fn bytes_per_call(&self) -> Option<f64> {
        self.resident.map(|bytes| bytes as f64 / self.calls as f64)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "calls": self.calls,
            "cycles": self.cycles,
            "offer_answer_per_second": self.established_per_second().round(),
            "offer_answer": ng_json(&self.established),
            "cycles_per_second": self.cycles_per_second().round(),
            "cycle": ng_json(&self.cycled),
            "process_us_per_cycle": self.cycle_us(),
            "resident_bytes_per_call": self.bytes_per_call(),
        })
    }
}

/// Measures with a rig that has no calls up; leaves it so.
pub(crate) fn measure(rig: &mut Rig, calls: usize, cycles: usize) -> Result<Measured> {
    let resident = |rig: &Rig| rig.relay.map(|r| r.resident()).transpose();
    let before = resident(rig)?;
    let established = rig.set_up(calls)?;
    let after = resident(rig)?;
    rig.tear_down()?;
    let start = rig.relay.map(|r| r.cpu()).transpose()?;
    let cycled = rig.cycle(cycles)?;
    let end = rig.relay.map(|r| r.cpu()).transpose()?;
    Ok(Measured {
        calls,
        cycles,
        established,
        cycled,
        cpu: start.zip(end).map(|(start, end)| end.since(start)),
        resident: before
            .zip(after)
            .map(|(before, after)| after.cast_signed() - before.cast_signed()),
    })
}

/// Runs the mode.
pub(crate) fn run(options: &Options) -> Result<Report> {
    ensure!(options.calls > 0, "--calls must be above zero");
    let mut rig = options.rig.open()?;
    let got = measure(&mut rig, options.calls, options.calls)?;
    rig.progress.clear();
    let mut report = Report::default();
    let latency = |t: &NgTimes| format!("{:.0}, {:.0} us", t.latency_us(0.5), t.latency_us(0.99));
    report.row(
        "offer + answer",
        format!("{:.0} calls/s", got.established_per_second()),
    );
    report.row("  reply p50, p99", latency(&got.established));
    report.row(
        "offer + answer + delete",
        format!("{:.0} calls/s", got.cycles_per_second()),
    );
    report.row("  reply p50, p99", latency(&got.cycled));
    if let Some(us) = got.cycle_us() {
        report.row("  relay CPU", format!("{us:.1} us each"));
    }
    if let Some(bytes) = got.bytes_per_call() {
        report.row("memory per idle call", format!("{:.2} KiB", bytes / 1024.0));
    }
    let again = got.established.retransmitted + got.cycled.retransmitted;
    report.check(again == 0, || {
        format!("{again} requests took longer than a second")
    });
    report.json("setup", got.to_json());
    Ok(report)
}
