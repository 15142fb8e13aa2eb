//! The shell scripts around the tests, on a machine that is cold or full.

use std::path::Path;
use std::process::{Command, Output};

use crate::Scratch;

fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the workspace is above")
}

fn bash(script: &str) -> Output {
    Command::new("bash")
        .args(["-euc", script])
        .current_dir(root())
        .env("PACKAGES_PAUSE", "0")
        .output()
        .expect("bash is there")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A command that fails `times` times and then succeeds, tried persistently.
fn fetched(times: u32) -> (Output, usize) {
    let scratch = Scratch::new();
    let tries = scratch.path().join("tries");
    let tries = tries.display();
    let output = bash(&format!(
        ". tests/packages.sh
         fetch() {{ echo >>{tries}; [ $(wc -l <{tries}) -gt {times} ]; }}
         persistently 'fetching it' fetch"
    ));
    let tried = std::fs::read_to_string(scratch.path().join("tries")).expect("it was tried");
    (output, tried.lines().count())
}

#[test]
fn what_a_mirror_fails_at_is_tried_again() {
    for times in 0..4 {
        let (output, tried) = fetched(times);
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(tried, times as usize + 1);
        assert_eq!(said(&output).lines().count(), times as usize);
    }
}

#[test]
fn a_mirror_that_stays_away_is_given_up_with_words() {
    let (output, tried) = fetched(100);
    assert!(!output.status.success());
    assert_eq!(tried, 4);
    let said = said(&output);
    assert!(
        said.ends_with("fetching it: failed four times, given up\n"),
        "{said}"
    );
}

#[test]
fn a_full_disk_is_told_before_the_first_step() {
    let scratch = Scratch::new();
    let directory = scratch.path().join("target");
    let directory = directory.display();
    let room = |gibibytes: u64| bash(&format!(".ci/room {gibibytes} {directory}"));
    assert!(room(0).status.success());
    let output = room(1 << 30);
    assert!(!output.status.success());
    let said = said(&output);
    assert!(
        said.contains(&format!("{directory}: needs 1073741824 GiB, has ")),
        "{said}"
    );
}
