//! The configuration: text in layers in, plain resolved values out.
//!
//! Reading order: [`text`] (the keys), [`layer`] (who wins), [`resolve`](mod@resolve) (`auto`, names and
//! contradictions), and [`Config`], which is all that the rest of the process sees.

mod complaint;
mod layer;
mod resolve;
mod text;
mod value;

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use patchcord_offload::Choice;
use patchcord_wire::ng::Templates;
use serde::Deserialize;

pub use complaint::{Complaint, Complaints, nearest};
pub use layer::Layers;
pub use resolve::{Machine, resolve};
pub use text::{KEYS, Key, Reload, Text};
pub use value::{InterfaceText, Level, Many, Target};

/// What starts without any file: loopback only.
pub const SAMPLE: &str = include_str!("../../../systemd/patchcord.toml");

/// Everything the operator chose, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where requests are taken.
    pub listen: Listen,
    /// Local addresses, the first name being the default. Never empty.
    pub interfaces: Vec<Interface>,
    /// How ports are kept.
    pub ports: Ports,
    /// The threads that forward packets.
    pub workers: Workers,
    /// What the kernel's own program carries.
    pub offload: Offload,
    /// When calls end by themselves; `None` is never.
    pub timeouts: Timeouts,
    /// What is refused.
    pub limits: Limits,
    /// Defaults for media.
    pub media: Media,
    /// Keys by DTLS.
    pub dtls: Dtls,
    /// The log.
    pub log: Log,
    /// The process.
    pub process: Process,
    /// Flag strings that requests can name.
    pub templates: Templates,
}

impl Config {
    /// Different local addresses that media is at.
    pub fn addresses(&self) -> usize {
        let addresses = self.interfaces.iter().map(|interface| interface.address);
        addresses.collect::<BTreeSet<_>>().len()
    }
}

/// A socket to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub addr: SocketAddr,
    /// Whether the operator asked for it; a default that cannot be opened is no error.
    pub required: bool,
}

/// Where requests are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// NG over UDP.
    pub ng: Vec<Listener>,
    /// NG over TCP.
    pub ng_tcp: Vec<Listener>,
    /// HTTP and WebSocket.
    pub http: Vec<Listener>,
    /// Command lines over TCP.
    pub cli: Vec<Listener>,
    /// TOS byte of UDP replies.
    pub tos: u8,
}

/// One local address under a logical name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The logical name.
    pub name: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// What sockets are bound to.
    pub address: IpAddr,
    /// What SDP says.
    pub advertised: IpAddr,
    /// The ports media uses there.
    pub range: PortRange,
}

/// Ports from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// Lowest.
    pub min: u16,
    /// Highest.
    pub max: u16,
}

impl PortRange {
    /// Even ports of the range whose odd neighbour is in it too.
    pub fn pairs(self) -> impl Iterator<Item = u16> {
        let first = self.min.next_multiple_of(2);
        (first..self.max).step_by(2)
    }

    /// Whether the two have a port in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

/// How ports are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Rest that a port gets while fresher ones are to be had.
    pub rest: Duration,
    /// Rest that it gets in any case.
    pub rest_min: Duration,
    /// Sockets kept open unleased.
    pub warm: usize,
    /// Ports opened at start.
    pub prewarm: usize,
}

/// How packets are received and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// io_uring.
    Uring,
    /// recvmmsg and sendmmsg.
    Mmsg,
    /// AF_XDP, past the kernel's stack.
    Xsk,
}

impl Backend {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Mmsg => "mmsg",
            Self::Xsk => "xsk",
        }
    }
}

/// How packets find their worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Steer {
    /// By the kernel's lookup of sockets where that is of use and permitted, else by ports.
    Auto,
    /// One socket is all ports of a worker.
    SkLookup,
    /// Each port has a socket.
    #[default]
    Ports,
}

impl Steer {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::SkLookup => "sk_lookup",
            Self::Ports => "ports",
        }
    }
}

impl fmt::Display for Steer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The threads that forward packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workers {
    /// How many.
    pub count: usize,
    /// How they do it.
    pub backend: Backend,
    /// How packets find them.
    pub steer: Steer,
    /// Whether each stays on its core.
    pub pin: bool,
    /// Whether sockets are connected to a latched peer.
    pub connect: bool,
    /// Packet buffers of each.
    pub buffers: usize,
    /// Whether each asks drivers for packets without a pause.
    pub busy_poll: bool,
}

/// What the kernel's own program carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offload {
    /// How it is attached.
    pub hook: Choice,
    /// To which interfaces.
    pub interfaces: Vec<String>,
    /// Flows that it carries at most; `None`: as many as there are ports.
    pub entries: Option<usize>,
    /// How long a flow is left with its worker before it is looked at.
    pub patience: Duration,
    /// Of 2^32 packets that it could carry, so many go to a worker all the same.
    pub decline: u32,
}

/// When calls end by themselves; `None` is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Without any packet.
    pub media: Option<Duration>,
    /// Without any packet while held.
    pub silent: Option<Duration>,
    /// Without an answer.
    pub offer: Option<Duration>,
    /// However alive.
    pub total: Option<Duration>,
    /// Forwarding goes on so long after a delete.
    pub delete_delay: Duration,
}

/// What is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Calls at once.
    pub calls: Option<usize>,
    /// No new calls above this load average,
    pub load: Option<f64>,
    /// this busy share of all processors, percent,
    pub cpu: Option<f64>,
    /// and these bytes of media a second.
    pub bandwidth: Option<u64>,
    /// Bytes of kept answers.
    pub cookie_cache: usize,
    /// Bytes of an HTTP body.
    pub http_body: usize,
    /// How long a request over TCP or HTTP may take.
    pub http_timeout: Duration,
    /// How long a connection may ask nothing; `None` is for ever.
    pub idle_timeout: Option<Duration>,
    /// Connections at once, of each kind.
    pub connections: usize,
}

/// How a peer's true address is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Learning {
    /// The best match within the first seconds.
    Heuristic,
    /// The first source after the first seconds.
    Delayed,
    /// The first source.
    Immediate,
    /// Never: SDP is believed.
    Off,
}

/// Defaults for media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Media {
    /// TOS byte.
    pub tos: u8,
    /// How a peer's address is found.
    pub learning: Learning,
    /// Whether the SIP source address is believed before SDP.
    pub sip_source: bool,
    /// The shortest time between two RTCP reports of our own.
    pub rtcp_interval: Duration,
}

/// The key of the certificate that is shown in handshakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateKey {
    /// On NIST P-256.
    #[default]
    #[serde(alias = "prime256v1")]
    P256,
    /// RSA of 2,048 bits.
    Rsa,
}

/// Keys by DTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dtls {
    /// The certificate's key.
    pub certificate: CertificateKey,
    /// The longest datagram of a handshake.
    pub mtu: u16,
    /// Whether peers begin that leave it to us.
    pub passive: bool,
}

/// The log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// How much.
    pub level: Level,
    /// Where to.
    pub target: Target,
    /// Whether lines on stderr begin with the time.
    pub timestamps: bool,
}

/// The process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// File for the process id.
    pub pidfile: Option<PathBuf>,
    /// Whether a drained relay exits once empty.
    pub exit_when_drained: bool,
}

#[cfg(test)]
mod tests;
