//! The way in: requests, events and time change calls; replies and commands come out.

use std::collections::VecDeque;
use std::time::Duration;

use patchcord_contract::Time;
use patchcord_media::flow::{Command, Event, PortId, PuntClass, Side};
use patchcord_wire::ids::{Branch, CallId, Tag};
use patchcord_wire::ng::{
    self, Delete, Flag, LoadLimitReply, OfferAnswer, Reply, Request, Warnings, reason,
};
use patchcord_wire::sdp::{AttrKind, Sdp};
use patchcord_wire::value::{Dict, Value};
use tracing::{debug, info, warn};

use crate::call::{Call, Exchange, Fate, LegId, Scope, Section, Tenure, Transport, delete_scope};
use crate::calls::{CallKey, Calls};
use crate::dtls::{self, Handshakes};
use crate::error::CallError;
use crate::fragment::Waiting;
use crate::negotiate::{Committed, Draft, Message, Notes, answer, offer};
use crate::ports::Ports;
use crate::quality::{self, Mode};
use crate::random::Random;
use crate::timeouts::{self, Look};
use crate::{
    Clock, EndReason, Ended, Gauges, LoadLimit, Outcome, Seed, Settings, Totals, cli, compile,
    query, reconcile, statistics,
};

/// All calls, and everything that can happen to them.
#[derive(Debug)]
pub struct Control {
    pub(crate) settings: Settings,
    pub(crate) calls: Calls,
    pub(crate) totals: Totals,
    pub(crate) random: Random,
    /// Refusal of new calls from outside.
    refusal: Option<LoadLimit>,
    /// No new calls: the relay empties.
    draining: Draining,
    /// Fragments that overtook what they belong to.
    pub(crate) fragments: VecDeque<Waiting>,
    /// Handshakes of all calls.
    pub(crate) handshakes: Handshakes,
    /// Our mark in SDP, hexadecimal.
    mark: [u8; 12],
}

/// Whether new calls are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Draining {
    No,
    Yes,
}

/// A reply or why there is none.
type Answered = Result<Reply<'static>, CallError>;

impl Control {
    /// No calls. Keys follow from `seed`, and the mark by which this relay knows its own SDP.
    pub fn new(settings: Settings, seed: &Seed) -> Self {
        let mut random = Random::new(seed);
        let mark = random.mark();
        Self {
            random,
            settings,
            calls: Calls::default(),
            totals: Totals::default(),
            fragments: VecDeque::new(),
            handshakes: Handshakes::default(),
            refusal: None,
            draining: Draining::No,
            mark,
        }
    }

    /// Handles one request. The commands have to be queued to the workers before the reply leaves.
    pub fn request(
        &mut self,
        clock: Clock,
        request: &Request<'_>,
        warnings: &Warnings,
        ports: &mut impl Ports,
        commands: &mut Vec<Command>,
    ) -> Outcome {
        let form = match request {
            Request::Offer(message) | Request::Answer(message) => message.load_limit,
            Request::Ping
            | Request::Delete(_)
            | Request::Query(_)
            | Request::List { .. }
            | Request::Statistics
            | Request::Cli(_)
            | Request::Unsupported(_) => LoadLimitReply::Error,
        };
        let answered = match request {
            Request::Ping => Ok(Reply::Pong),
            Request::Offer(message) => self.offer(clock, message, ports, commands),
            Request::Answer(message) => self.answer(clock, message, ports, commands),
            Request::Delete(delete) => self.delete(clock, delete, ports, commands),
            Request::Query(query) => self.query(clock, query),
            Request::List { limit } => Ok(self.list(*limit)),
            Request::Statistics => Ok(statistics::reply(self, clock)),
            Request::Cli(line) => return cli::run(self, clock, line, ports, commands),
            Request::Unsupported(command) => Ok(Reply::error(ng::error::unsupported(*command))),
        };
        let reply = answered.unwrap_or_else(|error| {
            let call_id = request.call_id().unwrap_or_default().escape_ascii();
            info!(%call_id, command = request.command().as_str(), %error, "request refused");
            error.reply(form)
        });
        Outcome::Reply(warned(reply, warnings))
    }

