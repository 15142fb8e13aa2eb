//! Sections whose ICE is the two ends' own (RFC 8839): we are one more candidate of each towards the other,
//! and what comes by it, checks and handshakes included, goes on as it came (NG `ICE=optional`, `force-relay`; data
//! channels, RFC 8841).

use patchcord_wire::ng::OfferAnswer;
use patchcord_wire::ng::ice::IceMode;
use patchcord_wire::sdp::{AttrKind, Candidate, CandidateKind, Host, Line, Rtcp, Sdp, Writer};

use super::body::{self, Place};
use super::draft::{Draft, Notes};
use super::heard::{Heard, Passage, connection};
use super::profile::Told;
use crate::call::{Beside, Component, LegId, MuxWord, Parties, Through, Way};

const KEPT: &str = "ICE: the ends check each other, so protocol and keys stay theirs";
/// Local preference of our candidate: there is one a component (RFC 8445 §5.1.2.1).
const PREFERENCE: u32 = u16::MAX as u32;
/// Type preference of a host candidate.
const HOST: u32 = 126;
const FOUNDATION: &[u8] = b"patchcord";

/// Whether the request leaves ICE to the ends, where they have it: they have no bundles with us then.
pub(super) fn is_asked(request: &OfferAnswer<'_>, sdp: &Sdp<'_>) -> bool {
    match request.ice.mode {
        IceMode::Optional | IceMode::ForceRelay => sdp.has(AttrKind::IceUfrag),
        IceMode::Default | IceMode::Remove | IceMode::Force => false,
    }
}

/// How we stand beside the ends in an offered section, if its ICE is theirs. Of a data channel it is in any case:
/// nobody here could be its end.
fn wanted(request: &OfferAnswer<'_>, heard: &Heard<'_, '_>) -> Option<Beside> {
    let has_ice = heard.section.has_or_inherits(AttrKind::IceUfrag);
    if !has_ice || heard.passage != Passage::Relayed {
        return None;
    }
    match request.ice.mode {
        IceMode::Optional => Some(Beside::Last),
        IceMode::ForceRelay => Some(Beside::Relay),
        IceMode::Default | IceMode::Force => is_channel(heard).then_some(Beside::Only),
        IceMode::Remove => None,
    }
}

/// Whether a section is a data channel.
pub(super) fn is_channel(heard: &Heard<'_, '_>) -> bool {
    let section = &heard.section;
    !heard.is_rtp() && (section.has(AttrKind::SctpPort) || section.has(AttrKind::Sctpmap))
}

/// Notes for both legs whose ICE an offered section has; says whether it is the ends'.
pub(super) fn offered<P>(
    draft: &mut Draft<'_, P>,
    request: &OfferAnswer<'_>,
    Parties { offerer, answerer }: Parties,
    index: usize,
    heard: &Heard<'_, '_>,
) -> bool {
    let beside = wanted(request, heard);
    for leg in [offerer, answerer] {
        let section = &mut draft.call.leg_mut(leg).sections[index];
        match (beside, &mut section.through) {
            (None, through) => *through = None,
            (Some(beside), Some(through)) => through.beside = beside,
            (Some(beside), none @ None) => {
                let said = Box::default();
                *none = Some(Box::new(Through { beside, said }));
            }
        }
    }
    said(draft, offerer, index, heard);
    beside.is_some()
}

/// A leg said its ICE name. Another one than before means that it begins anew, perhaps from elsewhere.
pub(super) fn said<P>(draft: &mut Draft<'_, P>, leg: LegId, index: usize, heard: &Heard<'_, '_>) {
    let section = &mut draft.call.leg_mut(leg).sections[index];
    let named = heard
        .section
        .get_or_inherit::<patchcord_wire::sdp::IceUfrag<'_>>();
    let (Some(through), Some(Ok(named))) = (&mut section.through, named) else {
        return;
    };
    let before = std::mem::replace(&mut through.said, named.0.into());
    if !before.is_empty() && *before != *named.0 {
        let transports = section.transports_mut();
        transports
            .flat_map(crate::call::Transport::components_mut)
            .for_each(Component::relearn);
    }
}

