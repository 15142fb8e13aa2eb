//! How a section of a leg is keyed by DTLS: what both sides say of it, and the associations that run
//! (RFC 5763 §5, RFC 8842).

use std::sync::Arc;

use patchcord_contract::{Endpoint, Time};
use patchcord_media::flow::{PortId, Security};
use patchcord_media::srtp::{Keys, Suite};
use patchcord_wire::sdp::{Fingerprint, HashName, Setup};
use smallvec::SmallVec;

use super::keying::Protection;
use crate::dtls::{Failure, Identity, PathId, Role};

/// DTLS towards a leg, in one section.
#[derive(Clone, Debug)]
pub(crate) struct Dtls {
    /// What we show, for as long as the section uses DTLS.
    pub(crate) identity: Arc<Identity>,
    /// The hash of our fingerprint.
    pub(crate) hash: HashName,
    /// Our `a=tls-id`.
    pub(crate) tls_id: [u8; 32],
    /// How far it is agreed.
    pub(crate) standing: Standing,
    /// Our part.
    pub(crate) role: Role,
    /// What the leg said of itself, as agreed. Without fingerprints nobody is believed yet.
    pub(crate) peer: Said,
    /// Counts associations that were agreed on: another one is another handshake.
    pub(crate) epoch: u32,
    /// One for each port that keys are made at.
    pub(crate) paths: SmallVec<[Path; 1]>,
}

/// How far DTLS is agreed in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The leg offered it, and has no answer yet.
    Heard,
    /// We offered it to the leg, which may begin before its answer is here.
    Offered,
    /// Agreed.
    Agreed,
    /// Agreed, but not to be begun (`holdconn`).
    Held,
    /// The leg chose something else, or may still.
    Idle,
}

/// What a description says of DTLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Who begins.
    pub(crate) setup: Option<Setup>,
    /// The certificates that may be shown.
    pub(crate) fingerprints: Box<[Fingerprint]>,
    /// Names the association.
    pub(crate) tls_id: Option<Box<[u8]>>,
}

/// The association at one port.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// Its name.
    pub(crate) id: PathId,
    /// Where.
    pub(crate) port: PortId,
    /// The number of the association that news may come from.
    pub(crate) generation: u32,
    /// What it was made for: [`Dtls::epoch`].
    pub(crate) epoch: u32,
    /// Our part in it.
    pub(crate) role: Role,
    /// Whether it knows the leg's fingerprints.
    pub(crate) knows: bool,
    /// Where its datagrams come from.
    pub(crate) source: Endpoint,
    /// Where the peer said that it is while they came from there.
    pub(crate) told: Endpoint,
    /// When the first datagram went or came.
    pub(crate) began: Option<Time>,
    /// How often it was begun again because it failed.
    pub(crate) retries: u8,
    /// How far it came.
    pub(crate) stage: Stage,
    /// The keys in force: of an association before this one, until this one has its own.
    pub(crate) keys: Option<Made>,
}

/// How far an association came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing was sent or heard.
    Waiting,
    /// Under way.
    Running,
    /// Finished, and the leg's fingerprint is not known.
    Postponed,
    /// Its keys are here.
    Connected,
    /// It came to nothing.
    Failed(Failure),
    /// The leg ended it.
    Closed,
}

/// Keys that a handshake made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// For what the leg sends.
    pub(crate) receive: Arc<Keys>,
    /// For what it is sent.
    pub(crate) send: Arc<Keys>,
}

impl Dtls {
    /// Whether handshakes may run.
    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.standing, Standing::Offered | Standing::Agreed)
    }

    /// Whether the section's packets wait for, or have, keys made here.
    pub(crate) const fn is_in_force(&self) -> bool {
        matches!(
            self.standing,
            Standing::Offered | Standing::Agreed | Standing::Held
        )
    }

    /// How packets at a port are protected.
    pub(crate) fn protection(&self, port: PortId) -> Protection {
        let path = self.paths.iter().find(|path| path.port == port);
        match path.and_then(|path| path.keys.as_ref()) {
            Some(made) => Protection {
                receive: Security::Srtp(Arc::clone(&made.receive)),
                send: Security::Srtp(Arc::clone(&made.send)),
            },
            None => Protection::both(Security::Pending),
        }
    }
}

impl Said {
    /// Whether this asks for another association than `before` did (RFC 8842 §4).
    pub(crate) fn differs(&self, before: &Self) -> bool {
        let has = |all: &[Fingerprint], one: &Fingerprint| all.contains(one);
        let same = self.fingerprints.len() == before.fingerprints.len()
            && self
                .fingerprints
                .iter()
                .all(|one| has(&before.fingerprints, one));
        !same || self.tls_id != before.tls_id
    }
}

impl Made {
    /// The suite.
    pub(crate) fn suite(&self) -> Suite {
        self.send.suite()
    }
}
