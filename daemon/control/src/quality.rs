//! Quality over time: what a worker counts about an RTP stream, sampled and summed up for NG's replies.

use std::time::Duration;

use patchcord_media::mos::mos_x10;
use patchcord_media::stats::SsrcStats;
use smallvec::SmallVec;

use crate::Clock;
use crate::call::{Call, Section};

/// Most streams remembered of a section; the oldest goes.
const STREAMS: usize = 16;
/// Most entries of a progression; then every other one goes and the rest are twice as far apart.
const PROGRESSION: usize = 10;

/// The quality of what a leg sends in one section.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quality {
    streams: SmallVec<[StreamQuality; 1]>,
}

/// The quality of one RTP stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamQuality {
    ssrc: u32,
    /// Packets and losses at the last sample.
    seen: (u64, u64),
    /// Sums of the samples, to average over.
    sums: Sums,
    /// The worst sample.
    pub(crate) lowest: Sample,
    /// The best sample.
    pub(crate) highest: Sample,
    /// Samples spread over the stream's life.
    pub(crate) progression: Vec<Sample>,
    /// Samples from one entry of the progression to the next.
    stride: u32,
}

/// One look at a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Unix time, seconds.
    pub(crate) at: u64,
    /// Mean opinion score times ten.
    pub(crate) mos: u8,
    /// Round trip, µs; 0 while unknown.
    pub(crate) rtt_us: u32,
    /// Jitter, ms.
    pub(crate) jitter_ms: u32,
    /// Loss since the sample before, per cent.
    pub(crate) loss: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    samples: u32,
    mos: u64,
    rtt_us: u64,
    jitter_ms: u64,
    loss: u64,
}

impl Quality {
    /// What is known of one stream.
    pub(crate) fn of(&self, ssrc: u32) -> Option<&StreamQuality> {
        self.streams.iter().find(|stream| stream.ssrc == ssrc)
    }

    fn sample(&mut self, stats: &SsrcStats, clock: Clock, mode: Mode) {
        let ssrc = stats.ssrc.get();
        let known = self.streams.iter().position(|stream| stream.ssrc == ssrc);
        let at = known.unwrap_or_else(|| {
            if self.streams.len() == STREAMS {
                self.streams.remove(0);
            }
            self.streams.push(StreamQuality::new(ssrc));
            self.streams.len() - 1
        });
        let stream = &mut self.streams[at];
        if mode == Mode::Regular || stream.sums.samples == 0 {
            stream.sample(stats, clock);
        }
    }
}

/// Why a sample is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is time.
    Regular,
    /// Somebody asks: only streams that have none yet.
    First,
}

/// Samples every stream of a call that had packets since the last time.
pub(crate) fn sample(call: &mut Call, clock: Clock, mode: Mode) {
    for section in call.legs.iter_mut().flat_map(|leg| &mut leg.sections) {
        let Section { local, quality, .. } = section;
        let Some(local) = local else { continue };
        let transports = std::iter::once(&local.now).chain(local.next.as_deref());
        for stats in transports.flat_map(|transport| &transport.rtp.stats.ssrcs) {
            if stats.is_used() && stats.traffic.packets.get() > 0 {
                quality.get_or_insert_default().sample(stats, clock, mode);
            }
        }
    }
}

impl StreamQuality {
    fn new(ssrc: u32) -> Self {
        Self {
            ssrc,
            seen: (0, 0),
            sums: Sums::default(),
            lowest: Sample::default(),
            highest: Sample::default(),
            progression: Vec::new(),
            stride: 1,
        }
    }

    /// How many samples there are.
    pub(crate) const fn samples(&self) -> u32 {
        self.sums.samples
    }

