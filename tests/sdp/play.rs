//! Plays a case: the real control, ports without sockets, a clock that stands unless told.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::{Addr, Endpoint, Time};
use patchcord_control::dtls::Identity;
use patchcord_control::{Clock, Control, Interface, Outcome, Seed, Settings, TrustedAddress};
use patchcord_media::flow::{Command, Handshakes, PortId, Reporting, Security, Spec};
use patchcord_media::srtp::Keys;
use patchcord_wire::json;
use patchcord_wire::ng::{Reply, Request, Templates};
use patchcord_wire::sdp::{Fingerprint, HashName, base64};
use patchcord_wire::value::{Limits, Value};

use crate::case::{Case, Step};
use crate::names::{self, Names};
use crate::shelf::Shelf;

/// The replies of a case, step by step, as lines.
pub(crate) fn play(case: &Case) -> Vec<Vec<String>> {
    let text = case.settings.as_deref().unwrap_or("{}");
    let (settings, leases) = settings(text);
    let shelf = Shelf::new(&settings, leases);
    let mut control = Control::new(settings, &Seed::of_number(1));
    control.identify(identity());
    let mut stage = Stage {
        leases: shelf,
        control,
        clock: Clock {
            now: Time::from_secs(1000),
            wall_us: 1_700_000_000_000_000,
        },
        flows: BTreeMap::new(),
        names: Names::default(),
        templates: templates(text),
    };
    case.steps.iter().map(|step| stage.step(step)).collect()
}

/// A certificate whose fingerprints are plain to see.
fn identity() -> Arc<Identity> {
    let print = |hash: HashName| Fingerprint::new(hash, &[names::OURS; 64][..hash.digest_len()]);
    Arc::new(Identity::new(|hash| print(hash).expect("its length")))
}

struct Stage {
    control: Control,
    leases: Shelf,
    clock: Clock,
    flows: BTreeMap<PortId, Spec>,
    names: Names,
    templates: Templates,
}

impl Stage {
    fn step(&mut self, step: &Step) -> Vec<String> {
        match step.command.as_str() {
            "tick" => self.tick(&step.argument),
            "flows" => self.show_flows(),
            _ => self.request(step),
        }
    }

    fn tick(&mut self, seconds: &str) -> Vec<String> {
        let seconds: u64 = seconds.parse().expect("tick takes seconds");
        let mut commands = Vec::new();
        let mut lines = Vec::new();
        for _ in 0..seconds {
            self.clock.now = self.clock.now + Duration::from_secs(1);
            self.clock.wall_us += 1_000_000;
            let ended = self
                .control
                .tick(self.clock, &mut self.leases, &mut commands);
            lines.extend(
                ended
                    .iter()
                    .map(|e| format!("ended {} by {}", e.id, e.reason.as_str())),
            );
        }
        self.obey(commands);
        lines.push(format!("{} ports leased", self.leases.leased()));
        lines
    }

    fn request(&mut self, step: &Step) -> Vec<String> {
        let dictionary = dictionary(step);
        let (value, _) = json::decode(dictionary.as_bytes(), Limits::REQUEST)
            .unwrap_or_else(|error| panic!("{}: {error:?}", step.argument));
        let (request, warnings) = Request::parse_with(&value, &self.templates);
        let mut commands = Vec::new();
        let reply = match &request {
            Ok(request) => {
                match self.control.request(
                    self.clock,
                    request,
                    &warnings,
                    &mut self.leases,
                    &mut commands,
                ) {
                    Outcome::Reply(reply) => reply,
                    Outcome::Process(process) => return vec![format!("process: {process:?}")],
                }
            }
            Err(error) => Reply::error(error.reason()),
        };
        self.obey(commands);
        self.names.hear(&step.given);
        let lines = lines(&reply, &step.expected);
        self.names
            .apply(&lines, &step.expected, &side(step, &value))
    }

