//! A visit about browsers: calls set up, media of bundles, and what a burst of handshakes does to others.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::Load;
use super::lab::Lab;
use super::visit::Visit;
use crate::load::step::{Plan, Step};
use crate::ng::client::Client;
use crate::ng::sdes::Security;
use crate::process::Process;
use crate::web::{self, Crowd, Outcome, quantile};

/// Calls being set up at a time while their cost is measured.
const WINDOW: usize = 8;
/// Calls that are placed one by one, and as many on a bad network.
const PATIENT: usize = 100;
/// Of the browsers' datagrams, either way.
const LOSS: f64 = 0.2;
/// Calls of the burst, which comes at once.
const BURST: usize = 500;
/// Plain media beside it: calls, packets a second, and for how long.
const BESIDE: usize = 100;
const BESIDE_PPS: f64 = 10_000.0;
const BESIDE_TIME: Duration = Duration::from_secs(3);

/// What became of them.
#[derive(Clone, Debug)]
pub(crate) struct Browsers {
    /// Several at a time, on ports that had been used.
    storm: Outcome,
    calls: usize,
    /// What they cost the relay, in nanoseconds.
    spent: Option<u64>,
    /// One at a time.
    prompt: Outcome,
    /// With loss.
    lossy: Outcome,
    /// Plain media alone.
    pub(crate) calm: Step,
    /// Plain media during the burst.
    disturbed: Step,
    burst: Outcome,
}

/// Asks everything about browsers.
pub(crate) fn run(lab: &Lab, relay: Process, security: [Security; 2], load: Load) -> Result<Visit> {
    let mut client = lab.client()?;
    // Ports are opened when they are used first, which is another question.
    let before = lab.browsers(load.browsers, WINDOW);
    web::place(&mut client, &before)?;
    let before = relay.cpu()?;
    let storm = web::place(&mut client, &lab.browsers(load.browsers, WINDOW))?;
    let spent = relay.cpu()?.saturating_sub(before);
    let prompt = web::place(&mut client, &lab.browsers(PATIENT, 1))?;
    let mut bad = lab.browsers(PATIENT, PATIENT);
    bad.loss = LOSS;
    let lossy = web::place(&mut client, &bad)?;
    let steady = bundled(lab, relay, security, load)?;
    let (calm, disturbed, burst) = disturb(lab, relay, &mut client)?;
    Ok(Visit {
        setup: None,
        steady,
        highest: None,
        attacked: None,
        overload: None,
        core: None,
        browsers: Some(Browsers {
            storm,
            calls: load.browsers,
            spent: Some(spent),
            prompt,
            lossy,
            calm,
            disturbed,
            burst,
        }),
    })
}

/// Audio and video in bundles, keyed by SDES, to plain phones and back, at the steady rate.
fn bundled(lab: &Lab, relay: Process, security: [Security; 2], load: Load) -> Result<Step> {
    let mut rig = lab.rig(relay, security, true)?;
    rig.set_up(load.calls / 2)?;
    rig.introduce()?;
    let steady = rig.step(Plan {
        pps: load.steady,
        time: load.seconds,
    })?;
    rig.tear_down()?;
    Ok(steady)
}

/// Plain media, alone and then while all calls of the burst are placed and shake hands at once.
fn disturb(lab: &Lab, relay: Process, client: &mut Client) -> Result<(Step, Step, Outcome)> {
    let mut rig = lab.rig(relay, [Security::Plain; 2], false)?;
    rig.set_up(BESIDE)?;
    rig.introduce()?;
    let plan = Plan {
        pps: BESIDE_PPS,
        time: BESIDE_TIME,
    };
    let calm = rig.step(plan)?;
    let all = lab.browsers(BURST, BURST);
    let mut crowd = Crowd::new(&all)?;
    // Nobody shakes hands before all have been placed.
    let disturbed = rig.step_beside(plan, &mut || {
        if !crowd.place(client)? {
            crowd.turn(client)?;
        }
        Ok(())
    })?;
    while !crowd.is_done() {
        crowd.turn(client)?;
    }
    rig.tear_down()?;
    Ok((calm, disturbed, crowd.outcome()))
}

impl Browsers {
    /// Microseconds of relay CPU that setting up a call takes.
    pub(crate) fn call_us(&self) -> Option<f64> {
        self.spent
            .map(|spent| spent as f64 / 1000.0 / self.calls.max(1) as f64)
    }

    /// Milliseconds from answer to media, of calls placed one by one.
    pub(crate) fn prompt_ms(&self) -> f64 {
        quantile(&self.prompt.media, 0.5)
    }

    /// The same on a bad network, and of the unlucky.
    pub(crate) fn lossy_ms(&self) -> f64 {
        quantile(&self.lossy.media, 0.95)
    }

    /// Sections that never had media.
    pub(crate) fn silent(&self) -> usize {
        self.outcomes().iter().map(|outcome| outcome.silent).sum()
    }

    /// Microseconds that the burst adds to the p99 of plain media beside it.
    pub(crate) fn disturbed_us(&self) -> f64 {
        self.disturbed.latency_us(0.99) - self.calm.latency_us(0.99)
    }

    /// Packets that came out at a wrong place, or lost without need.
    pub(crate) fn faults(&self) -> u64 {
        let steps = [&self.calm, &self.disturbed];
        let of = |step: &Step| {
            let t = &step.tally;
            t.lost() + t.wrong() + t.duplicated + t.reordered
        };
        let wrong = self.outcomes().into_iter().map(|outcome| outcome.wrong);
        steps.map(of).iter().sum::<u64>() + wrong.sum::<u64>()
    }

    fn outcomes(&self) -> [&Outcome; 4] {
        [&self.storm, &self.prompt, &self.lossy, &self.burst]
    }

    /// A few words, to watch a long run by.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{:.0} us/call, {:.1} ms to media, {:.0} ms with loss, {} silent, p99 {:.0} us and {:+.0}",
            self.call_us().unwrap_or(0.0),
            self.prompt_ms(),
            self.lossy_ms(),
            self.silent(),
            self.calm.latency_us(0.99),
            self.disturbed_us(),
        )
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "calls": self.calls,
            "relay_us_per_call": self.call_us(),
            "storm": self.storm.to_json(),
            "one_at_a_time": self.prompt.to_json(),
            "lossy": self.lossy.to_json(),
            "burst": self.burst.to_json(),
            "calm": self.calm.to_json(),
            "disturbed": self.disturbed.to_json(),
        })
    }
}
