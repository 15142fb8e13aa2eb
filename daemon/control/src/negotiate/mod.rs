//! Offer and answer (RFC 3264): what a body says becomes part of a call, and a body for the other side.
//!
//! 1. [`heard`] reads the sections; names lead to the two legs.
//! 2. [`mod@offer`] or [`mod@answer`] decides section by section, each concern in its file: [`interface`],
//!    [`bundle`], [`profile`], [`sdes`], [`mux`], [`transport`].
//! 3. [`mod@compose`] writes the body that goes on.
//!
//! All of it works on a [`Draft`]: an error leaves the call untouched.

mod answer;
mod body;
mod branch;
mod bundle;
mod compose;
mod doors;
mod draft;
mod dtls;
mod extensions;
mod heard;
pub(crate) mod ice;
mod interface;
mod later;
mod mux;
mod offer;
mod policy;
pub(crate) mod profile;
mod sdes;
mod session;
mod through;
mod transport;
mod twofold;

use std::hash::Hasher;

use patchcord_wire::ids::{Branch, IdError, Tag};
use patchcord_wire::ng::OfferAnswer;
use rustc_hash::FxHasher;

pub(crate) use answer::answer;
pub(crate) use draft::{Committed, Draft, Notes};
pub(crate) use offer::offer;

use crate::Clock;
use crate::call::{Address, Call, LegId, Shown};
use crate::error::CallError;

/// A request with what surrounds it.
#[derive(Clone, Copy)]
pub(crate) struct Message<'r> {
    /// The request.
    pub(crate) request: &'r OfferAnswer<'r>,
    /// When it came.
    pub(crate) clock: Clock,
    /// Counts calls, for round robin.
    pub(crate) turn: u64,
    /// Our mark for loop protection.
    pub(crate) mark: &'r [u8],
}

impl Message<'_> {
    /// The names in it.
    fn names(&self) -> Result<Address, CallError> {
        let bad = |_: IdError| CallError::BadName;
        let tag = |text: &[u8]| Tag::new(text).map_err(bad);
        let filled = |text: &&[u8]| !text.is_empty();
        // Nobody talks to himself: a To tag that repeats the From tag says nothing.
        let other = |text: &&[u8]| **text != *self.request.from_tag;
        let to = self.request.to_tag.as_deref().filter(filled).filter(other);
        let branch = self.request.via_branch.as_deref().filter(filled);
        Ok(Address {
            from: tag(&self.request.from_tag)?,
            to: to.map(tag).transpose()?,
            branch: branch
                .map(|text| Branch::new(text).map_err(bad))
                .transpose()?,
        })
    }
}

/// Notes who the sender of a message turned out to be, for later messages that name it otherwise.
fn identify(call: &mut Call, message: Message<'_>, sender: LegId, tag: Option<&Tag>) {
    let leg = call.leg_mut(sender);
    leg.said = body_hash(&message.request.sdp);
    if let Some(tag) = tag.filter(|_| message.request.is_final_reply()) {
        leg.pin(tag.clone());
    }
}

/// The hash by which bodies of one call are compared.
fn body_hash(body: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(body);
    hasher.finish()
}

/// Which section of the call each section of a body of `leg` is: its visible ones in order, then,
/// in an offer, new ones.
fn indexes(call: &Call, leg: LegId) -> impl Iterator<Item = usize> {
    let sections = &call.leg(leg).sections;
    let visible = |index: &usize| matches!(sections[*index].shown, Shown::Yes);
    (0..sections.len()).filter(visible).chain(sections.len()..)
}
