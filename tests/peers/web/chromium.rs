//! Debian's Chromium without a head, driven over the DevTools protocol.

use std::path::Path;
use std::time::Duration;

use patchcord_tests::{Netns, Program};
use serde_json::{Value, json};

use super::wire::Wire;

/// How long it may take to start.
const STARTING: Duration = Duration::from_mins(1);
/// What its log says before the address of its agent.
const LISTENS: &str = "DevTools listening on ws://127.0.0.1:9222";
/// No sandbox, for tests run as root; no traffic of its own; devices that are fake.
const OPTIONS: [&str; 19] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-breakpad",
    "--disable-sync",
    "--disable-extensions",
    "--disable-component-update",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--no-first-run",
    "--no-default-browser-check",
    "--password-store=basic",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--remote-debugging-port=9222",
];

/// A Chromium with one page.
pub(crate) struct Chromium {
    wire: Wire,
}

impl Chromium {
    /// Starts it with an empty profile in `directory`, `options` added to its own.
    pub(crate) fn start(netns: &Netns, directory: &Path, options: &[&str]) -> (Program, Self) {
        let at = directory.display();
        let mut command = vec![
            "env".to_owned(),
            format!("HOME={at}"),
            "chromium".to_owned(),
        ];
        command.extend(
            OPTIONS
                .iter()
                .chain(options)
                .map(|&option| option.to_owned()),
        );
        command.push(format!("--user-data-dir={at}/profile"));
        command.push("about:blank".to_owned());
        let log = directory.join("log");
        let mut program = Program::start_in(netns, "chromium", &command, &log, directory);
        program.wait_for_log(LISTENS, STARTING);
        let log = program.log();
        let (_, path) = log.split_once(LISTENS).expect("waited for");
        let path = path.lines().next().expect("it is a line");
        let mut wire = Wire::connect(netns, ([127, 0, 0, 1], 9222).into(), path);
        let targets = wire.command("Target.getTargets", &json!({}));
        let targets = targets["targetInfos"].as_array().expect("a list");
        let page = targets.iter().find(|target| target["type"] == "page");
        let page = &page.expect("it opened about:blank")["targetId"];
        let attached = wire.command(
            "Target.attachToTarget",
            &json!({"targetId": page, "flatten": true}),
        );
        wire.always("sessionId", attached["sessionId"].clone());
        (program, Self { wire })
    }

    /// Shows a page.
    pub(crate) fn open(&mut self, url: &str) {
        let went = self.wire.command("Page.navigate", &json!({"url": url}));
        assert!(went["errorText"].is_null(), "{went}");
    }

    /// The value of an expression, awaited.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Result<Value, String> {
        let parameters = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let reply = self.wire.attempt("Runtime.evaluate", &parameters)?;
        match reply.get("exceptionDetails") {
            Some(thrown) => Err(thrown.to_string()),
            None => Ok(reply["result"]["value"].clone()),
        }
    }
}
