//! FINGERPRINT: the CRC-32 of ITU V.42 over what stands before it (RFC 8489 §14.7).

/// What the checksum is mixed with, so that it is not another protocol's.
const MIX: u32 = 0x5354_554e;

/// Remainders of all bytes under the reflected polynomial.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = rest >> 1 ^ if rest & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
};

/// The attribute's value for a message in pieces.
pub(super) fn fingerprint(pieces: [&[u8]; 3]) -> u32 {
    let bytes = pieces.into_iter().flatten();
    let rest = bytes.fold(u32::MAX, |rest, byte| {
        TABLE[usize::from(rest as u8 ^ byte)] ^ rest >> 8
    });
    !rest ^ MIX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_polynomial_comes_out() {
        assert_eq!(fingerprint([b"123", b"", b"456789"]) ^ MIX, 0xcbf4_3926);
        assert_eq!(fingerprint([b"", b"", b""]), MIX);
    }
}
