//! Debian's coturn in the core, at the relay's second address: the only way out of a strict network.

use std::time::Duration;

use patchcord_tests::{Family, Program, Site, until};
use serde_json::{Value, json};

/// How long it may take to start.
const STARTING: Duration = Duration::from_secs(20);
/// Where it listens.
pub(crate) const PORT: u16 = 3478;

/// A running coturn.
pub(crate) struct Turn {
    _program: Program,
}

impl Turn {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(site: &Site) -> Self {
        let at = site.scratch.path().display().to_string();
        let own = Site::relay(Family::V4, 1).to_string();
        let options = [
            "-n",
            "--no-cli",
            "--no-tls",
            "--no-dtls",
            "--lt-cred-mech",
            "--fingerprint",
            "--simple-log",
            "--user=guest:secret",
            "--realm=test",
            "--min-port=49152",
            "--max-port=49252",
            "--log-file=stdout",
        ];
        let mut command = vec!["turnserver".to_owned()];
        command.extend(options.map(str::to_owned));
        command.extend([
            format!("--listening-ip={own}"),
            format!("--relay-ip={own}"),
            format!("--listening-port={PORT}"),
            format!("--pidfile={at}/turn.pid"),
            format!("--userdb={at}/turn.db"),
        ]);
        let log = site.scratch.path().join("turn.log");
        let program = Program::start(&site.core, "coturn", &command, &log);
        until("coturn to listen", STARTING, || site.core.has_udp(PORT));
        Self { _program: program }
    }

    /// What a page is told of it, over this transport.
    pub(crate) fn configuration(transport: &str) -> Value {
        let own = Site::relay(Family::V4, 1);
        let urls = format!("turn:{own}:{PORT}?transport={transport}");
        json!({"iceServers": [{"urls": urls, "username": "guest", "credential": "secret"}]})
    }
}
