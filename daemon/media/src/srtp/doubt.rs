//! Why packets never authenticate: said once, with the likely cause, so that somebody can mend it.

use patchcord_cipher::{MacJob, Tier, authenticate};
use patchcord_wire::rtcp::Compound;
use patchcord_wire::rtp::Rtp;
use subtle::ConstantTimeEq;

use super::Protocol;
use super::half::Half;
use super::keys::Keys;

/// Refused packets after which a flow that never had a good one is spoken of: half a second of audio.
const PATIENCE: u32 = 25;
/// Bytes of ten milliseconds of G.711 or G.722 (RFC 3551 §4.5): a plain payload is a multiple of them.
const TEN_MS: usize = 80;
/// Lengths of the tags there are.
const TAGS: [usize; 3] = [4, 10, 16];

/// Why packets most probably do not authenticate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// They are plain RTP or RTCP.
    Plain,
    /// They are protected by another suite than the one agreed.
    Suite,
    /// They carry another MKI, or none.
    Mki,
    /// They are protected by another key.
    Key,
}

impl Cause {
    /// What is said of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain RTP received",
            Self::Suite => "wrong suite",
            Self::Mki => "wrong MKI",
            Self::Key => "wrong key",
        }
    }

    /// Guesses from one packet.
    pub(super) fn of(
        tier: Tier,
        keys: &Keys,
        half: &Half,
        protocol: Protocol,
        packet: &[u8],
    ) -> Self {
        let agreed = half.form.overhead();
        if packet.len() < agreed || protocol == Protocol::Rtcp && Compound::parse(packet).is_ok() {
            return Self::Plain;
        }
        if other_tag(tier, half, protocol, packet) {
            return Self::Suite;
        }
        if let Some(mki) = keys.mki() {
            let body = packet.len() - agreed;
            let at = half.form.parts(body).mki;
            if packet[at..at + mki.len()] != *mki {
                return Self::Mki;
            }
        }
        surplus(protocol, packet).map_or(Self::Key, |surplus| match surplus {
            0 => Self::Plain,
            surplus if surplus != agreed && TAGS.contains(&surplus) => Self::Suite,
            _ => Self::Key,
        })
    }
}

/// Whether the packet is right but for the length of its tag: `_32` in the place of `_80` or the other
/// way round, which have the same keys.
fn other_tag(tier: Tier, half: &Half, protocol: Protocol, packet: &[u8]) -> bool {
    let Some(key) = half.session.mac.as_ref() else {
        return false;
    };
    protocol == Protocol::Rtp
        && TAGS.into_iter().any(|len| {
            let Some((data, tag)) = packet.split_at_checked(packet.len().saturating_sub(len))
            else {
                return false;
            };
            // The rollover counter of a call that has just begun.
            let mut jobs = [MacJob::new(key, data, Some([0; 4]))];
            authenticate(tier, &mut jobs);
            tag.len() == len
                && len <= jobs[0].digest.len()
                && tag.ct_eq(&jobs[0].digest[..len]).into()
        })
}

/// Bytes that a payload of known size has too many.
fn surplus(protocol: Protocol, packet: &[u8]) -> Option<usize> {
    let rtp = Rtp::parse_protected(packet)
        .ok()
        .filter(|_| protocol == Protocol::Rtp)?;
    matches!(rtp.payload_type().get(), 0 | 8 | 9).then(|| rtp.payload().len() % TEN_MS)
}

/// What is to be said of a flow's keys.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    refused: u32,
    /// A packet authenticated, or the doubt was spoken.
    is_over: bool,
    cause: Option<Cause>,
    has_expired: bool,
}

impl Doubt {
    /// Whether the next refused packet is one too many.
    pub(super) const fn is_due(&self) -> bool {
        !self.is_over && self.refused + 1 >= PATIENCE
    }

    pub(super) fn raise(&mut self, cause: Option<Cause>) {
        self.refused = self.refused.saturating_add(1);
        self.cause = cause.filter(|_| !self.is_over);
    }

    #[inline]
    pub(super) const fn dispel(&mut self) {
        self.is_over = true;
    }

    pub(super) fn speak(&mut self) -> Option<Cause> {
        let cause = self.cause.take()?;
        self.is_over = true;
        Some(cause)
    }

    pub(super) const fn expire(&mut self, is_used_up: bool) -> bool {
        let is_new = is_used_up && !self.has_expired;
        self.has_expired |= is_used_up;
        is_new
    }
}
