//! What arrives at a port under one key: who it is, whether it is taken, and what it becomes.
//!
//! In three steps, so that the digests of many packets can be made side by side: [`Receiver::read`]
//! looks at the packet alone, [`Receiver::guess`] at what is known so far, and after the digest
//! [`Receiver::take`] looks again, because a packet before this one may have changed what is known.
//! Only a packet whose tag held changes anything.

use std::sync::Arc;

use patchcord_cipher::{DIGEST, Tier};
use patchcord_contract::{Reason, Time};

use super::Protocol;
use super::doubt::{Cause, Doubt};
use super::form::{Head, Parts, head};
use super::half::{ENCRYPTED, Half, Identity};
use super::index;
use super::kdf::Cipher;
use super::keys::Keys;
use super::streams::{Known, Streams};
use crate::punt::TokenBucket;

/// Packets a second that other rollover counters are tried for.
const TRIES: u32 = 20;
/// As many at once.
const TRIES_AT_ONCE: u32 = 10;

/// The receiving side of a key.
#[derive(Debug)]
pub struct Receiver {
    pub(super) tier: Tier,
    keys: Arc<Keys>,
    rtp: Direction,
    rtcp: Direction,
    tries: TokenBucket,
    doubt: Doubt,
    resyncs: u64,
}

#[derive(Debug)]
struct Direction {
    half: Half,
    streams: Streams,
    /// Packets that may still come.
    left: u64,
}

/// What a packet says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) head: Head,
    pub(super) parts: Parts,
    /// E and index; SRTCP only.
    word: u32,
}

/// Who a packet is if what is known so far is all there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guess {
    known: Known,
    pub(super) identity: Identity,
    /// Whether it would be taken.
    pub(super) verdict: Result<(), Reason>,
}

impl Receiver {
    /// Asks for what the next RTP packet needs.
    pub(crate) fn prefetch(&self) {
        self.rtp.half.prefetch();
        self.rtp.streams.prefetch();
    }

    /// A receiver that has received nothing.
    pub fn new(tier: Tier, keys: Arc<Keys>) -> Self {
        let direction = |protocol, left| Direction {
            half: Half::new(tier, &keys, protocol),
            streams: Streams::new(),
            left,
        };
        Self {
            tier,
            rtp: direction(Protocol::Rtp, keys.rtp_lifetime()),
            rtcp: direction(Protocol::Rtcp, keys.rtcp_lifetime()),
            tries: TokenBucket::new(TRIES, TRIES_AT_ONCE),
            doubt: Doubt::default(),
            resyncs: 0,
            keys,
        }
    }

    /// Its keys.
    pub const fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Streams that were found again under another rollover counter than expected.
    pub const fn resyncs(&self) -> u64 {
        self.resyncs
    }

    /// What there is to say of packets that never authenticate; says it once.
    pub(crate) fn doubt(&mut self) -> Option<Cause> {
        self.doubt.speak()
    }

    /// Whether the key has just been used up; says it once.
    pub(crate) fn expired(&mut self) -> bool {
        self.doubt.expire(self.rtp.left == 0 || self.rtcp.left == 0)
    }

    /// Splits a packet up and compares its MKI.
    #[inline]
    pub(super) fn read(&self, protocol: Protocol, packet: &[u8]) -> Result<Reading, Reason> {
        let form = self.direction(protocol).half.form;
        let body = packet.len().checked_sub(form.overhead());
        let body = body.ok_or(Reason::SrtpShort)?;
        let parts = form.parts(body);
        let head = head(protocol, packet, body)?;
        if let Some(mki) = self.keys.mki()
            && packet[parts.mki..parts.mki + mki.len()] != *mki
        {
            return Err(Reason::SrtpMki);
        }
        let word = match protocol {
            Protocol::Rtp => 0,
            Protocol::Rtcp => {
                let word = &packet[parts.word..];
                u32::from_be_bytes([word[0], word[1], word[2], word[3]])
            }
        };
        Ok(Reading { head, parts, word })
    }

    /// Who the packet most probably is.
    #[inline]
    pub(super) fn guess(&self, now: Time, protocol: Protocol, reading: &Reading) -> Guess {
        let direction = self.direction(protocol);
        let known = direction.streams.find(reading.head.ssrc);
        let (index, is_encrypted) = match protocol {
            Protocol::Rtp => (
                index::estimate(known.highest, reading.head.sequence),
                direction.half.encrypts,
            ),
            Protocol::Rtcp => (
                u64::from(reading.word & !ENCRYPTED),
                reading.word & ENCRYPTED != 0,
            ),
        };
        let identity = Identity {
            ssrc: reading.head.ssrc,
            index,
            is_encrypted,
        };
        Guess {
            known,
            identity,
            verdict: self.permits(now, protocol, known, index),
        }
    }

