//! Username fragments and passwords (RFC 8445 §5.3).

use std::fmt;

use patchcord_wire::stun::Key;
use rand_chacha::rand_core::CryptoRng;

/// A ufrag and a password, ours or the peer's.
#[derive(Clone)]
pub struct Credentials {
    ufrag: Box<[u8]>,
    pwd: Box<[u8]>,
    key: Key,
}

/// 64 characters: six bits each.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Credentials {
    /// What the peer said.
    pub fn new(ufrag: &[u8], pwd: &[u8]) -> Self {
        Self {
            ufrag: ufrag.into(),
            pwd: pwd.into(),
            key: Key::new(pwd),
        }
    }

    /// New ones: 48 and 144 bits, where the RFC asks for 24 and 128.
    pub(super) fn draw(random: &mut dyn CryptoRng) -> Self {
        Self::new(&word::<8>(random), &word::<24>(random))
    }

    /// The username fragment.
    pub fn ufrag(&self) -> &[u8] {
        &self.ufrag
    }

    /// The password.
    pub fn pwd(&self) -> &[u8] {
        &self.pwd
    }

    /// What signs for who has the password.
    pub(super) const fn key(&self) -> &Key {
        &self.key
    }
}

fn word<const N: usize>(random: &mut dyn CryptoRng) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill_bytes(&mut bytes);
    bytes.map(|byte| ICE_CHARS[usize::from(byte % 64)])
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        (&self.ufrag, &self.pwd) == (&other.ufrag, &other.pwd)
    }
}

impl Eq for Credentials {}

impl fmt::Debug for Credentials {
    /// Leaves the password out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.ufrag.escape_ascii())
    }
}
