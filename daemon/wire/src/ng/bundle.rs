//! `bundle` (RFC 9143) and `extmap` (RFC 8285).

use std::borrow::Cow;

/// What becomes of a received bundle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BundleInward {
    /// Ignored, as if nothing were bundled.
    #[default]
    Ignore,
    /// Accepted (`accept`).
    Accept,
    /// Broken up even if it was agreed (`reject`, which beats `accept`).
    Reject,
}

/// What the receiver of the rewritten SDP is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BundleOnward {
    /// Nothing.
    #[default]
    None,
    /// A bundle that may be declined (`offer`).
    Offer,
    /// One port for all, also where bundling is not known (`require`).
    Require,
    /// The RFC's `bundle-only` with port 0 (`strict`).
    Strict,
}

/// What `bundle` asks for; the strongest word counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// Towards the sender of this SDP.
    pub inward: BundleInward,
    /// Towards the receiver of the rewritten SDP.
    pub onward: BundleOnward,
}

impl Bundle {
    pub(crate) fn add(&mut self, word: &[u8]) -> bool {
        match word {
            b"accept" if self.inward != BundleInward::Reject => self.inward = BundleInward::Accept,
            b"accept" => {}
            b"reject" => self.inward = BundleInward::Reject,
            b"offer" => self.raise(BundleOnward::Offer),
            b"require" => self.raise(BundleOnward::Require),
            b"strict" => self.raise(BundleOnward::Strict),
            _ => return false,
        }
        true
    }

    fn raise(&mut self, onward: BundleOnward) {
        if onward as u8 > self.onward as u8 {
            self.onward = onward;
        }
    }
}

/// What `extmap` asks for; names are URIs or `all`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extmap<'a> {
    /// Taken out of the SDP.
    pub strip: Vec<Cow<'a, [u8]>>,
    /// Taken out of the outgoing SDP and of packets, accepted from the sender.
    pub mask: Vec<Cow<'a, [u8]>>,
}

impl<'a> Extmap<'a> {
    pub(crate) fn list(&mut self, op: &[u8]) -> Option<&mut Vec<Cow<'a, [u8]>>> {
        match op {
            b"strip" => Some(&mut self.strip),
            b"mask" => Some(&mut self.mask),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(words: &str) -> Bundle {
        let mut bundle = Bundle::default();
        for word in words.split_whitespace() {
            assert!(bundle.add(word.as_bytes()), "{word} is known");
        }
        bundle
    }

    #[test]
    fn the_strongest_word_counts_in_whatever_order() {
        for words in ["offer require strict", "strict require offer"] {
            assert_eq!(bundle(words).onward, BundleOnward::Strict);
        }
        for words in ["accept reject", "reject accept"] {
            assert_eq!(bundle(words).inward, BundleInward::Reject);
        }
        assert_eq!(bundle("require offer").onward, BundleOnward::Require);
    }

    #[test]
    fn each_side_has_words_of_its_own() {
        assert_eq!(bundle("accept").onward, BundleOnward::None);
        assert_eq!(bundle("offer").inward, BundleInward::Ignore);
        let both = Bundle {
            inward: BundleInward::Reject,
            onward: BundleOnward::Offer,
        };
        assert_eq!(bundle("offer reject"), both);
    }

    #[test]
    fn unknown_words_change_nothing() {
        let mut bundle = Bundle::default();
        assert!(!bundle.add(b"maybe"));
        assert_eq!(bundle, Bundle::default());
    }
}
