//! SHA-1 over sixteen messages side by side with AVX-512: one word of each in a vector.

use std::arch::x86_64::{
    __m512i, _mm_set_epi32, _mm512_add_epi32, _mm512_broadcast_i32x4, _mm512_rol_epi32,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i32x4,
    _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::memory::{load_wide, load_words, store_words};
use crate::scheduler::{LANES, Lanes, States};

/// Tables of three inputs: b chooses between c and d, exclusive or, majority.
const CHOICE: i32 = 0xca;
const PARITY: i32 = 0x96;
const MAJORITY: i32 = 0xe8;

/// Takes `blocks` blocks of every lane into its state.
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn compress(states: &mut States, lanes: &Lanes<'_>, blocks: usize) {
    let mut state = [_mm512_setzero_si512(); 5];
    for (value, words) in state.iter_mut().zip(&*states) {
        *value = load_words(words);
    }
    for at in 0..blocks {
        let after = rounds(state, transposed(lanes, at));
        for (value, after) in state.iter_mut().zip(after) {
            *value = _mm512_add_epi32(*value, after);
        }
    }
    for (words, value) in states.iter_mut().zip(state) {
        store_words(words, value);
    }
}

/// The eighty rounds (FIPS 180-4 §6.1.2).
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn rounds(mut state: [__m512i; 5], mut words: [__m512i; 16]) -> [__m512i; 5] {
    let constants = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6_u32]
        .map(|k| _mm512_set1_epi32(k.cast_signed()));
    for word in words {
        state = round::<CHOICE>(state, word, constants[0]);
    }
    for at in 16..20 {
        state = round::<CHOICE>(state, next(&mut words, at), constants[0]);
    }
    for at in 20..40 {
        state = round::<PARITY>(state, next(&mut words, at), constants[1]);
    }
    for at in 40..60 {
        state = round::<MAJORITY>(state, next(&mut words, at), constants[2]);
    }
    for at in 60..80 {
        state = round::<PARITY>(state, next(&mut words, at), constants[3]);
    }
    state
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
#[expect(clippy::many_single_char_names, reason = "the names of FIPS 180-4")]
fn round<const TABLE: i32>(
    [a, b, c, d, e]: [__m512i; 5],
    word: __m512i,
    constant: __m512i,
) -> [__m512i; 5] {
    let mixed = _mm512_ternarylogic_epi32::<TABLE>(b, c, d);
    let sum = _mm512_add_epi32(_mm512_add_epi32(e, word), _mm512_add_epi32(mixed, constant));
    let first = _mm512_add_epi32(sum, _mm512_rol_epi32::<5>(a));
    [first, a, _mm512_rol_epi32::<30>(b), c, d]
}

/// The next word of the message schedule.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn next(words: &mut [__m512i; 16], at: usize) -> __m512i {
    let three = _mm512_ternarylogic_epi32::<PARITY>(
        words[(at + 13) & 15],
        words[(at + 8) & 15],
        words[(at + 2) & 15],
    );
    let word = _mm512_rol_epi32::<1>(_mm512_xor_si512(three, words[at & 15]));
    words[at & 15] = word;
    word
}

/// Block `at` of every lane: the first words of all in the first vector, and so on.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transposed(lanes: &Lanes<'_>, at: usize) -> [__m512i; 16] {
    let swap = _mm512_broadcast_i32x4(_mm_set_epi32(
        0x0c0d_0e0f,
        0x0809_0a0b,
        0x0405_0607,
        0x0001_0203,
    ));
    let mut rows = [_mm512_setzero_si512(); LANES];
    for (row, lane) in rows.iter_mut().zip(lanes) {
        *row = _mm512_shuffle_epi8(load_wide(&lane[at]), swap);
    }
    // In each quarter of `fours[g][k]`: column k of that quarter, of rows 4g to 4g + 3.
    let mut fours = [[_mm512_setzero_si512(); 4]; 4];
    for (four, rows) in fours.iter_mut().zip(rows.as_chunks::<4>().0) {
        let low = [
            _mm512_unpacklo_epi32(rows[0], rows[1]),
            _mm512_unpacklo_epi32(rows[2], rows[3]),
        ];
        let high = [
            _mm512_unpackhi_epi32(rows[0], rows[1]),
            _mm512_unpackhi_epi32(rows[2], rows[3]),
        ];
        *four = [
            _mm512_unpacklo_epi64(low[0], low[1]),
            _mm512_unpackhi_epi64(low[0], low[1]),
            _mm512_unpacklo_epi64(high[0], high[1]),
            _mm512_unpackhi_epi64(high[0], high[1]),
        ];
    }
    let mut columns = [_mm512_setzero_si512(); 16];
    for k in 0..4 {
        let even = [
            _mm512_shuffle_i32x4::<0x88>(fours[0][k], fours[1][k]),
            _mm512_shuffle_i32x4::<0x88>(fours[2][k], fours[3][k]),
        ];
        let odd = [
            _mm512_shuffle_i32x4::<0xdd>(fours[0][k], fours[1][k]),
            _mm512_shuffle_i32x4::<0xdd>(fours[2][k], fours[3][k]),
        ];
        columns[k] = _mm512_shuffle_i32x4::<0x88>(even[0], even[1]);
        columns[4 + k] = _mm512_shuffle_i32x4::<0x88>(odd[0], odd[1]);
        columns[8 + k] = _mm512_shuffle_i32x4::<0xdd>(even[0], even[1]);
        columns[12 + k] = _mm512_shuffle_i32x4::<0xdd>(odd[0], odd[1]);
    }
    columns
}
