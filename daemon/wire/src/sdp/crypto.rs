//! `a=crypto`: SRTP keys in the description (RFC 4568 §4, §6, §9).

use super::scan::{Scan, number, split_once, words};
use super::{AttrKind, Error, ErrorKind, Field, LineKind};
use crate::digits;

/// An `a=crypto` line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Crypto<'b> {
    /// Names the line in its answer.
    pub tag: u32,
    /// The suite's name as written.
    pub suite: &'b [u8],
    /// The keys as written: `inline:…`, several between semicolons.
    pub keys: &'b [u8],
    /// The session parameters as written.
    pub parameters: &'b [u8],
}

/// One key of an `a=crypto` line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InlineKey<'b> {
    /// Master key and salt in base64, with or without padding.
    pub key_salt: &'b [u8],
    /// How many packets it may protect.
    pub lifetime: Option<Lifetime>,
    /// The master key identifier and its length in bytes.
    pub mki: Option<Mki<'b>>,
}

/// How many packets a key may protect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// `2^n`, as most write it.
    PowerOfTwo(u8),
    /// A plain number.
    Packets(u64),
}

/// A master key identifier (RFC 3711 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mki<'b> {
    /// Its value in decimal digits; it may exceed any integer.
    pub value: &'b [u8],
    /// Its length in each packet, in bytes: 1 to 128.
    pub len: u8,
}

/// A session parameter of an `a=crypto` line (RFC 4568 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionParameter<'b> {
    /// Session keys are derived anew every 2^n packets.
    Kdr(u8),
    /// RTP is not encrypted.
    UnencryptedSrtp,
    /// RTCP is not encrypted.
    UnencryptedSrtcp,
    /// RTP has no authentication tag.
    UnauthenticatedSrtp,
    /// The least window of the replay check.
    Wsh(u32),
    /// `FEC_ORDER`, `FEC_KEY` and extensions, as written. One that begins with `-` may be ignored.
    Other(&'b [u8]),
}

impl<'b> Crypto<'b> {
    /// The keys, one by one.
    pub fn inline_keys(
        &self,
    ) -> impl Iterator<Item = Result<InlineKey<'b>, Error>> + Clone + use<'b> {
        self.keys.split(|b| *b == b';').map(InlineKey::parse)
    }

    /// The session parameters, one by one.
    pub fn session_parameters(
        &self,
    ) -> impl Iterator<Item = SessionParameter<'b>> + Clone + use<'b> {
        words(self.parameters).map(SessionParameter::of)
    }
}

impl std::fmt::Debug for Crypto<'_> {
    /// Leaves the keys out: they belong in no log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Crypto({} {})", self.tag, self.suite.escape_ascii())
    }
}

impl<'b> Field<'b> for Crypto<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::Crypto);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        Ok(Self {
            tag: scan.number()?,
            suite: scan.word()?,
            keys: scan.word()?,
            parameters: scan.trimmed_rest(),
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        digits::push(u64::from(self.tag), out);
        for part in [self.suite, self.keys, self.parameters] {
            if !part.is_empty() {
                out.push(b' ');
                out.extend_from_slice(part);
            }
        }
    }
}

impl<'b> InlineKey<'b> {
    fn parse(text: &'b [u8]) -> Result<Self, Error> {
        let rest = text
            .strip_prefix(b"inline:")
            .ok_or(Error::new(ErrorKind::BadWord, 0))?;
        let (key_salt, rest) = split_once(rest, b'|');
        if key_salt.is_empty() {
            return Err(Error::new(ErrorKind::Missing, 7));
        }
        let mut key = Self {
            key_salt,
            lifetime: None,
            mki: None,
        };
        for part in rest.into_iter().flat_map(|r| r.split(|b| *b == b'|')) {
            if part.contains(&b':') {
                key.mki = Some(Mki::parse(part)?);
            } else {
                key.lifetime = Some(Lifetime::parse(part)?);
            }
        }
        Ok(key)
    }
}

impl std::fmt::Debug for InlineKey<'_> {
    /// Leaves the key out: it belongs in no log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InlineKey({:?}, {:?})", self.lifetime, self.mki)
    }
}

impl Lifetime {
    fn parse(text: &[u8]) -> Result<Self, Error> {
        let parsed = match text.strip_prefix(b"2^") {
            Some(power) => number(power).filter(|n| *n <= 48).map(Self::PowerOfTwo),
            None => number(text).map(Self::Packets),
        };
        parsed.ok_or(Error::new(ErrorKind::BadNumber, 0))
    }

    /// In packets.
    pub const fn packets(self) -> u64 {
        match self {
            Self::PowerOfTwo(n) if n < 64 => 1 << n,
            Self::PowerOfTwo(_) => u64::MAX,
            Self::Packets(n) => n,
        }
    }
}

