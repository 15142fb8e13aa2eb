//! BUNDLE in offer and answer (RFC 9143 §7): which sections share a transport towards which leg.
//!
//! Each leg for itself: what the offerer bundles is accepted or not, what its receiver is offered is
//! bundled or not. The first section of a group has the transport; the others share its ports, and what
//! belongs to a transport is the first one's for all of them.

use patchcord_media::bundle::{MAX_PARTS, PayloadTypes};
use patchcord_wire::Proto;
use patchcord_wire::extension;
use patchcord_wire::ids::Mid;
use patchcord_wire::ng::OfferAnswer;
use patchcord_wire::ng::bundle::{BundleInward, BundleOnward};
use patchcord_wire::ng::ice::IceMode;
use patchcord_wire::ng::security::ProtoChoice;
use patchcord_wire::sdp::{
    AttrKind, Extmap, Group, LineKind, Rid, RidDirection, RtcpFb, Sdp, SsrcAttr,
};

use super::body::{MidLine, Streams};
use super::draft::Draft;
use super::heard::{Heard, Passage};
use super::{dtls, ice, through, transport};
use crate::call::{
    BundleOffer, Call, Leg, LegId, MuxWord, Parties, Path, Section, Shown, Tenure, Transport,
};
use crate::error::CallError;
use crate::ports::Ports;

/// Streams of a section that are remembered as declared.
const MAX_SSRCS: usize = 16;
/// Names of a section's streams that are remembered.
const MAX_RIDS: usize = 16;
/// Groups of a body that are looked at.
const MAX_GROUPS: usize = 64;
/// The largest id that every receiver of header extensions knows.
const LARGEST_ID: u8 = 14;

/// Sections that share a transport, by their place in a body; the first of a group has it.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Vec<usize>>);

/// What is asked for towards the receiver of an offer.
#[derive(Debug, Default)]
pub(super) struct Onward {
    /// The groups.
    pub(super) groups: Groups,
    /// How sections are offered that are not bundled yet.
    offered: BundleOffer,
    /// The id of the MID, for each group.
    mids: Vec<Option<u8>>,
}

/// A section's place in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In none.
    Alone,
    /// Has the transport.
    First,
    /// Shares that of the section at this place of the body.
    Behind(usize),
}

impl Groups {
    /// The group of a section.
    pub(super) fn of(&self, at: usize) -> Option<(u8, &[usize])> {
        let mut groups = (0..).zip(&self.0);
        let found = groups.find(|(_, group)| group.contains(&at));
        found.map(|(number, group)| (number, &group[..]))
    }

    /// A section's place.
    pub(super) fn place(&self, at: usize) -> Place {
        match self.of(at) {
            None => Place::Alone,
            Some((_, group)) if group[0] == at => Place::First,
            Some((_, group)) => Place::Behind(group[0]),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn firsts(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|group| group[0])
    }

    /// Whether a section has the same company in both.
    fn agrees_with(&self, other: &Self, at: usize) -> bool {
        if self.of(at).is_none() && other.of(at).is_none() {
            return true;
        }
        let company = |groups: &Self| {
            let mut company = groups
                .of(at)
                .map_or_else(|| vec![at], |(_, group)| group.to_vec());
            company.sort_unstable();
            company
        };
        company(self) == company(other)
    }
}

/// The places of a body, those that others depend on first.
pub(super) fn order(len: usize, near: &Groups, far: &Groups) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::with_capacity(len);
    for at in near.firsts().chain(far.firsts()).chain(0..len) {
        if !order.contains(&at) {
            order.push(at);
        }
    }
    order
}

/// Which groups of an offer are accepted. Their sections are one transport's from here on, and what an
/// offer says of it in the first of them is said of all.
pub(super) fn inward<P>(
    draft: &mut Draft<'_, P>,
    request: &OfferAnswer<'_>,
    offerer: LegId,
    sdp: &Sdp<'_>,
    heard: &mut [Heard<'_, '_>],
    dtls: bool,
) -> Groups {
    let leg = draft.call.leg_mut(offerer);
    match request.bundle.inward {
        BundleInward::Accept => leg.accepts_bundles = true,
        BundleInward::Reject => leg.accepts_bundles = false,
        BundleInward::Ignore => {}
    }
    let is_apart = request.ice.mode == IceMode::ForceRelay || through::is_asked(request, sdp);
    if !leg.accepts_bundles || is_apart {
        return Groups::default();
    }
    let groups = read(sdp, heard, |heard, first| {
        is_usable(heard) && first.is_some_and(|first| is_keyed(first, dtls))
    });
    adopt(&groups, heard);
    groups
}

