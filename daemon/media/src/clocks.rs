//! RTP clock rates (RFC 3551 §6).

use crate::flow::Clocks;

/// The rate of what is neither negotiated nor static.
const DEFAULT: u32 = 8_000;

/// The clock rate of `payload_type` in Hz: negotiated, else static, else 8000.
pub(crate) fn rate(clocks: &Clocks, payload_type: u8) -> u32 {
    let negotiated = clocks
        .iter()
        .find(|(pt, rate)| *pt == payload_type && *rate != 0);
    negotiated.map_or_else(|| static_rate(payload_type), |(_, rate)| *rate)
}

const fn static_rate(payload_type: u8) -> u32 {
    match payload_type {
        6 => 16_000,                           // DVI4
        10 | 11 => 44_100,                     // L16
        16 => 11_025,                          // DVI4
        17 => 22_050,                          // DVI4
        14 | 25 | 26 | 28 | 31..=34 => 90_000, // MPA and video
        _ => DEFAULT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negotiated_rate_wins_over_a_static_one() {
        let clocks = Clocks::from_slice(&[(96, 48_000), (0, 16_000), (8, 0)]);
        assert_eq!(rate(&clocks, 96), 48_000);
        assert_eq!(rate(&clocks, 0), 16_000);
        assert_eq!(rate(&clocks, 8), 8_000, "a rate of zero is none");
    }

    #[test]
    fn static_types_have_the_rates_of_the_profile() {
        let rates = [
            (0, 8_000),
            (9, 8_000),
            (11, 44_100),
            (31, 90_000),
            (34, 90_000),
            (127, 8_000),
        ];
        for (payload_type, expected) in rates {
            assert_eq!(
                rate(&Clocks::new(), payload_type),
                expected,
                "{payload_type}"
            );
        }
    }
}
