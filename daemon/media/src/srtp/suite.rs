//! Crypto suites: their names in SDP and their lengths (RFC 4568 §6.2, RFC 6188, RFC 7714 §14.2).

use std::fmt;

/// A crypto suite. The order of [`Suite::ALL`] is that of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES-256 in Galois/counter mode, tag of 16 bytes.
    AeadAes256Gcm,
    /// AES-128 in Galois/counter mode, tag of 16 bytes.
    AeadAes128Gcm,
    /// AES-256 in counter mode, HMAC-SHA1 cut to 10 bytes.
    AesCm256Sha1_80,
    /// AES-256 in counter mode, HMAC-SHA1 cut to 4 bytes for RTP.
    AesCm256Sha1_32,
    /// AES-192 in counter mode, HMAC-SHA1 cut to 10 bytes.
    AesCm192Sha1_80,
    /// AES-192 in counter mode, HMAC-SHA1 cut to 4 bytes for RTP.
    AesCm192Sha1_32,
    /// AES-128 in counter mode, HMAC-SHA1 cut to 10 bytes: what everybody speaks.
    AesCm128Sha1_80,
    /// AES-128 in counter mode, HMAC-SHA1 cut to 4 bytes for RTP.
    AesCm128Sha1_32,
    /// AES-128 in f8 mode, HMAC-SHA1 cut to 10 bytes.
    F8_128Sha1_80,
    /// AES-128 in f8 mode, HMAC-SHA1 cut to 4 bytes for RTP.
    F8_128Sha1_32,
    /// No encryption, HMAC-SHA1 cut to 10 bytes.
    NullSha1_80,
    /// No encryption, HMAC-SHA1 cut to 4 bytes for RTP.
    NullSha1_32,
}

impl Suite {
    /// All of them, the preferred first.
    pub const ALL: [Self; 12] = [
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::AesCm256Sha1_80,
        Self::AesCm256Sha1_32,
        Self::AesCm192Sha1_80,
        Self::AesCm192Sha1_32,
        Self::AesCm128Sha1_80,
        Self::AesCm128Sha1_32,
        Self::F8_128Sha1_80,
        Self::F8_128Sha1_32,
        Self::NullSha1_80,
        Self::NullSha1_32,
    ];

    /// The name in `a=crypto`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AesCm256Sha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256Sha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AesCm192Sha1_80 => "AES_192_CM_HMAC_SHA1_80",
            Self::AesCm192Sha1_32 => "AES_192_CM_HMAC_SHA1_32",
            Self::AesCm128Sha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128Sha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::F8_128Sha1_80 => "F8_128_HMAC_SHA1_80",
            Self::F8_128Sha1_32 => "F8_128_HMAC_SHA1_32",
            Self::NullSha1_80 => "NULL_HMAC_SHA1_80",
            Self::NullSha1_32 => "NULL_HMAC_SHA1_32",
        }
    }

    /// The suite of that name, in any case. The spellings `AES_CM_192_…` and `AES_CM_256_…`, formed
    /// after the 128-bit name by peers older than RFC 6188, are understood too.
    pub fn from_name(name: &str) -> Option<Self> {
        let alias = |suite: Self| match suite {
            Self::AesCm256Sha1_80 => Some("AES_CM_256_HMAC_SHA1_80"),
            Self::AesCm256Sha1_32 => Some("AES_CM_256_HMAC_SHA1_32"),
            Self::AesCm192Sha1_80 => Some("AES_CM_192_HMAC_SHA1_80"),
            Self::AesCm192Sha1_32 => Some("AES_CM_192_HMAC_SHA1_32"),
            Self::AeadAes256Gcm
            | Self::AeadAes128Gcm
            | Self::AesCm128Sha1_80
            | Self::AesCm128Sha1_32
            | Self::F8_128Sha1_80
            | Self::F8_128Sha1_32
            | Self::NullSha1_80
            | Self::NullSha1_32 => None,
        };
        Self::ALL.into_iter().find(|suite| {
            let is_name = |known: &str| known.eq_ignore_ascii_case(name);
            is_name(suite.name()) || alias(*suite).is_some_and(is_name)
        })
    }

    /// Bytes of its master key, and of its session encryption key.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AesCm256Sha1_80 | Self::AesCm256Sha1_32 => 32,
            Self::AesCm192Sha1_80 | Self::AesCm192Sha1_32 => 24,
            Self::AeadAes128Gcm
            | Self::AesCm128Sha1_80
            | Self::AesCm128Sha1_32
            | Self::F8_128Sha1_80
            | Self::F8_128Sha1_32
            | Self::NullSha1_80
            | Self::NullSha1_32 => 16,
        }
    }

    /// Bytes of its master salt, and of its session salts.
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Bytes of the tag behind an RTP packet.
    pub const fn rtp_tag_len(self) -> usize {
        match self {
            Self::AeadAes256Gcm | Self::AeadAes128Gcm => 16,
            Self::AesCm256Sha1_80
            | Self::AesCm192Sha1_80
            | Self::AesCm128Sha1_80
            | Self::F8_128Sha1_80
            | Self::NullSha1_80 => 10,
            Self::AesCm256Sha1_32
            | Self::AesCm192Sha1_32
            | Self::AesCm128Sha1_32
            | Self::F8_128Sha1_32
            | Self::NullSha1_32 => 4,
        }
    }

    /// Bytes of the tag of an RTCP packet: never cut below 10 (RFC 3711 §5.2, RFC 4568 §6.2).
    pub const fn rtcp_tag_len(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }

    /// Whether cipher and tag are one algorithm (RFC 7714).
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::AeadAes256Gcm | Self::AeadAes128Gcm)
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_suite_is_found_by_its_name_in_any_case() {
        for suite in Suite::ALL {
            assert_eq!(Suite::from_name(suite.name()), Some(suite));
            let lower = suite.name().to_ascii_lowercase();
            assert_eq!(Suite::from_name(&lower), Some(suite));
        }
        assert_eq!(Suite::from_name("AES_CM_128_HMAC_SHA1_8"), None);
        assert_eq!(Suite::from_name(""), None);
    }

    #[test]
    fn old_spellings_of_long_keys_are_understood() {
        let found = Suite::from_name("AES_CM_256_HMAC_SHA1_80");
        assert_eq!(found, Some(Suite::AesCm256Sha1_80));
        let found = Suite::from_name("AES_CM_192_HMAC_SHA1_32");
        assert_eq!(found, Some(Suite::AesCm192Sha1_32));
    }

    #[test]
    fn inline_keys_have_the_lengths_of_their_rfcs() {
        let total = |suite: Suite| suite.key_len() + suite.salt_len();
        assert_eq!(total(Suite::AesCm128Sha1_80), 30);
        assert_eq!(total(Suite::AesCm192Sha1_80), 38);
        assert_eq!(total(Suite::AesCm256Sha1_32), 46);
        assert_eq!(total(Suite::AeadAes128Gcm), 28);
        assert_eq!(total(Suite::AeadAes256Gcm), 44);
        assert_eq!(total(Suite::F8_128Sha1_80), 30);
    }

    #[test]
    fn only_rtp_tags_are_cut_short() {
        for suite in Suite::ALL {
            assert!(suite.rtcp_tag_len() >= 10, "{suite}");
            assert!(suite.rtp_tag_len() <= suite.rtcp_tag_len(), "{suite}");
            assert_eq!(suite.rtp_tag_len() == 4, suite.name().ends_with("_32"));
        }
    }
}
