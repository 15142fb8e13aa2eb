//! HMACs of different lengths in sixteen lanes: a lane that has finished its message takes the next.
//!
//! A message is three runs: its whole blocks where they stand, then the rest of it with padding, then
//! the outer hash. All lanes run as far as the one that has least to do.

use crate::hmac::{BLOCK, MacJob, State, bytes, outer_block};

/// Messages side by side.
pub(crate) const LANES: usize = 16;
/// The states of all lanes, word by word.
pub(crate) type States = [[u32; LANES]; 5];
/// What each lane has to take in; of a lane that rests, what another one has.
pub(crate) type Lanes<'a> = [&'a [[u8; BLOCK]]; LANES];

struct Lane<'a> {
    job: usize,
    run: Run,
    /// The whole blocks that are left.
    whole: &'a [[u8; BLOCK]],
    /// The blocks behind them, or the block of the outer hash.
    tail: [[u8; BLOCK]; 2],
    /// Blocks of the tail, and those that are done.
    blocks: usize,
    done: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Rest,
    Whole,
    Tail,
    Outer,
}

impl Lane<'_> {
    const RESTING: Lane<'static> = Lane {
        job: 0,
        run: Run::Rest,
        whole: &[],
        tail: [[0; BLOCK]; 2],
        blocks: 0,
        done: 0,
    };

    /// What the lane has to take in next.
    #[inline]
    fn left(&self) -> &[[u8; BLOCK]] {
        match self.run {
            Run::Rest => &[],
            Run::Whole => self.whole,
            Run::Tail | Run::Outer => &self.tail[self.done..self.blocks],
        }
    }
}

/// Does all jobs with `compress`, which takes a number of blocks of every lane, and is told which lanes
/// do not rest.
#[inline]
pub(crate) fn run(
    jobs: &mut [MacJob<'_>],
    mut compress: impl FnMut(&mut States, &Lanes<'_>, u16, usize),
) {
    let mut states = [[0; LANES]; 5];
    let mut lanes = [const { Lane::RESTING }; LANES];
    let mut waiting = 0;
    let mut active = 0_u16;
    for (at, lane) in lanes.iter_mut().enumerate() {
        if begin(jobs, &mut waiting, lane, at, &mut states) {
            active |= 1 << at;
        }
    }
    while active != 0 {
        let busy = active.trailing_zeros() as usize;
        let mut input: Lanes<'_> = [lanes[busy].left(); LANES];
        let mut blocks = usize::MAX;
        for (at, lane) in lanes.iter().enumerate() {
            if active >> at & 1 == 1 {
                input[at] = lane.left();
                blocks = blocks.min(input[at].len());
            }
        }
        compress(&mut states, &input, active, blocks);
        for (at, lane) in lanes.iter_mut().enumerate() {
            if active >> at & 1 == 0 {
                continue;
            }
            match lane.run {
                Run::Whole => lane.whole = &lane.whole[blocks..],
                Run::Tail | Run::Outer | Run::Rest => lane.done += blocks,
            }
            if lane.left().is_empty() && !advance(jobs, &mut waiting, lane, at, &mut states) {
                active &= !(1 << at);
            }
        }
    }
}

/// The lane has taken in its run: what comes next? False if nothing does.
fn advance<'a>(
    jobs: &mut [MacJob<'a>],
    waiting: &mut usize,
    lane: &mut Lane<'a>,
    at: usize,
    states: &mut States,
) -> bool {
    match lane.run {
        Run::Whole => {
            lane.run = Run::Tail;
            true
        }
        Run::Tail => {
            let inner = states.each_ref().map(|row| row[at]);
            lane.tail[0] = outer_block(&inner);
            (lane.run, lane.blocks, lane.done) = (Run::Outer, 1, 0);
            set(states, at, &jobs[lane.job].key.outer);
            true
        }
        Run::Outer => {
            jobs[lane.job].digest = bytes(&states.each_ref().map(|row| row[at]));
            begin(jobs, waiting, lane, at, states)
        }
        Run::Rest => false,
    }
}

/// Takes the next job, if there is one.
fn begin<'a>(
    jobs: &[MacJob<'a>],
    waiting: &mut usize,
    lane: &mut Lane<'a>,
    at: usize,
    states: &mut States,
) -> bool {
    let Some(job) = jobs.get(*waiting) else {
        lane.run = Run::Rest;
        return false;
    };
    lane.job = *waiting;
    *waiting += 1;
    (lane.whole, _) = job.data.as_chunks::<BLOCK>();
    (lane.tail, lane.blocks) = job.tail();
    lane.done = 0;
    lane.run = if lane.whole.is_empty() {
        Run::Tail
    } else {
        Run::Whole
    };
    set(states, at, &job.key.inner);
    true
}

#[inline]
fn set(states: &mut States, at: usize, state: &State) {
    for (row, word) in states.iter_mut().zip(state) {
        row[at] = *word;
    }
}
