//! `a=ssrc-group`: how RTP streams of a section belong together (RFC 5576 §4.2).

use super::scan::{Scan, number, words};
use super::{AttrKind, Error, ErrorKind, Field, LineKind};
use crate::ids::Ssrc;

/// An `a=ssrc-group` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SsrcGroup<'b> {
    /// How they belong together: `FID`, `FEC-FR`, `SIM` and others.
    pub semantics: &'b [u8],
    /// The sources as written, each of them readable.
    ssrcs: &'b [u8],
}

impl<'b> SsrcGroup<'b> {
    /// The sources, one by one.
    pub fn ssrcs(&self) -> impl Iterator<Item = Ssrc> + Clone + use<'b> {
        words(self.ssrcs).filter_map(number)
    }
}

impl<'b> Field<'b> for SsrcGroup<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::SsrcGroup);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        let semantics = scan.word()?;
        let ssrcs = scan.trimmed_rest();
        if words(ssrcs).any(|word| number::<Ssrc>(word).is_none()) {
            return Err(scan.error(ErrorKind::BadNumber));
        }
        Ok(Self { semantics, ssrcs })
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.semantics);
        if !self.ssrcs.is_empty() {
            out.push(b' ');
            out.extend_from_slice(self.ssrcs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same, value};
    use super::*;

    #[test]
    fn groups_come_back_as_written() {
        same::<SsrcGroup<'_>>(b"FID 1649751917 4294967295");
        same::<SsrcGroup<'_>>(b"SIM");
        let group: SsrcGroup<'_> = value(b"FID 7  9");
        assert!(group.ssrcs().eq([Ssrc(7), Ssrc(9)]));
    }

    #[test]
    fn broken_groups_are_refused() {
        for bad in [&b""[..], b"FID x", b"FID 1 4294967296"] {
            refused::<SsrcGroup<'_>>(bad);
        }
    }
}
