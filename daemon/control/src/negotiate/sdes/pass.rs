//! Whether a key goes from one side to the other.
//!
//! A key that is equal on both sides saves encrypting anew, and is safe as long as its packets leave
//! with the bytes they came with. So it goes on only where no packet is changed on the way, and only
//! while it is new: a key that has been in use elsewhere is at an index that a newcomer cannot know.

use std::sync::Arc;

use patchcord_media::flow::{Feedback, Security};
use patchcord_media::srtp::Keys;

use crate::call::{Keying, Passing, Protection, Section};

/// The side that a key comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'o> {
    /// How it is keyed.
    pub(super) keying: &'o Keying,
    /// Whether it had agreed with somebody before.
    pub(super) agreed: bool,
    /// Whether its RTCP goes on whole.
    pub(super) feedback: Feedback,
    /// What was asked for.
    pub(super) passing: Passing,
}

impl<'o> Origin<'o> {
    /// The side of `section`.
    pub(super) fn new(section: &'o Section, feedback: Feedback, passing: Passing) -> Self {
        Self {
            keying: &section.keying,
            agreed: section.remote.is_agreed(),
            feedback,
            passing,
        }
    }

    /// Whether `keys` of its go on to `target`.
    pub(super) fn lends(self, keys: &Arc<Keys>, target: &Keying) -> bool {
        let is = |security: &Security| matches!(security, Security::Srtp(known) if known == keys);
        match self.passing {
            Passing::Never => false,
            Passing::Unread => true,
            Passing::Checked => {
                let is_new = !self.agreed || !is(&self.keying.now.receive);
                self.feedback == Feedback::Keep && (is_new || is(&target.now.send))
            }
        }
    }
}

/// What applies to both sides of a call whose packets may pass unread: nothing is decrypted where the
/// keys are equal both ways.
pub(super) fn unread([near, far]: [Protection; 2], passing: Passing) -> [Protection; 2] {
    let is_srtp = |security: &Security| matches!(security, Security::Srtp(_));
    let is_equal = near.receive == far.send && far.receive == near.send;
    if passing == Passing::Unread && is_equal && is_srtp(&near.receive) && is_srtp(&far.receive) {
        let both = Protection::both(Security::EndToEnd);
        [both.clone(), both]
    } else {
        [near, far]
    }
}