impl<'b> Mki<'b> {
    fn parse(text: &'b [u8]) -> Result<Self, Error> {
        let bad = Error::new(ErrorKind::BadNumber, 0);
        let (value, len) = split_once(text, b':');
        if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
            return Err(bad);
        }
        let len = len
            .and_then(number)
            .filter(|n| (1..=128).contains(n))
            .ok_or(bad)?;
        Ok(Self { value, len })
    }

    /// The identifier as packets carry it, the highest byte first; `None` if it needs more than its
    /// length.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0_u8; usize::from(self.len)];
        let digits = self.value.iter().skip_while(|digit| **digit == b'0');
        for digit in digits {
            let mut carry = u16::from(digit - b'0');
            for byte in bytes.iter_mut().rev() {
                carry += u16::from(*byte) * 10;
                *byte = carry as u8;
                carry >>= 8;
            }
            if carry != 0 {
                return None;
            }
        }
        Some(bytes)
    }

    /// Appends the identifier `bytes` as a line writes it: its value in decimal digits and its length.
    pub fn print(bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes.to_vec();
        let start = out.len();
        loop {
            let mut remainder = 0;
            for byte in &mut rest {
                let part = remainder << 8 | u16::from(*byte);
                *byte = (part / 10) as u8;
                remainder = part % 10;
            }
            out.push(b'0' + remainder as u8);
            if rest.iter().all(|byte| *byte == 0) {
                break;
            }
        }
        out[start..].reverse();
        out.push(b':');
        digits::push(bytes.len() as u64, out);
    }
}

impl<'b> SessionParameter<'b> {
    fn of(word: &'b [u8]) -> Self {
        let (name, value) = split_once(word, b'=');
        let parsed = match (name, value) {
            (b"UNENCRYPTED_SRTP", None) => Some(Self::UnencryptedSrtp),
            (b"UNENCRYPTED_SRTCP", None) => Some(Self::UnencryptedSrtcp),
            (b"UNAUTHENTICATED_SRTP", None) => Some(Self::UnauthenticatedSrtp),
            (b"KDR", Some(n)) => number(n).filter(|n| *n <= 24).map(Self::Kdr),
            (b"WSH", Some(n)) => number(n).map(Self::Wsh),
            _ => None,
        };
        parsed.unwrap_or(Self::Other(word))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same, value};
    use super::*;

    const FULL: &[u8] = b"1 AES_CM_128_HMAC_SHA1_80 \
inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32;inline:bGV0IG1lIGluIHBsZWFzZQ== KDR=4 UNENCRYPTED_SRTCP WSH=128 -X";

    #[test]
    fn lines_come_back_as_written() {
        same::<Crypto<'_>>(FULL);
        same::<Crypto<'_>>(b"2 AEAD_AES_256_GCM inline:abc=");
    }

    #[test]
    fn keys_have_lifetime_and_mki_in_either_order_or_neither() {
        let keys: Vec<_> = value::<Crypto<'_>>(FULL)
            .inline_keys()
            .map(|k| k.expect("well-formed"))
            .collect();
        assert_eq!(keys[0].lifetime.map(Lifetime::packets), Some(1 << 20));
        assert_eq!(
            keys[0].mki,
            Some(Mki {
                value: b"1",
                len: 32
            })
        );
        assert_eq!(keys[1].key_salt, b"bGV0IG1lIGluIHBsZWFzZQ==");
        assert_eq!((keys[1].lifetime, keys[1].mki), (None, None));
        let only_mki = InlineKey::parse(b"inline:abc|1:4").expect("lifetime may be left out");
        assert_eq!(
            only_mki.mki,
            Some(Mki {
                value: b"1",
                len: 4
            })
        );
    }

    #[test]
    fn parameters_are_read_and_unknown_ones_kept() {
        let parameters: Vec<_> = value::<Crypto<'_>>(FULL).session_parameters().collect();
        assert_eq!(
            parameters,
            [
                SessionParameter::Kdr(4),
                SessionParameter::UnencryptedSrtcp,
                SessionParameter::Wsh(128),
                SessionParameter::Other(b"-X"),
            ]
        );
    }

    #[test]
    fn broken_lines_and_keys_are_refused() {
        refused::<Crypto<'_>>(b"x AES_CM_128_HMAC_SHA1_80 inline:abc");
        refused::<Crypto<'_>>(b"1 AES_CM_128_HMAC_SHA1_80");
        for bad in [
            &b"abc"[..],
            b"inline:",
            b"inline:a|2^49",
            b"inline:a|1:129",
            b"inline:a|:4",
            b"inline:a|x",
        ] {
            assert!(InlineKey::parse(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn identifiers_of_any_length_read_back() {
        let longest = "9".repeat(300);
        for (value, len, bytes) in [
            ("1", 4, Some(vec![0, 0, 0, 1])),
            ("0", 1, Some(vec![0])),
            ("000256", 2, Some(vec![1, 0])),
            (
                "18446744073709551616",
                9,
                Some(vec![1, 0, 0, 0, 0, 0, 0, 0, 0]),
            ),
            ("256", 1, None),
            (&longest, 124, None),
        ] {
            let mki = Mki {
                value: value.as_bytes(),
                len,
            };
            assert_eq!(mki.bytes(), bytes, "{value}");
            if let Some(bytes) = bytes {
                let mut printed = Vec::new();
                Mki::print(&bytes, &mut printed);
                let shown = value.trim_start_matches('0');
                let shown = if shown.is_empty() { "0" } else { shown };
                assert_eq!(printed, format!("{shown}:{len}").into_bytes());
            }
        }
        assert!(
            Mki {
                value: longest.as_bytes(),
                len: 125
            }
            .bytes()
            .is_some()
        );
    }

    #[test]
    fn keys_stay_out_of_debug_output() {
        let crypto: Crypto<'_> = value(FULL);
        let shown = format!("{crypto:?} {:?}", crypto.inline_keys().collect::<Vec<_>>());
        assert!(!shown.contains("d0Rm") && !shown.contains("bGV0"));
    }
}
