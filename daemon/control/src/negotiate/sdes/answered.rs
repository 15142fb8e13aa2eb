//! What an answer agrees on: the line that the answerer chose of ours, and the one that we choose of
//! the offerer's (RFC 4568 §5.1.2, §5.1.3, §7.1.3).

use std::sync::Arc;

use patchcord_media::flow::Security;
use patchcord_media::srtp::{Keys, Suite};
use patchcord_wire::ng::security::SdesFlag;

use super::offered::{adjusted, fresh, marked};
use super::pass::Origin;
use super::policy::Policy;
use crate::call::{Keying, Line, Protection};
use crate::random::Random;

/// The lines that agree: one of ours and the one that answers it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agreed<'a> {
    /// Ours.
    pub(super) ours: &'a Line,
    /// Theirs.
    pub(super) theirs: &'a Line,
}

/// Which of our lines the answerer chose: the first of its lines that names one of ours by tag and
/// suite. Some number their answer anew: then the suite names it, if only one line has that.
pub(super) fn chosen<'a>(offered: &'a [Line], answered: &'a [Line]) -> Option<Agreed<'a>> {
    let by_tag = |theirs: &'a Line| {
        let is_named = |ours: &&Line| ours.tag == theirs.tag && ours.suite() == theirs.suite();
        let ours = offered.iter().find(is_named)?;
        Some(Agreed { ours, theirs })
    };
    let by_suite = |theirs: &'a Line| {
        let mut same = offered.iter().filter(|ours| ours.suite() == theirs.suite());
        let ours = same.next().filter(|_| same.next().is_none())?;
        Some(Agreed { ours, theirs })
    };
    answered
        .iter()
        .find_map(by_tag)
        .or_else(|| answered.iter().find_map(by_suite))
}

impl Agreed<'_> {
    /// The keys in force once this is agreed.
    pub(super) fn protection(self) -> Protection {
        Protection {
            receive: Security::Srtp(Arc::clone(&self.theirs.keys)),
            send: Security::Srtp(Arc::clone(&self.ours.keys)),
        }
    }
}

/// How the offerer's lines are answered.
pub(super) struct Choice<'c> {
    /// What the request permits.
    pub(super) policy: &'c Policy,
    /// The offerer's lines.
    pub(super) received: &'c [Line],
    /// The offerer's side, with what it was told before.
    pub(super) target: &'c Keying,
    /// The answerer's line, if it is keyed by SDES.
    pub(super) answered: Option<&'c Line>,
    /// The answerer's side.
    pub(super) origin: Origin<'c>,
}

impl<'c> Choice<'c> {
    /// The line that is answered: the suite in force, if that has to stay; the one preferred when the
    /// offer was made; the one that the answerer chose, so that both sides have the same; the first.
    pub(super) fn line(&self) -> Option<&'c Line> {
        let allowed = || {
            self.received.iter().filter(|line| {
                self.policy.allows(line.suite()) && self.policy.accepts(line.keys.parameters())
            })
        };
        let of = |suite: Suite| allowed().find(|line| line.suite() == suite);
        let in_force = match &self.target.now.receive {
            Security::Srtp(keys) if self.policy.has(SdesFlag::Static) => Some(keys.suite()),
            Security::Srtp(_) | Security::Plain | Security::EndToEnd | Security::Pending => None,
        };
        let preferred = self.policy.preferred.iter().chain(&*self.target.preferred);
        in_force
            .and_then(of)
            .or_else(|| preferred.copied().find_map(of))
            .or_else(|| of(self.answered?.suite()))
            .or_else(|| allowed().next())
    }

    /// The answer to `line`: its tag, and a key of ours.
    pub(super) fn answer(&self, line: &Line, random: &mut Random) -> Line {
        Line {
            keys: self.keys(line, random),
            ..line.clone()
        }
    }

    fn keys(&self, line: &Line, random: &mut Random) -> Arc<Keys> {
        let parameters = line.keys.parameters();
        let is_alike = |keys: &Keys| {
            (keys.suite(), keys.parameters(), keys.mki())
                == (line.suite(), parameters, line.keys.mki())
        };
        let lent = self.answered.map(|line| &line.keys).filter(|keys| {
            is_alike(keys)
                && !self.policy.has(SdesFlag::Lifetime)
                && self.origin.lends(keys, self.target)
        });
        if let Some(keys) = lent {
            return Arc::clone(keys);
        }
        let is_theirs = |keys: &Keys| {
            self.answered
                .is_some_and(|line| line.keys.inline() == keys.inline())
        };
        let known = self.target.own(line.suite());
        let keys = match known.filter(|keys| !is_theirs(keys)) {
            Some(keys) => adjusted(keys, parameters, self.policy),
            None => fresh(line.suite(), parameters, self.policy, random),
        };
        marked(keys, line.keys.mki())
    }
}
