//! `cli`: one line of words in, text or JSON out (rtpengine-ctl's grammar, and `json …` for patchctl).

use std::fmt::Write as _;
use std::time::Duration;

use patchcord_contract::Endpoint;
use patchcord_media::flow::Command;
use patchcord_wire::ng::Reply;
use patchcord_wire::value::{Dict, Value};

use crate::call::{Call, Fate, Section};
use crate::outcome::{Form, Outcome, ProcessCommand, cli_reply};
use crate::ports::Ports;
use crate::quality::{self, Mode};
use crate::{Clock, Control, EndReason, query};

/// Longest line that is looked at.
const MAX_LINE: usize = 4096;
/// Most words of a line.
const MAX_WORDS: usize = 8;

/// What the grammar is, in its own form.
const USAGE: &str = "\
list numsessions | sessions [ID|all|own|foreign] | totals | timeout | silenttimeout |
     offertimeout | finaltimeout | deletedelay | maxsessions | tos | loglevel | interfaces
set timeout|silenttimeout|offertimeout|finaltimeout|deletedelay SECONDS
set maxsessions|tos|loglevel N
terminate ID|all|own
json calls [FROM [COUNT]] | call ID | interfaces | status
drain | undrain | reload | version | usage
";

/// Runs a line.
pub(crate) fn run(
    control: &mut Control,
    clock: Clock,
    line: &[u8],
    ports: &mut impl Ports,
    commands: &mut Vec<Command>,
) -> Outcome {
    let line = &line[..line.len().min(MAX_LINE)];
    let words: Vec<&[u8]> = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .take(MAX_WORDS)
        .collect();
    let text = match words.as_slice() {
        [b"list" | b"get", what, rest @ ..] => return list(control, clock, what, rest),
        [b"set", what, value] => return set(control, what, value),
        [b"terminate", which] => terminate(control, clock, which, ports, commands),
        [b"json", what, rest @ ..] => return json(control, clock, what, rest),
        [b"drain"] => drain(control, true),
        [b"undrain"] => drain(control, false),
        [b"reload"] => return Outcome::Process(ProcessCommand::Reload),
        [b"version"] => return Outcome::Process(ProcessCommand::Version(Form::Text)),
        [b"usage" | b"help"] => USAGE.to_owned(),
        _ => return unknown(line),
    };
    Outcome::Reply(cli_reply(text))
}

fn unknown(line: &[u8]) -> Outcome {
    let shown = line[..line.len().min(64)].escape_ascii();
    Outcome::Reply(Reply::error(format!(
        "Unknown command: {shown} (try: usage)"
    )))
}

fn drain(control: &mut Control, on: bool) -> String {
    control.drain(on);
    let calls = control.gauges().calls;
    if on {
        format!("Draining: no new calls, {calls} left\n")
    } else {
        format!("Taking new calls, {calls} now\n")
    }
}

fn list(control: &Control, clock: Clock, what: &[u8], rest: &[&[u8]]) -> Outcome {
    let timeouts = &control.settings().timeouts;
    let seconds = |limit: Option<Duration>| limit.map_or(0, |limit| limit.as_secs());
    let text = match what {
        b"numsessions" => {
            let calls = control.gauges().calls;
            format!(
                "Current sessions own: {calls}\nCurrent sessions foreign: 0\nCurrent sessions total: {calls}\n\
                 Current transcoded media: 0\n"
            )
        }
        b"sessions" => sessions(control, clock, rest.first().copied().unwrap_or(b"all")),
        b"totals" => totals(control),
        b"timeout" => format!("TIMEOUT={}\n", seconds(timeouts.media)),
        b"silenttimeout" => format!("SILENT_TIMEOUT={}\n", seconds(timeouts.silent)),
        b"offertimeout" => format!("OFFER_TIMEOUT={}\n", seconds(timeouts.offer)),
        b"finaltimeout" => format!("FINAL_TIMEOUT={}\n", seconds(timeouts.total)),
        b"deletedelay" => format!("Delete delay = {}\n", timeouts.delete_delay.as_secs()),
        b"maxsessions" => {
            let most = control.settings().max_sessions;
            let most = most.map_or_else(|| "-1".to_owned(), |most| most.to_string());
            format!("Maximum sessions configured: {most}\n")
        }
        b"tos" => format!("TOS = {}\n", control.settings().tos),
        b"loglevel" | b"loglevels" => return Outcome::Process(ProcessCommand::LogLevel),
        b"maxopenfiles" => return Outcome::Process(ProcessCommand::MaxOpenFiles),
        b"interfaces" => return Outcome::Process(ProcessCommand::Interfaces(Form::Text)),
        _ => return unknown(&[b"list ", what].concat()),
    };
    Outcome::Reply(cli_reply(text))
}

fn sessions(control: &Control, clock: Clock, which: &[u8]) -> String {
    let mut text = String::new();
    if !matches!(which, b"all" | b"own" | b"foreign") {
        return match control
            .calls
            .find(which)
            .and_then(|key| control.calls.get(key))
        {
            Some(call) => details(call, control, clock),
            None => format!("\nCall Id not found ({})\n\n", which.escape_ascii()),
        };
    }
    if which != b"foreign" {
        for (_, call) in control.calls.iter() {
            line(&mut text, call, clock);
        }
    }
    if text.is_empty() {
        text.push_str("No sessions on this media relay.\n");
    }
    text
}

