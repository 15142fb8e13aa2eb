//! The portable tier: RustCrypto's AES, eight blocks at a time.

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Aes192Enc, Aes256Enc, Block};

/// Counter blocks encrypted together.
const WIDTH: usize = 8;

/// An expanded key.
pub(crate) enum Aes {
    Aes128(Aes128Enc),
    Aes192(Aes192Enc),
    Aes256(Aes256Enc),
}

impl Aes {
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Aes128Enc::new_from_slice(key).ok().map(Self::Aes128),
            24 => Aes192Enc::new_from_slice(key).ok().map(Self::Aes192),
            32 => Aes256Enc::new_from_slice(key).ok().map(Self::Aes256),
            _ => None,
        }
    }

    pub(crate) fn encrypt(&self, block: &mut [u8; 16]) {
        let mut blocks = [Array(*block)];
        self.encrypt_blocks(&mut blocks);
        *block = blocks[0].0;
    }

    pub(crate) fn ctr(&self, iv: &[u8; 16], data: &mut [u8]) {
        let [.., a, b, c, d] = *iv;
        let mut counter = u32::from_be_bytes([a, b, c, d]);
        for piece in data.chunks_mut(16 * WIDTH) {
            let mut stream = [Array(*iv); WIDTH];
            let used = &mut stream[..piece.len().div_ceil(16)];
            for block in &mut *used {
                block[12..].copy_from_slice(&counter.to_be_bytes());
                counter = counter.wrapping_add(1);
            }
            self.encrypt_blocks(used);
            for (byte, key) in piece.iter_mut().zip(used.iter().flatten()) {
                *byte ^= key;
            }
        }
    }

    fn encrypt_blocks(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes128(aes) => aes.encrypt_blocks(blocks),
            Self::Aes192(aes) => aes.encrypt_blocks(blocks),
            Self::Aes256(aes) => aes.encrypt_blocks(blocks),
        }
    }
}
