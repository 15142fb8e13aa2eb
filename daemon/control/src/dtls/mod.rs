//! DTLS-SRTP in calls (RFC 5763): which associations a call wants, and what comes of them.
//!
//! Control decides and does no handshake: what is to be done leaves as [`Order`]s, what happened comes
//! back as [`News`]. Which associations there are is compiled from the call, as its flows are.

mod drive;
mod identity;
mod settle;
mod view;

use std::collections::VecDeque;

use patchcord_contract::{Endpoint, Time};
use patchcord_media::flow::PortId;
use patchcord_media::srtp::Keys;
use patchcord_wire::sdp::Fingerprint;
use std::sync::Arc;

pub use identity::Identity;
pub(crate) use settle::{close_all, settle};

/// The name of an association and its successors: the port that it is at, and a number that tells it
/// from others at the same port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathId(u64);

impl PathId {
    /// The path of that number at a port.
    pub(crate) const fn new(port: PortId, number: u32) -> Self {
        let port = (port.worker() as u64) << 24 | port.slot() as u64;
        Self(port << 32 | number as u64)
    }

    /// The path that was named by a number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// A number that names it.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Where it is.
    pub(crate) fn port(self) -> Option<PortId> {
        let slot = u32::try_from(self.0 >> 32 & 0x00ff_ffff).ok()?;
        PortId::new((self.0 >> 56) as u8, slot)
    }
}

/// Our part in a handshake (RFC 5763 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We begin.
    Client,
    /// The peer does.
    Server,
}

impl Role {
    /// The name used in queries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// What is to be done about handshakes.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// An association is wanted: the first on its path, or a successor.
    Open {
        /// The path.
        path: PathId,
        /// A number for the association, which its news carry.
        generation: u32,
        /// What we show.
        identity: Arc<Identity>,
        /// Our part.
        role: Role,
        /// Whether ICE vouches for the path.
        by_ice: bool,
        /// What the peer announced; nothing if its answer is still to come.
        fingerprints: Box<[Fingerprint]>,
        /// Whether a client begins at once.
        start: bool,
    },
    /// The path is there, a client may begin.
    Start(PathId),
    /// A datagram arrived.
    Datagram(PathId, Box<[u8]>),
    /// What the peer announced.
    Expect(PathId, Box<[Fingerprint]>),
    /// It is over.
    Close(PathId),
}

/// What an association has to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// To be sent to the peer.
    Datagram(Box<[u8]>),
    /// The handshake is finished, but nobody has said whose certificate it should show.
    Postponed,
    /// The handshake is finished, and the certificate is the one announced.
    Keys {
        /// For what the peer sends.
        receive: Box<Keys>,
        /// For what it is sent.
        send: Box<Keys>,
    },
    /// It came to nothing.
    Failed(Failure),
    /// The peer ended it.
    Closed,
}

/// Why a handshake came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A word, one of a few.
    pub reason: &'static str,
    /// The same in words.
    pub text: Box<str>,
}

/// The port that a path's datagrams leave from, and where they go.
pub(crate) type Exit = (PortId, Endpoint);

/// Goodbyes that may be on their way, at most.
const PARTINGS: usize = 1024;

/// What is under way about handshakes, of all calls.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    /// What we show to whoever is new.
    pub(crate) identity: Option<Arc<Identity>>,
    orders: VecDeque<Order>,
    /// The number of the next path.
    next: u32,
    /// Paths that were closed, whose goodbye has still to be sent.
    partings: VecDeque<(PathId, Exit, Time)>,
}

impl Handshakes {
    fn order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    fn number(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.next
    }

    /// A path is over; what it still says goes there.
    fn part(&mut self, path: PathId, exit: Exit, now: Time) {
        if self.partings.len() == PARTINGS {
            self.partings.pop_front();
        }
        if exit.1.is_sendable() {
            self.partings.push_back((path, exit, now));
        }
        self.order(Order::Close(path));
    }
}
