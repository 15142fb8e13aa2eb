//! The highest rate a relay carries: up by steps until one fails, then halving the gap.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::step::{Plan, Step};
use crate::rig::Rig;

/// The search ends when failure is this close above success.
const GRID: f64 = 1.06;
/// Factor from one success to the next try while nothing has failed.
const UP: f64 = 1.4;
/// Steps in total, so that a relay that behaves erratically ends the search too.
const MOST_STEPS: usize = 24;
/// How often a rate is tried: a machine that is taken away from all of us for some milliseconds loses what no queue
/// holds meanwhile, whichever relay runs.
const TRIES: usize = 3;
/// A relay that fails here does not work.
const LEAST_PPS: f64 = 500.0;

/// What to search for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    /// First rate tried.
    pub(crate) from: f64,
    /// No rate above this is tried.
    pub(crate) up_to: f64,
    /// Length of a step.
    pub(crate) time: Duration,
    /// Share of packets that may be lost or late.
    pub(crate) bound: f64,
}

/// What was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The highest good step.
    pub(crate) best: Step,
    /// Every step: rate asked for, loss, good or not.
    pub(crate) tried: Vec<(f64, f64, bool)>,
    /// The generator lost packets of its own at the lowest rate that failed.
    is_outrun: bool,
}

impl Found {
    /// The rate carried.
    pub(crate) fn pps(&self) -> f64 {
        self.best.pps
    }

    /// The generator, not the relay, set the rate.
    pub(crate) fn is_generator_bound(&self) -> bool {
        self.best.is_generator_bound() || self.is_outrun
    }

    pub(crate) fn to_json(&self) -> Value {
        let tried = self.tried.iter().map(
            |(pps, loss, good)| json!({ "asked_pps": pps.round(), "loss": loss, "good": good }),
        );
        json!({ "pps": self.pps().round(), "generator_bound": self.is_generator_bound(), "best": self.best.to_json(),
                "tried": tried.collect::<Vec<_>>() })
    }
}

/// Searches with the rig's calls, which are renewed after every failed step: a relay must not be
/// judged by what an overload left behind.
pub(crate) fn run(rig: &mut Rig, search: Search) -> Result<Found> {
    let (mut best, mut bad): (Option<Step>, Option<f64>) = (None, None);
    let mut tried = Vec::new();
    let mut is_outrun = false;
    let mut rate = search.from;
    for _ in 0..MOST_STEPS {
        let step = attempt(rig, rate, search)?;
        let good = step.is_good(search.bound);
        tried.push((rate, step.tally.loss(), good));
        let bound_by_generator = step.is_generator_bound();
        if good {
            best = Some(step);
        } else {
            bad = Some(rate);
            is_outrun = step.is_outrun();
        }
        if good && (bound_by_generator || rate >= search.up_to) {
            break;
        }
        rate = match (best.as_ref().map(|s| s.pps), bad) {
            (Some(low), Some(high)) if high / low <= GRID => break,
            (Some(low), Some(high)) => (low * high).sqrt(),
            (Some(low), None) => (low * UP).min(search.up_to),
            (None, _) => rate / 2.0,
        };
        ensure!(
            rate >= LEAST_PPS,
            "the relay does not even carry {LEAST_PPS} packets a second"
        );
    }
    let Some(best) = best else {
        anyhow::bail!("no rate tried was carried: {tried:?}")
    };
    Ok(Found {
        best,
        tried,
        is_outrun,
    })
}

/// One step; a failed or unmade one is tried again with fresh calls.
fn attempt(rig: &mut Rig, pps: f64, search: Search) -> Result<Step> {
    let plan = Plan {
        pps,
        time: search.time,
    };
    let mut step = rig.step(plan)?;
    for _ in 1..TRIES {
        if step.is_good(search.bound) && !step.is_generator_bound() {
            return Ok(step);
        }
        rig.renew()?;
        step = rig.step(plan)?;
    }
    if !step.is_good(search.bound) {
        rig.renew()?;
    }
    Ok(step)
}
