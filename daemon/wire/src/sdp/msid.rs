//! `a=msid`: which browser stream and track a section is (RFC 8830 §2).

use super::scan::Scan;
use super::{AttrKind, Error, Field, LineKind};

/// An `a=msid` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msid<'b> {
    /// The media stream's id, `-` for none.
    pub id: &'b [u8],
    /// The track's id.
    pub track: Option<&'b [u8]>,
}

impl<'b> Field<'b> for Msid<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::Msid);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        Ok(Self {
            id: scan.word()?,
            track: scan.next_word(),
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.id);
        if let Some(track) = self.track {
            out.push(b' ');
            out.extend_from_slice(track);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same};
    use super::*;

    #[test]
    fn lines_come_back_as_written() {
        same::<Msid<'_>>(b"843dea47-e7eb 046e9c06-70fd");
        same::<Msid<'_>>(b"{3ab1} {4c}");
        same::<Msid<'_>>(b"-");
        refused::<Msid<'_>>(b"");
    }
}
