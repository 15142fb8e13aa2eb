//! GHASH (NIST SP 800-38D §6.4) by carry-less multiplication, up to sixteen blocks for one reduction.
//!
//! Blocks are reversed byte by byte, so that the polynomial's lowest coefficient is the highest bit. The
//! key is kept multiplied by x, which makes up for the bit by which such a product is off; reduction is
//! Montgomery's, from below.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_clmulepi64_si128, _mm_set_epi8, _mm_set_epi64x, _mm_setzero_si128,
    _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_slli_si128, _mm_srli_si128, _mm_xor_si128,
    _mm512_broadcast_i32x4, _mm512_clmulepi64_epi128, _mm512_extracti32x4_epi32,
    _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_ternarylogic_epi32, _mm512_xor_si512,
    _mm512_zextsi128_si512,
};

use zeroize::{Zeroize, ZeroizeOnDrop};

use super::memory::{load, load_some, load_wide, store};

/// Blocks that one reduction does for.
const TOGETHER: usize = 16;
/// Blocks of one vector.
const WIDE: usize = 4;
/// x^128 + x^127 + x^126 + x^121 + 1 in the reversed order, without its highest term.
const POLYNOMIAL: u128 = 0xc200_0000_0000_0000_0000_0000_0000_0001;

/// Powers of the key from the 16th to the first, and zeros behind them; wiped when dropped.
#[repr(C, align(64))]
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Powers([[u8; 16]; TOGETHER + WIDE]);

/// A product before it is reduced: its low, middle and high parts.
#[derive(Clone, Copy)]
struct Product([__m128i; 3]);

impl Powers {
    /// Of the key that is the encryption of zeros.
    #[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
    pub(crate) fn new(key: [u8; 16]) -> Self {
        let key = u128::from_be_bytes(key);
        let carry = if key >> 127 == 1 { POLYNOMIAL } else { 0 };
        let first = load(&(key << 1 ^ carry).to_le_bytes());
        let mut powers = Self([[0; 16]; TOGETHER + WIDE]);
        let mut power = first;
        for place in powers.0[..TOGETHER].iter_mut().rev() {
            store(place, power);
            power = Product::of(power, first).reduce();
        }
        powers
    }

