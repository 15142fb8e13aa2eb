//! `o=`: who made the description, and which version of it this is (RFC 8866 §5.2).

use super::host::Address;
use super::scan::{Scan, number};
use super::{Error, Field, LineKind};
use crate::digits;

/// An `o=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'b> {
    /// The user name, often `-`.
    pub user: &'b [u8],
    /// The session id. Digits by the RFC, of any length in the wild, so it stays text.
    pub id: &'b [u8],
    /// The version of this description.
    pub version: Version<'b>,
    /// The address of whoever made it.
    pub address: Address<'b>,
}

/// The version in an `o=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version<'b> {
    /// A number without leading zeros.
    Number(u64),
    /// Anything else: longer than 64 bits, with leading zeros, or no number at all.
    Text(&'b [u8]),
}

impl<'b> Version<'b> {
    fn of(word: &'b [u8]) -> Self {
        let plain = word.len() == 1 || word.first() != Some(&b'0');
        number(word)
            .filter(|_| plain)
            .map_or(Self::Text(word), Self::Number)
    }
}

impl<'b> Field<'b> for Origin<'b> {
    const KIND: LineKind = LineKind::Origin;

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        Ok(Self {
            user: scan.word()?,
            id: scan.word()?,
            version: Version::of(scan.word()?),
            address: Address::scan(&mut scan)?,
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        for word in [self.user, self.id] {
            out.extend_from_slice(word);
            out.push(b' ');
        }
        match self.version {
            Version::Number(n) => digits::push(n, out),
            Version::Text(text) => out.extend_from_slice(text),
        }
        out.push(b' ');
        self.address.print(out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same, value};
    use super::*;

    #[test]
    fn versions_of_any_length_come_back_as_written() {
        same::<Origin<'_>>(b"- 417833240494614081 2 IN IP4 127.0.0.1");
        same::<Origin<'_>>(b"mozilla 99999999999999999999999 18446744073709551616 IN IP4 0.0.0.0");
        same::<Origin<'_>>(b"root 007 007 IN IP6 ::1");
        same::<Origin<'_>>(b"x 0 0 IN IP4 host.example");
    }

    #[test]
    fn the_version_is_a_number_where_it_can_be() {
        let origin: Origin<'_> = value(b"- 1 41 IN IP4 127.0.0.1");
        assert_eq!(origin.version, Version::Number(41));
        let origin: Origin<'_> = value(b"- 1 041 IN IP4 127.0.0.1");
        assert_eq!(origin.version, Version::Text(b"041"));
    }

    #[test]
    fn fewer_than_six_words_are_refused() {
        refused::<Origin<'_>>(b"- 1 1 IN IP4");
        refused::<Origin<'_>>(b"");
    }
}
