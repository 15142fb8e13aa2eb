//! Overload ends when it ends: twice the highest rate for a while, then half of it.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::step::{Plan, Step};
use crate::rig::Rig;

/// How long the relay is drowned.
const DROWN: Duration = Duration::from_secs(2);
/// How long it is watched afterwards.
const WATCH: Duration = Duration::from_secs(3);
/// Recovery is told to this precision.
const SLICE_MS: u64 = 50;
/// From this loss on down, service is full again.
const BOUND: f64 = 0.001;

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// At twice the highest rate.
    pub(crate) drowned: Step,
    /// At half of it, right after.
    pub(crate) after: Step,
    /// When loss fell below 0.1 % for good, counted from the end of the overload.
    pub(crate) recovered: Option<Duration>,
}

impl Outcome {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "drowned": self.drowned.to_json(),
            "after": self.after.to_json(),
            "recovered_ms": self.recovered.map(|t| t.as_millis() as u64),
        })
    }
}

/// Runs it against calls that are up; they are not renewed in between, that is the point.
pub(crate) fn run(rig: &mut Rig, highest: f64) -> Result<Outcome> {
    let drowned = rig.step_undrained(Plan {
        pps: 2.0 * highest,
        time: DROWN,
    })?;
    let after = rig.step(Plan {
        pps: highest / 2.0,
        time: WATCH,
    })?;
    let slices = rig.loss_over_time(SLICE_MS * 1_000_000);
    Ok(Outcome {
        drowned,
        after,
        recovered: recovery(&slices),
    })
}

/// The start of the first slice from which on loss stays below the bound; nothing if it never does.
fn recovery(slices: &[(u64, u64)]) -> Option<Duration> {
    let (mut sent, mut lost) = (0, 0);
    let mut since = None;
    for (i, (s, l)) in slices.iter().enumerate().rev() {
        sent += s;
        lost += l;
        if lost as f64 > BOUND * sent as f64 {
            break;
        }
        since = Some(Duration::from_millis(i as u64 * SLICE_MS));
    }
    since
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_is_when_loss_ends_for_good() {
        let ms = |n| Some(Duration::from_millis(n));
        assert_eq!(recovery(&[(100, 0); 20]), ms(0));
        assert_eq!(
            recovery(&[(1000, 900), (1000, 0), (1000, 500), (1000, 0), (1000, 0)]),
            ms(150)
        );
        assert_eq!(recovery(&[(1000, 0), (1000, 0), (1000, 1000)]), None);
        assert_eq!(recovery(&[]), None);
    }
}
