//! What a command line asks of the process: status, interfaces, the log, a reload.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use patchcord_contract::{Addr, Reason, Time};
use patchcord_control::{Clock, Form, LoadLimit, ProcessCommand, Settings, TrustedAddress};
use patchcord_engine::LaneReport;
use patchcord_media::flow::Learning;
use patchcord_media::stats::{ByReason, Cell};
use patchcord_media::totals::{InterfaceStats, WorkerStats};
use patchcord_offload::{Attached, Hook};
use serde_json::{Value as Json, json};

use super::handler::Handler;
use crate::cli::Cli;
use crate::config::{self, Config, Interface, Key, Level, Machine, Reload, Text};
use crate::log::Log;
use crate::steering::Chosen;

/// What the process knows of itself.
#[derive(Debug)]
pub struct Process {
    /// When it started, on both clocks.
    pub started: Clock,
    /// The options it was started with.
    pub cli: Cli,
    /// The configuration in force.
    pub config: Config,
    /// The file it came from.
    pub file: Option<PathBuf>,
    /// The merged text at start: what can only change with a restart is compared with it.
    pub text_at_start: Text,
    /// The merged text in force.
    pub text: Text,
    /// The log.
    pub log: Log,
    /// Descriptors the process may open.
    pub descriptors: usize,
    /// Ports that the workers have slots for.
    pub slots: usize,
    /// Where the kernel's own program is attached.
    pub attached: Vec<Attached>,
    /// How packets find their worker.
    pub steering: Chosen,
    /// The receive queues that lead to workers past the kernel's stack, and to which.
    pub lanes: Vec<(usize, LaneReport)>,
}

