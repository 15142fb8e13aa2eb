//! Session keys from a master key (RFC 3711 §4.3, RFC 6188 §3, RFC 7714 §11), with a key derivation
//! rate of zero: they are derived once.

use patchcord_cipher::{AesKey, CtrJob, GcmKey, MacKey, Tier, apply};
use zeroize::{Zeroize, Zeroizing};

use super::Protocol;
use super::keys::Keys;
use super::suite::Suite;

/// Bytes of an HMAC-SHA1 session key.
const MAC_KEY: usize = 20;

/// The session keys of one protocol.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) cipher: Cipher,
    pub(super) mac: Option<MacKey>,
    pub(super) salt: Salt,
}

/// The session salt; a suite with 12 bytes uses the first 12.
#[derive(zeroize::ZeroizeOnDrop)]
pub(super) struct Salt(pub(super) [u8; 14]);

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt")
    }
}

/// How payloads are encrypted.
#[derive(Debug)]
#[cfg_attr(
    target_arch = "x86_64",
    expect(
        clippy::large_enum_variant,
        reason = "the round keys stand beside the rest of a session, not a pointer away"
    )
)]
pub(super) enum Cipher {
    Null,
    Counter(AesKey),
    /// The key, and the key masked by the salt for the first vector (RFC 3711 §4.1.2.1); seldom used.
    F8(Box<F8>),
    Gcm(GcmKey),
}

/// The keys of f8 mode.
#[derive(Debug)]
pub(super) struct F8 {
    pub(super) key: AesKey,
    pub(super) masked: AesKey,
}

/// Derives the session keys of `protocol`.
pub(super) fn derive(tier: Tier, keys: &Keys, protocol: Protocol) -> Session {
    let (encryption, authentication, salting) = match protocol {
        Protocol::Rtp => (0, 1, 2),
        Protocol::Rtcp => (3, 4, 5),
    };
    let master = Master::new(tier, keys);
    let suite = keys.suite();
    let mut salt = Salt([0; 14]);
    master.derive(salting, &mut salt.0[..suite.salt_len()]);
    let mut key = Zeroizing::new([0; 32]);
    let key = &mut key[..suite.key_len()];
    master.derive(encryption, key);
    let mac = (!suite.is_aead()).then(|| {
        let mut mac = Zeroizing::new([0; MAC_KEY]);
        master.derive(authentication, &mut *mac);
        MacKey::new(&*mac).expect("shorter than a block")
    });
    Session {
        cipher: cipher(tier, suite, key, &salt.0),
        mac,
        salt,
    }
}

fn cipher(tier: Tier, suite: Suite, key: &[u8], salt: &[u8; 14]) -> Cipher {
    match suite {
        Suite::NullSha1_80 | Suite::NullSha1_32 => Cipher::Null,
        Suite::AeadAes128Gcm | Suite::AeadAes256Gcm => {
            Cipher::Gcm(GcmKey::new(tier, key).expect("the suite's length"))
        }
        Suite::F8_128Sha1_80 | Suite::F8_128Sha1_32 => {
            let mut masked = Zeroizing::new([0x55; 16]);
            masked[..salt.len()].copy_from_slice(salt);
            for (byte, key) in masked.iter_mut().zip(key) {
                *byte ^= key;
            }
            Cipher::F8(Box::new(F8 {
                key: aes(tier, key),
                masked: aes(tier, &*masked),
            }))
        }
        Suite::AesCm256Sha1_80
        | Suite::AesCm256Sha1_32
        | Suite::AesCm192Sha1_80
        | Suite::AesCm192Sha1_32
        | Suite::AesCm128Sha1_80
        | Suite::AesCm128Sha1_32 => Cipher::Counter(aes(tier, key)),
    }
}

fn aes(tier: Tier, key: &[u8]) -> AesKey {
    AesKey::new(tier, key).expect("the suite's length")
}

