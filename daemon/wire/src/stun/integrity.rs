//! MESSAGE-INTEGRITY under a short-term credential: HMAC-SHA1 (RFC 8489 §9.1, §14.5).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// Bytes of a tag.
pub(super) const TAG: usize = 20;

/// A password, ready to sign and to check: both halves of its HMAC are worked out once.
#[derive(Clone)]
pub struct Key(Hmac<Sha1>);

impl Key {
    /// The key of a password. SASLprep leaves ICE's characters as they are.
    pub fn new(password: &[u8]) -> Self {
        Self(Hmac::new_from_slice(password).expect("HMAC takes keys of any length"))
    }

    /// The tag of a message in pieces.
    pub(super) fn tag(&self, pieces: [&[u8]; 3]) -> [u8; TAG] {
        self.digest(pieces).finalize().into_bytes().into()
    }

    /// Whether `tag` is the tag of a message in pieces, in time that does not depend on where it differs.
    pub(super) fn check(&self, pieces: [&[u8]; 3], tag: &[u8]) -> bool {
        self.digest(pieces).verify_slice(tag).is_ok()
    }

    fn digest(&self, pieces: [&[u8]; 3]) -> Hmac<Sha1> {
        let mut digest = self.0.clone();
        for piece in pieces {
            digest.update(piece);
        }
        digest
    }
}

impl fmt::Debug for Key {
    /// Leaves the key out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_hmac_sha1() {
        // RFC 2202 §3, case 2.
        let key = Key::new(b"Jefe");
        let tag = key.tag([b"what do ya want ", b"", b"for nothing?"]);
        assert_eq!(tag[..4], [0xef, 0xfc, 0xdf, 0x6a]);
        assert_eq!(tag[16..], [0x25, 0x9a, 0x7c, 0x79]);
        assert!(key.check([b"what do ya want for nothing?", b"", b""], &tag));
        assert!(!key.check([b"what do ya want for nothing!", b"", b""], &tag));
        assert!(!key.check([b"what do ya want for nothing?", b"", b""], &tag[..19]));
    }

    #[test]
    fn it_is_not_printed() {
        assert_eq!(format!("{:?}", Key::new(b"secret")), "Key");
    }
}
