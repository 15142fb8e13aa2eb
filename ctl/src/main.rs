//! `patchctl`: steers and inspects a running Patchcord over the NG protocol, as any proxy speaks it.
//!
//! The way through: [`args`] reads the command line, [`client`] asks the relay, one module for each kind of
//! answer prints it through [`output`], and [`failure`] is the exit code. Rendering is pure: a document in,
//! text out.
#![forbid(unsafe_code)]

mod args;
mod call;
mod calls;
mod client;
mod drain;
mod exchange;
mod failure;
mod hints;
mod output;
mod params;
mod report;
mod status;
mod table;
mod top;
mod tree;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::{CommandFactory, Parser};
use patchcord_wire::ng;
use patchcord_wire::ng::client::RequestBuilder;
use patchcord_wire::value::Value;
use serde_json::json;

use args::{Cli, Command};
use client::Client;
use failure::Failure;
use output::Form;

fn main() -> ExitCode {
    let Err(failure) = run(Cli::parse()) else {
        return ExitCode::SUCCESS;
    };
    if failure.is_worth_a_line() {
        complain("error", &failure.to_string());
    }
    failure.exit_code()
}

fn run(cli: Cli) -> Result<(), Failure> {
    let form = if cli.json { Form::Json } else { Form::People };
    let mut client = Client::new(cli.relay, cli.timeout);
    let client = &mut client;
    match cli.command {
        Command::Status => status::status(client, form),
        Command::Calls(wanted) => calls::run(client, &wanted, form),
        Command::Call { call_id } => report::run(client, &call_id, form),
        Command::Top { interval, sort } => top::run(client, interval, sort, form),
        Command::Offer(exchange) => negotiate(
            client,
            &exchange::request(ng::Command::Offer, &exchange)?,
            form,
        ),
        Command::Answer(exchange) => negotiate(
            client,
            &exchange::request(ng::Command::Answer, &exchange)?,
            form,
        ),
        Command::Delete(delete) => delete_call(client, &delete, form),
        Command::Terminate { call_id } => terminate(client, &call_id, form),
        Command::Get { name } => params::get(client, name.as_deref(), form),
        Command::Set { name, value } => params::set(client, &name, &value, form),
        Command::Drain { off: true, .. } => drain::end(client, form),
        Command::Drain {
            off: false,
            no_wait,
        } => drain::start(client, !no_wait, form),
        Command::Reload => say(&client.cli("reload")?, form),
        Command::Interfaces => status::interfaces(client, form),
        Command::Statistics => status::statistics(client, form),
        Command::Ping => ping(client, form),
        Command::Cli { words } => say(&client.cli(&words.join(" "))?, form),
        Command::Version => status::version(client, form),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "patchctl", &mut script);
            output::bytes(&script)
        }
    }
}

/// Sends an offer or answer and prints the SDP for the other side.
fn negotiate(client: &mut Client, request: &RequestBuilder<'_>, form: Form) -> Result<(), Failure> {
    let reply = client.request(request)?;
    warn(&reply);
    if form == Form::Json {
        return output::json(&output::document(&reply));
    }
    output::bytes(
        reply
            .get("sdp")
            .and_then(Value::as_bytes)
            .unwrap_or_default(),
    )
}

/// Deletes, and prints what the call came to.
fn delete_call(client: &mut Client, delete: &args::Delete, form: Form) -> Result<(), Failure> {
    let reply = client.request(&exchange::delete(delete))?;
    warn(&reply);
    if form == Form::Json {
        return output::json(&output::document(&reply));
    }
    let total = |kind: &str, what: &str| {
        let totals = reply.get("totals").and_then(|totals| totals.get(kind));
        let number = totals
            .and_then(|count| count.get(what))
            .and_then(Value::as_int);
        table::count(
            number
                .and_then(|number| u64::try_from(number).ok())
                .unwrap_or_default(),
        )
    };
    if reply.get("totals").is_none() {
        return output::line("Done.");
    }
    output::line(format_args!(
        "Deleted: {} RTP packets, {} RTCP packets, {} dropped.",
        total("RTP", "packets"),
        total("RTCP", "packets"),
        total("RTP", "errors")
    ))
}

fn terminate(client: &mut Client, call_id: &str, form: Form) -> Result<(), Failure> {
    let said = client.cli(&format!("terminate {call_id}"))?;
    if said.trim_start().starts_with("Call Id not found") {
        let why = format!("there is no call {call_id}");
        return Err(Failure::Refused(why).advise("`patchctl calls` lists those that exist"));
    }
    say(&said, form)
}

fn ping(client: &mut Client, form: Form) -> Result<(), Failure> {
    let start = Instant::now();
    let reply = client.request(&RequestBuilder::new(ng::Command::Ping))?;
    let took = start.elapsed().as_secs_f64() * 1000.0;
    let result = client::text(&reply, "result").unwrap_or_default();
    match form {
        Form::Json => output::json(&json!({"result": result, "milliseconds": took})),
        Form::People => output::line(format_args!(
            "{result} from {} in {took:.2} ms",
            client.relay()
        )),
    }
}

/// Prints the text that answers a line.
fn say(text: &str, form: Form) -> Result<(), Failure> {
    match form {
        Form::Json => {
            let document = serde_json::from_str(text)
                .ok()
                .filter(serde_json::Value::is_object);
            output::json(&document.unwrap_or_else(|| json!({"response": text})))
        }
        Form::People if text.ends_with('\n') || text.is_empty() => output::text(text),
        Form::People => output::line(text),
    }
}

fn warn(reply: &Value<'_>) {
    if let Some(warning) = client::text(reply, "warning") {
        complain("warning", &warning);
    }
}

fn complain(kind: &str, text: &str) {
    // There is nowhere left to say that standard error is closed.
    drop(writeln!(io::stderr().lock(), "patchctl: {kind}: {text}"));
}