fn line(text: &mut String, call: &Call, clock: Clock) {
    let age = clock.now.since(call.created.now).as_secs();
    let state = match (call.fate, call.answered) {
        (Fate::Deleted { .. }, _) => "deleted",
        (Fate::Alive, None) => "offered",
        (Fate::Alive, Some(_)) => "answered",
    };
    let (id, legs) = (&call.id, call.legs.len());
    let _infallible = writeln!(
        text,
        "callid: {id} | state: {state} | created: {age}s ago | legs: {legs}"
    );
}

fn details(call: &Call, control: &Control, clock: Clock) -> String {
    let mut text = String::new();
    line(&mut text, call, clock);
    for leg in &call.legs {
        let tag = leg
            .tag()
            .map_or_else(|| "<untagged>".to_owned(), ToString::to_string);
        let _infallible = writeln!(text, "--- tag '{tag}'");
        for (index, section) in leg.sections.iter().enumerate() {
            let kind = section.kind.escape_ascii();
            let _infallible = writeln!(text, "------ media #{} ({kind})", index + 1);
            for (transport, component) in section
                .transports()
                .flat_map(|t| t.components().map(move |c| (t, c)))
            {
                let local = control.settings().interfaces[usize::from(transport.interface)].address;
                let peer = component.latched.unwrap_or(component.advertised);
                let stats = &component.stats;
                let packets = stats.rtp_in.packets.get() + stats.rtcp_in.packets.get();
                let dropped = stats.dropped();
                let port = component.told();
                let _infallible = writeln!(
                    text,
                    "-------- port {port} on {local}, peer {peer}, {packets} packets in, {dropped} dropped"
                );
            }
        }
    }
    text
}

fn totals(control: &Control) -> String {
    let totals = control.totals();
    let mut text = String::from("Statistics since start:\n");
    let mut row = |name: &str, value: u64| {
        let _infallible = writeln!(text, " {name:<40}: {value}");
    };
    row("Total managed sessions", totals.calls);
    row("Total rejected sessions", totals.refused);
    for reason in EndReason::ALL {
        row(
            &format!("Total sessions ended by {}", reason.as_str()),
            totals.ended_by(*reason),
        );
    }
    row("Total relayed packets", totals.packets);
    row("Total relayed bytes", totals.bytes);
    row("Total relayed packet errors", totals.dropped);
    row("Total number of streams with no packets", totals.silent);
    row("Total number of 1-way streams", totals.one_way);
    text
}

fn set(control: &mut Control, what: &[u8], value: &[u8]) -> Outcome {
    let number = std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse::<i64>().ok());
    let Some(number) = number else {
        let shown = value.escape_ascii();
        return Outcome::Reply(Reply::error(format!("Not a number: {shown}")));
    };
    let refused = |allowed: &str| {
        Outcome::Reply(Reply::error(format!(
            "Out of range: {number} (allowed: {allowed})"
        )))
    };
    let Ok(whole) = u64::try_from(number) else {
        if what == b"maxsessions" && number == -1 {
            control.settings.max_sessions = None;
            return success(what, number);
        }
        return refused("0 and above");
    };
    let limit = (whole != 0).then(|| Duration::from_secs(whole));
    let settings = &mut control.settings;
    match what {
        b"timeout" => settings.timeouts.media = limit,
        b"silenttimeout" => settings.timeouts.silent = limit,
        b"offertimeout" => settings.timeouts.offer = limit,
        b"finaltimeout" => settings.timeouts.total = limit,
        b"deletedelay" => settings.timeouts.delete_delay = Duration::from_secs(whole),
        b"maxsessions" => settings.max_sessions = usize::try_from(whole).ok(),
        b"tos" => match u8::try_from(whole) {
            Ok(tos) => settings.tos = tos,
            Err(_) => return refused("0 to 255"),
        },
        b"loglevel" => {
            return match u8::try_from(whole) {
                Ok(level) if level <= 7 => Outcome::Process(ProcessCommand::SetLogLevel(level)),
                _ => refused("0 to 7"),
            };
        }
        _ => return unknown(&[b"set ", what].concat()),
    }
    success(what, number)
}

fn success(what: &[u8], number: i64) -> Outcome {
    let what = what.escape_ascii();
    Outcome::Reply(cli_reply(format!("Success setting {what} to {number}\n")))
}

fn terminate(
    control: &mut Control,
    clock: Clock,
    which: &[u8],
    ports: &mut impl Ports,
    commands: &mut Vec<Command>,
) -> String {
    let keys: Vec<_> = match which {
        b"all" | b"own" => control.calls.iter().map(|(key, _)| key).collect(),
        b"foreign" => Vec::new(),
        id => control.calls.find(id).into_iter().collect(),
    };
    if keys.is_empty() && !matches!(which, b"all" | b"own" | b"foreign") {
        return format!("\nCall Id not found ({})\n\n", which.escape_ascii());
    }
    let count = keys.len();
    for key in keys {
        control.end(clock, key, EndReason::ForceTerminated, ports, commands);
    }
    format!("Terminated {count} calls\n")
}

