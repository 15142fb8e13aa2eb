//! An answer: what was offered is agreed, ports that were only offered settle (RFC 3264 §6).

use patchcord_wire::Proto;
use patchcord_wire::ng::mux::MuxInward;
use patchcord_wire::ng::security::SdesFlag;
use patchcord_wire::ng::{Flag, OfferAnswer};
use patchcord_wire::sdp::Sdp;

use super::body::{Keys, Streams};
use super::bundle::{self, Groups};
use super::compose::{self, Body, Decision, compose};
use super::draft::Draft;
use super::heard::{self, Believed, Heard, Passage};
use super::interface::{self, Chosen, family_of};
use super::mux::{self, MuxShown};
use super::{
    Message, branch, dtls, extensions, ice, identify, indexes, later, policy, profile, sdes,
    through, transport, twofold,
};
use crate::call::{Leg, MuxWord, Muxing, Newcomer, Parties, Shown, Way, answer_parties};
use crate::error::CallError;
use crate::ports::Ports;

const CROWDED: &str = "bundle: not taken, and no port is left for the section, refused";

/// Takes an answer into the draft and returns the body for the offerer.
pub(crate) fn answer<P: Ports>(
    draft: &mut Draft<'_, P>,
    message: Message<'_>,
) -> Result<Vec<u8>, CallError> {
    let request = message.request;
    let sdp = Sdp::parse(&request.sdp)?;
    let heard = heard::read(&sdp, Believed::new(request, draft.settings.trusted))?;
    let fits = fits(draft, message, &heard);
    let newcomer = if request.flags.has(Flag::NewBranch) {
        Newcomer::Branch
    } else {
        Newcomer::Alias
    };
    let names = message.names()?;
    let parties = answer_parties(&mut draft.call, &names, message.clock, newcomer, fits)?;
    branch::open(draft, parties.answerer)?;
    identify(
        &mut draft.call,
        message,
        parties.answerer,
        names.to.as_ref(),
    );
    draft.call.note_answer(parties.offerer, parties.answerer);
    draft.call.answered = Some(message.clock.now);
    policy::apply(
        &mut draft.call,
        request,
        parties.answerer,
        parties.offerer,
        draft.random,
    );
    later::remark(request, &heard, &mut draft.notes);
    let mut heard = twofold::fold(&draft.call, parties.answerer, heard, false);

    let sections = draft.call.leg(parties.offerer).sections.len();
    let answerable = sections.min(draft.call.leg(parties.answerer).sections.len());
    // An answer has no sections of its own making: what is beyond the offer is not taken.
    let indexes: Vec<usize> = indexes(&draft.call, parties.answerer)
        .take(heard.len())
        .take_while(|index| *index < answerable)
        .collect();
    let groups = bundle::answered(draft, parties.answerer, &sdp, &mut heard, &indexes);
    let exchange = Answering {
        message,
        parties,
        policy: sdes::Policy::new(request, draft.call.rtcp, &mut draft.notes),
        indexes: &indexes,
        groups,
    };
    let mut decisions = vec![Decision::Rejected; indexes.len()];
    for at in bundle::order(indexes.len(), &exchange.groups, &Groups::default()) {
        decisions[at] = section(draft, &exchange, at, &heard);
    }
    let near = draft.call.leg(parties.offerer);
    for (at, decision) in decisions.iter_mut().enumerate() {
        if let Decision::Relayed { streams, .. } = decision {
            let (index, groups) = (indexes[at], &exchange.groups);
            *streams = bundle::shown_inward(near, index, groups, at, &indexes);
        }
    }
    compose::share(near, &indexes, &mut decisions);
    for index in (0..sections).filter(|index| !indexes.contains(index)) {
        draft.call.leg_mut(parties.offerer).sections[index]
            .remote
            .accepted();
        close_both(draft, parties, index);
    }
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
        parties.answerer,
        parties.offerer,
    ))
}

