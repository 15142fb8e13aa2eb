//! One packet, one outcome: what the kernel program finishes, it finishes as a worker does, and what it declines,
//! it declines for a reason that is written down.
//!
//! The program runs by `BPF_PROG_TEST_RUN`, on frames that no network would carry as well. Reading order: `frame`
//! (what is sent), `judge` (what has to become of it), `pair` (what does), `corpus` and `mutation` (which frames).
#![forbid(unsafe_code)]

mod corpus;
mod frame;
mod judge;
mod mutation;
mod pair;
mod place;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use patchcord_offload::{Hook, Program};

use crate::corpus::{detours, frames, next, payloads, plain, routes, shaped};
use crate::frame::Shape;
use crate::judge::{Finish, Why};
use crate::mutation::Harm;
use crate::pair::Pair;
use crate::place::{tell, with_program};

/// One for the program at XDP's hooks, which is the same at both, and one for that at tc.
const HOOKS: [Hook; 2] = [Hook::Native, Hook::Tc];

#[test]
fn every_frame_of_the_corpus_ends_as_at_the_worker() {
    with_program(1, |mut program| {
        for hook in HOOKS {
            every_frame(&mut program, hook);
        }
    });
}

fn every_frame(program: &mut Program, hook: Hook) {
    let mut table = program.tables(1).expect("mapped").remove(0);
    let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
    let mut seen: Vec<Why> = Vec::new();
    let ordinary = routes()
        .into_iter()
        .map(|route| (route, frames(&route), false));
    let begun = routes()
        .into_iter()
        .map(|route| (route, payloads(&route), true));
    let elsewhere = detours()
        .into_iter()
        .map(|route| (route, shaped(&route), false));
    for (route, frames, is_lax) in ordinary.chain(begun).chain(elsewhere) {
        for (name, frame) in frames {
            let mut pair = Pair::new(program, &mut table, route);
            if is_lax {
                pair = pair.lax();
            }
            let outcome = pair.send(hook, &frame);
            pair.settle();
            seen.extend(outcome.and_then(Result::err));
            let told = match outcome {
                None => "refused".to_owned(),
                Some(Ok(finish)) => format!("{finish:?}"),
                Some(Err(why)) => format!("up: {why:?}"),
            };
            if name == "plain" && place::hop(route.to).is_some() {
                assert_eq!(outcome, Some(Ok(Finish::Forward)), "{route:?}");
            }
            *outcomes.entry(told).or_default() += 1;
        }
    }
    tell(&format!("{hook}: {outcomes:?}"));
    for why in Why::all(hook) {
        assert!(seen.contains(&why), "no frame goes up for {why:?}");
    }
}

#[test]
fn what_was_finished_below_is_a_repeat_above() {
    with_program(1, |mut program| {
        for hook in HOOKS {
            let mut table = program.tables(1).expect("mapped").remove(0);
            for route in routes() {
                let mut pair = Pair::new(&mut program, &mut table, route);
                let again = plain(&route).bytes();
                let late = Shape::new(route.source, route.local, &next(0, 160)).bytes();
                let outcomes = [&again, &again, &late].map(|frame| pair.send(hook, frame));
                let due = [
                    Ok(Finish::Forward),
                    Err(Why::OutOfStep),
                    Err(Why::OutOfStep),
                ];
                assert_eq!(outcomes, due.map(Some));
                pair.settle();
            }
        }
    });
}

#[test]
fn mutated_streams_leave_and_are_counted_alike() {
    with_program(1, |mut program| {
        for hook in HOOKS {
            let mut outcomes = mutation::Outcomes::default();
            let mut table = program.tables(1).expect("mapped").remove(0);
            for (seed, route) in (0..).zip(routes()) {
                for harm in [Harm::Numbers, Harm::All] {
                    let stream = (route, harm);
                    outcomes += mutation::run(&mut program, &mut table, hook, stream, seed);
                }
            }
            tell(&format!("{hook}: {outcomes}"));
            assert!(outcomes.are_many(), "too few of some kind: {outcomes}");
        }
    });
}

/// As many fresh streams as fit into `SECONDS_EACH`, as `tests/fuzz/run.sh` asks for.
#[test]
#[ignore = "takes as long as it is told"]
fn fresh_streams_leave_and_are_counted_alike() {
    let seconds = std::env::var("SECONDS_EACH").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(60);
    with_program(1, move |mut program| {
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut table = program.tables(1).expect("mapped").remove(0);
        let first = RandomState::new().build_hasher().finish();
        let mut outcomes = mutation::Outcomes::default();
        for (seed, route) in (first..).zip(routes().into_iter().cycle()) {
            if Instant::now() > until {
                break;
            }
            tell(&format!("seed {seed}: {route:?}"));
            for (hook, harm) in HOOKS
                .map(|hook| [(hook, Harm::Numbers), (hook, Harm::All)])
                .concat()
            {
                outcomes += mutation::run(&mut program, &mut table, hook, (route, harm), seed);
            }
        }
        tell(&format!("{outcomes}"));
    });
}

#[test]
fn the_verifier_has_little_to_do() {
    with_program(1, |mut program| {
        for (name, info, most) in [
            ("xdp", program.xdp().expect("loads").info(), 18_000),
            ("tc", program.tc().expect("loads").info(), 14_000),
        ] {
            let info = info.expect("the kernel tells");
            let verified = info.verified_instruction_count().expect("since 5.16");
            let translated = info.size_translated().expect("told to who loaded it");
            let jited = info.size_jitted();
            tell(&format!(
                "{name}: {verified} instructions verified, {translated} bytes translated, {jited} jited"
            ));
            // A quarter more than there were; the kernel's own limit is a million.
            assert!(verified < most, "{name}: {verified} instructions verified");
            assert!(translated < 14_000, "{name}: {translated} bytes");
        }
    });
}