    /// Takes note of what a worker says.
    pub fn event(&mut self, clock: Clock, event: &Event, commands: &mut Vec<Command>) {
        match *event {
            Event::Latched {
                port,
                peer,
                epoch,
                settled,
                ..
            } => {
                let Some(call) = self.call_at(port) else {
                    return;
                };
                let id = call.id.clone();
                let sections = call.legs.iter_mut().flat_map(|leg| &mut leg.sections);
                let transports = sections.flat_map(Section::transports_mut);
                let own = transports.filter(|transport| transport.tenure == Tenure::Own);
                let mut components = own.flat_map(Transport::components_mut);
                let component = components.find(|component| component.id() == port);
                if let Some(component) = component.filter(|known| known.epoch == epoch) {
                    component.latched = Some(peer);
                    debug!(call_id = %id, port = component.port.port, %peer, settled, "latched");
                }
            }
            Event::Unauthentic { port, cause, .. } => {
                if let Some(call) = self.call_at(port) {
                    let cause = cause.as_str();
                    warn!(call_id = %call.id, cause, "no SRTP packet authenticates, all are dropped");
                }
            }
            Event::KeyExpired { port, side, .. } => {
                if let Some(call) = self.call_at(port) {
                    let side = match side {
                        Side::Receive => "received",
                        Side::Send => "sent",
                    };
                    warn!(call_id = %call.id, side, "an SRTP key is used up, packets dropped");
                }
            }
            Event::Punted {
                port,
                source,
                class: PuntClass::Stun,
                ref bytes,
                ..
            } => self.stun(clock, port, source, bytes, commands),
            Event::Punted {
                port,
                source,
                class: PuntClass::Dtls,
                ref bytes,
                ..
            } => self.dtls(clock, port, source, bytes),
            Event::Looped { port, .. } => {
                if let Some(call) = self.call_at(port) {
                    warn!(call_id = %call.id, "media loops, packets dropped");
                }
            }
        }
    }

    /// Does what is due: ends calls whose time is over, samples the quality of the others.
    pub fn tick(
        &mut self,
        clock: Clock,
        ports: &mut impl Ports,
        commands: &mut Vec<Command>,
    ) -> Vec<Ended> {
        let mut ended = Vec::new();
        while let Some(key) = self.calls.pop_due(clock.now) {
            let Some(call) = self.calls.get_mut(key) else {
                continue;
            };
            match timeouts::look(call, &self.settings.timeouts, clock.now) {
                Look::Over(reason) => ended.extend(self.end(clock, key, reason, ports, commands)),
                Look::Again(due) => {
                    quality::sample(call, clock, Mode::Regular);
                    self.calls.schedule(key, due);
                }
            }
        }
        ended
    }

    /// When [`Self::tick`] has something to do next.
    pub fn next_due(&self) -> Option<Time> {
        self.calls.next_due()
    }

    /// Replaces the settings. Live calls keep what was decided; timeouts apply to them at once.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// The settings in force.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Refuses new calls, or takes them again: the process knows its load, calls do not.
    pub fn refuse(&mut self, limit: Option<LoadLimit>) {
        self.refusal = limit;
    }

    /// Stops or resumes taking new calls.
    pub fn drain(&mut self, on: bool) {
        let wanted = if on { Draining::Yes } else { Draining::No };
        if self.draining != wanted {
            self.draining = wanted;
            warn!(draining = on, "new calls");
        }
    }

    /// Whether new calls are refused so that the relay empties.
    pub fn is_draining(&self) -> bool {
        self.draining == Draining::Yes
    }

    /// What happened since start.
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The ports that the workers have flows of this call at.
    pub fn ports_of(&self, call_id: &[u8]) -> impl Iterator<Item = PortId> {
        let call = self.calls.find(call_id).and_then(|key| self.calls.get(key));
        call.into_iter()
            .flat_map(|call| call.flows.iter().map(|spec| spec.port))
    }

    /// What there is now.
    pub fn gauges(&self) -> Gauges {
        let mut gauges = Gauges {
            calls: self.calls.len(),
            ports: self.calls.ports(),
            ..Gauges::default()
        };
        for (_, call) in self.calls.iter() {
            gauges.deleting += usize::from(matches!(call.fate, Fate::Deleted { .. }));
            gauges.legs += call.legs.len();
            gauges.sections += call
                .legs
                .iter()
                .map(|leg| leg.sections.len())
                .sum::<usize>();
        }
        gauges
    }

