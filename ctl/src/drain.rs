//! `drain`: no new calls, and the wait until the running ones have ended.

use std::io::{self, IsTerminal, Write};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, Form};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Looks in a row that may fail before the relay counts as gone.
const PATIENCE: u32 = 3;

/// Starts draining and, unless told otherwise, waits for the last call.
pub(crate) fn start(client: &mut Client, waits: bool, form: Form) -> Result<(), Failure> {
    let said = client.cli("drain")?;
    if form == Form::People {
        output::line(said.trim_end())?;
    }
    let left = if waits { wait(client)? } else { calls(client)? };
    match form {
        Form::Json => output::json(&json!({"draining": true, "calls": left})),
        Form::People if waits => output::line("The relay is empty."),
        Form::People => Ok(()),
    }
}

/// Takes new calls again.
pub(crate) fn end(client: &mut Client, form: Form) -> Result<(), Failure> {
    let said = client.cli("undrain")?;
    match form {
        Form::Json => output::json(&json!({"draining": false, "calls": calls(client)?})),
        Form::People => output::line(said.trim_end()),
    }
}

fn wait(client: &mut Client) -> Result<u64, Failure> {
    let mut shown = None;
    let mut misses = 0;
    loop {
        match calls(client) {
            Ok(0) => return Ok(0),
            Ok(left) if shown != Some(left) => {
                misses = 0;
                show(left)?;
                shown = Some(left);
            }
            Ok(_) => misses = 0,
            Err(Failure::Unreachable(_)) if misses + 1 < PATIENCE => misses += 1,
            // A relay with `process.exit-when-drained` ends once it is empty.
            Err(Failure::Unreachable(_)) if shown.is_some_and(|left| left > 0) => {
                return Err(gone());
            }
            Err(failure) => return Err(failure),
        }
        sleep(LOOK);
    }
}

fn gone() -> Failure {
    Failure::Unreachable(
        "the relay ended while draining; with `process.exit-when-drained` that is how it should be"
            .to_owned(),
    )
}

/// One line that changes on a terminal, a line for each change elsewhere.
fn show(left: u64) -> Result<(), Failure> {
    let mut err = io::stderr().lock();
    let (before, after) = if err.is_terminal() {
        ("\r\x1b[K", "")
    } else {
        ("", "\n")
    };
    write!(
        err,
        "{before}{left} calls left (Ctrl-C ends the waiting, not the draining){after}"
    )?;
    Ok(err.flush()?)
}

fn calls(client: &mut Client) -> Result<u64, Failure> {
    let status = client.document("json status")?;
    status
        .get("calls")
        .and_then(Value::as_u64)
        .ok_or_else(|| Failure::Refused("the relay does not say how many calls it has".to_owned()))
}
