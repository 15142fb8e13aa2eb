//! `bench`: relays compared on this machine, in interleaved rounds, one relay on one core.
//!
//! [`lab`] is the network, [`relay`] starts what is compared, [`visit`] asks every question of one
//! relay once, [`browsers`] those about browsers, [`bare`] is the least that forwarding can cost, [`compare`] holds
//! medians against the limits, [`record`] keeps what came of it.

mod bare;
mod browsers;
mod compare;
mod lab;
mod measures;
mod record;
mod relay;
mod visit;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use patchcord_media::srtp::Suite;
use serde_json::{Value, json};

use self::bare::Redirect;
use self::compare::Comparison;
use self::lab::Lab;
use self::measures::Kind;
use self::relay::Contestant;
use self::visit::Visit;
use crate::cli::{rate, seconds};
use crate::ng::sdes::Security;
use crate::os::clock;
use crate::os::idle::Awake;
use crate::progress::Progress;
use crate::report::Report;

/// Options of `bench`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Rounds; every relay once in each
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Relays to compare; ratios are to the last [default: uring,mmsg,rtpengine, or every hook]
    #[arg(long, value_enum, value_delimiter = ',')]
    relays: Vec<Contestant>,
    /// Our relay's binary
    #[arg(long, default_value = "target/release/patchcord", value_name = "FILE")]
    patchcord: PathBuf,
    /// The binary of `other`: another build of ours
    #[arg(long, value_name = "FILE", required_if_eq("relays", "other"))]
    other: Option<PathBuf>,
    /// Their relay's binary
    #[arg(long, default_value = "rtpengine", value_name = "FILE")]
    rtpengine: PathBuf,
    /// Core of the generator
    #[arg(long, default_value_t = 0, value_name = "N")]
    core: usize,
    /// Core of the relay, which also receives its packets
    #[arg(long, default_value_t = 1, value_name = "N")]
    relay_core: usize,
    /// Calls over IPv6
    #[arg(long)]
    ipv6: bool,
    /// Where results and the relays' logs go
    #[arg(long, default_value = "bench/out", value_name = "DIR")]
    out: PathBuf,
    /// Compare calls that are plain on one side and SRTP on the other instead
    #[arg(long, conflicts_with = "webrtc")]
    srtp: bool,
    /// Compare plain calls that the kernel carries instead; implied by a relay that is a hook
    #[arg(long, conflicts_with_all = ["srtp", "webrtc", "steady_only"])]
    hooks: bool,
    /// Ask for cost and latency at the steady rate only
    #[arg(long, conflicts_with_all = ["srtp", "webrtc", "record"])]
    steady_only: bool,
    /// Compare calls from browsers to plain phones instead
    #[arg(long)]
    webrtc: bool,
    /// Let cores enter slow idle states, as they do by default
    #[arg(long)]
    idle_states: bool,
    /// Update the results in bench/README.md
    #[arg(long)]
    record: bool,
    #[command(flatten)]
    load: Load,
}

/// What each relay is asked.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Calls with media
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub(crate) calls: usize,
    /// Calls set up idle, for the memory of one
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(crate) idle_calls: usize,
    /// Cycles of offer, answer and delete, twice: enough that the second time no port is new
    #[arg(long, default_value_t = 4000, value_name = "N")]
    pub(crate) cycles: usize,
    /// Calls from browsers that are measured
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub(crate) browsers: usize,
    /// Packets a second at which cost and latency are measured
    #[arg(long, default_value = "50000", value_parser = rate, value_name = "RATE")]
    pub(crate) steady: f64,
    /// For how long
    #[arg(long, default_value = "5", value_parser = seconds, value_name = "SECONDS")]
    pub(crate) seconds: Duration,
    /// First rate of the search for the highest
    #[arg(long, default_value = "80000", value_parser = rate, value_name = "RATE")]
    pub(crate) from: f64,
    /// Length of a step of the search
    #[arg(long, default_value = "1.5", value_parser = seconds, value_name = "SECONDS")]
    pub(crate) step: Duration,
}

