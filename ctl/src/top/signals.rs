//! Signals end `top`, with the terminal restored.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How long the loop that draws has to leave by itself.
const GRACE: Duration = Duration::from_millis(500);

/// A flag that a signal sets. Where the loop does not heed it in time, the process ends all the same:
/// crossterm 0.29 reads a terminal that was closed for ever, without coming back.
pub(super) fn watch() -> io::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let flag = Arc::clone(&stop);
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let Some(signal) = signals.forever().next() else {
                return;
            };
            flag.store(true, Relaxed);
            thread::sleep(GRACE);
            // The terminal may be gone; then there is nothing to restore and no one to tell.
            drop(ratatui::try_restore());
            process::exit(128 + signal)
        })?;
    Ok(stop)
}
