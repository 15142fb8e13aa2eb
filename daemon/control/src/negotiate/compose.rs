//! Puts a body together: session part, sections in the receiver's order, edits at the very end.

use std::net::IpAddr;

use patchcord_wire::Proto;
use patchcord_wire::ng::Flag;
use patchcord_wire::ng::address::Family;
use patchcord_wire::ng::replace::Replace;
use patchcord_wire::ng::sdp_attr::{AttrEdit, AttrSection};
use patchcord_wire::sdp::{Direction, Edit, Edits, Scope, Sdp, Writer};

use super::Message;
use super::body::{self, Keys, Place, Plan, RtpPlan, Streams};
use super::bundle;
use super::draft::Draft;
use super::heard::{Heard, zero_address};
use super::ice;
use super::interface::{self, family_of};
use super::mux::MuxShown;
use super::session::{self, SessionIce, SessionKeys, SessionPlan};
use crate::Settings;
use crate::call::{Leg, LegId, Section, Shown, Twin, Which};

/// What was decided about one section of a received body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It goes on as it is.
    Foreign,
    /// It is refused.
    Rejected,
    /// It goes on with our address.
    Relayed {
        /// The protocol that the receiver is told.
        told: Proto,
        /// What the receiver is told of rtcp-mux.
        mux: MuxShown,
        /// What the receiver is told of keys.
        keys: Keys,
        /// What it is told of what tells packets apart.
        streams: Streams,
    },
}

/// Sections that share ports of a leg say of the transport what the one says whose ports they are.
pub(super) fn share(leg: &Leg, indexes: &[usize], decisions: &mut [Decision]) {
    for at in 0..decisions.len() {
        let owner = leg.owner(indexes[at]);
        let place = indexes.iter().position(|index| *index == owner);
        let Some(first) = place.filter(|first| *first != at) else {
            continue;
        };
        let Decision::Relayed { mux, keys, .. } = &decisions[first] else {
            continue;
        };
        let (same_mux, same_keys) = (*mux, keys.clone());
        if let Decision::Relayed { mux, keys, .. } = &mut decisions[at] {
            *mux = same_mux;
            *keys = same_keys;
        }
    }
}

/// A received body with what was decided about it.
#[derive(Clone, Copy)]
pub(super) struct Body<'h, 'i, 'b> {
    /// As it came.
    pub(super) sdp: &'h Sdp<'b>,
    /// Its sections.
    pub(super) heard: &'h [Heard<'i, 'b>],
    /// Which section of the call each one is.
    pub(super) indexes: &'h [usize],
    /// What was decided about each one.
    pub(super) decisions: &'h [Decision],
}

/// Writes the body that `from` sent for `to`.
pub(super) fn compose<P>(
    draft: &mut Draft<'_, P>,
    message: Message<'_>,
    body: &Body<'_, '_, '_>,
    from: LegId,
    to: LegId,
) -> Vec<u8> {
    let replace = message.request.rewrite.replace;
    let remembers = session::is_remembered(replace);
    let leg = draft.call.leg_mut(to);
    if remembers && leg.written.is_none() {
        leg.written = Some(Box::new(session::first_written(body.sdp)));
    }
    let composer = Composer {
        settings: draft.settings,
        message,
        from: draft.call.leg(from),
        leg: draft.call.leg(to),
    };
    let mut text = composer.write(body);
    if !message.request.rewrite.sdp_attr.is_empty() {
        text = edited(&text, message);
    }
    if let Some(written) = draft
        .call
        .leg_mut(to)
        .written
        .as_deref_mut()
        .filter(|_| remembers)
    {
        session::count_version(written, &mut text, replace);
    }
    text
}

struct Composer<'c> {
    settings: &'c Settings,
    message: Message<'c>,
    from: &'c Leg,
    leg: &'c Leg,
}

