//! Instructions of each case, counted by callgrind: this program runs itself under valgrind with
//! two numbers of repetitions, and the difference is what the repetitions cost.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a table"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use crate::cases;

/// How closely is looked.
struct Look {
    /// The committed counts, beside the manifest.
    file: &'static str,
    /// The shares by which a count may be below and above the committed one.
    tolerance: [f64; 2],
    /// Repetitions of the shorter and of the longer run.
    times: [u64; 2],
}

/// Of the optimised build: what is committed is what is counted.
const CLOSE: Look = Look {
    file: "instructions.txt",
    tolerance: [0.05, 0.05],
    times: [300, 1300],
};
/// Of the build that the tests use, so that nothing else has to be built: gross regressions only.
const QUICK: Look = Look {
    file: "instructions-quick.txt",
    tolerance: [f64::INFINITY, 0.25],
    times: [30, 130],
};

/// Compares with the committed counts, or writes them.
pub(crate) fn run(what: &str) -> ExitCode {
    let (look, record) = match what {
        "quick" => (QUICK, false),
        "record-quick" => (QUICK, true),
        other => (CLOSE, other == "record"),
    };
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(look.file);
    let committed = read(&fs::read_to_string(&file).unwrap_or_default());
    let [below, above] = look.tolerance;
    let (mut lines, mut failed) = (Vec::new(), false);
    println!(
        "{:<30} {:>12} {:>12} {:>8}",
        "case", "committed", "counted", "change"
    );
    for case in cases() {
        let Some(count) = count(case.name, look.times) else {
            eprintln!(
                "{}: callgrind counted nothing; is valgrind installed?",
                case.name
            );
            return ExitCode::FAILURE;
        };
        lines.push(format!("{} {count}\n", case.name));
        let known = committed.get(case.name).copied();
        let change = known.map(|known| count as f64 / known as f64 - 1.0);
        let bad = change.is_none_or(|change| change < -below || change > above);
        failed |= bad;
        println!(
            "{:<30} {:>12} {count:>12} {:>8}{}",
            case.name,
            known.map_or("none".into(), |n| n.to_string()),
            change.map_or(String::new(), |c| format!("{:+.1} %", 100.0 * c)),
            if bad && !record { "  differs" } else { "" },
        );
    }
    if record {
        fs::write(&file, lines.concat()).expect("the file beside the manifest is writable");
        println!("written to {}", file.display());
        return ExitCode::SUCCESS;
    }
    if failed {
        println!(
            "More than {:.0} % off. If that is meant, `bench/instructions.sh record` and commit; \
             another compiler than the pinned one counts differently.",
            100.0 * above
        );
    }
    ExitCode::from(u8::from(failed))
}

fn read(text: &str) -> BTreeMap<String, u64> {
    let pair = |line: &str| {
        let (name, count) = line.split_once(' ')?;
        Some((name.to_owned(), count.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// Instructions of one repetition.
fn count(case: &str, times: [u64; 2]) -> Option<u64> {
    let [short, long] = times.map(|times| collected(case, times));
    Some((long? - short?) / (times[1] - times[0]))
}

/// What callgrind collects in a whole run; it says so on standard error.
fn collected(case: &str, times: u64) -> Option<u64> {
    let out = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(["--repeat", case, &times.to_string()])
        .output()
        .ok()?;
    let told = String::from_utf8_lossy(&out.stderr);
    let line = told
        .lines()
        .find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}
