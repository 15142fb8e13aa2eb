//! Debian's Firefox without a head, driven over WebDriver BiDi, with a sound device that swallows all.

use std::path::Path;
use std::time::Duration;

use patchcord_tests::{Netns, Program};
use serde_json::{Value, json};

use super::wire::Wire;

/// How long it may take to start.
const STARTING: Duration = Duration::from_secs(90);
/// What its log says before it can be driven.
const LISTENS: &str = "WebDriver BiDi listening on ws://127.0.0.1:9222";
/// Nothing of its own goes out; devices are fake, and allowed; addresses are shown as they are.
const PREFERENCES: [(&str, &str); 16] = [
    ("media.navigator.streams.fake", "true"),
    ("media.navigator.permission.disabled", "true"),
    ("media.autoplay.default", "0"),
    ("media.autoplay.blocking_policy", "0"),
    ("media.autoplay.block-webaudio", "false"),
    ("media.cubeb.backend", "\"pulse-rust\""),
    ("media.peerconnection.ice.obfuscate_host_addresses", "false"),
    ("media.gmp-manager.updateEnabled", "false"),
    ("app.update.enabled", "false"),
    ("app.normandy.enabled", "false"),
    ("browser.safebrowsing.update.enabled", "false"),
    ("browser.shell.checkDefaultBrowser", "false"),
    ("datareporting.policy.dataSubmissionEnabled", "false"),
    ("network.captive-portal-service.enabled", "false"),
    ("network.connectivity-service.enabled", "false"),
    ("toolkit.telemetry.server", "\"\""),
];

/// A Firefox with one page.
pub(crate) struct Firefox {
    wire: Wire,
    context: Value,
}

impl Firefox {
    /// Starts it with an empty profile in `directory`.
    pub(crate) fn start(netns: &Netns, directory: &Path) -> (Program, Self) {
        let profile = directory.join("profile");
        std::fs::create_dir_all(&profile).expect("the scratch is writable");
        let lines = PREFERENCES.map(|(key, value)| format!("user_pref(\"{key}\", {value});\n"));
        std::fs::write(profile.join("user.js"), lines.concat()).expect("the scratch is writable");
        let at = directory.display();
        // One PID namespace for both: the sound ends with the browser.
        let line = format!(
            "pulseaudio -n --daemonize=no --exit-idle-time=-1 --disable-shm=yes --high-priority=no --use-pid-file=no \
             -L 'module-null-sink' -L 'module-native-protocol-unix socket={at}/sound' & \
             for turn in $(seq 100); do [ -S {at}/sound ] && break; sleep 0.1; done; \
             exec firefox-esr --headless --no-remote --remote-debugging-port 9222 --profile {at}/profile about:blank"
        );
        let environment = [
            format!("HOME={at}"),
            format!("XDG_RUNTIME_DIR={at}"),
            format!("PULSE_SERVER=unix:{at}/sound"),
            "MOZ_DISABLE_CONTENT_SANDBOX=1".to_owned(),
            "MOZ_CRASHREPORTER_DISABLE=1".to_owned(),
        ];
        let mut command = vec!["env".to_owned()];
        command.extend(environment);
        command.extend(["sh".to_owned(), "-c".to_owned(), line]);
        let log = directory.join("log");
        let mut program = Program::start_in(netns, "firefox", &command, &log, directory);
        program.wait_for_log(LISTENS, STARTING);
        let mut wire = Wire::connect(netns, ([127, 0, 0, 1], 9222).into(), "/session");
        wire.command("session.new", &json!({"capabilities": {}}));
        let tree = wire.command("browsingContext.getTree", &json!({}));
        let context = tree["contexts"][0]["context"].clone();
        (program, Self { wire, context })
    }

    /// Shows a page.
    pub(crate) fn open(&mut self, url: &str) {
        let parameters = json!({"context": self.context, "url": url, "wait": "complete"});
        self.wire.command("browsingContext.navigate", &parameters);
    }

    /// The value of an expression, awaited. It has to be a string, a number, true, false or null.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Result<Value, String> {
        let parameters = json!({
            "expression": expression, "target": {"context": self.context},
            "awaitPromise": true, "userActivation": true,
        });
        let reply = self.wire.attempt("script.evaluate", &parameters)?;
        if reply["type"] == "exception" {
            return Err(reply["exceptionDetails"]["text"].to_string());
        }
        Ok(reply["result"]["value"].clone())
    }
}
