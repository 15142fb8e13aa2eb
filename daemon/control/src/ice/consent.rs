//! Consent freshness (RFC 7675): the pair in use is asked again and again, without retransmission.

use std::collections::VecDeque;
use std::time::Duration;

use patchcord_contract::Time;
use patchcord_wire::stun::TransactionId;
use rand_chacha::rand_core::CryptoRng;

use super::CONSENT;

/// Shortest interval between two requests: 5 s less 20 %; 40 % of 5 s are drawn on top.
const SHORTEST: Duration = Duration::from_secs(4);

/// Requests whose responses are waited for: as many as fit before consent expires.
const WAITING: usize = 8;

/// Whether the peer still wants what we send.
#[derive(Clone, Debug)]
pub(super) struct Consent {
    /// When it is asked next.
    pub(super) next: Time,
    /// When it expires.
    pub(super) until: Time,
    asked: VecDeque<TransactionId>,
}

impl Consent {
    /// Given now, by the response to a check.
    pub(super) fn new(now: Time, proven: Time, random: &mut dyn CryptoRng) -> Self {
        Self {
            next: now + interval(random),
            until: proven + CONSENT,
            asked: VecDeque::with_capacity(WAITING),
        }
    }

    /// A request is sent now.
    pub(super) fn ask(&mut self, now: Time, id: TransactionId, random: &mut dyn CryptoRng) {
        if self.asked.len() == WAITING {
            self.asked.pop_front();
        }
        self.asked.push_back(id);
        self.next = now + interval(random);
    }

    /// Whether a request of that transaction was sent.
    pub(super) fn asked(&self, id: TransactionId) -> bool {
        self.asked.contains(&id)
    }

    /// The peer answered.
    pub(super) fn renew(&mut self, now: Time) {
        self.until = now + CONSENT;
    }
}

fn interval(random: &mut dyn CryptoRng) -> Duration {
    SHORTEST + Duration::from_millis(u64::from(random.next_u32() % 2_001))
}
