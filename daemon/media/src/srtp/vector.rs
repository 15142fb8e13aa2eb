//! Initialisation vectors (RFC 3711 §4.1.1, §4.1.2.2, §4.1.2.3; RFC 7714 §8.1, §9.1), and f8 mode.

use patchcord_cipher::AesKey;

use super::Protocol;

/// The first counter block of AES counter mode.
#[inline]
pub(super) fn counter(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 16] {
    let mut salted = [0; 16];
    salted[..14].copy_from_slice(salt);
    let unique = u128::from(ssrc) << 64 | u128::from(index) << 16;
    (u128::from_be_bytes(salted) ^ unique).to_be_bytes()
}

/// The nonce of AES-GCM. An SRTCP index has 31 bits and leaves the upper ones zero, as they shall be.
#[inline]
pub(super) fn nonce(salt: &[u8; 14], ssrc: u32, index: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
    nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
    for (byte, salt) in nonce.iter_mut().zip(salt) {
        *byte ^= salt;
    }
    nonce
}

/// The vector of f8 mode. `word` is E and index of an SRTCP packet.
pub(super) fn f8(protocol: Protocol, packet: &[u8], index: u64, word: u32) -> [u8; 16] {
    let mut iv = [0; 16];
    match protocol {
        Protocol::Rtp => {
            iv[1..12].copy_from_slice(&packet[1..12]);
            iv[12..].copy_from_slice(&((index >> 16) as u32).to_be_bytes());
        }
        Protocol::Rtcp => {
            iv[4..8].copy_from_slice(&word.to_be_bytes());
            iv[8..].copy_from_slice(&packet[..8]);
        }
    }
    iv
}

/// Encrypts or decrypts in f8 mode (RFC 3711 §4.1.2). Each block needs the one before it, so there is
/// nothing to run side by side.
pub(super) fn apply_f8(key: &AesKey, masked: &AesKey, mut iv: [u8; 16], data: &mut [u8]) {
    masked.encrypt(&mut iv);
    let start = u128::from_be_bytes(iv);
    let mut stream = 0;
    for (count, piece) in (0_u128..).zip(data.chunks_mut(16)) {
        let mut block = (start ^ count ^ stream).to_be_bytes();
        key.encrypt(&mut block);
        stream = u128::from_be_bytes(block);
        for (byte, key) in piece.iter_mut().zip(block) {
            *byte ^= key;
        }
    }
}
