//! The lines that we offer (RFC 4568 §5.1.1, §7.1.1).

use std::sync::Arc;

use patchcord_media::srtp::{Keys, Parameters, Suite};
use patchcord_wire::ng::security::{SdesFlag, SdesUse};
use smallvec::SmallVec;

use super::pass::Origin;
use super::policy::Policy;
use crate::call::{Keying, Line, Lines};
use crate::random::Random;

/// The largest tag (RFC 4568 §9.1).
const MAX_TAG: u32 = 999_999_999;

/// What our lines are made of.
pub(super) struct Recipe<'r> {
    /// What the request permits.
    pub(super) policy: &'r Policy,
    /// The offerer's lines, if it is keyed by SDES.
    pub(super) received: &'r [Line],
    /// The offerer's side.
    pub(super) origin: Origin<'r>,
    /// The receiver's side, with what it was told before.
    pub(super) target: &'r Keying,
}

/// Whether a request leaves anything to offer, given the offerer's lines.
pub(in crate::negotiate) fn is_possible(policy: &Policy, received: &[Line]) -> bool {
    let forwards = received.iter().any(|line| policy.forwards(line.suite()));
    let adds = !policy.has(SdesFlag::NoNew) && Suite::ALL.iter().any(|suite| policy.allows(*suite));
    policy.usage != SdesUse::Off && (forwards || adds)
}

impl Recipe<'_> {
    /// The lines, in the order in which they are written: the offerer's first, then all other suites.
    pub(super) fn lines(&self, random: &mut Random) -> Lines {
        let mut lines = Vec::with_capacity(Suite::ALL.len());
        let received = self.received.iter();
        for line in received.filter(|line| self.policy.forwards(line.suite())) {
            let keys = self.forwarded(line, &lines, random);
            lines.push(Line {
                keys,
                ..line.clone()
            });
        }
        if !self.policy.has(SdesFlag::NoNew) {
            // What is in force comes before what would be new, so that an answer may leave it so.
            let in_force = self.target.in_force().map(Line::suite);
            let suites = in_force.into_iter().chain(Suite::ALL);
            for suite in suites.filter(|suite| self.policy.allows(*suite)) {
                if lines.iter().all(|line: &Line| line.suite() != suite) {
                    lines.push(self.added(suite, &lines, random));
                }
            }
        }
        let place = |line: &Line| {
            let mut order = self.policy.order.iter();
            order
                .position(|suite| *suite == line.suite())
                .unwrap_or(usize::MAX)
        };
        lines.sort_by_key(place);
        lines.into()
    }

    /// A line that the offerer does not have; one in force keeps its tag, if that is free.
    fn added(&self, suite: Suite, lines: &[Line], random: &mut Random) -> Line {
        let is_free = |tag: &u32| lines.iter().all(|line| line.tag != *tag);
        let in_force = self.target.in_force().filter(|line| line.suite() == suite);
        let tag = in_force.map(|line| line.tag).filter(is_free);
        let tag = tag.unwrap_or_else(|| next_tag(lines));
        let parameters = self.policy.parameters(Parameters::default(), suite);
        Line {
            tag,
            spelling: None,
            keys: self.own(tag, suite, parameters, lines, random),
        }
    }

    /// The key of a line that goes on: the offerer's own, or one of ours in its place.
    fn forwarded(&self, line: &Line, lines: &[Line], random: &mut Random) -> Arc<Keys> {
        let parameters = self.policy.parameters(line.keys.parameters(), line.suite());
        let keeps = parameters == line.keys.parameters() && !self.policy.has(SdesFlag::Lifetime);
        if keeps && self.origin.lends(&line.keys, self.target) {
            return Arc::clone(&line.keys);
        }
        let keys = self.own(line.tag, line.suite(), parameters, lines, random);
        marked(keys, line.keys.mki())
    }

    /// A key of ours: the one that the receiver knows already, else a new one.
    fn own(
        &self,
        tag: u32,
        suite: Suite,
        parameters: Parameters,
        lines: &[Line],
        random: &mut Random,
    ) -> Arc<Keys> {
        let is_free = |keys: &&Arc<Keys>| {
            let is_lent = |line: &Line| line.keys.inline() == keys.inline();
            keys.suite() == suite
                && !lines.iter().any(is_lent)
                && !self.received.iter().any(is_lent)
        };
        let by_tag = self.target.offered.iter().filter(|line| line.tag == tag);
        let known: SmallVec<[&Arc<Keys>; 2]> = self
            .target
            .own(suite)
            .into_iter()
            .chain(by_tag.map(|line| &line.keys))
            .collect();
        match known.into_iter().find(is_free) {
            Some(keys) => adjusted(keys, parameters, self.policy),
            None => fresh(suite, parameters, self.policy, random),
        }
    }
}

/// A new key.
pub(super) fn fresh(
    suite: Suite,
    parameters: Parameters,
    policy: &Policy,
    random: &mut Random,
) -> Arc<Keys> {
    let keys = random.keys(suite).with_parameters(parameters);
    Arc::new(policy.dated(keys.expect(TAGGED)))
}

/// A key as it is, but with these parameters. One that needs no change stays the very same.
pub(super) fn adjusted(keys: &Arc<Keys>, parameters: Parameters, policy: &Policy) -> Arc<Keys> {
    let wanted = Keys::clone(keys).with_parameters(parameters);
    let wanted = policy.dated(wanted.expect(TAGGED));
    if wanted == **keys {
        Arc::clone(keys)
    } else {
        Arc::new(wanted)
    }
}

/// A key with this MKI, or without any.
pub(super) fn marked(keys: Arc<Keys>, mki: Option<&[u8]>) -> Arc<Keys> {
    if keys.mki() == mki {
        return keys;
    }
    let remade = || {
        let bare = Keys::from_inline(keys.suite(), keys.inline())?;
        let bare = bare.with_parameters(keys.parameters())?;
        let bare = match keys.lifetime() {
            Some(packets) => bare.with_lifetime(packets)?,
            None => bare,
        };
        mki.map_or(Ok(bare.clone()), |mki| bare.with_mki(mki))
    };
    Arc::new(remade().expect("what is in use already has the right lengths"))
}

/// Why parameters are never refused.
const TAGGED: &str = "an AEAD suite never goes without its tag here";

/// The tag after the largest; if there is none, the smallest that no line has.
fn next_tag(lines: &[Line]) -> u32 {
    let largest = lines.iter().map(|line| line.tag).max().unwrap_or(0);
    if largest < MAX_TAG {
        return largest + 1;
    }
    let is_free = |tag: &u32| lines.iter().all(|line| line.tag != *tag);
    (1..MAX_TAG).find(is_free).unwrap_or(MAX_TAG)
}
