//! One request after the other: from bytes to the reply's bytes, with everything it does in between.
//!
//! cookie (a repeated request is answered with the kept bytes) → dictionary → typed request → control →
//! commands queued to the workers → reply written and kept. The reply leaves after this returns.

use std::sync::Arc;

use patchcord_contract::Time;
use patchcord_control::{Clock, Control, Ended, LoadLimit, Outcome, cli_reply};
use patchcord_engine::monotonic;
use patchcord_media::flow;
use patchcord_wire::ng::{self, EnvelopeError, Format, Reply, Request, Templates};
use patchcord_wire::value::{Limits, Value};

use super::cache::Cache;
use super::mailbox::{Answer, Ask};
use super::process::Process;
use crate::clock;
use crate::crew::Crew;
use crate::figures::{self, Figures, Transport};
use crate::handshakes::Handshakes;
use crate::load::{Load, Sample};
use crate::ports::Pool;

/// Everything that requests act on.
#[derive(Debug)]
pub struct Handler {
    /// The calls.
    pub control: Control,
    /// The ports, and behind them the workers.
    pub ports: Pool<Crew>,
    /// The replies given.
    pub cache: Cache,
    /// What is counted.
    pub figures: Arc<Figures>,
    /// What is about the process and not about calls.
    pub process: Process,
    /// Flag strings that requests can name.
    pub templates: Arc<Templates>,
    /// Decided and not queued yet; empty between requests.
    commands: Vec<flow::Command>,
    /// Handshakes, and who runs them.
    pub handshakes: Handshakes,
    /// Whether new calls are refused because a worker is behind.
    behind: bool,
    load: Load,
    /// The limit for which new calls are refused because the machine is busy.
    busy: Option<LoadLimit>,
}

impl Handler {
    /// Puts the parts together.
    pub fn new(
        control: Control,
        ports: Pool<Crew>,
        cache: Cache,
        figures: Arc<Figures>,
        process: Process,
        handshakes: Handshakes,
    ) -> Self {
        Self {
            control,
            ports,
            cache,
            figures,
            templates: Arc::new(process.config.templates.clone()),
            process,
            commands: Vec::new(),
            handshakes,
            behind: false,
            load: Load::default(),
            busy: None,
        }
    }

    /// Handles a message with its cookie. Appends the reply to `out`; `false` if there is none.
    pub fn unit(&mut self, transport: Transport, message: &[u8], out: &mut Vec<u8>) -> bool {
        let Some((cookie, payload)) = ng::split(message) else {
            self.figures.without_cookie.add(1);
            tracing::debug!(len = message.len(), "message without a cookie dropped");
            return false;
        };
        let key = self.cache.key(cookie, payload);
        if let Some(kept) = self.cache.get(&key) {
            out.extend_from_slice(kept);
            self.figures.repeated[transport as usize].add(1);
            return true;
        }
        let start = out.len();
        match ng::parse(message) {
            Ok(envelope) => {
                let now = self.dictionary(
                    transport,
                    Some(cookie),
                    envelope.format,
                    &envelope.body,
                    out,
                );
                self.cache.put(now, &key, &out[start..]);
                true
            }
            Err(EnvelopeError::NoCookie) => false,
            Err(EnvelopeError::Malformed {
                cookie,
                format,
                cause,
            }) => {
                self.figures.malformed.add(1);
                Reply::error(cause.reason()).write(Some(cookie), format, out);
                true
            }
        }
    }

    /// Answers a question of an edge.
    pub fn ask(&mut self, transport: Transport, ask: &Ask) -> Answer {
        let mut out = Vec::new();
        match ask {
            Ask::Unit(message) => {
                if !self.unit(transport, message, &mut out) {
                    return Answer::Dropped;
                }
                let payload = ng::split(&out).map_or(&out[..], |(_, payload)| payload);
                let format = Format::of(payload).unwrap_or_default();
                Answer::Reply(out, format)
            }
            Ask::Plain(payload) => match ng::parse_plain(payload, Limits::REQUEST) {
                Ok((format, body)) => {
                    self.dictionary(transport, None, format, &body, &mut out);
                    Answer::Reply(out, format)
                }
                Err((format, cause)) => {
                    self.figures.malformed.add(1);
                    Reply::error(cause.reason()).write(None, format, &mut out);
                    Answer::Reply(out, format)
                }
            },
            Ask::Line(line) => Answer::Text(self.line(transport, line)),
            Ask::Refresh => {
                self.publish(monotonic());
                Answer::Done
            }
        }
    }

