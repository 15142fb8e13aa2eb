//! A program in a namespace, with its log kept and shown when the test fails.
//!
//! It runs as the first process of a PID namespace: killing it kills whatever it forked.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Netns, until, wait_for};

/// Lines of its log that a failing test shows.
const SHOWN: usize = 60;
/// How long a program may take to end once asked.
const ENDING: Duration = Duration::from_secs(15);

/// A running program.
pub struct Program {
    name: String,
    child: Child,
    inner: Pid,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Program {
    /// Starts `command` (a program and its arguments) in `netns`, its output going to `log`.
    pub fn start(netns: &Netns, name: &str, command: &[String], log: &Path) -> Self {
        Self::start_in(netns, name, command, log, Path::new("/"))
    }

    /// Starts `command` with `directory` as its working directory.
    pub fn start_in(
        netns: &Netns,
        name: &str,
        command: &[String],
        log: &Path,
        directory: &Path,
    ) -> Self {
        let tool = &command[0];
        assert!(
            is_installed(tool),
            "{tool} is missing: tests/setup.sh installs what is needed"
        );
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("a writable log");
        let errors = file.try_clone().expect("a descriptor to spare");
        let (words, directory) = (command.to_vec(), directory.to_owned());
        // What steers the tests would be taken for configuration.
        let ours = std::env::vars_os().map(|(name, _)| name);
        let ours: Vec<_> = ours
            .filter(|name| name.to_string_lossy().starts_with("PATCHCORD_"))
            .collect();
        let child = netns.run(move || {
            let mut command = Command::new("setpriv");
            for name in ours {
                command.env_remove(name);
            }
            command
                .args([
                    "--pdeathsig",
                    "KILL",
                    "unshare",
                    "--pid",
                    "--fork",
                    "--kill-child=KILL",
                ])
                .arg("--")
                .args(words)
                .current_dir(directory)
                .stdin(Stdio::null())
                .stdout(file)
                .stderr(errors)
                .spawn()
                .expect("setpriv of util-linux is installed")
        });
        let mut program = Self {
            name: name.to_owned(),
            inner: Pid::from_raw(child.id().cast_signed()),
            child,
            log: log.to_owned(),
            ended: None,
        };
        program.inner = program.find_inner();
        program
    }

    /// The process id of the program itself, as seen from outside.
    pub fn pid(&self) -> i32 {
        self.inner.as_raw()
    }

    /// Processor time that it has used so far, in its own code and the kernel's.
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()));
        let stat = stat.expect("it runs");
        // The second field is a name in brackets, which may hold spaces; utime is the 14th.
        let fields = stat.rsplit_once(')').expect("the name is in brackets").1;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until its log contains `text`.
    pub fn wait_for_log(&mut self, text: &str, limit: Duration) {
        let what = format!("{} to say {text:?}", self.name);
        wait_for(&what, limit, || {
            if self.log().contains(text) {
                return Some(());
            }
            assert!(
                self.is_running(),
                "{} ended before it said {text:?}",
                self.name
            );
            None
        });
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("our own child");
        }
        self.ended.is_none()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        // It may have ended by itself in between, which is no error.
        let _ = kill(self.inner, signal);
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("{} to end", self.name);
        until(&what, limit, || !self.is_running());
        self.ended.expect("it has ended")
    }

    /// Asks it to end, waits for that and gives its status.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait(ENDING)
    }

    /// Ends it, and all that it started, at once.
    pub fn kill(&mut self) {
        if self.is_running() {
            self.signal(Signal::SIGKILL);
            let _ = self.wait(ENDING);
        }
    }

    /// `unshare` forks before it executes: the program is its only child.
    fn find_inner(&mut self) -> Pid {
        let outer = self.child.id();
        let children = format!("/proc/{outer}/task/{outer}/children");
        let what = format!("{} to be forked", self.name);
        let inner = wait_for(&what, ENDING, || {
            let inner = std::fs::read_to_string(&children)
                .ok()
                .and_then(|list| list.split_whitespace().next()?.parse().ok());
            if inner.is_none() && !self.is_running() {
                // It has come and gone; there is nothing left to signal.
                return Some(outer.cast_signed());
            }
            inner
        });
        Pid::from_raw(inner)
    }
}

/// Whether `program` is a file, or one in the places where programs are looked for.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|place| place.join(program).is_file())
}

impl Drop for Program {
    fn drop(&mut self) {
        let ended = (!self.is_running()).then_some(self.ended).flatten();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
            let state = ended.map_or_else(
                || "running".to_owned(),
                |status| match status.signal() {
                    Some(signal) => format!("ended by signal {signal}"),
                    None => format!("ended with {:?}", status.code()),
                },
            );
            let (name, path) = (&self.name, self.log.display());
            drop(writeln!(
                std::io::stderr(),
                "---- {name} ({state}), {path}:\n{tail}\n----"
            ));
        }
        let _ = kill(self.inner, Signal::SIGKILL);
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
