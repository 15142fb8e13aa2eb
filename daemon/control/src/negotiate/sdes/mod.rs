//! SDES: keys in the description (RFC 4568).
//!
//! We are an end of both sides' SRTP: a section's keys towards one leg are agreed with that leg alone.
//! `read` finds the lines that can be used, `policy` what the request permits, `offered` what we offer,
//! `answered` what is agreed, `print` writes lines. Whatever cannot be keyed waits for keys
//! ([`Security::Pending`]): nothing that is meant to be secret leaves plain.

mod answered;
mod offered;
mod pass;
mod policy;
pub(super) mod print;
mod read;

use patchcord_media::flow::{Feedback, Security};
use patchcord_wire::Proto;

use super::draft::{Draft, Notes};
use super::profile::{self, Speaks, Told};
use crate::call::{
    FeedbackWord, Keying, Line, Lines, Parties, Passing, Protection, Section, Shown, Way,
};
use answered::{Agreed, Choice};
use offered::Recipe;
pub(super) use offered::is_possible;
use pass::Origin;
pub(super) use policy::Policy;
pub(super) use read::read;

const NOTHING_CHOSEN: &str = "SDES: no usable key in the answer, media waits for one";
const NOT_PERMITTED: &str = "SDES: no suite of the offer is permitted, media waits for a key";
const UNASKED: &str =
    "SDES: keys in an answer to an offer without any, media waits for an agreement";
const NO_PRINT: &str = "DTLS: no fingerprint in the answer, media waits for one";
const NO_DTLS: &str = "DTLS: declined in the answer, media is plain";
const DECLINED: &str = "SDES: declined in the answer, media is plain";

/// Takes the keying of an offered section into the draft; returns our lines for its receiver.
pub(super) fn offer<P>(
    draft: &mut Draft<'_, P>,
    parties: Parties,
    index: usize,
    told: Told,
    policy: &Policy,
) -> Lines {
    let far = &mut draft.call.leg_mut(parties.answerer).sections[index];
    if !far.remote.is_agreed() {
        far.keying.now = before_answer(told.far, None);
    }
    let (near, far) = draft.call.sections(parties, index);
    let passing = passing(near, far, policy.passing.unwrap_or_default());
    let received = lines(near, told.near);
    let lines = if told.far.has_sdes() {
        let theirs = near.remote.latest().map_or(told.proto, |d| d.proto);
        let recipe = Recipe {
            policy,
            received: &received,
            // Whether the answerer keeps what it is offered of feedback is not known yet.
            origin: Origin::new(near, by_profile(theirs, told.proto), passing),
            target: &far.keying,
        };
        recipe.lines(draft.random)
    } else {
        Lines::default()
    };
    let first = received.first().cloned();
    let near = &mut draft.call.leg_mut(parties.offerer).sections[index];
    if !near.remote.is_agreed() {
        near.keying.now = before_answer(told.near, first.as_ref());
    }
    near.keying.way = told.near;
    near.keying.preferred = policy.preferred();
    let far = &mut draft.call.leg_mut(parties.answerer).sections[index];
    far.keying.way = told.far;
    far.keying.passing = passing;
    if told.far.has_sdes() {
        far.keying.offered = Lines::clone(&lines);
    }
    lines
}

/// What becomes of equal keys: where packets are changed on the way, in a bundle or by what is masked, there
/// are none.
fn passing(near: &Section, far: &Section, wanted: Passing) -> Passing {
    let is_changed = |section: &Section| {
        let known = section.bundled.as_deref();
        known.is_some_and(|known| known.group.is_some() || !known.masked.is_empty())
    };
    if is_changed(near) || is_changed(far) {
        Passing::Never
    } else {
        wanted
    }
}

/// What applies until an answer: who offered may send early, by its first line.
fn before_answer(way: Way, first: Option<&Line>) -> Protection {
    match way {
        Way::Plain => Protection::both(Security::Plain),
        Way::Ends => Protection::both(Security::EndToEnd),
        Way::Dtls | Way::Either => Protection::both(Security::Pending),
        Way::Sdes => Protection {
            receive: first.map_or(Security::Pending, |line| {
                Security::Srtp(std::sync::Arc::clone(&line.keys))
            }),
            send: Security::Pending,
        },
    }
}

/// Forgets what a leg agreed on, as if the offer to it had just been made.
pub(super) fn reopen(keying: &mut Keying) {
    keying.now = before_answer(keying.way, None);
    keying.answered = Lines::default();
}

