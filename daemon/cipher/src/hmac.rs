//! HMAC-SHA1 (RFC 2104) from kept midstates: the key costs two blocks once and none per packet.

use std::fmt;

use sha1::block_api::compress;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::tier::{HashKind, Tier};
#[cfg(target_arch = "x86_64")]
use crate::{scheduler, x86};

/// Bytes of a digest.
pub const DIGEST: usize = 20;

/// Bytes that SHA-1 takes at once.
pub(crate) const BLOCK: usize = 64;
/// A digest as five words.
pub(crate) type State = [u32; 5];

/// So few messages are done faster one after the other, by the portable crate, than put into lanes.
const FEW: usize = 3;
/// Messages for which sixteen lanes are faster than SHA-NI.
#[cfg(target_arch = "x86_64")]
const MANY: u32 = 8;

/// The state of SHA-1 before anything.
const INITIAL: State = [
    0x6745_2301,
    0xefcd_ab89,
    0x98ba_dcfe,
    0x1032_5476,
    0xc3d2_e1f0,
];

/// An HMAC key as the two states behind its padded blocks; wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MacKey {
    pub(crate) inner: State,
    pub(crate) outer: State,
}

/// Something to be authenticated, and its digest afterwards.
#[derive(Debug)]
pub struct MacJob<'a> {
    /// The key.
    pub key: &'a MacKey,
    /// The message.
    pub data: &'a [u8],
    /// Four bytes that the message ends with, though they are not in it (RFC 3711 §4.2: the rollover
    /// counter).
    pub suffix: Option<[u8; 4]>,
    /// The result.
    pub digest: [u8; DIGEST],
}

impl MacKey {
    /// A key of at most 64 bytes; `None` if it is longer.
    pub fn new(key: &[u8]) -> Option<Self> {
        let mut block = [0; BLOCK];
        block.get_mut(..key.len())?.copy_from_slice(key);
        let behind = |pad: u8| {
            let mut state = INITIAL;
            let mut padded = block.map(|byte| byte ^ pad);
            compress(&mut state, &[padded]);
            padded.zeroize();
            state
        };
        let made = Self {
            inner: behind(0x36),
            outer: behind(0x5c),
        };
        block.zeroize();
        Some(made)
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey")
    }
}

impl<'a> MacJob<'a> {
    /// A job to be done.
    pub const fn new(key: &'a MacKey, data: &'a [u8], suffix: Option<[u8; 4]>) -> Self {
        Self {
            key,
            data,
            suffix,
            digest: [0; DIGEST],
        }
    }

    /// What follows the whole blocks of the data: the rest of it, the suffix, padding and length, in
    /// one block or two.
    pub(crate) fn tail(&self) -> ([[u8; BLOCK]; 2], usize) {
        let (_, rest) = self.data.as_chunks::<BLOCK>();
        let mut tail = [0; 2 * BLOCK];
        let mut len = rest.len();
        tail[..len].copy_from_slice(rest);
        if let Some(suffix) = self.suffix {
            tail[len..len + 4].copy_from_slice(&suffix);
            len += 4;
        }
        tail[len] = 0x80;
        let blocks = (len + 9).div_ceil(BLOCK);
        let message = self.data.len() + self.suffix.map_or(0, |suffix| suffix.len());
        let bits = 8 * (BLOCK + message) as u64;
        tail[blocks * BLOCK - 8..blocks * BLOCK].copy_from_slice(&bits.to_be_bytes());
        let (pair, _) = tail.as_chunks::<BLOCK>();
        ([pair[0], pair[1]], blocks)
    }
}

/// The block of the outer hash: a digest, padding and length.
pub(crate) fn outer_block(digest: &State) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..DIGEST].copy_from_slice(&bytes(digest));
    block[DIGEST] = 0x80;
    let bits = 8 * (BLOCK + DIGEST) as u64;
    block[BLOCK - 8..].copy_from_slice(&bits.to_be_bytes());
    block
}

/// A digest as bytes.
pub(crate) fn bytes(state: &State) -> [u8; DIGEST] {
    let mut digest = [0; DIGEST];
    for (place, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *place = word.to_be_bytes();
    }
    digest
}

/// Computes all the digests.
pub fn authenticate(tier: Tier, jobs: &mut [MacJob<'_>]) {
    match tier.hash {
        _ if jobs.len() < FEW => jobs.iter_mut().for_each(portable),
        HashKind::Portable => jobs.iter_mut().for_each(portable),
        #[cfg(target_arch = "x86_64")]
        HashKind::Ni => scheduler::run(jobs, |states, lanes, active, blocks| {
            // SAFETY: a tier of this kind exists only where SHA-NI, SSSE3 and SSE4.1 do.
            unsafe { x86::ni::compress(states, lanes, active, blocks) }
        }),
        #[cfg(target_arch = "x86_64")]
        HashKind::Lanes => scheduler::run(jobs, |states, lanes, _, blocks| {
            // SAFETY: a tier of this kind exists only where AVX-512 F and BW do.
            unsafe { x86::lanes::compress(states, lanes, blocks) }
        }),
        #[cfg(target_arch = "x86_64")]
        HashKind::LanesAndNi => scheduler::run(jobs, |states, lanes, active, blocks| {
            if active.count_ones() < MANY {
                // SAFETY: a tier of this kind exists only where SHA-NI, SSSE3 and SSE4.1 do.
                unsafe { x86::ni::compress(states, lanes, active, blocks) }
            } else {
                // SAFETY: a tier of this kind exists only where AVX-512 F and BW do.
                unsafe { x86::lanes::compress(states, lanes, blocks) }
            }
        }),
    }
}

fn portable(job: &mut MacJob<'_>) {
    let (whole, _) = job.data.as_chunks::<BLOCK>();
    let (tail, blocks) = job.tail();
    let mut state = job.key.inner;
    compress(&mut state, whole);
    compress(&mut state, &tail[..blocks]);
    let last = outer_block(&state);
    state = job.key.outer;
    compress(&mut state, &[last]);
    job.digest = bytes(&state);
}