    /// Takes the packet, or says why not. `made` is a digest and the index it was made for. A packet
    /// that an AEAD protects is open afterwards.
    pub(super) fn take(
        &mut self,
        now: Time,
        protocol: Protocol,
        packet: &mut [u8],
        reading: &Reading,
        made: Option<(u64, [u8; DIGEST])>,
    ) -> Result<Identity, Reason> {
        let guess = self.guess(now, protocol, reading);
        guess.verdict?;
        let direct = match made {
            Some((index, digest)) if index == guess.identity.index => {
                let half = &self.direction(protocol).half;
                half.carries(packet, &reading.parts, &digest)
            }
            _ => self.agrees(protocol, packet, reading, guess.identity),
        };
        let identity = if direct {
            guess.identity
        } else {
            self.search(now, protocol, packet, reading, &guess)
                .ok_or(Reason::SrtpAuth)?
        };
        let direction = self.direction_mut(protocol);
        let ssrc = reading.head.ssrc;
        if direction.half.form.tag > 0 || guess.known.highest < Some(identity.index) {
            direction
                .streams
                .mark(now, ssrc, guess.known, identity.index);
        }
        direction.left -= 1;
        self.doubt.dispel();
        Ok(identity)
    }

    /// Takes note of a packet that was refused.
    #[cold]
    pub(super) fn refuse(&mut self, protocol: Protocol, packet: &[u8], reason: Reason) {
        if matches!(
            reason,
            Reason::SrtpAuth | Reason::SrtpShort | Reason::SrtpMki
        ) {
            let half = &self.direction(protocol).half;
            let cause = self
                .doubt
                .is_due()
                .then(|| Cause::of(self.tier, &self.keys, half, protocol, packet));
            self.doubt.raise(cause);
        }
    }

    /// The half that decrypts.
    #[inline]
    pub(super) const fn half(&self, protocol: Protocol) -> &Half {
        &self.direction(protocol).half
    }

    #[inline]
    fn permits(
        &self,
        now: Time,
        protocol: Protocol,
        known: Known,
        index: u64,
    ) -> Result<(), Reason> {
        let direction = self.direction(protocol);
        if direction.left == 0 || index >= Keys::RTP_LIFETIME {
            return Err(Reason::SrtpLifetime);
        }
        if direction.half.form.tag == 0 {
            // Without a tag a replay cannot be told from a forgery that keeps the true packet out.
            return Ok(());
        }
        direction.streams.check(now, known, index)
    }

    /// Whether the tag holds; opens an AEAD packet if it does.
    fn agrees(
        &self,
        protocol: Protocol,
        packet: &mut [u8],
        reading: &Reading,
        identity: Identity,
    ) -> bool {
        let half = self.half(protocol);
        if matches!(half.session.cipher, Cipher::Gcm(_)) {
            half.open_aead(packet, &reading.head, &reading.parts, identity)
        } else {
            half.verifies(self.tier, packet, &reading.parts, identity.index)
        }
    }

    /// Tries whether rollovers were missed, a few times a second.
    #[cold]
    fn search(
        &mut self,
        now: Time,
        protocol: Protocol,
        packet: &mut [u8],
        reading: &Reading,
        guess: &Guess,
    ) -> Option<Identity> {
        if protocol == Protocol::Rtcp || !self.tries.take(now) {
            return None;
        }
        let found = index::alternatives(guess.known.highest, guess.identity.index)
            .map(|index| Identity {
                index,
                ..guess.identity
            })
            .filter(|other| {
                self.permits(now, protocol, guess.known, other.index)
                    .is_ok()
            })
            .find(|other| self.agrees(protocol, packet, reading, *other))?;
        self.resyncs += 1;
        Some(found)
    }

    #[inline]
    const fn direction(&self, protocol: Protocol) -> &Direction {
        match protocol {
            Protocol::Rtp => &self.rtp,
            Protocol::Rtcp => &self.rtcp,
        }
    }

    #[inline]
    const fn direction_mut(&mut self, protocol: Protocol) -> &mut Direction {
        match protocol {
            Protocol::Rtp => &mut self.rtp,
            Protocol::Rtcp => &mut self.rtcp,
        }
    }
}
