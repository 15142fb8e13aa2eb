//! `GET /metrics`: the counters of workers and control loop in Prometheus' text format.
//!
//! Nothing is counted here. Each scrape reads the cells that the workers and the control loop write.

mod family;
mod handshakes;
mod process;

use std::collections::HashMap;
use std::sync::Arc;

use patchcord_contract::Reason;
use patchcord_control::EndReason;
use patchcord_engine::WorkerStats;
use patchcord_media::offload::WhyNot;
use patchcord_media::stats::Cell;
use patchcord_media::totals::{BATCH_BOUNDS, InterfaceStats, Proto, WorkerStats as PlaneStats};
use patchcord_wire::ng::Command;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Registry, TextEncoder};

use crate::config::Interface;
use crate::figures::{Figures, LATENCY_BOUNDS, Outcome, PortFigures, QueueFigures, Transport};
use family::Family;

/// A counter of a worker as a thread.
type Own = fn(&WorkerStats) -> &Cell;
/// A counter of a worker's plane.
type Plane = fn(&PlaneStats) -> &Cell;

/// What a worker counts as a thread: name, help, where.
const WORKER_COUNTERS: [(&str, &str, Own); 16] = [
    (
        "turns",
        "Turns of the loop: times a worker waited in the kernel.",
        |w| &w.turns,
    ),
    (
        "sent_packets",
        "Packets given to the kernel to send.",
        |w| &w.sent,
    ),
    ("failed_sends", "Sends that the kernel refused.", |w| {
        &w.send_failed
    }),
    (
        "full_sends",
        "Sends that found a full queue, the kernel's or the worker's own.",
        |w| &w.send_full,
    ),
    (
        "opened_connected_sockets",
        "Sockets connected to a latched peer so far.",
        |w| &w.twins_opened,
    ),
    (
        "failed_connected_sockets",
        "Sockets that could not be connected to a latched peer.",
        |w| &w.twins_failed,
    ),
    ("lowered_flows", "Flows given to the kernel so far.", |w| {
        &w.lowered
    }),
    (
        "raised_flows",
        "Flows taken back from the kernel so far.",
        |w| &w.raised,
    ),
    (
        "refused_commands",
        "Commands that named a port which is not there.",
        |w| &w.commands_refused,
    ),
    (
        "bypassed_packets",
        "Packets received past the kernel's stack.",
        |w| &w.bypassed,
    ),
    ("stale_packets", "Packets for a port being closed.", |w| {
        &w.stale
    }),
    (
        "rearmed_receives",
        "Receives armed again after the kernel ended them.",
        |w| &w.rearmed,
    ),
    (
        "exhausted_receives",
        "Receives ended for want of a buffer.",
        |w| &w.exhausted,
    ),
    (
        "socket_errors",
        "Errors a socket reported, such as refused ports.",
        |w| &w.socket_errors,
    ),
    ("commands", "Commands carried out.", |w| &w.commands),
    (
        "dropped_events",
        "Events dropped because the queue was full.",
        |w| &w.events_dropped,
    ),
];

/// The same for what goes up and down.
const WORKER_GAUGES: [(&str, &str, Own); 5] = [
    ("kernel_flows", "Flows that the kernel carries.", |w| {
        &w.entries
    }),
    ("ports", "Ports open, leased or not.", |w| &w.ports),
    (
        "connected_sockets",
        "Sockets connected to a latched peer.",
        |w| &w.twins,
    ),
    ("buffers", "Packet buffers there are.", |w| &w.buffers),
    ("buffers_out", "Packet buffers in a batch or a send.", |w| {
        &w.buffers_out
    }),
];

/// Everything that is exported.
#[derive(Debug)]
pub struct Relay {
    /// What the control loop counts.
    pub figures: Arc<Figures>,
    /// What each worker counts: as a thread, and its plane.
    pub workers: Vec<(Arc<WorkerStats>, Arc<PlaneStats>)>,
    /// The backend's name.
    pub backend: &'static str,
    /// Unix time at which the process started.
    pub started: f64,
    /// Descriptors the process may open.
    pub descriptors: usize,
}

/// The registry that `/metrics` is written from.
#[derive(Debug)]
pub struct Metrics(Registry);

impl Metrics {
    /// Registers `relay`.
    pub fn new(relay: Relay) -> prometheus::Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(Described::new(relay)?))?;
        Ok(Self(registry))
    }

    /// The text of one scrape.
    pub fn text(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.0.gather())
    }
}