impl Composer<'_> {
    fn write(&self, body: &Body<'_, '_, '_>) -> Vec<u8> {
        let request = self.message.request;
        let mut out = Writer::new(body.sdp.eol(), body.sdp.body().len() + 512);
        let plan = SessionPlan {
            address: self.own_address(),
            mark: request
                .flags
                .has(Flag::LoopProtect)
                .then_some(self.message.mark),
            keys: session_keys(body),
            ice: self.session_ice(body),
            before: self.leg.written.as_deref(),
            groups: bundle::lines(self.leg, |index| {
                let at = body.indexes.iter().position(|known| *known == index);
                let decision = at.and_then(|at| body.decisions.get(at));
                matches!(decision, Some(Decision::Relayed { .. }))
            }),
            is_lite: ice::is_lite(
                self.leg.ice.as_deref().map(|ice| &ice.agent),
                &self.leg.sections,
            ),
        };
        session::write_session(&mut out, body.sdp, &plan, request);
        for (index, section) in self.leg.sections.iter().enumerate() {
            if matches!(section.shown, Shown::Hidden(_)) {
                continue;
            }
            if let Some(at) = body.indexes.iter().position(|known| *known == index) {
                self.write_known(&mut out, section, &body.heard[at], &body.decisions[at]);
                continue;
            }
            self.write_absent(&mut out, index, section);
            if let Some(twin) = &section.twin {
                self.write_refused(&mut out, section, twin);
            }
        }
        out.finish()
    }

    /// ICE of the session part passes if it is some section's own.
    fn session_ice(&self, body: &Body<'_, '_, '_>) -> SessionIce {
        let mut shown = body.indexes.iter().zip(body.decisions);
        let is_through = |(index, decision): (&usize, &Decision)| {
            let is_relayed = matches!(decision, Decision::Relayed { .. });
            is_relayed && self.leg.sections[*index].through.is_some()
        };
        if shown.any(is_through) {
            SessionIce::Pass
        } else {
            SessionIce::Strip
        }
    }

    /// A section that the sender has, in the one or two m= lines that the receiver has for it.
    fn write_known(
        &self,
        out: &mut Writer,
        section: &Section,
        heard: &Heard<'_, '_>,
        decision: &Decision,
    ) {
        let request = self.message.request;
        let twin = section.twin.as_deref();
        let plan = self.plan(section, heard, heard.media.proto, decision);
        let first = |twin: &&Twin| twin.place == Which::Second;
        if let Some(twin) = twin.filter(first) {
            self.write_other(out, section, heard, decision, twin);
        }
        body::write_section(out, heard, &plan, request);
        if let Some(twin) = twin.filter(|twin| !first(twin)) {
            self.write_other(out, section, heard, decision, twin);
        }
    }

    /// The other of two m= lines: the same without keys and without a name, or refused.
    fn write_other(
        &self,
        out: &mut Writer,
        section: &Section,
        heard: &Heard<'_, '_>,
        decision: &Decision,
        twin: &Twin,
    ) {
        match decision {
            Decision::Relayed { mux, .. } if twin.is_open => {
                let plain = Decision::Relayed {
                    told: twin.proto,
                    mux: *mux,
                    keys: Keys::Strip,
                    streams: Streams::default(),
                };
                let mut plan = self.plan(section, heard, heard.media.proto, &plain);
                if let Plan::Rtp(plan) = &mut plan {
                    plan.mid = None;
                }
                body::write_section(out, heard, &plan, self.message.request);
            }
            Decision::Relayed { .. } | Decision::Rejected | Decision::Foreign => {
                self.write_refused(out, section, twin);
            }
        }
    }

    fn write_refused(&self, out: &mut Writer, section: &Section, twin: &Twin) {
        let proto = twin.proto.as_str().as_bytes();
        let zero = zero_address(family_of(self.own_address().into()));
        body::write_absent(out, &section.kind, proto, &twin.formats, zero);
    }

    /// A section that the receiver knows and the sender did not mention: refused, with the formats
    /// that the receiver offered, if the sender was never shown it.
    fn write_absent(&self, out: &mut Writer, index: usize, section: &Section) {
        let known = section.remote.latest().map(|description| description.proto);
        let proto = section.told.or(known).unwrap_or(Proto::RtpAvp);
        let zero = zero_address(family_of(self.own_address().into()));
        let formats = match self.from.sections.get(index).map(|section| &section.shown) {
            Some(Shown::Hidden(formats)) => formats,
            Some(Shown::Yes) | None => &b"0"[..],
        };
        body::write_absent(out, &section.kind, proto.as_str().as_bytes(), formats, zero);
    }

    fn plan<'p>(
        &'p self,
        section: &'p Section,
        heard: &Heard<'_, '_>,
        written: &'p [u8],
        decision: &'p Decision,
    ) -> Plan<'p> {
        let own = |told: Proto| {
            let is_theirs = told == Proto::Other || told == heard.description.proto;
            if is_theirs {
                written
            } else {
                told.as_str().as_bytes()
            }
        };
        match (decision, section.newest()) {
            (Decision::Foreign, _) => Plan::Foreign,
            (
                Decision::Relayed {
                    told,
                    mux,
                    keys,
                    streams,
                },
                Some(transport),
            ) => {
                let address = self.address(transport.interface, heard);
                let row = &self.settings.interfaces[usize::from(transport.interface)];
                let place = Place {
                    proto: own(*told),
                    address,
                    candidate: row.advertised.ip(),
                    transport,
                };
                if let Some(through) = &section.through {
                    return Plan::Through(place, through.beside);
                }
                if !heard.is_rtp() {
                    return Plan::Opaque(place);
                }
                let mid = section.mid.as_ref();
                let direction = direction(heard);
                let ptime = section.ptime;
                let masked = section.bundled.as_deref().filter(|_| streams.names_masked);
                let ice = self.leg.ice_of(section);
                let ice = ice.map(|(agent, list)| ice::Shown::new(agent, list, *mux));
                Plan::Rtp(Box::new(RtpPlan {
                    place,
                    mid,
                    direction,
                    mux: *mux,
                    keys,
                    ptime,
                    ice,
                    streams: *streams,
                    masked: masked.map_or(&[], |bundled| &bundled.masked),
                }))
            }
            (Decision::Rejected | Decision::Relayed { .. }, _) => {
                let told = section.told.or(section.remote.latest().map(|d| d.proto));
                Plan::Rejected {
                    proto: own(told.unwrap_or(heard.description.proto)),
                    zero: zero_address(family_of(self.own_address().into())),
                    mid: section.mid.as_ref(),
                }
            }
        }
    }

    /// The address in c=: ours, or the zero address of a hold, unless a real one is asked for.
    fn address(&self, interface: u8, heard: &Heard<'_, '_>) -> IpAddr {
        let request = self.message.request;
        let ours = self.settings.interfaces[usize::from(interface)].advertised;
        if let Some(address) = request.addressing.media_address {
            address
        } else if heard.is_zero_address() && !request.rewrite.replace.has(Replace::ZeroAddress) {
            zero_address(family_of(ours))
        } else {
            ours.ip()
        }
    }

    /// Our address towards the receiver: that of its first section with ports, else of its interface.
    fn own_address(&self) -> IpAddr {
        let used = self
            .leg
            .sections
            .iter()
            .find_map(Section::newest)
            .map(|t| t.interface);
        let row =
            used.unwrap_or_else(|| interface::row(self.settings, self.leg.interface, Family::V4));
        self.settings.interfaces[usize::from(row)].advertised.ip()
    }
}

