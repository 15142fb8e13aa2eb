//! The keying of one direction: suite, master key and salt, MKI and session parameters (RFC 3711 §3.2,
//! RFC 4568 §6.1, §6.3).

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::suite::Suite;

/// The longest MKI there is (RFC 4568 §6.1).
pub const MAX_MKI: usize = 128;
/// The longest master key followed by its salt.
const MAX_MASTER: usize = 32 + 14;

/// Why keys cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The master key is not as long as the suite's.
    #[error("the master key has not the suite's length")]
    KeyLength,
    /// The master salt is not as long as the suite's.
    #[error("the master salt has not the suite's length")]
    SaltLength,
    /// The MKI is empty or too long.
    #[error("an MKI has 1 to {MAX_MKI} bytes")]
    MkiLength,
    /// A key that may protect no packet.
    #[error("a key's lifetime is at least one packet")]
    Lifetime,
    /// An AEAD suite has no form without a tag (RFC 7714 §14.2).
    #[error("an AEAD suite cannot go unauthenticated")]
    Unauthenticated,
}

/// What may be left out (RFC 4568 §6.3). SRTCP is always authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// RTP payloads are encrypted; false with `UNENCRYPTED_SRTP`.
    pub encrypts_rtp: bool,
    /// RTCP is encrypted; false with `UNENCRYPTED_SRTCP`. Of what arrives the E bit says so.
    pub encrypts_rtcp: bool,
    /// RTP packets carry a tag; false with `UNAUTHENTICATED_SRTP`.
    pub authenticates_rtp: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            encrypts_rtp: true,
            encrypts_rtcp: true,
            authenticates_rtp: true,
        }
    }
}

/// The keys of one direction. Never printed, wiped when dropped.
#[derive(ZeroizeOnDrop)]
pub struct Keys {
    #[zeroize(skip)]
    suite: Suite,
    master: [u8; MAX_MASTER],
    #[zeroize(skip)]
    mki: Option<Box<[u8]>>,
    #[zeroize(skip)]
    parameters: Parameters,
    #[zeroize(skip)]
    lifetime: Option<u64>,
    /// The SRTCP index to be sent next. It stands here because RTCP may move to another port of the
    /// section in mid-call, when the answer says whether it is muxed; written by one worker.
    #[zeroize(skip)]
    rtcp_next: AtomicU64,
}

impl Clone for Keys {
    fn clone(&self) -> Self {
        Self {
            suite: self.suite,
            master: self.master,
            mki: self.mki.clone(),
            parameters: self.parameters,
            lifetime: self.lifetime,
            rtcp_next: AtomicU64::new(self.rtcp_next.load(Relaxed)),
        }
    }
}

impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.suite == other.suite
            && self.master == other.master
            && self.mki == other.mki
            && self.parameters == other.parameters
            && self.lifetime == other.lifetime
    }
}

impl Eq for Keys {}

impl Keys {
    /// SRTP packets that one key may protect (RFC 3711 §9.2).
    pub const RTP_LIFETIME: u64 = 1 << 48;
    /// SRTCP packets that one key may protect (RFC 3711 §9.2).
    pub const RTCP_LIFETIME: u64 = 1 << 31;

    /// Keys without MKI, with everything encrypted and authenticated, for as long as the RFC allows.
    pub fn new(suite: Suite, key: &[u8], salt: &[u8]) -> Result<Self, KeyError> {
        if key.len() != suite.key_len() {
            return Err(KeyError::KeyLength);
        }
        if salt.len() != suite.salt_len() {
            return Err(KeyError::SaltLength);
        }
        let mut master = [0; MAX_MASTER];
        master[..key.len()].copy_from_slice(key);
        master[key.len()..key.len() + salt.len()].copy_from_slice(salt);
        let keys = Self {
            suite,
            master,
            mki: None,
            parameters: Parameters::default(),
            lifetime: None,
            rtcp_next: AtomicU64::new(0),
        };
        master.zeroize();
        Ok(keys)
    }

    /// Keys from the decoded `inline:` parameter: the master key followed by its salt.
    pub fn from_inline(suite: Suite, inline: &[u8]) -> Result<Self, KeyError> {
        let (key, salt) = inline
            .split_at_checked(suite.key_len())
            .ok_or(KeyError::KeyLength)?;
        Self::new(suite, key, salt)
    }

    /// The same with an MKI, which every packet then carries (RFC 3711 §3.1).
    pub fn with_mki(mut self, mki: &[u8]) -> Result<Self, KeyError> {
        if !(1..=MAX_MKI).contains(&mki.len()) {
            return Err(KeyError::MkiLength);
        }
        self.mki = Some(mki.into());
        Ok(self)
    }

    /// The same with other session parameters.
    pub fn with_parameters(mut self, parameters: Parameters) -> Result<Self, KeyError> {
        if self.suite.is_aead() && !parameters.authenticates_rtp {
            return Err(KeyError::Unauthenticated);
        }
        self.parameters = parameters;
        Ok(self)
    }

    /// The same, for `packets` packets of either protocol at most.
    pub fn with_lifetime(mut self, packets: u64) -> Result<Self, KeyError> {
        if packets == 0 {
            return Err(KeyError::Lifetime);
        }
        self.lifetime = Some(packets);
        Ok(self)
    }

