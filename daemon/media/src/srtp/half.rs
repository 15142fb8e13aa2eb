//! One protocol under one key: its session keys, and what they do with one packet.

use patchcord_cipher::{DIGEST, MacJob, Tier, authenticate, prefetch};
use subtle::ConstantTimeEq;

use super::Protocol;
use super::form::{Form, Head, MAX_TAG, Parts, RTCP_CLEAR, WORD};
use super::kdf::{self, Cipher, Session};
use super::keys::Keys;
use super::vector;

/// The E bit: the body of this SRTCP packet is encrypted.
pub(super) const ENCRYPTED: u32 = 1 << 31;

/// The session keys of a protocol and the form of its packets.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) form: Form,
    protocol: Protocol,
    /// Whether bodies are encrypted; of SRTCP that is received the E bit says so.
    pub(super) encrypts: bool,
    pub(super) session: Session,
}

/// Which packet it is under its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(super) ssrc: u32,
    pub(super) index: u64,
    /// Whether its body is encrypted.
    pub(super) is_encrypted: bool,
}

impl Identity {
    /// E and index as SRTCP carries them.
    #[inline]
    pub(super) const fn word(self) -> u32 {
        self.index as u32 | if self.is_encrypted { ENCRYPTED } else { 0 }
    }
}

impl Half {
    pub(super) fn new(tier: Tier, keys: &Keys, protocol: Protocol) -> Self {
        let parameters = keys.parameters();
        let session = kdf::derive(tier, keys, protocol);
        let is_wanted = match protocol {
            Protocol::Rtp => parameters.encrypts_rtp,
            Protocol::Rtcp => parameters.encrypts_rtcp,
        };
        Self {
            form: Form::new(keys, protocol),
            protocol,
            // Without a cipher the E bit says so, which libsrtp insists on.
            encrypts: is_wanted && !matches!(session.cipher, Cipher::Null),
            session,
        }
    }

    /// Asks for what the next packet needs.
    pub(super) fn prefetch(&self) {
        prefetch(self);
        if let Cipher::Gcm(key) = &self.session.cipher {
            key.prefetch();
        }
    }

    /// The digest to be made over a packet with a separate tag.
    #[inline]
    pub(super) fn mac_job<'a>(
        &'a self,
        packet: &'a [u8],
        parts: &Parts,
        index: u64,
    ) -> Option<MacJob<'a>> {
        let key = self.session.mac.as_ref().filter(|_| self.form.tag > 0)?;
        Some(match self.protocol {
            Protocol::Rtp => {
                let rollovers = ((index >> 16) as u32).to_be_bytes();
                MacJob::new(key, &packet[..parts.body], Some(rollovers))
            }
            Protocol::Rtcp => MacJob::new(key, &packet[..parts.body + WORD], None),
        })
    }

    /// Whether the packet carries this digest.
    #[inline]
    pub(super) fn carries(&self, packet: &[u8], parts: &Parts, digest: &[u8; DIGEST]) -> bool {
        let tag = &packet[parts.tag..parts.tag + self.form.tag];
        tag.ct_eq(&digest[..self.form.tag]).into()
    }

    /// The same for one packet, digest included. A packet without a tag always agrees.
    pub(super) fn verifies(&self, tier: Tier, packet: &[u8], parts: &Parts, index: u64) -> bool {
        let Some(job) = self.mac_job(packet, parts, index) else {
            return true;
        };
        let mut jobs = [job];
        authenticate(tier, &mut jobs);
        self.carries(packet, parts, &jobs[0].digest)
    }

    /// Opens an AEAD packet in place; if its tag is wrong it stays as it is.
    pub(super) fn open_aead(
        &self,
        packet: &mut [u8],
        head: &Head,
        parts: &Parts,
        identity: Identity,
    ) -> bool {
        let Cipher::Gcm(key) = &self.session.cipher else {
            return false;
        };
        let mut tag = [0; MAX_TAG];
        tag.copy_from_slice(&packet[parts.tag..parts.tag + MAX_TAG]);
        let nonce = vector::nonce(&self.session.salt.0, identity.ssrc, identity.index);
        let opened = self.with_aad(packet, head, parts, identity, |aad, body| {
            key.open(&nonce, aad, body, &tag)
        });
        packet[parts.tag..parts.tag + MAX_TAG].copy_from_slice(&tag);
        opened
    }

    /// Seals an AEAD packet in place and writes its tag.
    pub(super) fn seal_aead(
        &self,
        packet: &mut [u8],
        head: &Head,
        parts: &Parts,
        identity: Identity,
    ) {
        let Cipher::Gcm(key) = &self.session.cipher else {
            return;
        };
        let nonce = vector::nonce(&self.session.salt.0, identity.ssrc, identity.index);
        let tag = self.with_aad(packet, head, parts, identity, |aad, body| {
            key.seal(&nonce, aad, body)
        });
        packet[parts.tag..parts.tag + MAX_TAG].copy_from_slice(&tag);
    }

    /// Calls `run` with the associated data and what is encrypted. Of SRTCP the word behind the packet
    /// belongs to the former (RFC 7714 §9.2, §9.3); it is put where the tag has its place.
    fn with_aad<R>(
        &self,
        packet: &mut [u8],
        head: &Head,
        parts: &Parts,
        identity: Identity,
        run: impl FnOnce(&[u8], &mut [u8]) -> R,
    ) -> R {
        let word = identity.word().to_be_bytes();
        match (self.protocol, identity.is_encrypted) {
            (Protocol::Rtp, true) => {
                let (clear, body) = packet[..parts.body].split_at_mut(head.clear);
                run(clear, body)
            }
            (Protocol::Rtp, false) => run(&packet[..parts.body], &mut []),
            (Protocol::Rtcp, true) => {
                let (clear, body) = packet[..parts.body].split_at_mut(head.clear);
                let mut joined = [0; RTCP_CLEAR + WORD];
                joined[..RTCP_CLEAR].copy_from_slice(clear);
                joined[RTCP_CLEAR..].copy_from_slice(&word);
                run(&joined, body)
            }
            (Protocol::Rtcp, false) => {
                let end = parts.body + WORD;
                packet[parts.body..end].copy_from_slice(&word);
                run(&packet[..end], &mut [])
            }
        }
    }
}
