//! What we show in handshakes, as far as descriptions name it (RFC 8122 §5).

use patchcord_wire::sdp::{Fingerprint, HashName};

/// A certificate, by its fingerprints. Compared by who holds it, not by what it says.
#[derive(Debug, PartialEq)]
pub struct Identity {
    fingerprints: [Fingerprint; HashName::ALL.len()],
}

impl Identity {
    /// The certificate whose fingerprints `print` makes.
    pub fn new(print: impl FnMut(HashName) -> Fingerprint) -> Self {
        Self {
            fingerprints: HashName::ALL.map(print),
        }
    }

    /// Its fingerprint by a hash.
    pub fn fingerprint(&self, hash: HashName) -> Fingerprint {
        self.fingerprints[hash as usize]
    }
}