    /// What a worker would do.
    fn obey(&mut self, commands: Vec<Command>) {
        for command in commands {
            match command {
                Command::Set(spec) => {
                    self.flows.insert(spec.port, Arc::unwrap_or_clone(spec));
                }
                Command::Clear(port) => {
                    self.flows
                        .remove(&port)
                        .expect("only flows that are there are cleared");
                }
                Command::Send { port, .. } => {
                    let mut flows = self.flows.values();
                    assert!(
                        flows.any(|spec| spec.port == port || is_door(spec, port)),
                        "only from flows that are there"
                    );
                }
            }
        }
    }

    fn show_flows(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.flows.values().map(|spec| self.show(spec)).collect();
        lines.sort();
        lines.push(format!("{} ports leased", self.leases.leased()));
        lines
    }

    fn show(&self, spec: &Spec) -> String {
        let sinks = |sinks: &[patchcord_media::flow::Sink]| {
            let ports: Vec<_> = sinks.iter().map(|sink| self.port(sink.via)).collect();
            ports.join("+")
        };
        let mut line = format!("{} {:?}", self.port(spec.port), spec.accepts).to_lowercase();
        let admission = spec.admission;
        let peer = match admission.advertised {
            Endpoint::NONE => "?".to_owned(),
            known => known.to_string(),
        };
        line.extend([" peer ", &peer, " epoch ", &admission.epoch.to_string()]);
        for (name, to) in [("rtp", &spec.rtp), ("rtcp", &spec.rtcp)] {
            if !to.is_empty() {
                line.extend([" ", name, " to ", &sinks(to)]);
            }
        }
        let extras = [
            (
                !matches!(
                    admission.learning,
                    patchcord_media::flow::Learning::Heuristic
                ),
                format!("{:?}", admission.learning).to_lowercase(),
            ),
            (
                !matches!(admission.stranger, patchcord_media::flow::Stranger::Forward),
                format!("{:?}", admission.stranger).to_lowercase(),
            ),
            (
                spec.handshakes != Handshakes::default(),
                handshakes(&spec.handshakes),
            ),
            self.security(spec),
            (spec.tos != 0, format!("tos {}", spec.tos)),
            (spec.blocked, "blocked".to_owned()),
            self.reporting(&spec.reporting),
            (
                spec.rtcp
                    .iter()
                    .any(|s| s.feedback == patchcord_media::flow::Feedback::Strip),
                "strips feedback".to_owned(),
            ),
            (
                !spec.clocks.is_empty(),
                format!("clocks {:?}", spec.clocks.as_slice()),
            ),
            (spec.bundle.is_some(), self.bundle(spec)),
            (spec.doors.is_some(), self.doors(spec)),
        ];
        for (_, extra) in extras.iter().filter(|(shown, _)| *shown) {
            line.extend([", ", extra]);
        }
        line
    }

    /// Further ports that lead to the flow, where packets leave if that is not its own, and who else has their
    /// peers there.
    fn doors(&self, spec: &Spec) -> String {
        let mut parts = Vec::new();
        let ports = spec.doors.iter().flat_map(|doors| &doors.ports);
        let ports: Vec<_> = ports.map(|port| self.port(*port)).collect();
        if !ports.is_empty() {
            parts.push(format!("also at {}", ports.join(" ")));
        }
        if spec.leaves() != spec.port {
            parts.push(format!("leaves by {}", self.port(spec.leaves())));
        }
        for lodger in spec.doors.iter().flat_map(|doors| &doors.lodgers) {
            let types: Vec<_> = (0..128)
                .filter(|number| lodger.types.has(*number))
                .collect();
            let port = self.port(lodger.port);
            let ssrcs = lodger.ssrcs.as_slice();
            parts.push(format!("lodges {port} types {types:?} ssrcs {ssrcs:?}"));
        }
        parts.join(", ")
    }

