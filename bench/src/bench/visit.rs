//! One visit: every question asked of one freshly started relay.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::Load;
use super::browsers::Browsers;
use crate::load::attack::{Attack, Attacker};
use crate::load::overload::{self, Outcome};
use crate::load::search::{self, Found, Search};
use crate::load::step::{Plan, Step};
use crate::modes::setup::{self, Measured};
use crate::os::soak::Soak;
use crate::rig::Rig;

/// Packets lost or late that a highest rate may have.
const LOSS: f64 = 0.001;
/// Flows that are settled have been given to the kernel by then.
const SETTLED: Duration = Duration::from_millis(4500);
/// The rate at which the core is busy, in packets a second.
const BUSY: f64 = 300_000.0;
/// Of the highest rate, where that is lower.
const SUSTAINED: f64 = 0.8;
/// Nothing is searched above this.
const UP_TO: f64 = 2e6;

/// The answers.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    /// Set-up: rate, cost, memory. Of plain calls.
    pub(crate) setup: Option<Measured>,
    /// The steady rate: cost and latency.
    pub(crate) steady: Step,
    /// The highest rate, if that was asked for.
    pub(crate) highest: Option<Found>,
    /// The highest rate of good packets while others are forged or replayed. Of secure calls.
    pub(crate) attacked: Option<Found>,
    /// What overload leaves behind. Of plain calls.
    pub(crate) overload: Option<Outcome>,
    /// What became of browsers' calls.
    pub(crate) browsers: Option<Browsers>,
    /// What the relay's core is taken for. Of calls that the kernel carries.
    pub(crate) core: Option<Core>,
}

/// What the relay's core is taken for, which is looked at by what itself takes all that is left of it: latencies
/// are longer meanwhile.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    /// At the steady rate.
    pub(crate) steady: Step,
    /// At a rate that is high, and the same for all that reach it.
    pub(crate) busy: Step,
}

/// What attacks secure calls: a share of all packets.
const ATTACK: (Attack, f64) = (Attack::All, 0.3);

/// Asks them. The order matters: memory first, while the process is fresh, and overload last.
pub(crate) fn run(mut rig: Rig, load: Load) -> Result<Visit> {
    let setup = setup::measure(&mut rig, load.idle_calls, load.cycles)?;
    let (steady, highest) = carry(&mut rig, load)?;
    rig.renew()?;
    let overload = overload::run(&mut rig, highest.pps())?;
    rig.tear_down()?;
    Ok(Visit {
        setup: Some(setup),
        steady,
        highest: Some(highest),
        attacked: None,
        overload: Some(overload),
        browsers: None,
        core: None,
    })
}

/// Asks the same of plain calls that the kernel carries. A bare program has no calls of its own to be set up.
pub(crate) fn hooks(mut rig: Rig, load: Load, core: usize, is_bare: bool) -> Result<Visit> {
    rig.warm_up = SETTLED;
    let setup = if is_bare {
        None
    } else {
        Some(setup::measure(&mut rig, load.idle_calls, load.cycles)?)
    };
    let (steady, highest) = carry(&mut rig, load)?;
    rig.renew()?;
    let core = look(&mut rig, load, core, highest.pps())?;
    rig.renew()?;
    let overload = overload::run(&mut rig, highest.pps())?;
    rig.tear_down()?;
    Ok(Visit {
        core: Some(core),
        setup,
        steady,
        highest: Some(highest),
        attacked: None,
        overload: Some(overload),
        browsers: None,
    })
}

/// Asks what there is to ask of secure calls; `attacked` too only of a relay that tells forged packets
/// from good ones, since of another no rate is good.
pub(crate) fn secure(mut rig: Rig, load: Load, attacked: bool) -> Result<Visit> {
    let (steady, highest) = carry(&mut rig, load)?;
    rig.renew()?;
    let attacked = attacked
        .then(|| {
            let (attack, share) = ATTACK;
            rig.attacker = Some(Attacker::new(attack, share));
            search::run(&mut rig, search(load))
        })
        .transpose()?;
    rig.tear_down()?;
    Ok(Visit {
        setup: None,
        steady,
        highest: Some(highest),
        attacked,
        overload: None,
        browsers: None,
        core: None,
    })
}

