//! `a=fingerprint`: the hash of the certificate that the peer will show (RFC 8122 §5).

use super::scan::Scan;
use super::{AttrKind, Error, ErrorKind, Field, LineKind};

/// A hash function by its name in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashName {
    /// `sha-1`
    Sha1,
    /// `sha-224`
    Sha224,
    /// `sha-256`
    Sha256,
    /// `sha-384`
    Sha384,
    /// `sha-512`
    Sha512,
}

impl HashName {
    /// All that are understood; `md5` and `md2` are not to be used (RFC 8122 §5).
    pub const ALL: [Self; 5] = [
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
    ];

    /// The name as it is written: in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Sha224 => "sha-224",
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// The function of that name, in any case.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|h| name.eq_ignore_ascii_case(h.as_str().as_bytes()))
    }

    /// How many bytes its digest has.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// An `a=fingerprint` line. The digest has the length of its hash, by construction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    hash: HashName,
    digest: [u8; 64],
}

impl Fingerprint {
    /// A fingerprint; `None` if the digest has another length than its hash.
    pub fn new(hash: HashName, digest: &[u8]) -> Option<Self> {
        let mut bytes = [0; 64];
        bytes[..hash.digest_len()]
            .copy_from_slice(Some(digest).filter(|d| d.len() == hash.digest_len())?);
        Some(Self {
            hash,
            digest: bytes,
        })
    }

    /// The hash function.
    pub const fn hash(&self) -> HashName {
        self.hash
    }

    /// The digest.
    pub fn digest(&self) -> &[u8] {
        &self.digest[..self.hash.digest_len()]
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::new();
        self.print(&mut text);
        write!(f, "Fingerprint({})", text.escape_ascii())
    }
}

impl<'b> Field<'b> for Fingerprint {
    const KIND: LineKind = LineKind::Attr(AttrKind::Fingerprint);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        let hash = HashName::from_name(scan.word()?).ok_or(scan.error(ErrorKind::BadWord))?;
        let word = scan.word()?;
        let bad = scan.error(ErrorKind::BadDigest);
        let mut digest = [0; 64];
        let mut len = 0;
        for pair in word.split(|b| *b == b':') {
            let [high, low] = pair else { return Err(bad) };
            let byte = nibble(*high)
                .zip(nibble(*low))
                .map(|(h, l)| h << 4 | l)
                .ok_or(bad)?;
            *digest.get_mut(len).ok_or(bad)? = byte;
            len += 1;
        }
        Self::new(hash, &digest[..len]).ok_or(bad)
    }

    fn print(&self, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        out.extend_from_slice(self.hash.as_str().as_bytes());
        for (i, byte) in self.digest().iter().enumerate() {
            out.push(if i == 0 { b' ' } else { b':' });
            out.push(DIGITS[usize::from(byte >> 4)]);
            out.push(DIGITS[usize::from(byte & 15)]);
        }
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{printed, refused, same, value};
    use super::*;

    const SHA1: &[u8] = b"sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";
    const UPPER: &[u8] = b"SHA-1 4a:ad:b9:b1:3f:82:18:3b:54:02:12:df:3e:5d:49:6b:19:e5:7c:ab ";

    #[test]
    fn names_and_digits_in_any_case_come_back_in_the_usual_one() {
        same::<Fingerprint>(SHA1);
        printed::<Fingerprint>(UPPER, SHA1);
        assert_eq!(value::<Fingerprint>(UPPER), value::<Fingerprint>(SHA1));
    }

    #[test]
    fn every_hash_has_its_length() {
        for hash in HashName::ALL {
            let digest = vec![0xab; hash.digest_len()];
            let print = Fingerprint::new(hash, &digest).expect("the right length");
            assert_eq!(print.digest(), digest);
            assert!(Fingerprint::new(hash, &digest[1..]).is_none());
        }
    }

    #[test]
    fn broken_digests_and_unknown_hashes_are_refused() {
        refused::<Fingerprint>(b"md5 00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff");
        refused::<Fingerprint>(b"sha-1 4A:AD");
        refused::<Fingerprint>(
            b"sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AG",
        );
        refused::<Fingerprint>(b"sha-1");
        let long = [b"sha-512 00".as_slice(), &b":00".repeat(64)].concat();
        refused::<Fingerprint>(&long);
    }
}
