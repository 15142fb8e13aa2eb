//! An offer: both sides get ports, the far side gets a body (RFC 3264 §5, §8).

use patchcord_contract::Endpoint;
use patchcord_wire::ids::Mid;
use patchcord_wire::ng::address::{Family, InterfaceChoice, Tos};
use patchcord_wire::ng::mux::MuxOnward;
use patchcord_wire::ng::offer_answer::AliasKey;
use patchcord_wire::ng::replace::MediaType;
use patchcord_wire::ng::security::{OsrtpForm, ProtoChoice, SdesFlag};
use patchcord_wire::ng::{Flag, OfferAnswer};
use patchcord_wire::sdp::{AttrKind, Sdp};

use super::body::Keys;
use super::bundle::{Groups, Onward, Place};
use super::compose::{self, Body, Decision, compose};
use super::draft::Draft;
use super::heard::{self, Believed, Heard, Passage};
use super::interface::{self, Chosen, family_of};
use super::profile::{Carries, Source, Told, Wish};
use super::transport::{self, Demand, Latching, NeedsRtcp};
use super::{
    Message, body_hash, bundle, dtls, extensions, ice, identify, indexes, later, mux, policy,
    profile, sdes, through, twofold,
};
use crate::call::{
    Address, Description, Exchange, LegId, MuxWord, Muxing, Parties, Section, Shown, Way,
    offer_parties,
};
use crate::error::CallError;
use crate::ports::Ports;

const UNREAD: &str = "extmap: packets under the ends' own keys keep what is masked";
const STRANDED: &str = "application: no data channels through a bundle or without DTLS, refused";

/// Takes an offer into the draft and returns the body for the far side.
pub(crate) fn offer<P: Ports>(
    draft: &mut Draft<'_, P>,
    message: Message<'_>,
) -> Result<Vec<u8>, CallError> {
    let request = message.request;
    let sdp = Sdp::parse(&request.sdp)?;
    let heard = heard::read(&sdp, Believed::new(request, draft.settings.trusted))?;
    let names = message.names()?;
    let parties = parties(draft, message, &names, &heard)?;
    draft.call.leg_mut(parties.answerer).offered_as = parties.answerer;
    identify(&mut draft.call, message, parties.offerer, Some(&names.from));
    let agreed = draft
        .call
        .dialogue(parties.offerer, parties.answerer)
        .is_some_and(|dialogue| dialogue.exchange != Exchange::Offered);
    draft.call.note_offer(parties.offerer, parties.answerer);
    policy::apply(
        &mut draft.call,
        request,
        parties.offerer,
        parties.answerer,
        draft.random,
    );
    ice::assign_modes(draft, request, parties.offerer, parties.answerer);
    if request.tos == Tos::Configured {
        // An offer that says nothing of it goes back to what is configured.
        draft.call.tos = None;
    }
    assign(
        draft,
        parties.offerer,
        &request.addressing.interfaces.from,
        message.turn,
    );
    assign(
        draft,
        parties.answerer,
        &request.addressing.interfaces.to,
        message.turn,
    );
    later::remark(request, &heard, &mut draft.notes);
    let accepts = request.osrtp.accept.has(OsrtpForm::Legacy);
    let mut heard = twofold::fold(&draft.call, parties.offerer, heard, accepts);

    let indexes: Vec<usize> = indexes(&draft.call, parties.offerer)
        .take(heard.len())
        .collect();
    let exchange = exchange(draft, message, parties, agreed, &sdp, &mut heard, &indexes);
    let decisions = decide(draft, &exchange, &sdp, &heard)?;
    end_missing(draft, parties, &indexes);
    let body = Body {
        sdp: &sdp,
        heard: &heard,
        indexes: &indexes,
        decisions: &decisions,
    };
    Ok(compose(
        draft,
        message,
        &body,
        parties.offerer,
        parties.answerer,
    ))
}