/// The pseudo-random function: counter mode under the master key.
struct Master {
    key: AesKey,
    salt: Zeroizing<[u8; 16]>,
}

impl Master {
    fn new(tier: Tier, keys: &Keys) -> Self {
        let mut salt = Zeroizing::new([0; 16]);
        salt[..keys.master_salt().len()].copy_from_slice(keys.master_salt());
        Self {
            key: aes(tier, keys.master_key()),
            salt,
        }
    }

    fn derive(&self, label: u8, key: &mut [u8]) {
        let mut iv = *self.salt;
        iv[7] ^= label;
        key.fill(0);
        apply(&mut [CtrJob {
            key: &self.key,
            iv,
            data: key,
        }]);
        iv.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .chars()
            .filter_map(|c| c.to_digit(16).map(|d| d as u8))
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    }

    fn derived(suite: Suite, key: &str, salt: &str, label: u8, len: usize) -> Vec<u8> {
        let keys = Keys::new(suite, &hex(key), &hex(salt)).expect("the suite's lengths");
        let mut out = vec![0; len];
        for tier in Tier::all() {
            let before = out.clone();
            Master::new(tier, &keys).derive(label, &mut out);
            assert!(tier == Tier::PORTABLE || before == out, "{tier}");
        }
        out
    }

    #[test]
    fn keys_of_128_bits_follow_rfc_3711_b_3() {
        let derive = |label, len| {
            derived(
                Suite::AesCm128Sha1_80,
                "E1F97A0D3E018BE0D64FA32C06DE4139",
                "0EC675AD498AFEEBB6960B3AABE6",
                label,
                len,
            )
        };
        assert_eq!(derive(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derive(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(
            derive(1, 94),
            hex(
                "CEBE321F6FF7716B6FD4AB49AF256A15 6D38BAA48F0A0ACF3C34E2359E6CDBCE
                 E049646C43D9327AD175578EF7227098 6371C10C9A369AC2F94A8C5FBCDDDC25
                 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2"
            )
        );
    }

    #[test]
    fn keys_of_256_bits_follow_rfc_6188_7_2() {
        let derive = |label, len| {
            derived(
                Suite::AesCm256Sha1_80,
                "f0f04914b513f2763a1b1fa130f10e29 98f6f6e43e4309d1e622a0e332b9f1b6",
                "3b04803de51ee7c96423ab5b78d2",
                label,
                len,
            )
        };
        assert_eq!(
            derive(0, 32),
            hex("5ba1064e30ec51613cad926c5a28ef73 1ec7fb397f70a960653caf06554cd8c4")
        );
        assert_eq!(derive(2, 14), hex("fa31791685ca444a9e07c6c64e93"));
        assert_eq!(
            derive(1, 20),
            hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05")
        );
    }

    #[test]
    fn keys_of_192_bits_follow_rfc_6188_7_4() {
        let derive = |label, len| {
            derived(
                Suite::AesCm192Sha1_80,
                "73edc66c4fa15776fb57f9505c171365 50ffda71f3e8e5f1",
                "c8522f3acd4ce86d5add78edbb11",
                label,
                len,
            )
        };
        assert_eq!(
            derive(0, 24),
            hex("31874736a8f1143870c26e4857d8a5b2 c4a354407faadabb")
        );
        assert_eq!(derive(2, 14), hex("2372b82d639b6d8503a47adc0a6c"));
        assert_eq!(
            derive(1, 20),
            hex("355b10973cd95b9eacf4061c7e1a7151e7cfbfcb")
        );
    }

    #[test]
    fn the_two_protocols_share_no_key() {
        let keys = Keys::new(Suite::AesCm128Sha1_80, &[7; 16], &[9; 14]).expect("lengths");
        let salts = [Protocol::Rtp, Protocol::Rtcp]
            .map(|protocol| derive(Tier::PORTABLE, &keys, protocol).salt.0);
        assert_ne!(salts[0], salts[1]);
    }
}