/// Tells among unanswered forks without names the one that an answer can be from: the one on the
/// interface that the request says, else the one given an address of the answer's family.
fn fits<P: Ports>(
    draft: &Draft<'_, P>,
    message: Message<'_>,
    heard: &[Heard<'_, '_>],
) -> impl Fn(&Leg) -> bool + use<P> {
    let interfaces = &message.request.addressing.interfaces;
    let from = interface::choose(draft.settings, &interfaces.from, message.turn);
    let family = heard.first().map(Heard::family);
    let families: Vec<_> = draft
        .settings
        .interfaces
        .iter()
        .map(|row| family_of(row.address))
        .collect();
    move |leg| {
        if let (Chosen::Logical(wanted), Some(known)) = (from, leg.interface) {
            return wanted == known;
        }
        let given = leg.sections.first().and_then(|section| section.newest());
        given.is_none_or(|t| families.get(usize::from(t.interface)).copied() == family)
    }
}

/// What all sections of one answer have in common.
struct Answering<'r> {
    message: Message<'r>,
    parties: Parties,
    /// What is said of SDES.
    policy: sdes::Policy,
    /// Which sections of the call they are.
    indexes: &'r [usize],
    /// Which of them share a transport with the answerer from here on.
    groups: Groups,
}

fn section<P: Ports>(
    draft: &mut Draft<'_, P>,
    exchange: &Answering<'_>,
    at: usize,
    all: &[Heard<'_, '_>],
) -> Decision {
    let (message, parties, policy) = (exchange.message, exchange.parties, &exchange.policy);
    let (index, heard) = (exchange.indexes[at], &all[at]);
    let Parties { offerer, answerer } = parties;
    let answering = &mut draft.call.leg_mut(answerer).sections[index];
    answering.remote.answer(heard.description.clone());
    answering.ptime.learn(heard.ptime);
    if heard.twin.is_some() {
        // Of two lines it took one: that is what it is told from here on.
        answering.twin.clone_from(&heard.twin);
        answering.told = Some(heard.description.proto);
    }
    let answering_has_ports = answering.local.is_some();
    let offering = &mut draft.call.leg_mut(offerer).sections[index];
    offering.remote.accepted();
    offering.ptime.learn(heard.ptime);
    let Some(offered) = offering.remote.latest().cloned() else {
        return Decision::Rejected;
    };
    if heard.passage == Passage::Foreign {
        return Decision::Foreign;
    }
    let is_relayed = heard.passage == Passage::Relayed
        && !offered.is_rejected()
        && offering.local.is_some()
        && answering_has_ports;
    let body = (all, exchange.indexes);
    let is_placed =
        is_relayed && bundle::place_answer(draft, answerer, at, &exchange.groups, body).is_ok();
    if is_relayed && !is_placed {
        draft.notes.add(CROWDED);
    }
    if !is_placed {
        close_both(draft, parties, index);
        return Decision::Rejected;
    }
    let far = &mut draft.call.leg_mut(answerer).sections[index];
    bundle::note_answer(far, heard, &exchange.groups, at);
    extensions::mask(draft, message.request, answerer, index, heard);
    transport::settle(draft, answerer, index);
    transport::settle(draft, offerer, index);
    ice::join(draft, answerer, index);
    ice::join(draft, offerer, index);
    transport::stand_for(draft, offerer, index, heard.description.rtp);
    let mux = if heard.is_rtp() {
        settle_mux(draft, parties, index, heard.description.mux, offered.mux)
    } else {
        MuxShown::None
    };
    through::said(draft, answerer, index, heard);
    if heard.is_rtp() {
        let legs = (offerer, answerer);
        ice::answered(draft, message.request, legs, index, heard.ice.as_ref());
    }
    let way = draft.call.leg(offerer).sections[index].keying.way;
    let said = heard.description.proto;
    let told = profile::answered(offered.proto, way, said, message.request.proto);
    if said.is_secure() && way != Way::Ends {
        heard
            .crypto_notes
            .iter()
            .for_each(|note| draft.notes.add(note));
    }
    let by_dtls = key_by_dtls(draft, message.request, parties, index, heard, told);
    let lines = sdes::answer(draft, parties, index, told, by_dtls.far, policy);
    let shown = match way {
        Way::Sdes if lines.is_empty() => Way::Plain,
        Way::Dtls if by_dtls.shows.is_none() => Way::Plain,
        Way::Plain | Way::Sdes | Way::Dtls | Way::Either | Way::Ends => way,
    };
    Decision::Relayed {
        told,
        mux,
        keys: Keys::new(shown, lines, by_dtls.shows),
        streams: Streams::default(),
    }
}

