//! Keeps this thread on one core.

use anyhow::{Result, ensure};

/// Pins the calling thread to core `id`.
pub(crate) fn this_thread(id: usize) -> Result<()> {
    ensure!(
        core_affinity::set_for_current(core_affinity::CoreId { id }),
        "cannot pin to core {id}: is there one, and may this process use it?"
    );
    Ok(())
}