    /// Hands waiting events of `worker` to control, at most `bound` of them.
    pub fn events(&mut self, worker: usize, bound: usize) {
        let clock = clock::read();
        for _ in 0..bound {
            let Some(event) = self.ports.door().event(worker) else {
                break;
            };
            self.control.event(clock, &event, &mut self.commands);
        }
        self.submit();
    }

    /// Hands waiting events of handshakes to control, at most `bound` of them.
    pub fn handshake_events(&mut self, bound: usize) {
        let clock = clock::read();
        let (control, commands) = (&mut self.control, &mut self.commands);
        self.handshakes.events(clock, bound, control, commands);
        self.submit();
    }

    /// Replaces the certificate that new handshakes show, if its time has come.
    pub fn renew(&mut self) {
        let now = clock::read().wall_secs();
        if let Err(error) = self.handshakes.identify(now, &mut self.control) {
            tracing::error!(%error, "no new certificate, the old one stays");
        }
    }

    /// Ends everything: handshakes say goodbye, then the workers stop.
    pub fn stop(mut self) -> std::io::Result<()> {
        let clock = clock::read();
        self.handshakes
            .stop(clock, &mut self.control, &mut self.commands);
        self.ports.door().submit(&mut self.commands);
        self.ports.door().wake();
        self.ports.into_door().stop()
    }

    /// Ends what is over and forgets what is old.
    pub fn tick(&mut self) {
        let clock = clock::read();
        for ended in self
            .control
            .tick(clock, &mut self.ports, &mut self.commands)
        {
            let Ended {
                id,
                reason,
                duration,
            } = ended;
            tracing::info!(call_id = %id, reason = reason.as_str(), ?duration, "call over");
        }
        self.submit();
        self.cache.tick(clock.now);
    }

    /// Lets agents do what is due.
    pub fn pulse(&mut self) {
        self.control.pulse(clock::read(), &mut self.commands);
        self.submit();
    }

    /// When [`Self::pulse`] has something to do.
    pub fn next_pulse(&self) -> Option<Time> {
        self.control.next_pulse()
    }

    /// When [`Self::tick`] has something to do.
    pub fn next_due(&self) -> Option<Time> {
        self.control.next_due()
    }

    /// Wakes the workers for what was queued. Replies leave after this.
    pub fn wake(&mut self) {
        self.ports.door().wake();
    }

    /// Queues what was decided; says so to control when a worker falls behind or catches up.
    pub fn submit(&mut self) {
        let crew = self.ports.door();
        crew.submit(&mut self.commands);
        self.handshakes.submit(&mut self.control);
        let behind = !crew.has_room();
        if behind != self.behind {
            self.behind = behind;
            self.refuse();
            if behind {
                tracing::warn!("a worker is behind with its commands: no new calls");
            } else {
                tracing::info!("all workers keep up: new calls are taken");
            }
        }
    }

    /// Measures how busy the machine is; says so to control when a limit is exceeded or kept again.
    pub fn measure(&mut self, now: Time) {
        let workers = self.ports.door().workers();
        let bytes = workers.map(|w| w.totals().received.bytes.get()).sum();
        let limits = &self.process.config.limits;
        let sample = self.load.measure(now, bytes, limits);
        let busy = sample.exceeds(limits);
        if busy == self.busy {
            return;
        }
        self.busy = busy;
        self.refuse();
        if let Some(limit) = busy {
            tracing::warn!(limit = limit.as_str(), ?sample, "busy: no new calls");
        } else {
            tracing::info!(?sample, "busy no more: new calls are taken");
        }
    }

    /// How busy the machine was last, and the limit that new calls are refused for.
    pub fn load(&self) -> (Sample, Option<LoadLimit>) {
        let behind = self.behind.then_some(LoadLimit::Load);
        (self.load.sample(), behind.or(self.busy))
    }

    fn refuse(&mut self) {
        let (_, limit) = self.load();
        self.control.refuse(limit);
    }

    /// Whether a worker is behind with its commands.
    pub fn is_behind(&self) -> bool {
        self.behind
    }