/// A relay and the description that a registry asks for.
struct Described {
    relay: Relay,
    desc: Desc,
}

impl Described {
    fn new(relay: Relay) -> prometheus::Result<Self> {
        let help = "All metrics of the relay.".to_owned();
        let desc = Desc::new("patchcord".to_owned(), help, Vec::new(), HashMap::new())?;
        Ok(Self { relay, desc })
    }
}

impl Collector for Described {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let relay = &self.relay;
        let mut all = relay.traffic();
        all.extend(relay.workers());
        all.extend(relay.calls());
        all.extend(handshakes::families(&relay.figures));
        all.extend(relay.requests());
        all.extend(relay.ports());
        let info = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("backend", relay.backend),
        ];
        all.push(
            Family::gauge(
                "patchcord_build_info",
                "Always 1; version and backend are its labels.",
            )
            .with(&info, 1.0),
        );
        let mut all: Vec<_> = all.into_iter().filter_map(Family::finish).collect();
        all.extend(process::families(relay.started, relay.descriptors));
        all
    }
}

impl Relay {
    /// Every packet received has one verdict; those not forwarded have a reason.
    fn traffic(&self) -> Vec<Family> {
        let mut received = Family::counter(
            "patchcord_received_packets_total",
            "Packets received by a tier, before anything is decided about them.",
        );
        let mut packets = Family::counter(
            "patchcord_packets_total",
            "Packets by verdict. Forwarded ones have a proto, others a reason.",
        );
        let mut bytes = Family::counter(
            "patchcord_bytes_total",
            "Bytes of UDP payload of forwarded packets.",
        );
        let mut failures = Family::counter(
            "patchcord_send_failures_total",
            "Copies of forwarded packets that could not be sent, by reason.",
        );
        let sum = |cell: &dyn Fn(&PlaneStats) -> u64| {
            self.workers
                .iter()
                .map(|(_, plane)| cell(plane))
                .sum::<u64>() as f64
        };
        let tier = ("tier", "worker");
        received.add(&[tier], sum(&|plane| plane.received.packets.get()));
        let none = [
            ("proto", ""),
            ("reason", ""),
            ("interface", ""),
            ("address", ""),
        ];
        let punt = [&[tier, ("verdict", "punt")], &none[..]].concat();
        packets.add(&punt, sum(&|plane| plane.punts.get()));
        let interfaces = self.figures.interfaces.load();
        for place in Place::all(&interfaces) {
            let (index, labels) = (place.index, place.labels());
            let at = |plane: &PlaneStats, of: &dyn Fn(&InterfaceStats) -> u64| -> u64 {
                match index {
                    Some(index) => plane.interfaces.get(index).map_or(0, of),
                    None => of(&plane.unassigned),
                }
            };
            for proto in Proto::ALL.into_iter().filter(|_| index.is_some()) {
                let forwarded = &|i: &InterfaceStats| i.forwarded[proto as usize].packets.get();
                let payload = &|i: &InterfaceStats| i.forwarded[proto as usize].bytes.get();
                let what = [("proto", proto.as_str()), ("reason", "")];
                let how = [&[tier, ("verdict", "forward")], &what[..], &labels].concat();
                packets.add(&how, sum(&|plane| at(plane, forwarded)));
                let how = [&[tier, ("proto", proto.as_str())], &labels[..]].concat();
                bytes.add(&how, sum(&|plane| at(plane, payload)));
            }
            for reason in Reason::ALL {
                let count = sum(&|plane| at(plane, &|i| i.dropped[*reason as usize].get()));
                if reason.is_egress() {
                    let how = [&[tier, ("reason", reason.as_str())], &labels[..]].concat();
                    failures.add(&how, count);
                } else {
                    let what = [("proto", ""), ("reason", reason.as_str())];
                    let how = [&[tier, ("verdict", "drop")], &what[..], &labels].concat();
                    packets.add(&how, count);
                }
            }
        }
        vec![received, packets, bytes, failures]
    }

