//! Who is meant: from call-id, tags and branch to legs (RFC 3261 §12, NG §1.4 of its manual).
//!
//! Proxies name the same party in several ways over one call: without a tag until it answers, by a
//! Via branch while forks are told apart, by any of the tags that answered one offer.

use patchcord_media::flow::Learning;
use patchcord_wire::ids::{Branch, Tag};
use smallvec::SmallVec;

use super::{Call, Leg, LegId};
use crate::Clock;
use crate::error::CallError;

/// Most legs of one call: what a script may fork to, not what a loop may allocate.
const MAX_LEGS: usize = 256;
/// Most tags that one leg answers to.
const MAX_TAGS: usize = 64;

/// The names in a message.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// The From tag of the dialogue's request.
    pub(crate) from: Tag,
    /// The To tag, once there is one.
    pub(crate) to: Option<Tag>,
    /// The Via branch.
    pub(crate) branch: Option<Branch>,
}

/// The two legs of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parties {
    /// Who offered.
    pub(crate) offerer: LegId,
    /// Who answers.
    pub(crate) answerer: LegId,
}

/// Who an offer is from and who it goes to; legs that do not exist yet are made.
///
/// `fits` says whether an unanswered leg stands where this offer goes: parallel forks without a
/// branch differ in nothing but the interface. `is_same` says whether a leg is the offerer under a
/// tag not seen before.
pub(crate) fn offer_parties(
    call: &mut Call,
    address: &Address,
    clock: Clock,
    learning: Learning,
    fits: impl Fn(&Leg) -> bool,
    is_same: impl Fn(&Leg) -> bool,
) -> Result<Parties, CallError> {
    let to = address.to.as_ref().and_then(|tag| find(call, tag));
    let named = find(call, &address.from).or_else(|| adopt(call, to?, &address.from));
    let offerer = match named.or_else(|| recognise(call, to, &address.from, is_same)) {
        Some(leg) => leg,
        None => add(call, clock, learning, Some(&address.from), None)?,
    };
    let known = match (&address.to, to) {
        // Two tags that answered one offer are one leg, which has nobody to talk to in itself.
        (Some(_), Some(leg)) if leg == offerer => return Err(CallError::InvalidDialogue),
        (Some(_), Some(leg)) => Some(leg),
        (Some(tag), None) => unanswered(call, offerer, address.branch.as_ref(), &fits)
            .inspect(|leg| call.leg_mut(*leg).tags.push(tag.clone())),
        (None, _) => by_branch(call, offerer, address.branch.as_ref())
            .or_else(|| unanswered(call, offerer, address.branch.as_ref(), &fits)),
    };
    let answerer = match known {
        Some(leg) => leg,
        None => add(
            call,
            clock,
            learning,
            address.to.as_ref(),
            address.branch.as_ref(),
        )?,
    };
    Ok(Parties { offerer, answerer })
}

/// What a To tag never seen before is when it answers an offer that was answered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newcomer {
    /// One more tag of the leg that the offer went to, unless a final reply pinned that.
    Alias,
    /// A leg of its own.
    Branch,
}

/// Whose answer this is to whose offer. A leg made for a newcomer has no sections yet; it shares the
/// offer of another one.
pub(crate) fn answer_parties(
    call: &mut Call,
    address: &Address,
    clock: Clock,
    newcomer: Newcomer,
    fits: impl Fn(&Leg) -> bool,
) -> Result<Parties, CallError> {
    let offerer = find(call, &address.from).ok_or(CallError::InvalidDialogue)?;
    let to = address.to.as_ref().ok_or(CallError::InvalidDialogue)?;
    if let Some(answerer) = find(call, to) {
        let joined = answerer != offerer && call.dialogue(offerer, answerer).is_some();
        return joined
            .then_some(Parties { offerer, answerer })
            .ok_or(CallError::InvalidDialogue);
    }
    let answerer = by_branch(call, offerer, address.branch.as_ref())
        .or_else(|| unanswered(call, offerer, None, &fits))
        .or_else(|| unanswered(call, offerer, None, &|_| true))
        .or_else(|| offered_to(call, offerer))
        .ok_or(CallError::InvalidDialogue)?;
    let known = call.leg(answerer);
    if known.is_pinned || known.tag().is_some() && newcomer == Newcomer::Branch {
        let branch = fork(call, answerer, clock, to, address.branch.as_ref())?;
        return Ok(Parties {
            offerer,
            answerer: branch,
        });
    }
    call_too(call, answerer, to)?;
    Ok(Parties { offerer, answerer })
}

/// What a `delete` takes away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The call.
    Call,
    /// These legs; the others go on.
    Legs(SmallVec<[LegId; 2]>),
}

