//! Streams as a bad network and a bad neighbour make them: lost, late, repeated, restarted, renamed, flipped,
//! cut, lengthened. Seeded, so that a failure can be had again.

use std::fmt;
use std::ops::AddAssign;

use patchcord_offload::{Hook, Program, Table};
use patchcord_tests::rtp;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore as _, SeedableRng as _};

use crate::frame::{Checksum, Shape, mend};
use crate::judge::Finish;
use crate::pair::{HEARD, Pair, Route, SSRC};

/// Frames of each stream.
const FRAMES: u32 = 3_000;

/// What became of the frames.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcomes {
    forwarded: u32,
    dropped: u32,
    up: u32,
    refused: u32,
}

impl Outcomes {
    /// Whether each kind came often enough to say something.
    pub(crate) fn are_many(self) -> bool {
        let Self {
            forwarded,
            dropped,
            up,
            ..
        } = self;
        [forwarded, dropped, up]
            .into_iter()
            .all(|kind| kind > FRAMES / 10)
    }
}

impl AddAssign for Outcomes {
    fn add_assign(&mut self, other: Self) {
        self.forwarded += other.forwarded;
        self.dropped += other.dropped;
        self.up += other.up;
        self.refused += other.refused;
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            forwarded,
            dropped,
            up,
            refused,
        } = self;
        write!(
            f,
            "{forwarded} forwarded, {dropped} dropped, {up} up, {refused} not run"
        )
    }
}

/// What is done to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Numbers are lost, late, repeated and begun anew.
    Numbers,
    /// Everything.
    All,
}

impl Harm {
    /// Counters in which the two relays may differ.
    const fn vague(self) -> &'static [&'static str] {
        match self {
            // A mean over the packets that each of the two has seen is not that over all of them.
            Self::Numbers => &["jitter_q4: ", "transit: "],
            // To the program a packet that went up is missing, and a repeat of it late.
            Self::All => &[
                "jitter_q4: ",
                "transit: ",
                "last_timestamp: ",
                "lost: ",
                "reordered: ",
                "duplicates: ",
            ],
        }
    }
}

/// Sends a stream of `seed` to both relays.
pub(crate) fn run(
    program: &mut Program,
    table: &mut Table,
    hook: Hook,
    (route, harm): (Route, Harm),
    seed: u64,
) -> Outcomes {
    let mut source = Source {
        random: ChaCha8Rng::seed_from_u64(seed),
        route,
        harm,
        sequence: HEARD,
        ssrc: SSRC,
        payload_type: 0,
    };
    let mut pair = Pair::new(program, table, route);
    let mut outcomes = Outcomes::default();
    for _ in 0..FRAMES {
        // As the worker does now and then: counts are taken in, and who is carried changes.
        if source.one_in(100) {
            pair.raise();
            pair.lower();
        }
        let frame = source.frame();
        match pair.send(hook, &frame) {
            Some(Ok(Finish::Forward)) => outcomes.forwarded += 1,
            Some(Ok(Finish::Drop)) => outcomes.dropped += 1,
            Some(Err(_)) => outcomes.up += 1,
            None => outcomes.refused += 1,
        }
    }
    pair.settle_but(harm.vague());
    outcomes
}

/// Who sends the stream, and what becomes of it on its way.
struct Source {
    random: ChaCha8Rng,
    route: Route,
    harm: Harm,
    sequence: u16,
    ssrc: u32,
    payload_type: u8,
}

impl Source {
    fn one_in(&mut self, chances: u32) -> bool {
        self.below(chances) == 0
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.random.next_u32() % limit
    }

    fn frame(&mut self) -> Vec<u8> {
        let payload = self.packet();
        let mut shape = Shape::new(self.route.source, self.route.local, &payload);
        if self.harm == Harm::Numbers {
            return shape.bytes();
        }
        if self.one_in(15) {
            shape.source.port ^= 1;
        }
        if self.one_in(20) {
            shape.tags.push(self.below(4096) as u16);
        }
        if self.one_in(20) {
            shape.padding = self.below(20) as usize;
        }
        if self.one_in(15) {
            shape.checksum = Checksum::None;
        }
        let link = 14 + 4 * shape.tags.len();
        let mut frame = shape.bytes();
        if self.one_in(4) {
            self.spoil(&mut frame, link);
        }
        frame
    }

    /// The next packet of the stream, or an earlier one, or of another.
    fn packet(&mut self) -> Vec<u8> {
        self.sequence = match self.below(40) {
            0 => self.sequence.wrapping_add(self.below(80) as u16),
            1 if self.one_in(10) => self.random.next_u32() as u16,
            _ => self.sequence.wrapping_add(1),
        };
        if self.harm == Harm::All && self.one_in(400) {
            self.ssrc = self.below(3);
        }
        if self.harm == Harm::All && self.one_in(400) {
            self.payload_type = [0, 8, 96][self.below(3) as usize];
        }
        let sequence = if self.one_in(10) {
            self.sequence.wrapping_sub(self.below(70) as u16)
        } else {
            self.sequence
        };
        let len = self.below(400) as usize;
        let timestamp = u32::from(sequence).wrapping_mul(160);
        let mut packet = rtp(sequence, timestamp, self.ssrc, &vec![sequence as u8; len]);
        packet[1] = self.payload_type;
        packet
    }

    /// Flips, cuts and lengthens; mostly with sums that fit, for otherwise nobody looks further.
    fn spoil(&mut self, frame: &mut Vec<u8>, link: usize) {
        for _ in 0..=self.below(3) {
            let at = 12 + self.below((frame.len() - 12).min(80) as u32) as usize;
            match self.below(4) {
                0 => frame[at] = self.random.next_u32() as u8,
                1 => frame[at] ^= 1 << self.below(8),
                2 if frame.len() > 60 => frame.truncate(14 + self.below(200) as usize),
                _ => frame.resize(frame.len() + self.below(8) as usize, 0x55),
            }
        }
        if !self.one_in(4) {
            mend(frame, link);
        }
    }
}