/// Runs the mode.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let relays = options.relays();
    ensure!(
        options.core != options.relay_core,
        "generator and relay need a core each"
    );
    let lab = Lab::find(options.ipv6, options.core, options.relay_core)?;
    fs::create_dir_all(&options.out)
        .with_context(|| format!("making {}", options.out.display()))?;
    let mut progress = Progress::new();
    let awake = keep_awake(options, &mut progress);
    let load_before = record::load_average();
    let (section, kinds) = options.kinds();
    let visits = visit_all(options, &lab, kinds, &mut progress)?;
    let setting =
        record::Setting::find(options.rounds, options.load, &load_before, awake.is_some());
    let mut report = Report::default();
    let mut results = String::new();
    let mut json = json!({ "setting": setting.to_json() });
    for (calls, visits) in kinds.iter().zip(&visits) {
        let name = calls.name;
        let comparison = Comparison::new(calls.kind, relays, visits);
        if calls.kind == Kind::Secure {
            let _ = writeln!(
                results,
                "{name} on the answering side, plain RTP on the other:\n"
            );
        }
        let _ = writeln!(results, "{comparison}");
        comparison.check(&mut report);
        let all = visits
            .iter()
            .map(|(c, v)| json!({ "relay": c.name(), "visit": v.to_json() }));
        json[name] = json!({ "comparison": comparison.to_json(),
                             "visits": all.collect::<Vec<Value>>() });
    }
    report.text(&format!("{setting}\n{results}"));
    let file = options
        .out
        .join(format!("{}.json", clock::realtime() / 1_000_000_000));
    fs::write(&file, format!("{json:#}\n")).with_context(|| format!("{}", file.display()))?;
    report.text(&format!("Details: {}\n", file.display()));
    report.json("bench", json);
    if options.record {
        record::write(section, &setting, results.trim_end())?;
    }
    Ok(report)
}

impl Options {
    /// The relays that are compared.
    fn relays(&self) -> &[Contestant] {
        match self.relays.as_slice() {
            [] if self.hooks => &Contestant::HOOKS,
            [] => &Contestant::WORKERS,
            relays => relays,
        }
    }

    /// Whether plain calls that the kernel carries are compared.
    fn is_about_hooks(&self) -> bool {
        let has_hook = self.relays().iter().any(|relay| relay.hook().is_some());
        self.hooks || has_hook && !(self.srtp || self.webrtc || self.steady_only)
    }

    /// What is compared, and the name that its results have in the README.
    fn kinds(&self) -> (&'static str, &'static [Calls]) {
        if self.is_about_hooks() {
            ("hooks", &HOOKS)
        } else if self.webrtc {
            ("webrtc", &BROWSERS)
        } else if self.srtp {
            ("srtp", &SECURE)
        } else if self.steady_only {
            ("results", &STEADY)
        } else {
            ("results", &PLAIN)
        }
    }
}

/// What the calls of a comparison are like.
struct Calls {
    name: &'static str,
    /// What is measured.
    kind: Kind,
    /// What protects the media of each side.
    security: [Security; 2],
}

const PLAIN: [Calls; 1] = [Calls {
    name: "plain",
    kind: Kind::Plain,
    security: [Security::Plain; 2],
}];

const HOOKS: [Calls; 1] = [Calls {
    name: "hooks",
    kind: Kind::Hooks,
    security: [Security::Plain; 2],
}];

const STEADY: [Calls; 1] = [Calls {
    name: "steady",
    kind: Kind::Steady,
    security: [Security::Plain; 2],
}];

const SECURE: [Calls; 2] = [
    Calls {
        name: "AES_CM_128_HMAC_SHA1_80",
        kind: Kind::Secure,
        security: [Security::Plain, Security::Sdes(Suite::AesCm128Sha1_80)],
    },
    Calls {
        name: "AEAD_AES_128_GCM",
        kind: Kind::Secure,
        security: [Security::Plain, Security::Sdes(Suite::AeadAes128Gcm)],
    },
];