/// Asks only what a packet costs, and how long it takes, at the steady rate.
pub(crate) fn steady(mut rig: Rig, load: Load) -> Result<Visit> {
    let steady = hold(&mut rig, load)?;
    rig.tear_down()?;
    Ok(Visit {
        setup: None,
        steady,
        highest: None,
        attacked: None,
        overload: None,
        browsers: None,
        core: None,
    })
}

/// The steady rate and the highest.
fn carry(rig: &mut Rig, load: Load) -> Result<(Step, Found)> {
    let steady = hold(rig, load)?;
    let highest = search::run(rig, search(load))?;
    Ok((steady, highest))
}

/// What the core is taken for.
fn look(rig: &mut Rig, load: Load, core: usize, highest: f64) -> Result<Core> {
    rig.soak = Some(Soak::start(core)?);
    let mut step = |pps| {
        rig.step(Plan {
            pps,
            time: load.seconds,
        })
    };
    let steady = step(load.steady)?;
    let busy = step(BUSY.min(SUSTAINED * highest))?;
    rig.soak = None;
    Ok(Core { steady, busy })
}

/// The steady rate.
fn hold(rig: &mut Rig, load: Load) -> Result<Step> {
    rig.set_up(load.calls)?;
    rig.introduce()?;
    rig.step(Plan {
        pps: load.steady,
        time: load.seconds,
    })
}

fn search(load: Load) -> Search {
    Search {
        from: load.from,
        up_to: UP_TO,
        time: load.step,
        bound: LOSS,
    }
}

impl Visit {
    /// One line, to watch a long run by.
    pub(crate) fn summary(&self) -> String {
        let mut line = format!(
            "  {:.2} us/packet, p50 {:.1} us, p99 {:.0} us",
            self.steady.process_us().unwrap_or(0.0),
            self.steady.latency_us(0.5),
            self.steady.latency_us(0.99),
        );
        if let Some(highest) = &self.highest {
            let bound = if highest.is_generator_bound() {
                " (the generator's limit)"
            } else {
                ""
            };
            let _ = write!(line, ", {:.0} pps{bound}", highest.pps());
        }
        if let Some(Core { steady, busy }) = &self.core {
            let us = |step: &Step| step.core_us().unwrap_or(0.0);
            let pps = busy.pps;
            let _ = write!(
                line,
                ", core {:.2} us, at {pps:.0} pps {:.2} us",
                us(steady),
                us(busy)
            );
        }
        if let Some(setup) = &self.setup {
            let _ = write!(line, ", {:.0} calls/s", setup.again.per_second());
        }
        if let Some(attacked) = &self.attacked {
            let _ = write!(line, ", {:.0} pps under attack", attacked.pps());
        }
        if let Some(overload) = &self.overload {
            let ms = overload.recovered.map(|t| t.as_millis().to_string());
            let _ = write!(line, ", back after {} ms", ms.unwrap_or("no".into()));
        }
        if let Some(browsers) = &self.browsers {
            let _ = write!(line, ", {}", browsers.summary());
        }
        line
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "setup": self.setup.as_ref().map(Measured::to_json),
            "steady": self.steady.to_json(),
            "highest": self.highest.as_ref().map(Found::to_json),
            "attacked": self.attacked.as_ref().map(Found::to_json),
            "overload": self.overload.as_ref().map(Outcome::to_json),
            "browsers": self.browsers.as_ref().map(Browsers::to_json),
            "core": self.core.as_ref().map(|core| json!({
                "steady": core.steady.to_json(), "busy": core.busy.to_json(),
            })),
        })
    }
}
