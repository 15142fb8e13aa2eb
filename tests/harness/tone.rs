//! Tones in G.711 µ-law, and telling which one is heard (Goertzel's filter).

use std::f64::consts::TAU;

/// Samples a second.
pub const RATE: f64 = 8000.0;
/// Samples in a packet of 20 ms.
pub const FRAME: usize = 160;
/// The part of all energy at one frequency from which a tone counts as heard.
const SHARE: f64 = 0.5;

/// A sine wave that goes on from one frame to the next.
#[derive(Clone, Debug)]
pub struct Tone {
    hertz: f64,
    sample: u64,
}

impl Tone {
    /// A tone of `hertz`.
    pub fn new(hertz: f64) -> Self {
        Self { hertz, sample: 0 }
    }

    /// The next 20 ms, as µ-law octets.
    pub fn frame(&mut self) -> Vec<u8> {
        (0..FRAME)
            .map(|_| {
                let phase = TAU * self.hertz * self.sample as f64 / RATE;
                self.sample += 1;
                encode((phase.sin() * 12_000.0) as i16)
            })
            .collect()
    }
}

/// Whether `samples` are mostly a tone of `hertz`.
pub fn is_heard(samples: &[i16], rate: f64, hertz: f64) -> bool {
    share(samples, rate, hertz) > SHARE
}

/// How much of the energy of `samples` lies at `hertz`, 0 to 1.
pub fn share(samples: &[i16], rate: f64, hertz: f64) -> f64 {
    let energy: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
    if energy == 0.0 {
        return 0.0;
    }
    let coefficient = 2.0 * (TAU * hertz / rate).cos();
    let (last, before) = samples.iter().fold((0.0, 0.0), |(last, before), &sample| {
        (f64::from(sample) + coefficient * last - before, last)
    });
    let power = last * last + before * before - coefficient * last * before;
    2.0 * power / (energy * samples.len() as f64)
}

/// µ-law of one linear sample (ITU-T G.711).
pub fn encode(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(sample).abs().min(32_635)) + BIAS;
    let exponent = 24 - magnitude.leading_zeros().min(24);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | (exponent << 4) as u8 | mantissa as u8)
}

/// The linear sample of one µ-law octet.
pub fn decode(octet: u8) -> i16 {
    let bits = !octet;
    let magnitude = ((i32::from(bits & 0x0f) << 3) + 0x84) << ((bits & 0x70) >> 4);
    let sample = magnitude - 0x84;
    (if bits & 0x80 == 0 { sample } else { -sample }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulaw_survives_its_own_round_trip() {
        for octet in 0..=255u8 {
            // 0x7f is the negative zero, which no encoder emits.
            let expected = if octet == 0x7f { 0xff } else { octet };
            assert_eq!(encode(decode(octet)), expected, "octet {octet:#x}");
        }
    }

    #[test]
    fn a_tone_is_heard_and_its_neighbour_is_not() {
        let mut tone = Tone::new(440.0);
        let heard: Vec<i16> = (0..10).flat_map(|_| tone.frame()).map(decode).collect();
        assert!(share(&heard, RATE, 440.0) > 0.98);
        assert!(share(&heard, RATE, 480.0) < 0.02);
    }

    #[test]
    fn silence_is_no_tone() {
        assert!(!is_heard(&[0; 1600], RATE, 440.0));
    }
}