fn json(control: &mut Control, clock: Clock, what: &[u8], rest: &[&[u8]]) -> Outcome {
    let document = match (what, rest) {
        (b"calls", rest @ ([] | [_] | [_, _])) => match page(rest) {
            Some((from, most)) => calls(control, clock, from, most),
            None => return Outcome::Reply(Reply::error("Not a number: json calls [FROM [COUNT]]")),
        },
        (b"call", [id]) => match call(control, clock, id) {
            Some(document) => document,
            None => return Outcome::Reply(Reply::error("Unknown call-id")),
        },
        (b"status", []) => return Outcome::Process(ProcessCommand::Status),
        (b"interfaces", []) => return Outcome::Process(ProcessCommand::Interfaces(Form::Json)),
        (b"version", []) => return Outcome::Process(ProcessCommand::Version(Form::Json)),
        _ => return unknown(&[b"json ", what].concat()),
    };
    let mut text = Vec::new();
    patchcord_wire::ng::Writer::new(patchcord_wire::ng::Format::Json, &mut text)
        .value(&Value::Dict(document));
    Outcome::Reply(cli_reply(text))
}

/// Which calls of the list: a client that asks over UDP wants no more than fit a datagram.
fn page(words: &[&[u8]]) -> Option<(usize, usize)> {
    let number = |at: usize, default| match words.get(at) {
        None => Some(default),
        Some(word) => std::str::from_utf8(word).ok()?.parse().ok(),
    };
    Some((number(0, 0)?, number(1, usize::MAX)?))
}

fn calls(control: &Control, clock: Clock, from: usize, most: usize) -> Dict<'static> {
    let calls = control.calls.iter().skip(from).take(most);
    let calls = calls
        .map(|(_, call)| Value::Dict(summary(call, clock).with("tags", tags(call))))
        .collect::<Vec<_>>();
    Dict::new().with("calls", calls)
}

fn tags(call: &Call) -> Value<'static> {
    let tags = call.legs.iter().filter_map(|leg| leg.tags.first());
    Value::List(tags.map(|tag| Value::owned(tag.as_bytes())).collect())
}

fn summary(call: &Call, clock: Clock) -> Dict<'static> {
    let tally = call.tally();
    let state = match (call.fate, call.answered) {
        (Fate::Deleted { .. }, _) => "deleted",
        (Fate::Alive, None) => "offered",
        (Fate::Alive, Some(_)) => "answered",
    };
    let sections = call.legs.iter().map(|leg| leg.sections.len()).max();
    let mut entries = Dict::new()
        .with("call_id", Value::owned(call.id.as_bytes()))
        .with("state", state)
        .with("created", call.created.wall_secs())
        .with("seconds", clock.now.since(call.created.now).as_secs())
        .with("peers", peers(call))
        .with("medias", sections.unwrap_or_default() as u64)
        .with("packets", tally.rtp.packets + tally.rtcp.packets)
        .with("bytes", tally.rtp.bytes + tally.rtcp.bytes)
        .with("lost", lost(call))
        .with("dropped", tally.dropped);
    if let Some(answered) = call.answered {
        let seconds = clock.now.since(answered).as_secs();
        entries.push(&b"answered seconds"[..], seconds.into());
    }
    if let Some(worker) = call.worker {
        entries.push(&b"worker"[..], u64::from(worker).into());
    }
    entries
}

/// Where the first section of each leg is.
fn peers(call: &Call) -> Value<'static> {
    let sections = call.legs.iter().filter_map(|leg| leg.sections.first());
    let peers = sections.filter_map(|section| {
        let rtp = &section.newest()?.rtp;
        let peer = rtp.latched.unwrap_or(rtp.advertised);
        (peer != Endpoint::NONE).then(|| Value::owned(peer.to_string()))
    });
    Value::List(peers.collect())
}

/// RTP packets that got lost on their way here.
fn lost(call: &Call) -> u64 {
    let sections = call.legs.iter().flat_map(|leg| &leg.sections);
    let transports = sections.flat_map(Section::transports);
    let streams = transports.flat_map(|transport| &transport.rtp.stats.ssrcs);
    let used = streams.filter(|stream| stream.is_used());
    used.map(|stream| u64::from(stream.lost.get())).sum()
}

fn call(control: &mut Control, clock: Clock, id: &[u8]) -> Option<Dict<'static>> {
    let key = control.calls.find(id)?;
    let call = control.calls.get_mut(key)?;
    quality::sample(call, clock, Mode::First);
    let call = control.calls.get(key)?;
    let mut document = summary(call, clock);
    let explained = query::explain(call, control.settings(), clock);
    for (key, value) in &explained.entries() {
        if document.get_exact(key).is_none() {
            document.push(key.to_vec(), value.clone().into_owned());
        }
    }
    Some(document)
}

#[cfg(test)]
mod tests;
