//! Keeps the processor out of idle states that are slow to leave.
//!
//! A virtual machine that halts a core hands it back to its host; what comes back is late and cold. That
//! is charged to every relay alike, for each time it waits, and drowns what tells them apart.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};

/// The kernel's knob (PM QoS): as long as the file is open, no idle state that takes longer is entered.
const KNOB: &str = "/dev/cpu_dma_latency";

/// Idle states are shallow while this value lives.
#[derive(Debug)]
pub(crate) struct Awake {
    _held: File,
}

impl Awake {
    /// Asks for no latency at all.
    pub(crate) fn ask() -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).open(KNOB)?;
        file.write_all(&0_i32.to_ne_bytes())?;
        Ok(Self { _held: file })
    }
}
