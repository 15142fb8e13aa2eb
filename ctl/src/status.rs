//! `status`, `interfaces`, `statistics` and `version`: the relay as a whole.

use std::fmt::Write as _;

use patchcord_wire::ng::Command;
use patchcord_wire::ng::client::RequestBuilder;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::output::{self, Form};
use crate::table::{Align, Table, count, span};
use crate::tree;

/// Prints whether the relay is well.
pub(crate) fn status(client: &mut Client, form: Form) -> Result<(), Failure> {
    let document = client.document("json status")?;
    match form {
        Form::Json => output::json(&document),
        Form::People => output::text(render(&document, &client.relay().to_string())),
    }
}

/// Prints the interfaces with their ports.
pub(crate) fn interfaces(client: &mut Client, form: Form) -> Result<(), Failure> {
    let document = client.document("json interfaces")?;
    match form {
        Form::Json => output::json(&document),
        Form::People => output::text(render_interfaces(&document)),
    }
}

/// Prints the counters as proxies get them.
pub(crate) fn statistics(client: &mut Client, form: Form) -> Result<(), Failure> {
    let reply = client.request(&RequestBuilder::new(Command::Statistics))?;
    let document = output::document(&reply);
    match form {
        Form::Json => output::json(&document),
        Form::People => output::text(tree::render(
            document.get("statistics").unwrap_or(&document),
        )),
    }
}

/// Prints both versions.
pub(crate) fn version(client: &mut Client, form: Form) -> Result<(), Failure> {
    let own = env!("CARGO_PKG_VERSION");
    if form == Form::People {
        output::line(format_args!("patchctl {own}"))?;
    }
    let relay = client.document("json version")?;
    if form == Form::Json {
        return output::json(&json!({"patchctl": own, "relay": relay}));
    }
    let word = |key| relay.get(key).and_then(Value::as_str).unwrap_or("?");
    output::line(format_args!(
        "{} {} at {}",
        word("name"),
        word("version"),
        client.relay()
    ))
}

fn render(document: &Value, place: &str) -> String {
    let mut rest = document.as_object().cloned().unwrap_or_default();
    let mut out = String::new();
    let mut push = |line: String| {
        let _infallible = writeln!(out, "{line}");
    };
    let (name, version) = (word(&mut rest, "name"), word(&mut rest, "version"));
    let (pid, backend) = (take(&mut rest, "pid"), word(&mut rest, "backend"));
    let up = span(take(&mut rest, "uptime"));
    rest.remove("started");
    push(format!(
        "{name} {version} at {place}, pid {pid}, up {up}, backend {backend}"
    ));
    if rest.remove("draining") == Some(Value::Bool(true)) {
        push("DRAINING: no new calls are taken (`patchctl drain --off` ends it)".to_owned());
    }
    push(format!("calls    {}", calls(&mut rest)));
    if let Some(Value::Object(ports)) = rest.remove("ports") {
        push(format!("ports    {}", counts(&ports)));
    }
    push(format!("packets  {}", packets(&rest)));
    out + &tree::render(&Value::Object(rest))
}

fn calls(status: &mut Map<String, Value>) -> String {
    let mut number = |key| count(take(status, key));
    format!(
        "{} now ({} of them deleted and still forwarding), {} legs, {} sections; {} since the start, {} refused",
        number("calls"),
        number("deleting"),
        number("legs"),
        number("sections"),
        number("created"),
        number("refused")
    )
}

/// All numbers of a dictionary, as `12 leased, 30 free`.
fn counts(entries: &Map<String, Value>) -> String {
    let entries = entries
        .iter()
        .filter_map(|(key, value)| Some((key, value.as_u64()?)));
    let words: Vec<_> = entries
        .map(|(key, number)| format!("{} {key}", count(number)))
        .collect();
    words.join(", ")
}

/// What all workers did together.
fn packets(status: &Map<String, Value>) -> String {
    let workers = status.get("workers").and_then(Value::as_array);
    let sum = |key| {
        let workers = workers.into_iter().flatten();
        workers.filter_map(|worker| worker.get(key)?.as_u64()).sum()
    };
    format!(
        "{} received, {} forwarded, {} dropped",
        count(sum("received")),
        count(sum("forwarded")),
        count(sum("dropped"))
    )
}

fn word(entries: &mut Map<String, Value>, key: &str) -> String {
    match entries.remove(key) {
        Some(Value::String(text)) => text,
        _ => "?".to_owned(),
    }
}

fn take(entries: &mut Map<String, Value>, key: &str) -> u64 {
    entries
        .remove(key)
        .as_ref()
        .and_then(Value::as_u64)
        .unwrap_or_default()
}