    fn offer(
        &mut self,
        clock: Clock,
        request: &OfferAnswer<'_>,
        ports: &mut impl Ports,
        commands: &mut Vec<Command>,
    ) -> Answered {
        if request.flags.has(Flag::Fragment) {
            return Ok(self.fragment(clock, request, commands));
        }
        if request.flags.has(Flag::LoopProtect) && self.is_own(&request.sdp) {
            return Ok(Reply::sdp(request.sdp.to_vec()));
        }
        let key = self.calls.find(&request.call_id);
        let call = match key.and_then(|key| self.calls.get(key)) {
            Some(call) => call.clone(),
            None => self.new_call(clock, &request.call_id)?,
        };
        let message = Message {
            request,
            clock,
            turn: self.totals.calls,
            mark: &self.mark,
        };
        let mut draft = Draft::new(
            call,
            &self.settings,
            self.handshakes.identity.clone(),
            clock.now,
            &mut self.random,
            ports,
        );
        draft.call.signalled = clock;
        draft.call.fate = Fate::Alive;
        match offer(&mut draft, message) {
            Ok(body) => {
                let committed = draft.commit();
                Ok(self.commit(clock, key, committed, body, commands))
            }
            Err(error) => {
                draft.abandon();
                Err(error)
            }
        }
    }

    fn answer(
        &mut self,
        clock: Clock,
        request: &OfferAnswer<'_>,
        ports: &mut impl Ports,
        commands: &mut Vec<Command>,
    ) -> Answered {
        if request.flags.has(Flag::Fragment) {
            return Ok(self.fragment(clock, request, commands));
        }
        let key = self
            .calls
            .find(&request.call_id)
            .ok_or(CallError::UnknownCall)?;
        let call = self.calls.get(key).ok_or(CallError::UnknownCall)?.clone();
        let message = Message {
            request,
            clock,
            turn: self.totals.calls,
            mark: &self.mark,
        };
        let mut draft = Draft::new(
            call,
            &self.settings,
            self.handshakes.identity.clone(),
            clock.now,
            &mut self.random,
            ports,
        );
        draft.call.signalled = clock;
        match answer(&mut draft, message) {
            Ok(body) => {
                let committed = draft.commit();
                Ok(self.commit(clock, Some(key), committed, body, commands))
            }
            Err(error) => {
                draft.abandon();
                Err(error)
            }
        }
    }

    /// A new call, unless none is taken.
    fn new_call(&mut self, clock: Clock, id: &[u8]) -> Result<Call, CallError> {
        let full = self
            .settings
            .max_sessions
            .is_some_and(|most| self.calls.len() >= most);
        let limit = (full || self.is_draining())
            .then_some(LoadLimit::Sessions)
            .or(self.refusal);
        if let Some(limit) = limit {
            self.totals.refused += 1;
            return Err(CallError::Limit(limit));
        }
        Ok(Call::new(
            CallId::new(id).map_err(|_| CallError::BadName)?,
            clock,
        ))
    }

