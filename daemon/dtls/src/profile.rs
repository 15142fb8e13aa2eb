//! SRTP protection profiles (RFC 5764 §4.1.2, RFC 7714 §14.2).

use std::fmt;

use patchcord_media::srtp::Suite;

/// A protection profile. The order of [`Profile::ALL`] is that of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// `SRTP_AEAD_AES_256_GCM`
    Aes256Gcm,
    /// `SRTP_AEAD_AES_128_GCM`
    Aes128Gcm,
    /// `SRTP_AES128_CM_HMAC_SHA1_80`
    Aes128Sha1_80,
    /// `SRTP_AES128_CM_HMAC_SHA1_32`
    Aes128Sha1_32,
}

impl Profile {
    /// All that are negotiated over DTLS, the preferred first.
    pub const ALL: [Self; 4] = [
        Self::Aes256Gcm,
        Self::Aes128Gcm,
        Self::Aes128Sha1_80,
        Self::Aes128Sha1_32,
    ];

    /// Its number in `use_srtp`.
    pub const fn id(self) -> u16 {
        match self {
            Self::Aes128Sha1_80 => 1,
            Self::Aes128Sha1_32 => 2,
            Self::Aes128Gcm => 7,
            Self::Aes256Gcm => 8,
        }
    }

    /// The profile of that number.
    pub fn from_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.id() == id)
    }

    /// Its name in the registry, less the common beginning.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "AEAD_AES_256_GCM",
            Self::Aes128Gcm => "AEAD_AES_128_GCM",
            Self::Aes128Sha1_80 => "AES128_CM_SHA1_80",
            Self::Aes128Sha1_32 => "AES128_CM_SHA1_32",
        }
    }

    /// The suite that its keys are for.
    pub const fn suite(self) -> Suite {
        match self {
            Self::Aes256Gcm => Suite::AeadAes256Gcm,
            Self::Aes128Gcm => Suite::AeadAes128Gcm,
            Self::Aes128Sha1_80 => Suite::AesCm128Sha1_80,
            Self::Aes128Sha1_32 => Suite::AesCm128Sha1_32,
        }
    }

    /// Bytes that are exported for it: a key and a salt for each side.
    pub const fn material_len(self) -> usize {
        2 * (self.suite().key_len() + self.suite().salt_len())
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Aes256Gcm => 1,
            Self::Aes128Gcm => 2,
            Self::Aes128Sha1_80 => 4,
            Self::Aes128Sha1_32 => 8,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of profiles.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Profiles(u8);

impl Profiles {
    /// All four.
    pub const ALL: Self = Self(15);
    /// None.
    pub const NONE: Self = Self(0);

    /// Whether the profile is in the set.
    pub const fn contains(self, profile: Profile) -> bool {
        self.0 & profile.bit() != 0
    }

    /// The set with the profile.
    #[must_use]
    pub const fn with(self, profile: Profile) -> Self {
        Self(self.0 | profile.bit())
    }

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether there is none in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those in the set, the preferred first.
    pub fn iter(self) -> impl Iterator<Item = Profile> {
        Profile::ALL.into_iter().filter(move |p| self.contains(*p))
    }
}

impl Default for Profiles {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromIterator<Profile> for Profiles {
    fn from_iter<T: IntoIterator<Item = Profile>>(profiles: T) -> Self {
        profiles.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Profiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_is_found_by_its_number() {
        for profile in Profile::ALL {
            assert_eq!(Profile::from_id(profile.id()), Some(profile));
        }
        for other in [0, 3, 5, 6, 9, 0xffff] {
            assert_eq!(Profile::from_id(other), None, "{other}");
        }
    }

    #[test]
    fn the_exported_lengths_are_those_of_the_rfcs() {
        let lengths = Profile::ALL.map(Profile::material_len);
        assert_eq!(lengths, [88, 56, 60, 60]);
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        assert_eq!(Profiles::ALL.iter().count(), 4);
        let set: Profiles = [Profile::Aes128Sha1_32, Profile::Aes256Gcm]
            .into_iter()
            .collect();
        let members: Vec<_> = set.iter().collect();
        assert_eq!(members, [Profile::Aes256Gcm, Profile::Aes128Sha1_32]);
        assert!(!set.contains(Profile::Aes128Gcm));
        assert!(set.and(Profiles::NONE).is_empty());
    }
}