/// Which sections share a transport by the answer to an offer that bundled them.
pub(super) fn answered<P>(
    draft: &Draft<'_, P>,
    answerer: LegId,
    sdp: &Sdp<'_>,
    heard: &mut [Heard<'_, '_>],
    indexes: &[usize],
) -> Groups {
    let sections = &draft.call.leg(answerer).sections;
    let offered: Vec<bool> = indexes
        .iter()
        .map(|index| sections[*index].group().is_some())
        .collect();
    if !offered.contains(&true) {
        return Groups::default();
    }
    let mut groups = read(sdp, heard, |heard, _| heard.passage == Passage::Relayed);
    for group in &mut groups.0 {
        group.retain(|at| offered.get(*at) == Some(&true));
    }
    groups.0.retain(|group| !group.is_empty());
    adopt(&groups, heard);
    groups
}

/// The groups of a body, of sections that are `fit`; the second argument is the first of the group.
fn read<'i, 'b>(
    sdp: &Sdp<'_>,
    heard: &[Heard<'i, 'b>],
    fit: impl Fn(&Heard<'i, 'b>, Option<&Heard<'i, 'b>>) -> bool,
) -> Groups {
    let lines = sdp.session().all::<Group<'_>>().filter_map(Result::ok);
    let mut taken = vec![false; heard.len()];
    let mut groups = Groups::default();
    for line in lines.filter(Group::is_bundle).take(MAX_GROUPS) {
        let mut group: Vec<usize> = Vec::new();
        for mid in line.mids() {
            let named =
                |heard: &Heard<'_, '_>| heard.mid.as_ref().is_some_and(|m| m.as_bytes() == mid);
            let Some(at) = heard.iter().position(named).filter(|at| !taken[*at]) else {
                continue;
            };
            let first = group.first().map(|first| &heard[*first]);
            let candidate = &heard[at];
            let may_begin = first.is_some() || candidate.passage == Passage::Relayed;
            let joins = first.is_none_or(|first| {
                is_alike(first, candidate) && can_be_told(heard, &group, candidate)
            });
            if may_begin
                && joins
                && group.len() < MAX_PARTS
                && fit(candidate, first.or(Some(candidate)))
            {
                taken[at] = true;
                group.push(at);
            }
        }
        if !group.is_empty() {
            groups.0.push(group);
        }
    }
    groups
}

/// Whether a section can be in a bundle at all.
fn is_usable(heard: &Heard<'_, '_>) -> bool {
    let is_only = heard.passage == Passage::Rejected && heard.section.has(AttrKind::BundleOnly);
    heard.is_rtp()
        && heard.twin.is_none()
        && heard.mid.is_some()
        && (heard.passage == Passage::Relayed || is_only)
}

/// Whether we can be the other end of its keys.
fn is_keyed(first: &Heard<'_, '_>, dtls: bool) -> bool {
    let said = &first.description;
    let by_lines = !said.proto.is_dtls() && !said.crypto.is_empty();
    !said.proto.is_secure() || by_lines || (dtls && said.dtls.is_some())
}

/// Whether two sections can have one transport.
fn is_alike(one: &Heard<'_, '_>, other: &Heard<'_, '_>) -> bool {
    let kind = |heard: &Heard<'_, '_>| {
        let proto = heard.description.proto;
        (proto.is_secure(), proto.is_dtls())
    };
    kind(one) == kind(other)
}

/// Whether packets of a section can be told from those of the others: by a MID under one id, or by
/// payload types.
fn can_be_told(all: &[Heard<'_, '_>], group: &[usize], section: &Heard<'_, '_>) -> bool {
    let (id, types) = (mid_id(section), types(section));
    group.iter().all(|at| {
        let other = &all[*at];
        let theirs = mid_id(other);
        let same = id.is_some() && id == theirs;
        same || (id.is_none() || theirs.is_none()) && !types.meets(self::types(other))
    })
}