/// What the sections of an offer have in common.
fn exchange<'r, P: Ports>(
    draft: &mut Draft<'_, P>,
    message: Message<'r>,
    parties: Parties,
    agreed: bool,
    sdp: &Sdp<'_>,
    heard: &mut [Heard<'_, '_>],
    indexes: &'r [usize],
) -> Offering<'r> {
    let (request, Parties { offerer, answerer }) = (message.request, parties);
    let dtls = dtls::is_possible(draft, request);
    let near = bundle::inward(draft, request, offerer, sdp, heard, dtls);
    let far = bundle::onward(draft, request, answerer, sdp, heard, indexes, &near);
    Offering {
        message,
        parties,
        agreed,
        has_ice: sdp.has(AttrKind::IceUfrag),
        policy: sdes::Policy::new(request, draft.call.rtcp, &mut draft.notes),
        dtls,
        mids: heard.iter().filter_map(|heard| heard.mid.clone()).collect(),
        indexes,
        near,
        far,
    }
}

/// Decides section by section; those whose transport others share come first.
fn decide<P: Ports>(
    draft: &mut Draft<'_, P>,
    exchange: &Offering<'_>,
    sdp: &Sdp<'_>,
    heard: &[Heard<'_, '_>],
) -> Result<Vec<Decision>, CallError> {
    let count = exchange.indexes.last().map_or(0, |last| last + 1);
    for leg in [exchange.parties.offerer, exchange.parties.answerer] {
        let sections = &mut draft.call.leg_mut(leg).sections;
        sections.reserve_exact(count.saturating_sub(sections.len()));
    }
    for (at, (heard, index)) in heard.iter().zip(exchange.indexes).enumerate() {
        prepare(draft, exchange, *index, heard);
        let (near, far) = (&exchange.near, &exchange.far);
        bundle::note_offer(
            &mut draft.call,
            exchange.parties,
            *index,
            at,
            heard,
            near,
            far,
        );
    }
    let mut decisions = vec![Decision::Rejected; heard.len()];
    for at in bundle::order(heard.len(), &exchange.near, &exchange.far.groups) {
        let request = exchange.message.request;
        decisions[at] = if bundle::is_stranded(&heard[at], request, sdp, &exchange.near) {
            draft.notes.add(STRANDED);
            refuse(draft, exchange, exchange.indexes[at], &heard[at])
        } else {
            section(draft, exchange, at, &heard[at])?
        };
    }
    let far = draft.call.leg(exchange.parties.answerer);
    compose::share(far, exchange.indexes, &mut decisions);
    Ok(decisions)
}

/// An offered section that goes no further.
fn refuse<P: Ports>(
    draft: &mut Draft<'_, P>,
    exchange: &Offering<'_>,
    index: usize,
    heard: &Heard<'_, '_>,
) -> Decision {
    let near = &mut draft.call.leg_mut(exchange.parties.offerer).sections[index];
    near.remote.offer(heard.description.clone());
    near.told = Some(heard.description.proto);
    Decision::Rejected
}

/// What all sections of one offer have in common.
struct Offering<'r> {
    message: Message<'r>,
    parties: Parties,
    /// Whether the two had agreed before.
    agreed: bool,
    /// Whether the offerer speaks ICE.
    has_ice: bool,
    /// What is said of SDES.
    policy: sdes::Policy,
    /// Whether DTLS may be used.
    dtls: bool,
    /// The names of all its sections.
    mids: Vec<Mid>,
    /// Which sections of the call they are.
    indexes: &'r [usize],
    /// Which of them share a transport with the offerer.
    near: Groups,
    /// Which of them share one with the answerer, or may.
    far: Onward,
}

