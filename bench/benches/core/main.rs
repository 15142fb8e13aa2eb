//! What the core costs without a kernel: NG, SDP, whole requests, and packets.
//!
//! One list of cases, two ways to look at them: time, by criterion (`cargo bench`), and instructions,
//! by callgrind, compared with the committed numbers (`make bench-instructions`). Time on a busy
//! machine says little; instructions of the same binary and input hardly vary.

#![forbid(unsafe_code)]

mod control;
mod instructions;
mod ng;
mod plane;

use std::process::ExitCode;

use criterion::Criterion;

/// A case: its name, and how to make what is then done over and over.
struct Case {
    name: &'static str,
    make: fn() -> Box<dyn FnMut()>,
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(ng::CASES);
    all.extend(control::CASES);
    all.extend(plane::CASES);
    all
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--instructions", what, ..] => instructions::run(what),
        ["--repeat", name, times, ..] => repeat(name, times),
        _ => time(),
    }
}

/// Does one case so many times, for callgrind to count.
fn repeat(name: &str, times: &str) -> ExitCode {
    let case = cases()
        .into_iter()
        .find(|c| c.name == name)
        .expect("a case of this name");
    let mut once = (case.make)();
    for _ in 0..times.parse::<u32>().expect("a number of times") {
        once();
    }
    ExitCode::SUCCESS
}

fn time() -> ExitCode {
    let mut criterion = Criterion::default().configure_from_args();
    for case in cases() {
        let mut once = (case.make)();
        criterion.bench_function(case.name, |bencher| bencher.iter(&mut once));
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}