    /// Puts a changed call in place and makes its flows what it wants.
    fn commit(
        &mut self,
        clock: Clock,
        key: Option<CallKey>,
        committed: Committed,
        body: Vec<u8>,
        commands: &mut Vec<Command>,
    ) -> Reply<'static> {
        let Committed {
            mut call,
            leased,
            retired,
            notes,
        } = committed;
        refresh(
            &mut call,
            clock.now,
            &self.settings,
            commands,
            &mut self.handshakes,
        );
        let key = if let Some(key) = key {
            if let Some(place) = self.calls.get_mut(key) {
                *place = call;
            }
            key
        } else {
            info!(call_id = %call.id, "new call");
            self.totals.calls += 1;
            self.calls.insert(call)
        };
        // When something is due may have changed either way: it is looked at with the next tick.
        self.calls.schedule(key, clock.now);
        // A draft may give back what it leased, never lease what it gave back.
        for port in leased {
            self.calls.add_port(port.id, key);
        }
        for port in retired {
            self.calls.remove_port(port.id);
        }
        if !self.fragments.is_empty()
            && let Some(id) = self.calls.get(key).map(|call| call.id.clone())
        {
            self.take_waiting(clock, id.as_bytes(), commands);
        }
        self.heed_agents(clock, key, commands);
        if let Some(call) = self.calls.get(key) {
            let agreed = call
                .dialogues
                .last()
                .is_some_and(|d| d.exchange == Exchange::Established);
            info!(call_id = %call.id, agreed, legs = call.legs.len(), "signalled");
        }
        noted(Reply::sdp(body), &notes)
    }

    fn delete(
        &mut self,
        clock: Clock,
        delete: &Delete<'_>,
        ports: &mut impl Ports,
        commands: &mut Vec<Command>,
    ) -> Answered {
        let tag = |text: &[u8]| Tag::new(text).ok();
        let from = delete.from_tag.as_deref().and_then(tag);
        let to = delete.to_tag.as_deref().and_then(tag);
        let branch = delete
            .via_branch
            .as_deref()
            .and_then(|text| Branch::new(text).ok());
        let found = self.calls.find(&delete.call_id).and_then(|key| {
            let scope = delete_scope(
                self.calls.get(key)?,
                from.as_ref(),
                to.as_ref(),
                branch.as_ref(),
            )?;
            Some((key, scope))
        });
        let Some((key, scope)) = found else {
            if delete.flags.has(Flag::Fatal) {
                return Err(CallError::NotFound);
            }
            return Ok(Reply::ok().with_warning(reason::CALL_NOT_FOUND));
        };
        let reply = self.parting_reply(clock, key, delete);
        match scope {
            Scope::Legs(legs) => self.remove_legs(clock, key, &legs, ports, commands),
            Scope::Call => self.delete_call(clock, key, delete.delay, ports, commands),
        }
        Ok(reply)
    }

    /// The reply to a `delete`: what a query would say, unless it has to be fast.
    fn parting_reply(&mut self, clock: Clock, key: CallKey, delete: &Delete<'_>) -> Reply<'static> {
        let Some(call) = self.calls.get_mut(key) else {
            return Reply::ok();
        };
        if let Some(metadata) = &delete.metadata {
            call.metadata = Some(metadata[..metadata.len().min(4096)].into());
        }
        if delete.flags.has(Flag::Fast) {
            return Reply::ok();
        }
        quality::sample(call, clock, Mode::First);
        Reply::document(query::describe(
            call,
            &self.settings,
            clock,
            &query::Narrow::All,
        ))
    }

    fn delete_call(
        &mut self,
        clock: Clock,
        key: CallKey,
        delay: Option<u32>,
        ports: &mut impl Ports,
        commands: &mut Vec<Command>,
    ) {
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let asked = delay.map(|seconds| Duration::from_secs(u64::from(seconds)));
        let delay = asked
            .or(call.delete_delay)
            .unwrap_or(self.settings.timeouts.delete_delay);
        if delay.is_zero() {
            self.end(clock, key, EndReason::Terminated, ports, commands);
            return;
        }
        let at = match call.fate {
            Fate::Deleted { at } => at.min(clock.now + delay),
            Fate::Alive => clock.now + delay,
        };
        info!(call_id = %call.id, delay = ?delay, "deleted, forwards until then");
        call.fate = Fate::Deleted { at };
        call.signalled = clock;
        self.calls.schedule(key, at);
    }

    /// Ends legs of a call that goes on. Their media ends at once.
    fn remove_legs(
        &mut self,
        clock: Clock,
        key: CallKey,
        legs: &[LegId],
        ports: &mut impl Ports,
        commands: &mut Vec<Command>,
    ) {
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        call.signalled = clock;
        let mut gone = Vec::new();
        for id in legs {
            let leg = call.remove_leg(*id);
            for component in leg.sections.iter().flat_map(Section::components) {
                call.past.add(&component.stats);
            }
            gone.extend(leg.sections.iter().flat_map(Section::own_ports));
        }
        info!(call_id = %call.id, gone = legs.len(), left = call.legs.len(), "legs deleted");
        refresh(
            call,
            clock.now,
            &self.settings,
            commands,
            &mut self.handshakes,
        );
        for port in gone {
            self.calls.remove_port(port.id);
            ports.release(clock.now, port);
        }
    }

    fn query(&mut self, clock: Clock, request: &ng::Query<'_>) -> Answered {
        let key = self
            .calls
            .find(&request.call_id)
            .ok_or(CallError::UnknownCall)?;
        let call = self.calls.get_mut(key).ok_or(CallError::UnknownCall)?;
        quality::sample(call, clock, Mode::First);
        let narrow = query::Narrow::new(request.from_tag.as_deref(), request.to_tag.as_deref());
        Ok(Reply::document(query::describe(
            call,
            &self.settings,
            clock,
            &narrow,
        )))
    }

    fn list(&self, limit: u32) -> Reply<'static> {
        let ids = self.calls.iter().take(limit as usize);
        let ids = ids
            .map(|(_, call)| Value::owned(call.id.as_bytes()))
            .collect::<Vec<_>>();
        Reply::dict(&Dict::new().with("calls", ids))
    }

    /// Ends a call: its flows are cleared, its ports given back, its counts added up.
    pub(crate) fn end(
        &mut self,
        clock: Clock,
        key: CallKey,
        reason: EndReason,
        ports: &mut impl Ports,
        commands: &mut Vec<Command>,
    ) -> Option<Ended> {
        let call = self.calls.remove(key)?;
        reconcile::reconcile(&call.flows, &mut [], commands);
        dtls::close_all(&call, clock.now, &mut self.handshakes);
        let sections = call.legs.iter().flat_map(|leg| &leg.sections);
        for port in sections.flat_map(Section::own_ports) {
            self.calls.remove_port(port.id);
            ports.release(clock.now, port);
        }
        let duration = clock.now.since(call.created.now);
        self.totals.add(&call, reason, duration);
        match reason {
            EndReason::Terminated | EndReason::ForceTerminated => {
                info!(call_id = %call.id, reason = reason.as_str(), ?duration, "call ended");
            }
            EndReason::Timeout
            | EndReason::SilentTimeout
            | EndReason::OfferTimeout
            | EndReason::FinalTimeout => {
                warn!(call_id = %call.id, reason = reason.as_str(), ?duration, "call ended");
            }
        }
        Some(Ended {
            id: call.id,
            reason,
            duration,
        })
    }

    fn call_at(&mut self, port: PortId) -> Option<&mut Call> {
        let key = self.calls.at_port(port)?;
        self.calls.get_mut(key)
    }

    /// Whether a body bears our mark: it has been here.
    fn is_own(&self, body: &[u8]) -> bool {
        Sdp::parse(body).is_ok_and(|sdp| {
            let marks = patchcord_wire::sdp::LineKind::Attr(AttrKind::Patchcord);
            sdp.session()
                .lines_of(marks)
                .any(|line| line.value().trim_ascii_end() == self.mark)
        })
    }
}