fn render_interfaces(document: &Value) -> String {
    let Some(interfaces) = document.get("interfaces").and_then(Value::as_array) else {
        return tree::render(document);
    };
    let (left, right) = (Align::Left, Align::Right);
    let mut table = Table::new(&[
        ("name", left),
        ("address", left),
        ("SDP says", left),
        ("ports", left),
        ("leased", right),
        ("free", right),
        ("resting", right),
        ("aside", right),
    ]);
    for interface in interfaces {
        let text = |key| {
            interface
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or("-")
                .to_owned()
        };
        let number = |key| {
            interface
                .get(key)
                .and_then(Value::as_u64)
                .unwrap_or_default()
        };
        let ports = |key| {
            let number = interface
                .get("ports")
                .and_then(|ports| ports.get(key)?.as_u64());
            number.map_or_else(|| "-".to_owned(), count)
        };
        let aliases = interface
            .get("aliases")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let names = [text("name")]
            .into_iter()
            .chain(aliases.filter_map(Value::as_str).map(Into::into));
        table.row([
            names.collect::<Vec<_>>().join(", "),
            text("address"),
            text("advertised"),
            format!("{}-{}", number("port-min"), number("port-max")),
            ports("leased"),
            ports("free"),
            ports("resting"),
            ports("aside"),
        ]);
    }
    let mut text = table.to_string();
    let offload = document.get("offload").and_then(Value::as_array);
    for device in offload.into_iter().flatten() {
        let word = |key| device.get(key).and_then(Value::as_str).unwrap_or("-");
        let _infallible = writeln!(
            text,
            "offload on {}: {}, {}",
            word("device"),
            word("hook"),
            word("why")
        );
    }
    if let Some(steer) = document.get("steer") {
        let word = |key| steer.get(key).and_then(Value::as_str).unwrap_or("-");
        let _infallible = writeln!(text, "steering: {}, {}", word("how"), word("why"));
    }
    text.push_str(&render_lanes(document));
    text
}

/// The receive queues that lead to workers past the kernel's stack.
fn render_lanes(document: &Value) -> String {
    let mut text = String::new();
    let lanes = document.get("lanes").and_then(Value::as_array);
    for lane in lanes.into_iter().flatten() {
        let word = |key| lane.get(key).and_then(Value::as_str).unwrap_or("-");
        let number = |key| lane.get(key).and_then(Value::as_u64).unwrap_or(0);
        let _infallible = writeln!(
            text,
            "xsk on {}: queue {} to worker {}, {}",
            word("device"),
            number("queue"),
            number("worker"),
            word("mode")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_begins_with_what_matters() {
        let document = json!({
            "name": "patchcord", "version": "0.1.0", "pid": 42, "uptime": 7500, "started": 1,
            "draining": false, "backend": "uring",
            "workers": [
                {"id": 0, "received": 1000, "forwarded": 990, "dropped": 10},
                {"id": 1, "received": 1, "forwarded": 1, "dropped": 0},
            ],
            "calls": 2, "deleting": 1, "legs": 4, "sections": 4, "created": 17, "refused": 0,
            "ports": {"leased": 8, "free": 9992, "resting": 4},
            "log-level": 6,
        });
        let expected = "\
patchcord 0.1.0 at udp:127.0.0.1:2223, pid 42, up 2h05m, backend uring
calls    2 now (1 of them deleted and still forwarding), 4 legs, 4 sections; 17 since the start, 0 refused
ports    8 leased, 9 992 free, 4 resting
packets  1 001 received, 991 forwarded, 10 dropped
log level  6
workers
  id  received  forwarded  dropped
   0     1 000        990       10
   1         1          1        0
";
        assert_eq!(render(&document, "udp:127.0.0.1:2223"), expected);
    }

    #[test]
    fn a_draining_relay_says_how_to_stop_it() {
        let text = render(&json!({"draining": true}), "x");
        assert!(
            text.contains("DRAINING") && text.contains("drain --off"),
            "{text}"
        );
    }

    #[test]
    fn interfaces_are_a_table_with_all_their_names() {
        let document = json!({"interfaces": [{
            "name": "pub", "aliases": ["external"], "address": "10.0.0.1",
            "advertised": "192.0.2.1", "port-min": 30000, "port-max": 39999,
            "ports": {"total": 10000, "leased": 8, "free": 9992, "resting": 4, "aside": 0},
        }], "offload": [{"device": "eth0", "hook": "native", "why": "as configured"}],
            "steer": {"how": "ports", "why": "as configured"},
            "lanes": [{"device": "eth0", "queue": 3, "worker": 1, "mode": "copy"}]});
        let expected = "\
name           address   SDP says   ports        leased   free  resting  aside
pub, external  10.0.0.1  192.0.2.1  30000-39999       8  9 992        4      0
offload on eth0: native, as configured
steering: ports, as configured
xsk on eth0: queue 3 to worker 1, copy
";
        assert_eq!(render_interfaces(&document), expected);
    }
}
