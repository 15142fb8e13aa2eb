//! OSRTP as it was before RFC 8643: one section as two m= lines, one with keys and one without, of which
//! the answerer takes one and refuses the other (RFC 3264 §6).
//!
//! Here it is one section. A body is folded when it is read and unfolded when it is written; a leg that
//! was once told or heard two lines has two from then on, for no m= line ever goes away (RFC 3264 §8).

use patchcord_wire::Proto;

use super::heard::{Heard, Passage};
use super::indexes;
use crate::call::{Call, LegId, Section, Twin, Which};

/// Folds the pairs in a body of `leg`: those that it has already and, if they are accepted, new ones.
pub(super) fn fold<'i, 'b>(
    call: &Call,
    leg: LegId,
    heard: Vec<Heard<'i, 'b>>,
    accepts: bool,
) -> Vec<Heard<'i, 'b>> {
    let sections = &call.leg(leg).sections;
    if !accepts && sections.iter().all(|section| section.twin.is_none()) {
        return heard;
    }
    let indexes: Vec<usize> = indexes(call, leg).take(heard.len()).collect();
    let mut folded = Vec::with_capacity(heard.len());
    let mut lines = heard.into_iter().peekable();
    for index in indexes {
        let Some(first) = lines.next() else { break };
        let is_pair = |second: &Heard<'_, '_>| match sections.get(index) {
            Some(section) => section.twin.is_some(),
            None => accepts && is_twofold(&first, second),
        };
        folded.push(match lines.next_if(is_pair) {
            Some(second) => choose(first, second),
            None => first,
        });
    }
    // What has no section of its own is left to whoever counts them.
    folded.extend(lines);
    folded
}

/// Whether two neighbouring lines are one section with keys and without.
fn is_twofold(one: &Heard<'_, '_>, other: &Heard<'_, '_>) -> bool {
    let is_relayed = |heard: &Heard<'_, '_>| heard.passage == Passage::Relayed && heard.is_rtp();
    let has_keys = |heard: &Heard<'_, '_>| {
        let description = &heard.description;
        description.proto.is_secure()
            && !description.proto.is_dtls()
            && !description.crypto.is_empty()
    };
    let is_plain = |heard: &Heard<'_, '_>| !heard.description.proto.is_secure();
    one.media.kind.name() == other.media.kind.name()
        && is_relayed(one)
        && is_relayed(other)
        && (has_keys(one) && is_plain(other) || has_keys(other) && is_plain(one))
}

/// The line that counts: the one that is not refused; of two, the one with keys.
fn choose<'i, 'b>(first: Heard<'i, 'b>, second: Heard<'i, 'b>) -> Heard<'i, 'b> {
    let worth = |heard: &Heard<'_, '_>| {
        let is_secure = heard.description.proto.is_secure();
        (heard.passage == Passage::Relayed, is_secure)
    };
    let place = if worth(&first) >= worth(&second) {
        Which::First
    } else {
        Which::Second
    };
    let (mut chosen, other) = match place {
        Which::First => (first, second),
        Which::Second => (second, first),
    };
    chosen.twin = Some(Box::new(Twin {
        place,
        is_open: false,
        proto: other.description.proto,
        formats: other.media.formats.trim_ascii().into(),
    }));
    chosen
}

/// Makes a section two lines towards a leg that has not agreed on it yet.
pub(super) fn unfold(far: &mut Section, told: Proto, heard: &Heard<'_, '_>) {
    if !far.keying.way.has_sdes() || far.remote.is_agreed() {
        return;
    }
    far.twin = Some(Box::new(Twin {
        place: Which::First,
        is_open: true,
        proto: if told.is_feedback() {
            Proto::RtpAvpf
        } else {
            Proto::RtpAvp
        },
        formats: heard.media.formats.trim_ascii().into(),
    }));
}
