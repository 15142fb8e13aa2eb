//! Which instructions the kernels use, found once and at run time.

use std::fmt;

/// A set of instructions that this CPU has: a value of it is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    pub(crate) cipher: CipherKind,
    pub(crate) hash: HashKind,
}

/// Instructions for AES and GHASH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CipherKind {
    /// Whatever the portable crates find for themselves.
    Portable,
    /// A block at a time: AES-NI, PCLMULQDQ, SSSE3, SSE4.1.
    #[cfg(target_arch = "x86_64")]
    Ni,
    /// Four blocks at a time: those, VAES, VPCLMULQDQ, AVX-512 F, BW and VL.
    #[cfg(target_arch = "x86_64")]
    Wide,
}

/// Instructions for SHA-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashKind {
    /// Whatever the portable crate finds for itself.
    Portable,
    /// A few messages side by side: SHA-NI, SSSE3, SSE4.1.
    #[cfg(target_arch = "x86_64")]
    Ni,
    /// Sixteen messages side by side: AVX-512 F and BW; few messages go to the portable crate.
    #[cfg(target_arch = "x86_64")]
    Lanes,
    /// Sixteen messages side by side, and few of them with SHA-NI.
    #[cfg(target_arch = "x86_64")]
    LanesAndNi,
}

impl Tier {
    /// The portable tier, which every CPU has.
    pub const PORTABLE: Self = Self {
        cipher: CipherKind::Portable,
        hash: HashKind::Portable,
    };

    /// The best tier of this CPU.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        return x86::best();
        #[cfg(not(target_arch = "x86_64"))]
        Self::PORTABLE
    }

    /// Every tier of this CPU, the portable one first and the best last.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::PORTABLE];
        #[cfg(target_arch = "x86_64")]
        all.extend(x86::narrower());
        if !all.contains(&Self::best()) {
            all.push(Self::best());
        }
        all
    }

    /// Its name: instructions for the cipher, then for the hash.
    pub const fn name(self) -> &'static str {
        #[cfg(target_arch = "x86_64")]
        return x86::name(self);
        #[cfg(not(target_arch = "x86_64"))]
        match (self.cipher, self.hash) {
            (CipherKind::Portable, HashKind::Portable) => "portable",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::is_x86_feature_detected as has;

    use super::{CipherKind, HashKind, Tier};

    pub(super) fn best() -> Tier {
        Tier {
            cipher: if has_wide() {
                CipherKind::Wide
            } else {
                narrow_cipher()
            },
            hash: match (has!("avx512f") && has!("avx512bw"), narrow_hash()) {
                (true, HashKind::Ni) => HashKind::LanesAndNi,
                (true, _) => HashKind::Lanes,
                (false, narrow) => narrow,
            },
        }
    }

    /// Tiers below the best.
    pub(super) fn narrower() -> Vec<Tier> {
        let narrow = Tier {
            cipher: narrow_cipher(),
            hash: narrow_hash(),
        };
        let mut narrower = vec![narrow];
        if has!("avx512f") && has!("avx512bw") {
            narrower.push(Tier {
                cipher: narrow.cipher,
                hash: HashKind::Lanes,
            });
        }
        narrower.retain(|tier| *tier != Tier::PORTABLE && *tier != best());
        narrower
    }

    fn narrow_cipher() -> CipherKind {
        let all = has!("aes") && has!("pclmulqdq") && has!("ssse3") && has!("sse4.1");
        if all {
            CipherKind::Ni
        } else {
            CipherKind::Portable
        }
    }

    fn narrow_hash() -> HashKind {
        if has!("sha") && has!("ssse3") && has!("sse4.1") {
            HashKind::Ni
        } else {
            HashKind::Portable
        }
    }

    fn has_wide() -> bool {
        narrow_cipher() == CipherKind::Ni
            && has!("vaes")
            && has!("vpclmulqdq")
            && has!("avx512f")
            && has!("avx512bw")
            && has!("avx512vl")
    }

    pub(super) const fn name(tier: Tier) -> &'static str {
        match (tier.cipher, tier.hash) {
            (CipherKind::Portable, HashKind::Portable) => "portable",
            (CipherKind::Portable, HashKind::Ni) => "portable/sha-ni",
            (CipherKind::Portable, HashKind::Lanes) => "portable/avx-512",
            (CipherKind::Portable, HashKind::LanesAndNi) => "portable/avx-512+sha-ni",
            (CipherKind::Ni, HashKind::Portable) => "aes-ni/portable",
            (CipherKind::Ni, HashKind::Ni) => "aes-ni/sha-ni",
            (CipherKind::Ni, HashKind::Lanes) => "aes-ni/avx-512",
            (CipherKind::Ni, HashKind::LanesAndNi) => "aes-ni/avx-512+sha-ni",
            (CipherKind::Wide, HashKind::Portable) => "vaes/portable",
            (CipherKind::Wide, HashKind::Ni) => "vaes/sha-ni",
            (CipherKind::Wide, HashKind::Lanes) => "vaes/avx-512",
            (CipherKind::Wide, HashKind::LanesAndNi) => "vaes/avx-512+sha-ni",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cpu_has_the_portable_tier_and_the_best_stands_last() {
        let all = Tier::all();
        assert_eq!(all.first(), Some(&Tier::PORTABLE));
        assert_eq!(all.last(), Some(&Tier::best()));
        for (at, tier) in all.iter().enumerate() {
            assert!(!all[..at].contains(tier), "{tier}");
        }
    }
}
