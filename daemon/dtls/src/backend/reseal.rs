//! Protected records written anew under another number (RFC 5246 §6.3, RFC 5288 §3, RFC 6347 §4.1.2.1).
//!
//! A flight that is sent again must carry new record numbers, or the peer takes it for a replay and
//! never repeats its answer. OpenSSL has no way to ask for that but its own timer, which reads the
//! wall clock. So what it protects with AES-GCM is opened here and sealed again.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::association::Role;
use crate::record::HEADER;

/// Bytes of the nonce that stand in the record.
const EXPLICIT: usize = 8;
const TAG: usize = 16;
const FIXED_IV: usize = 4;

/// A cipher suite of AES-GCM, by what matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gcm {
    /// AES-128 and SHA-256.
    Aes128,
    /// AES-256 and SHA-384.
    Aes256,
}

impl Gcm {
    /// The one in a suite of OpenSSL's name, if it is one.
    pub(super) fn of(suite: &str) -> Option<Self> {
        if suite.ends_with("AES128-GCM-SHA256") {
            Some(Self::Aes128)
        } else if suite.ends_with("AES256-GCM-SHA384") {
            Some(Self::Aes256)
        } else {
            None
        }
    }

    fn parts(self) -> (&'static Algorithm, hmac::Algorithm) {
        match self {
            Self::Aes128 => (&AES_128_GCM, hmac::HMAC_SHA256),
            Self::Aes256 => (&AES_256_GCM, hmac::HMAC_SHA384),
        }
    }
}

/// The keys that one side writes with.
pub(super) struct Sealer {
    key: LessSafeKey,
    iv: [u8; FIXED_IV],
}

impl Sealer {
    /// The keys of `role`, from what the two sides share.
    pub(super) fn new(
        gcm: Gcm,
        role: Role,
        master: &[u8],
        client: &[u8; 32],
        server: &[u8; 32],
    ) -> Option<Self> {
        let (aead, mac) = gcm.parts();
        let seed = [b"key expansion".as_slice(), server, client].concat();
        let mut block = Zeroizing::new(vec![0; 2 * (aead.key_len() + FIXED_IV)]);
        expand(&hmac::Key::new(mac, master), &seed, &mut block);
        let (keys, ivs) = block.split_at(2 * aead.key_len());
        let second = usize::from(role == Role::Server);
        let key = &keys[second * aead.key_len()..][..aead.key_len()];
        Some(Self {
            key: LessSafeKey::new(UnboundKey::new(aead, key).ok()?),
            iv: *ivs[second * FIXED_IV..].first_chunk()?,
        })
    }