    /// The sections that share the port, and what is edited on the way from there.
    fn bundle(&self, spec: &Spec) -> String {
        let Some(bundle) = spec.bundle.as_deref() else {
            return String::new();
        };
        let sinks = |sinks: &[patchcord_media::flow::Sink]| {
            let one = |sink: &patchcord_media::flow::Sink| {
                let edit = sink.edit.and_then(|edit| bundle.edits.get(edit.index()));
                format!(
                    "{}{}",
                    self.port(sink.via),
                    edit.map_or_else(String::new, edited)
                )
            };
            sinks.iter().map(one).collect::<Vec<_>>().join("+")
        };
        let text = |mid: &patchcord_wire::ids::Mid| mid.as_bytes().escape_ascii().to_string();
        if bundle.parts.is_empty() {
            return format!("to {}", sinks(&spec.rtp));
        }
        let parts = bundle.parts.iter().map(|part| {
            let types: Vec<_> = (0..128).filter(|number| part.types.has(*number)).collect();
            let declared = if part.ssrcs.is_empty() {
                String::new()
            } else {
                format!(" ssrcs {:?}", part.ssrcs.as_slice())
            };
            let rids: Vec<_> = part.rids.iter().map(|rid| rid.escape_ascii()).collect();
            let named = if rids.is_empty() {
                String::new()
            } else {
                let names: Vec<_> = rids.iter().map(ToString::to_string).collect();
                format!(" rids {}", names.join(" "))
            };
            let (mid, rtp, rtcp) = (text(&part.mid), sinks(&part.rtp), sinks(&part.rtcp));
            let mut kept = part.rtcp.iter();
            let strips = kept.any(|s| s.feedback == patchcord_media::flow::Feedback::Strip);
            let stripped = if strips { " without feedback" } else { "" };
            format!(
                "[mid {mid} types {types:?}{declared}{named} rtp to {rtp} rtcp to {rtcp}{stripped}]"
            )
        });
        let id = bundle
            .mid
            .map_or_else(|| "none".to_owned(), |id| id.to_string());
        let names: Vec<String> = bundle.rids.iter().flatten().map(u8::to_string).collect();
        let names = if names.is_empty() {
            String::new()
        } else {
            format!(" rid by {}", names.join(" "))
        };
        format!("mid by {id}{names} {}", parts.collect::<Vec<_>>().join(" "))
    }

    /// Whose RTCP the peer gets.
    fn reporting(&self, reporting: &Reporting) -> (bool, String) {
        match reporting {
            Reporting::Relayed => (false, String::new()),
            Reporting::Elsewhere => (true, "keeps rtcp".to_owned()),
            Reporting::Here(reports) => {
                let (rtp, seconds) = (self.port(reports.rtp), reports.interval.as_secs());
                (true, format!("reports on {rtp} every {seconds} s"))
            }
        }
    }

    /// How a port is protected: a word if it is the same both ways, else suite and key of each way.
    fn security(&self, spec: &Spec) -> (bool, String) {
        let word = |security: &Security| match security {
            Security::Srtp(keys) => self.keys(keys),
            Security::Plain | Security::EndToEnd | Security::Pending => {
                format!("{security:?}").to_lowercase()
            }
        };
        let (receive, send) = (word(&spec.receive), word(&spec.send));
        let shown = if receive == send {
            receive
        } else {
            format!("from it {receive}, to it {send}")
        };
        (
            spec.receive != Security::Plain || spec.send != Security::Plain,
            shown,
        )
    }

    fn keys(&self, keys: &Keys) -> String {
        let mut key = Vec::new();
        base64::encode(keys.inline(), base64::Padding::Without, &mut key);
        let key = self.names.of_key(&String::from_utf8_lossy(&key));
        let mut text = format!("{} {key}", keys.suite());
        if let Some(mki) = keys.mki() {
            text.extend([" mki ", &format!("{mki:?}")]);
        }
        if let Some(packets) = keys.lifetime() {
            text.extend([" for ", &packets.to_string()]);
        }
        let parameters = keys.parameters();
        for (shown, word) in [
            (!parameters.encrypts_rtp, " unencrypted"),
            (!parameters.encrypts_rtcp, " unencrypted rtcp"),
            (!parameters.authenticates_rtp, " unauthenticated"),
        ] {
            text.push_str(if shown { word } else { "" });
        }
        text
    }

