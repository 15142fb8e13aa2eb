//! A G.711 µ-law tone (ITU-T G.711), and how to hear one again: Goertzel's algorithm.

use std::f64::consts::TAU;

/// Samples a second.
const RATE: usize = 8000;
/// Samples of a 20 ms frame.
pub(crate) const FRAME: usize = 160;
/// Half of full scale.
const AMPLITUDE: f64 = 16_000.0;

/// One second of a tone of a whole number of hertz, to be read in a circle.
pub(crate) struct Tone {
    samples: Vec<u8>,
}

impl Tone {
    /// A tone of `hz`; whole hertz repeat every second without a click.
    pub(crate) fn new(hz: u32) -> Self {
        let sample = |n: usize| {
            let phase = TAU * f64::from(hz) * n as f64 / RATE as f64;
            encode((AMPLITUDE * phase.sin()).round() as i16)
        };
        Self {
            samples: (0..RATE).map(sample).collect(),
        }
    }

    /// The 20 ms of packet `seq`.
    pub(crate) fn frame(&self, seq: u32) -> &[u8] {
        let start = seq as usize % (RATE / FRAME) * FRAME;
        &self.samples[start..start + FRAME]
    }
}

/// The share of the signal's power that lies at `hz`, between 0 and 1.
pub(crate) fn share(ulaw: &[u8], hz: u32) -> f64 {
    let samples: Vec<f64> = ulaw.iter().map(|b| f64::from(decode(*b))).collect();
    let total: f64 = samples.iter().map(|s| s * s).sum();
    if total == 0.0 {
        return 0.0;
    }
    let coefficient = 2.0 * (TAU * f64::from(hz) / RATE as f64).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in &samples {
        (last, before) = (sample + coefficient * last - before, last);
    }
    let power = last * last + before * before - coefficient * last * before;
    2.0 * power / (samples.len() as f64 * total)
}

fn encode(sample: i16) -> u8 {
    const BIAS: i32 = 132;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(32_635) + BIAS;
    let exponent = 24 - magnitude.leading_zeros().cast_signed();
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

fn decode(byte: u8) -> i16 {
    let bits = !byte;
    let (exponent, mantissa) = (i32::from(bits >> 4 & 7), i32::from(bits & 15));
    let magnitude = (((mantissa << 3) + 132) << exponent) - 132;
    if bits & 0x80 == 0 {
        magnitude as i16
    } else {
        -magnitude as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_code_words() {
        // ITU-T G.711 table 2: zero, the smallest step, and both ends of the scale.
        assert_eq!(
            [0, 8, -8, 32_635, -32_635].map(encode),
            [0xff, 0xfe, 0x7e, 0x80, 0x00]
        );
        assert_eq!(
            [0xff, 0xfe, 0x7e, 0x80, 0x00].map(decode),
            [0, 8, -8, 32_124, -32_124]
        );
    }

    #[test]
    fn every_code_word_survives_the_round_trip() {
        for byte in 0..=255_u8 {
            let again = encode(decode(byte));
            // There are two zeros; the negative one comes back positive.
            assert!(
                again == byte || (byte == 0x7f && again == 0xff),
                "{byte:#x}"
            );
        }
    }

    #[test]
    fn a_tone_is_heard_at_its_own_frequency_only() {
        let heard = |sent: u32, sought: u32| {
            let tone = Tone::new(sent);
            let all: Vec<u8> = (7..57).flat_map(|seq| tone.frame(seq).to_vec()).collect();
            share(&all, sought)
        };
        assert!(heard(440, 440) > 0.99);
        assert!(heard(1000, 1000) > 0.99);
        assert!(heard(440, 1000) < 0.01);
        assert!(heard(1000, 440) < 0.01);
        assert!(share(&[0xff; 800], 440) < 0.01, "silence has no tone");
    }
}