/// What the first section of a group says of the transport is said for those that say nothing of it.
fn adopt(groups: &Groups, heard: &mut [Heard<'_, '_>]) {
    for group in &groups.0 {
        heard[group[0]].description.mux = MuxWord::Said;
        let first = &heard[group[0]];
        let (said, ice) = (first.description.clone(), first.ice.clone());
        for at in &group[1..] {
            let section = &mut heard[*at];
            section.passage = Passage::Relayed;
            section.ice = section.ice.take().or_else(|| ice.clone());
            let description = &mut section.description;
            if description.is_rejected() {
                description.rtp = said.rtp;
                description.place = said.place;
                description.rtcp = said.rtcp;
            }
            description.mux = said.mux;
            if description.crypto.is_empty() {
                description.crypto.clone_from(&said.crypto);
            }
            if description.dtls.is_none() {
                description.dtls.clone_from(&said.dtls);
            }
        }
    }
}

/// Which sections are bundled towards the receiver of an offer: what the request says, else what was
/// agreed before. An offerer's several groups stay several.
pub(super) fn onward<P>(
    draft: &Draft<'_, P>,
    request: &OfferAnswer<'_>,
    answerer: LegId,
    sdp: &Sdp<'_>,
    heard: &[Heard<'_, '_>],
    indexes: &[usize],
    near: &Groups,
) -> Onward {
    let sections = &draft.call.leg(answerer).sections;
    let is_agreed = sections.iter().any(|section| section.group().is_some());
    let offered = match (request.bundle.onward, request.bundle.inward) {
        (BundleOnward::Offer, _) => BundleOffer::Either,
        (BundleOnward::Require, _) => BundleOffer::Only,
        (BundleOnward::Strict, _) => BundleOffer::Strictly,
        (BundleOnward::None, BundleInward::Reject) => return Onward::default(),
        (BundleOnward::None, _) if is_agreed => BundleOffer::Either,
        (BundleOnward::None, _) => return Onward::default(),
    };
    if request.ice.mode == IceMode::ForceRelay || through::is_asked(request, sdp) {
        return Onward::default();
    }
    let removed = |heard: &Heard<'_, '_>| {
        let kind = patchcord_wire::ng::replace::MediaType::parse(heard.media.kind.name());
        request.rewrite.media_remove.has(kind)
    };
    let fits = |at: &usize| {
        let heard = &heard[*at];
        heard.is_rtp()
            && heard.twin.is_none()
            && heard.passage == Passage::Relayed
            && !removed(heard)
            && sections
                .get(indexes[*at])
                .is_none_or(|known| known.twin.is_none())
    };
    let all = order(heard.len(), near, &Groups::default());
    let theirs = read(sdp, heard, |heard, _| heard.is_rtp());
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let wanted = if theirs.0.len() > 1 {
        theirs.0
    } else {
        vec![all.clone()]
    };
    for mut group in wanted {
        group.retain(fits);
        group.sort_by_key(|at| all.iter().position(|known| known == at));
        group.truncate(MAX_PARTS);
        if !group.is_empty() {
            groups.push(group);
        }
    }
    let mids = groups
        .iter()
        .map(|group| choose_id(group, heard, sections, indexes))
        .collect();
    Onward {
        groups: Groups(groups),
        offered,
        mids,
    }
}

/// The id of the MID towards a receiver: the one it knows, else the offerer's own, else a free one.
fn choose_id(
    group: &[usize],
    heard: &[Heard<'_, '_>],
    sections: &[Section],
    indexes: &[usize],
) -> Option<u8> {
    let used: Vec<(u8, bool)> = group.iter().flat_map(|at| ids(&heard[*at])).collect();
    let is_free = |id: &u8| used.iter().all(|(known, is_mid)| known != id || *is_mid);
    let known = group
        .iter()
        .filter_map(|at| sections.get(indexes[*at])?.bundled.as_deref()?.mid);
    let theirs = group.iter().filter_map(|at| mid_id(&heard[*at]));
    known.chain(theirs).chain(1..=LARGEST_ID).find(is_free)
}

/// The ids of a section's header extensions, and whether each is the MID's.
fn ids(heard: &Heard<'_, '_>) -> Vec<(u8, bool)> {
    let lines = heard
        .section
        .all_or_inherit::<Extmap<'_>>()
        .filter_map(Result::ok);
    let known = lines.filter_map(|line| {
        let id = u8::try_from(line.id).ok()?;
        Some((id, line.uri == extension::MID.as_bytes()))
    });
    known.collect()
}