    /// The mean of all samples.
    pub(crate) fn average(&self) -> Sample {
        let count = u64::from(self.sums.samples.max(1));
        let mean = |sum: u64| (sum + count / 2) / count;
        Sample {
            at: 0,
            mos: mean(self.sums.mos) as u8,
            rtt_us: mean(self.sums.rtt_us) as u32,
            jitter_ms: mean(self.sums.jitter_ms) as u32,
            loss: mean(self.sums.loss) as u8,
        }
    }

    /// Seconds from one entry of the progression to the next.
    pub(crate) const fn interval(&self) -> u64 {
        self.stride as u64 * crate::timeouts::LOOK.as_secs()
    }

    fn sample(&mut self, stats: &SsrcStats, clock: Clock) {
        let (packets, lost) = (stats.traffic.packets.get(), u64::from(stats.lost.get()));
        let new = packets.saturating_sub(self.seen.0);
        if new == 0 {
            return;
        }
        let missing = lost.saturating_sub(self.seen.1);
        self.seen = (packets, lost);
        let loss = missing as f64 * 100.0 / (new + missing) as f64;
        let jitter = stats.jitter().unwrap_or_default();
        let rtt = stats.rtt().unwrap_or_default();
        self.take(Sample {
            at: clock.wall_secs(),
            mos: mos_x10(loss, jitter, rtt),
            rtt_us: micros(rtt),
            jitter_ms: micros(jitter) / 1000,
            loss: loss.round() as u8,
        });
    }

    fn take(&mut self, sample: Sample) {
        let is_first = self.sums.samples == 0;
        self.sums.samples = self.sums.samples.saturating_add(1);
        self.sums.mos += u64::from(sample.mos);
        self.sums.rtt_us += u64::from(sample.rtt_us);
        self.sums.jitter_ms += u64::from(sample.jitter_ms);
        self.sums.loss += u64::from(sample.loss);
        if is_first || sample.mos < self.lowest.mos {
            self.lowest = sample;
        }
        if is_first || sample.mos > self.highest.mos {
            self.highest = sample;
        }
        if (self.sums.samples - 1).is_multiple_of(self.stride) {
            self.progression.push(sample);
        }
        if self.progression.len() > PROGRESSION {
            let mut keep = false;
            self.progression.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride = self.stride.saturating_mul(2);
        }
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(seconds: u64) -> Clock {
        Clock {
            wall_us: seconds * 1_000_000,
            ..Clock::default()
        }
    }

    fn stats(packets: u64, lost: u32) -> SsrcStats {
        let stats = SsrcStats::default();
        stats.used.set(1);
        stats.ssrc.set(7);
        stats.traffic.packets.set(packets);
        stats.lost.set(lost);
        stats
    }

    #[test]
    fn loss_is_that_of_the_interval() {
        let mut stream = StreamQuality::new(7);
        stream.sample(&stats(90, 10), clock(5));
        stream.sample(&stats(190, 10), clock(10));
        assert_eq!((stream.lowest.loss, stream.highest.loss), (10, 0));
        assert_eq!((stream.lowest.at, stream.highest.at), (5, 10));
        assert_eq!(stream.average().loss, 5);
    }

    #[test]
    fn silence_is_no_sample() {
        let mut stream = StreamQuality::new(7);
        stream.sample(&stats(10, 0), clock(5));
        stream.sample(&stats(10, 0), clock(10));
        assert_eq!(stream.samples(), 1);
    }

    #[test]
    fn the_progression_stays_short_and_spreads() {
        let mut stream = StreamQuality::new(7);
        for second in 0..1000 {
            stream.sample(&stats(second + 1, 0), clock(second));
        }
        assert!(stream.progression.len() <= PROGRESSION);
        assert_eq!(stream.progression[0].at, 0);
        let gaps: Vec<_> = stream
            .progression
            .windows(2)
            .map(|w| w[1].at - w[0].at)
            .collect();
        assert!(gaps.iter().all(|gap| *gap == gaps[0]), "{gaps:?}");
        assert_eq!(stream.interval(), gaps[0] * crate::timeouts::LOOK.as_secs());
    }
}