    fn port(&self, id: PortId) -> String {
        let endpoint = self.leases.endpoint(id);
        let name = self
            .names
            .of(endpoint.port)
            .map_or_else(|| "unnamed".to_owned(), |name| format!("{{{name}}}"));
        format!("{}:{name}", endpoint.addr)
    }
}

/// What goes up to control, and who has proven itself.
fn handshakes(handshakes: &Handshakes) -> String {
    let mut text = format!("hears {:?}", handshakes.punts).to_lowercase();
    for source in &handshakes.validated {
        text.extend([" ", &source.to_string()]);
    }
    text
}

/// Completes a step's dictionary: command, call-id, tags, body.
fn dictionary(step: &Step) -> String {
    let argument = step.argument.trim();
    let inner = argument
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'))
        .unwrap_or("");
    let mut text = format!("{{\"command\": \"{}\"", step.command);
    let mut add = |key: &str, value: &str| {
        if !inner.contains(&format!("\"{key}\"")) {
            text.extend([", \"", key, "\": \"", value, "\""]);
        }
    };
    if !matches!(step.command.as_str(), "ping" | "list" | "cli") {
        add("call-id", "c");
    }
    if matches!(step.command.as_str(), "offer" | "answer") {
        add("from-tag", "a");
        let given = step.given.iter();
        let body: String = given.flat_map(|line| [line.as_str(), "\r\n"]).collect();
        let mut quoted = Vec::new();
        json::encode_str(body.as_bytes(), &mut quoted);
        let quoted = String::from_utf8(quoted).expect("JSON is text");
        add("sdp", quoted.trim_matches('"'));
    }
    if step.command == "answer" {
        add("to-tag", "b");
    }
    if !inner.trim().is_empty() {
        text.push_str(", ");
        text.push_str(inner);
    }
    text.push('}');
    // A key given as `null` is one that the request does not have.
    for key in ["call-id", "from-tag", "to-tag", "sdp"] {
        text = text.replace(&format!(", \"{key}\": null"), "");
    }
    text
}

/// A word for the leg that a body goes to, to name its ports with.
fn side(step: &Step, value: &Value<'_>) -> String {
    let tag = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let side = match step.command.as_str() {
        "offer" => tag("to-tag").unwrap_or_else(|| "b".to_owned()),
        _ => tag("from-tag").unwrap_or_else(|| "a".to_owned()),
    };
    format!("{side}.")
}

/// A reply as lines: what is expected of it. `result: ok` is left out before an SDP; entries of
/// `extra` are shown if the case asks for them.
fn lines(reply: &Reply<'_>, expected: &[String]) -> Vec<String> {
    match reply {
        Reply::Pong => vec!["result: pong".to_owned()],
        Reply::Error(reason) => vec![
            "result: error".to_owned(),
            format!("error-reason: {reason}"),
        ],
        Reply::LoadLimit(message) => vec![
            "result: load limit".to_owned(),
            format!("message: {message}"),
        ],
        Reply::Ok {
            sdp,
            warning,
            extra,
        } => {
            let mut lines = Vec::new();
            if sdp.is_none() {
                lines.push("result: ok".to_owned());
            }
            lines.extend(warning.iter().map(|warning| format!("warning: {warning}")));
            for wanted in expected
                .iter()
                .filter_map(|line| line.split_once(": "))
                .map(|(path, _)| path)
            {
                if let Some(value) = find(&extra.entries(), wanted) {
                    lines.push(format!("{wanted}: {value}"));
                }
            }
            if let Some(sdp) = sdp {
                let text = String::from_utf8_lossy(sdp);
                let text = text.strip_suffix("\r\n").unwrap_or(&text);
                lines.extend(text.split("\r\n").map(str::to_owned));
            }
            lines
        }
    }
}

