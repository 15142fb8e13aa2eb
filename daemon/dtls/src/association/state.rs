//! What an association is told, and what can be seen of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use patchcord_wire::sdp::Fingerprint;

use crate::backend::{Kind, Version};
use crate::certificate::Certificate;
use crate::flights::Flights;
use crate::keying::SessionKeys;
use crate::profile::{Profile, Profiles};

/// The MTU unless told otherwise: fits every path that IPv6 allows, with room for tunnels.
pub const DEFAULT_MTU: usize = 1200;
/// No path of the internet is narrower (RFC 791).
pub const MIN_MTU: usize = 576;
/// An Ethernet frame less IPv4 and UDP headers.
pub const MAX_MTU: usize = 1472;

/// Who begins (RFC 5763 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We send the ClientHello: `a=setup:active`.
    Client,
    /// The peer does: `a=setup:passive`.
    Server,
}

impl Role {
    /// The name used in logs and queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// What kind of peer is likely at the other end; see [`choice`](crate::choice).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expect {
    /// A browser.
    Browser,
    /// Whoever uses ICE: a browser, unless its hello says otherwise.
    Ice,
    /// A telephone, a gateway, anything.
    #[default]
    Anyone,
}

/// How long things are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For the first answer to a flight; twice as long for each next one.
    pub first: Duration,
    /// From the beginning of the handshake to its end.
    pub patience: Duration,
}

impl Default for Timing {
    /// A lost flight is missed after 100 ms, as befits a call that rings (RFC 6347 §4.2.4.1 allows it
    /// where a second would hurt); after 30 s nobody waits any more.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            patience: Duration::from_secs(30),
        }
    }
}

/// How an association is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who begins.
    pub role: Role,
    /// What we show; kept for the life of the association.
    pub certificate: Arc<Certificate>,
    /// The profiles that may be agreed on. Anything but all of them rules dimpl out.
    pub profiles: Profiles,
    /// The longest datagram to send, between [`MIN_MTU`] and [`MAX_MTU`].
    pub mtu: usize,
    /// The kind of peer.
    pub expect: Expect,
    /// What arrives comes from an address that ICE has validated: no cookie is asked for, and plain
    /// alerts are believed.
    pub trusted_path: bool,
    /// DTLS 1.3 may be agreed on, with dimpl.
    pub dtls13: bool,
    /// The value of `a=tls-id`, carried for whoever asks (RFC 8842 §5.2).
    pub tls_id: Option<Box<[u8]>>,
    /// How long things are waited for.
    pub timing: Timing,
    /// Makes what dimpl draws for randoms and timers repeatable. Never outside tests.
    pub seed: Option<u64>,
}

impl Options {
    /// The defaults: all profiles, 1,200 bytes, any peer on an untrusted path, DTLS 1.2.
    pub fn new(role: Role, certificate: Arc<Certificate>) -> Self {
        Self {
            role,
            certificate,
            profiles: Profiles::ALL,
            mtu: DEFAULT_MTU,
            expect: Expect::Anyone,
            trusted_path: false,
            dtls13: false,
            tls_id: None,
            timing: Timing::default(),
            seed: None,
        }
    }

    /// The MTU within its bounds.
    pub(crate) fn mtu(&self) -> usize {
        self.mtu.clamp(MIN_MTU, MAX_MTU)
    }
}

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The peer did not answer in time.
    Timeout,
    /// The peer sent a fatal alert of this description (RFC 5246 §7.2.2).
    Alert(u8),
    /// The peer's certificate is none of those announced.
    Fingerprint,
    /// The peer showed no certificate, or one that could not be read.
    NoCertificate,
    /// No SRTP profile was agreed on.
    NoProfile,
    /// The peer said goodbye before the end.
    Goodbye,
    /// The library gave up, for this reason.
    Library(Box<str>),
}

impl Failure {
    /// A word for metrics: one of a few.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Alert(_) => "alert",
            Self::Fingerprint => "fingerprint",
            Self::NoCertificate => "no_certificate",
            Self::NoProfile => "no_profile",
            Self::Goodbye => "goodbye",
            Self::Library(_) => "library",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("the peer did not answer in time"),
            Self::Alert(description) => write!(f, "the peer sent alert {description}"),
            Self::Fingerprint => f.write_str("the certificate is not the one announced"),
            Self::NoCertificate => f.write_str("the peer showed no usable certificate"),
            Self::NoProfile => f.write_str("no SRTP profile in common"),
            Self::Goodbye => f.write_str("the peer closed during the handshake"),
            Self::Library(reason) => write!(f, "handshake: {reason}"),
        }
    }
}

/// Who closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// We did.
    ByUs,
    /// The peer did, by an alert.
    ByPeer,
}

/// Where an association stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not begun, or waiting for the peer to begin.
    New,
    /// Under way.
    Handshaking,
    /// Finished, and nobody has said yet whose certificate this should be. No keys are given out.
    Postponed,
    /// Keys have been given out.
    Connected {
        /// The profile that was agreed on.
        profile: Profile,
        /// The version that was agreed on.
        version: Version,
    },
    /// It came to nothing.
    Failed(Failure),
    /// It is over.
    Closed(Closed),
}

impl State {
    /// A word for metrics and queries.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Handshaking => "handshaking",
            Self::Postponed => "postponed",
            Self::Connected { .. } => "connected",
            Self::Failed(_) => "failed",
            Self::Closed(_) => "closed",
        }
    }

    /// Whether nothing can come of it any more.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Closed(_))
    }
}

/// All that can be seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Where it stands.
    pub state: State,
    /// Who begins.
    pub role: Role,
    /// The library at work, once it is chosen.
    pub backend: Option<Kind>,
    /// It was begun again with the other library.
    pub fell_back: bool,
    /// What was sent.
    pub flights: Flights,
    /// From the first datagram to the last of the handshake.
    pub took: Option<Duration>,
    /// The SHA-256 fingerprint of the certificate that the peer showed.
    pub peer: Option<Fingerprint>,
    /// The value of `a=tls-id`.
    pub tls_id: Option<Box<[u8]>>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It stands elsewhere now.
    Changed(State),
    /// It is connected, and here are the keys: given once.
    Keys(Box<SessionKeys>),
}

/// What comes out.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// To be sent to the peer.
    Datagram(Vec<u8>),
    /// To be known.
    Event(Event),
}