/// The settings that `config` means to control, for these interfaces.
pub fn settings(config: &Config, interfaces: &[Interface]) -> Settings {
    let interface = |i: &Interface| patchcord_control::Interface {
        name: i.name.clone(),
        aliases: i.aliases.clone(),
        address: Addr::from(i.address),
        advertised: Addr::from(i.advertised),
    };
    let timeouts = &config.timeouts;
    Settings {
        interfaces: interfaces.iter().map(interface).collect(),
        timeouts: patchcord_control::Timeouts {
            media: timeouts.media,
            silent: timeouts.silent,
            offer: timeouts.offer,
            total: timeouts.total,
            delete_delay: timeouts.delete_delay,
        },
        max_sessions: config.limits.calls,
        tos: config.media.tos,
        rtcp_interval: config.media.rtcp_interval,
        dtls_passive: config.dtls.passive,
        learning: match config.media.learning {
            config::Learning::Heuristic => Learning::Heuristic,
            config::Learning::Delayed => Learning::Delayed,
            config::Learning::Immediate => Learning::Immediate,
            config::Learning::Off => Learning::Off,
        },
        trusted: if config.media.sip_source {
            TrustedAddress::SipSource
        } else {
            TrustedAddress::Sdp
        },
        software: concat!("patchcord-", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

/// Packets not forwarded, by reason, of all workers and interfaces.
#[derive(Default)]
struct Drops(ByReason<u64>);

impl Drops {
    fn add(&mut self, worker: &WorkerStats) {
        for interface in worker.interfaces.iter().chain([&worker.unassigned]) {
            for (sum, cell) in self.0.iter_mut().zip(interface.dropped.iter()) {
                *sum += cell.get();
            }
        }
    }

    fn json(&self) -> Json {
        let counts = Reason::ALL.iter().zip(*self.0);
        let some = counts.filter(|(_, count)| *count > 0);
        some.map(|(reason, count)| (reason.as_str().to_owned(), count.into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

impl Handler {
    /// Carries out a command about the process; the text either way is for its author.
    pub fn command(&mut self, clock: Clock, command: &ProcessCommand) -> Result<String, String> {
        Ok(match command {
            ProcessCommand::Reload => return self.reload(),
            ProcessCommand::Version(Form::Text) => {
                format!("patchcord {}\n", env!("CARGO_PKG_VERSION"))
            }
            ProcessCommand::Version(Form::Json) => {
                json!({"name": "patchcord", "version": env!("CARGO_PKG_VERSION")}).to_string()
            }
            ProcessCommand::Status => self.status(clock).to_string(),
            ProcessCommand::Interfaces(Form::Json) => self.interfaces(clock.now).to_string(),
            ProcessCommand::Interfaces(Form::Text) => self.interfaces_text(clock.now),
            ProcessCommand::MaxOpenFiles => {
                format!("Maximum open files = {}\n", self.process.descriptors)
            }
            ProcessCommand::LogLevel => {
                format!("Current log level: {}\n", self.process.log.level().number())
            }
            ProcessCommand::SetLogLevel(number) => {
                let level = Level::parse(&number.to_string())
                    .ok_or_else(|| format!("{number} is no log level; 0 to 7 are\n"))?;
                self.process.log.set_level(level);
                format!("Success setting loglevel to {}\n", level.number())
            }
        })
    }

    /// Reads the configuration again and applies what can change in a running relay.
    pub fn reload(&mut self) -> Result<String, String> {
        let result = self.try_reload();
        match &result {
            Ok(text) => tracing::info!(result = text.trim(), "configuration read again"),
            Err(text) => tracing::error!(%text, "configuration not taken over"),
        }
        result
    }

    fn try_reload(&mut self) -> Result<String, String> {
        let process = &self.process;
        let sources = process
            .cli
            .sources(std::env::vars())
            .map_err(|e| e.to_string())?;
        let config = config::resolve(&sources.layers, &Machine::detect());
        let config = config.map_err(|e| e.to_string())?;
        let text = sources.layers.text;
        let live = process.text.differences(&text);
        let live: Vec<_> = live
            .iter()
            .filter(|k| k.reload == Reload::Live)
            .map(Key::path)
            .collect();
        let dead = process.text_at_start.differences(&text);
        let mut dead: Vec<_> = dead
            .iter()
            .filter(|k| k.reload == Reload::Restart)
            .map(Key::path)
            .collect();
        let added = self.add_interfaces(&config.interfaces);
        let added = added.unwrap_or_else(|()| {
            dead.insert(0, "interface".to_owned());
            Vec::new()
        });
        self.apply(&config);
        self.process.text = text;
        let mut report = String::from("Configuration read again\n");
        let mut tell = |what: &str, list: &[String]| {
            if !list.is_empty() {
                let _infallible = writeln!(report, "{what}: {}", list.join(", "));
            }
        };
        tell("changed", &live);
        tell("interfaces added", &added);
        tell("needs a restart", &dead);
        tell("without effect", &sources.warnings);
        Ok(report)
    }

    /// Adds what stands after the known interfaces; any other change of the list is refused.
    fn add_interfaces(&mut self, wanted: &[Interface]) -> Result<Vec<String>, ()> {
        let known = &self.process.config.interfaces;
        let new = wanted.strip_prefix(known.as_slice()).ok_or(())?;
        let ports: usize = wanted.iter().map(|i| 2 * i.range.pairs().count()).sum();
        if !new.is_empty() && ports > self.process.slots {
            tracing::warn!(
                ports,
                slots = self.process.slots,
                "more ports than workers have slots"
            );
            return Err(());
        }
        for interface in new {
            if let Err(refused) = self.ports.door().claim(interface) {
                tracing::warn!(interface = interface.name, %refused, "ports cannot be had");
                return Err(());
            }
        }
        let added = new
            .iter()
            .map(|i| format!("{}/{}", i.name, i.address))
            .collect();
        for interface in new {
            self.ports.add(interface);
        }
        self.process.config.interfaces = wanted.to_vec();
        self.figures.interfaces.store(Arc::new(wanted.to_vec()));
        Ok(added)
    }

    /// Takes over what can change live.
    fn apply(&mut self, config: &Config) {
        let level = config.log.level;
        if level != self.process.config.log.level {
            self.process.log.set_level(level);
        }
        self.control
            .reconfigure(settings(config, &self.process.config.interfaces));
        self.ports.reconfigure(&config.ports);
        self.handshakes.reconfigure(config.dtls.mtu);
        self.cache.set_limit(config.limits.cookie_cache);
        self.templates = Arc::new(config.templates.clone());
        let running = &mut self.process.config;
        running.templates.clone_from(&config.templates);
        running.timeouts = config.timeouts;
        running.limits.calls = config.limits.calls;
        running.limits.load = config.limits.load;
        running.limits.cpu = config.limits.cpu;
        running.limits.bandwidth = config.limits.bandwidth;
        running.limits.cookie_cache = config.limits.cookie_cache;
        running.media = config.media;
        running.dtls.mtu = config.dtls.mtu;
        running.dtls.passive = config.dtls.passive;
        running.log.level = level;
        running.ports.rest = config.ports.rest;
        running.ports.rest_min = config.ports.rest_min;
        running.ports.warm = config.ports.warm;
        running.process.exit_when_drained = config.process.exit_when_drained;
    }

    fn status(&mut self, clock: Clock) -> Json {
        self.publish(clock.now);
        let backend = self.backend();
        let figures = &self.figures;
        let number = |cell: &Cell| Json::from(cell.get());
        let process = &self.process;
        let workers: Vec<_> = self
            .ports
            .door()
            .workers()
            .zip(&figures.queues)
            .enumerate()
            .map(|(id, (worker, queues))| {
                let (own, packets) = (worker.stats(), worker.totals());
                let forwarded: u64 = packets
                    .interfaces
                    .iter()
                    .map(InterfaceStats::forwarded)
                    .sum();
                let dropped: u64 = packets.interfaces.iter().map(InterfaceStats::dropped).sum();
                json!({
                    "id": id,
                    "backend": worker.backend().as_str(),
                    "ports": number(&own.ports),
                    "flows": number(&packets.flows),
                    "received": number(&packets.received.packets),
                    "forwarded": forwarded,
                    "dropped": dropped + packets.unassigned.dropped(),
                    "commands": number(&queues.commands),
                    "events": number(&queues.events),
                })
            })
            .collect();
        let mut drops = Drops::default();
        for worker in self.ports.door().workers() {
            drops.add(&worker.totals());
        }
        let (load, refusing) = self.load();
        let ports = |cell: fn(&crate::figures::PortFigures) -> &Cell| -> u64 {
            figures.ports.iter().map(|ports| cell(ports).get()).sum()
        };
        json!({
            "name": "patchcord",
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "uptime": clock.now.since(process.started.now).as_secs(),
            "started": process.started.wall_secs(),
            "draining": self.control.is_draining(),
            "exit-when-drained": process.config.process.exit_when_drained,
            "refusing": refusing.map(LoadLimit::as_str),
            "load": {"average": load.average, "cpu": load.cpu, "bandwidth": load.bandwidth},
            "config": process.file.as_ref().map(|file| file.display().to_string()),
            "backend": backend,
            "steer": format!("{} ({})", process.steering.how, process.steering.why),
            "workers": workers,
            "drops": drops.json(),
            "calls": number(&figures.calls),
            "deleting": number(&figures.deleting),
            "legs": number(&figures.legs),
            "sections": number(&figures.sections),
            "created": number(&figures.created),
            "refused": number(&figures.refused),
            "ports": {
                "leased": ports(|p| &p.leased),
                "free": ports(|p| &p.free),
                "resting": ports(|p| &p.resting),
                "aside": ports(|p| &p.aside),
            },
            "cookies": {"kept": number(&figures.kept), "bytes": number(&figures.kept_bytes)},
            "descriptors": process.descriptors,
            "log-level": process.log.level().number(),
        })
    }

    fn interfaces(&self, now: Time) -> Json {
        let one = |(index, i): (usize, &Interface)| {
            let counts = self.ports.counts(now, index);
            json!({
                "name": i.name,
                "aliases": i.aliases,
                "address": i.address,
                "advertised": i.advertised,
                "port-min": i.range.min,
                "port-max": i.range.max,
                "ports": {
                    "total": counts.total,
                    "leased": counts.leased,
                    "free": counts.free(),
                    "resting": counts.resting,
                    "aside": counts.aside,
                },
            })
        };
        let all: Vec<_> = self
            .process
            .config
            .interfaces
            .iter()
            .enumerate()
            .map(one)
            .collect();
        let attached = |attached: &Attached| {
            json!({
                "device": attached.interface,
                "hook": attached.hook.map_or("none", Hook::as_str),
                "why": attached.why,
            })
        };
        let offload: Vec<_> = self.process.attached.iter().map(attached).collect();
        let Chosen { how, why } = &self.process.steering;
        let steer = json!({"how": how.as_str(), "why": why});
        let lane = |(worker, lane): &(usize, LaneReport)| {
            json!({
                "device": lane.interface,
                "queue": lane.queue,
                "worker": worker,
                "mode": mode(lane),
            })
        };
        let lanes: Vec<_> = self.process.lanes.iter().map(lane).collect();
        json!({"interfaces": all, "offload": offload, "steer": steer, "lanes": lanes})
    }

    /// How the workers do their input and output.
    fn backend(&mut self) -> &'static str {
        let first = self.ports.door().workers().next();
        first.map_or("none", |worker| worker.backend().as_str())
    }

    fn interfaces_text(&self, now: Time) -> String {
        let mut text = String::new();
        for (index, i) in self.process.config.interfaces.iter().enumerate() {
            let counts = self.ports.counts(now, index);
            let advertised = if i.advertised == i.address {
                String::new()
            } else {
                format!(" advertised as {}", i.advertised)
            };
            let _infallible = writeln!(
                text,
                "{}: {}{advertised}, ports {}-{}, {} leased, {} free, {} resting",
                i.name,
                i.address,
                i.range.min,
                i.range.max,
                counts.leased,
                counts.free(),
                counts.resting
            );
        }
        for attached in &self.process.attached {
            let hook = attached.hook.map_or("none", Hook::as_str);
            let _infallible = writeln!(
                text,
                "offload on {}: {hook} ({})",
                attached.interface, attached.why
            );
        }
        let Chosen { how, why } = &self.process.steering;
        let _infallible = writeln!(text, "steering: {how} ({why})");
        for (worker, lane) in &self.process.lanes {
            let (device, queue, mode) = (&lane.interface, lane.queue, mode(lane));
            let _infallible = writeln!(
                text,
                "xsk on {device}: queue {queue} to worker {worker}, {mode}"
            );
        }
        text
    }
}
/// How packets get from a queue into a worker's memory.
fn mode(lane: &LaneReport) -> &'static str {
    if lane.is_zero_copy {
        "zero copy"
    } else {
        "copy"
    }
}
