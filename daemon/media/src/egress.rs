//! The last stage: a packet and its sinks become sends.
//!
//! Every sink but the last gets a copy, the last one the buffer. Feedback that a sink's profile does
//! not carry is cut out in place, so the sinks that keep it come first. What leaves under a key gets
//! its place under that key here, and waits with the others of its batch to be sealed.

use patchcord_contract::{Endpoint, Reason, Time};
use patchcord_wire::rtcp::strip_feedback;

use crate::flow::{Event, Feedback, PortId, Side, Sink};
use crate::outbox::Outbox;
use crate::packet::Packet;
use crate::secure::{Exit, Secure, is_same};
use crate::srtp::{Assigned, Contexts, Protocol, Receiver, Sender, assign, reassign};
use crate::table::{Guard, Route, Table};
use crate::totals::Proto;

/// A packet on its way out.
pub(crate) struct Departure<'a, 'p> {
    /// Where it was.
    pub(crate) place: Place,
    /// What it is.
    pub(crate) content: Content,
    /// Its bytes.
    pub(crate) packet: &'a mut Packet<'p>,
}

/// A packet's place among those received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The first of its chunk in the batch.
    pub(crate) first: usize,
    /// Its own in the chunk.
    pub(crate) at: usize,
    /// Its length as it arrived.
    pub(crate) len: usize,
    /// Whether it was opened, or at least verified.
    pub(crate) is_opened: bool,
}

/// What a packet is to its sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// The protocol.
    pub(crate) proto: Proto,
    /// How it is protected from us: plain, or opened, or left as it came.
    pub(crate) guard: Guard,
}

/// How a sink takes a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Whole,
    Stripped,
}

/// Where a packet goes.
#[derive(Clone, Copy, Debug)]
struct Target {
    via: PortId,
    to: Endpoint,
    is_sealed: bool,
}

/// Where packets leave.
pub(crate) struct Egress<'a, O> {
    pub(crate) now: Time,
    pub(crate) table: &'a mut Table,
    pub(crate) secure: &'a mut Secure,
    pub(crate) out: &'a mut O,
}

impl<O: Outbox> Egress<'_, O> {
    /// Sends the packet through the sinks of the flow at `port`, or says why none took it.
    #[inline]
    pub(crate) fn emit(
        &mut self,
        port: PortId,
        departure: Departure<'_, '_>,
    ) -> Result<(), Reason> {
        let flow = self.table.get(port).ok_or(Reason::NoFlow)?;
        let (route, nowhere) = match departure.content.proto {
            Proto::Rtp | Proto::Opaque => (flow.rtp, Reason::NoSink),
            Proto::Rtcp => (flow.rtcp, Reason::UnwantedRtcp),
        };
        match route {
            Route::Nowhere => Err(nowhere),
            Route::One(sink) => self.one(port, sink, departure),
            Route::Fan => self.fan(port, departure),
        }
    }

    #[inline]
    fn one(
        &mut self,
        port: PortId,
        sink: Sink,
        mut departure: Departure<'_, '_>,
    ) -> Result<(), Reason> {
        let target = departure.content.target(self.table, sink)?;
        if departure.content.form(self.table, port, sink) == Form::Stripped {
            departure.strip()?;
        }
        self.last(port, target, &departure)
    }

    #[cold]
    fn fan(&mut self, port: PortId, mut departure: Departure<'_, '_>) -> Result<(), Reason> {
        let mut refused = Reason::NoPeer;
        let mut last = None;
        let mut has_left = false;
        for form in [Form::Whole, Form::Stripped] {
            let mut is_stripped = false;
            for nth in 0.. {
                let Some(sink) = self.sink(port, departure.content.proto, nth) else {
                    break;
                };
                if departure.content.form(self.table, port, sink) != form {
                    continue;
                }
                let target = match departure.content.target(self.table, sink) {
                    Ok(target) => target,
                    Err(reason) => {
                        refused = reason;
                        continue;
                    }
                };
                if form == Form::Stripped && !is_stripped {
                    has_left |= self.copy(port, last.take(), &departure, &mut refused);
                    // If nothing is left for these sinks, others may have had all of it.
                    if let Err(reason) = departure.strip() {
                        return if has_left { Ok(()) } else { Err(reason) };
                    }
                    is_stripped = true;
                }
                has_left |= self.copy(port, last.replace(target), &departure, &mut refused);
            }
        }
        match last.map(|target| self.last(port, target, &departure)) {
            Some(Ok(())) => Ok(()),
            _ if has_left => Ok(()),
            Some(Err(reason)) => Err(reason),
            None => Err(refused),
        }
    }

    fn sink(&self, port: PortId, proto: Proto, nth: usize) -> Option<Sink> {
        let spec = &self.table.get(port)?.cold.spec;
        let sinks = match proto {
            Proto::Rtp | Proto::Opaque => &spec.rtp,
            Proto::Rtcp => &spec.rtcp,
        };
        sinks.get(nth).copied()
    }

    /// A copy leaves, if there is somewhere to go; says whether it did.
    fn copy(
        &mut self,
        port: PortId,
        target: Option<Target>,
        departure: &Departure<'_, '_>,
        refused: &mut Reason,
    ) -> bool {
        let Some(Target { via, to, is_sealed }) = target else {
            return false;
        };
        let (packet, proto) = (&*departure.packet, departure.content.proto);
        if !is_sealed {
            count(self.table, via, proto, packet.len());
            self.out.copy(packet.bytes(), via, to);
            return true;
        }
        let room = Secure::room(packet.len());
        match self.assign(port, via, departure, room) {
            Ok((protocol, assigned)) => {
                count(self.table, via, proto, packet.len() + assigned.overhead);
                let exit = Exit {
                    via,
                    to,
                    protocol,
                    assigned,
                };
                self.secure
                    .depart_copy(self.table, packet.bytes(), exit, self.out);
                true
            }
            Err(reason) => {
                *refused = reason;
                false
            }
        }
    }

    /// The packet itself leaves.
    #[inline]
    fn last(
        &mut self,
        port: PortId,
        target: Target,
        departure: &Departure<'_, '_>,
    ) -> Result<(), Reason> {
        let Target { via, to, is_sealed } = target;
        if is_sealed {
            return self.last_sealed(port, target, departure);
        }
        let (place, len) = (departure.place, departure.packet.len());
        count(self.table, via, departure.content.proto, len);
        self.out.forward(place.first + place.at, len, via, to);
        Ok(())
    }

    fn last_sealed(
        &mut self,
        port: PortId,
        Target { via, to, .. }: Target,
        departure: &Departure<'_, '_>,
    ) -> Result<(), Reason> {
        let (len, room) = (departure.packet.len(), departure.packet.room());
        let (protocol, assigned) = self.assign(port, via, departure, room)?;
        let sealed = len + assigned.overhead;
        count(self.table, via, departure.content.proto, sealed);
        let exit = Exit {
            via,
            to,
            protocol,
            assigned,
        };
        self.secure.depart(departure.place.at, len, exit);
        Ok(())
    }

    /// Gives the packet its place under the key of what leaves from `via`.
    fn assign(
        &mut self,
        port: PortId,
        via: PortId,
        departure: &Departure<'_, '_>,
        room: usize,
    ) -> Result<(Protocol, Assigned), Reason> {
        let protocol = match departure.content.proto {
            Proto::Rtp => Protocol::Rtp,
            Proto::Rtcp => Protocol::Rtcp,
            Proto::Opaque => return Err(Reason::NotRtp),
        };
        let (now, bytes) = (self.now, departure.packet.bytes());
        let opened = self.secure.opened(departure.place);
        let identity = opened.map(|opened| opened.identity);
        let same = identity.filter(|_| is_same_key(self.table, port, via));
        let sender: Option<&mut Sender> = self.table.context_mut(via);
        let sender = sender.ok_or(Reason::NoKeys)?;
        let assigned = match same {
            Some(identity) => reassign(now, sender, protocol, bytes, room, identity),
            None => assign(now, sender, protocol, bytes, room),
        };
        if assigned.is_err() && sender.expired() {
            self.out.event(Event::KeyExpired {
                port: via,
                side: Side::Send,
                at: now,
            });
        }
        assigned.map(|assigned| (protocol, assigned))
    }
}

