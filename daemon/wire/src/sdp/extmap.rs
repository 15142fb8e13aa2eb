//! `a=extmap`: which RTP header extension has which id (RFC 8285 §5).

use super::scan::{Scan, number, split_once};
use super::{AttrKind, Direction, Error, ErrorKind, Field, LineKind};
use crate::digits;

/// An `a=extmap` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extmap<'b> {
    /// The id: 1 to 14 in one-byte, to 255 in two-byte headers; 4096 and above while undecided.
    pub id: u16,
    /// The direction, if restricted.
    pub direction: Option<Direction>,
    /// The extension's URI.
    pub uri: &'b [u8],
    /// The extension's attributes, as written.
    pub attributes: &'b [u8],
}

impl<'b> Field<'b> for Extmap<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::Extmap);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        let (id, direction) = split_once(scan.word()?, b'/');
        let id = number(id).ok_or(scan.error(ErrorKind::BadNumber))?;
        let bad = scan.error(ErrorKind::BadWord);
        let direction = direction
            .map(|d| Direction::from_name(d).ok_or(bad))
            .transpose()?;
        Ok(Self {
            id,
            direction,
            uri: scan.word()?,
            attributes: scan.trimmed_rest(),
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        digits::push(u64::from(self.id), out);
        if let Some(direction) = self.direction {
            out.push(b'/');
            out.extend_from_slice(direction.as_str().as_bytes());
        }
        for part in [self.uri, self.attributes] {
            if !part.is_empty() {
                out.push(b' ');
                out.extend_from_slice(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same};
    use super::*;

    #[test]
    fn maps_come_back_as_written() {
        same::<Extmap<'_>>(b"1 urn:ietf:params:rtp-hdrext:ssrc-audio-level");
        same::<Extmap<'_>>(b"2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level");
        same::<Extmap<'_>>(b"4096 urn:x:y vad=on extra");
    }

    #[test]
    fn broken_maps_are_refused() {
        for bad in [&b"1"[..], b"x urn:a", b"1/up urn:a", b"70000 urn:a"] {
            refused::<Extmap<'_>>(bad);
        }
    }
}
