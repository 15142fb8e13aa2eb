//! Whether this machine lets us make namespaces, and saying so where it does not.

use std::io::Write;
use std::process::Command;
use std::sync::OnceLock;

/// Why the tests of namespaces cannot run here, printed once a test; `None` where they can.
///
/// `PATCHCORD_TEST_REQUIRE=1` turns the skip into a failure, for machines that are meant to run all.
pub fn skipped(test: &str) -> Option<&'static str> {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    let reason = REASON.get_or_init(refusal).as_deref()?;
    assert!(
        std::env::var_os("PATCHCORD_TEST_REQUIRE").is_none(),
        "cannot run {test}: {reason}"
    );
    // Past libtest's capture: a skip that nobody sees passes for a success.
    drop(writeln!(
        std::io::stderr(),
        "SKIPPED: {test} because {reason}"
    ));
    Some(reason)
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
