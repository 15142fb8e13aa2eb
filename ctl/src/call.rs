//! One call as the relay describes it: legs, sections, ports, streams.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::calls::{Summary, unreadable};
use crate::failure::Failure;
use crate::table::printable;

/// A call.
#[derive(Debug, Default)]
pub(crate) struct Call {
    pub(crate) summary: Summary,
    /// Unix time of the answer.
    pub(crate) now: u64,
    pub(crate) worker: Option<u64>,
    pub(crate) legs: Vec<Leg>,
}

/// One party.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Leg {
    pub(crate) tag: String,
    pub(crate) label: Option<String>,
    #[serde(rename = "tag-aliases")]
    pub(crate) aliases: Vec<String>,
    #[serde(rename = "in dialogue with")]
    pub(crate) peer: Option<String>,
    pub(crate) medias: Vec<Section>,
}

/// One media section of a party.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Section {
    pub(crate) index: u64,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) protocol: Option<String>,
    pub(crate) codec: Option<String>,
    pub(crate) direction: Option<String>,
    /// The names of the sections on one transport with it.
    pub(crate) bundle: Option<String>,
    pub(crate) flags: Vec<String>,
    #[serde(rename = "streams")]
    pub(crate) ports: Vec<Port>,
    #[serde(rename = "ingress SSRCs")]
    pub(crate) ssrcs: Vec<Ssrc>,
    #[serde(rename = "ICE")]
    pub(crate) ice: Option<Ice>,
    #[serde(rename = "DTLS")]
    pub(crate) dtls: Option<Dtls>,
}

/// How a section's keys are made.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Dtls {
    pub(crate) role: String,
    #[serde(rename = "waits for")]
    pub(crate) waits_for: Option<String>,
    pub(crate) associations: Vec<Association>,
}

/// The handshake at one port.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Association {
    #[serde(rename = "local port")]
    pub(crate) port: u16,
    pub(crate) role: String,
    pub(crate) state: String,
    pub(crate) suite: Option<String>,
    pub(crate) failure: Option<String>,
}

/// What a section's agent has found.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ice {
    pub(crate) role: String,
    #[serde(rename = "waits for")]
    pub(crate) waits_for: Option<String>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) disbelieved: u64,
}

/// A way that it knows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Pair {
    pub(crate) component: u64,
    pub(crate) local: Endpoint,
    pub(crate) remote: Endpoint,
    pub(crate) state: String,
}

/// One local port, and who is at its other end.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Port {
    #[serde(rename = "local port")]
    pub(crate) number: u16,
    #[serde(rename = "local address")]
    pub(crate) address: String,
    #[serde(rename = "local advertised address")]
    pub(crate) shown_as: Option<String>,
    pub(crate) interface: Option<String>,
    pub(crate) endpoint: Endpoint,
    #[serde(rename = "advertised endpoint")]
    pub(crate) advertised: Endpoint,
    #[serde(rename = "last packet")]
    pub(crate) last_packet: u64,
    pub(crate) flags: Vec<String>,
    #[serde(rename = "security in")]
    pub(crate) security_in: Option<String>,
    #[serde(rename = "security out")]
    pub(crate) security_out: Option<String>,
    #[serde(rename = "stats")]
    pub(crate) incoming: Count,
    #[serde(rename = "stats_out")]
    pub(crate) outgoing: Count,
    pub(crate) drops: BTreeMap<String, u64>,
    /// Who carries the packets that arrive there.
    pub(crate) tier: Option<String>,
    /// Why nobody below does.
    #[serde(rename = "tier reason")]
    pub(crate) reason: Option<String>,
}

/// An address of a party.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct Endpoint {
    pub(crate) address: String,
    pub(crate) port: u16,
}

/// Packets in one direction.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Count {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
}

/// One RTP stream that a party sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Ssrc {
    #[serde(rename = "SSRC")]
    pub(crate) id: u64,
    pub(crate) packets: u64,
    #[serde(rename = "cumulative loss")]
    pub(crate) lost: u64,
    pub(crate) reordered: u64,
    pub(crate) duplicates: u64,
    #[serde(rename = "average MOS")]
    pub(crate) average: Option<Quality>,
    #[serde(rename = "lowest MOS")]
    pub(crate) lowest: Option<Quality>,
}

/// What a stream sounds like.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Quality {
    /// Mean opinion score times ten.
    #[serde(rename = "MOS")]
    pub(crate) mos: u64,
    /// Microseconds.
    #[serde(rename = "round-trip time")]
    pub(crate) rtt: u64,
    /// Milliseconds.
    pub(crate) jitter: u64,
}

impl Call {
    /// Reads the answer to `json call ID`.
    pub(crate) fn read(document: &Value) -> Result<Self, Failure> {
        let mut entries = document.as_object().cloned().unwrap_or_default();
        let legs = match entries.remove("tags") {
            Some(Value::Object(legs)) => legs.into_values().collect(),
            _ => Vec::new(),
        };
        let legs = legs.into_iter().map(serde_json::from_value);
        let legs: Vec<Leg> = legs.collect::<Result<_, _>>().map_err(unreadable)?;
        let number = |key| entries.get(key).and_then(Value::as_u64);
        let worker = number("worker");
        let created = number("created").unwrap_or_default();
        let summary = summary(&entries)?;
        let now = created + summary.seconds;
        Ok(Self {
            summary,
            now,
            worker,
            legs,
        })
    }

    /// The leg that this one talks to.
    pub(crate) fn peer_of(&self, leg: &Leg) -> Option<&Leg> {
        let name = leg.peer.as_ref()?;
        self.legs
            .iter()
            .find(|other| other.tag == *name && !std::ptr::eq(*other, leg))
    }
}

fn summary(entries: &Map<String, Value>) -> Result<Summary, Failure> {
    serde_json::from_value(Value::Object(entries.clone())).map_err(unreadable)
}

impl Leg {
    /// What to call it: its label, else its tag.
    pub(crate) fn name(&self) -> String {
        match (&self.label, &*self.tag) {
            (Some(label), _) => printable(label),
            (None, "") => "the party without a tag".to_owned(),
            (None, tag) => printable(tag),
        }
    }
}

impl Section {
    /// Whether a word is among its flags.
    pub(crate) fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|one| one == flag)
    }

    /// The port for RTP.
    pub(crate) fn rtp(&self) -> Option<&Port> {
        self.ports
            .iter()
            .find(|port| port.is("RTP"))
            .or_else(|| self.ports.first())
    }
}

impl Port {
    /// Whether a word is among its flags.
    pub(crate) fn is(&self, flag: &str) -> bool {
        self.flags.iter().any(|one| one == flag)
    }

    /// Where packets have to be sent for them to arrive here.
    pub(crate) fn local(&self) -> Endpoint {
        let address = self.shown_as.as_ref().unwrap_or(&self.address).clone();
        Endpoint {
            address,
            port: self.number,
        }
    }
}

impl Endpoint {
    /// Whether packets can be sent there.
    pub(crate) fn is_somewhere(&self) -> bool {
        self.port != 0 && !matches!(&*self.address, "" | "0.0.0.0" | "::")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, port } = self;
        match (&**address, *port) {
            ("", 0) => f.write_str("-"),
            (v6, port) if v6.contains(':') => write!(f, "[{v6}]:{port}"),
            (v4, port) => write!(f, "{v4}:{port}"),
        }
    }
}

impl Ssrc {
    /// Lost packets, per cent of those expected.
    pub(crate) fn loss(&self) -> f64 {
        let expected = (self.packets + self.lost).saturating_sub(self.duplicates);
        self.lost as f64 * 100.0 / expected.max(1) as f64
    }
}