fn mid_id(heard: &Heard<'_, '_>) -> Option<u8> {
    let mut ids = ids(heard).into_iter();
    ids.find(|(id, is_mid)| *is_mid && *id != 0)
        .map(|(id, _)| id)
}

/// The id of a header extension.
fn id_of(heard: &Heard<'_, '_>, uri: &str) -> Option<u8> {
    let lines = heard.section.all_or_inherit::<Extmap<'_>>();
    let mut lines = lines.filter_map(Result::ok);
    let found = lines.find(|line| line.uri == uri.as_bytes())?;
    u8::try_from(found.id).ok().filter(|id| *id != 0)
}

/// The names of the streams that a section sends.
fn rids(heard: &Heard<'_, '_>) -> Vec<Box<[u8]>> {
    let lines = heard.section.all::<Rid<'_>>().filter_map(Result::ok);
    let sent = lines.filter(|line| line.direction == RidDirection::Send);
    sent.take(MAX_RIDS).map(|line| line.id.into()).collect()
}

fn types(heard: &Heard<'_, '_>) -> PayloadTypes {
    heard
        .media
        .payload_types()
        .map(patchcord_wire::ids::PayloadType::get)
        .collect()
}

/// Notes what a leg says that packets will be told by. `group` is where it is, if in any.
fn note(section: &mut Section, heard: &Heard<'_, '_>, group: Option<u8>) {
    let mid = mid_id(heard);
    let mut ssrcs: Vec<u32> = Vec::new();
    let lines = heard.section.all::<SsrcAttr<'_>>().filter_map(Result::ok);
    for line in lines {
        if ssrcs.len() < MAX_SSRCS && !ssrcs.contains(&line.ssrc.0) {
            ssrcs.push(line.ssrc.0);
        }
    }
    let bundled = section.bundled.get_or_insert_default();
    bundled.group = group;
    bundled.mid = mid;
    bundled.types = types(heard);
    bundled.ssrcs = ssrcs.into();
    bundled.rid_ids = [extension::RID, extension::REPAIRED_RID].map(|uri| id_of(heard, uri));
    bundled.rids = rids(heard);
}

/// Notes what both legs are to each other in an offered section, if any section of the call is bundled.
pub(super) fn note_offer(
    call: &mut Call,
    Parties { offerer, answerer }: Parties,
    index: usize,
    at: usize,
    heard: &Heard<'_, '_>,
    near: &Groups,
    far: &Onward,
) {
    let section = &mut call.leg_mut(offerer).sections[index];
    let is_known = section.bundled.is_some();
    let section = &call.leg(answerer).sections[index];
    if !is_known && section.bundled.is_none() && near.is_empty() && far.groups.is_empty() {
        return;
    }
    let section = &mut call.leg_mut(offerer).sections[index];
    note(section, heard, near.of(at).map(|(group, _)| group));
    let section = &mut call.leg_mut(answerer).sections[index];
    let group = far.groups.of(at);
    let behind = matches!(far.groups.place(at), Place::Behind(_));
    let shares = section.shares();
    let bundled = section.bundled.get_or_insert_default();
    bundled.group = group.map(|(group, _)| group);
    bundled.offered = match far.offered {
        BundleOffer::Only | BundleOffer::Strictly if behind => far.offered,
        BundleOffer::Either | BundleOffer::Only | BundleOffer::Strictly => BundleOffer::Either,
    };
    if let Some((group, _)) = group {
        bundled.mid = far.mids[usize::from(group)];
    } else if !shares {
        bundled.mid = mid_id(heard);
    }
}

/// Notes what an answerer said, and where it is now.
pub(super) fn note_answer(
    section: &mut Section,
    heard: &Heard<'_, '_>,
    groups: &Groups,
    at: usize,
) {
    if section.bundled.is_some() {
        note(section, heard, groups.of(at).map(|(group, _)| group));
    }
}

/// Gives an offerer's section its place; says whether it needs ports of its own.
pub(super) fn place_near<P: Ports>(
    draft: &mut Draft<'_, P>,
    offerer: LegId,
    index: usize,
    place: Place,
    indexes: &[usize],
) -> bool {
    match place {
        Place::Alone => true,
        Place::First => {
            draft.call.leg_mut(offerer).lead(index);
            true
        }
        Place::Behind(first) => {
            transport::share(draft, offerer, index, indexes[first]);
            false
        }
    }
}