fn parties<P: Ports>(
    draft: &mut Draft<'_, P>,
    message: Message<'_>,
    names: &Address,
    heard: &[Heard<'_, '_>],
) -> Result<Parties, CallError> {
    let request = message.request;
    let to = &request.addressing.interfaces.to;
    let chosen = interface::choose(draft.settings, to, message.turn);
    let said = body_hash(&request.sdp);
    let place = heard.first().map(|heard| heard.description.rtp);
    let place = place.filter(|rtp| rtp.port != 0 && !rtp.addr.is_unspecified());
    offer_parties(
        &mut draft.call,
        names,
        message.clock,
        draft.settings.learning,
        |leg| match chosen {
            Chosen::Logical(logical) => leg.interface.is_none_or(|known| known == logical),
            Chosen::Nothing | Chosen::Unknown => true,
        },
        |leg| match request.alias_key {
            None | Some(AliasKey::Off) => false,
            Some(AliasKey::Sdp) => leg.said == said,
            Some(AliasKey::Address) => {
                let first = leg.sections.first().and_then(|s| s.remote.latest());
                place.is_some() && first.map(|known| known.rtp) == place
            }
        },
    )
}

/// Remembers the interface chosen for a leg.
fn assign<P: Ports>(draft: &mut Draft<'_, P>, leg: LegId, choice: &InterfaceChoice<'_>, turn: u64) {
    // Turns are taken once: the next offer must not move the leg on.
    let known = draft.call.leg(leg).interface;
    if known.is_some_and(|known| interface::is_turn_of(draft.settings, choice, known)) {
        return;
    }
    match interface::choose(draft.settings, choice, turn) {
        Chosen::Nothing => {}
        Chosen::Logical(logical) => draft.call.leg_mut(leg).interface = Some(logical),
        Chosen::Unknown => draft
            .notes
            .add("direction: no interface of that name, default used"),
    }
}

/// Makes sure both legs have the section, and notes what does not depend on ports.
fn prepare<P: Ports>(
    draft: &mut Draft<'_, P>,
    exchange: &Offering<'_>,
    index: usize,
    heard: &Heard<'_, '_>,
) {
    let request = exchange.message.request;
    let kind = heard.media.kind.name();
    for leg in [exchange.parties.offerer, exchange.parties.answerer] {
        let sections = &mut draft.call.leg_mut(leg).sections;
        while sections.len() <= index {
            sections.push(Section::new(kind));
        }
        let section = &mut sections[index];
        if *section.kind != *kind {
            section.kind = kind.into();
        }
        section.ptime.learn(heard.ptime);
    }
    let removed = request.rewrite.media_remove.has(MediaType::parse(kind));
    let mid = mid_onward(draft, exchange, index, heard);
    let near = &mut draft.call.leg_mut(exchange.parties.offerer).sections[index];
    near.mux_inward = request.rtcp_mux.inward;
    near.mid.clone_from(&heard.mid);
    near.twin.clone_from(&heard.twin);
    let far = &mut draft.call.leg_mut(exchange.parties.answerer).sections[index];
    far.shown = if removed {
        Shown::Hidden(heard.media.formats.trim_ascii().into())
    } else {
        Shown::Yes
    };
    far.mid = mid;
}

/// The name of the section towards the answerer: the offerer's, else the one it has, else, if the
/// request wants one, its number, or the next that no other section is called.
fn mid_onward<P: Ports>(
    draft: &Draft<'_, P>,
    exchange: &Offering<'_>,
    index: usize,
    heard: &Heard<'_, '_>,
) -> Option<Mid> {
    let sections = &draft.call.leg(exchange.parties.answerer).sections;
    let known = heard.mid.clone().or_else(|| sections[index].mid.clone());
    let wants = exchange.message.request.flags.has(Flag::GenerateMid);
    if known.is_some() || !wants && exchange.far.groups.is_empty() {
        return known;
    }
    let is_free = |mid: &Mid| {
        !exchange.mids.contains(mid) && sections.iter().all(|s| s.mid.as_ref() != Some(mid))
    };
    (index + 1..)
        .take(sections.len() + exchange.mids.len() + 1)
        .filter_map(|number| Mid::new(number.to_string().as_bytes()).ok())
        .find(is_free)
}

