//! The worker thread's loop.

use std::io;
use std::sync::mpsc::SyncSender;

use crate::worker::{Command, Shared, WorkerConfig};

/// Runs a worker until it is stopped.
pub(crate) fn run(
    config: &WorkerConfig,
    shared: &Shared,
    opened: &SyncSender<io::Result<()>>,
) -> io::Result<()> {
    tracing::debug!(worker = config.id, backend = %config.backend, "worker started");
    let _nobody_waits = opened.send(Ok(()));
    let mut sockets = std::collections::BTreeMap::new();
    while !shared.stopping() {
        while let Some(command) = shared.commands.pop() {
            shared.stats.commands.add(1);
            match command {
                Command::Attach { port, socket } => drop(sockets.insert(port, socket)),
                Command::Detach { port } => drop(sockets.remove(&port)),
                Command::Flow(_) => shared.stats.commands_refused.add(1),
            }
        }
        if shared.may_sleep() {
            std::thread::park_timeout(std::time::Duration::from_millis(1));
            shared.awake();
        }
    }
    Ok(())
}
