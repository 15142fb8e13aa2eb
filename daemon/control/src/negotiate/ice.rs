//! ICE in offer and answer (RFC 8839, RFC 8840): whether a section has an agent towards a leg, what
//! the agent is told, and what the leg is told of it.
//!
//! Towards whoever offered ICE it is ours to answer; towards the receiver of an offer it is ours as the
//! request says (NG `ICE`). The ends never see each other's credentials or candidates.

use patchcord_contract::Endpoint;
use patchcord_wire::ng::ice::{IceLite, IceMode};
use patchcord_wire::ng::{Flag, OfferAnswer};
use patchcord_wire::sdp::{
    self, AttrKind, CandidateKind, Host, IceOptions, IcePwd, IceUfrag, Writer,
};

use super::doors;
use super::draft::Draft;
use super::mux::MuxShown;
use crate::call::{Connectivity, Leg, LegId, Section};
use crate::ice::{Agent, Candidate, CandidateType, Component, ListId, MAX_REMOTES, Mode, Role};
use crate::ports::Ports;

/// Sections of a leg that can have ICE: twice as many as a body has at most.
const MAX_LISTS: usize = 512;

/// What a body says of a section's ICE.
#[derive(Clone)]
pub(super) struct Spoken<'b> {
    ufrag: &'b [u8],
    pwd: &'b [u8],
    mode: Mode,
    candidates: Vec<Candidate>,
    more: More,
}

/// Whether candidates may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum More {
    Perhaps,
    None,
}

impl Spoken<'_> {
    /// Where the peer says that it may be.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        self.candidates.iter().map(|candidate| candidate.endpoint)
    }
}

/// Reads a section's ICE; none without both credentials.
pub(super) fn read<'b>(section: &sdp::Section<'_, 'b>) -> Option<Spoken<'b>> {
    let IceUfrag(ufrag) = section.get_or_inherit()?.ok()?;
    let IcePwd(pwd) = section.get_or_inherit()?.ok()?;
    let options = section.get_or_inherit::<IceOptions<'_>>();
    let trickles = options.is_some_and(|o| o.is_ok_and(|options| options.has("trickle")));
    let ended = section.has_or_inherits(AttrKind::EndOfCandidates);
    Some(Spoken {
        ufrag,
        pwd,
        mode: if section.has_or_inherits(AttrKind::IceLite) {
            Mode::Lite
        } else {
            Mode::Full
        },
        candidates: candidates(section, ufrag).collect(),
        more: if trickles && !ended {
            More::Perhaps
        } else {
            More::None
        },
    })
}

/// The usable candidates of a section, of this generation.
pub(crate) fn candidates<'b>(
    section: &sdp::Section<'_, 'b>,
    ufrag: &[u8],
) -> impl Iterator<Item = Candidate> {
    let lines = section.all::<sdp::Candidate<'b>>().filter_map(Result::ok);
    let ours = lines.filter(move |line| line.extension("ufrag").is_none_or(|u| u == ufrag));
    ours.take(MAX_REMOTES)
        .filter_map(|line| Candidate::read(&line).ok())
}

/// Takes what an offer says of lite agents; it stays in force.
pub(super) fn assign_modes<P>(
    draft: &mut Draft<'_, P>,
    request: &OfferAnswer<'_>,
    offerer: LegId,
    answerer: LegId,
) {
    let Some(lite) = request.ice.lite else { return };
    let mode = |is_lite| if is_lite { Mode::Lite } else { Mode::Full };
    let (near, far) = match lite {
        IceLite::Off => (false, false),
        IceLite::Forward => (false, true),
        IceLite::Backward => (true, false),
        IceLite::Both => (true, true),
    };
    draft.call.leg_mut(offerer).ice_mode = mode(near);
    draft.call.leg_mut(answerer).ice_mode = mode(far);
}

/// An offered section: ICE towards who offered it, if that is what it offers.
pub(super) fn offered<P: Ports>(
    draft: &mut Draft<'_, P>,
    request: &OfferAnswer<'_>,
    offerer: LegId,
    index: usize,
    spoken: Option<&Spoken<'_>>,
) {
    match spoken.filter(|_| !request.flags.has(Flag::RejectIce)) {
        Some(spoken) => {
            open(draft, offerer, index, Role::Controlled);
            tell(draft, offerer, index, spoken, Says::Offer);
        }
        None => close(draft, offerer, index),
    }
}

/// An offered section: ICE towards its receiver, if the request wants it so.
pub(super) fn offer<P: Ports>(
    draft: &mut Draft<'_, P>,
    request: &OfferAnswer<'_>,
    answerer: LegId,
    index: usize,
    spoken: Option<&Spoken<'_>>,
) {
    let section = &draft.call.leg(answerer).sections[index];
    let before = section.ice.is_some();
    // Beside nobody we are not the last candidate but the only one.
    let wanted = section.through.is_none()
        && match request.ice.mode {
            IceMode::Force | IceMode::Optional => true,
            IceMode::Default => spoken.is_some() || before,
            IceMode::Remove | IceMode::ForceRelay => false,
        };
    if wanted {
        open(draft, answerer, index, Role::Controlling);
    } else {
        close(draft, answerer, index);
    }
}