    /// The power of that number, from 1 to 16.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn power(&self, number: usize) -> __m128i {
        load(&self.0[TOGETHER - number])
    }

    /// Four powers in a row, the highest first; zeros follow the first power.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn four(&self, number: usize) -> __m512i {
        let four = self.0[TOGETHER - number..].first_chunk::<WIDE>();
        let four = four.expect("zeros follow the last");
        load_wide(four.as_flattened().try_into().expect("four blocks"))
    }

    /// GHASH over the associated data, the ciphertext and their lengths; a block at a time.
    #[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
    pub(crate) fn hash(&self, aad: &[u8], data: &[u8]) -> [u8; 16] {
        let mut sum = self.absorb(_mm_setzero_si128(), aad, None);
        sum = self.absorb(sum, data, Some(lengths(aad, data)));
        finish(sum)
    }

    /// The same, four blocks at a time.
    #[target_feature(enable = "vpclmulqdq,pclmulqdq,avx512f,avx512bw,ssse3,sse4.1")]
    pub(crate) fn hash_wide(&self, aad: &[u8], data: &[u8]) -> [u8; 16] {
        if (1..=16).contains(&aad.len()) && data.len() <= 16 * (TOGETHER - 2) {
            return finish(self.hash_short(aad, data));
        }
        let sum = self.absorb_wide(_mm_setzero_si128(), aad, None);
        let sum = self.absorb_wide(sum, data, Some(lengths(aad, data)));
        finish(sum)
    }

    /// The same for what an ordinary packet has: a block of associated data and few enough others for a
    /// single reduction.
    #[inline]
    #[target_feature(enable = "vpclmulqdq,pclmulqdq,avx512f,avx512bw,ssse3,sse4.1")]
    fn hash_short(&self, aad: &[u8], data: &[u8]) -> __m128i {
        let mut head = [0; 16];
        head[..aad.len()].copy_from_slice(aad);
        let blocks = data.len().div_ceil(16) + 1;
        let mut product = WideProduct::nothing();
        for (at, piece) in data.chunks(16 * WIDE).enumerate() {
            let piece = reverse_wide(load_some(piece));
            product = product.plus(piece, self.four(blocks - WIDE * at));
        }
        product
            .fold()
            .plus(Product::of(reverse(load(&head)), self.power(blocks + 1)))
            .plus(Product::of(lengths(aad, data), self.power(1)))
            .reduce()
    }

    /// Takes in the data, the last block filled up with zeros, and then `last`.
    #[inline]
    #[target_feature(enable = "pclmulqdq,ssse3,sse4.1")]
    fn absorb(&self, mut sum: __m128i, data: &[u8], last: Option<__m128i>) -> __m128i {
        let more = usize::from(last.is_some());
        let mut rest = data;
        loop {
            // The last group leaves room for what comes behind it.
            let is_last = rest.len() <= 16 * (TOGETHER - more);
            let (group, behind) = rest.split_at(rest.len().min(16 * TOGETHER));
            let (group, behind) = if is_last {
                (rest, &rest[..0])
            } else {
                (group, behind)
            };
            let blocks = group.len().div_ceil(16) + if is_last { more } else { 0 };
            if blocks == 0 {
                return sum;
            }
            let mut product = Product::nothing();
            for (at, piece) in group.chunks(16).enumerate() {
                let mut block = [0; 16];
                block[..piece.len()].copy_from_slice(piece);
                let block = _mm_xor_si128(reverse(load(&block)), sum);
                sum = _mm_setzero_si128();
                product = product.plus(Product::of(block, self.power(blocks - at)));
            }
            if is_last && let Some(last) = last {
                product = product.plus(Product::of(_mm_xor_si128(last, sum), self.power(1)));
            }
            sum = product.reduce();
            if is_last {
                return sum;
            }
            rest = behind;
        }
    }

    /// The same with vectors of four blocks.
    #[inline]
    #[target_feature(enable = "vpclmulqdq,pclmulqdq,avx512f,avx512bw,ssse3,sse4.1")]
    fn absorb_wide(&self, mut sum: __m128i, data: &[u8], last: Option<__m128i>) -> __m128i {
        let more = usize::from(last.is_some());
        let mut rest = data;
        loop {
            let is_last = rest.len() <= 16 * (TOGETHER - more);
            let (group, behind) = rest.split_at(rest.len().min(16 * TOGETHER));
            let (group, behind) = if is_last {
                (rest, &rest[..0])
            } else {
                (group, behind)
            };
            let blocks = group.len().div_ceil(16) + if is_last { more } else { 0 };
            if blocks == 0 {
                return sum;
            }
            let mut product = WideProduct::nothing();
            let mut before = _mm512_zextsi128_si512(sum);
            for (at, piece) in group.chunks(16 * WIDE).enumerate() {
                let piece = _mm512_xor_si512(reverse_wide(load_some(piece)), before);
                before = _mm512_setzero_si512();
                product = product.plus(piece, self.four(blocks - WIDE * at));
            }
            let mut product = product.fold();
            if is_last && let Some(last) = last {
                let last = if group.is_empty() {
                    _mm_xor_si128(last, sum)
                } else {
                    last
                };
                product = product.plus(Product::of(last, self.power(1)));
            }
            sum = product.reduce();
            if is_last {
                return sum;
            }
            rest = behind;
        }
    }
}

impl Product {
    #[inline]
    #[target_feature(enable = "sse2")]
    fn nothing() -> Self {
        Self([_mm_setzero_si128(); 3])
    }

