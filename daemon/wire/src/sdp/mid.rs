//! `a=mid`: the name of a media section (RFC 5888 §4).

use super::scan::Scan;
use super::{AttrKind, Error, ErrorKind, Field, LineKind};
use crate::ids::Mid;

impl<'b> Field<'b> for Mid {
    const KIND: LineKind = LineKind::Attr(AttrKind::Mid);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        let word = scan.word()?;
        Self::new(word).map_err(|_| scan.error(ErrorKind::BadWord))
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{printed, refused, same};
    use super::*;

    #[test]
    fn names_come_back_as_written() {
        same::<Mid>(b"0");
        same::<Mid>(b"audio-1");
        printed::<Mid>(b"sdparta_0 ", b"sdparta_0");
    }

    #[test]
    fn no_name_is_refused() {
        refused::<Mid>(b" ");
        refused::<Mid>(b"a(b");
    }
}
