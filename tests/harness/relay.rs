//! The relay under test: the freshly built `patchcord`, or `rtpengine` as the yardstick.
//!
//! `PATCHCORD_TEST_RELAY=rtpengine` runs the same tests against Debian's rtpengine-daemon, which
//! tells a mistake in a test from one in the relay. `PATCHCORD_TEST_WAY` says how packets are to be carried where
//! a test leaves that open, in a word of [`Backend::NAMES`]. `PATCHCORD_BIN` names another binary, and
//! `PATCHCORD_TEST_LOG_LEVEL` (7 is debug) how much it tells.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use patchcord_offload::{missing_for_lanes, missing_for_steering};

use crate::{Family, Metrics, Ng, Program, Site, http, skip, wait_for};

/// Where the relay listens for NG, in the core.
const NG: ([u8; 4], u16) = ([127, 0, 0, 1], 2223);
/// Where it listens for NG over TCP.
const NG_TCP: ([u8; 4], u16) = ([127, 0, 0, 1], 2224);
/// Where it serves HTTP.
const HTTP: ([u8; 4], u16) = ([127, 0, 0, 1], 9623);
/// How long it may take to start.
const STARTING: Duration = Duration::from_secs(10);

/// How long a load may take.
const ENDING: Duration = Duration::from_secs(40);

/// Which relay is under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayKind {
    /// This project's.
    Patchcord,
    /// Debian's rtpengine-daemon, in userspace.
    Rtpengine,
}

impl RelayKind {
    /// As the environment says.
    pub fn under_test() -> Self {
        match std::env::var("PATCHCORD_TEST_RELAY").as_deref() {
            Err(_) | Ok("patchcord") => Self::Patchcord,
            Ok("rtpengine") => Self::Rtpengine,
            Ok(other) => panic!("PATCHCORD_TEST_RELAY={other} is neither patchcord nor rtpengine"),
        }
    }
}

/// How Patchcord's workers do their I/O, and what is below them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// io_uring.
    Uring,
    /// recvmmsg and sendmmsg.
    Mmsg,
    /// One socket for all ports, and frames.
    Steer,
    /// io_uring, and the kernel's program at the tc hook.
    Tc,
    /// The same by native XDP.
    Native,
    /// The same by generic XDP.
    Generic,
    /// AF_XDP, by one worker: each link of a site has one queue.
    Xsk,
}

impl Backend {
    /// All of them, as they are asked for by name.
    pub const NAMES: [(&str, Self); 7] = [
        ("uring", Self::Uring),
        ("mmsg", Self::Mmsg),
        ("steer", Self::Steer),
        ("tc", Self::Tc),
        ("native", Self::Native),
        ("generic", Self::Generic),
        ("xsk", Self::Xsk),
    ];

    /// The one that the environment asks for, if it does.
    pub fn asked() -> Option<Self> {
        let asked = std::env::var("PATCHCORD_TEST_WAY").ok()?;
        let known = Self::NAMES.iter().find(|(name, _)| *name == asked);
        let known = known.unwrap_or_else(|| panic!("PATCHCORD_TEST_WAY={asked} is no way"));
        Some(known.1)
    }

    /// The options that choose it. A flow is given to the kernel as soon as it can be, so that what a case says of
    /// packets is said of those that the kernel carried.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Uring => &["--set=workers.backend=uring", "--steer=ports"],
            Self::Mmsg => &["--set=workers.backend=mmsg", "--steer=ports"],
            Self::Steer => &["--steer=sk_lookup"],
            Self::Tc => &["--offload=tc", "--set=offload.patience=0"],
            Self::Native => &["--offload=native", "--set=offload.patience=0"],
            Self::Generic => &["--offload=generic", "--set=offload.patience=0"],
            Self::Xsk => &["--set=workers.backend=xsk", "--set=workers.count=1"],
        }
    }

    /// Whether the kernel carries flows.
    pub const fn is_hook(self) -> bool {
        matches!(self, Self::Tc | Self::Native | Self::Generic)
    }

    /// Whether it may not run here; says so as [`skip`] does.
    pub fn is_refused(self) -> bool {
        let missing = match self {
            Self::Uring | Self::Mmsg => Vec::new(),
            Self::Steer => missing_for_steering(),
            Self::Tc | Self::Native | Self::Generic => patchcord_offload::missing(),
            Self::Xsk => missing_for_lanes(),
        };
        !missing.is_empty() && skip(&format!("{self:?} is missing {}", missing.join(", ")))
    }
}

/// A running relay in the core of a site.
pub struct Relay {
    program: Program,
    command: Vec<String>,
    log: PathBuf,
    /// Where it listens for NG over UDP, in the core.
    pub ng: SocketAddr,
    /// Where it listens for NG over TCP.
    pub tcp: SocketAddr,
    /// Where it serves HTTP.
    pub http: SocketAddr,
}

