//! The last stage: a packet and its sinks become sends.
//!
//! Every sink but the last gets a copy, the last one the buffer. Feedback that a sink's profile does
//! not carry is cut out in place, so the sinks that keep it come first.

use patchcord_contract::{Endpoint, Reason};
use patchcord_wire::rtcp::strip_feedback;

use crate::flow::{Feedback, PortId, Sink};
use crate::outbox::Outbox;
use crate::packet::Packet;
use crate::table::{Flow, Guard, Route, Table};
use crate::totals::Proto;

/// A packet on its way out.
pub(crate) struct Departure<'a, 'p> {
    /// Its place in the batch.
    pub(crate) index: usize,
    /// What it is.
    pub(crate) content: Content,
    /// Its bytes.
    pub(crate) packet: &'a mut Packet<'p>,
}

/// What a packet is to its sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// The protocol.
    pub(crate) proto: Proto,
    /// How it arrived.
    pub(crate) guard: Guard,
}

/// How a sink takes a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Whole,
    Stripped,
}

/// Sends the packet through the sinks of `flow`, or says why none took it.
#[inline]
pub(crate) fn emit<O: Outbox>(
    table: &Table,
    flow: &Flow,
    departure: Departure<'_, '_>,
    out: &mut O,
) -> Result<(), Reason> {
    let (route, nowhere) = match departure.content.proto {
        Proto::Rtp | Proto::Opaque => (flow.rtp, Reason::NoSink),
        Proto::Rtcp => (flow.rtcp, Reason::UnwantedRtcp),
    };
    match route {
        Route::Nowhere => Err(nowhere),
        Route::One(sink) => one(table, sink, departure, out),
        Route::Fan => fan(table, flow, departure, out),
    }
}

#[inline]
fn one<O: Outbox>(
    table: &Table,
    sink: Sink,
    mut departure: Departure<'_, '_>,
    out: &mut O,
) -> Result<(), Reason> {
    let to = departure.content.destination(table, sink.via)?;
    if departure.content.form(sink) == Form::Stripped {
        departure.strip()?;
    }
    departure.last(table, sink.via, to, out);
    Ok(())
}

#[cold]
fn fan<O: Outbox>(
    table: &Table,
    flow: &Flow,
    mut departure: Departure<'_, '_>,
    out: &mut O,
) -> Result<(), Reason> {
    let sinks = match departure.content.proto {
        Proto::Rtp | Proto::Opaque => &flow.cold.spec.rtp,
        Proto::Rtcp => &flow.cold.spec.rtcp,
    };
    let mut pending = None;
    for target in departure.targets(table, sinks, Form::Whole) {
        departure.copy(table, pending.replace(target), out);
    }
    if departure
        .targets(table, sinks, Form::Stripped)
        .next()
        .is_some()
    {
        let whole = pending.is_some();
        departure.copy(table, pending.take(), out);
        match departure.strip() {
            Ok(()) => {}
            // Nothing is left for these sinks, but others had all of it.
            Err(_) if whole => return Ok(()),
            Err(reason) => return Err(reason),
        }
        for target in departure.targets(table, sinks, Form::Stripped) {
            departure.copy(table, pending.replace(target), out);
        }
    }
    let (via, to) = pending.ok_or(Reason::NoPeer)?;
    departure.last(table, via, to, out);
    Ok(())
}

impl Content {
    /// Where it goes when it leaves from `via`, if it may.
    #[inline]
    fn destination(self, table: &Table, via: PortId) -> Result<Endpoint, Reason> {
        let flow = table.get(via).ok_or(Reason::NoPeer)?;
        let to = flow.peer.destination().ok_or(Reason::NoPeer)?;
        match (self.guard, flow.send) {
            (Guard::EndToEnd, _) | (_, Guard::Plain) | (Guard::Plain, Guard::EndToEnd) => Ok(to),
            (_, _) => Err(Reason::NoKeys),
        }
    }

    /// How this sink takes the packet.
    #[inline]
    fn form(self, sink: Sink) -> Form {
        match (self.proto, self.guard, sink.feedback) {
            (Proto::Rtcp, Guard::Plain, Feedback::Strip) => Form::Stripped,
            (_, _, _) => Form::Whole,
        }
    }
}

impl Departure<'_, '_> {
    /// Cuts the feedback out.
    fn strip(&mut self) -> Result<(), Reason> {
        let len = strip_feedback(self.packet.bytes_mut());
        self.packet.truncate(len);
        if len == 0 {
            Err(Reason::Feedback)
        } else {
            Ok(())
        }
    }

    /// The sinks that take the packet in this form and can be sent to.
    fn targets<'t>(
        &self,
        table: &'t Table,
        sinks: &'t [Sink],
        form: Form,
    ) -> impl Iterator<Item = (PortId, Endpoint)> + use<'t> {
        let content = self.content;
        sinks
            .iter()
            .filter(move |sink| content.form(**sink) == form)
            .filter_map(move |sink| Some((sink.via, content.destination(table, sink.via).ok()?)))
    }

    /// A copy leaves, if there is somewhere to go.
    fn copy<O: Outbox>(&self, table: &Table, target: Option<(PortId, Endpoint)>, out: &mut O) {
        if let Some((via, to)) = target {
            self.count(table, via);
            out.copy(self.packet.bytes(), via, to);
        }
    }

    /// The packet itself leaves.
    #[inline]
    fn last<O: Outbox>(self, table: &Table, via: PortId, to: Endpoint, out: &mut O) {
        self.count(table, via);
        out.forward(self.index, self.packet.len(), via, to);
    }

    #[inline]
    fn count(&self, table: &Table, via: PortId) {
        if let Some(flow) = table.get(via) {
            let sent = match self.content.proto {
                Proto::Rtp | Proto::Opaque => &flow.stats.rtp_out,
                Proto::Rtcp => &flow.stats.rtcp_out,
            };
            sent.count(self.packet.len());
        }
    }
}