/// Brings the flows of a changed call up to date.
pub(crate) fn refresh(
    call: &mut Call,
    now: Time,
    settings: &Settings,
    commands: &mut Vec<Command>,
    handshakes: &mut Handshakes,
) {
    for leg in &mut call.legs {
        leg.align(&settings.interfaces);
    }
    compile::settle(call);
    dtls::settle(call, now, handshakes);
    let mut want = compile::compile(call, settings);
    reconcile::reconcile(&call.flows, &mut want, commands);
    call.flows = want;
}

/// Adds a draft's remarks to the reply.
fn noted(reply: Reply<'static>, notes: &Notes) -> Reply<'static> {
    let text = notes.iter().collect::<Vec<_>>().join("; ");
    if text.is_empty() {
        reply
    } else {
        reply.with_warning(text)
    }
}

/// Adds what was not understood to the reply, after what is there already.
fn warned(reply: Reply<'static>, warnings: &Warnings) -> Reply<'static> {
    if warnings.is_empty() {
        return reply;
    }
    let text = match &reply {
        Reply::Ok {
            warning: Some(known),
            ..
        } => format!("{known}; {warnings}"),
        Reply::Ok { .. } | Reply::Pong | Reply::Error(_) | Reply::LoadLimit(_) => {
            warnings.to_string()
        }
    };
    reply.with_warning(text)
}
