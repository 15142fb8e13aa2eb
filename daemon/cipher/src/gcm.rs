//! AES in Galois/counter mode (NIST SP 800-38D) with nonces of 12 bytes and whole tags.

use std::fmt;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit};

use crate::tier::Tier;

/// Bytes of a tag.
pub const TAG: usize = 16;

/// A GCM key of 128 or 256 bits; wiped when dropped.
pub struct GcmKey(Schedule);

enum Schedule {
    Portable128(Box<Aes128Gcm>),
    Portable256(Box<Aes256Gcm>),
}

impl GcmKey {
    /// A key for kernels of `tier`; `None` unless `key` has 16 or 32 bytes.
    pub fn new(_tier: Tier, key: &[u8]) -> Option<Self> {
        let schedule = match key.len() {
            16 => Schedule::Portable128(Box::new(Aes128Gcm::new_from_slice(key).ok()?)),
            32 => Schedule::Portable256(Box::new(Aes256Gcm::new_from_slice(key).ok()?)),
            _ => return None,
        };
        Some(Self(schedule))
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
        };
        opened.is_ok()
    }
}

impl fmt::Debug for GcmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GcmKey")
    }
}