    /// Takes the next SRTCP index; [`Self::RTCP_LIFETIME`] and more when there is none left.
    pub(super) fn take_rtcp_index(&self) -> u64 {
        let index = self.rtcp_next.load(Relaxed);
        self.pass_rtcp_index(index);
        index
    }

    /// Takes note of an SRTCP index that was sent.
    pub(super) fn pass_rtcp_index(&self, index: u64) {
        let next = self.rtcp_next.load(Relaxed).max(index + 1);
        self.rtcp_next.store(next, Relaxed);
    }

    /// The suite.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// The master key.
    pub fn master_key(&self) -> &[u8] {
        &self.master[..self.suite.key_len()]
    }

    /// The master salt.
    pub fn master_salt(&self) -> &[u8] {
        &self.master[self.suite.key_len()..][..self.suite.salt_len()]
    }

    /// The master key followed by its salt, as `inline:` carries them.
    pub fn inline(&self) -> &[u8] {
        &self.master[..self.suite.key_len() + self.suite.salt_len()]
    }

    /// The MKI, if packets carry one.
    pub fn mki(&self) -> Option<&[u8]> {
        self.mki.as_deref()
    }

    /// What is left out.
    pub const fn parameters(&self) -> Parameters {
        self.parameters
    }

    /// The lifetime that was negotiated, in packets.
    pub const fn lifetime(&self) -> Option<u64> {
        self.lifetime
    }

    /// SRTP packets that may be protected: what was negotiated, within what the RFC allows.
    pub fn rtp_lifetime(&self) -> u64 {
        self.lifetime
            .map_or(Self::RTP_LIFETIME, |n| n.min(Self::RTP_LIFETIME))
    }

    /// SRTCP packets that may be protected.
    pub fn rtcp_lifetime(&self) -> u64 {
        self.lifetime
            .map_or(Self::RTCP_LIFETIME, |n| n.min(Self::RTCP_LIFETIME))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("suite", &self.suite.name())
            .field("mki", &self.mki.as_deref().map(<[u8]>::len))
            .field("parameters", &self.parameters)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(suite: Suite) -> Keys {
        let inline: Vec<u8> = (0..(suite.key_len() + suite.salt_len()) as u8).collect();
        Keys::from_inline(suite, &inline).expect("the suite's lengths")
    }

    #[test]
    fn key_and_salt_come_back_as_they_were_given() {
        for suite in Suite::ALL {
            let keys = keys(suite);
            assert_eq!(keys.master_key().len(), suite.key_len());
            assert_eq!(keys.master_salt()[0] as usize, suite.key_len());
            assert_eq!(keys.inline().len(), suite.key_len() + suite.salt_len());
        }
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let suite = Suite::AesCm128Sha1_80;
        let long = [0; 47];
        assert_eq!(
            Keys::from_inline(suite, &long[..15]),
            Err(KeyError::KeyLength)
        );
        for len in [16, 29, 31, 47] {
            let refused = Keys::from_inline(suite, &long[..len]);
            assert_eq!(refused, Err(KeyError::SaltLength), "{len}");
        }
        for len in [0, 129] {
            let refused = keys(suite).with_mki(&[7; 129][..len]);
            assert_eq!(refused, Err(KeyError::MkiLength), "{len}");
        }
        assert_eq!(keys(suite).with_lifetime(0), Err(KeyError::Lifetime));
    }

    #[test]
    fn an_aead_suite_cannot_go_without_its_tag() {
        let bare = Parameters {
            authenticates_rtp: false,
            ..Parameters::default()
        };
        let refused = keys(Suite::AeadAes128Gcm).with_parameters(bare);
        assert_eq!(refused, Err(KeyError::Unauthenticated));
        assert!(keys(Suite::AesCm128Sha1_32).with_parameters(bare).is_ok());
    }

    #[test]
    fn lifetimes_stay_within_the_rfc() {
        let short = keys(Suite::AesCm128Sha1_80)
            .with_lifetime(1 << 20)
            .expect("a lifetime");
        assert_eq!(
            (short.rtp_lifetime(), short.rtcp_lifetime()),
            (1 << 20, 1 << 20)
        );
        let long = keys(Suite::AesCm128Sha1_80)
            .with_lifetime(1 << 60)
            .expect("a lifetime");
        assert_eq!(
            (long.rtp_lifetime(), long.rtcp_lifetime()),
            (1 << 48, 1 << 31)
        );
    }

    #[test]
    fn printed_keys_show_no_key() {
        let keys = keys(Suite::AesCm128Sha1_80)
            .with_mki(&[1, 2, 3, 4])
            .expect("an MKI");
        let text = format!("{keys:?}");
        assert!(
            text.starts_with("Keys { suite: \"AES_CM_128_HMAC_SHA1_80\", mki: Some(4),"),
            "{text}"
        );
        assert!(!text.contains("master"), "{text}");
    }

    #[test]
    fn any_difference_makes_keys_differ() {
        let one = keys(Suite::AesCm128Sha1_80);
        assert_eq!(one, one.clone());
        assert_ne!(one, keys(Suite::AesCm128Sha1_32));
        assert_ne!(one, one.clone().with_mki(&[1]).expect("an MKI"));
        assert_ne!(one, one.clone().with_lifetime(9).expect("a lifetime"));
        let mut other = one.inline().to_vec();
        other[29] ^= 1;
        let other = Keys::from_inline(Suite::AesCm128Sha1_80, &other).expect("same lengths");
        assert_ne!(one, other);
    }
}
