//! How a section of a leg is keyed towards us: the keys in force, and those told in descriptions (RFC 4568).

use std::sync::Arc;

use patchcord_media::flow::Security;
use patchcord_media::srtp::{Keys, Suite};

/// How one section of one leg is keyed. Keys belong to a section, never to a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keying {
    /// What packets are protected with.
    pub(crate) now: Protection,
    /// How the last exchange keys the leg.
    pub(crate) way: Way,
    /// Our lines in the last offer to the leg that had any.
    pub(crate) offered: Lines,
    /// Our lines in answers to the leg, at most one a suite: a suite that is chosen again keeps its key.
    pub(crate) answered: Lines,
    /// The suites that its offer is answered with if it has them, the first best.
    pub(crate) preferred: Box<[Suite]>,
    /// What becomes of equal keys on both sides.
    pub(crate) passing: Passing,
}

/// What packets are protected with, both ways.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Protection {
    /// The leg's key.
    pub(crate) receive: Security,
    /// Our key.
    pub(crate) send: Security,
}

/// How a leg is keyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Way {
    /// Not at all.
    #[default]
    Plain,
    /// By lines that it and we write for each other.
    Sdes,
    /// By keys that it makes with us.
    Dtls,
    /// By one or the other: it has the choice.
    Either,
    /// By what the two ends say to each other, which goes on untouched.
    Ends,
}

/// What becomes of a key that one side uses, on the other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Passing {
    /// It goes on where nothing has to be encrypted anew; its packets are authenticated all the same.
    #[default]
    Checked,
    /// It goes on, and so do its packets, unread (`passthrough`).
    Unread,
    /// It stays: each side has its own keys (`recrypt`, `no-passthrough`).
    Never,
}

/// A crypto line that can be used: one suite with its key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// Names it in the answer.
    pub(crate) tag: u32,
    /// The suite's name where it was not written as we write it.
    pub(crate) spelling: Option<Box<[u8]>>,
    /// Suite, key, MKI, lifetime and session parameters.
    pub(crate) keys: Arc<Keys>,
}

/// Lines of a description.
pub(crate) type Lines = Arc<[Line]>;

impl Way {
    /// Whether lines are a way.
    pub(crate) const fn has_sdes(self) -> bool {
        matches!(self, Self::Sdes | Self::Either)
    }

    /// Whether DTLS is a way.
    pub(crate) const fn has_dtls(self) -> bool {
        matches!(self, Self::Dtls | Self::Either)
    }
}

impl Protection {
    /// The same both ways.
    pub(crate) fn both(security: Security) -> Self {
        Self {
            receive: security.clone(),
            send: security,
        }
    }
}

impl Keying {
    /// Our line that the leg agreed to, by its offer or ours.
    pub(crate) fn in_force(&self) -> Option<&Line> {
        let Security::Srtp(keys) = &self.now.send else {
            return None;
        };
        let told = self.offered.iter().chain(self.answered.iter());
        told.into_iter()
            .find(|line| line.suite() == keys.suite() && line.keys.inline() == keys.inline())
    }

    /// Our key towards the leg for a suite: the one in force, else the one it was told last.
    pub(crate) fn own(&self, suite: Suite) -> Option<&Arc<Keys>> {
        let in_force = match &self.now.send {
            Security::Srtp(keys) => Some(keys),
            Security::Plain | Security::EndToEnd | Security::Pending => None,
        };
        let told = self.answered.iter().chain(self.offered.iter());
        in_force
            .into_iter()
            .chain(told.map(|line| &line.keys))
            .find(|keys| keys.suite() == suite)
    }
}

impl Line {
    /// The suite.
    pub(crate) fn suite(&self) -> Suite {
        self.keys.suite()
    }
}

impl std::fmt::Debug for Line {
    /// Leaves the key out: it belongs in no log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({} {})", self.tag, self.suite())
    }
}
