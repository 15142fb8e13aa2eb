//! Runs `patchctl`.

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Runs it and gives its exit code, standard output and standard error.
pub(crate) fn patchctl(relay: &str, words: &[&str]) -> (i32, String, String) {
    patchctl_with(relay, words, b"")
}

/// The same, with something on standard input.
pub(crate) fn patchctl_with(relay: &str, words: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_patchctl"))
        .args(words)
        .env("PATCHCTL_RELAY", relay)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cargo built it");
    let mut stdin = child.stdin.take().expect("it is piped");
    // Usage errors end it before it reads.
    drop(stdin.write_all(input));
    drop(stdin);
    let output = child.wait_with_output().expect("it runs");
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let text = |bytes| String::from_utf8(bytes).expect("patchctl prints UTF-8");
    (
        status.code().expect("no signal ended it"),
        text(stdout),
        text(stderr),
    )
}