const BROWSERS: [Calls; 1] = [Calls {
    name: "browsers",
    kind: Kind::Browsers,
    security: [Security::Sdes(Suite::AesCm128Sha1_80), Security::Plain],
}];

/// All visits of all rounds, by kind of calls.
fn visit_all(
    options: &Options,
    lab: &Lab,
    kinds: &[Calls],
    progress: &mut Progress,
) -> Result<Vec<Vec<(Contestant, Visit)>>> {
    let mut visits: Vec<Vec<_>> = kinds.iter().map(|_| Vec::new()).collect();
    for round in 0..options.rounds {
        // Another order in each round, so that no relay always follows the same one.
        let relays = options.relays();
        let shift = round as usize % relays.len();
        for i in 0..relays.len() {
            let contestant = relays[(i + shift) % relays.len()];
            let name = contestant.name();
            let nth = round + 1;
            progress.say(&format!("round {nth} of {}: {name}", options.rounds));
            for (calls, visits) in kinds.iter().zip(&mut visits) {
                let visit = one(options, lab, contestant, round, calls)
                    .with_context(|| format!("round {nth}, {name}, {}", calls.name))?;
                progress.say(&visit.summary());
                visits.push((contestant, visit));
            }
        }
    }
    Ok(visits)
}

/// Keeps cores awake between packets, for every relay alike, unless that is not wanted or not allowed.
fn keep_awake(options: &Options, progress: &mut Progress) -> Option<Awake> {
    if options.idle_states {
        return None;
    }
    Awake::ask()
        .inspect_err(|error| {
            progress.say(&format!(
                "cores may enter slow idle states, figures will be rougher: {error}"
            ));
        })
        .ok()
}

fn one(
    options: &Options,
    lab: &Lab,
    contestant: Contestant,
    round: u32,
    calls: &Calls,
) -> Result<Visit> {
    let log = format!("{}-{}-{}.log", contestant.name(), calls.name, round + 1);
    let log = options.out.join(log);
    let binary = match contestant {
        Contestant::Rtpengine => &options.rtpengine,
        Contestant::Other => options.other.as_ref().context("--other names no binary")?,
        Contestant::Uring
        | Contestant::Xsk
        | Contestant::Mmsg
        | Contestant::Steer
        | Contestant::Tc
        | Contestant::Native
        | Contestant::Generic
        | Contestant::BareTc
        | Contestant::BareNative
        | Contestant::BareGeneric => &options.patchcord,
    };
    let _polled = contestant
        .is_polled()
        .then(|| lab.poll_links())
        .transpose()?;
    let relay = relay::Running::start(contestant, binary, lab, &log)?;
    let process = relay.process();
    let rig = || lab.rig(process, calls.security, false);
    let visited = match calls.kind {
        Kind::Plain => rig().and_then(|rig| visit::run(rig, options.load)),
        Kind::Secure => {
            rig().and_then(|rig| visit::secure(rig, options.load, contestant.is_ours()))
        }
        Kind::Hooks => rig().and_then(|mut rig| {
            if let Some(hook) = contestant.hook().filter(|_| contestant.is_bare()) {
                let mut redirect = Redirect::attach(hook, lab)?;
                rig.told = Some(Box::new(move |streams| redirect.fill(streams)));
            }
            visit::hooks(rig, options.load, lab.relay_core, contestant.is_bare())
        }),
        Kind::Steady => rig().and_then(|rig| visit::steady(rig, options.load)),
        Kind::Browsers => browsers::run(lab, process, calls.security, options.load),
    };
    let alive = relay.process().is_alive();
    visited.with_context(|| {
        let fate = if alive { "lives" } else { "died" };
        format!("the relay {fate}, its log is {}", log.display())
    })
}
