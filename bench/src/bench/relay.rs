//! The relays that are compared, and how each is started: one worker, pinned to one core.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use patchcord_offload::Hook;

use super::lab::{INTERFACES, Lab, NG, RELAY};
use crate::os::clock;
use crate::process::Process;

/// A relay leaves on its own within this, or is killed.
const GRACE: Duration = Duration::from_secs(3);

/// Eight thousand a side: enough for the idle calls and the cycles behind them, and few enough that a
/// descriptor limit of 20,000 leaves room for the connected sockets of five hundred calls.
const PORTS: [&str; 2] = ["--port-min=10000", "--port-max=17999"];

/// What can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contestant {
    /// Patchcord on io_uring
    Uring,
    /// Another build of it, likewise
    Other,
    /// Patchcord on recvmmsg and sendmmsg
    Mmsg,
    /// Patchcord with one socket for all ports, and frames
    Steer,
    /// Patchcord past the kernel's stack, on AF_XDP
    Xsk,
    /// Patchcord with plain calls in the kernel, at the tc hook
    Tc,
    /// The same by native XDP
    Native,
    /// The same by generic XDP
    Generic,
    /// A static redirect program at the tc hook, the physical limit
    BareTc,
    /// The same by native XDP
    BareNative,
    /// The same by generic XDP
    BareGeneric,
    /// Debian's rtpengine-daemon in userspace
    Rtpengine,
}

impl Contestant {
    /// Those compared where nothing is asked for in particular.
    pub(crate) const WORKERS: [Self; 3] = [Self::Uring, Self::Mmsg, Self::Rtpengine];
    /// Those compared where the kernel is to carry calls.
    pub(crate) const HOOKS: [Self; 7] = [
        Self::Tc,
        Self::BareTc,
        Self::Native,
        Self::BareNative,
        Self::Generic,
        Self::BareGeneric,
        Self::Rtpengine,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uring => "patchcord-uring",
            Self::Other => "patchcord-other",
            Self::Mmsg => "patchcord-mmsg",
            Self::Steer => "patchcord-steer",
            Self::Xsk => "patchcord-xsk",
            Self::Tc => "patchcord-tc",
            Self::Native => "patchcord-native",
            Self::Generic => "patchcord-generic",
            Self::BareTc => "bare-tc",
            Self::BareNative => "bare-native",
            Self::BareGeneric => "bare-generic",
            Self::Rtpengine => "rtpengine",
        }
    }

    pub(crate) fn is_ours(self) -> bool {
        self != Self::Rtpengine
    }

    /// The hook that packets leave from.
    pub(crate) fn hook(self) -> Option<Hook> {
        match self {
            Self::Tc | Self::BareTc => Some(Hook::Tc),
            Self::Native | Self::BareNative => Some(Hook::Native),
            Self::Generic | Self::BareGeneric => Some(Hook::Generic),
            Self::Uring | Self::Other | Self::Mmsg | Self::Steer | Self::Xsk | Self::Rtpengine => {
                None
            }
        }
    }

    /// Whether packets are received where the driver polls, before the kernel could hand them to a core.
    pub(crate) fn is_polled(self) -> bool {
        self == Self::Xsk || self.hook() == Some(Hook::Native)
    }

    /// Whether it is a program that only redirects. A relay sets its calls up and carries none of them.
    pub(crate) fn is_bare(self) -> bool {
        matches!(self, Self::BareTc | Self::BareNative | Self::BareGeneric)
    }

    /// Options beyond those that both daemons understand alike.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Uring | Self::Other | Self::BareTc | Self::BareNative | Self::BareGeneric => {
                &["--set=workers.backend=uring", "--log-level=4"]
            }
            Self::Mmsg => &["--set=workers.backend=mmsg", "--log-level=4"],
            Self::Steer => &["--steer=sk_lookup", "--log-level=4"],
            Self::Xsk => &["--set=workers.backend=xsk", "--log-level=4"],
            Self::Tc => &["--offload=tc", "--log-level=4"],
            Self::Native => &["--offload=native", "--log-level=4"],
            Self::Generic => &["--offload=generic", "--log-level=4"],
            // Without the kernel module; quiet, because a drowning relay would log every packet.
            Self::Rtpengine => &["--table=-1", "--log-level=2"],
        }
    }
}

/// The environment that the unit gives Patchcord.
fn environment() -> impl Iterator<Item = (&'static str, &'static str)> {
    let unit = include_str!("../../../systemd/patchcord.service");
    let lines = unit
        .lines()
        .filter_map(|line| line.strip_prefix("Environment="));
    lines.filter_map(|line| line.split_once('='))
}

/// A relay process; ends with this value.
pub(crate) struct Running {
    child: Child,
    process: Process,
}

impl Running {
    /// Starts `contestant` in the lab, its output going to `log`.
    pub(crate) fn start(
        contestant: Contestant,
        binary: &Path,
        lab: &Lab,
        log: &Path,
    ) -> Result<Self> {
        let out = File::create(log).with_context(|| format!("{}", log.display()))?;
        let mut command = Command::new("ip");
        // ip, setpriv and taskset replace themselves, so the child's id is the relay's.
        command
            .args(["netns", "exec", RELAY])
            .args(["setpriv", "--pdeathsig", "KILL"])
            .args(["taskset", "-c", &lab.relay_core.to_string()])
            .arg(binary)
            .args(["--config-file=none", "--foreground", "--log-stderr"])
            .args(["--num-threads=1", "--delete-delay=0"])
            .args(PORTS)
            .arg(format!("--listen-ng={NG}"));
        if contestant.is_ours() {
            command.envs(environment());
        }
        for (side, name) in INTERFACES.iter().enumerate() {
            command.arg(format!("--interface={name}/{}", lab.relay_ip(side)));
        }
        let child = command
            .args(contestant.options())
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .context("starting `ip netns exec` (package iproute2)")?;
        let process = Process { pid: child.id() };
        Ok(Self { child, process })
    }

    /// The relay, to watch.
    pub(crate) fn process(&self) -> Process {
        self.process
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let asked = Command::new("kill")
            .arg("-TERM")
            .arg(self.process.pid.to_string())
            .status();
        let until = clock::now() + GRACE;
        while asked.is_ok() && clock::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            clock::sleep(Duration::from_millis(20));
        }
        // Nothing is left to do for one that is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
