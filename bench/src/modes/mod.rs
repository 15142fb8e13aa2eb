//! The questions `patchload` answers, one file each.

pub(crate) mod bare;
pub(crate) mod demo;
pub(crate) mod hold;
pub(crate) mod max;
pub(crate) mod overload;
pub(crate) mod run;
pub(crate) mod setup;
pub(crate) mod webrtc;

use anyhow::Result;

use crate::rig::Rig;

/// Runs `ask` on a rig and deletes its calls afterwards, whatever came of it.
fn with_calls<T>(mut rig: Rig, ask: impl FnOnce(&mut Rig) -> Result<T>) -> Result<T> {
    let answer = ask(&mut rig);
    let deleted = if rig.calls() > 0 {
        rig.tear_down().map(|_| ())
    } else {
        Ok(())
    };
    let answer = answer?;
    deleted?;
    Ok(answer)
}
