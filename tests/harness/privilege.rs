//! Whether this machine lets us make namespaces and has the programs, and saying so where it does not.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;
use std::sync::OnceLock;

use crate::program::is_installed;

/// Whether the tests of namespaces cannot run here; says so once a test, with the test's name.
///
/// `PATCHCORD_TEST_REQUIRE=1` turns the skip into a failure, for machines that are meant to run all.
pub fn skipped() -> bool {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    REASON
        .get_or_init(refusal)
        .as_ref()
        .is_some_and(|reason| skip(reason))
}

/// Whether one of these programs is not installed; says so as [`skipped`] does.
pub fn lacks(programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs
        .iter()
        .copied()
        .filter(|program| !is_installed(program))
        .collect();
    !missing.is_empty()
        && skip(&format!(
            "{} is missing (tests/setup.sh installs it)",
            missing.join(", ")
        ))
}

/// Says that the test of this thread is skipped, on the standard error and in the file that `PATCHCORD_TEST_SKIPS`
/// names, if any: a runner may keep the output of tests that pass to itself.
///
/// # Panics
/// Where all have to run.
pub fn skip(reason: &str) -> bool {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    assert!(
        std::env::var_os("PATCHCORD_TEST_REQUIRE").is_none(),
        "cannot run {test}: {reason}"
    );
    let line = format!("SKIPPED: {test} because {reason}\n");
    // Past libtest's capture: a skip that nobody sees passes for a success.
    drop(std::io::stderr().write_all(line.as_bytes()));
    if let Some(path) = std::env::var_os("PATCHCORD_TEST_SKIPS") {
        // One write: tests beside this one write there too.
        let file = OpenOptions::new().append(true).create(true).open(path);
        drop(file.and_then(|mut file| file.write_all(line.as_bytes())));
    }
    true
}

fn refusal() -> Option<String> {
    let attempt = Command::new("unshare")
        .args(["--net", "--pid", "--fork", "ip", "link"])
        .output();
    match attempt {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!(
            "network and PID namespaces are refused (root or CAP_SYS_ADMIN is needed): {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Some(format!("unshare of util-linux does not start: {error}")),
    }
}
