//! Sets of a small enum, in one word.

use std::fmt;
use std::marker::PhantomData;

/// An enum that can be in a [`Set`].
pub trait Member: Copy + fmt::Debug + 'static {
    /// Every variant, in the order of their bits.
    const ALL: &'static [Self];

    /// The variant's place in [`Member::ALL`], below 128.
    fn bit(self) -> u32;
}

/// A set of enum variants.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Set<T> {
    bits: u128,
    members: PhantomData<T>,
}

impl<T: Member> Set<T> {
    /// The empty set.
    pub const EMPTY: Self = Self {
        bits: 0,
        members: PhantomData,
    };

    /// Whether `member` is in the set.
    pub fn has(self, member: T) -> bool {
        self.bits >> member.bit() & 1 == 1
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Puts `member` in; returns whether it was not there.
    pub fn insert(&mut self, member: T) -> bool {
        let before = self.bits;
        self.bits |= 1 << member.bit();
        self.bits != before
    }

    /// Takes `member` out.
    pub fn remove(&mut self, member: T) {
        self.bits &= !(1 << member.bit());
    }

    /// The members, in the order of the enum.
    pub fn iter(self) -> impl Iterator<Item = T> {
        T::ALL
            .iter()
            .copied()
            .filter(move |member| self.has(*member))
    }
}

impl<T: Member> Default for Set<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T: Member> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(members: I) -> Self {
        let mut set = Self::EMPTY;
        for member in members {
            set.insert(member);
        }
        set
    }
}

impl<T: Member> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Declares an enum whose variants have docs and that can be in a [`Set`].
macro_rules! member_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $name { $($(#[$doc])* $variant,)+ }

        impl $crate::ng::Member for $name {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];

            fn bit(self) -> u32 {
                self as u32
            }
        }

        const _: () = assert!(<$name as $crate::ng::Member>::ALL.len() <= 128);
    };
}
pub(crate) use member_enum;