/// The value at `a/b/0/c` in a dictionary, as text.
fn find(extra: &patchcord_wire::value::Dict<'_>, path: &str) -> Option<String> {
    let mut parts = path.split('/');
    let mut value = extra.get_exact(parts.next()?.as_bytes())?;
    for part in parts {
        value = match value {
            Value::List(list) => list.get(part.parse::<usize>().ok()?)?,
            Value::Dict(dict) => dict.get_exact(part.as_bytes())?,
            Value::Str(_) | Value::Int(_) => return None,
        };
    }
    Some(match value {
        Value::Str(text) => String::from_utf8_lossy(text).replace('\n', "|"),
        Value::Int(number) => number.to_string(),
        Value::List(_) | Value::Dict(_) => {
            let mut text = Vec::new();
            json::encode(value, &mut text);
            String::from_utf8_lossy(&text).into_owned()
        }
    })
}

/// Settings out of JSON, and how many leases there are.
fn settings(text: &str) -> (Settings, usize) {
    let (value, _) = json::decode(text.as_bytes(), Limits::REQUEST).expect("settings are JSON");
    let mut settings = Settings::with_address(ip("203.0.113.1"));
    if let Some(rows) = value.get("interfaces").and_then(Value::as_list) {
        settings.interfaces = rows
            .iter()
            .map(|row| interface(row.as_str().expect("a string")))
            .collect();
    }
    if let Some(most) = value.get("max-sessions").and_then(Value::as_int) {
        settings.max_sessions = usize::try_from(most).ok();
    }
    if let Some(tos) = value.get("tos").and_then(Value::as_int) {
        settings.tos = tos as u8;
    }
    if value.get("sip-source").is_some() {
        settings.trusted = TrustedAddress::SipSource;
    }
    settings.dtls_passive = value.get("dtls-passive").is_some();
    if let Some(seconds) = value.get("delete-delay").and_then(Value::as_int) {
        settings.timeouts.delete_delay = Duration::from_secs(seconds as u64);
    }
    let leases = value.get("leases").and_then(Value::as_int).unwrap_or(400);
    (settings, leases as usize)
}

/// The templates in them.
fn templates(text: &str) -> Templates {
    let (value, _) = json::decode(text.as_bytes(), Limits::REQUEST).expect("settings are JSON");
    let Some(Value::Dict(all)) = value.get("templates") else {
        return Templates::default();
    };
    all.into_iter()
        .map(|(name, text)| (name, text.as_bytes().expect("a flag string")))
        .collect()
}

/// `name/address!advertised=alias`
fn interface(text: &str) -> Interface {
    let (name, rest) = text.split_once('/').expect("name/address");
    let (rest, alias) = rest.split_once('=').unwrap_or((rest, ""));
    let (address, advertised) = rest.split_once('!').unwrap_or((rest, rest));
    Interface {
        name: name.to_owned(),
        aliases: (!alias.is_empty())
            .then(|| alias.to_owned())
            .into_iter()
            .collect(),
        address: ip(address),
        advertised: ip(advertised),
    }
}

fn ip(text: &str) -> Addr {
    text.parse::<IpAddr>().expect("an address").into()
}

/// Whether a port leads to a flow that is at another.
fn is_door(spec: &Spec, port: PortId) -> bool {
    let mut doors = spec.doors.iter().flat_map(|doors| &doors.ports);
    doors.any(|door| *door == port)
}

/// What becomes of a header extension.
fn edited(edit: &patchcord_media::bundle::Edit) -> String {
    let part = edit.part.map(|part| format!(" as part {part}"));
    let cut = (!edit.cut.is_empty()).then(|| format!(" without {:?}", edit.cut.as_slice()));
    let name = edit.name.as_ref();
    let name = name.map(|(id, mid)| format!(" with {id}={}", mid.as_bytes().escape_ascii()));
    [part, cut, name].into_iter().flatten().collect()
}
