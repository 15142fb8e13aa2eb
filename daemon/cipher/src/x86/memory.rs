//! Loads and stores, the only thing here that is not safe by its types.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_loadu_si128, _mm_storeu_si128, _mm512_loadu_si512,
    _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_storeu_si512,
};

#[inline]
#[target_feature(enable = "sse2")]
pub(crate) fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 bytes may be read there, and the load asks for no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sse2")]
pub(crate) fn store(bytes: &mut [u8; 16], value: __m128i) {
    // SAFETY: 16 bytes may be written there, and the store asks for no alignment.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn load_wide(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 bytes may be read there, and the load asks for no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Sixteen words of four bytes.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn load_words(words: &[u32; 16]) -> __m512i {
    // SAFETY: 64 bytes may be read there, and the load asks for no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// Sixteen words of four bytes.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn store_words(words: &mut [u32; 16], value: __m512i) {
    // SAFETY: 64 bytes may be written there, and the store asks for no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), value) }
}

/// At most 64 bytes, and zeros behind them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn load_some(bytes: &[u8]) -> __m512i {
    // SAFETY: the mask names bytes of the slice only, and bytes it does not name are not read.
    unsafe { _mm512_maskz_loadu_epi8(mask(bytes.len()), bytes.as_ptr().cast()) }
}

/// The first bytes of the value, as many as there is room for.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(crate) fn store_some(bytes: &mut [u8], value: __m512i) {
    // SAFETY: the mask names bytes of the slice only, and bytes it does not name are not written.
    unsafe { _mm512_mask_storeu_epi8(bytes.as_mut_ptr().cast(), mask(bytes.len()), value) }
}

/// The lowest `len` bits, at most 64.
#[inline]
const fn mask(len: usize) -> u64 {
    match len {
        0 => 0,
        1..64 => !0 >> (64 - len),
        _ => !0,
    }
}