    /// Brings all figures up to `now`.
    pub fn publish(&mut self, now: Time) {
        self.ports.door().look_around(now);
        let figures = &self.figures;
        let gauges = self.control.gauges();
        figures.calls.set(gauges.calls as u64);
        figures.deleting.set(gauges.deleting as u64);
        figures.legs.set(gauges.legs as u64);
        figures.sections.set(gauges.sections as u64);
        let totals = self.control.totals();
        figures.created.set(totals.calls);
        figures.refused.set(totals.refused);
        for (cell, ended) in figures.ended.iter().zip(&totals.ended) {
            cell.set(*ended);
        }
        figures.one_way.set(totals.one_way);
        figures.silent.set(totals.silent);
        let ice = &totals.ice;
        figures.ice_took.set(&ice.took);
        figures.dtls_took.set(&totals.dtls.took);
        self.handshakes.publish(figures);
        let outcomes = [ice.connected, ice.failed, ice.lost, ice.conflicts];
        for (cell, count) in figures.ice.iter().zip(outcomes) {
            cell.set(count);
        }
        figures.duration_ms.set(totals.duration.as_millis() as u64);
        figures.kept.set(self.cache.len() as u64);
        figures.kept_bytes.set(self.cache.bytes() as u64);
        for (index, ports) in figures
            .ports
            .iter()
            .enumerate()
            .take(self.ports.interfaces())
        {
            let counts = self.ports.counts(now, index);
            ports.leased.set(counts.leased as u64);
            ports.free.set(counts.free() as u64);
            ports.resting.set(counts.resting as u64);
            ports.aside.set(counts.aside as u64);
            ports.failures.set(counts.failures);
        }
        for (queues, depths) in figures.queues.iter().zip(self.ports.door().depths()) {
            queues.commands.set(depths.commands as u64);
            queues.events.set(depths.events as u64);
        }
        figures.set_state(true, self.control.is_draining());
    }

    /// Executes one dictionary; the moment it began is returned.
    fn dictionary(
        &mut self,
        transport: Transport,
        cookie: Option<&[u8]>,
        format: Format,
        body: &Value<'_>,
        out: &mut Vec<u8>,
    ) -> Time {
        let clock = clock::read();
        let templates = Arc::clone(&self.templates);
        let (request, warnings) = Request::parse_with(body, &templates);
        let (command, reply) = match &request {
            Ok(request) => (
                Some(request.command()),
                self.execute(clock, request, &warnings),
            ),
            Err(error) => (None, Reply::error(error.reason())),
        };
        self.submit();
        reply.write(cookie, format, out);
        let outcome = match &reply {
            Reply::Pong | Reply::Ok { .. } => figures::Outcome::Ok,
            Reply::Error(_) => figures::Outcome::Error,
            Reply::LoadLimit(_) => figures::Outcome::LoadLimit,
        };
        let took = monotonic().since(clock.now);
        self.figures.request(command, transport, outcome, took);
        clock.now
    }

    fn execute(
        &mut self,
        clock: Clock,
        request: &Request<'_>,
        warnings: &ng::Warnings,
    ) -> Reply<'static> {
        if let (Request::Delete(_) | Request::Query(_), Some(call_id)) =
            (request, request.call_id())
        {
            self.ports.door().catch_up(self.control.ports_of(call_id));
        }
        let (ports, commands) = (&mut self.ports, &mut self.commands);
        match self
            .control
            .request(clock, request, warnings, ports, commands)
        {
            Outcome::Reply(reply) => reply,
            Outcome::Process(command) => match self.command(clock, &command) {
                Ok(text) => cli_reply(text),
                Err(text) => Reply::error(text),
            },
        }
    }

    /// Runs a command line and returns its text, as the CLI edges show it.
    fn line(&mut self, transport: Transport, line: &[u8]) -> Vec<u8> {
        let clock = clock::read();
        let request = Request::Cli(line.into());
        let reply = self.execute(clock, &request, &ng::Warnings::new());
        self.submit();
        let (outcome, text) = match reply {
            Reply::Ok { extra, .. } => {
                let entries = extra.entries();
                let text = entries
                    .get("response")
                    .and_then(Value::as_bytes)
                    .unwrap_or_default();
                (figures::Outcome::Ok, text.to_vec())
            }
            Reply::Error(reason) => (figures::Outcome::Error, format!("{reason}\n").into_bytes()),
            Reply::LoadLimit(reason) => (
                figures::Outcome::LoadLimit,
                format!("{reason}\n").into_bytes(),
            ),
            Reply::Pong => (figures::Outcome::Ok, b"pong\n".to_vec()),
        };
        let took = monotonic().since(clock.now);
        self.figures
            .request(Some(ng::Command::Cli), transport, outcome, took);
        text
    }
}
