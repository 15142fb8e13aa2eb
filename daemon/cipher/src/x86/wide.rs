//! AES counter mode with VAES: sixteen blocks at a time, the last ones by mask. A packet of 160 bytes
//! is one pass, and the passes of several packets overlap.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_aesenc_epi128, _mm512_aesenclast_epi128,
    _mm512_broadcast_i32x4, _mm512_set_epi32, _mm512_shuffle_epi8, _mm512_xor_si512,
};

use super::aes::RoundKeys;
use super::memory::{load, load_some, store_some};

/// Bytes of one vector.
const VECTOR: usize = 64;
/// Bytes of one pass.
const PASS: usize = 4 * VECTOR;

/// Counter mode over the data, in place.
#[target_feature(enable = "vaes,aes,avx512f,avx512bw,ssse3")]
pub(crate) fn ctr(keys: &RoundKeys, iv: &[u8; 16], data: &mut [u8]) {
    let swap = swap();
    let iv = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(load(iv)), swap);
    let mut counter = _mm512_add_epi32(
        iv,
        _mm512_set_epi32(3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0),
    );
    for piece in data.chunks_mut(PASS) {
        counter = match piece.len().div_ceil(VECTOR) {
            1 => pass::<1>(keys, counter, piece),
            2 => pass::<2>(keys, counter, piece),
            3 => pass::<3>(keys, counter, piece),
            _ => pass::<4>(keys, counter, piece),
        };
    }
}

/// Reverses the last four bytes of each block, those that count.
#[inline]
#[target_feature(enable = "avx512f")]
fn swap() -> __m512i {
    let (last, c, b, a) = (0x0c0d_0e0f, 0x0b0a_0908, 0x0706_0504, 0x0302_0100);
    _mm512_set_epi32(last, c, b, a, last, c, b, a, last, c, b, a, last, c, b, a)
}

/// `N` vectors at most; gives the counter behind them.
#[inline]
#[target_feature(enable = "vaes,aes,avx512f,avx512bw,ssse3")]
fn pass<const N: usize>(keys: &RoundKeys, mut counter: __m512i, piece: &mut [u8]) -> __m512i {
    let swap = swap();
    let four = _mm512_set_epi32(4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0);
    let (first, between, last) = keys.split();
    let key = _mm512_broadcast_i32x4(load(first));
    let mut blocks = [counter; N];
    for block in &mut blocks {
        *block = _mm512_xor_si512(_mm512_shuffle_epi8(counter, swap), key);
        counter = _mm512_add_epi32(counter, four);
    }
    for key in between {
        let key = _mm512_broadcast_i32x4(load(key));
        for block in &mut blocks {
            *block = _mm512_aesenc_epi128(*block, key);
        }
    }
    let key = _mm512_broadcast_i32x4(load(last));
    for (block, piece) in blocks.into_iter().zip(piece.chunks_mut(VECTOR)) {
        let stream = _mm512_aesenclast_epi128(block, key);
        store_some(piece, _mm512_xor_si512(load_some(piece), stream));
    }
    counter
}