    fn workers(&self) -> Vec<Family> {
        let own = |mut family: Family, cell: Own| {
            for (id, (own, _)) in self.workers.iter().enumerate() {
                family.add(&[("worker", &id.to_string())], cell(own).get() as f64);
            }
            family
        };
        let plane = |mut family: Family, cell: Plane| {
            for (id, (_, plane)) in self.workers.iter().enumerate() {
                family.add(&[("worker", &id.to_string())], cell(plane).get() as f64);
            }
            family
        };
        let mut all = Vec::new();
        for (name, help, cell) in WORKER_COUNTERS {
            let name = format!("patchcord_worker_{name}_total");
            all.push(own(Family::counter(&name, help), cell));
        }
        for (name, help, cell) in WORKER_GAUGES {
            all.push(own(
                Family::gauge(&format!("patchcord_worker_{name}"), help),
                cell,
            ));
        }
        all.push(plane(
            Family::gauge("patchcord_flows", "Flows programmed."),
            |p| &p.flows,
        ));
        let help = "Flows that a worker carries though a kernel's program runs, by the reason.";
        let mut kept = Family::gauge("patchcord_worker_kept_flows", help);
        for (id, (own, _)) in self.workers.iter().enumerate() {
            let id = id.to_string();
            for (why, cell) in WhyNot::ALL.iter().zip(&own.kept) {
                kept.add(&[("worker", &id), ("why", why.as_str())], cell.get() as f64);
            }
        }
        all.push(kept);
        let help = "Endpoints latched, improvements and moves included.";
        all.push(plane(
            Family::counter("patchcord_latches_total", help),
            |p| &p.latches,
        ));
        all.push(self.queues());
        all.push(self.batches());
        all
    }

    fn queues(&self) -> Family {
        let mut depth = Family::gauge("patchcord_queue_depth", "Entries waiting in a queue.");
        type Depth = fn(&QueueFigures) -> &Cell;
        let cells: [(&str, Depth); 2] = [("commands", |q| &q.commands), ("events", |q| &q.events)];
        for (id, queues) in self.figures.queues.iter().enumerate() {
            for (queue, cell) in cells {
                let labels = [("worker", &*id.to_string()), ("queue", queue)];
                depth.add(&labels, cell(queues).get() as f64);
            }
        }
        depth
    }

    fn batches(&self) -> Family {
        let help = "Packets that a worker took at once.";
        let mut family = Family::histogram("patchcord_batch_packets", help);
        for (id, (_, plane)) in self.workers.iter().enumerate() {
            let counts = plane.batches.each_ref().map(Cell::get);
            let bounds = BATCH_BOUNDS.iter().map(|bound| *bound as f64);
            let sum = plane.received.packets.get() as f64;
            family.add_buckets(&[("worker", &id.to_string())], bounds, &counts, sum);
        }
        family
    }

    fn calls(&self) -> Vec<Family> {
        let figures = &self.figures;
        let gauge = |name: &str, help: &str, cell: &Cell| {
            Family::gauge(name, help).with(&[], cell.get() as f64)
        };
        let counter = |name: &str, help: &str, cell: &Cell| {
            Family::counter(name, help).with(&[], cell.get() as f64)
        };
        let mut ended = Family::counter("patchcord_ended_calls_total", "Calls over, by reason.");
        for reason in EndReason::ALL {
            let count = figures.ended[*reason as usize].get();
            ended.add(&[("reason", reason.as_str())], count as f64);
        }
        let seconds = figures.duration_ms.get() as f64 / 1_000.0;
        vec![
            gauge(
                "patchcord_calls",
                "Calls, deleted ones that still forward included.",
                &figures.calls,
            ),
            gauge(
                "patchcord_deleted_calls",
                "Calls deleted and still forwarding.",
                &figures.deleting,
            ),
            gauge("patchcord_legs", "Legs of all calls.", &figures.legs),
            gauge(
                "patchcord_media_sections",
                "Media sections of all legs.",
                &figures.sections,
            ),
            counter(
                "patchcord_created_calls_total",
                "Calls made by an offer.",
                &figures.created,
            ),
            counter(
                "patchcord_refused_calls_total",
                "Calls refused by a limit.",
                &figures.refused,
            ),
            ended,
            counter(
                "patchcord_one_way_calls_total",
                "Calls over with media in one direction only.",
                &figures.one_way,
            ),
            counter(
                "patchcord_silent_calls_total",
                "Calls over without a packet.",
                &figures.silent,
            ),
            Family::counter(
                "patchcord_call_seconds_total",
                "Time that calls lasted, together.",
            )
            .with(&[], seconds),
            Family::gauge(
                "patchcord_ready",
                "1 if requests are answered and new calls are taken.",
            )
            .with(&[], f64::from(u8::from(figures.is_ready()))),
        ]
    }

