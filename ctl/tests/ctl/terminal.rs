//! `top` on a terminal, which `script` of util-linux makes.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::relay::{Relay, line, response};

const ENTER: &str = "\x1b[?1049h";
const LEAVE: &str = "\x1b[?1049l";

/// A relay with one call.
fn relay() -> Relay {
    Relay::start(|request| {
        response(match line(request) {
            "json status" => json!({"version": "9.9.9", "calls": 1, "workers": []}).to_string(),
            _ => json!({"calls": [{"call_id": "the-call", "packets": 7}]}).to_string(),
        })
    })
}

/// `top` under `script`, and the file with its process id.
fn top(relay: &Relay, name: &str) -> (Child, PathBuf) {
    let pid = std::env::temp_dir().join(format!("patchctl-{name}-{}", std::process::id()));
    let command = format!(
        "stty rows 24 cols 120; echo $$ > {}; exec {} --relay {} top --interval 0.1",
        pid.display(),
        env!("CARGO_BIN_EXE_patchctl"),
        relay.udp
    );
    let child = Command::new("script")
        .args([
            "--quiet",
            "--flush",
            "--return",
            "--command",
            &command,
            "/dev/null",
        ])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script is part of every Debian and most others");
    (child, pid)
}

/// Reads what is drawn until it contains the text.
fn wait_for(child: &mut Child, text: &str) -> String {
    let mut drawn = String::new();
    let mut buffer = [0; 4096];
    let stdout = child.stdout.as_mut().expect("it is piped");
    while !drawn.contains(text) {
        let len = stdout.read(&mut buffer).expect("the pipe is open");
        assert!(len > 0, "it ended without {text:?}: {drawn:?}");
        drawn += &String::from_utf8_lossy(&buffer[..len]);
    }
    drawn
}

fn process_id(file: &PathBuf) -> String {
    let text = std::fs::read_to_string(file).expect("the shell wrote it");
    std::fs::remove_file(file).expect("the shell wrote it");
    text.trim().to_owned()
}

/// Whether the process has ended, or ends soon.
fn ends(pid: &str) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // An orphan may stay as a zombie where nobody collects it.
        if stat.is_empty() || stat.contains(") Z ") {
            return true;
        }
        thread::sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn q_leaves_the_terminal_as_it_was() {
    let (relay, name) = (relay(), "q");
    let (mut child, pid) = top(&relay, name);
    let drawn = wait_for(&mut child, "the-call");
    assert!(drawn.contains(ENTER) && !drawn.contains(LEAVE), "{drawn:?}");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(b"q").expect("script reads it");
    wait_for(&mut child, LEAVE);
    assert!(ends(&process_id(&pid)));
    assert!(child.wait().expect("it ran").success());
}

#[test]
fn a_signal_leaves_the_terminal_as_it_was() {
    let relay = relay();
    let (mut child, pid) = top(&relay, "signal");
    wait_for(&mut child, "the-call");
    let pid = process_id(&pid);
    let killed = Command::new("sh")
        .args(["-c", &format!("kill -TERM {pid}")])
        .status();
    assert!(killed.expect("there is a shell").success());
    wait_for(&mut child, LEAVE);
    assert!(ends(&pid));
    child.wait().expect("it ran");
}

#[test]
fn a_terminal_that_is_gone_ends_it() {
    let relay = relay();
    let (mut child, pid) = top(&relay, "gone");
    wait_for(&mut child, "the-call");
    let pid = process_id(&pid);
    child.kill().expect("it runs");
    child.wait().expect("it ran");
    assert!(ends(&pid), "process {pid} outlives its terminal");
}