fn section<P: Ports>(
    draft: &mut Draft<'_, P>,
    exchange: &Offering<'_>,
    at: usize,
    heard: &Heard<'_, '_>,
) -> Result<Decision, CallError> {
    let Parties { offerer, answerer } = exchange.parties;
    let index = exchange.indexes[at];
    let near = &mut draft.call.leg_mut(offerer).sections[index];
    let before = near.remote.latest().map(|description| description.proto);
    near.remote.offer(heard.description.clone());
    near.told = Some(heard.description.proto);
    let far = &mut draft.call.leg_mut(answerer).sections[index];
    // What the answerer was told outlives re-INVITEs, unless the offerer's own protocol changes.
    far.told = far.told.filter(|_| before == Some(heard.description.proto));
    match heard.passage {
        Passage::Foreign => return Ok(Decision::Foreign),
        Passage::Rejected => return Ok(Decision::Rejected),
        Passage::Relayed if far.shown != Shown::Yes => return Ok(Decision::Rejected),
        Passage::Relayed => {}
    }
    let proto = heard.description.proto;
    let (near, far) = draft.call.sections(exchange.parties, index);
    let mut told = wish(exchange, heard, near, far).told(&mut draft.notes);
    let request = exchange.message.request;
    let is_through = through::offered(draft, request, exchange.parties, index, heard);
    if is_through {
        told = through::told(heard, told, &mut draft.notes);
    }
    if told.near == Way::Sdes || proto.is_secure() {
        heard
            .crypto_notes
            .iter()
            .for_each(|note| draft.notes.add(note));
    }
    extensions::mask(draft, exchange.message.request, offerer, index, heard);
    if told.near == Way::Ends
        && proto.is_secure()
        && !exchange.message.request.extmap.mask.is_empty()
    {
        draft.notes.add(UNREAD);
    }
    let place = exchange.near.place(at);
    if bundle::place_near(draft, offerer, index, place, exchange.indexes) {
        near_ports(draft, exchange, index, heard)?;
    }
    let shown = far_ports(draft, exchange, at, heard, told)?;
    if heard.is_rtp() {
        let spoken = heard.ice.as_ref().filter(|_| !is_through);
        ice::offered(draft, request, offerer, index, spoken);
        ice::offer(draft, request, answerer, index, spoken);
    }
    draft.call.leg_mut(answerer).sections[index].told = Some(told.proto);
    let lines = sdes::offer(draft, exchange.parties, index, told, &exchange.policy);
    let shows = key_by_dtls(draft, exchange, index, told, heard);
    if exchange.message.request.osrtp.offer == Some(OsrtpForm::Legacy) {
        let far = &mut draft.call.leg_mut(answerer).sections[index];
        twofold::unfold(far, told.proto, heard);
    }
    let far = &draft.call.leg(answerer).sections[index];
    Ok(Decision::Relayed {
        told: told.proto,
        mux: shown,
        keys: Keys::new(told.far, lines, shows),
        streams: bundle::shown_onward(far, at, &exchange.near, &exchange.far),
    })
}

/// Takes what an offer does about DTLS; returns what its receiver is told.
fn key_by_dtls<P: Ports>(
    draft: &mut Draft<'_, P>,
    exchange: &Offering<'_>,
    index: usize,
    told: Told,
    heard: &Heard<'_, '_>,
) -> Option<dtls::Shown> {
    let Parties { offerer, answerer } = exchange.parties;
    let request = exchange.message.request;
    let said = heard.description.dtls.as_deref();
    match said.filter(|_| told.near == Way::Dtls) {
        Some(said) => dtls::offered(draft, request, offerer, index, said),
        None => dtls::withdraw(draft, offerer, index),
    }
    if told.far.has_dtls() {
        dtls::offer(draft, request.dtls, answerer, index);
    } else {
        dtls::withdraw(draft, answerer, index);
    }
    let far = &draft.call.leg(answerer).sections[index];
    let ours = far.dtls.as_deref().filter(|_| told.far.has_dtls());
    ours.map(|ours| dtls::Shown::offer(ours, request))
}

