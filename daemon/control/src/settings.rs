//! What the operator chose: plain data, replaced whole by a reload.

use std::time::Duration;

use patchcord_contract::Addr;
use patchcord_media::flow::Learning;

/// One local address under a logical name. Several of one name are its addresses, in order of preference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The logical name that NG's `direction` and `interface` keys say; `base:suffix` makes it a
    /// member of the round-robin group `base`.
    pub name: String,
    /// Further names it answers to.
    pub aliases: Vec<String>,
    /// The local address sockets are bound to; its family is the interface's.
    pub address: Addr,
    /// The address written into SDP, which differs from `address` behind a NAT.
    pub advertised: Addr,
}

/// After which silence a call ends. `None` never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// No section of an answered call got a packet for this long.
    pub media: Option<Duration>,
    /// The same for a call all of whose sections are on hold.
    pub silent: Option<Duration>,
    /// An offer was never answered.
    pub offer: Option<Duration>,
    /// However alive: the longest a call may last.
    pub total: Option<Duration>,
    /// How long a deleted call still forwards (NG `delete delay`).
    pub delete_delay: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            media: Some(Duration::from_mins(1)),
            silent: Some(Duration::from_hours(1)),
            offer: Some(Duration::from_hours(1)),
            total: None,
            delete_delay: Duration::from_secs(30),
        }
    }
}

/// Which address of a peer is believed when the request says neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrustedAddress {
    /// The one in its SDP.
    #[default]
    Sdp,
    /// The one its SIP came from (`received-from`, rtpengine's option `sip-source`).
    SipSource,
}

/// All that can be chosen about calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Local addresses; the first is the default. Never empty. A reload may append, not remove:
    /// the indexes are in use by live calls and by the workers' counters.
    pub interfaces: Vec<Interface>,
    /// When calls end by themselves.
    pub timeouts: Timeouts,
    /// Calls at a time; further ones are refused with a load limit.
    pub max_sessions: Option<usize>,
    /// TOS byte of outgoing media unless a request says another.
    pub tos: u8,
    /// The shortest time between two reports of our own, where RTCP is ours (`generate-RTCP`).
    pub rtcp_interval: Duration,
    /// Whether peers begin handshakes that leave it to us, unless a request says otherwise.
    pub dtls_passive: bool,
    /// How endpoints are learnt unless a request says otherwise.
    pub learning: Learning,
    /// Which address of a peer is believed.
    pub trusted: TrustedAddress,
    /// Product name and version, for `patchctl` and the SDP session name of bodies made from nothing.
    pub software: String,
}

impl Settings {
    /// Settings with one interface named `default` and everything else at its default.
    pub fn with_address(address: Addr) -> Self {
        Self {
            interfaces: vec![Interface {
                name: "default".to_owned(),
                aliases: Vec::new(),
                address,
                advertised: address,
            }],
            timeouts: Timeouts::default(),
            max_sessions: None,
            tos: 0,
            rtcp_interval: Duration::from_secs(5),
            dtls_passive: false,
            learning: Learning::default(),
            trusted: TrustedAddress::default(),
            software: concat!("patchcord-", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why new calls are refused. NG's proxies match the texts literally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadLimit {
    /// As many calls as `max_sessions`, or the relay is draining.
    Sessions,
    /// The processor is too busy.
    Cpu,
    /// The load average is too high, or a command queue is full.
    Load,
    /// Too much traffic.
    Bandwidth,
}

impl LoadLimit {
    /// NG's text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "Parallel session limit reached",
            Self::Cpu => "CPU usage limit exceeded",
            Self::Load => "Load limit exceeded",
            Self::Bandwidth => "Bandwidth limit exceeded",
        }
    }
}
