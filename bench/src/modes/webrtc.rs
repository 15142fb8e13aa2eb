//! `webrtc`: calls from browsers to plain phones: how many a second, what one costs, and how soon there
//! is media.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use patchcord_wire::sdp::Setup;
use serde_json::json;

use crate::ng::client::{Client, Relay, Wait};
use crate::os::{clock, pin};
use crate::process::Process;
use crate::report::Report;
use crate::web::{self, Plan, quantile};

/// Who begins the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Begins {
    /// As browsers offer: the relay has the choice
    #[default]
    Either,
    /// The browser
    Browser,
    /// The relay
    Relay,
}

const EXAMPLES: &str = "Examples:
  500 calls, audio and video in a bundle, eight at a time; what one costs the relay:
    patchload webrtc --relay-pid $(pidof patchcord)

  A transport and a handshake for each section instead:
    patchload webrtc --unbundled

  How soon there is media, one audio call after the other:
    patchload webrtc --sections 1 --window 1 --calls 100

  A fifth of the browsers' datagrams lost, either way:
    patchload webrtc --loss 20 --window 50

  All at once:
    patchload webrtc --window 500";

/// Options of `webrtc`.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Options {
    /// Where the relay listens for NG
    #[arg(long, default_value = "127.0.0.1:2223", value_name = "ADDR:PORT")]
    ng: SocketAddr,
    /// Process to watch: CPU per call
    #[arg(long, value_name = "PID")]
    relay_pid: Option<u32>,
    /// Pin the generator to this core
    #[arg(long, value_name = "N")]
    core: Option<usize>,
    /// Address of the browsers; a second one for the phones
    #[arg(
        long,
        default_value = "127.0.0.1",
        value_name = "IP",
        value_delimiter = ','
    )]
    ip: Vec<IpAddr>,
    /// Relay interfaces of browsers and phones (`direction`)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    interfaces: Vec<String>,
    /// Calls to place
    #[arg(long, default_value_t = 500, value_name = "N")]
    calls: usize,
    /// Calls being set up at a time
    #[arg(long, default_value_t = 8, value_name = "N")]
    window: usize,
    /// Media sections of a call: audio, then video, offered as a bundle
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2))]
    sections: u8,
    /// Offer no bundle: a transport and a handshake for each section
    #[arg(long)]
    unbundled: bool,
    /// Share of the browsers' datagrams that is lost either way, in percent
    #[arg(long, default_value_t = 0.0, value_name = "PERCENT")]
    loss: f64,
    /// Who begins the handshake
    #[arg(long, value_enum, default_value_t)]
    begins: Begins,
}

impl Options {
    fn plan(&self) -> Result<Plan> {
        ensure!(self.calls > 0, "--calls must be above zero");
        ensure!(
            (0.0..100.0).contains(&self.loss),
            "--loss is a share in percent"
        );
        let last = self.ip[self.ip.len() - 1];
        let interfaces = match self.interfaces.as_slice() {
            [] => None,
            [one] => Some([one.clone(), one.clone()]),
            [from, to, ..] => Some([from.clone(), to.clone()]),
        };
        Ok(Plan {
            run: format!("{:x}", clock::realtime()),
            calls: self.calls,
            window: self.window.max(1),
            sections: usize::from(self.sections),
            bundle: self.sections > 1 && !self.unbundled,
            loss: self.loss / 100.0,
            setup: match self.begins {
                Begins::Either => Setup::Actpass,
                Begins::Browser => Setup::Active,
                Begins::Relay => Setup::Passive,
            },
            addresses: [self.ip[0], last],
            netns: None,
            interfaces,
        })
    }
}

/// Runs the mode.
pub(crate) fn run(options: &Options) -> Result<Report> {
    let plan = options.plan()?;
    if let Some(core) = options.core {
        pin::this_thread(core)?;
    }
    let mut client = Client::connect(&Relay {
        ng: options.ng,
        netns: None,
        wait: Wait::Asleep,
    })?;
    client.wait_until_up(Duration::from_secs(2))?;
    let relay = options.relay_pid.map(Process::new);
    let relay = relay.transpose()?;
    let before = relay.map(Process::cpu).transpose()?;
    let outcome = web::place(&mut client, &plan)?;
    let after = relay.map(Process::cpu).transpose()?;
    let cpu = before.zip(after).map(|(before, after)| {
        let spent = after.saturating_sub(before) as f64;
        spent / 1000.0 / plan.calls as f64
    });
    Ok(report(&plan, outcome, cpu))
}

fn report(plan: &Plan, outcome: web::Outcome, cpu: Option<f64>) -> Report {
    let json = outcome.to_json();
    let web::Outcome {
        media,
        keys,
        silent,
        wrong,
        bundled,
        elapsed,
    } = outcome;
    let seconds = elapsed.as_secs_f64();
    let rate = plan.calls as f64 / seconds;
    let handshakes = keys.len() as f64 / seconds;
    let mut report = Report::default();
    report.row("calls", format!("{}, {rate:.0}/s", plan.calls));
    if plan.sections > 1 {
        report.row("of them bundled", bundled.to_string());
    }
    report.row("handshakes", format!("{}, {handshakes:.0}/s", keys.len()));
    for (name, times) in [("answer to keys", &keys), ("answer to media", &media)] {
        let [median, p95] = [quantile(times, 0.5), quantile(times, 0.95)];
        report.row(
            format!("{name}, median, p95"),
            format!("{median:.1}, {p95:.1} ms"),
        );
    }
    if let Some(us) = cpu {
        let per_core = 1e6 / us;
        report.row(
            "relay CPU",
            format!("{us:.0} us a call, {per_core:.0} calls/s a core"),
        );
    }
    report.check(silent == 0, || {
        format!("{silent} sections had no media in time")
    });
    report.check(wrong == 0, || {
        format!("{wrong} packets were no section's where they came out, or not as sent")
    });
    report.json(
        "webrtc",
        json!({
            "sections": plan.sections,
            "loss": plan.loss,
            "calls_per_second": rate,
            "handshakes_per_second": handshakes,
            "relay_us_per_call": cpu,
            "outcome": json,
        }),
    );
    report
}