    fn requests(&self) -> Vec<Family> {
        let figures = &self.figures;
        let mut requests = Family::counter(
            "patchcord_ng_requests_total",
            "NG requests executed, by command, outcome and transport.",
        );
        let mut latency = Family::histogram(
            "patchcord_ng_request_seconds",
            "From a parsed request to its reply, commands queued, by command.",
        );
        for command in Command::all().map(Some).chain([None]) {
            let word = command.map_or("unknown", Command::as_str);
            let of = figures.command(command);
            for transport in Transport::ALL {
                for outcome in Outcome::ALL {
                    let count = of.requests[transport as usize][outcome as usize].get();
                    let labels = [
                        ("command", word),
                        ("result", outcome.as_str()),
                        ("transport", transport.as_str()),
                    ];
                    if count > 0 {
                        requests.add(&labels, count as f64);
                    }
                }
            }
            let counts = of.latency.buckets.each_ref().map(Cell::get);
            if counts.iter().any(|count| *count > 0) {
                let bounds = LATENCY_BOUNDS.iter().map(|us| *us as f64 / 1e6);
                let sum = of.latency.sum.get() as f64 / 1e9;
                latency.add_buckets(&[("command", word)], bounds, &counts, sum);
            }
        }
        let mut repeated = Family::counter(
            "patchcord_ng_repeated_requests_total",
            "Repeated requests, answered with the bytes given before.",
        );
        for transport in Transport::ALL {
            let count = figures.repeated[transport as usize].get() as f64;
            repeated.add(&[("transport", transport.as_str())], count);
        }
        let mut dropped = Family::counter(
            "patchcord_ng_bad_messages_total",
            "Messages that were no request: without a cookie, or neither bencode nor JSON.",
        );
        dropped.add(
            &[("reason", "no_cookie")],
            figures.without_cookie.get() as f64,
        );
        dropped.add(&[("reason", "malformed")], figures.malformed.get() as f64);
        vec![
            requests,
            latency,
            repeated,
            dropped,
            Family::counter(
                "patchcord_ng_unsent_replies_total",
                "Replies the kernel refused.",
            )
            .with(&[], figures.unsent.get() as f64),
            Family::gauge(
                "patchcord_ng_kept_replies",
                "Replies kept for repeated requests.",
            )
            .with(&[], figures.kept.get() as f64),
            Family::gauge("patchcord_ng_kept_bytes", "Memory of the replies kept.")
                .with(&[], figures.kept_bytes.get() as f64),
        ]
    }

    fn ports(&self) -> Vec<Family> {
        let mut ports = Family::gauge("patchcord_ports", "Local ports by interface and state.");
        let mut failures = Family::counter(
            "patchcord_port_failures_total",
            "Ports that could not be opened, for instance because another process holds them.",
        );
        type Count = fn(&PortFigures) -> &Cell;
        let states: [(&str, Count); 4] = [
            ("leased", |p| &p.leased),
            ("free", |p| &p.free),
            ("resting", |p| &p.resting),
            ("aside", |p| &p.aside),
        ];
        let interfaces = self.figures.interfaces.load();
        for place in Place::all(&interfaces) {
            let (index, labels) = (place.index, place.labels());
            let Some(figures) = index.map(|index| &self.figures.ports[index]) else {
                continue;
            };
            for (state, cell) in states {
                let how = [&[("state", state)], &labels[..]].concat();
                ports.add(&how, cell(figures).get() as f64);
            }
            failures.add(&labels, figures.failures.get() as f64);
        }
        vec![ports, failures]
    }
}

/// Whose counters a series reads, and how it says so.
struct Place {
    /// The interface, or what belongs to none.
    index: Option<usize>,
    name: String,
    address: String,
}

impl Place {
    /// All interfaces, and the place of packets that arrived at a port without a flow.
    fn all(interfaces: &[Interface]) -> impl Iterator<Item = Self> {
        let one = |(index, i): (usize, &Interface)| Self {
            index: Some(index),
            name: i.name.clone(),
            address: i.address.to_string(),
        };
        let none = Self {
            index: None,
            name: String::new(),
            address: String::new(),
        };
        interfaces.iter().enumerate().map(one).chain([none])
    }

    fn labels(&self) -> [(&'static str, &str); 2] {
        [("interface", &self.name), ("address", &self.address)]
    }
}

#[cfg(test)]
mod tests;