/// The same for the receiver of an offer. What it has agreed to share it goes on sharing; anything else
/// it shares only if it has to.
pub(super) fn place_far<P: Ports>(
    draft: &mut Draft<'_, P>,
    answerer: LegId,
    index: usize,
    place: Place,
    offered: BundleOffer,
    indexes: &[usize],
) -> bool {
    let shares = draft.call.leg(answerer).sections[index].shares();
    match (place, offered) {
        (Place::Alone, _) => true,
        (Place::First | Place::Behind(_), BundleOffer::Either) => !shares,
        (_, BundleOffer::Only | BundleOffer::Strictly) => {
            place_near(draft, answerer, index, place, indexes)
        }
    }
}

impl Onward {
    /// How sections are offered that are not bundled yet.
    pub(super) const fn offered(&self) -> BundleOffer {
        self.offered
    }
}

/// Gives an answerer's section its place. What it was offered in a bundle only and answers on its own, or in other
/// company, was told ports that somebody else has: it lodges behind them.
pub(super) fn place_answer<P: Ports>(
    draft: &mut Draft<'_, P>,
    answerer: LegId,
    at: usize,
    groups: &Groups,
    (heard, indexes): (&[Heard<'_, '_>], &[usize]),
) -> Result<(), CallError> {
    let (place, index) = (groups.place(at), indexes[at]);
    let leg = draft.call.leg(answerer);
    let (owner, shares) = (leg.owner(index), leg.sections[index].shares());
    let is_here = |known: &usize| indexes[*known] == owner;
    let host = (0..indexes.len().min(heard.len()))
        .find(is_here)
        .filter(|host| heard[*host].passage == Passage::Relayed)
        .filter(|host| groups.of(at).is_none_or(|(_, group)| !group.contains(host)));
    match (place, host) {
        (Place::Alone | Place::First, Some(_)) if shares => {
            lodge(draft, answerer, index, owner)?;
            hand_over(draft.call.leg_mut(answerer), index, owner, &heard[at]);
            Ok(())
        }
        (Place::Alone, _) if shares => {
            draft.call.leg_mut(answerer).lead(index);
            Ok(())
        }
        (place, _) => {
            place_near(draft, answerer, index, place, indexes);
            Ok(())
        }
    }
}

/// What belongs to a transport is the section's own from here on, and begins as it was offered.
fn lodge<P: Ports>(
    draft: &mut Draft<'_, P>,
    leg: LegId,
    index: usize,
    host: usize,
) -> Result<(), CallError> {
    let sections = &draft.call.leg(leg).sections;
    let lodged = sections[index].local.as_ref().is_some_and(|local| {
        let is_behind = |told: &Transport| {
            let behind = local.now.rtp.lodging.as_deref();
            behind.is_some_and(|behind| behind.has(told.rtp.id()))
        };
        local.now.tenure == Tenure::Own && sections[host].transports().any(is_behind)
    });
    if lodged {
        transport::drop_next(draft, leg, index);
        return Ok(());
    }
    transport::lodge(draft, leg, index, host)?;
    let host_section = &draft.call.leg(leg).sections[host];
    let (keying, dtls) = (host_section.keying.clone(), host_section.dtls.clone());
    let section = &mut draft.call.leg_mut(leg).sections[index];
    section.keying.offered = keying.offered;
    section.keying.way = keying.way;
    section.dtls = dtls;
    dtls::reopen(section);
    ice::lodge(draft, leg, index, host);
    Ok(())
}

/// Whether an offered section is a data channel that nobody here could carry on: it ends at the
/// association that we end, in a bundle, and towards a side without DTLS.
pub(super) fn is_stranded(
    heard: &Heard<'_, '_>,
    request: &OfferAnswer<'_>,
    sdp: &Sdp<'_>,
    near: &Groups,
) -> bool {
    if !through::is_channel(heard) || heard.passage != Passage::Relayed {
        return false;
    }
    let without = matches!(request.proto, ProtoChoice::To(proto) if !Proto::is_dtls(proto))
        || request.ice.mode == IceMode::Remove;
    let named = |mid: &Mid| {
        let lines = sdp.session().all::<Group<'_>>().filter_map(Result::ok);
        let mut bundles = lines.filter(Group::is_bundle);
        bundles.any(|group| group.mids().any(|known| known == mid.as_bytes()))
    };
    without || (!near.is_empty() && heard.mid.as_ref().is_some_and(named))
}

