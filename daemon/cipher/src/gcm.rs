//! AES in Galois/counter mode (NIST SP 800-38D) with nonces of 12 bytes and whole tags.

use std::fmt;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit};
#[cfg(target_arch = "x86_64")]
use subtle::ConstantTimeEq;

#[cfg(target_arch = "x86_64")]
use crate::aes::AesKey;
use crate::tier::{CipherKind, Tier};
#[cfg(target_arch = "x86_64")]
use crate::x86::ghash::Powers;

/// Bytes of a tag.
pub const TAG: usize = 16;

/// A GCM key of 128 or 256 bits; wiped when dropped.
pub struct GcmKey(Schedule);

enum Schedule {
    Portable128(Box<Aes128Gcm>),
    Portable256(Box<Aes256Gcm>),
    #[cfg(target_arch = "x86_64")]
    Ours(Box<Ours>),
}

/// The kernels' key.
#[cfg(target_arch = "x86_64")]
struct Ours {
    aes: AesKey,
    powers: Powers,
    /// VPCLMULQDQ and AVX-512 are there.
    is_wide: bool,
}

impl GcmKey {
    /// A key for kernels of `tier`; `None` unless `key` has 16 or 32 bytes.
    pub fn new(tier: Tier, key: &[u8]) -> Option<Self> {
        let schedule = match (tier.cipher, key.len()) {
            (CipherKind::Portable, 16) => {
                Schedule::Portable128(Box::new(Aes128Gcm::new_from_slice(key).ok()?))
            }
            (CipherKind::Portable, 32) => {
                Schedule::Portable256(Box::new(Aes256Gcm::new_from_slice(key).ok()?))
            }
            #[cfg(target_arch = "x86_64")]
            (CipherKind::Ni | CipherKind::Wide, 16 | 32) => {
                Schedule::Ours(Box::new(Ours::new(tier, key)?))
            }
            (_, _) => return None,
        };
        Some(Self(schedule))
    }

    /// Asks for the key's memory, which will be needed soon.
    pub fn prefetch(&self) {
        match &self.0 {
            Schedule::Portable128(gcm) => crate::prefetch(&**gcm),
            Schedule::Portable256(gcm) => crate::prefetch(&**gcm),
            #[cfg(target_arch = "x86_64")]
            Schedule::Ours(ours) => crate::prefetch(&**ours),
        }
    }

    /// Encrypts `data` in place and gives the tag over it and `aad`.
    pub fn seal(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; TAG] {
        let sealed = match &self.0 {
            Schedule::Portable128(gcm) => {
                gcm.encrypt_inout_detached(nonce.into(), aad, data.into())
            }
            Schedule::Portable256(gcm) => {
                gcm.encrypt_inout_detached(nonce.into(), aad, data.into())
            }
            #[cfg(target_arch = "x86_64")]
            Schedule::Ours(ours) => return ours.seal(nonce, aad, data),
        };
        sealed
            .expect("datagrams are shorter than GCM's limit")
            .into()
    }

    /// Decrypts `data` in place if the tag over it and `aad` is right; else leaves it as it is.
    #[must_use]
    pub fn open(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8], tag: &[u8; TAG]) -> bool {
        let opened = match &self.0 {
            Schedule::Portable128(gcm) => {
                gcm.decrypt_inout_detached(nonce.into(), aad, data.into(), tag.into())
            }
            Schedule::Portable256(gcm) => {
                gcm.decrypt_inout_detached(nonce.into(), aad, data.into(), tag.into())
            }
            #[cfg(target_arch = "x86_64")]
            Schedule::Ours(ours) => return ours.open(nonce, aad, data, tag),
        };
        opened.is_ok()
    }
}

#[cfg(target_arch = "x86_64")]
impl Ours {
    fn new(tier: Tier, key: &[u8]) -> Option<Self> {
        let aes = AesKey::new(tier, key)?;
        let mut hash_key = [0; 16];
        aes.encrypt(&mut hash_key);
        Some(Self {
            aes,
            // SAFETY: a tier whose cipher is not portable exists only where PCLMULQDQ, SSSE3 and
            // SSE4.1 do.
            powers: unsafe { Powers::new(hash_key) },
            is_wide: tier.cipher == CipherKind::Wide,
        })
    }

    fn seal(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8]) -> [u8; TAG] {
        self.aes.ctr(&counter(nonce, 2), data);
        self.tag(nonce, aad, data)
    }

    fn open(&self, nonce: &[u8; 12], aad: &[u8], data: &mut [u8], tag: &[u8; TAG]) -> bool {
        let is_right = bool::from(self.tag(nonce, aad, data).ct_eq(tag));
        if is_right {
            self.aes.ctr(&counter(nonce, 2), data);
        }
        is_right
    }

    /// The tag over the ciphertext.
    fn tag(&self, nonce: &[u8; 12], aad: &[u8], data: &[u8]) -> [u8; TAG] {
        let mut mask = counter(nonce, 1);
        self.aes.encrypt(&mut mask);
        let hash = if self.is_wide {
            // SAFETY: that is set only where VPCLMULQDQ, AVX-512 F and BW are.
            unsafe { self.powers.hash_wide(aad, data) }
        } else {
            // SAFETY: such a key is made only where PCLMULQDQ, SSSE3 and SSE4.1 are.
            unsafe { self.powers.hash(aad, data) }
        };
        (u128::from_ne_bytes(hash) ^ u128::from_ne_bytes(mask)).to_ne_bytes()
    }
}

/// The nonce as a counter block.
#[cfg(target_arch = "x86_64")]
fn counter(nonce: &[u8; 12], count: u8) -> [u8; 16] {
    let mut block = [0; 16];
    block[..12].copy_from_slice(nonce);
    block[15] = count;
    block
}

impl fmt::Debug for GcmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GcmKey")
    }
}