/// An answered section: what the answerer says of ICE, and whether the offerer is told of ours.
pub(super) fn answered<P: Ports>(
    draft: &mut Draft<'_, P>,
    request: &OfferAnswer<'_>,
    (offerer, answerer): (LegId, LegId),
    index: usize,
    spoken: Option<&Spoken<'_>>,
) {
    if draft.call.leg(answerer).sections[index].ice.is_some() {
        match spoken {
            Some(spoken) => tell(draft, answerer, index, spoken, Says::Answer),
            None => close(draft, answerer, index),
        }
    }
    if request.ice.mode == IceMode::Remove {
        close(draft, offerer, index);
    }
    // How long it rang is none of ICE's time: until now the offerer could not answer a check.
    let now = draft.now;
    let leg = draft.call.leg_mut(offerer);
    if let (Some(list), Some(ice)) = (leg.sections[index].ice, leg.ice.as_deref_mut()) {
        ice.agent.expect(now, list);
        if let Some(since) = ice.since.get_mut(&list) {
            *since = now;
        }
    }
}

/// The section of a further answerer: its agent has the credentials that the offer named.
pub(super) fn share<P: Ports>(draft: &mut Draft<'_, P>, named: LegId, branch: LegId, index: usize) {
    let leg = draft.call.leg(named);
    let Some((agent, list)) = leg.sections.get(index).and_then(|s| leg.ice_of(s)) else {
        return;
    };
    let ours = agent.credentials(list).clone();
    open(draft, branch, index, Role::Controlling);
    let leg = draft.call.leg_mut(branch);
    if let (Some(ice), Some(list)) = (&mut leg.ice, leg.sections[index].ice) {
        ice.agent.adopt(list, ours);
    }
}

/// Whether a body is an offer or an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Offer,
    Answer,
}

/// Gives a section a checklist. Ports that are new in a section that had one begin it anew: the peer
/// has to be told that what it knows is over (RFC 8839 §4.4.1.1.1).
fn open<P: Ports>(draft: &mut Draft<'_, P>, id: LegId, index: usize, role: Role) {
    let random = draft.random.source();
    let settings = draft.settings;
    let leg = draft.call.leg_mut(id);
    if leg.sections[index].shares() {
        follow(leg, index);
        return;
    }
    let mode = leg.ice_mode;
    let ice = leg.ice.get_or_insert_with(|| {
        let agent = Agent::new(mode, role, random);
        Box::new(Connectivity::new(agent))
    });
    let section = &mut leg.sections[index];
    let known = ice.lists.get(&index).copied();
    if known.is_none() && ice.lists.len() >= MAX_LISTS {
        return;
    }
    let list = known.unwrap_or_else(|| ice.agent.add_list(random));
    ice.lists.insert(index, list);
    let is_new = section
        .newest()
        .is_some_and(|transport| !transport.rtp.is_candidate());
    match section.ice {
        Some(_) if is_new => ice.agent.restart(list, random),
        None if known.is_some() => ice.agent.reset(list, random, &mut ice.out),
        Some(_) | None => {}
    }
    section.ice = Some(list);
    doors::widen(draft, id, index);
    draft.call.leg_mut(id).align(&settings.interfaces);
}

/// A section that shares ports has the agent's checklist of whose they are.
fn follow(leg: &mut Leg, index: usize) {
    let owner = leg.owner(index);
    leg.sections[index].ice = leg.sections[owner].ice;
}

/// A section lodges behind another: its peer knows the credentials that were offered for both.
pub(super) fn lodge<P: Ports>(draft: &mut Draft<'_, P>, leg: LegId, index: usize, host: usize) {
    let known = draft.call.leg(leg);
    let Some((agent, list)) = known.ice_of(&known.sections[host]) else {
        draft.call.leg_mut(leg).sections[index].ice = None;
        return;
    };
    let ours = agent.credentials(list).clone();
    draft.call.leg_mut(leg).sections[index].ice = None;
    open(draft, leg, index, Role::Controlling);
    let leg = draft.call.leg_mut(leg);
    if let (Some(ice), Some(list)) = (&mut leg.ice, leg.sections[index].ice) {
        ice.agent.adopt(list, ours);
    }
}

/// A section has come to share ports: its own checklist is over.
pub(super) fn join<P>(draft: &mut Draft<'_, P>, leg: LegId, index: usize) {
    let settings = draft.settings;
    let leg = draft.call.leg_mut(leg);
    if leg.sections[index].shares() {
        follow(leg, index);
        leg.align(&settings.interfaces);
    }
}

