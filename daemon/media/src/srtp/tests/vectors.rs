//! Vectors of the RFCs, and two whole packets that libsrtp's own tests are built on.

use patchcord_cipher::{AesKey, CtrJob, GcmKey, apply};

use super::*;
use crate::srtp::vector;

const SALT: &str = "F0F1F2F3F4F5F6F7F8F9FAFBFCFD";

fn salt(text: &str) -> [u8; 14] {
    let mut salt = [0; 14];
    let bytes = hex(text);
    salt[..bytes.len()].copy_from_slice(&bytes);
    salt
}

fn counter_stream(tier: Tier, key: &str, len: usize) -> Vec<u8> {
    let key = AesKey::new(tier, &hex(key)).expect("a length that AES has");
    let mut data = vec![0; len];
    let iv = vector::counter(&salt(SALT), 0, 0);
    apply(&mut [CtrJob {
        key: &key,
        iv,
        data: &mut data,
    }]);
    data
}

#[test]
fn counter_mode_follows_rfc_3711_b_2_and_rfc_6188_7_1() {
    for tier in Tier::all() {
        let stream = counter_stream(tier, "2B7E151628AED2A6ABF7158809CF4F3C", 0xff02 * 16);
        assert_eq!(
            stream[..48],
            hex("E03EAD0935C95E80E166B16DD92B4EB4
                 D23513162B02D0F72A43A2FE4A5F97AB
                 41E95B3BB0A2E8DD477901E4FCA894C0")
        );
        assert_eq!(
            stream[0xfeff * 16..],
            hex("EC8CDF7398607CB0F2D21675EA9EA1E4
                 362B7C3C6773516318A077D7FC5073AE
                 6A2CC3787889374FBEB4C81B17BA6C44")
        );
        let stream = counter_stream(
            tier,
            "57f82fe3613fd170a85ec93c40b1f092 2ec4cb0dc025b58272147cc438944a98",
            48,
        );
        assert_eq!(
            stream,
            hex("92bdd28a93c3f52511c677d08b5515a4
                 9da71b2378a854f67050756ded165bac
                 63c4868b7096d88421b563b8c94c9a31")
        );
    }
}

#[test]
fn f8_mode_follows_rfc_3711_b_1() {
    for tier in Tier::all() {
        let key = hex("234829008467be186c3de14aae72d62c");
        let mut mask = hex("32f2870d555555555555555555555555");
        mask.iter_mut()
            .zip(&key)
            .for_each(|(mask, key)| *mask ^= key);
        let key = AesKey::new(tier, &key).expect("16 bytes");
        let masked = AesKey::new(tier, &mask).expect("16 bytes");
        let header = hex("806e5cba50681de55c621599");
        let index = 0xd462_564a_5cba;
        let iv = vector::f8(Protocol::Rtp, &header, index, 0);
        assert_eq!(iv.to_vec(), hex("006e5cba50681de55c621599d462564a"));
        let mut data = b"pseudorandomness is the next best thing".to_vec();
        vector::apply_f8(&key, &masked, iv, &mut data);
        assert_eq!(
            data,
            hex("019ce7a26e7854014a6366aa95d4eefd
                 1ad4172a14f9faf455b7f1d4b62bd08f
                 562c0eef7c4802")
        );
    }
}

#[test]
fn gcm_follows_rfc_7714_16_and_17() {
    let salt = salt("517569642070726f2071756f");
    let nonce = vector::nonce(&salt, 0x5501_a0b2, 0xf17b);
    assert_eq!(nonce.to_vec(), hex("51753c6580c2726f20718414"));
    let header = hex("8040f17b8041f8d35501a0b2");
    let plain = b"Gallia est omnis divisa in partes tres";
    let short: Vec<u8> = (0..16).collect();
    let long: Vec<u8> = (0..32).collect();
    let cases = [
        (
            &short,
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833",
            "899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            &long,
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b",
            "7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ];
    for tier in Tier::all() {
        for (key, cipher, tag) in &cases {
            let key = GcmKey::new(tier, key).expect("a length that GCM has");
            let mut data = plain.to_vec();
            let made = key.seal(&nonce, &header, &mut data);
            assert_eq!((data.clone(), made.to_vec()), (hex(cipher), hex(tag)));
            let mut forged = made;
            forged[15] ^= 1;
            assert!(!key.open(&nonce, &header, &mut data, &forged));
            assert_eq!(data, hex(cipher), "a forgery stays as it is");
            assert!(key.open(&nonce, &header, &mut data, &made));
            assert_eq!(data, plain);
        }
    }
    let nonce = vector::nonce(&salt, 0x4d61_7273, 0x5d4);
    assert_eq!(nonce.to_vec(), hex("5175 24055203 726f 207170bb"));
}

/// The session keys come from a master key here, so the whole of it is tested.
#[test]
fn whole_packets_come_out_as_libsrtp_s_tests_have_them() {
    let plain = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let (key, salt) = (
        hex("e1f97a0d3e018be0d64fa32c06de4139"),
        hex("0ec675ad498afeebb6960b3aabe6"),
    );
    let keys = Keys::new(Suite::AesCm128Sha1_80, &key, &salt).expect("lengths");
    let (mut sender, _) = pair(keys);
    assert_eq!(
        protect(&mut sender, Protocol::Rtp, &plain),
        Ok(hex(
            "800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402
                b78d6acc99ea179b8dbb"
        ))
    );
    let (key, salt): (Vec<u8>, Vec<u8>) = ((0..16).collect(), (0xa0..0xac).collect());
    let keys = Keys::new(Suite::AeadAes128Gcm, &key, &salt).expect("lengths");
    let (mut sender, _) = pair(keys);
    assert_eq!(
        protect(&mut sender, Protocol::Rtp, &plain),
        Ok(hex(
            "800f1234decafbadcafebabe c5002ede04cfdd2eb91159e0880aa06e
                d2976826f796b201df3131a127e8a392"
        ))
    );
}