/// Keys in the session part pass if they are about any section that keeps its own.
fn session_keys(body: &Body<'_, '_, '_>) -> SessionKeys {
    let pass = body
        .heard
        .iter()
        .zip(body.decisions)
        .any(|(heard, decision)| match decision {
            Decision::Relayed { keys, .. } => *keys == Keys::Pass || !heard.is_rtp(),
            Decision::Foreign => true,
            Decision::Rejected => false,
        });
    if pass {
        SessionKeys::Pass
    } else {
        SessionKeys::Strip
    }
}

/// The direction shown. Who is at address zero does not receive.
fn direction(heard: &Heard<'_, '_>) -> Direction {
    let direction = heard.description.direction;
    if heard.is_zero_address() {
        Direction::new(direction.sends(), false)
    } else {
        direction
    }
}

fn edited(body: &[u8], message: Message<'_>) -> Vec<u8> {
    let mut edits = Edits::new();
    for (section, edit) in &message.request.rewrite.sdp_attr.edits {
        let edit = match edit {
            AttrEdit::Add(text) => Edit::Add(text),
            AttrEdit::Remove(text) => Edit::Remove(text),
            AttrEdit::Substitute { from, to } => Edit::Substitute(from, to),
        };
        edits.push(scope(*section), edit);
    }
    match Sdp::parse(body) {
        Ok(sdp) => edits.apply(&sdp),
        Err(_) => body.to_vec(),
    }
}

const fn scope(section: AttrSection) -> Scope<'static> {
    match section {
        AttrSection::Global => Scope::Session,
        AttrSection::Audio => Scope::Media(b"audio"),
        AttrSection::Video => Scope::Media(b"video"),
        AttrSection::Image => Scope::Media(b"image"),
        AttrSection::Message => Scope::Media(b"message"),
        AttrSection::Other => Scope::Media(b"application"),
    }
}