/// The section does without ICE.
fn close<P: Ports>(draft: &mut Draft<'_, P>, leg: LegId, index: usize) {
    let settings = draft.settings;
    if draft.call.leg_mut(leg).sections[index].ice.take().is_some() {
        doors::shut(draft, leg, index);
        draft.call.leg_mut(leg).align(&settings.interfaces);
    }
}

/// Tells a section's agent what its peer said.
fn tell<P>(draft: &mut Draft<'_, P>, leg: LegId, index: usize, spoken: &Spoken<'_>, says: Says) {
    let (now, random) = (draft.now, draft.random.source());
    let leg = draft.call.leg_mut(leg);
    if leg.sections[index].shares() {
        return;
    }
    let (Some(ice), Some(list)) = (&mut leg.ice, leg.sections[index].ice) else {
        return;
    };
    let Connectivity {
        agent, out, since, ..
    } = &mut **ice;
    if agent.peer_credentials(list).is_none() || agent.is_restart(list, spoken.ufrag, spoken.pwd) {
        since.insert(list, now);
    }
    agent.set_peer(spoken.mode);
    if agent.is_restart(list, spoken.ufrag, spoken.pwd) {
        match says {
            Says::Offer => agent.restart(list, random),
            Says::Answer => agent.replace_peer(list),
        }
    }
    agent.describe(now, list, spoken.ufrag, spoken.pwd, random, out);
    if says == Says::Offer {
        agent.hold(list);
    }
    for candidate in &spoken.candidates {
        agent.add_remote(now, list, *candidate, random, out);
    }
    if spoken.more == More::None {
        agent.end_of_candidates(list);
    }
}

/// What a section's receiver is told.
pub(super) struct Shown<'p> {
    agent: &'p Agent,
    list: ListId,
    /// Whether RTCP has candidates of its own.
    components: &'static [Component],
}

impl<'p> Shown<'p> {
    /// What is shown of a section, if anything.
    pub(super) fn new(agent: &'p Agent, list: ListId, mux: MuxShown) -> Self {
        let components: &[Component] = match mux {
            MuxShown::Muxed => &[Component::Rtp],
            MuxShown::None | MuxShown::Offered => &Component::ALL,
        };
        Self {
            agent,
            list,
            components,
        }
    }

    /// Writes credentials, options and candidates.
    pub(super) fn write(&self, out: &mut Writer, request: &OfferAnswer<'_>) {
        let ours = self.agent.credentials(self.list);
        out.put(&IceUfrag(ours.ufrag()));
        out.put(&IcePwd(ours.pwd()));
        let trickle = request.flags.has(Flag::TrickleIce);
        let options: Vec<&[u8]> = [
            (trickle, &b"trickle"[..]),
            (request.flags.has(Flag::Ice2), b"ice2"),
        ]
        .into_iter()
        .filter_map(|(said, option)| said.then_some(option))
        .collect();
        if !options.is_empty() {
            out.put(&IceOptions(&options.join(&b' ')));
        }
        let candidates = self.agent.candidates(self.list);
        for candidate in candidates.filter(|c| self.components.contains(&c.component)) {
            let foundation = candidate.foundation.to_string();
            out.put(&sdp::Candidate {
                foundation: foundation.as_bytes(),
                component: candidate.component.number(),
                transport: b"UDP",
                priority: candidate.priority,
                host: Host::Ip(candidate.place.advertised.addr.ip()),
                port: candidate.place.advertised.port,
                kind: match candidate.place.kind {
                    CandidateType::Relayed => CandidateKind::Relayed,
                    CandidateType::Host
                    | CandidateType::ServerReflexive
                    | CandidateType::PeerReflexive => CandidateKind::Host,
                },
                related: None,
                extensions: b"",
            });
        }
        self.write_remotes(out);
        out.flag(AttrKind::EndOfCandidates);
    }

    /// The peer's candidates in use, which a controlling side names once all are known (RFC 8839 §5.2).
    fn write_remotes(&self, out: &mut Writer) {
        if self.agent.role() != Role::Controlling || !self.agent.is_connected(self.list) {
            return;
        }
        let chosen = self.components.iter().filter_map(|component| {
            let remote = self.agent.selected(self.list, *component)?.remote;
            Some(format!(
                "{} {} {}",
                component.number(),
                remote.addr,
                remote.port
            ))
        });
        let text = chosen.collect::<Vec<_>>().join(" ");
        out.attr(AttrKind::RemoteCandidates, text.as_bytes());
    }
}

/// Whether any section towards a leg has a lite agent, which the session part says.
pub(super) fn is_lite(agent: Option<&Agent>, sections: &[Section]) -> bool {
    agent.is_some_and(|agent| agent.mode() == Mode::Lite)
        && sections.iter().any(|section| section.ice.is_some())
}
