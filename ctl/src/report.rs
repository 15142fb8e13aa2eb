//! `call ID`: everything about one call, and what is wrong with it.

use std::fmt::Write as _;

use crate::call::{Association, Call, Dtls, Endpoint, Ice, Leg, Port, Section, Ssrc};
use crate::client::Client;
use crate::failure::Failure;
use crate::hints;
use crate::output::{self, Form};
use crate::table::{Align, Table, bytes, count, printable, span};

/// Prints the call.
pub(crate) fn run(client: &mut Client, call_id: &str, form: Form) -> Result<(), Failure> {
    if call_id.contains(char::is_whitespace) || call_id.is_empty() {
        return Err(Failure::Usage(
            "a call-id is one word; `patchctl calls` lists them".into(),
        ));
    }
    let document = client
        .document(&format!("json call {call_id}"))
        .map_err(|failure| failure.advise("`patchctl calls` lists those that exist"))?;
    if form == Form::Json {
        return output::json(&document);
    }
    output::text(render(&Call::read(&document)?))
}

/// The call as text.
pub(crate) fn render(call: &Call) -> String {
    let mut out = String::new();
    let summary = &call.summary;
    let worker = call
        .worker
        .map_or_else(String::new, |worker| format!(", worker {worker}"));
    push(
        &mut out,
        0,
        &format!(
            "Call {}: {}, {} old{worker}, {} packets, {}, {} dropped",
            printable(&summary.call_id),
            summary.state,
            span(summary.seconds),
            count(summary.packets),
            bytes(summary.bytes),
            count(summary.dropped)
        ),
    );
    for leg in &call.legs {
        out.push('\n');
        push(&mut out, 0, &heading(call, leg));
        for section in &leg.medias {
            self::section(&mut out, call, leg, section);
        }
    }
    if flows(call) {
        push(&mut out, 0, "\nMedia flows both ways.");
    }
    out
}

fn heading(call: &Call, leg: &Leg) -> String {
    let mut text = leg.name();
    if leg.label.is_some() {
        let _infallible = write!(text, " (tag {})", printable(&leg.tag));
    }
    if !leg.aliases.is_empty() {
        let _infallible = write!(text, " (also {})", printable(&leg.aliases.join(", ")));
    }
    if let Some(peer) = call.peer_of(leg) {
        let _infallible = write!(text, " ↔ {}", peer.name());
    }
    text
}

fn section(out: &mut String, call: &Call, leg: &Leg, section: &Section) {
    let mut title = format!("{}. {}", section.index, printable(&section.kind));
    for word in [&section.protocol, &section.codec, &section.direction]
        .into_iter()
        .flatten()
    {
        let _infallible = write!(title, " {}", printable(word));
    }
    if section.is("rtcp-mux") {
        title.push_str(" rtcp-mux");
    }
    if let Some(names) = &section.bundle {
        let _infallible = write!(title, " bundle {}", printable(names));
    }
    push(out, 1, &title);
    if let Some(security) = section.rtp().and_then(security) {
        push(out, 2, &security);
    }
    if let Some(ice) = &section.ice {
        push(out, 2, &connectivity(ice));
    }
    if let Some(dtls) = &section.dtls {
        push(out, 2, &handshakes(dtls));
    }
    if !section.ports.is_empty() {
        push(out, 2, &ports(call, section).to_string());
    }
    if !section.ssrcs.is_empty() {
        push(out, 2, &streams(&section.ssrcs).to_string());
    }
    for hint in hints::of_section(call, leg, section) {
        push(out, 2, &format!("! {hint}"));
    }
}

/// How the section is protected each way, unless it is not.
fn security(port: &Port) -> Option<String> {
    let [from, to] = [&port.security_in, &port.security_out].map(|way| way.as_deref());
    let (from, to) = (from.unwrap_or("none"), to.unwrap_or("none"));
    (from != "none" || to != "none").then(|| {
        let (from, to) = (printable(from), printable(to));
        format!("SRTP: {from} from them, {to} to them")
    })
}

/// What the agent has found, pair by pair.
fn connectivity(ice: &Ice) -> String {
    let mut text = format!("ICE: {}", printable(&ice.role));
    match &ice.waits_for {
        Some(what) => {
            let what = printable(what);
            let _infallible = write!(text, ", waits for {what}");
        }
        None => text.push_str(", connected"),
    }
    if ice.disbelieved > 0 {
        let _infallible = write!(text, ", {} datagrams not believed", count(ice.disbelieved));
    }
    let mut table = Table::new(&[
        ("pair", Align::Left),
        ("here", Align::Left),
        ("there", Align::Left),
        ("state", Align::Left),
    ]);
    for pair in &ice.pairs {
        let component = if pair.component == 2 { "RTCP" } else { "RTP" };
        table.row([
            component.to_owned(),
            pair.local.to_string(),
            pair.remote.to_string(),
            printable(&pair.state),
        ]);
    }
    if !ice.pairs.is_empty() {
        let _infallible = write!(text, "\n{table}");
    }
    text
}

