//! AES with AES-NI: key expansion (FIPS 197 §5.2), single blocks, counter mode eight blocks at a time.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_aeskeygenassist_si128,
    _mm_cvtsi128_si32, _mm_set_epi8, _mm_set_epi32, _mm_shuffle_epi8, _mm_xor_si128,
};

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::memory::{load, store};

/// The longest expanded key: 14 rounds and one.
const MOST: usize = 15;
/// Blocks encrypted together.
const WIDTH: usize = 8;

/// Round keys for encryption; wiped when dropped.
#[repr(C, align(64))]
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct RoundKeys {
    keys: [[u8; 16]; MOST],
    rounds: usize,
}

impl RoundKeys {
    /// Expands a key of 16, 24 or 32 bytes.
    #[target_feature(enable = "aes,sse2")]
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let words = match key.len() {
            16 | 24 | 32 => key.len() / 4,
            _ => return None,
        };
        let rounds = words + 6;
        let mut schedule = [0_u32; 4 * MOST];
        for (word, bytes) in schedule.iter_mut().zip(key.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let mut constant = 1_u32;
        for at in words..4 * (rounds + 1) {
            let mut last = schedule[at - 1];
            if at % words == 0 {
                last = substitute(last).rotate_right(8) ^ constant;
                constant = constant << 1 ^ if constant & 0x80 == 0 { 0 } else { 0x11b };
            } else if words > 6 && at % words == 4 {
                last = substitute(last);
            }
            schedule[at] = schedule[at - words] ^ last;
        }
        let mut made = Self {
            keys: [[0; 16]; MOST],
            rounds,
        };
        let places = made.keys.as_flattened_mut().as_chunks_mut::<4>().0;
        for (place, word) in places.iter_mut().zip(schedule) {
            *place = word.to_le_bytes();
        }
        schedule.zeroize();
        Some(made)
    }

    /// The first key, those between, and the last.
    #[inline]
    pub(super) fn split(&self) -> (&[u8; 16], &[[u8; 16]], &[u8; 16]) {
        let rounds = self.rounds.min(MOST - 1);
        (&self.keys[0], &self.keys[1..rounds], &self.keys[rounds])
    }

    /// Encrypts a block.
    #[inline]
    #[target_feature(enable = "aes,sse2")]
    pub(crate) fn encrypt(&self, block: __m128i) -> __m128i {
        let [block] = self.encrypt_some([block]);
        block
    }

    /// The same in memory.
    #[inline]
    #[target_feature(enable = "aes,sse2")]
    pub(crate) fn encrypt_block(&self, block: &mut [u8; 16]) {
        let encrypted = self.encrypt(load(block));
        store(block, encrypted);
    }

    #[inline]
    #[target_feature(enable = "aes,sse2")]
    fn encrypt_some<const N: usize>(&self, mut blocks: [__m128i; N]) -> [__m128i; N] {
        let (first, between, last) = self.split();
        let key = load(first);
        for block in &mut blocks {
            *block = _mm_xor_si128(*block, key);
        }
        for key in between {
            let key = load(key);
            for block in &mut blocks {
                *block = _mm_aesenc_si128(*block, key);
            }
        }
        let key = load(last);
        for block in &mut blocks {
            *block = _mm_aesenclast_si128(*block, key);
        }
        blocks
    }

    /// Counter mode over the data, in place.
    #[target_feature(enable = "aes,ssse3,sse4.1")]
    pub(crate) fn ctr(&self, iv: &[u8; 16], data: &mut [u8]) {
        let swap = _mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        let one = _mm_set_epi32(1, 0, 0, 0);
        let mut counter = _mm_shuffle_epi8(load(iv), swap);
        let mut pieces = data.chunks_exact_mut(16 * WIDTH);
        for piece in &mut pieces {
            let mut blocks = [counter; WIDTH];
            for block in &mut blocks {
                *block = _mm_shuffle_epi8(counter, swap);
                counter = _mm_add_epi32(counter, one);
            }
            let blocks = self.encrypt_some(blocks);
            for (place, block) in piece.as_chunks_mut::<16>().0.iter_mut().zip(blocks) {
                let mixed = _mm_xor_si128(load(place), block);
                store(place, mixed);
            }
        }
        let rest = pieces.into_remainder();
        if rest.len() > 64 {
            self.ctr_rest::<WIDTH>(counter, rest);
        } else if rest.len() > 32 {
            self.ctr_rest::<4>(counter, rest);
        } else if !rest.is_empty() {
            self.ctr_rest::<2>(counter, rest);
        }
    }

    /// The last blocks, `N` at most.
    #[inline]
    #[target_feature(enable = "aes,ssse3,sse4.1")]
    fn ctr_rest<const N: usize>(&self, mut counter: __m128i, rest: &mut [u8]) {
        let swap = _mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        let one = _mm_set_epi32(1, 0, 0, 0);
        let mut blocks = [counter; N];
        for block in &mut blocks {
            *block = _mm_shuffle_epi8(counter, swap);
            counter = _mm_add_epi32(counter, one);
        }
        let blocks = self.encrypt_some(blocks);
        for (piece, block) in rest.chunks_mut(16).zip(blocks) {
            if let Ok(place) = <&mut [u8; 16]>::try_from(&mut *piece) {
                let mixed = _mm_xor_si128(load(place), block);
                store(place, mixed);
            } else {
                let mut stream = [0; 16];
                store(&mut stream, block);
                piece.iter_mut().zip(stream).for_each(|(p, s)| *p ^= s);
            }
        }
    }
}

/// The S-box over four bytes.
#[target_feature(enable = "aes,sse2")]
fn substitute(word: u32) -> u32 {
    let word = _mm_set_epi32(0, 0, word.cast_signed(), 0);
    let substituted = _mm_aeskeygenassist_si128::<0>(word);
    _mm_cvtsi128_si32(substituted).cast_unsigned()
}
