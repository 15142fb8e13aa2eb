//! `a=ptime`, `a=maxptime`: how much audio a packet holds (RFC 8866 §6.4, §6.5).

use super::scan::{Scan, number, split_once};
use super::{AttrKind, Error, ErrorKind, Field, LineKind};
use crate::digits;

/// An `a=ptime` line: milliseconds of audio in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ptime(pub u16);

/// An `a=maxptime` line: milliseconds of audio that a packet may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maxptime(pub u16);

impl<'b> Field<'b> for Ptime {
    const KIND: LineKind = LineKind::Attr(AttrKind::Ptime);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        millis(value).map(Self)
    }

    fn print(&self, out: &mut Vec<u8>) {
        digits::push(u64::from(self.0), out);
    }
}

impl<'b> Field<'b> for Maxptime {
    const KIND: LineKind = LineKind::Attr(AttrKind::Maxptime);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        millis(value).map(Self)
    }

    fn print(&self, out: &mut Vec<u8>) {
        digits::push(u64::from(self.0), out);
    }
}

/// Whole milliseconds; the fraction that the grammar allows is cut off. Zero is refused.
fn millis(value: &[u8]) -> Result<u16, Error> {
    let mut scan = Scan::new(value);
    let (whole, _fraction) = split_once(scan.word()?, b'.');
    number(whole)
        .filter(|n| *n > 0)
        .ok_or(scan.error(ErrorKind::BadNumber))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{printed, refused, same};
    use super::*;

    #[test]
    fn whole_milliseconds_come_back_as_written() {
        same::<Ptime>(b"20");
        same::<Maxptime>(b"120");
        printed::<Ptime>(b" 22.5 ", b"22");
    }

    #[test]
    fn zero_and_nonsense_are_refused() {
        for bad in [&b"0"[..], b"", b"-20", b"x", b"65536"] {
            refused::<Ptime>(bad);
        }
    }
}
