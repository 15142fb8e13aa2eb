//! `a=ice-ufrag`, `a=ice-pwd`: ICE credentials (RFC 8839 §5.4).

use super::scan::Scan;
use super::{AttrKind, Error, ErrorKind, Field, LineKind};

/// An `a=ice-ufrag` line: 4 to 256 ice-chars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IceUfrag<'b>(pub &'b [u8]);

/// An `a=ice-pwd` line: 22 to 256 ice-chars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcePwd<'b>(pub &'b [u8]);

impl<'b> Field<'b> for IceUfrag<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::IceUfrag);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        credential(value).map(Self)
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

impl<'b> Field<'b> for IcePwd<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::IcePwd);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        credential(value).map(Self)
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

/// One word of at most 256 bytes. Shorter ones than the RFC's minima, and other characters than its
/// own, occur and harm nobody but their sender.
fn credential(value: &[u8]) -> Result<&[u8], Error> {
    let mut scan = Scan::new(value);
    let word = scan.word()?;
    if word.len() > 256 {
        Err(scan.error(ErrorKind::BadWord))
    } else {
        Ok(word)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{printed, refused, same};
    use super::*;

    #[test]
    fn credentials_come_back_as_written() {
        same::<IceUfrag<'_>>(b"v6ul");
        same::<IcePwd<'_>>(b"NCv8GYtAIoQ6mQUjUnJbO6gz");
        printed::<IcePwd<'_>>(b"abc+/def ", b"abc+/def");
    }

    #[test]
    fn empty_and_endless_ones_are_refused() {
        refused::<IceUfrag<'_>>(b" ");
        refused::<IcePwd<'_>>(&[b'a'; 257]);
    }
}