    #[inline]
    #[target_feature(enable = "pclmulqdq,sse2")]
    fn of(a: __m128i, b: __m128i) -> Self {
        let middle = _mm_xor_si128(
            _mm_clmulepi64_si128::<0x01>(a, b),
            _mm_clmulepi64_si128::<0x10>(a, b),
        );
        Self([
            _mm_clmulepi64_si128::<0x00>(a, b),
            middle,
            _mm_clmulepi64_si128::<0x11>(a, b),
        ])
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn plus(self, other: Self) -> Self {
        let ([low, middle, high], more) = (self.0, other.0);
        Self([
            _mm_xor_si128(low, more[0]),
            _mm_xor_si128(middle, more[1]),
            _mm_xor_si128(high, more[2]),
        ])
    }

    #[inline]
    #[target_feature(enable = "pclmulqdq,sse2")]
    fn reduce(self) -> __m128i {
        let [low, middle, high] = self.0;
        let low = _mm_xor_si128(low, _mm_slli_si128::<8>(middle));
        let high = _mm_xor_si128(high, _mm_srli_si128::<8>(middle));
        let polynomial = _mm_set_epi64x((POLYNOMIAL >> 64) as i64, 1);
        let first = _mm_xor_si128(
            _mm_shuffle_epi32::<0x4e>(low),
            _mm_clmulepi64_si128::<0x01>(polynomial, low),
        );
        let second = _mm_xor_si128(
            _mm_shuffle_epi32::<0x4e>(first),
            _mm_clmulepi64_si128::<0x01>(polynomial, first),
        );
        _mm_xor_si128(high, second)
    }
}

/// Four products, before they are added up and reduced.
#[derive(Clone, Copy)]
struct WideProduct([__m512i; 3]);

impl WideProduct {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn nothing() -> Self {
        Self([_mm512_setzero_si512(); 3])
    }

    /// With four more.
    #[inline]
    #[target_feature(enable = "vpclmulqdq,avx512f")]
    fn plus(self, a: __m512i, b: __m512i) -> Self {
        let [low, middle, high] = self.0;
        Self([
            _mm512_xor_si512(low, _mm512_clmulepi64_epi128::<0x00>(a, b)),
            _mm512_ternarylogic_epi32::<0x96>(
                middle,
                _mm512_clmulepi64_epi128::<0x01>(a, b),
                _mm512_clmulepi64_epi128::<0x10>(a, b),
            ),
            _mm512_xor_si512(high, _mm512_clmulepi64_epi128::<0x11>(a, b)),
        ])
    }

    #[inline]
    #[target_feature(enable = "avx512f,sse2")]
    fn fold(self) -> Product {
        let [low, middle, high] = self.0;
        Product([fold(low), fold(middle), fold(high)])
    }
}

/// The sum of four blocks.
#[inline]
#[target_feature(enable = "avx512f,sse2")]
fn fold(wide: __m512i) -> __m128i {
    let even = _mm_xor_si128(
        _mm512_extracti32x4_epi32::<0>(wide),
        _mm512_extracti32x4_epi32::<1>(wide),
    );
    let odd = _mm_xor_si128(
        _mm512_extracti32x4_epi32::<2>(wide),
        _mm512_extracti32x4_epi32::<3>(wide),
    );
    _mm_xor_si128(even, odd)
}

/// The block of the two lengths in bits, reversed.
#[inline]
#[target_feature(enable = "sse2")]
fn lengths(aad: &[u8], data: &[u8]) -> __m128i {
    let bits = |bytes: &[u8]| (8 * bytes.len() as u64).cast_signed();
    _mm_set_epi64x(bits(aad), bits(data))
}

#[inline]
#[target_feature(enable = "ssse3")]
fn reverse(block: __m128i) -> __m128i {
    let order = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    _mm_shuffle_epi8(block, order)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn reverse_wide(blocks: __m512i) -> __m512i {
    let order = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    _mm512_shuffle_epi8(blocks, _mm512_broadcast_i32x4(order))
}

#[inline]
#[target_feature(enable = "ssse3")]
fn finish(sum: __m128i) -> [u8; 16] {
    let mut hash = [0; 16];
    store(&mut hash, reverse(sum));
    hash
}
