//! Ours against libsrtp: the same bytes sealed, the same packets taken and refused, over random
//! packets with loss, reordering, duplicates, damage and rollovers.

#![expect(clippy::print_stdout, reason = "a test that is skipped has to say so")]

mod end;
mod random;
mod rollover;
mod traffic;

use std::thread;

use patchcord_libsrtp::Srtp;
use patchcord_media::srtp::{Keys, Parameters, Suite};

use random::Random;

/// Packets of each run.
const PACKETS: usize = 9_000;

/// The library; says so if it is not there.
fn library() -> Option<&'static Srtp> {
    let library = Srtp::open();
    if library.is_none() {
        println!("SKIPPED: libsrtp2 is not installed (tests/setup.sh)");
    }
    library
}

/// Keys of a suite with random parameters.
fn keys(suite: Suite, random: &mut Random, form: usize) -> Keys {
    let mut inline = [0; 46];
    random.fill(&mut inline);
    let len = suite.key_len() + suite.salt_len();
    let mut keys = Keys::from_inline(suite, &inline[..len]).expect("the suite's lengths");
    if form & 1 == 1 {
        let mut mki = [0; 4];
        random.fill(&mut mki);
        keys = keys.with_mki(&mki).expect("an MKI");
    }
    if form & 2 == 2 && !suite.is_aead() {
        let parameters = Parameters {
            encrypts_rtp: form & 4 == 4,
            encrypts_rtcp: form & 4 == 0,
            authenticates_rtp: true,
        };
        keys = keys.with_parameters(parameters).expect("authenticated");
    }
    keys
}

/// Runs the body for every suite of the library and several forms of keys, side by side.
fn for_all_keys(body: impl Fn(&'static Srtp, &Keys, &mut Random) -> usize + Sync) {
    let Some(library) = library() else { return };
    let body = &body;
    let total: usize = thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            scope.spawn(move || {
                let mut total = 0;
                for (nth, suite) in Suite::ALL.into_iter().enumerate() {
                    for form in (0..8).filter(|form| form % 2 == half) {
                        let mut random = Random::new((nth * 8 + form) as u64 + 1);
                        let keys = keys(suite, &mut random, form);
                        if library.sender(&keys).is_some() {
                            total += body(library, &keys, &mut random);
                        }
                    }
                }
                total
            })
        });
        halves
            .map(|half| half.join().expect("no difference"))
            .iter()
            .sum()
    });
    println!("{total} packets compared");
    assert!(
        total >= 500_000,
        "{total} packets are not enough to say anything"
    );
}

#[test]
fn what_we_seal_is_what_libsrtp_seals_and_it_opens() {
    for_all_keys(|library, keys, random| traffic::seal(library, keys, random, PACKETS));
}

#[test]
fn what_libsrtp_seals_we_open_and_what_it_refuses_we_refuse() {
    for_all_keys(|library, keys, random| traffic::open(library, keys, random, PACKETS));
}

#[test]
fn three_rollovers_with_loss_around_them_change_nothing() {
    let Some(library) = library() else { return };
    rollover::run(library);
}