/// Takes the keying of an answered section into the draft; returns our line for the offerer, if it is
/// keyed by SDES. `told` is the protocol that the offerer is told.
pub(super) fn answer<P>(
    draft: &mut Draft<'_, P>,
    parties: Parties,
    index: usize,
    told: Proto,
    by_dtls: bool,
    policy: &Policy,
) -> Lines {
    let (near, far) = draft.call.sections(parties, index);
    if near.keying.way == Way::Ends {
        let both = Protection::both(Security::EndToEnd);
        return settle(draft, parties, index, [both.clone(), both], None);
    }
    let passing = passing(near, far, policy.passing.unwrap_or(far.keying.passing));
    let said = far.remote.latest();
    let (proto, lines) = said.map_or((told, Lines::default()), |d| {
        (d.proto, Lines::clone(&d.crypto))
    });
    let offered = Lines::clone(&far.keying.offered);
    let agreed = match far.keying.way {
        Way::Sdes | Way::Either if !by_dtls => answered::chosen(&offered, &lines),
        Way::Sdes | Way::Either | Way::Dtls | Way::Plain | Way::Ends => None,
    };
    let far_now = if by_dtls {
        Protection::both(Security::Pending)
    } else {
        answerers(far.keying.way, proto, far.told, agreed, &mut draft.notes)
    };
    let received = self::lines(near, near.keying.way);
    if near.keying.way == Way::Sdes && (!proto.is_rtp() || near.shown != Shown::Yes) {
        // The body has no place for a line of ours.
        let waits = Protection::both(Security::Pending);
        return settle(draft, parties, index, [waits, far_now], None);
    }
    let declined = near.keying.way != Way::Plain && told_plain(near, told);
    let ours = (near.keying.way == Way::Sdes && !declined).then(|| {
        let choice = Choice {
            policy,
            received: &received,
            target: &near.keying,
            answered: agreed.map(|agreed| agreed.theirs),
            origin: Origin::new(far, feedback(proto, told, far, near), passing),
        };
        let line = choice.line()?;
        Some((choice.answer(line, draft.random), line))
    });
    let (near_now, ours) = match ours {
        None if near.keying.way == Way::Dtls && !declined => {
            (Protection::both(Security::Pending), None)
        }
        None => (Protection::both(Security::Plain), None),
        Some(None) => {
            draft.notes.add(NOT_PERMITTED);
            (Protection::both(Security::Pending), None)
        }
        Some(Some((ours, theirs))) => {
            let agreed = Agreed {
                ours: &ours,
                theirs,
            };
            (agreed.protection(), Some(ours))
        }
    };
    let nows = pass::unread([near_now, far_now], passing);
    settle(draft, parties, index, nows, ours)
}

fn by_profile(from: Proto, to: Proto) -> Feedback {
    profile::feedback(Speaks::profile(from), Speaks::profile(to))
}

/// What becomes of the answerer's feedback, by all that is said by now.
fn feedback(proto: Proto, told: Proto, far: &Section, near: &Section) -> Feedback {
    let speaks = |proto, section: &Section| Speaks {
        proto,
        lines: section
            .remote
            .latest()
            .map_or(FeedbackWord::Unsaid, |d| d.feedback),
    };
    profile::feedback(speaks(proto, far), speaks(told, near))
}

/// Whether an offerer with keys is told a profile without, which it offered none for.
pub(super) fn told_plain(near: &Section, told: Proto) -> bool {
    let offered = near.remote.latest().map(|description| description.proto);
    !told.is_secure() && offered.is_some_and(Proto::is_secure)
}

/// What applies to the answerer.
fn answerers(
    way: Way,
    said: Proto,
    told: Option<Proto>,
    agreed: Option<Agreed<'_>>,
    notes: &mut Notes,
) -> Protection {
    match (way, agreed) {
        (Way::Sdes | Way::Either, Some(agreed)) => agreed.protection(),
        (Way::Sdes | Way::Dtls | Way::Either, _) if said.is_secure() => {
            let by_lines = way != Way::Dtls;
            notes.add(if by_lines { NOTHING_CHOSEN } else { NO_PRINT });
            Protection::both(Security::Pending)
        }
        (Way::Sdes | Way::Dtls | Way::Either, _) => {
            // Who was offered keys beside a plain profile may leave them; else it is worth a word.
            if told.is_some_and(Proto::is_secure) {
                notes.add(if way == Way::Dtls { NO_DTLS } else { DECLINED });
            }
            Protection::both(Security::Plain)
        }
        (Way::Plain, _) if said.is_secure() => {
            notes.add(UNASKED);
            Protection::both(Security::Pending)
        }
        (Way::Plain | Way::Ends, _) => Protection::both(Security::Plain),
    }
}

/// Puts what was agreed in force; returns our line for the offerer.
fn settle<P>(
    draft: &mut Draft<'_, P>,
    parties: Parties,
    index: usize,
    [near_now, far_now]: [Protection; 2],
    ours: Option<Line>,
) -> Lines {
    draft.call.leg_mut(parties.answerer).sections[index]
        .keying
        .now = far_now;
    let near = &mut draft.call.leg_mut(parties.offerer).sections[index].keying;
    near.now = near_now;
    let Some(ours) = ours else {
        return Lines::default();
    };
    let others = near
        .answered
        .iter()
        .filter(|line| line.suite() != ours.suite());
    near.answered = others.chain(std::iter::once(&ours)).cloned().collect();
    [ours].into()
}

/// The offerer's lines, where it is keyed by them.
fn lines(near: &Section, way: Way) -> Lines {
    let latest = near.remote.latest().filter(|_| way == Way::Sdes);
    latest.map_or_else(Lines::default, |d| Lines::clone(&d.crypto))
}
