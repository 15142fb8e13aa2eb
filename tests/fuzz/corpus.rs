//! Every committed fuzz input, and neighbours of it, through the targets' bodies: no nightly needed.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use patchcord_tests::fuzz;
use patchcord_tests::world::Random;

/// Mutations of each input, besides the input itself.
const NEIGHBOURS: u64 = 200;

#[test]
fn bencode() {
    replay("bencode", fuzz::bencode);
}

#[test]
fn ng() {
    replay("ng", fuzz::ng);
}

#[test]
fn sdp() {
    replay("sdp", fuzz::sdp);
}

#[test]
fn rtp() {
    replay("rtp", fuzz::rtp);
}

#[test]
fn rtcp() {
    replay("rtcp", fuzz::rtcp);
}

#[test]
fn stun() {
    replay("stun", fuzz::stun);
}

#[test]
fn ice() {
    replay("ice", fuzz::ice);
}

#[test]
fn dtls() {
    replay("dtls", fuzz::dtls);
}

#[test]
fn plane() {
    replay("plane", fuzz::plane);
}

#[test]
fn bundle() {
    replay("bundle", fuzz::bundle);
}

#[test]
fn srtp() {
    replay("srtp", fuzz::srtp);
}

#[test]
fn calls() {
    replay("calls", fuzz::calls);
}

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "a corpus that is empty proves nothing");
    let mut random = Random::new(target.bytes().map(u64::from).sum());
    for file in files {
        let input = fs::read(&file).expect("a readable input");
        body(&input);
        for _ in 0..NEIGHBOURS {
            body(&neighbour(&input, &mut random));
        }
    }
}

/// A copy with a few bytes flipped, cut out, repeated or added.
fn neighbour(input: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        let len = (random.below(16) as usize).min(bytes.len() - at);
        match random.below(4) {
            0 if at < bytes.len() => bytes[at] = random.draw() as u8,
            1 => drop(bytes.drain(at..at + len)),
            2 => {
                let copy = bytes[at..at + len].to_vec();
                bytes.splice(at..at, copy);
            }
            _ => bytes.insert(at, random.draw() as u8),
        }
    }
    bytes
}