/// What an answer does about DTLS.
struct ByDtls {
    /// Whether the answerer chose it.
    far: bool,
    /// What the offerer is told of it.
    shows: Option<dtls::Shown>,
}

fn key_by_dtls<P: Ports>(
    draft: &mut Draft<'_, P>,
    request: &OfferAnswer<'_>,
    Parties { offerer, answerer }: Parties,
    index: usize,
    heard: &Heard<'_, '_>,
    told: Proto,
) -> ByDtls {
    let far = &draft.call.leg(answerer).sections[index];
    let prefers_lines =
        request.sdes.flags.has(SdesFlag::Prefer) && !heard.description.crypto.is_empty();
    let open = far.keying.way.has_dtls() && !(prefers_lines && far.keying.way.has_sdes());
    let said = heard.description.dtls.as_deref().filter(|_| open);
    let far = dtls::answered(draft, answerer, index, said);
    let near = &draft.call.leg(offerer).sections[index];
    // Who is told a profile without keys, or sees nothing of the section, makes none.
    let by_dtls =
        near.keying.way == Way::Dtls && near.shown == Shown::Yes && !sdes::told_plain(near, told);
    if by_dtls {
        dtls::accept(draft, request, offerer, index);
    } else {
        dtls::end(draft, offerer, index);
    }
    let near = &draft.call.leg(offerer).sections[index];
    let ours = near.dtls.as_deref().filter(|_| by_dtls);
    let shows = ours.map(|ours| dtls::Shown::answer(ours, request));
    ByDtls { far, shows }
}

/// Settles rtcp-mux on both sides; returns what the offerer is told.
fn settle_mux<P: Ports>(
    draft: &mut Draft<'_, P>,
    Parties { offerer, answerer }: Parties,
    index: usize,
    answered: MuxWord,
    offered: MuxWord,
) -> MuxShown {
    let muxing = |leg| {
        let section = &draft.call.leg(leg).sections[index];
        section
            .local
            .as_ref()
            .map_or(Muxing::Split, |local| local.now.muxing)
    };
    let section = &draft.call.leg(offerer).sections[index];
    let wanted = match section.through {
        // They are told what they said to each other.
        Some(_) => MuxInward::Mirror,
        None => section.mux_inward,
    };
    let is_bundled = |leg| draft.call.leg(leg).sections[index].group().is_some();
    let mut far = mux::answered(muxing(answerer), answered);
    if is_bundled(answerer) {
        far = Muxing::Muxed;
    }
    let mut near = mux::granted(offered, wanted, far, muxing(offerer));
    if is_bundled(offerer) {
        near = Muxing::Muxed;
    }
    transport::settle_mux(draft, answerer, index, far);
    transport::settle_mux(draft, offerer, index, near);
    match near {
        Muxing::Muxed => MuxShown::Muxed,
        Muxing::Split | Muxing::Offered => MuxShown::None,
    }
}

fn close_both<P: Ports>(draft: &mut Draft<'_, P>, parties: Parties, index: usize) {
    for leg in [parties.offerer, parties.answerer] {
        if index < draft.call.leg(leg).sections.len() {
            transport::close(draft, leg, index);
        }
    }
}