/// What both sides are told of a protocol whose keys are the ends'.
pub(super) fn told(heard: &Heard<'_, '_>, wanted: Told, notes: &mut Notes) -> Told {
    let proto = heard.description.proto;
    if heard.is_rtp() && wanted.proto != proto {
        notes.add(KEPT);
    }
    Told {
        proto,
        near: Way::Ends,
        far: Way::Ends,
    }
}

/// Writes the section: as it came, but for our place and our candidates. A relayed candidate stands beside the
/// ends' own place, which stays in `m=` and `c=`.
pub(super) fn write(out: &mut Writer, heard: &Heard<'_, '_>, place: &Place<'_>, beside: Beside) {
    let theirs = heard.section.connection().and_then(Result::ok);
    match (beside, theirs) {
        (Beside::Relay, Some(theirs)) => {
            body::write_media(out, heard, heard.media.proto, heard.media.port);
            body::write_head(out, heard, &theirs);
        }
        (Beside::Only | Beside::Last | Beside::Relay, _) => {
            body::write_media(out, heard, place.proto, place.transport.rtp.told());
            body::write_head(out, heard, &connection(place.address));
        }
    }
    let stays = |line: &Line<'_>| match line.attr() {
        Some(AttrKind::Candidate) => keeps(beside, line),
        Some(AttrKind::EndOfCandidates) | None => false,
        Some(AttrKind::Rtcp) => beside == Beside::Relay,
        Some(_) => true,
    };
    out.raw_all(heard.section.lines().filter(stays));
    let is_muxed = heard.description.mux == MuxWord::Said;
    if beside != Beside::Relay && heard.section.has(AttrKind::Rtcp) {
        let own = place.transport.rtcp.as_ref();
        out.put(&Rtcp {
            port: own.unwrap_or(&place.transport.rtp).told(),
            address: None,
        });
    }
    let names_rtcp = !is_muxed || lowest(heard, 2).is_some();
    let rtcp = place.transport.rtcp.as_ref().filter(|_| names_rtcp);
    for (component, number) in std::iter::once(&place.transport.rtp).chain(rtcp).zip(1..) {
        write_candidate(out, heard, place, beside, (component, number));
    }
    if heard.section.has_or_inherits(AttrKind::EndOfCandidates) {
        out.flag(AttrKind::EndOfCandidates);
    }
}

/// Whether a candidate of the other end is passed on.
fn keeps(beside: Beside, line: &Line<'_>) -> bool {
    let read = line.parse::<Candidate<'_>>();
    match beside {
        Beside::Only => false,
        Beside::Last => true,
        Beside::Relay => !read.is_ok_and(|read| read.kind == CandidateKind::Relayed),
    }
}

fn write_candidate(
    out: &mut Writer,
    heard: &Heard<'_, '_>,
    place: &Place<'_>,
    beside: Beside,
    (component, number): (&Component, u16),
) {
    let formula = |kind: u32| (kind << 24) + (PREFERENCE << 8) + (256 - u32::from(number));
    let host = Host::Ip(place.candidate);
    let port = component.told();
    out.put(&Candidate {
        foundation: FOUNDATION,
        component: number,
        transport: b"UDP",
        priority: match beside {
            Beside::Only => formula(HOST),
            Beside::Relay => formula(0),
            Beside::Last => {
                let below = lowest(heard, number).map_or(u32::MAX, |known| known - 1);
                formula(0).min(below).max(1)
            }
        },
        host,
        port,
        kind: match beside {
            Beside::Only | Beside::Last => CandidateKind::Host,
            Beside::Relay => CandidateKind::Relayed,
        },
        related: (beside == Beside::Relay).then_some((host, port)),
        extensions: b"",
    });
}

/// The lowest priority of a component's candidates.
fn lowest(heard: &Heard<'_, '_>, component: u16) -> Option<u32> {
    let lines = heard.section.all::<Candidate<'_>>().filter_map(Result::ok);
    let of = lines.filter(|line| line.component == component);
    of.map(|line| line.priority.max(1)).min()
}
