//! `a=tls-id`: names a DTLS association, so that a new one is recognised (RFC 8842 §4).

use super::scan::Scan;
use super::{AttrKind, Error, Field, LineKind};

/// An `a=tls-id` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsId<'b>(pub &'b [u8]);

impl<'b> Field<'b> for TlsId<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::TlsId);

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
    fn ids_come_back_as_written() {
        same::<TlsId<'_>>(b"abc3de65cddef001be82");
        refused::<TlsId<'_>>(b"");
    }
}
