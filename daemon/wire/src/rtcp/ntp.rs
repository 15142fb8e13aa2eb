//! NTP timestamps and the round-trip time that RTCP finds with them (RFC 3550 §4, §6.4.1).

use std::time::Duration;

/// Seconds from the NTP epoch, 1900, to the Unix epoch, 1970.
const UNIX_EPOCH: u64 = 2_208_988_800;

/// An NTP timestamp: seconds since 1900 in the high 32 bits, their fraction in the low ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ntp(pub u64);

impl Ntp {
    /// The timestamp of a wall clock, given as time since 1970. Wraps in 2036, as all of them do.
    pub const fn from_unix(since_1970: Duration) -> Self {
        let seconds = since_1970.as_secs().wrapping_add(UNIX_EPOCH) & 0xffff_ffff;
        let fraction = ((since_1970.subsec_nanos() as u64) << 32) / 1_000_000_000;
        Self(seconds << 32 | fraction)
    }

    /// The middle 32 bits, as report blocks carry them: 65536ths of a second.
    pub const fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// The round-trip time, from the middle bits of the time of arrival and a block's `last_sr` and
/// `delay_since_last_sr`. `None` without a sender report to measure from, and where clocks that were
/// set make it negative.
pub fn round_trip(arrival: u32, last_sr: u32, delay_since_last_sr: u32) -> Option<Duration> {
    if last_sr == 0 {
        return None;
    }
    let ticks = arrival
        .wrapping_sub(last_sr)
        .wrapping_sub(delay_since_last_sr);
    // Half the range is nine hours: what lies beyond is a small negative number.
    if ticks >= 1 << 31 {
        return None;
    }
    Some(Duration::from_nanos(
        u64::from(ticks) * 1_000_000_000 / 65_536,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unix_epoch_is_1970() {
        let ntp = Ntp::from_unix(Duration::from_millis(500));
        assert_eq!(ntp, Ntp(UNIX_EPOCH << 32 | 1 << 31));
        assert_eq!(ntp.middle(), ((UNIX_EPOCH & 0xffff) << 16) as u32 | 0x8000);
    }

    #[test]
    fn the_example_of_the_rfc_gives_its_round_trip() {
        // RFC 3550 §6.4.1, figure 2: 6.125 s.
        let trip = round_trip(0xb710_8000, 0xb705_2000, 0x0005_4000).expect("a sender report");
        assert_eq!(trip, Duration::from_millis(6125));
    }

    #[test]
    fn no_report_and_clocks_that_ran_back_give_none() {
        assert_eq!(round_trip(5, 0, 0), None);
        assert_eq!(round_trip(100, 90, 11), None);
        assert_eq!(round_trip(2, 0xffff_fffe, 4), Some(Duration::ZERO));
    }
}
