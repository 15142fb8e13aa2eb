//! The last stage: a packet and its sinks become sends.
//!
//! Every sink but the last gets a copy, the last one the buffer. Feedback that a sink's profile does
//! not carry is cut out in place, so the sinks that keep it come first. What leaves under a key gets
//! its place under that key here, and waits with the others of its batch to be sealed. Where sinks edit
//! the packet, each but an only one edits a copy.

use patchcord_contract::{Endpoint, Reason, Time};
use patchcord_wire::rtcp::strip_feedback;

use crate::bundle::Edit;
use crate::flow::{Event, Feedback, PortId, Side, Sink};
use crate::outbox::Outbox;
use crate::packet::Packet;
use crate::secure::{COPY, Exit, Secure, is_same};
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
    /// The part of the port that it leaves as.
    part: Option<u8>,
}

/// Which sinks a packet goes through: those of a port, or of one of its parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    pub(crate) port: PortId,
    pub(crate) part: Option<u8>,
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
            Route::Fan => self.fan(Lane { port, part: None }, departure),
        }
    }

    /// Sends RTP through the sinks of one part of the port's flow.
    pub(crate) fn emit_part(
        &mut self,
        port: PortId,
        part: u8,
        departure: Departure<'_, '_>,
    ) -> Result<(), Reason> {
        let part = Some(part);
        self.fan(Lane { port, part }, departure)
    }

    /// Sends RTCP that was made out of a packet received through all sinks of the lane. Under one key on
    /// both sides the index of that packet is used, and stands for other bytes.
    pub(crate) fn remade(
        &mut self,
        lane: Lane,
        departure: &Departure<'_, '_>,
    ) -> Result<(), Reason> {
        let all = sinks(self.table, lane, departure.content.proto);
        if all
            .iter()
            .any(|sink| is_same_key(self.table, lane.port, sink.via))
        {
            return Err(Reason::SrtpReuse);
        }
        self.copies(lane, departure)
    }

    /// Sends copies of the packet through all sinks of the lane, stripped and edited for each.
    fn copies(&mut self, lane: Lane, departure: &Departure<'_, '_>) -> Result<(), Reason> {
        let Departure { place, content, .. } = *departure;
        let (mut refused, mut has_left) = (Reason::NoSink, false);
        for nth in 0.. {
            let Some(sink) = self.sink(lane, content.proto, nth) else {
                break;
            };
            let target = match self.target(lane.port, content, sink) {
                Ok(target) => target,
                Err(reason) => {
                    refused = reason;
                    continue;
                }
            };
            let bytes = departure.packet.bytes();
            let mut room = [0; COPY];
            let Some(copy) = room.get_mut(..bytes.len()) else {
                return Err(Reason::Truncated);
            };
            copy.copy_from_slice(bytes);
            let mut packet = Packet::new(&mut room, bytes.len());
            let mut departure = Departure {
                place,
                content,
                packet: &mut packet,
            };
            if content.form(self.table, lane.port, sink) == Form::Stripped
                && let Err(reason) = departure.strip()
            {
                refused = reason;
                continue;
            }
            self.edit(lane.port, sink, departure.packet, content);
            has_left |= self.copy(lane.port, Some(target), &departure, &mut refused);
        }
        if has_left { Ok(()) } else { Err(refused) }
    }

    #[inline]
    fn one(
        &mut self,
        port: PortId,
        sink: Sink,
        mut departure: Departure<'_, '_>,
    ) -> Result<(), Reason> {
        let target = self.target(port, departure.content, sink)?;
        if departure.content.form(self.table, port, sink) == Form::Stripped {
            departure.strip()?;
        }
        self.edit(port, sink, departure.packet, departure.content);
        self.last(port, target, &departure)
    }

    /// Where the packet goes through that sink, if it may. What is edited may not leave under the index
    /// that other bytes had.
    #[inline]
    fn target(&self, port: PortId, content: Content, sink: Sink) -> Result<Target, Reason> {
        let mut target = content.target(self.table, sink)?;
        if let Some(edit) = edit(self.table, port, sink) {
            if target.is_sealed && is_same_key(self.table, port, sink.via) {
                return Err(Reason::SrtpReuse);
            }
            target.part = edit.part;
        }
        Ok(target)
    }

    /// Makes the sink's edit. A packet that cannot take it leaves without: its receiver has other ways to
    /// tell its section.
    #[inline]
    fn edit(&self, port: PortId, sink: Sink, packet: &mut Packet<'_>, content: Content) {
        if content.proto == Proto::Rtp
            && content.guard != Guard::EndToEnd
            && let Some(edit) = edit(self.table, port, sink)
        {
            let _as_it_is = packet.rewrite(&edit.rewrite());
        }
    }

    fn fan(&mut self, lane: Lane, departure: Departure<'_, '_>) -> Result<(), Reason> {
        let sinks = sinks(self.table, lane, departure.content.proto);
        match sinks {
            [] => Err(Reason::NoSink),
            [sink] => self.one(lane.port, *sink, departure),
            several if lane.part.is_some() || several.iter().any(|sink| sink.edit.is_some()) => {
                self.copies(lane, &departure)
            }
            [..] => self.several(lane, departure),
        }
    }

    #[cold]
    fn several(&mut self, lane: Lane, mut departure: Departure<'_, '_>) -> Result<(), Reason> {
        let port = lane.port;
        let mut refused = Reason::NoPeer;
        let mut last = None;
        let mut has_left = false;
        for form in [Form::Whole, Form::Stripped] {
            let mut is_stripped = false;
            for nth in 0.. {
                let Some(sink) = self.sink(lane, departure.content.proto, nth) else {
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

    fn sink(&self, lane: Lane, proto: Proto, nth: usize) -> Option<Sink> {
        sinks(self.table, lane, proto).get(nth).copied()
    }

    /// A copy leaves, if there is somewhere to go; says whether it did.
    fn copy(
        &mut self,
        port: PortId,
        target: Option<Target>,
        departure: &Departure<'_, '_>,
        refused: &mut Reason,
    ) -> bool {
        let Some(Target {
            via,
            to,
            is_sealed,
            part,
        }) = target
        else {
            return false;
        };
        let (packet, proto) = (&*departure.packet, departure.content.proto);
        if !is_sealed {
            count_as(self.table, via, part, proto, packet.len());
            self.out.copy(packet.bytes(), self.table.exit(via), to);
            return true;
        }
        let room = Secure::room(packet.len());
        match self.assign(port, via, departure, room) {
            Ok((protocol, assigned)) => {
                let len = packet.len() + assigned.overhead;
                count_as(self.table, via, part, proto, len);
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
        let Target { via, to, .. } = target;
        if target.is_sealed {
            return self.last_sealed(port, target, departure);
        }
        let (place, len) = (departure.place, departure.packet.len());
        count_as(self.table, via, target.part, departure.content.proto, len);
        let exit = self.table.exit(via);
        self.out.forward(place.first + place.at, len, exit, to);
        Ok(())
    }

    fn last_sealed(
        &mut self,
        port: PortId,
        Target { via, to, part, .. }: Target,
        departure: &Departure<'_, '_>,
    ) -> Result<(), Reason> {
        let (len, room) = (departure.packet.len(), departure.packet.room());
        let (protocol, assigned) = self.assign(port, via, departure, room)?;
        let sealed = len + assigned.overhead;
        count_as(self.table, via, part, departure.content.proto, sealed);
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

/// The sinks of a lane.
pub(crate) fn sinks(table: &Table, lane: Lane, proto: Proto) -> &[Sink] {
    let Some(spec) = table.get(lane.port).map(|flow| &flow.cold.spec) else {
        return &[];
    };
    let part = lane.part.map(usize::from);
    let part = part.and_then(|part| spec.split()?.parts.get(part));
    match (part, proto) {
        (Some(part), Proto::Rtp | Proto::Opaque) => &part.rtp,
        (Some(part), Proto::Rtcp) => &part.rtcp,
        (None, Proto::Rtp | Proto::Opaque) => &spec.rtp,
        (None, Proto::Rtcp) => &spec.rtcp,
    }
}

/// The edit that a sink of `port` names.
#[inline]
pub(crate) fn edit(table: &Table, port: PortId, sink: Sink) -> Option<&Edit> {
    let index = sink.edit?.index();
    let bundle = table.get(port)?.cold.spec.bundle.as_deref()?;
    bundle.edits.get(index)
}

/// Counts a packet that leaves from `via`, as one of its parts.
#[inline]
fn count_as(table: &Table, via: PortId, part: Option<u8>, proto: Proto, len: usize) {
    let stats = part.and_then(|part| {
        let bundle = table.get(via)?.cold.spec.bundle.as_deref()?;
        Some(&bundle.parts.get(usize::from(part))?.stats)
    });
    match (stats, proto) {
        (Some(stats), Proto::Rtp | Proto::Opaque) => stats.rtp_out.count(len),
        (_, _) => count(table, via, proto, len),
    }
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
            (Guard::EndToEnd, _)
            | (_, Guard::Plain | Guard::Elsewhere)
            | (Guard::Plain, Guard::EndToEnd) => false,
            (_, Guard::Srtp) => true,
            (_, Guard::Pending | Guard::EndToEnd) => return Err(Reason::NoKeys),
        };
        Ok(Target {
            via: sink.via,
            to,
            is_sealed,
            part: None,
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
