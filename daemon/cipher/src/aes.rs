//! AES keys and counter mode.

use std::fmt;

use crate::portable;
use crate::tier::{Kind, Tier};

/// An AES key of 128, 192 or 256 bits, expanded for encryption; wiped when dropped.
pub struct AesKey(Schedule);

enum Schedule {
    Portable(Box<portable::Aes>),
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
        let schedule = match tier.0 {
            Kind::Portable => Schedule::Portable(Box::new(portable::Aes::new(key)?)),
        };
        Some(Self(schedule))
    }

    /// Encrypts one block in place.
    pub fn encrypt(&self, block: &mut [u8; 16]) {
        match &self.0 {
            Schedule::Portable(aes) => aes.encrypt(block),
        }
    }
}

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesKey")
    }
}

/// Does all the jobs.
pub fn apply(jobs: &mut [CtrJob<'_>]) {
    for job in jobs {
        match &job.key.0 {
            Schedule::Portable(aes) => aes.ctr(&job.iv, job.data),
        }
    }
}
