//! `setup`: calls a second, and what one costs.

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::cli::RigOptions;
use crate::ng::client::NgTimes;
use crate::process::Process;
use crate::report::{Report, ng_json};
use crate::rig::Rig;

/// Options of `setup`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Calls set up; then as many set up and deleted, twice
    #[arg(long, default_value_t = 1000, value_name = "N")]
    calls: usize,
    #[command(flatten)]
    rig: RigOptions,
}

/// Offer, answer and delete of many calls.
#[derive(Clone, Debug)]
pub(crate) struct Cycles {
    count: usize,
    times: NgTimes,
    /// What the relay spent.
    cpu: Option<u64>,
}

impl Cycles {
    fn run(rig: &mut Rig, count: usize) -> Result<Self> {
        let before = rig.relay.map(Process::cpu).transpose()?;
        let times = rig.cycle(count)?;
        let after = rig.relay.map(Process::cpu).transpose()?;
        let spent = before.zip(after);
        let cpu = spent.map(|(before, after)| after.saturating_sub(before));
        Ok(Self { count, times, cpu })
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.count as f64 / self.times.elapsed.as_secs_f64()
    }

    /// Microseconds of relay CPU per cycle.
    pub(crate) fn process_us(&self) -> Option<f64> {
        self.cpu.map(|cpu| cpu as f64 / 1000.0 / self.count as f64)
    }

    fn to_json(&self) -> Value {
        json!({
            "cycles": self.count,
            "per_second": self.per_second().round(),
            "ng": ng_json(&self.times),
            "process_us_per_cycle": self.process_us(),
        })
    }
}

/// What setting calls up took.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    calls: usize,
    /// Offer and answer.
    established: NgTimes,
    /// Cycles on ports that may never have been used before.
    pub(crate) first: Cycles,
    /// As many again.
    pub(crate) again: Cycles,
    /// Resident bytes that the established calls added.
    resident: Option<i64>,
}

impl Measured {
    fn established_per_second(&self) -> f64 {
        self.calls as f64 / self.established.elapsed.as_secs_f64()
    }

    /// Bytes of resident memory per idle call.
    pub(crate) fn bytes_per_call(&self) -> Option<f64> {
        self.resident.map(|bytes| bytes as f64 / self.calls as f64)
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "calls": self.calls,
            "offer_answer_per_second": self.established_per_second().round(),
            "offer_answer": ng_json(&self.established),
            "first_cycles": self.first.to_json(),
            "cycles": self.again.to_json(),
            "resident_bytes_per_call": self.bytes_per_call(),
        })
    }
}

/// Measures with a rig that has no calls up; leaves it so.
pub(crate) fn measure(rig: &mut Rig, calls: usize, cycles: usize) -> Result<Measured> {
    let resident = |rig: &Rig| rig.relay.map(Process::resident).transpose();
    let before = resident(rig)?;
    let established = rig.set_up(calls)?;
    let after = resident(rig)?;
    rig.tear_down()?;
    Ok(Measured {
        calls,
        established,
        first: Cycles::run(rig, cycles)?,
        again: Cycles::run(rig, cycles)?,
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
    for (name, cycles) in [("first time", &got.first), ("again", &got.again)] {
        let rate = format!("{:.0} calls/s", cycles.per_second());
        report.row(format!("offer + answer + delete, {name}"), rate);
        report.row("  reply p50, p99", latency(&cycles.times));
        if let Some(us) = cycles.process_us() {
            report.row("  relay CPU", format!("{us:.1} us each"));
        }
    }
    if let Some(bytes) = got.bytes_per_call() {
        report.row("memory per idle call", format!("{:.2} KiB", bytes / 1024.0));
    }
    let all = [&got.established, &got.first.times, &got.again.times];
    let again: u64 = all.iter().map(|times| times.retransmitted).sum();
    report.check(again == 0, || {
        format!("{again} requests took longer than a second")
    });
    report.json("setup", got.to_json());
    Ok(report)
}
