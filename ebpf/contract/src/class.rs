//! What a datagram is, by its first bytes (RFC 7983, RFC 5761 §4).

/// The protocol a datagram belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// RTP or SRTP: first byte 128..=191, not RTCP, at least the fixed header of 12 bytes.
    Rtp,
    /// RTCP or SRTCP: first byte 128..=191, second 192..=223, at least 8 bytes.
    Rtcp,
    /// STUN: first byte 0..=3 and the magic cookie of RFC 8489.
    Stun,
    /// DTLS: first byte 20..=63.
    Dtls,
    /// ZRTP: first byte 16..=19 and the magic cookie `ZRTP` (RFC 6189 §5).
    Zrtp,
    /// No bytes at all.
    Empty,
    /// RTP's version bits but shorter than the header they announce.
    Short,
    /// Anything else; a plain UDPTL or unknown flow carries these untouched.
    Other,
}

/// Whether first bytes of RTP's version are RTP's, not RTCP's (RFC 5761 §4); how long the packet has to be
/// is [`RTP_HEADER`].
#[inline]
pub const fn is_rtp(first: u8, second: u8) -> bool {
    matches!(first, 128..=191) && !matches!(second, 192..=223)
}

/// Bytes of RTP's fixed header.
pub const RTP_HEADER: usize = 12;

/// Tells what `packet` is, reading at most its first eight bytes.
pub fn classify(packet: &[u8]) -> Class {
    match packet {
        [] => Class::Empty,
        [128..=191, 192..=223, ..] if packet.len() >= 8 => Class::Rtcp,
        [first, second, ..] if packet.len() >= RTP_HEADER && is_rtp(*first, *second) => Class::Rtp,
        [128..=191, ..] => Class::Short,
        [0..=3, _, _, _, 0x21, 0x12, 0xa4, 0x42, ..] if packet.len() >= 20 => Class::Stun,
        [20..=63, ..] => Class::Dtls,
        [16..=19, _, _, _, b'Z', b'R', b'T', b'P', ..] => Class::Zrtp,
        [..] => Class::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUN: [u8; 20] = [
        0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];

    /// A packet of 20 bytes with these first two.
    fn starting(first: u8, second: u8) -> [u8; 20] {
        let mut packet = [0; 20];
        packet[..2].copy_from_slice(&[first, second]);
        packet
    }

    #[test]
    fn first_byte_tells_the_protocol() {
        for first in 0..=255 {
            let expected = match first {
                20..=63 => Class::Dtls,
                128..=191 => Class::Rtp,
                0..=19 | 64..=127 | 192..=255 => Class::Other,
            };
            assert_eq!(classify(&starting(first, 0)), expected, "{first}");
        }
    }

    #[test]
    fn second_byte_tells_rtcp_from_rtp() {
        for second in 0..=255 {
            let expected = if (192..=223).contains(&second) {
                Class::Rtcp
            } else {
                Class::Rtp
            };
            assert_eq!(classify(&starting(0x80, second)), expected, "{second}");
        }
    }

    #[test]
    fn a_marked_dynamic_payload_type_is_rtp() {
        assert_eq!(classify(&starting(0x80, 0x80 | 0x60)), Class::Rtp);
        assert_eq!(classify(&starting(0x90, 0x80 | 0x7f)), Class::Rtp);
    }

    #[test]
    fn stun_needs_its_cookie_and_its_header() {
        assert_eq!(classify(&STUN), Class::Stun);
        assert_eq!(classify(&STUN[..19]), Class::Other);
        assert_eq!(classify(&starting(0, 1)), Class::Other);
    }

    #[test]
    fn zrtp_needs_its_cookie() {
        let hello = [0x10, 0, 0, 1, b'Z', b'R', b'T', b'P', 0, 0, 0, 9];
        assert_eq!(classify(&hello), Class::Zrtp);
        assert_eq!(
            classify(&[0x10, 0, 0, 1, b'Z', b'R', b'T', b'Q', 0, 0, 0, 9]),
            Class::Other
        );
    }

    #[test]
    fn headers_cut_short_are_short() {
        assert_eq!(classify(&[]), Class::Empty);
        assert_eq!(classify(&[0x80]), Class::Short);
        assert_eq!(classify(&starting(0x80, 0)[..11]), Class::Short);
        assert_eq!(classify(&starting(0x80, 0)[..12]), Class::Rtp);
        assert_eq!(classify(&starting(0x80, 200)[..7]), Class::Short);
        assert_eq!(classify(&starting(0x80, 200)[..8]), Class::Rtcp);
    }
}