/// Who was offered DTLS may have begun before its answer, at the port that all were told: what its handshake made
/// is the lodger's.
fn hand_over(leg: &mut Leg, index: usize, host: usize, heard: &Heard<'_, '_>) {
    let Some(port) = leg.sections[index].newest().map(|t| t.rtp.id()) else {
        return;
    };
    let named = heard.ice.iter().flat_map(ice::Spoken::endpoints);
    let places: Vec<_> = named.chain([heard.description.rtp]).collect();
    let Some(theirs) = leg.sections[host].dtls.as_deref_mut() else {
        return;
    };
    let mut all = theirs.paths.iter();
    let at = all.position(|path| places.contains(&path.source));
    let begun = at.map(|at| theirs.paths.remove(at));
    if let (Some(begun), Some(ours)) = (begun, leg.sections[index].dtls.as_deref_mut()) {
        ours.paths.push(Path { port, ..begun });
    }
}

/// What the receiver of an offer is told of what tells packets apart.
pub(super) fn shown_onward(section: &Section, at: usize, near: &Groups, far: &Onward) -> Streams {
    let group = far.groups.of(at);
    Streams {
        mid: match group {
            Some(_) => MidLine::of(section.bundled.as_deref().and_then(|b| b.mid)),
            None if near.of(at).is_some() => MidLine::Gone,
            None => MidLine::AsWritten,
        },
        counts_transport: near.agrees_with(&far.groups, at),
        names_masked: false,
        offered: section
            .bundled
            .as_deref()
            .map_or(BundleOffer::Either, |b| b.offered),
    }
}

/// What an offerer is told of it in the answer.
pub(super) fn shown_inward(
    near: &Leg,
    index: usize,
    far: &Groups,
    at: usize,
    indexes: &[usize],
) -> Streams {
    let groups = Groups::agreed(near, indexes);
    let section = &near.sections[index];
    let known = section.bundled.as_deref();
    Streams {
        mid: match known {
            Some(bundled) if bundled.group.is_some() => MidLine::of(bundled.mid),
            Some(_) if far.of(at).is_some() => MidLine::Gone,
            Some(_) | None => MidLine::AsWritten,
        },
        counts_transport: groups.agrees_with(far, at),
        names_masked: true,
        offered: BundleOffer::Either,
    }
}

impl Groups {
    /// The groups that the sections of a leg are in.
    fn agreed(leg: &Leg, indexes: &[usize]) -> Self {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (at, index) in indexes.iter().enumerate() {
            if let Some(group) = leg.sections[*index].group() {
                groups.resize_with(groups.len().max(usize::from(group) + 1), Vec::new);
                groups[usize::from(group)].push(at);
            }
        }
        Self(groups)
    }
}

/// The group lines of a body for a leg: the names of its sections that are in it, who has the transport
/// first.
pub(super) fn lines(leg: &Leg, is_written: impl Fn(usize) -> bool) -> Vec<Vec<u8>> {
    let written = leg
        .sections
        .iter()
        .enumerate()
        .filter_map(|(index, section)| {
            let is_shown = section.shown == Shown::Yes && is_written(index);
            let mid = section.mid.as_ref().filter(|_| is_shown)?;
            Some((section.group()?, section.shares(), mid.as_bytes()))
        });
    let mut names: Vec<(u8, bool, &[u8])> = written.collect();
    names.sort_by_key(|(group, shares, _)| (*group, *shares));
    let groups = names.chunk_by(|one, other| one.0 == other.0);
    let texts = groups.map(|group| {
        let names: Vec<&[u8]> = group.iter().map(|(_, _, name)| *name).collect();
        [&b"BUNDLE "[..], &names.join(&b' ')].concat()
    });
    texts.collect()
}

/// Whether a line is about something that counts packets of a whole transport.
pub(super) fn counts_transport(line: patchcord_wire::sdp::Line<'_>) -> bool {
    if line.kind() == LineKind::Attr(AttrKind::Extmap) {
        let read = line.parse::<Extmap<'_>>();
        return read.is_ok_and(|read| read.uri == extension::TRANSPORT_CC.as_bytes());
    }
    let is_feedback = line.kind() == LineKind::Attr(AttrKind::RtcpFb);
    let read = line.parse::<RtcpFb<'_>>();
    is_feedback && read.is_ok_and(|read| read.feedback == b"transport-cc")
}