impl Relay {
    /// Starts the relay under test with further options; packets go the way that the environment asks for. `None`
    /// where that cannot be.
    pub fn start_as_asked(site: &Site, options: &[&str]) -> Option<Self> {
        // rtpengine has one way.
        let ours = RelayKind::under_test() == RelayKind::Patchcord;
        let Some(way) = Backend::asked().filter(|_| ours) else {
            return Some(Self::start_with(site, options));
        };
        if way.is_refused() {
            return None;
        }
        let relay = Self::start_on(site, way, options);
        relay.goes_by(site, way);
        if way.is_hook() {
            site.lend_to_xdp()?;
        }
        Some(relay)
    }

    /// Checks that the way that was asked for is the one that packets go.
    fn goes_by(&self, site: &Site, way: Backend) {
        let (status, interfaces) = (self.shown(site, "status"), self.shown(site, "interfaces"));
        let links: Vec<String> = (1..=site.hosts.len()).map(|n| format!("h{n}")).collect();
        let each_link = |list: &str, key: &str, value: &str| {
            let list = interfaces[list].as_array().map_or(&[][..], Vec::as_slice);
            let has = |link: &String| {
                let link = list.iter().find(|entry| entry["device"] == *link);
                link.is_some_and(|link| link[key] == value)
            };
            links.iter().all(has)
        };
        let backend = |name| status["backend"] == name;
        let holds = match way {
            Backend::Uring => backend("uring"),
            Backend::Mmsg => backend("mmsg"),
            Backend::Steer => backend("steer"),
            Backend::Tc => each_link("offload", "hook", "tc"),
            Backend::Native => each_link("offload", "hook", "native"),
            Backend::Generic => each_link("offload", "hook", "generic"),
            Backend::Xsk => backend("xsk") && each_link("lanes", "mode", "copy"),
        };
        assert!(holds, "not by {way:?}: {status:#} {interfaces:#}");
    }

    /// What `patchctl` would show of it, as JSON.
    fn shown(&self, site: &Site, what: &str) -> Value {
        let head = format!("GET /cli/json+{what} HTTP/1.1");
        let (_, body) = http(&site.core, self.http, &head, b"").expect("a response");
        serde_json::from_slice(&body).expect("JSON")
    }

    /// Starts Patchcord on `backend`, with further options.
    pub fn start_on(site: &Site, backend: Backend, options: &[&str]) -> Self {
        let chosen = backend.options();
        let options: Vec<&str> = chosen.iter().chain(options).copied().collect();
        Self::start_with(site, &options)
    }

    /// Starts the relay under test with further options, and waits until it answers.
    pub fn start_with(site: &Site, options: &[&str]) -> Self {
        let kind = RelayKind::under_test();
        let mut command = match kind {
            RelayKind::Patchcord => vec![patchcord().display().to_string()],
            RelayKind::Rtpengine => ["rtpengine", "--foreground", "--table=-1", "--num-threads=1"]
                .map(str::to_owned)
                .into(),
        };
        let level = std::env::var("PATCHCORD_TEST_LOG_LEVEL").unwrap_or_else(|_| "6".to_owned());
        command.push(format!("--log-level={level}"));
        command.extend(["--config-file=none", "--log-stderr"].map(str::to_owned));
        for (number, name) in (0..).zip(["main", "side"]) {
            for family in [Family::V4, Family::V6] {
                command.push(format!(
                    "--interface={name}/{}",
                    Site::relay(family, number)
                ));
            }
        }
        command.push(format!("--listen-ng={}", SocketAddr::from(NG)));
        command.push(format!("--listen-tcp-ng={}", SocketAddr::from(NG_TCP)));
        command.push(format!("--listen-http={}", SocketAddr::from(HTTP)));
        command.extend(options.iter().map(|&option| option.to_owned()));
        let log = site.scratch.path().join("relay.log");
        let program = Program::start(&site.core, "relay", &command, &log);
        let mut relay = Self {
            program,
            command,
            log,
            ng: NG.into(),
            tcp: NG_TCP.into(),
            http: HTTP.into(),
        };
        relay.wait_until_ready(site);
        relay
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Starts it again, as it was started before.
    pub fn restart(&mut self, site: &Site) {
        self.program.kill();
        self.program = Program::start(&site.core, "relay", &self.command, &self.log);
        self.wait_until_ready(site);
    }

    /// Starts another one beside it, which is to end by itself, and gives what it says.
    pub fn beside(site: &Site, options: &[&str]) -> String {
        let mut command = Command::new("timeout");
        command.arg("10").arg(patchcord());
        command.args([
            "--config-file=none",
            "--log-stderr",
            "--listen-ng=127.0.0.1:2299",
        ]);
        command.args(["--listen-http=none", "--port-min=50000", "--port-max=51000"]);
        command.arg(format!("--interface={}", Site::relay(Family::V4, 0)));
        command.args(options);
        let output = site.core.run(move || command.output());
        let output = output.expect("coreutils are installed");
        assert!(!output.status.success(), "it runs");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The process.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// A new control connection over UDP.
    pub fn ng(&self, site: &Site) -> Ng {
        Ng::new(&site.core, self.ng)
    }

    /// Its metrics.
    pub fn metrics(&self, site: &Site) -> Metrics {
        Metrics::fetch(&site.core, self.http)
    }

    /// What `patchctl` prints about it; `None` if it failed.
    pub fn patchctl(&self, site: &Site, arguments: &[&str]) -> Option<String> {
        let mut command = Command::new(patchcord().with_file_name("patchctl"));
        command.arg(format!("--relay=udp:{}", self.ng));
        command.args(arguments);
        let output = site.core.run(move || command.output()).ok()?;
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "patchctl {arguments:?}: {told}");
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What `patchload` finds in that mode, from beside the relay, whether its checks held or not.
    pub fn patchload(&self, site: &Site, mode: &str, arguments: &[&str]) -> Value {
        let mut command = Command::new(patchcord().with_file_name("patchload"));
        command.args([mode, "--json"]);
        command.arg(format!("--ng={}", self.ng));
        command.args(arguments);
        let output = site.core.run(move || command.output());
        let output = output.expect("patchload lies beside the relay");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            let told = String::from_utf8_lossy(&output.stderr);
            panic!("patchload tells no result, {error}: {told}")
        })
    }