/// What a `delete` with these names takes away; `None` if they match nothing.
///
/// A leg is taken with the peers that have no other dialogue. If nobody who ever agreed with
/// somebody is left, the call is over.
pub(crate) fn delete_scope(
    call: &Call,
    from: Option<&Tag>,
    to: Option<&Tag>,
    branch: Option<&Branch>,
) -> Option<Scope> {
    if from.is_none() && to.is_none() && branch.is_none() {
        return Some(Scope::Call);
    }
    let by_tag = |tag: Option<&Tag>| tag.and_then(|tag| find(call, tag));
    let leg = if to.is_some() {
        by_tag(to).or_else(|| {
            // The far side has not answered: it is the leg without a tag that the sender rang.
            call.peers(by_tag(from)?)
                .find(|peer| call.leg(*peer).tag().is_none())
        })
    } else {
        let named = |branch| {
            call.legs
                .iter()
                .find(|leg| leg.branch.as_ref() == Some(branch))
        };
        branch
            .and_then(named)
            .map(|leg| leg.id)
            .or_else(|| by_tag(from))
    }?;
    let alone = |peer: &LegId| call.peers(*peer).all(|other| other == leg);
    let mut legs: SmallVec<[LegId; 2]> = call.peers(leg).filter(alone).collect();
    legs.push(leg);
    let was_agreed = call.established_peer(leg).is_some();
    let mut rest = call.dialogues.iter().filter(|d| !d.has(leg));
    let goes_on = if was_agreed {
        rest.any(|d| {
            call.established_peer(d.offerer)
                .is_some_and(|peer| peer != leg)
        })
    } else {
        rest.next().is_some()
    };
    Some(if goes_on {
        Scope::Legs(legs)
    } else {
        Scope::Call
    })
}

/// The leg that a tag names.
fn find(call: &Call, tag: &Tag) -> Option<LegId> {
    call.legs
        .iter()
        .find(|leg| leg.is_called(tag))
        .map(|leg| leg.id)
}

/// The peer of `of` with that branch.
fn by_branch(call: &Call, of: LegId, branch: Option<&Branch>) -> Option<LegId> {
    let branch = branch?;
    call.peers(of)
        .find(|peer| call.leg(*peer).branch.as_ref() == Some(branch))
}

/// The peer of `of` that was rung last and has not answered. With a branch, only one without any.
fn unanswered(
    call: &Call,
    of: LegId,
    branch: Option<&Branch>,
    fits: &impl Fn(&Leg) -> bool,
) -> Option<LegId> {
    call.peers(of).find(|peer| {
        let leg = call.leg(*peer);
        leg.tag().is_none() && (branch.is_none() || leg.branch.is_none()) && fits(leg)
    })
}

/// The leg that `of` made its last offer to.
fn offered_to(call: &Call, of: LegId) -> Option<LegId> {
    call.dialogues
        .iter()
        .rev()
        .find(|d| d.offerer == of)
        .map(|d| d.answerer)
}

/// The unanswered peer of `of`, which turns out to be called `tag`: it speaks before it answered.
fn adopt(call: &mut Call, of: LegId, tag: &Tag) -> Option<LegId> {
    let leg = unanswered(call, of, None, &|_| true)?;
    call.leg_mut(leg).tags.push(tag.clone());
    Some(leg)
}

/// The leg that `same` says is the one now called `tag`; never the one that the message goes to.
fn recognise(
    call: &mut Call,
    to: Option<LegId>,
    tag: &Tag,
    same: impl Fn(&Leg) -> bool,
) -> Option<LegId> {
    let leg = call
        .legs
        .iter()
        .find(|leg| Some(leg.id) != to && same(leg))?;
    let id = leg.id;
    call_too(call, id, tag).ok().map(|()| id)
}

/// Gives a leg one more tag.
fn call_too(call: &mut Call, leg: LegId, tag: &Tag) -> Result<(), CallError> {
    let tags = &mut call.leg_mut(leg).tags;
    if tags.len() >= MAX_TAGS {
        return Err(CallError::TooManyLegs);
    }
    tags.push(tag.clone());
    Ok(())
}

/// A leg beside `of`, reached in the same way, that answers the same offer.
fn fork(
    call: &mut Call,
    of: LegId,
    clock: Clock,
    tag: &Tag,
    branch: Option<&Branch>,
) -> Result<LegId, CallError> {
    let learning = call.leg(of).learning;
    let id = add(call, clock, learning, Some(tag), branch)?;
    let known = call.leg(of);
    let (offered_as, interface, stranger) = (known.offered_as, known.interface, known.stranger);
    let leg = call.leg_mut(id);
    leg.offered_as = offered_as;
    leg.interface = interface;
    leg.stranger = stranger;
    Ok(id)
}

fn add(
    call: &mut Call,
    clock: Clock,
    learning: Learning,
    tag: Option<&Tag>,
    branch: Option<&Branch>,
) -> Result<LegId, CallError> {
    if call.legs.len() >= MAX_LEGS {
        return Err(CallError::TooManyLegs);
    }
    let id = call.add_leg(clock, learning);
    let leg = call.leg_mut(id);
    leg.tags.extend(tag.cloned());
    leg.branch = branch.cloned();
    Ok(id)
}
