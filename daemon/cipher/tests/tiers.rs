//! Every tier computes what the portable one does, for all lengths and mixtures of jobs.

use patchcord_cipher::{AesKey, CtrJob, GcmKey, MacJob, MacKey, Tier, apply, authenticate};
use proptest::prelude::*;

/// Bytes that differ from place to place and from seed to seed.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

fn stream(tier: Tier, key: &[u8], iv: [u8; 16], data: &[u8]) -> Vec<u8> {
    let key = AesKey::new(tier, key).expect("a length that AES has");
    let mut data = data.to_vec();
    apply(&mut [CtrJob {
        key: &key,
        iv,
        data: &mut data,
    }]);
    data
}

#[test]
fn counter_mode_is_the_same_for_every_length() {
    for tier in Tier::all() {
        for len in (0..700).chain([1_187, 1_188, 1_472, 2_048]) {
            let key = bytes(len as u64, [16, 24, 32][len % 3]);
            let mut iv: [u8; 16] = bytes(7, 16).try_into().expect("16 bytes");
            if len % 5 == 0 {
                iv[12..].copy_from_slice(&[0xff, 0xff, 0xff, 0xfd]);
            }
            let data = bytes(9, len);
            assert_eq!(
                stream(tier, &key, iv, &data),
                stream(Tier::PORTABLE, &key, iv, &data),
                "{tier} {len}"
            );
        }
    }
}

#[test]
fn single_blocks_are_the_same() {
    for tier in Tier::all() {
        for seed in 0..300 {
            let key = bytes(seed, [16, 24, 32][seed as usize % 3]);
            let mut blocks = [[seed as u8; 16]; 2];
            for (block, tier) in blocks.iter_mut().zip([tier, Tier::PORTABLE]) {
                AesKey::new(tier, &key).expect("a length").encrypt(block);
            }
            assert_eq!(blocks[0], blocks[1], "{tier}");
        }
    }
}

#[test]
fn keys_of_other_lengths_are_refused() {
    for tier in Tier::all() {
        for len in [0, 1, 15, 17, 23, 25, 31, 33] {
            assert!(AesKey::new(tier, &bytes(1, len)).is_none(), "{tier} {len}");
            assert!(GcmKey::new(tier, &bytes(1, len)).is_none(), "{tier} {len}");
        }
        assert!(GcmKey::new(tier, &bytes(1, 24)).is_none(), "{tier}");
    }
    assert!(MacKey::new(&bytes(1, 64)).is_some());
    assert!(MacKey::new(&bytes(1, 65)).is_none());
}

#[test]
fn hmac_follows_rfc_2202() {
    let hex = |digest: [u8; 20]| digest.map(|byte| format!("{byte:02x}")).concat();
    let cases: [(&[u8], &[u8], &str); 4] = [
        (
            &[0x0b; 20],
            b"Hi There",
            "b617318655057264e28bc0b6fb378c8ef146be00",
        ),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
        ),
        (
            &[0xaa; 20],
            &[0xdd; 50],
            "125d7342b9ac11cd91a39af48aa17b4f63f175d3",
        ),
        (
            &[0x0c; 20],
            b"Test With Truncation",
            "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04",
        ),
    ];
    for tier in Tier::all() {
        for (key, message, expected) in &cases {
            let key = MacKey::new(key).expect("not longer than a block");
            let mut jobs = [MacJob::new(&key, message, None)];
            authenticate(tier, &mut jobs);
            assert_eq!(hex(jobs[0].digest), *expected, "{tier}");
        }
    }
}

fn digests(tier: Tier, keys: &[MacKey], messages: &[(Vec<u8>, Option<[u8; 4]>)]) -> Vec<[u8; 20]> {
    let mut jobs: Vec<MacJob<'_>> = messages
        .iter()
        .zip(keys.iter().cycle())
        .map(|((data, suffix), key)| MacJob::new(key, data, *suffix))
        .collect();
    authenticate(tier, &mut jobs);
    jobs.iter().map(|job| job.digest).collect()
}

fn mac_keys() -> Vec<MacKey> {
    (0..5)
        .map(|seed| MacKey::new(&bytes(seed, 20)).expect("20 bytes"))
        .collect()
}

#[test]
fn digests_are_the_same_for_every_length_and_number() {
    let keys = mac_keys();
    for tier in Tier::all() {
        for len in 0..400 {
            let suffix = (len % 3 > 0).then_some([1, 2, 3, len as u8]);
            let messages = vec![(bytes(len as u64, len), suffix)];
            let ours = digests(tier, &keys, &messages);
            assert_eq!(
                ours,
                digests(Tier::PORTABLE, &keys, &messages),
                "{tier} {len}"
            );
        }
        for count in 0..70 {
            let messages: Vec<_> = (0..count)
                .map(|n| (bytes(n as u64, 172), Some([0, 0, 0, n as u8])))
                .collect();
            let ours = digests(tier, &keys, &messages);
            assert_eq!(
                ours,
                digests(Tier::PORTABLE, &keys, &messages),
                "{tier} {count}"
            );
        }
    }
}

#[test]
fn galois_mode_is_the_same_for_every_length_and_leaves_forgeries_alone() {
    for tier in Tier::all() {
        for len in (0..600).chain([1_187, 1_188, 1_472]) {
            let key = bytes(len as u64, [16, 32][len % 2]);
            let nonce: [u8; 12] = bytes(3, 12).try_into().expect("12 bytes");
            let aad = bytes(4, [12, 0, 16, 28, 300, 17, 256][len % 7]);
            let plain = bytes(5, len);
            let [ours, theirs] = [tier, Tier::PORTABLE]
                .map(|tier| GcmKey::new(tier, &key).expect("a length that GCM has"));
            let (mut sealed, mut expected) = (plain.clone(), plain.clone());
            let tag = ours.seal(&nonce, &aad, &mut sealed);
            assert_eq!(
                tag,
                theirs.seal(&nonce, &aad, &mut expected),
                "{tier} {len}"
            );
            assert_eq!(sealed, expected, "{tier} {len}");
            let mut wrong = tag;
            wrong[len % 16] ^= 1 << (len % 8);
            assert!(!ours.open(&nonce, &aad, &mut sealed, &wrong));
            assert_eq!(sealed, expected, "as it was");
            assert!(ours.open(&nonce, &aad, &mut sealed, &tag));
            assert_eq!(sealed, plain, "{tier} {len}");
        }
    }
}

proptest! {
    #[test]
    fn digests_of_any_mixture_are_the_same(
        lens in prop::collection::vec((0_usize..1_500, any::<Option<[u8; 4]>>()), 0..50)
    ) {
        let keys = mac_keys();
        let messages: Vec<_> = lens
            .iter()
            .map(|(len, suffix)| (bytes(*len as u64, *len), *suffix))
            .collect();
        let expected = digests(Tier::PORTABLE, &keys, &messages);
        for tier in Tier::all() {
            prop_assert_eq!(&digests(tier, &keys, &messages), &expected, "{}", tier);
        }
    }
}
