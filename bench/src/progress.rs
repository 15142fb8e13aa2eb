//! A line on standard error that says where a long run is; only for people who watch.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use crate::os::clock;

/// Seldom enough to cost nothing.
const EVERY: Duration = Duration::from_millis(200);
/// Calls of [`Progress::show`] between two looks at the clock.
const STRIDE: u32 = 64;

/// The progress line.
pub(crate) struct Progress {
    shown: bool,
    label: String,
    calls: u32,
    next: Instant,
    dirty: bool,
}

impl Progress {
    /// A line if standard error is a terminal, nothing otherwise.
    pub(crate) fn new() -> Self {
        let shown = stderr().is_terminal();
        Self {
            shown,
            label: String::new(),
            calls: 0,
            next: clock::now(),
            dirty: false,
        }
    }

    /// What is being done; stands before what [`Progress::show`] says.
    pub(crate) fn label(&mut self, label: impl Into<String>) {
        self.label = label.into();
    }

    /// Shows `text` if it is time to.
    pub(crate) fn show(&mut self, text: impl FnOnce() -> String) {
        self.calls = self.calls.wrapping_add(1);
        if !self.shown || !self.calls.is_multiple_of(STRIDE) {
            return;
        }
        let now = clock::now();
        if now >= self.next {
            self.next = now + EVERY;
            self.dirty = true;
            write(&format!("\r\x1b[K{} {}", self.label, text()));
        }
    }

    /// Says something that stays, also when nobody watches: a long run's log.
    pub(crate) fn say(&mut self, text: &str) {
        self.clear();
        write(&format!("{text}\n"));
    }

    /// Wipes the line.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.dirty) {
            write("\r\x1b[K");
        }
    }
}

fn write(text: &str) {
    let mut out = stderr().lock();
    // Nobody is told when nobody watches any more.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
