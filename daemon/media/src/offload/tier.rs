//! Which tier carries a flow, as one number that control reads.

use super::WhyNot;

/// Which tier carries a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tier {
    /// A worker; whether a lower one could has not been asked.
    #[default]
    Worker,
    /// A worker, for this reason.
    Kept(WhyNot),
    /// The kernel.
    Kernel,
}

impl Tier {
    /// The name of the tier.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Worker | Self::Kept(_) => "worker",
            Self::Kernel => "kernel",
        }
    }

    /// Why it is not the lowest.
    pub const fn why(self) -> Option<WhyNot> {
        match self {
            Self::Worker | Self::Kernel => None,
            Self::Kept(why) => Some(why),
        }
    }

    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Worker => 0,
            Self::Kernel => 1,
            Self::Kept(why) => 2 + why as u8,
        }
    }

    pub(crate) fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Worker,
            1 => Self::Kernel,
            why => WhyNot::ALL
                .get(usize::from(why) - 2)
                .map_or(Self::Worker, |why| Self::Kept(*why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_told_by_its_number() {
        let kept = WhyNot::ALL.into_iter().map(Tier::Kept);
        for tier in kept.chain([Tier::Worker, Tier::Kernel]) {
            assert_eq!(Tier::from_number(tier.number()), tier);
        }
        assert_eq!(Tier::from_number(255), Tier::Worker);
    }
}
