//! `b=`: the bandwidth that is proposed (RFC 8866 §5.8, RFC 3556, RFC 3890).

use super::scan::{number, split_once};
use super::{Error, ErrorKind, Field, LineKind};
use crate::digits;

/// A `b=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth<'b> {
    /// What is bounded: `AS`, `CT`, `TIAS`, `RS`, `RR`.
    pub kind: &'b [u8],
    /// Kilobits a second for `AS` and `CT`, bits a second for the others.
    pub value: u64,
}

impl<'b> Field<'b> for Bandwidth<'b> {
    const KIND: LineKind = LineKind::Bandwidth;

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let (kind, bound) = split_once(value, b':');
        let bound = bound.ok_or(Error::new(ErrorKind::Missing, value.len()))?;
        let bad = Error::new(ErrorKind::BadNumber, kind.len() + 1);
        Ok(Self {
            kind: kind.trim_ascii(),
            value: number(bound.trim_ascii()).ok_or(bad)?,
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.kind);
        out.push(b':');
        digits::push(self.value, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{printed, refused, same};
    use super::*;

    #[test]
    fn bounds_come_back_as_written() {
        same::<Bandwidth<'_>>(b"AS:64");
        same::<Bandwidth<'_>>(b"TIAS:2000000");
        same::<Bandwidth<'_>>(b"X-YZ:128");
        printed::<Bandwidth<'_>>(b"AS: 64 ", b"AS:64");
    }

    #[test]
    fn broken_bounds_are_refused() {
        for bad in [&b"AS"[..], b"AS:", b"AS:x", b""] {
            refused::<Bandwidth<'_>>(bad);
        }
    }
}
