//! A connectivity check and its retransmission (RFC 8445 §7.2, RFC 8489 §6.2.1).

use std::time::Duration;

use patchcord_contract::Time;
use patchcord_wire::stun::{self, Class, Method, TransactionId, Writer};
use rand_chacha::rand_core::CryptoRng;

use super::{Credentials, RETRIES, Role};

/// Factor of the interval after the last transmission.
const LAST: u32 = 16;

/// A request that awaits its response.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) id: TransactionId,
    /// The role that it claims.
    pub(super) role: Role,
    pub(super) nominates: Nominates,
    pub(super) bytes: Box<[u8]>,
    /// When it is sent again, or given up.
    pub(super) due: Time,
    first: Duration,
    tries: u8,
}

/// Whether a check has USE-CANDIDATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nominates {
    No,
    Yes,
}

/// What a check says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claims<'a> {
    pub(super) ours: &'a Credentials,
    pub(super) theirs: &'a Credentials,
    pub(super) priority: u32,
    pub(super) role: Role,
    pub(super) tie: u64,
    pub(super) nominates: Nominates,
}

/// What a check whose time has come wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// To be sent again.
    Again,
    /// To be given up.
    Over,
}

impl Check {
    /// A check that is sent now for the first time.
    pub(super) fn new(now: Time, rto: Duration, id: TransactionId, claims: &Claims<'_>) -> Self {
        Self {
            id,
            role: claims.role,
            nominates: claims.nominates,
            bytes: request(id, claims),
            due: now + rto,
            first: rto,
            tries: 0,
        }
    }

    /// What is to be done at a time, if anything.
    pub(super) fn due(&mut self, now: Time) -> Option<Due> {
        if now < self.due {
            return None;
        }
        if self.tries == RETRIES {
            return Some(Due::Over);
        }
        self.tries += 1;
        let factor = if self.tries == RETRIES {
            LAST
        } else {
            1 << self.tries
        };
        self.due = now + self.first * factor;
        Some(Due::Again)
    }
}

/// A Binding request of ours. The longest ufrags leave more than half of the buffer free.
pub(super) fn request(id: TransactionId, claims: &Claims<'_>) -> Box<[u8]> {
    let mut buffer = [0; 1_024];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id);
    writer
        .username(claims.theirs.ufrag(), claims.ours.ufrag())
        .priority(claims.priority)
        .role(match claims.role {
            Role::Controlling => stun::Role::Controlling(claims.tie),
            Role::Controlled => stun::Role::Controlled(claims.tie),
        });
    if claims.nominates == Nominates::Yes {
        writer.use_candidate();
    }
    let len = writer.finish(claims.theirs.key());
    buffer[..len.expect("ufrags have 256 bytes at most")].into()
}

/// A transaction nobody can guess.
pub(super) fn transaction(random: &mut dyn CryptoRng) -> TransactionId {
    let mut id = TransactionId([0; 12]);
    random.fill_bytes(&mut id.0);
    id
}
