//! SHA-1 with SHA-NI, over a few messages side by side: one waits for its last result most of the time.

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_extract_epi32, _mm_set_epi8, _mm_set_epi32, _mm_setzero_si128,
    _mm_sha1msg1_epu32, _mm_sha1msg2_epu32, _mm_sha1nexte_epu32, _mm_sha1rnds4_epu32,
    _mm_shuffle_epi8, _mm_xor_si128,
};

use super::memory::load;
use crate::scheduler::{LANES, Lanes, States};

/// Messages side by side: as many as keep the unit busy.
const TOGETHER: usize = 4;

/// Takes `blocks` blocks of the lanes named by `active` into their states.
#[target_feature(enable = "sha,ssse3,sse4.1")]
pub(crate) fn compress(states: &mut States, lanes: &Lanes<'_>, active: u16, blocks: usize) {
    let mut named = [0; LANES];
    let mut count = 0;
    for lane in (0..LANES).filter(|lane| active >> lane & 1 == 1) {
        named[count] = lane;
        count += 1;
    }
    let mut rest = &named[..count];
    while let Some((four, others)) = rest.split_first_chunk::<TOGETHER>() {
        some(states, lanes, *four, blocks);
        rest = others;
    }
    match *rest {
        [a, b, c] => some(states, lanes, [a, b, c], blocks),
        [a, b] => some(states, lanes, [a, b], blocks),
        [a] => some(states, lanes, [a], blocks),
        _ => {}
    }
}

#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn some<const N: usize>(states: &mut States, lanes: &Lanes<'_>, named: [usize; N], blocks: usize) {
    let mut abcd = [_mm_setzero_si128(); N];
    let mut e = [_mm_setzero_si128(); N];
    for (n, lane) in named.into_iter().enumerate() {
        let word = |row: usize| states[row][lane % LANES].cast_signed();
        abcd[n] = _mm_set_epi32(word(0), word(1), word(2), word(3));
        e[n] = _mm_set_epi32(word(4), 0, 0, 0);
    }
    let lanes = named.map(|lane| lanes[lane % LANES]);
    for at in 0..blocks {
        (abcd, e) = block(abcd, e, lanes.map(|lane| &lane[at]));
    }
    for (n, lane) in named.into_iter().enumerate() {
        let words = [
            _mm_extract_epi32::<3>(abcd[n]),
            _mm_extract_epi32::<2>(abcd[n]),
            _mm_extract_epi32::<1>(abcd[n]),
            _mm_extract_epi32::<0>(abcd[n]),
            _mm_extract_epi32::<3>(e[n]),
        ];
        for (row, word) in states.iter_mut().zip(words) {
            row[lane % LANES] = word.cast_unsigned();
        }
    }
}

/// One block of each message. The rounds come in twenty groups of four; all is kept by value, so that it
/// stays in registers.
#[inline]
#[target_feature(enable = "sha,ssse3,sse4.1")]
fn block<const N: usize>(
    before: [__m128i; N],
    mut e: [__m128i; N],
    blocks: [&[u8; 64]; N],
) -> ([__m128i; N], [__m128i; N]) {
    let swap = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let mut w = [[_mm_setzero_si128(); 4]; N];
    let mut abcd = before;
    let mut last = before;
    for n in 0..N {
        let (quarters, _) = blocks[n].as_chunks::<16>();
        w[n] = [
            _mm_shuffle_epi8(load(&quarters[0]), swap),
            _mm_shuffle_epi8(load(&quarters[1]), swap),
            _mm_shuffle_epi8(load(&quarters[2]), swap),
            _mm_shuffle_epi8(load(&quarters[3]), swap),
        ];
        let first = _mm_add_epi32(e[n], w[n][0]);
        abcd[n] = _mm_sha1rnds4_epu32::<0>(abcd[n], first);
    }
    macro_rules! group {
        ($at:literal, $function:literal) => {
            for n in 0..N {
                if $at >= 4 {
                    let mixed = _mm_xor_si128(
                        _mm_sha1msg1_epu32(w[n][$at & 3], w[n][($at + 1) & 3]),
                        w[n][($at + 2) & 3],
                    );
                    w[n][$at & 3] = _mm_sha1msg2_epu32(mixed, w[n][($at + 3) & 3]);
                }
                let next = _mm_sha1nexte_epu32(last[n], w[n][$at & 3]);
                last[n] = abcd[n];
                abcd[n] = _mm_sha1rnds4_epu32::<$function>(abcd[n], next);
            }
        };
    }
    group!(1, 0);
    group!(2, 0);
    group!(3, 0);
    group!(4, 0);
    group!(5, 1);
    group!(6, 1);
    group!(7, 1);
    group!(8, 1);
    group!(9, 1);
    group!(10, 2);
    group!(11, 2);
    group!(12, 2);
    group!(13, 2);
    group!(14, 2);
    group!(15, 3);
    group!(16, 3);
    group!(17, 3);
    group!(18, 3);
    group!(19, 3);
    for n in 0..N {
        abcd[n] = _mm_add_epi32(abcd[n], before[n]);
        e[n] = _mm_sha1nexte_epu32(last[n], e[n]);
    }
    (abcd, e)
}
