//! The Internet checksum, whole (RFC 1071) and incremental (RFC 1624).

/// A ones' complement sum in progress (RFC 1071 §1).
///
/// ```
/// use patchcord_contract::checksum::Sum;
/// let header = [0x45, 0x00, 0x00, 0x1c, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
/// let checksum = Sum::default().bytes(&header).checksum();
/// assert_eq!(checksum, 0xf6cd);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Sum(u64);

impl Sum {
    /// Adds `bytes`; a chunk of odd length must be the last one.
    #[inline]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<2>();
        let sum = words
            .iter()
            .fold(self.0, |sum, word| sum + u16::from_be_bytes(*word) as u64);
        match rest {
            [last] => Self(sum + ((*last as u64) << 8)),
            [..] => Self(sum),
        }
    }

    /// Adds a 16-bit word, host byte order.
    #[inline]
    pub const fn word(self, word: u16) -> Self {
        Self(self.0 + word as u64)
    }

    /// The checksum of what was added.
    #[inline]
    pub const fn checksum(self) -> u16 {
        !fold(self.0)
    }

    /// The checksum as UDP carries it, where zero means "none" and is sent as all ones (RFC 768).
    #[inline]
    pub const fn udp_checksum(self) -> u16 {
        udp(self.checksum())
    }
}

/// A checksum being adapted to changes of what it covers (RFC 1624 §3, equation 3).
///
/// Changes chain in any order. A UDP checksum of zero covers nothing and must not be updated.
///
/// ```
/// use patchcord_contract::checksum::{Sum, Update};
/// let before = Sum::default().bytes(&[1, 2, 3, 4, 5, 6]).checksum();
/// let after = Update::of(before).replace(&[3, 4], &[9, 9]).checksum();
/// assert_eq!(after, Sum::default().bytes(&[1, 2, 9, 9, 5, 6]).checksum());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Update(u64);

impl Update {
    /// Starts from a checksum as it stands in the packet.
    #[inline]
    pub const fn of(checksum: u16) -> Self {
        Self(!checksum as u64)
    }

    /// Starts from nothing: what is added is a change to be applied later, with [`Self::add`].
    #[inline]
    pub const fn nothing() -> Self {
        Self(0)
    }

    /// A change prepared earlier, as [`Self::sum`] gave it.
    #[inline]
    pub const fn add(self, change: u16) -> Self {
        Self(self.0 + change as u64)
    }

    /// The changes so far as one word.
    #[inline]
    pub const fn sum(self) -> u16 {
        fold(self.0)
    }

    /// A 16-bit word changed, host byte order.
    #[inline]
    pub const fn word(self, old: u16, new: u16) -> Self {
        Self(self.0 + !old as u64 + new as u64)
    }

    /// Bytes at an even offset changed. The two may differ in length (an IPv4 address in a pseudo
    /// header becomes an IPv6 one); both must be whole words.
    #[inline]
    pub fn replace(self, old: &[u8], new: &[u8]) -> Self {
        debug_assert!(
            old.len().is_multiple_of(2) && new.len().is_multiple_of(2),
            "whole words"
        );
        let (old, _) = old.as_chunks::<2>();
        let (new, _) = new.as_chunks::<2>();
        let sum = old
            .iter()
            .fold(self.0, |sum, word| sum + !u16::from_be_bytes(*word) as u64);
        Self(
            new.iter()
                .fold(sum, |sum, word| sum + u16::from_be_bytes(*word) as u64),
        )
    }

    /// The new checksum.
    #[inline]
    pub const fn checksum(self) -> u16 {
        !fold(self.0)
    }

    /// The new checksum as UDP carries it, where zero is sent as all ones (RFC 768).
    #[inline]
    pub const fn udp_checksum(self) -> u16 {
        udp(self.checksum())
    }
}

/// Carries wrapped around until 16 bits are left: four halvings cover any 64-bit sum.
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

const fn udp(checksum: u16) -> u16 {
    if checksum == 0 { 0xffff } else { checksum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_example_of_rfc_1071() {
        let sum = Sum::default().bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum.checksum(), !0xddf2);
    }

    #[test]
    fn matches_the_example_of_rfc_1624() {
        assert_eq!(Update::of(0xdd2f).word(0x5555, 0x3285).checksum(), 0x0000);
    }

    #[test]
    fn a_packet_with_its_checksum_inside_sums_to_zero() {
        let mut packet = [0x12, 0x34, 0, 0, 0xff, 0xff, 0xab, 0xcd, 0x80];
        let checksum = Sum::default().bytes(&packet).checksum();
        packet[2..4].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(Sum::default().bytes(&packet).checksum(), 0);
    }

    #[test]
    fn an_odd_last_byte_is_padded_with_zero() {
        assert_eq!(
            Sum::default().bytes(&[1, 2, 3]),
            Sum::default().bytes(&[1, 2, 3, 0])
        );
    }

    #[test]
    fn chunks_and_words_sum_like_the_whole() {
        let whole = Sum::default().bytes(&[1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(
            Sum::default().bytes(&[1, 2]).word(0x0304).bytes(&[5, 6, 7]),
            whole
        );
    }

    #[test]
    fn the_longest_datagram_of_ones_does_not_overflow() {
        let sum = (0..16_384).fold(Sum::default(), |sum, _| sum.bytes(&[0xff; 4]));
        assert_eq!(sum.bytes(&[0xff]).checksum(), 0x00ff);
    }

    #[test]
    fn an_update_agrees_with_a_new_sum_for_any_change() {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as u16
        };
        for _ in 0..10_000 {
            // The first word stays and is not zero: a sum of nothing but zeros has two checksums.
            let before = [1, next(), next(), next()];
            let after = [1, next(), next(), next()];
            let sum = |words: [u16; 4]| words.iter().fold(Sum::default(), |s, w| s.word(*w));
            let update = (1..4).fold(Update::of(sum(before).checksum()), |u, i| {
                u.word(before[i], after[i])
            });
            assert_eq!(
                update.checksum(),
                sum(after).checksum(),
                "{before:x?} -> {after:x?}"
            );
        }
    }

    #[test]
    fn an_address_may_change_family_in_the_pseudo_header() {
        let v6 = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        let before = Sum::default()
            .bytes(&[192, 0, 2, 1])
            .bytes(b"payload.")
            .checksum();
        let after = Update::of(before).replace(&[192, 0, 2, 1], &v6).checksum();
        assert_eq!(
            after,
            Sum::default().bytes(&v6).bytes(b"payload.").checksum()
        );
    }

    #[test]
    fn udp_never_carries_zero() {
        assert_eq!(Sum::default().word(0xffff).checksum(), 0);
        assert_eq!(Sum::default().word(0xffff).udp_checksum(), 0xffff);
        assert_eq!(
            Update::of(0xdd2f).word(0x5555, 0x3285).udp_checksum(),
            0xffff
        );
    }
}
