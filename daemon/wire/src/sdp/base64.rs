//! Base64 as keys are written in SDP (RFC 4568 §6.1, RFC 4648 §4): into a buffer that the caller can wipe.

/// The alphabet.
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Whether what is encoded is filled up to groups of four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// No `=`, as most write keys.
    #[default]
    Without,
    /// `=` up to a whole group.
    With,
}

/// Decodes `text`, padded or not, into `out`; returns how many bytes it has. `None` if it is not base64
/// or does not fit.
pub fn decode(text: &[u8], out: &mut [u8]) -> Option<usize> {
    let padding = text
        .iter()
        .rev()
        .take_while(|digit| **digit == b'=')
        .count();
    let digits = &text[..text.len() - padding];
    if digits.len() % 4 == 1 || padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return None;
    }
    let mut len = 0;
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for digit in group {
            bits = bits << 6 | u32::from(value(*digit)?);
        }
        bits <<= 6 * (4 - group.len());
        let bytes = group.len() * 6 / 8;
        out.get_mut(len..len + bytes)?
            .copy_from_slice(&bits.to_be_bytes()[1..=bytes]);
        len += bytes;
    }
    Some(len)
}

/// Appends `bytes` to `out`, encoded.
pub fn encode(bytes: &[u8], padding: Padding, out: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(group.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            if at <= group.len() {
                out.push(DIGITS[(bits >> (18 - 6 * at)) as usize & 63]);
            } else if padding == Padding::With {
                out.push(b'=');
            }
        }
    }
}

const fn value(digit: u8) -> Option<u8> {
    Some(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(bytes: &[u8], padding: Padding) -> Vec<u8> {
        let mut out = Vec::new();
        encode(bytes, padding, &mut out);
        out
    }

    fn decoded(text: &[u8]) -> Option<Vec<u8>> {
        let mut out = [0; 64];
        let len = decode(text, &mut out)?;
        Some(out[..len].to_vec())
    }

    #[test]
    fn the_vectors_of_the_rfc_hold() {
        for (bytes, text) in [
            (&b""[..], &b""[..]),
            (b"f", b"Zg=="),
            (b"fo", b"Zm8="),
            (b"foo", b"Zm9v"),
            (b"foob", b"Zm9vYg=="),
            (b"fooba", b"Zm9vYmE="),
            (b"foobar", b"Zm9vYmFy"),
        ] {
            assert_eq!(encoded(bytes, Padding::With), text);
            assert_eq!(decoded(text).as_deref(), Some(bytes));
        }
    }

    #[test]
    fn what_is_not_base64_or_too_long_is_refused() {
        for text in [
            &b"Z"[..],
            b"Zg=",
            b"Zg===",
            b"Z=g=",
            b"Zm9v=",
            b"Zm9vY",
            b"Zm 9",
            b"Zm9-",
            b"====",
        ] {
            assert_eq!(decoded(text), None, "{}", text.escape_ascii());
        }
        assert_eq!(decode(b"Zm9vYmFy", &mut [0; 5]), None);
    }

    proptest! {
        #[test]
        fn what_is_encoded_reads_back_padded_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            for padding in [Padding::With, Padding::Without] {
                let text = encoded(&bytes, padding);
                prop_assert_eq!(decoded(&text), Some(bytes.clone()));
                prop_assert!(padding == Padding::Without || text.len().is_multiple_of(4));
            }
        }

        #[test]
        fn any_text_is_decoded_or_refused(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Some(bytes) = decoded(&text) {
                prop_assert_eq!(bytes.len(), text.iter().filter(|b| **b != b'=').count() * 6 / 8);
            }
        }
    }
}
