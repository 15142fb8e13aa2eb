//! Header extensions of a section (RFC 8285): what passes, what is taken out, what ends here (NG `extmap`).

use patchcord_wire::extension;
use patchcord_wire::ng::OfferAnswer;
use patchcord_wire::sdp::{AttrKind, Direction, Extmap, Line, LineKind, Writer};

use super::body::{MidLine, RtpPlan};
use super::bundle;
use super::draft::Draft;
use super::heard::Heard;
use crate::call::{LegId, Masked};

/// Header extensions of a section that are masked at most.
const MAX_MASKED: usize = 32;

/// Writes the header extensions, without what the request takes out or masks. The MID of a bundle is ours, and
/// in packets whatever was asked for, so it is told always (RFC 9143 §15).
pub(super) fn write(
    out: &mut Writer,
    heard: &Heard<'_, '_>,
    plan: &RtpPlan<'_>,
    request: &OfferAnswer<'_>,
) {
    let streams = plan.streams;
    let mut missing = match streams.mid {
        MidLine::Ours(id) => Some(id),
        MidLine::AsWritten | MidLine::Gone => None,
    };
    for line in heard.section.lines_of(LineKind::Attr(AttrKind::Extmap)) {
        let read = line.parse::<Extmap<'_>>();
        let is_mid = read.is_ok_and(|read| read.uri == extension::MID.as_bytes());
        let is_ours = is_mid && read.is_ok_and(|read| missing.map(u16::from) == Some(read.id));
        let stays = match streams.mid {
            MidLine::AsWritten => true,
            MidLine::Gone => !is_mid,
            MidLine::Ours(_) => !is_mid || is_ours,
        };
        let is_counted = !streams.counts_transport && bundle::counts_transport(line);
        if stays && !is_counted && !is_stripped(line, request) {
            out.raw(line);
            missing = missing.filter(|_| !is_ours);
        }
    }
    if let Some(id) = missing {
        out.put(&Extmap {
            id: id.into(),
            direction: None,
            uri: extension::MID.as_bytes(),
            attributes: b"",
        });
    }
    for masked in plan.masked {
        out.put(&Extmap {
            id: masked.id.into(),
            direction: (!masked.both_ways).then_some(Direction::Recvonly),
            uri: &masked.uri,
            attributes: &masked.attributes,
        });
    }
}

/// Whether a header extension is taken out of the SDP by request.
pub(super) fn is_stripped(line: Line<'_>, request: &OfferAnswer<'_>) -> bool {
    let extmap = &request.extmap;
    let is_asked = !extmap.strip.is_empty() || !extmap.mask.is_empty();
    is_asked
        && line.parse::<Extmap<'_>>().is_ok_and(|extension| {
            let mut all = extmap.strip.iter().chain(&extmap.mask);
            all.any(|name| is_named(name, &extension))
        })
}

/// Takes what is masked of a section of a leg; what was before is over.
pub(super) fn mask<P>(
    draft: &mut Draft<'_, P>,
    request: &OfferAnswer<'_>,
    leg: LegId,
    index: usize,
    heard: &Heard<'_, '_>,
) {
    let section = &mut draft.call.leg_mut(leg).sections[index];
    let (strip, mask) = (&request.extmap.strip, &request.extmap.mask);
    if mask.is_empty() && section.bundled.is_none() {
        return;
    }
    let lines = heard.section.all_or_inherit::<Extmap<'_>>();
    let masked = lines.filter_map(Result::ok).filter_map(|line| {
        let is_asked = mask.iter().any(|name| is_named(name, &line))
            && !strip.iter().any(|name| is_named(name, &line));
        let direction = line.direction.unwrap_or(Direction::Sendrecv);
        // Bundles need theirs.
        let is_free = line.uri != extension::MID.as_bytes() && line.id != 0;
        (is_asked && is_free && direction.sends()).then_some(Masked {
            id: u8::try_from(line.id).ok()?,
            uri: line.uri.into(),
            attributes: line.attributes.into(),
            both_ways: direction == Direction::Sendrecv,
        })
    });
    let masked: Vec<Masked> = masked.take(MAX_MASKED).collect();
    if section.bundled.is_some() || !masked.is_empty() {
        section.bundled.get_or_insert_default().masked = masked;
    }
}

fn is_named(name: &[u8], extension: &Extmap<'_>) -> bool {
    name.eq_ignore_ascii_case(b"all") || *name == *extension.uri
}
