//! Signalling templates: flag strings that the operator keeps by name, in the grammar of `rtpp-flags`.
//!
//! Of a message, the one named `default` is read first, then the one named as its command, then those
//! it asks for with `template`, then what it says itself: what is read later wins.

use std::collections::BTreeMap;

/// Flag strings by name. Names are found in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Templates(BTreeMap<Box<[u8]>, Box<[u8]>>);

impl Templates {
    /// The template that every message begins with.
    pub(super) const DEFAULT: &[u8] = b"default";

    /// The template of that name.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        if self.0.is_empty() {
            return None;
        }
        self.0
            .get(name.to_ascii_lowercase().as_slice())
            .map(|text| &**text)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: AsRef<[u8]>, T: AsRef<[u8]>> FromIterator<(N, T)> for Templates {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(pairs: I) -> Self {
        let pair = |(name, text): (N, T)| {
            let name = name.as_ref().to_ascii_lowercase();
            (name.into(), text.as_ref().into())
        };
        Self(pairs.into_iter().map(pair).collect())
    }
}
