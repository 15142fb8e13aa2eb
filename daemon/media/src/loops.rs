//! Forwarding loops: two relays, or one, that send the same packets in a circle.
//!
//! A packet is a repeat if its beginning equals that of one of the last two. A network may duplicate
//! packets, a loop does nothing else: after many repeats in a row, repeats are dropped.

use std::time::Duration;

use patchcord_contract::Time;

/// Bytes compared: RTP's fixed header and some payload.
const COMPARED: usize = 28;
/// Repeats in a row that are still forwarded.
const TOLERATED: u8 = 30;
/// A repeat that comes later than this after the one before begins a new row.
const ROW: Duration = Duration::from_secs(1);

/// What a packet's beginning tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing unusual.
    Fresh,
    /// A loop, seen for the first time in this row.
    Noticed,
    /// The loop goes on.
    Looping,
}

/// Remembers the beginnings of the last two packets as fingerprints.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoopGuard {
    recent: [u64; 2],
    /// When the last repeat came.
    last: Time,
    repeats: u8,
}

impl LoopGuard {
    /// Looks at a packet that arrived at `now`.
    #[inline]
    pub(crate) fn check(&mut self, now: Time, packet: &[u8]) -> Turn {
        let print = fingerprint(packet);
        if print != self.recent[0] && print != self.recent[1] {
            self.recent = [print, self.recent[0]];
            self.repeats = 0;
            return Turn::Fresh;
        }
        self.repeat(now)
    }

    #[cold]
    fn repeat(&mut self, now: Time) -> Turn {
        if now.since(self.last) > ROW {
            self.repeats = 0;
        }
        self.last = now;
        match self.repeats {
            0..TOLERATED => {
                self.repeats += 1;
                Turn::Fresh
            }
            TOLERATED => {
                self.repeats += 1;
                Turn::Noticed
            }
            _ => Turn::Looping,
        }
    }
}

/// Mixes the beginning of the packet and its length; each word alone decides over its own multiple of
/// an odd constant, so packets that differ in one word only never collide.
#[inline]
fn fingerprint(packet: &[u8]) -> u64 {
    let mut head = [0; 32];
    let len = packet.len().min(COMPARED);
    if len == COMPARED {
        head[..COMPARED].copy_from_slice(&packet[..COMPARED]);
    } else {
        head[..len].copy_from_slice(&packet[..len]);
    }
    let (words, _) = head.as_chunks::<8>();
    let odd = [
        0x9e37_79b9_7f4a_7c15,
        0xc2b2_ae3d_27d4_eb4f,
        0x1656_67b1_9e37_79f9,
        0x27d4_eb2f_1656_67c5,
    ];
    words
        .iter()
        .zip(odd)
        .fold(packet.len() as u64, |sum, (word, odd)| {
            sum.wrapping_add(u64::from_le_bytes(*word).wrapping_mul(odd))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(n: u8) -> [u8; 172] {
        let mut packet = [7; 172];
        packet[3] = n;
        packet
    }

    fn at(millis: u64) -> Time {
        Time::from_secs(50) + Duration::from_millis(millis)
    }

    #[test]
    fn the_thirty_first_repeat_in_a_row_is_a_loop() {
        let mut guard = LoopGuard::default();
        for n in 0..=30 {
            assert_eq!(guard.check(at(n), &packet(1)), Turn::Fresh, "{n}");
        }
        assert_eq!(guard.check(at(31), &packet(1)), Turn::Noticed);
        assert_eq!(guard.check(at(32), &packet(1)), Turn::Looping);
    }

    #[test]
    fn two_packets_in_turn_are_a_loop_too() {
        let mut guard = LoopGuard::default();
        let turns = (0..40_u64).map(|n| guard.check(at(n), &packet((n % 2) as u8)));
        assert_eq!(turns.filter(|t| *t != Turn::Fresh).count(), 40 - 2 - 30);
    }

    #[test]
    fn a_new_packet_ends_the_row() {
        let mut guard = LoopGuard::default();
        for n in 0..30 {
            guard.check(at(n), &packet(1));
        }
        guard.check(at(30), &packet(2));
        for n in 0..30 {
            assert_eq!(guard.check(at(31 + n), &packet(2)), Turn::Fresh);
        }
    }

    #[test]
    fn repeats_more_than_a_second_apart_are_no_row() {
        let mut guard = LoopGuard::default();
        for n in 0..100 {
            assert_eq!(guard.check(at(n * 1_001), &packet(1)), Turn::Fresh);
        }
    }

    #[test]
    fn a_network_that_sends_everything_twice_is_no_loop() {
        let mut guard = LoopGuard::default();
        for n in 0..200_u8 {
            for _ in 0..2 {
                assert_eq!(guard.check(at(u64::from(n) * 20), &packet(n)), Turn::Fresh);
            }
        }
    }

    #[test]
    fn packets_that_differ_in_any_compared_byte_or_length_differ() {
        let base = packet(1);
        for index in 0..COMPARED {
            let mut other = base;
            other[index] ^= 1;
            assert_ne!(fingerprint(&base), fingerprint(&other), "{index}");
        }
        for len in 0..base.len() {
            assert_ne!(fingerprint(&base), fingerprint(&base[..len]));
        }
    }
}