/// What is wanted of the answerer's profile and keying.
fn wish(exchange: &Offering<'_>, heard: &Heard<'_, '_>, near: &Section, far: &Section) -> Wish {
    let request = exchange.message.request;
    let theirs = heard.description.proto;
    let lines = &heard.description.crypto;
    // Keys in a plain profile that were accepted once stay accepted; an offer alone accepts none.
    let keyed = |way: Way| way.has_sdes() || way.has_dtls();
    let accepted = keyed(near.keying.way) && near.remote.is_agreed();
    let opportunistic = request.osrtp.accept.has(OsrtpForm::Rfc) || accepted;
    // A leg that took keys in a plain profile is offered them again.
    let took = keyed(far.keying.way) && far.told.is_some_and(|told| !told.is_secure());
    let again = took && far.twin.is_none() && !matches!(request.proto, ProtoChoice::To(_));
    Wish {
        theirs,
        source: source(&heard.description, request, exchange.dtls, opportunistic),
        choice: request.proto,
        before: far.told,
        sdes: sdes::is_possible(&exchange.policy, lines),
        dtls: exchange.dtls,
        // No m= line can be put between those that were agreed.
        osrtp: (request.osrtp.offer)
            .filter(|form| *form == OsrtpForm::Rfc || !far.remote.is_agreed())
            .or(again.then_some(OsrtpForm::Rfc)),
    }
}

/// How an offered section is keyed. What it says in a plain profile counts if that form is accepted.
/// Of both ways DTLS is taken, unless the request prefers SDES.
fn source(
    description: &Description,
    request: &OfferAnswer<'_>,
    dtls: bool,
    opportunistic: bool,
) -> Source {
    let proto = description.proto;
    let has_print = dtls && description.dtls.is_some();
    let has_lines = !description.crypto.is_empty();
    let prefers_lines = request.sdes.flags.has(SdesFlag::Prefer);
    if !proto.is_secure() && !opportunistic {
        return Source::Plain;
    }
    match (has_print, has_lines) {
        (true, true) if prefers_lines => Source::Sdes,
        (true, _) => Source::Dtls,
        (false, true) if !proto.is_dtls() => Source::Sdes,
        (false, _) if proto.is_secure() => Source::Foreign,
        (false, _) => Source::Plain,
    }
}

/// The offerer's ports. They stay where they are, whatever the answerer does later.
fn near_ports<P: Ports>(
    draft: &mut Draft<'_, P>,
    exchange: &Offering<'_>,
    index: usize,
    heard: &Heard<'_, '_>,
) -> Result<(), CallError> {
    let leg = draft.call.leg(exchange.parties.offerer);
    let section = &leg.sections[index];
    let is_muxed = section.newest().is_some_and(|t| t.muxing == Muxing::Muxed);
    let shares = !heard.is_rtp() || (is_muxed && heard.description.mux == MuxWord::Said);
    let demand = Demand {
        interface: interface::row(draft.settings, leg.interface, heard.family()),
        count: Demand::count(&heard.description),
        stands_for: Endpoint::NONE,
        latching: Latching::Keep,
        rtcp: if shares {
            NeedsRtcp::No
        } else {
            NeedsRtcp::Yes
        },
    };
    transport::provide(draft, exchange.parties.offerer, index, demand)
}

