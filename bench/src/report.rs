//! What a run found: a table for people, JSON for programs, and an exit status for scripts.

#![expect(clippy::print_stdout, reason = "results are this program's output")]
#![expect(
    clippy::print_stderr,
    reason = "failures are told where results are not"
)]

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::{Map, Value};

use crate::load::step::Step;
use crate::ng::client::NgTimes;

/// Results, and what was not as it must be.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(String, String)>,
    text: String,
    json: Map<String, Value>,
    failures: Vec<String>,
}

impl Report {
    /// Adds a line to the table.
    pub(crate) fn row(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.rows.push((name.into(), value.into()));
    }

    /// Adds text below the table.
    pub(crate) fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Adds a member to the JSON object.
    pub(crate) fn json(&mut self, name: &str, value: impl Into<Value>) {
        self.json.insert(name.into(), value.into());
    }

    /// Notes a failure unless `held`.
    pub(crate) fn check(&mut self, held: bool, failure: impl FnOnce() -> String) {
        if !held {
            self.failures.push(failure());
        }
    }

    /// Adds a step's rows.
    pub(crate) fn step(&mut self, step: &Step) {
        let t = &step.tally;
        let bound = if step.is_generator_bound() {
            " (the generator's limit)"
        } else {
            ""
        };
        self.row("rate", format!("{:.0} packets/s{bound}", step.pps));
        self.row("sent, received", format!("{}, {}", t.sent, t.received));
        self.row(
            "lost, late, wrong",
            format!(
                "{} ({:.4} %), {}, {}",
                t.lost(),
                100.0 * t.loss(),
                t.late,
                t.wrong()
            ),
        );
        self.row(
            "doubled, reordered",
            format!("{}, {}", t.duplicated, t.reordered),
        );
        if t.forged > 0 {
            let out = t.wrong() + t.duplicated;
            self.row("forged: sent, came out", format!("{}, {out}", t.forged));
        }
        self.row(
            "latency p50, p99, p99.9, max",
            format!(
                "{:.0}, {:.0}, {:.0}, {:.0} us",
                step.latency_us(0.5),
                step.latency_us(0.99),
                step.latency_us(0.999),
                t.latency.max() as f64 / 1000.0
            ),
        );
        if let Some(us) = step.process_us() {
            let core = step
                .core_us()
                .map_or(String::new(), |us| format!(", whole core {us:.2} us"));
            self.row("CPU per packet", format!("relay {us:.2} us{core}"));
        }
    }

    /// Fails unless all came out, right, once and in order.
    pub(crate) fn check_step(&mut self, step: &Step, bound: f64) {
        let t = &step.tally;
        self.check(t.received > 0, || "no packet came out of the relay".into());
        self.check(t.loss() <= bound, || {
            format!(
                "{:.3} % lost or late, {:.3} % allowed",
                100.0 * t.loss(),
                100.0 * bound
            )
        });
        self.check(t.wrong() == 0, || {
            format!("{} packets came out wrong: {}", t.wrong(), faults(t))
        });
        self.check(t.duplicated == 0, || {
            format!("{} packets came out twice", t.duplicated)
        });
        self.check(t.reordered == 0, || {
            format!("{} packets came out of order", t.reordered)
        });
    }

    /// Prints and turns failures into an exit status.
    pub(crate) fn print(mut self, json: bool) -> ExitCode {
        if json {
            self.json("failures", self.failures.clone());
            println!("{:#}", Value::Object(self.json));
        } else {
            print!("{}{}", table(&self.rows), self.text);
            for failure in &self.failures {
                eprintln!("FAILED: {failure}");
            }
        }
        if self.failures.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn faults(tally: &crate::load::ledger::Tally) -> String {
    let names = [
        "not ours",
        "wrong path",
        "checksum",
        "header",
        "sequence",
        "payload",
        "seal",
    ];
    let told = names.iter().zip(tally.faults).filter(|(_, n)| *n > 0);
    told.map(|(name, n)| format!("{name} {n}"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Rate and latency of NG requests.
pub(crate) fn ng_json(times: &NgTimes) -> Value {
    serde_json::json!({
        "requests": times.latency.len(),
        "per_second": times.rate().round(),
        "latency_us": { "p50": times.latency_us(0.5), "p99": times.latency_us(0.99) },
        "retransmitted": times.retransmitted,
    })
}

/// Lines of name and value, aligned.
fn table(rows: &[(String, String)]) -> String {
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    rows.iter().fold(String::new(), |mut out, (name, value)| {
        let _ = writeln!(out, "{name:width$}  {value}");
        out
    })
}

/// Tells why there is no result.
pub(crate) fn complain(error: &anyhow::Error) {
    eprintln!("patchload: {error:#}");
}