/// Whether what arrives at `port` and leaves from `via` is under one key.
fn is_same_key(table: &Table, port: PortId, via: PortId) -> bool {
    let receiver: Option<&Receiver> = table.context(port);
    receiver.is_some_and(|receiver| is_same(table, receiver, via))
}

/// The ordinary way out: one sink that takes the packet whole and as it is.
#[inline]
pub(crate) fn direct(table: &Table, port: PortId, content: Content) -> Option<(PortId, Endpoint)> {
    let flow = table.get(port)?;
    let route = match content.proto {
        Proto::Rtp | Proto::Opaque => flow.rtp,
        Proto::Rtcp => flow.rtcp,
    };
    let Route::One(sink) = route else { return None };
    let peer = &table.get(sink.via)?.peer;
    let is_whole = sink.feedback == Feedback::Keep || content.proto != Proto::Rtcp;
    let is_direct = is_whole && peer.guard == Guard::Plain;
    Some((sink.via, peer.destination().filter(|_| is_direct)?))
}

/// Counts a packet that leaves from `via`.
#[inline]
pub(crate) fn count(table: &Table, via: PortId, proto: Proto, len: usize) {
    if let Some(flow) = table.get(via) {
        let sent = match proto {
            Proto::Rtp | Proto::Opaque => &flow.stats.rtp_out,
            Proto::Rtcp => &flow.stats.rtcp_out,
        };
        sent.count(len);
    }
}

impl Content {
    /// Where it goes through that sink, if it may.
    #[inline]
    fn target(self, table: &Table, sink: Sink) -> Result<Target, Reason> {
        let peer = &table.get(sink.via).ok_or(Reason::NoPeer)?.peer;
        let to = peer.destination().ok_or(Reason::NoPeer)?;
        let is_sealed = match (self.guard, peer.guard) {
            (Guard::EndToEnd, _) | (_, Guard::Plain) | (Guard::Plain, Guard::EndToEnd) => false,
            (_, Guard::Srtp) => true,
            (_, Guard::Pending | Guard::EndToEnd) => return Err(Reason::NoKeys),
        };
        Ok(Target {
            via: sink.via,
            to,
            is_sealed,
        })
    }

    /// How this sink takes the packet. Under one key on both sides it must stay what it is: its index
    /// is used, and may not stand for other bytes too.
    #[inline]
    fn form(self, table: &Table, port: PortId, sink: Sink) -> Form {
        match (self.proto, self.guard, sink.feedback) {
            (Proto::Rtcp, Guard::Plain, Feedback::Strip) => Form::Stripped,
            (Proto::Rtcp, Guard::Srtp, Feedback::Strip) if !is_same_key(table, port, sink.via) => {
                Form::Stripped
            }
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
}
