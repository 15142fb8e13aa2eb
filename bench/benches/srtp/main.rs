//! SRTP: what it costs to protect and unprotect sixteen packets, each of another session, with ours and
//! with what else there is.
//!
//! One operation is a batch of sixteen packets sealed and then opened; the libraries do it one by one,
//! because that is what they offer. libsrtp and OpenSSL are those of the system, found at run time;
//! what is not installed is left out. Crates to compare
//! with need `--features rivals`.

mod evp;
mod libsrtp;
mod ours;
#[cfg(feature = "rivals")]
mod rust;

use std::process::ExitCode;

use criterion::{Criterion, Throughput};
use patchcord_media::srtp::Suite;

/// Sessions, and packets of a batch.
const BATCH: usize = 16;
/// Bytes of RTP: 20 ms of G.711, and a full video packet.
const SIZES: [usize; 2] = [172, 1_200];
/// The suites compared.
const SUITES: [Suite; 4] = [
    Suite::AesCm128Sha1_80,
    Suite::AesCm256Sha1_80,
    Suite::AeadAes128Gcm,
    Suite::AeadAes256Gcm,
];

/// Seals and opens a batch whose packets have that sequence number.
type Round = Box<dyn FnMut(u16)>;

/// The master key and salt of a session.
fn master(suite: Suite, session: usize) -> Vec<u8> {
    let len = suite.key_len() + suite.salt_len();
    (0..len).map(|n| (n * 7 + session * 13) as u8).collect()
}

/// A packet of a session.
fn packet(session: usize, sequence: u16, len: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, session as u8];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.resize(len, 0xd5);
    packet
}

fn rivals(suite: Suite, len: usize) -> Vec<(String, Round)> {
    let mut all = Vec::new();
    all.extend(ours::rounds(suite, len));
    all.extend(libsrtp::round(suite, len).map(|round| ("libsrtp2".to_owned(), round)));
    all.extend(evp::round(suite, len).map(|round| ("openssl".to_owned(), round)));
    #[cfg(feature = "rivals")]
    all.extend(rust::rounds(suite, len));
    all
}

fn main() -> ExitCode {
    let mut criterion = Criterion::default().configure_from_args();
    for suite in SUITES {
        for len in SIZES {
            let mut group = criterion.benchmark_group(format!("srtp/{suite}/{len}"));
            group.throughput(Throughput::Elements(BATCH as u64));
            for (name, mut round) in rivals(suite, len) {
                let mut sequence = 0_u16;
                group.bench_function(name, |bencher| {
                    bencher.iter(|| {
                        sequence = sequence.wrapping_add(1);
                        round(sequence);
                    });
                });
            }
            group.finish();
        }
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}