    /// Gives a protected record another number. `None` if these are not its keys.
    pub(super) fn reseal(&self, record: &[u8], number: u64) -> Option<Vec<u8>> {
        let (header, fragment) = record.split_first_chunk::<HEADER>()?;
        let (explicit, sealed) = fragment.split_first_chunk::<EXPLICIT>()?;
        let len = sealed.len().checked_sub(TAG)?;
        let mut text = Zeroizing::new(sealed.to_vec());
        let aad = Aad::from(aad(header, len));
        let nonce = self.nonce(*explicit);
        self.key.open_in_place(nonce, aad, &mut text).ok()?;
        text.truncate(len);

        let mut header = *header;
        header[5..11].copy_from_slice(&number.to_be_bytes()[2..]);
        // Epoch and number: no two records of ours have the same, and OpenSSL's never leave.
        let explicit: [u8; EXPLICIT] = *header[3..].first_chunk()?;
        let aad = Aad::from(self::aad(&header, len));
        let nonce = self.nonce(explicit);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, aad, &mut text)
            .ok()?;
        Some([&header, explicit.as_slice(), &text, tag.as_ref()].concat())
    }

    fn nonce(&self, explicit: [u8; EXPLICIT]) -> Nonce {
        let mut nonce = [0; FIXED_IV + EXPLICIT];
        nonce[..FIXED_IV].copy_from_slice(&self.iv);
        nonce[FIXED_IV..].copy_from_slice(&explicit);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Epoch, number, type, version, and the length of the plain text.
fn aad(header: &[u8; HEADER], len: usize) -> [u8; HEADER] {
    let mut aad = [0; HEADER];
    aad[..8].copy_from_slice(&header[3..11]);
    aad[8..11].copy_from_slice(&header[..3]);
    aad[11..].copy_from_slice(&(len as u16).to_be_bytes());
    aad
}

/// P_hash of RFC 5246 §5.
fn expand(key: &hmac::Key, seed: &[u8], out: &mut [u8]) {
    let mut a = hmac::sign(key, seed);
    let len = a.as_ref().len();
    for chunk in out.chunks_mut(len) {
        let block = hmac::sign(key, &[a.as_ref(), seed].concat());
        chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
        a = hmac::sign(key, a.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(gcm: Gcm, role: Role) -> Sealer {
        Sealer::new(gcm, role, &[7; 48], &[1; 32], &[2; 32]).expect("keys")
    }

    /// A record sealed by hand under number 0.
    fn record(sealer: &Sealer, text: &[u8]) -> Vec<u8> {
        let mut header = [22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        header[12] = (EXPLICIT + text.len() + TAG) as u8;
        let explicit = [9; EXPLICIT];
        let mut sealed = text.to_vec();
        let aad = Aad::from(aad(&header, text.len()));
        let nonce = sealer.nonce(explicit);
        sealer
            .key
            .seal_in_place_append_tag(nonce, aad, &mut sealed)
            .expect("sealed");
        [&header, explicit.as_slice(), &sealed].concat()
    }

    #[test]
    fn a_record_written_anew_has_the_same_text_under_another_number() {
        for gcm in [Gcm::Aes128, Gcm::Aes256] {
            let sealer = sealer(gcm, Role::Client);
            let first = record(&sealer, b"finished");
            let second = sealer.reseal(&first, 0x0102).expect("our keys");
            assert_eq!(&second[5..11], [0, 0, 0, 0, 1, 2]);
            assert_eq!(second.len(), first.len());
            assert_ne!(second[HEADER..], first[HEADER..]);
            let third = sealer.reseal(&second, 0).expect("our keys");
            let again = sealer.reseal(&first, 0).expect("our keys");
            assert_eq!(third, again, "the text is the same");
        }
    }

    #[test]
    fn another_sides_record_is_left_alone() {
        let theirs = record(&sealer(Gcm::Aes128, Role::Server), b"finished");
        let ours = sealer(Gcm::Aes128, Role::Client);
        assert_eq!(ours.reseal(&theirs, 1), None);
        assert_eq!(ours.reseal(&theirs[..20], 1), None);
    }

    #[test]
    fn the_suites_are_known_by_their_names() {
        assert_eq!(Gcm::of("ECDHE-RSA-AES128-GCM-SHA256"), Some(Gcm::Aes128));
        assert_eq!(Gcm::of("ECDHE-ECDSA-AES256-GCM-SHA384"), Some(Gcm::Aes256));
        assert_eq!(Gcm::of("ECDHE-RSA-AES128-SHA256"), None);
    }

    /// From the SHA-256 PRF vector posted to the TLS working group; its seed has the label in front.
    #[test]
    fn the_pseudorandom_function_is_that_of_tls() {
        let secret = [
            0x9b, 0xbe, 0x43, 0x6b, 0xa9, 0x40, 0xf0, 0x17, 0xb1, 0x76, 0x52, 0x84, 0x9a, 0x71,
            0xdb, 0x35,
        ];
        let seed = [
            0xa0, 0xba, 0x9f, 0x93, 0x6c, 0xda, 0x31, 0x18, 0x27, 0xa6, 0xf7, 0x96, 0xff, 0xd5,
            0x19, 0x8c,
        ];
        let mut out = [0; 40];
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        expand(&key, &[b"test label".as_slice(), &seed].concat(), &mut out);
        let expected = [
            0xe3, 0xf2, 0x29, 0xba, 0x72, 0x7b, 0xe1, 0x7b, 0x8d, 0x12, 0x26, 0x20, 0x55, 0x7c,
            0xd4, 0x53, 0xc2, 0xaa, 0xb2, 0x1d, 0x07, 0xc3, 0xd4, 0x95, 0x32, 0x9b, 0x52, 0xd4,
            0xe6, 0x1e, 0xdb, 0x5a, 0x6b, 0x30, 0x17, 0x91,
        ];
        assert_eq!(&out[..expected.len()], expected);
    }
}
