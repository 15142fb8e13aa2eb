//! `a=label`: a name for a media section that outlives the call, as recorders use it (RFC 4574 §4).

use super::scan::Scan;
use super::{AttrKind, Error, Field, LineKind};

/// An `a=label` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaLabel<'b>(pub &'b [u8]);

impl<'b> Field<'b> for MediaLabel<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::Label);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        Scan::new(value).word().map(Self)
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same};
    use super::*;

    #[test]
    fn labels_come_back_as_written() {
        same::<MediaLabel<'_>>(b"main-view");
        refused::<MediaLabel<'_>>(b" ");
    }
}
