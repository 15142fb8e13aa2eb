//! Which instructions the kernels use.

use std::fmt;

/// A set of instructions that this CPU has: a value of it is the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier(pub(crate) Kind);

/// The sets that there are kernels for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whatever the portable crates find for themselves.
    Portable,
}

impl Tier {
    /// The portable tier, which every CPU has.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The best tier of this CPU.
    pub fn best() -> Self {
        Self::PORTABLE
    }

    /// Every tier of this CPU, the best last.
    pub fn all() -> Vec<Self> {
        vec![Self::PORTABLE]
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
