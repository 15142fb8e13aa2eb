//! `a=group`: which media sections belong together, and how (RFC 5888 §5, RFC 9143 §6).

use super::scan::{Scan, words};
use super::{AttrKind, Error, Field, LineKind};

/// An `a=group` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group<'b> {
    /// How they belong together: `BUNDLE`, `LS`, `FID` and others.
    pub semantics: &'b [u8],
    /// The names of the sections as written.
    pub mids: &'b [u8],
}

impl<'b> Group<'b> {
    /// Whether the sections share one transport.
    pub fn is_bundle(&self) -> bool {
        self.semantics == b"BUNDLE"
    }

    /// The names, one by one; the first of a bundle is its tagged section.
    pub fn mids(&self) -> impl Iterator<Item = &'b [u8]> + Clone + use<'b> {
        words(self.mids)
    }
}

impl<'b> Field<'b> for Group<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::Group);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        Ok(Self {
            semantics: scan.word()?,
            mids: scan.trimmed_rest(),
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.semantics);
        if !self.mids.is_empty() {
            out.push(b' ');
            out.extend_from_slice(self.mids);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same, value};
    use super::*;

    #[test]
    fn groups_come_back_as_written() {
        same::<Group<'_>>(b"BUNDLE 0 1");
        same::<Group<'_>>(b"LS a b c");
        same::<Group<'_>>(b"BUNDLE");
    }

    #[test]
    fn only_bundle_is_a_bundle() {
        let group: Group<'_> = value(b"BUNDLE audio  video ");
        assert!(group.is_bundle());
        assert!(group.mids().eq([&b"audio"[..], b"video"]));
        assert!(!value::<Group<'_>>(b"LS 1 2").is_bundle());
    }

    #[test]
    fn no_semantics_are_refused() {
        refused::<Group<'_>>(b"");
    }
}
