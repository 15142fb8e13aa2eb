//! An anonymous network namespace: a thread that lives in one and does there what it is given.
//!
//! It has no name and no mount, so there is nothing to sweep: the kernel takes it, its veths and its
//! routes away with the thread. A process started on the thread inherits the namespace and, by its
//! parent-death signal, the thread's end.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, unshare};

use crate::skip;

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace of our own.
pub struct Netns {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    path: String,
}

impl Netns {
    /// A new namespace with nothing in it but a loopback that is up.
    pub fn new(name: &str) -> Self {
        let (jobs, inbox) = channel::<Job>();
        let (ready, made) = channel();
        let thread = std::thread::Builder::new()
            .name(format!("netns-{name}"))
            .spawn(move || {
                unshare(CloneFlags::CLONE_NEWNET).expect("namespaces are permitted here");
                let me = std::fs::read_link("/proc/thread-self").expect("procfs is mounted");
                ready
                    .send(format!("/proc/{}/ns/net", me.display()))
                    .expect("the maker waits");
                for job in inbox {
                    job();
                }
            })
            .expect("a thread can be started");
        let path = made.recv().expect("the thread made its namespace");
        let netns = Self {
            jobs: Some(jobs),
            thread: Some(thread),
            path,
        };
        netns.ip("link set lo up");
        // A browser gives up what it is loading when an address settles, and that of a link would seconds later.
        netns.sysctl("net.ipv6.conf.default.accept_dad", "0");
        netns
    }

    /// The path by which `ip link set … netns` and `nsenter --net=` find it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Does `work` inside the namespace: sockets made there stay there.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        let job = Box::new(move || {
            drop(done.send(catch_unwind(AssertUnwindSafe(work))));
        });
        self.jobs
            .as_ref()
            .expect("the thread lives until drop")
            .send(job)
            .expect("it listens");
        let outcome = result.recv().expect("the thread outlives its work");
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Runs lines of `ip` in the namespace, as one batch.
    ///
    /// # Panics
    /// Where `ip` refuses one, with its words.
    pub fn ip(&self, lines: &str) {
        self.feed("ip", &["-batch", "-"], lines);
    }

    /// Whether the kernel makes such a link, in the words of `ip link add`; says so where it does not.
    pub fn makes(&self, link: &str) -> bool {
        let words: Vec<String> = link.split_whitespace().map(str::to_owned).collect();
        let output = self.run(move || {
            Command::new("ip")
                .args(["link", "add"])
                .args(words)
                .output()
        });
        let output = output.expect("iproute2 is installed");
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            skip(&format!("the kernel makes no {link}: {}", said.trim()));
        }
        output.status.success()
    }

    /// Loads rules of nftables into the namespace.
    ///
    /// # Panics
    /// Where `nft` refuses them, with its words.
    pub fn nft(&self, rules: &str) {
        self.feed("nft", &["-f", "-"], rules);
    }

    /// Runs `program` in the namespace with `lines` as its input.
    fn feed(&self, program: &'static str, options: &'static [&'static str], lines: &str) {
        let lines = lines.to_owned();
        self.run(move || {
            let mut child = Command::new(program)
                .args(options)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
            let mut input = child.stdin.take().expect("piped");
            input.write_all(lines.as_bytes()).expect("it reads");
            drop(input);
            let output = child.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{program} refused:\n{lines}\n{said}"
            );
        });
    }

    /// Whether every Ethernet link of the namespace is in operation.
    pub fn links_are_up(&self) -> bool {
        let links = self.run(|| Command::new("ip").args(["-oneline", "link"]).output());
        let links = links.expect("iproute2 is installed").stdout;
        let links = String::from_utf8_lossy(&links);
        links
            .lines()
            .filter(|link| link.contains("link/ether"))
            .all(|link| link.contains("state UP"))
    }

    /// Whether a UDP socket is bound to `port` in the namespace.
    pub fn has_udp(&self, port: u16) -> bool {
        // Looked up, for an attempt to bind it could be in the way of the one waited for.
        let table = self.run(|| {
            ["udp", "udp6"].map(|file| {
                std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap_or_default()
            })
        });
        let wanted = format!(":{port:04X}");
        let local = |line: &str| {
            line.split_whitespace()
                .nth(1)
                .is_some_and(|l| l.ends_with(&wanted))
        };
        table.iter().any(|table| table.lines().any(local))
    }

    /// What the namespace's kernel has counted of IP and UDP that is not zero, for a test that fails.
    pub fn counters(&self) -> String {
        let table = self.run(|| std::fs::read_to_string("/proc/thread-self/net/snmp"));
        let table = table.unwrap_or_default();
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let pairs = lines.as_chunks::<2>().0.iter().filter(|[names, _]| {
            names
                .first()
                .is_some_and(|kind| ["Ip:", "Udp:", "Icmp:"].contains(kind))
        });
        let counted = pairs.flat_map(|[names, values]| names.iter().zip(values));
        let told = counted.filter(|(_, value)| **value != "0");
        told.map(|(name, value)| [*name, *value].join(" "))
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// Changes features of an interface, as `ethtool -K` does; `None`, said loudly, where ethtool is missing.
    pub fn ethtool(&self, interface: &str, features: &[&str]) -> Option<()> {
        let mut command = Command::new("ethtool");
        command.args(["-K", interface]).args(features);
        match self.run(move || command.output()) {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "ethtool refused: {said}");
                Some(())
            }
            Err(error) => {
                skip(&format!("ethtool does not start: {error}"));
                None
            }
        }
    }

    /// Sets a `net.*` sysctl of the namespace.
    pub fn sysctl(&self, key: &str, value: &str) {
        // procfs shows the tree of the namespace of the thread that opens it.
        let file = format!("/proc/sys/{}", key.replace('.', "/"));
        let value = value.to_owned();
        self.run(move || std::fs::write(&file, value).expect("the key exists"));
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
