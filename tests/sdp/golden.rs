//! Golden negotiations: each file under `cases/` is a call, its requests and the replies expected.
//!
//! `BLESS=1 cargo test --test golden` writes what came out into the files; read the difference.
#![forbid(unsafe_code)]

mod bodies;
mod case;
mod names;
mod play;
mod shelf;

use std::path::{Path, PathBuf};

use case::Case;
use patchcord_wire::ng::{FLAGS, Mark, Status};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdp/cases")
}

fn files() -> Vec<PathBuf> {
    let list = |dir: &Path| {
        let entries = std::fs::read_dir(dir).expect("a directory of cases");
        let mut paths: Vec<_> = entries
            .map(|entry| entry.expect("readable").path())
            .collect();
        paths.sort();
        paths
    };
    let features = list(&root());
    let files: Vec<_> = features
        .iter()
        .filter(|path| path.is_dir())
        .flat_map(|dir| list(dir))
        .collect();
    assert!(files.len() >= 90, "only {} cases found", files.len());
    files
}

#[test]
fn every_case_comes_out_as_written() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut failures = Vec::new();
    for path in files() {
        let text = std::fs::read_to_string(&path).expect("a readable case");
        let case = Case::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let played = play::play(&case);
        if bless {
            std::fs::write(&path, case.blessed(&played)).expect("a writable case");
        } else if let Err(difference) = case.compare(&played) {
            failures.push(format!("{}\n{difference}", path.display()));
        }
    }
    assert!(
        failures.is_empty(),
        "{} cases differ\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

#[test]
fn every_common_word_that_works_has_a_case() {
    let all: String = files()
        .iter()
        .map(|path| std::fs::read_to_string(path).expect("a readable case"))
        .collect::<String>()
        .to_ascii_lowercase();
    let wanted = FLAGS.iter().filter(|flag| {
        flag.status == Status::Implemented && matches!(flag.mark, Mark::A | Mark::B)
    });
    let missing: Vec<_> = wanted
        .filter(|flag| !all.contains(&format!("\"{}\"", flag.name.to_ascii_lowercase())))
        .filter(|flag| !matches!(flag.key, "sdp" | "call-id" | "from-tag" | "to-tag"))
        .map(|flag| format!("{}: {}", flag.key, flag.name))
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}
