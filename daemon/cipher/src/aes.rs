//! AES keys and counter mode.

use std::fmt;

use crate::portable;
use crate::tier::{CipherKind, Tier};
#[cfg(target_arch = "x86_64")]
use crate::x86;

/// An AES key of 128, 192 or 256 bits, expanded for encryption; wiped when dropped.
pub struct AesKey(Schedule);

enum Schedule {
    Portable(Box<portable::Aes>),
    /// Made where AES-NI is.
    #[cfg(target_arch = "x86_64")]
    Ni(x86::aes::RoundKeys),
    /// Made where VAES and AVX-512 are.
    #[cfg(target_arch = "x86_64")]
    Wide(x86::aes::RoundKeys),
}

/// A piece of data to be encrypted or decrypted in counter mode: the initial counter block is `iv`,
/// and its last 32 bits count up (big endian, without carry beyond them).
#[derive(Debug)]
pub struct CtrJob<'a> {
    /// The key.
    pub key: &'a AesKey,
    /// The first counter block.
    pub iv: [u8; 16],
    /// The data, changed in place.
    pub data: &'a mut [u8],
}

impl AesKey {
    /// A key for kernels of `tier`; `None` unless `key` has 16, 24 or 32 bytes.
    pub fn new(tier: Tier, key: &[u8]) -> Option<Self> {
        let schedule = match tier.cipher {
            CipherKind::Portable => Schedule::Portable(Box::new(portable::Aes::new(key)?)),
            // SAFETY: a tier of this kind exists only where AES-NI and SSE4.1 do.
            #[cfg(target_arch = "x86_64")]
            CipherKind::Ni => Schedule::Ni(unsafe { x86::aes::RoundKeys::new(key) }?),
            // SAFETY: a tier of this kind exists only where AES-NI and SSE4.1 do.
            #[cfg(target_arch = "x86_64")]
            CipherKind::Wide => Schedule::Wide(unsafe { x86::aes::RoundKeys::new(key) }?),
        };
        Some(Self(schedule))
    }

    /// Encrypts one block in place.
    #[inline]
    pub fn encrypt(&self, block: &mut [u8; 16]) {
        match &self.0 {
            Schedule::Portable(aes) => aes.encrypt(block),
            #[cfg(target_arch = "x86_64")]
            Schedule::Ni(keys) | Schedule::Wide(keys) => {
                // SAFETY: such a schedule is made only where AES-NI is.
                unsafe { keys.encrypt_block(block) };
            }
        }
    }

    /// Counter mode over the data, in place.
    #[inline]
    pub(crate) fn ctr(&self, iv: &[u8; 16], data: &mut [u8]) {
        match &self.0 {
            Schedule::Portable(aes) => aes.ctr(iv, data),
            // SAFETY: such a schedule is made only where AES-NI, SSSE3 and SSE4.1 are.
            #[cfg(target_arch = "x86_64")]
            Schedule::Ni(keys) => unsafe { keys.ctr(iv, data) },
            // SAFETY: such a schedule is made only where VAES and AVX-512 F and BW are.
            #[cfg(target_arch = "x86_64")]
            Schedule::Wide(keys) => unsafe { x86::wide::ctr(keys, iv, data) },
        }
    }
}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesKey")
    }
}

/// Does all the jobs. Their order in the CPU is its own: nothing in one waits for another.
pub fn apply(jobs: &mut [CtrJob<'_>]) {
    for job in jobs {
        job.key.ctr(&job.iv, job.data);
    }
}
