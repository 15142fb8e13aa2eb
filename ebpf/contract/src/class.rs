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

/// Tells what `packet` is, reading at most its first eight bytes.
pub fn classify(packet: &[u8]) -> Class {
    match packet {
        [] => Class::Empty,
        [128..=191, 192..=223, ..] if packet.len() >= 8 => Class::Rtcp,
        [128..=191, second, ..] if packet.len() >= 12 && !matches!(second, 192..=223) => Class::Rtp,
        [128..=191, ..] => Class::Short,
        [0..=3, _, _, _, 0x21, 0x12, 0xa4, 0x42, ..] if packet.len() >= 20 => Class::Stun,
        [20..=63, ..] => Class::Dtls,
        [16..=19, _, _, _, b'Z', b'R', b'T', b'P', ..] => Class::Zrtp,
        [..] => Class::Other,
    }
}
