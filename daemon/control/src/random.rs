//! Random numbers that nobody can guess, out of a seed: keys are drawn from them (RFC 4568 §6.1).

use patchcord_media::srtp::{Keys, Suite};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{CryptoRng, RngCore, SeedableRng};
use zeroize::Zeroize;

/// What a generator starts from: as good as its source. The process takes it from the operating
/// system; a test writes a number.
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// These bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A seed for runs that have to be repeatable. Everybody can guess it.
    pub fn of_number(number: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Self(bytes)
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl std::fmt::Debug for Seed {
    /// Leaves the seed out: all keys follow from it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed")
    }
}

/// A cryptographically strong generator: ChaCha with 20 rounds.
pub(crate) struct Random(ChaCha20Rng);

impl Random {
    /// The generator of a seed.
    pub(crate) fn new(seed: &Seed) -> Self {
        Self(ChaCha20Rng::from_seed(seed.0))
    }

    /// The generator itself, for those who draw what they need.
    pub(crate) fn source(&mut self) -> &mut dyn CryptoRng {
        &mut self.0
    }

    /// Twelve hexadecimal digits.
    pub(crate) fn mark(&mut self) -> [u8; 12] {
        let bits = self.0.next_u64();
        std::array::from_fn(|at| b"0123456789abcdef"[(bits >> (4 * at) & 15) as usize])
    }

    /// A name for RTCP that tells nothing: 16 characters of base64 (RFC 7022 §5).
    pub(crate) fn cname(&mut self) -> [u8; 16] {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut drawn = [0; 16];
        self.0.fill_bytes(&mut drawn);
        drawn.map(|byte| DIGITS[usize::from(byte % 64)])
    }

    /// A name for a DTLS association (RFC 8842 §5.2): 32 hexadecimal digits.
    pub(crate) fn tls_id(&mut self) -> [u8; 32] {
        let mut drawn = [0; 16];
        self.0.fill_bytes(&mut drawn);
        std::array::from_fn(|at| {
            let nibble = drawn[at / 2] >> (4 * (at % 2)) & 15;
            b"0123456789abcdef"[usize::from(nibble)]
        })
    }

    /// A master key and salt for a suite.
    pub(crate) fn keys(&mut self, suite: Suite) -> Keys {
        let mut master = [0; 32 + 14];
        let inline = &mut master[..suite.key_len() + suite.salt_len()];
        self.0.fill_bytes(inline);
        let keys = Keys::from_inline(suite, inline);
        master.zeroize();
        keys.expect("the lengths are the suite's own")
    }
}

impl std::fmt::Debug for Random {
    /// Leaves the state out: keys to come follow from it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Random")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: &Seed) -> Vec<u8> {
        let keys = Random::new(seed).keys(Suite::AesCm256Sha1_80);
        keys.inline().to_vec()
    }

    #[test]
    fn what_is_drawn_follows_from_the_seed_and_only_from_it() {
        assert_eq!(drawn(&Seed::of_number(7)), drawn(&Seed::of_number(7)));
        assert_ne!(drawn(&Seed::of_number(7)), drawn(&Seed::of_number(8)));
    }

    #[test]
    fn it_is_chacha_with_twenty_rounds() {
        // The key stream of the all-zero key and nonce (RFC 8439 appendix A.1, vector 1).
        let drawn = drawn(&Seed::new([0; 32]));
        assert_eq!(drawn[..8], [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
    }

    #[test]
    fn neither_seed_nor_state_is_printed() {
        let seed = Seed::new([0x5a; 32]);
        let shown = format!("{seed:?} {:?}", Random::new(&seed));
        assert_eq!(shown, "Seed Random");
    }
}
