//! A worker's flows and what they do with a batch of packets.

use std::sync::Arc;

use patchcord_contract::{Class, Endpoint, Reason, Time, classify};

use crate::flow::{Accepts, Command, PortId, Stranger};
use crate::outbox::Outbox;
use crate::packet::Rx;
use crate::table::Table;
use crate::totals::{Proto, WorkerStats};
use crate::verdict::Verdict;

/// The flows of one worker. Safe, deterministic, and driven from outside: time is an argument.
#[derive(Debug)]
pub struct Plane {
    worker: u8,
    table: Table,
    totals: Arc<WorkerStats>,
}

impl Plane {
    /// A plane without flows, for the worker's ports on `interfaces` configured interfaces.
    pub fn new(worker: u8, interfaces: usize) -> Self {
        let totals = Arc::new(WorkerStats::new(interfaces));
        Self {
            worker,
            table: Table::default(),
            totals,
        }
    }

    /// The worker's counters, to be read from any thread.
    pub fn stats(&self) -> Arc<WorkerStats> {
        Arc::clone(&self.totals)
    }

    /// Does what control says. A command for another worker's port is ignored.
    pub fn command(&mut self, _now: Time, command: Command) {
        debug_assert_eq!(
            command.port().worker(),
            self.worker,
            "commands go to the port's worker"
        );
        if command.port().worker() != self.worker {
            return;
        }
        match command {
            Command::Set(spec) => self.table.set(spec),
            Command::Clear(port) => self.table.clear(port),
        }
        self.totals.flows.set(self.table.len() as u64);
    }

    /// Decides about each packet of a batch: every one gets exactly one verdict.
    pub fn process<O: Outbox>(&mut self, now: Time, batch: &mut [Rx<'_>], out: &mut O) {
        self.totals.count_batch(batch.len());
        for (index, rx) in batch.iter_mut().enumerate() {
            self.totals.received.count(rx.packet.len());
            let verdict = self.one(now, index, rx, out);
            self.count(rx, verdict);
        }
    }

    /// Where packets leaving from `port` go, once the flow there no longer learns: the endpoint that
    /// a socket may be connected to. A connected socket hears no strangers, so unless
    /// [`Self::stranger`] is [`Stranger::Drop`] an unconnected one has to stand beside it.
    pub fn peer(&self, port: PortId) -> Option<Endpoint> {
        let advertised = self.table.get(port)?.spec.admission.advertised;
        advertised.is_sendable().then_some(advertised)
    }

    /// What a stranger's packet does at `port`.
    pub fn stranger(&self, port: PortId) -> Option<Stranger> {
        Some(self.table.get(port)?.spec.admission.stranger)
    }

    /// The TOS byte of what leaves from `port`.
    pub fn tos(&self, port: PortId) -> Option<u8> {
        Some(self.table.get(port)?.spec.tos)
    }

    /// Ends learning windows that are over. To be called about every 100 ms.
    pub fn tick<O: Outbox>(&mut self, _now: Time, _out: &mut O) {}

    /// Counts a packet that [`Outbox`] was given and that did not leave from `via` after all,
    /// because of an egress reason ([`Reason::is_egress`]).
    pub fn unsent(&mut self, via: PortId, reason: Reason) {
        debug_assert!(reason.is_egress(), "{reason} is about packets received");
        let flow = self.table.get(via);
        if let Some(flow) = flow {
            flow.spec.stats.drop_one(reason);
        }
        let interface = flow.map(|f| f.spec.interface);
        self.totals.interface(interface).dropped[reason as usize].add(1);
    }

    fn one<O: Outbox>(&self, now: Time, index: usize, rx: &Rx<'_>, out: &mut O) -> Verdict {
        let Some(flow) = self.table.get(rx.port) else {
            return Verdict::of(Reason::NoFlow);
        };
        let spec = &flow.spec;
        let proto = match (spec.accepts, classify(rx.packet.bytes())) {
            (Accepts::Opaque, _) => Proto::Opaque,
            (Accepts::Rtp | Accepts::Muxed, Class::Rtp) => Proto::Rtp,
            (_, Class::Rtcp) => Proto::Rtcp,
            (_, _) => return Verdict::of(Reason::NotRtp),
        };
        let (count, sinks) = match proto {
            Proto::Rtcp => (&spec.stats.rtcp_in, &spec.rtcp),
            Proto::Rtp | Proto::Opaque => (&spec.stats.rtp_in, &spec.rtp),
        };
        spec.stats.last_packet.set(now.0);
        count.count(rx.packet.len());
        let Some(sink) = sinks.first() else {
            return Verdict::of(Reason::NoSink);
        };
        let Some(to) = self.peer(sink.via) else {
            return Verdict::of(Reason::NoPeer);
        };
        out.forward(index, rx.packet.len(), sink.via, to);
        Verdict::Forward
    }

    fn count(&self, rx: &Rx<'_>, verdict: Verdict) {
        let flow = self.table.get(rx.port);
        let totals = self.totals.interface(flow.map(|f| f.spec.interface));
        match verdict {
            Verdict::Forward => totals.forwarded[Proto::Rtp as usize].count(rx.packet.len()),
            Verdict::Punt => self.totals.punts.add(1),
            Verdict::Drop(reason) | Verdict::Consume(reason) => {
                totals.dropped[reason as usize].add(1);
            }
        }
    }
}