/// How keys are made, port by port.
fn handshakes(dtls: &Dtls) -> String {
    let mut text = format!("DTLS: {}", printable(&dtls.role));
    if let Some(what) = &dtls.waits_for {
        let what = printable(what);
        let _infallible = write!(text, ", waits for {what}");
    }
    for association in &dtls.associations {
        let Association { port, .. } = association;
        let (role, state) = (printable(&association.role), printable(&association.state));
        let _infallible = write!(text, "\n  port {port}: {state} as {role}");
        for more in [&association.suite, &association.failure]
            .into_iter()
            .flatten()
        {
            let _infallible = write!(text, ", {}", printable(more));
        }
    }
    text
}

fn ports(call: &Call, section: &Section) -> Table {
    let (left, right) = (Align::Left, Align::Right);
    let mut table = Table::new(&[
        ("port", left),
        ("here", left),
        ("there", left),
        ("SDP said", left),
        ("in", right),
        ("out", right),
        ("dropped", right),
        ("last", right),
        ("carried by", left),
    ]);
    for port in &section.ports {
        let here = Endpoint {
            address: port.address.clone(),
            port: port.number,
        };
        let interface = port.interface.as_ref();
        let latched = if port.is("confirmed") { " latched" } else { "" };
        let ago = call.now.saturating_sub(port.last_packet);
        let is_heard = port.incoming.packets > 0;
        table.row([
            carries(port).to_owned(),
            interface.map_or_else(|| here.to_string(), |name| format!("{name} {here}")),
            format!("{}{latched}", port.endpoint),
            port.advertised.to_string(),
            count(port.incoming.packets),
            count(port.outgoing.packets),
            count(port.incoming.errors + port.outgoing.errors),
            if is_heard {
                span(ago)
            } else {
                "never".to_owned()
            },
            match (&port.tier, &port.reason) {
                (Some(tier), Some(reason)) => format!("{tier}: {reason}"),
                (Some(tier), None) => tier.clone(),
                (None, _) => "-".to_owned(),
            },
        ]);
    }
    table
}

fn carries(port: &Port) -> &'static str {
    match (port.is("RTP"), port.is("RTCP")) {
        (true, true) => "RTP+RTCP",
        (true, false) => "RTP",
        (false, true) => "RTCP",
        (false, false) => "bytes",
    }
}

fn streams(ssrcs: &[Ssrc]) -> Table {
    let mut table = Table::new(&[
        ("SSRC", Align::Left),
        ("packets", Align::Right),
        ("loss", Align::Right),
        ("reordered", Align::Right),
        ("twice", Align::Right),
        ("jitter", Align::Right),
        ("round trip", Align::Right),
        ("MOS", Align::Right),
        ("worst", Align::Right),
    ]);
    for stream in ssrcs {
        let average = stream.average;
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let score = |mos: u64| format!("{}.{}", mos / 10, mos % 10);
        table.row([
            format!("{:08x}", stream.id),
            count(stream.packets),
            format!("{:.1} %", stream.loss()),
            count(stream.reordered),
            count(stream.duplicates),
            or_dash(average.map(|one| format!("{} ms", one.jitter))),
            or_dash(
                average
                    .filter(|one| one.rtt > 0)
                    .map(|one| milliseconds(one.rtt)),
            ),
            or_dash(average.map(|one| score(one.mos))),
            or_dash(stream.lowest.map(|one| score(one.mos))),
        ]);
    }
    table
}

fn milliseconds(micros: u64) -> String {
    format!("{:.1} ms", micros as f64 / 1000.0)
}

/// Whether every leg was heard, and just now.
fn flows(call: &Call) -> bool {
    let mut sections = call
        .legs
        .iter()
        .flat_map(|leg| &leg.medias)
        .filter_map(Section::rtp);
    let is_alive = |port: &Port| {
        port.incoming.packets > 0
            && port.outgoing.packets > 0
            && call.now.saturating_sub(port.last_packet) < 5
    };
    call.legs.len() > 1 && sections.all(is_alive)
}

fn push(out: &mut String, depth: usize, text: &str) {
    for line in text.lines() {
        let _infallible = writeln!(
            out,
            "{}",
            format!("{:width$}{line}", "", width = 2 * depth).trim_end()
        );
    }
}

#[cfg(test)]
mod tests;
