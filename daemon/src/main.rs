//! The process `patchcord`: a media relay that SIP proxies control over the NG protocol.
//!
//! [`cli`] and [`config`] say what to do, [`assemble`] puts control and engine together, [`ng`] is the
//! control loop, [`edge`] serves HTTP, WebSocket and TCP, [`ports`] keeps the local ports, [`metrics`]
//! shows what happened. Nothing about calls or packets is decided in this crate.
#![forbid(unsafe_code)]
#![expect(
    unreachable_pub,
    reason = "a binary has no outside: pub is what a module offers"
)]
#![expect(
    clippy::print_stderr,
    reason = "before there is a log, mistakes go to the terminal"
)]
#![expect(
    clippy::print_stdout,
    reason = "--version, --help and the welcome are for people"
)]

mod assemble;
mod cli;
mod clock;
mod config;
mod crew;
mod edge;
mod figures;
mod handshakes;
mod lines;
mod load;
mod log;
mod machine;
mod metrics;
mod ng;
mod notify;
mod ports;
mod signals;
mod steering;

use std::io::IsTerminal;
use std::process::ExitCode;

use cli::{Cli, Sources};
use config::{Complaints, Config, Machine};
use log::Log;
use signals::Signals;

fn main() -> ExitCode {
    let parsed = match cli::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => error.exit(),
    };
    let cli = parsed.cli;
    if cli.version {
        println!("patchcord {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    if cli.print_sample {
        print!("{}", config::SAMPLE);
        return ExitCode::SUCCESS;
    }
    let (mut sources, config) = match configure(&cli) {
        Ok(both) => both,
        Err(complaints) => {
            eprintln!("{complaints}");
            return ExitCode::FAILURE;
        }
    };
    sources.warnings.splice(0..0, parsed.warnings);
    if cli.check_config {
        for warning in &sources.warnings {
            eprintln!("{warning}");
        }
        println!("the configuration is good");
        return ExitCode::SUCCESS;
    }
    start(cli, sources, config)
}

fn configure(cli: &Cli) -> Result<(Sources, Config), Complaints> {
    let sources = cli.sources(std::env::vars())?;
    let config = config::resolve(&sources.layers, &Machine::detect())?;
    Ok((sources, config))
}

fn start(cli: Cli, sources: Sources, config: Config) -> ExitCode {
    let signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("signals: {error}");
            return ExitCode::FAILURE;
        }
    };
    let log = match Log::start(&config.log) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("log: {error}");
            return ExitCode::FAILURE;
        }
    };
    for warning in &sources.warnings {
        tracing::warn!("{warning}");
    }
    if !cli.foreground && !std::io::stdout().is_terminal() {
        tracing::info!(
            "stays in the foreground, as always: what supervises it need not look for it"
        );
    }
    if std::io::stdout().is_terminal() && sources.file.is_none() {
        welcome(&config);
    }
    let result = assemble::run(cli, sources, config, log.clone(), signals);
    if let Err(error) = &result {
        tracing::error!("{error:#}");
    }
    log.flush();
    if result.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What to try next, for someone who started the relay by hand.
fn welcome(config: &Config) {
    let first = |list: &[config::Listener]| list.first().map(|l| l.addr);
    println!(
        "Patchcord {} is starting. In another terminal:",
        env!("CARGO_PKG_VERSION")
    );
    if let Some(ng) = first(&config.listen.ng) {
        let port = ng.port();
        println!("  patchctl status                                   # NG on {ng}");
        println!(
            "  echo -n '1 d7:command4:pinge' | nc -u -w1 127.0.0.1 {port}   # as a proxy does"
        );
        println!("  modparam(\"rtpengine\", \"rtpengine_sock\", \"udp:{ng}\")   # kamailio.cfg");
    }
    if let Some(http) = first(&config.listen.http) {
        println!("  curl http://{http}/metrics");
    }
    println!(
        "Media for other machines: --interface=ADDRESS. All options: --help. Ctrl-C ends it.\n"
    );
}
