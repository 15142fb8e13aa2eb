//! GCM alone, without index, window and whatever else makes SRTP of it: that of ring, aws-lc-rs and
//! aes-gcm, and ours to compare with. RustCrypto's counter mode is our own portable tier.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit};
use patchcord_cipher::{GcmKey, Tier};
use patchcord_media::srtp::Suite;

use crate::{BATCH, Round, master, packet};

pub(crate) fn rounds(suite: Suite, len: usize) -> Vec<(String, Round)> {
    let named = |name: &str, round| (name.to_owned(), round);
    match (suite.is_aead(), suite.key_len()) {
        (true, 16) => vec![
            named("ours-gcm-alone", ours(suite, len)),
            named("ring", ring(&ring::aead::AES_128_GCM, suite, len)),
            named("aws-lc-rs", aws(&aws_lc_rs::aead::AES_128_GCM, suite, len)),
            named("aes-gcm", rustcrypto::<Aes128Gcm>(suite, len)),
        ],
        (true, _) => vec![
            named("ours-gcm-alone", ours(suite, len)),
            named("ring", ring(&ring::aead::AES_256_GCM, suite, len)),
            named("aws-lc-rs", aws(&aws_lc_rs::aead::AES_256_GCM, suite, len)),
            named("aes-gcm", rustcrypto::<Aes256Gcm>(suite, len)),
        ],
        (false, _) => Vec::new(),
    }
}

/// Calls `once` with key, nonce, header, body and tag of each packet of a batch.
fn batch<K: 'static>(
    suite: Suite,
    len: usize,
    key: impl Fn(&[u8]) -> K,
    once: impl Fn(&K, [u8; 12], &[u8], &mut [u8], &mut [u8]) + 'static,
) -> Round {
    let keys: Vec<K> = (0..BATCH)
        .map(|n| key(&master(suite, n)[..suite.key_len()]))
        .collect();
    let plain: Vec<Vec<u8>> = (0..BATCH).map(|n| packet(n, 0, len)).collect();
    let mut buffers = vec![[0; 2048]; BATCH];
    Box::new(move |sequence| {
        for ((buffer, plain), key) in buffers.iter_mut().zip(&plain).zip(&keys) {
            buffer[..len].copy_from_slice(plain);
            buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
            let mut nonce = [7; 12];
            nonce[8..10].copy_from_slice(&sequence.to_be_bytes());
            let (header, rest) = buffer.split_at_mut(12);
            let (body, tag) = rest.split_at_mut(len - 12);
            once(key, nonce, header, body, &mut tag[..16]);
        }
    })
}

fn ours(suite: Suite, len: usize) -> Round {
    let key = |key: &[u8]| GcmKey::new(Tier::best(), key).expect("a key");
    batch(suite, len, key, |key, nonce, header, body, tag| {
        tag.copy_from_slice(&key.seal(&nonce, header, body));
        let made = (&*tag).try_into().expect("sixteen bytes");
        assert!(key.open(&nonce, header, body, made), "the tag holds");
    })
}

fn ring(algorithm: &'static ring::aead::Algorithm, suite: Suite, len: usize) -> Round {
    use ring::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
    let key = |key: &[u8]| LessSafeKey::new(UnboundKey::new(algorithm, key).expect("a key"));
    batch(suite, len, key, |key, nonce, header, body, tag| {
        let at = || Nonce::assume_unique_for_key(nonce);
        let made = key.seal_in_place_separate_tag(at(), Aad::from(&*header), body);
        tag.copy_from_slice(made.expect("sealed").as_ref());
        let made = ring::aead::Tag::try_from(&*tag).expect("a tag");
        key.open_in_place_separate_tag(at(), Aad::from(&*header), made, body, 0..)
            .expect("the tag holds");
    })
}

fn aws(algorithm: &'static aws_lc_rs::aead::Algorithm, suite: Suite, len: usize) -> Round {
    use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey};
    let key = |key: &[u8]| LessSafeKey::new(UnboundKey::new(algorithm, key).expect("a key"));
    batch(suite, len, key, |key, nonce, header, body, tag| {
        let at = || Nonce::assume_unique_for_key(nonce);
        let made = key.seal_in_place_separate_tag(at(), Aad::from(&*header), body);
        tag.copy_from_slice(made.expect("sealed").as_ref());
        let mut opened = [0; 2048];
        let opened = &mut opened[..body.len()];
        key.open_separate_gather(at(), Aad::from(&*header), body, tag, opened)
            .expect("the tag holds");
        body.copy_from_slice(opened);
    })
}

fn rustcrypto<G: KeyInit + AeadInOut + 'static>(suite: Suite, len: usize) -> Round {
    let key = |key: &[u8]| G::new_from_slice(key).expect("a key");
    batch(suite, len, key, |key, nonce, header, body, tag| {
        let nonce = nonce[..].try_into().expect("twelve bytes");
        let made = key.encrypt_inout_detached(nonce, header, body.into());
        tag.copy_from_slice(&made.expect("sealed"));
        let made = (&*tag).try_into().expect("sixteen bytes");
        key.decrypt_inout_detached(nonce, header, body.into(), made)
            .expect("the tag holds");
    })
}