/// The answerer's ports, and what it is told of rtcp-mux.
fn far_ports<P: Ports>(
    draft: &mut Draft<'_, P>,
    exchange: &Offering<'_>,
    at: usize,
    heard: &Heard<'_, '_>,
    told: Told,
) -> Result<mux::MuxShown, CallError> {
    let request = exchange.message.request;
    let (answerer, index) = (exchange.parties.answerer, exchange.indexes[at]);
    let section = &draft.call.leg(answerer).sections[index];
    let muxing = section.local.as_ref().map(|local| local.now.muxing);
    let is_rtp = heard.is_rtp()
        && section.through.is_none()
        && profile::carries(told.proto, told.far) != Carries::Bytes;
    let (said, onward) = (heard.description.mux, request.rtcp_mux.onward);
    let place = exchange.far.groups.place(at);
    let shown = if place != Place::Alone && is_rtp {
        // A bundle needs it (RFC 9143 §9.3).
        let onward = match onward {
            MuxOnward::Separate => MuxOnward::Offer,
            MuxOnward::Mirror | MuxOnward::Offer | MuxOnward::Require => onward,
        };
        mux::offered(MuxWord::Said, onward, muxing)
    } else if is_rtp {
        mux::offered(said, onward, muxing)
    } else {
        mux::mirrored(said, muxing)
    };
    let (offered, indexes) = (exchange.far.offered(), exchange.indexes);
    if bundle::place_far(draft, answerer, index, place, offered, indexes) {
        lease_far(draft, exchange, at, heard, shown)?;
    }
    let section = &mut draft.call.leg_mut(answerer).sections[index];
    if let Some(local) = &mut section.local {
        let newest = local.next.as_deref_mut().unwrap_or(&mut local.now);
        newest.muxing = mux::while_open(shown, newest.muxing, exchange.agreed);
    }
    Ok(shown)
}

fn lease_far<P: Ports>(
    draft: &mut Draft<'_, P>,
    exchange: &Offering<'_>,
    at: usize,
    heard: &Heard<'_, '_>,
    shown: mux::MuxShown,
) -> Result<(), CallError> {
    let (request, index) = (exchange.message.request, exchange.indexes[at]);
    // In a bundle the offerer's own address of the section is no longer used once it is agreed.
    let is_behind = matches!(exchange.near.place(at), Place::Behind(_));
    let leg = draft.call.leg(exchange.parties.answerer);
    let section = &leg.sections[index];
    let muxing = section.local.as_ref().map(|local| local.now.muxing);
    let stays_muxed = shown == mux::MuxShown::Muxed && muxing == Some(Muxing::Muxed);
    let receives = heard.description.direction.sends();
    let demand = Demand {
        interface: interface::row(
            draft.settings,
            leg.interface,
            far_family(draft, exchange, index, heard),
        ),
        count: Demand::count(&heard.description),
        stands_for: heard.description.rtp,
        latching: Latching::new(
            request.learning.port_latching,
            exchange.has_ice || section.ice.is_some() || is_behind,
            receives,
        ),
        rtcp: if stays_muxed || !heard.is_rtp() {
            NeedsRtcp::No
        } else {
            NeedsRtcp::Yes
        },
    };
    transport::provide(draft, exchange.parties.answerer, index, demand)
}

/// The family towards the answerer: as asked, else its own, else the one it was given before, else
/// the offerer's.
fn far_family<P: Ports>(
    draft: &Draft<'_, P>,
    exchange: &Offering<'_>,
    index: usize,
    heard: &Heard<'_, '_>,
) -> Family {
    let section = &draft.call.leg(exchange.parties.answerer).sections[index];
    let own = || {
        let description = section.remote.latest().filter(|d| !d.is_rejected())?;
        Some(family_of(description.rtp.addr))
    };
    let given = || {
        let row = usize::from(section.newest()?.interface);
        Some(family_of(draft.settings.interfaces[row].address))
    };
    let asked = exchange.message.request.addressing.family;
    asked
        .or_else(own)
        .or_else(given)
        .unwrap_or_else(|| heard.family())
}

/// Sections that the offerer no longer mentions are over once the offer is answered.
fn end_missing<P: Ports>(draft: &mut Draft<'_, P>, parties: Parties, indexes: &[usize]) {
    let sections = &mut draft.call.leg_mut(parties.offerer).sections;
    for (index, section) in sections.iter_mut().enumerate() {
        if !indexes.contains(&index)
            && let Some(known) = section.remote.latest()
        {
            let mut ended = known.clone();
            ended.rtp.port = 0;
            section.remote.offer(ended);
        }
    }
}