    /// A load from `patchload` between the first two hosts.
    pub fn load(&self, site: &Site, arguments: &[&str]) -> Load {
        let hosts = &site.hosts[..2];
        let places: Vec<&str> = hosts.iter().map(|host| host.netns.path()).collect();
        let addresses: Vec<String> = hosts
            .iter()
            .map(|host| host.address(Family::V4).to_string())
            .collect();
        let patchload = patchcord().with_file_name("patchload");
        let mut command = vec![patchload.display().to_string()];
        command.extend(["run", "--json"].map(str::to_owned));
        command.push(format!("--ng={}", self.ng));
        command.push(format!("--netns={}", places.join(",")));
        command.push(format!("--ip={}", addresses.join(",")));
        command.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let log = site.scratch.path().join("load.log");
        Load(Program::start(&site.core, "load", &command, &log))
    }

    /// What it has logged.
    pub fn logged(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// For a test that fails: what became of packets, as far as the relay can still tell.
    pub fn confess(&self, site: &Site) {
        let around = site.hosts.iter().map(|host| &host.netns);
        for netns in std::iter::once(&site.core).chain(around) {
            drop(writeln!(std::io::stderr(), "kernel: {}", netns.counters()));
        }
        let Some(metrics) = Metrics::try_fetch(&site.core, self.http) else {
            return;
        };
        let told = metrics.lines().filter(|line| {
            ["_packets", "_socket", "_commands", "_failures"]
                .iter()
                .any(|word| line.contains(word))
                && !line.contains("_bucket")
        });
        for line in told {
            drop(writeln!(std::io::stderr(), "{line}"));
        }
    }

    fn wait_until_ready(&mut self, site: &Site) {
        let ng = self.ng(site);
        ng.set_patience(Duration::from_millis(50));
        wait_for("the relay to answer a ping", STARTING, || {
            assert!(
                self.program.is_running(),
                "the relay ended while it started"
            );
            ng.pings().then_some(())
        });
    }
}

/// Packets that a generator sends while a test does something else.
pub struct Load(Program);

impl Load {
    /// What became of them, once all have been sent.
    ///
    /// # Panics
    /// Where the generator has no result.
    pub fn end(mut self) -> Value {
        self.0.wait(ENDING);
        let told = self.0.log();
        let json = told.find('{').map_or("", |at| &told[at..]);
        let result = serde_json::from_str::<Value>(json);
        result.unwrap_or_else(|error| panic!("patchload tells no result, {error}: {told}"))["step"]
            .take()
    }
}

/// The binary, built from the tree that the tests were built from.
fn patchcord() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let binary = BINARY.get_or_init(|| {
        if let Some(given) = std::env::var_os("PATCHCORD_BIN") {
            return given.into();
        }
        let own = std::env::current_exe().expect("procfs is mounted");
        let profile = own
            .ancestors()
            .nth(2)
            .expect("tests lie in <profile>/deps")
            .to_owned();
        // Under nextest each test is a process, and its setup script has built the binary.
        if std::env::var_os("NEXTEST").is_none() {
            build(&profile);
        }
        profile.join("patchcord")
    });
    assert!(
        binary.exists(),
        "{} is missing: cargo build --bin patchcord",
        binary.display()
    );
    binary.clone()
}

fn build(profile: &std::path::Path) {
    let release = profile.ends_with("release");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([
            "build",
            "--quiet",
            "--package",
            "patchcord",
            "--package",
            "patchctl",
            "--package",
            "patchcord-bench",
            "--bins",
            "--target-dir",
        ])
        .arg(
            profile
                .parent()
                .expect("a profile lies in the target directory"),
        )
        .args(release.then_some("--release"))
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "the relay and its tools do not build"
    );
}
