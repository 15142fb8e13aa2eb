//! Mean opinion score by the simplified E-model (ITU-T G.107, reduced as monitoring tools do it).
//!
//! R = 93.2 - Id - Ie,eff: the default transmission rating, less the impairment by delay and by loss.
//! Delay is half the round trip, a jitter buffer of twice the jitter, and 10 ms for the codec. Its
//! impairment is 1/40 a millisecond, rising four times as fast above 160 ms; that of loss is 2.5 a
//! per cent. Scores are comparable between calls, not with a listening test.

use std::time::Duration;

/// R without any impairment: the model's defaults (G.107 table 2).
const R_DEFAULT: f64 = 93.2;

/// The score times ten, 10 to 44, as NG reports it.
pub fn mos_x10(loss_percent: f64, jitter: Duration, rtt: Duration) -> u8 {
    (mos(r_factor(loss_percent, jitter, rtt)) * 10.0).round() as u8
}

/// The transmission rating, at most 93.2 and down to 0.
pub fn r_factor(loss_percent: f64, jitter: Duration, rtt: Duration) -> f64 {
    let millis = |d: Duration| d.as_secs_f64() * 1_000.0;
    let delay = millis(rtt) / 2.0 + millis(jitter) * 2.0 + 10.0;
    let delay_impairment = if delay < 160.0 {
        delay / 40.0
    } else {
        (delay - 120.0) / 10.0
    };
    // Not a number (no packets expected) is no loss.
    let loss_percent = if loss_percent.is_nan() {
        0.0
    } else {
        loss_percent.clamp(0.0, 100.0)
    };
    (R_DEFAULT - delay_impairment - 2.5 * loss_percent).max(0.0)
}

/// R as a score between 1 and 4.5 (G.107 annex B).
fn mos(r: f64) -> f64 {
    let score = 1.0 + 0.035 * r + 7.0e-6 * r * (r - 60.0) * (100.0 - r);
    score.clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_perfect_call_scores_as_high_as_g711_can() {
        assert_eq!(mos_x10(0.0, ms(0), ms(0)), 44);
    }

    #[test]
    fn scores_match_the_formula_worked_by_hand() {
        // delay 50 + 40 + 10 = 100 ms, Id 2.5; loss 1 % is 2.5: R 88.2.
        assert!((r_factor(1.0, ms(20), ms(100)) - 88.2).abs() < 1e-9);
        assert_eq!(mos_x10(1.0, ms(20), ms(100)), 43);
        // delay 300 + 60 + 10 = 370 ms, Id 25; loss 5 % is 12.5: R 55.7.
        assert!((r_factor(5.0, ms(30), ms(600)) - 55.7).abs() < 1e-9);
        assert_eq!(mos_x10(5.0, ms(30), ms(600)), 29);
    }

    #[test]
    fn impairments_never_raise_the_score() {
        let mut last = u8::MAX;
        for step in 0..100_u32 {
            let score = mos_x10(
                f64::from(step),
                ms(u64::from(step) * 5),
                ms(u64::from(step) * 20),
            );
            assert!(score <= last);
            last = score;
        }
        assert_eq!(last, 10);
    }

    #[test]
    fn both_branches_of_the_delay_meet() {
        let below = r_factor(0.0, ms(0), Duration::from_micros(299_999));
        let above = r_factor(0.0, ms(0), ms(300));
        assert!((below - above).abs() < 0.001);
    }

    #[test]
    fn nonsense_is_no_panic() {
        for loss in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            assert!((10..=44).contains(&mos_x10(loss, Duration::MAX, Duration::MAX)));
        }
    }
}
