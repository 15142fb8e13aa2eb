//! What leaves from a port under one key: which index each packet has, and that none is used twice.
//!
//! The index follows the packet's own sequence number, so order and loss look the same on both sides.
//! A packet whose index was used before does not leave, whether its bytes are the same or not: two
//! plaintexts under one key stream betray both, and a receiver would drop the second as a replay.

use std::sync::Arc;

use patchcord_cipher::Tier;
use patchcord_contract::{Reason, Time};

use super::Protocol;
use super::form::{Head, head};
use super::half::{Half, Identity};
use super::index;
use super::keys::Keys;
use super::streams::Streams;

/// The sending side of a key.
#[derive(Debug)]
pub struct Sender {
    keys: Arc<Keys>,
    rtp: Half,
    rtcp: Half,
    streams: Streams,
    rtp_left: u64,
    rtcp_left: u64,
    has_expired: bool,
}

impl Sender {
    /// Asks for what the next RTP packet needs.
    pub(crate) fn prefetch(&self) {
        self.rtp.prefetch();
        self.streams.prefetch();
    }

    /// A sender that has sent nothing.
    pub fn new(tier: Tier, keys: Arc<Keys>) -> Self {
        Self {
            rtp: Half::new(tier, &keys, Protocol::Rtp),
            rtcp: Half::new(tier, &keys, Protocol::Rtcp),
            streams: Streams::new(),
            rtp_left: keys.rtp_lifetime(),
            rtcp_left: keys.rtcp_lifetime(),
            has_expired: false,
            keys,
        }
    }

    /// Its keys.
    pub const fn keys(&self) -> &Arc<Keys> {
        &self.keys
    }

    /// Whether the key has just been used up; says it once.
    pub(crate) fn expired(&mut self) -> bool {
        let is_used_up = self.rtp_left == 0 || self.rtcp_left == 0;
        let is_new = is_used_up && !self.has_expired;
        self.has_expired |= is_used_up;
        is_new
    }

    /// Gives a packet its place under the key; with `room` bytes behind it. It has to be sealed then.
    pub(super) fn assign(
        &mut self,
        now: Time,
        protocol: Protocol,
        packet: &[u8],
        room: usize,
    ) -> Result<(Head, Identity), Reason> {
        let half = self.half(protocol);
        if half.form.overhead() > room {
            return Err(Reason::SrtpRoom);
        }
        let head = head(protocol, packet, packet.len())?;
        let identity = |index, is_encrypted| Identity {
            ssrc: head.ssrc,
            index,
            is_encrypted,
        };
        match protocol {
            Protocol::Rtp => {
                let is_encrypted = half.encrypts;
                let index = self.assign_rtp(now, &head)?;
                Ok((head, identity(index, is_encrypted)))
            }
            Protocol::Rtcp => {
                let is_encrypted = half.encrypts;
                let index = self.assign_rtcp()?;
                Ok((head, identity(index, is_encrypted)))
            }
        }
    }

    /// Counts a packet as sent that leaves as it came, under the same key.
    pub(super) fn pass(&mut self, now: Time, protocol: Protocol, identity: Identity) {
        match protocol {
            Protocol::Rtp => {
                let known = self.streams.find(identity.ssrc);
                if self.streams.check(now, known, identity.index).is_ok() {
                    self.streams.mark(now, identity.ssrc, known, identity.index);
                }
                self.rtp_left = self.rtp_left.saturating_sub(1);
            }
            Protocol::Rtcp => {
                self.keys.pass_rtcp_index(identity.index);
                self.rtcp_left = self.rtcp_left.saturating_sub(1);
            }
        }
    }

    #[inline]
    pub(super) const fn half(&self, protocol: Protocol) -> &Half {
        match protocol {
            Protocol::Rtp => &self.rtp,
            Protocol::Rtcp => &self.rtcp,
        }
    }

    fn assign_rtcp(&mut self) -> Result<u64, Reason> {
        let index = self.keys.take_rtcp_index();
        if index >= Keys::RTCP_LIFETIME || self.rtcp_left == 0 {
            self.rtcp_left = 0;
            return Err(Reason::SrtpLifetime);
        }
        self.rtcp_left -= 1;
        Ok(index)
    }

    #[inline]
    fn assign_rtp(&mut self, now: Time, head: &Head) -> Result<u64, Reason> {
        let known = self.streams.find(head.ssrc);
        let index = index::estimate(known.highest, head.sequence);
        if index >= Keys::RTP_LIFETIME || self.rtp_left == 0 {
            self.rtp_left = 0;
            return Err(Reason::SrtpLifetime);
        }
        self.streams.check(now, known, index).map_err(|reason| {
            let is_new = known.highest.is_none();
            if is_new { reason } else { Reason::SrtpReuse }
        })?;
        self.streams.mark(now, head.ssrc, known, index);
        self.rtp_left -= 1;
        Ok(index)
    }
}
