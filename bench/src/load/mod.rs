//! RTP streams through a relay: what is sent, at what pace, and whether it came out right.

pub(crate) mod attack;
pub(crate) mod crypt;
pub(crate) mod ledger;
pub(crate) mod overload;
pub(crate) mod payload;
pub(crate) mod search;
pub(crate) mod step;
pub(crate) mod tone;

use std::net::SocketAddr;
use std::sync::Arc;

use patchcord_media::srtp::Keys;

use crate::io::{Route, Side};

/// One RTP stream (RFC 7656): a direction of a call.
#[derive(Clone, Debug)]
pub(crate) struct RtpStream {
    /// Into the relay.
    pub(crate) route: Route,
    /// Our endpoint on the other side, where it must arrive.
    pub(crate) arrives_at: SocketAddr,
    /// The relay's port on the other side, which it must come from.
    pub(crate) arrives_from: SocketAddr,
    /// Synchronisation source; also tells the stream's index.
    pub(crate) ssrc: u32,
    /// RTP payload type.
    pub(crate) payload_type: u8,
    /// What it is called on its way into the relay, and on its way out.
    pub(crate) named: [Option<Name>; 2],
    /// What our endpoint protects it with.
    pub(crate) sends: Option<Arc<Keys>>,
    /// What the relay protects it with on the other side.
    pub(crate) receives: Option<Arc<Keys>>,
}

/// The header extension that names a packet's section (RFC 8285 §4.2, RFC 9143 §15.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name([u8; Self::LEN]);

impl Name {
    /// Bytes that it adds to a packet.
    pub(crate) const LEN: usize = 8;

    /// The name, cut to its first letter, under that id.
    pub(crate) fn new(id: u8, mid: &str) -> Self {
        let letter = mid.bytes().next().unwrap_or_default();
        Self([0xbe, 0xde, 0, 1, id << 4, letter, 0, 0])
    }

    /// As it stands between header and payload.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl RtpStream {
    /// Who sends it.
    pub(crate) fn side(&self) -> Side {
        self.route.side
    }
}
