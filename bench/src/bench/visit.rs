//! One visit: every question asked of one freshly started relay.

use anyhow::Result;
use serde_json::{Value, json};

use super::Load;
use crate::load::overload::{self, Outcome};
use crate::load::search::{self, Found, Search};
use crate::load::step::{Plan, Step};
use crate::modes::setup::{self, Measured};
use crate::rig::Rig;

/// Packets lost or late that a highest rate may have.
const LOSS: f64 = 0.001;
/// Nothing is searched above this.
const UP_TO: f64 = 2e6;

/// The answers.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    /// Set-up: rate, cost, memory.
    pub(crate) setup: Measured,
    /// The steady rate: cost and latency.
    pub(crate) steady: Step,
    /// The highest rate.
    pub(crate) highest: Found,
    /// What overload leaves behind.
    pub(crate) overload: Outcome,
}

/// Asks them. The order matters: memory first, while the process is fresh, and overload last.
pub(crate) fn run(mut rig: Rig, load: Load) -> Result<Visit> {
    let setup = setup::measure(&mut rig, load.idle_calls, load.cycles)?;
    rig.set_up(load.calls)?;
    rig.introduce()?;
    let steady = rig.step(Plan {
        pps: load.steady,
        time: load.seconds,
    })?;
    let search = Search {
        from: load.from,
        up_to: UP_TO,
        time: load.step,
        bound: LOSS,
    };
    let highest = search::run(&mut rig, search)?;
    rig.renew()?;
    let overload = overload::run(&mut rig, highest.pps())?;
    rig.tear_down()?;
    Ok(Visit {
        setup,
        steady,
        highest,
        overload,
    })
}

impl Visit {
    /// One line, to watch a long run by.
    pub(crate) fn summary(&self) -> String {
        let ms = self
            .overload
            .recovered
            .map_or("never".into(), |t| format!("{} ms", t.as_millis()));
        format!(
            "  {:.0} pps, {:.2} us/packet, p50 {:.0} us, {:.0} calls/s, back after {ms}",
            self.highest.pps(),
            self.steady.process_us().unwrap_or(0.0),
            self.steady.latency_us(0.5),
            self.setup.again.per_second(),
        )
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "setup": self.setup.to_json(),
            "steady": self.steady.to_json(),
            "highest": self.highest.to_json(),
            "overload": self.overload.to_json(),
        })
    }
}
