//! `a=rid`: the name of an RTP stream within its section, and what restricts it (RFC 8851 §4).

use super::scan::Scan;
use super::{AttrKind, Error, ErrorKind, Field, LineKind};

/// An `a=rid` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rid<'b> {
    /// The name, as it stands in RTP.
    pub id: &'b [u8],
    /// Who sends the stream.
    pub direction: RidDirection,
    /// Payload types and restrictions, as written.
    pub restrictions: &'b [u8],
}

/// Who sends a stream that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RidDirection {
    /// Whoever wrote the line.
    Send,
    /// Whoever reads it.
    Recv,
}

impl<'b> Field<'b> for Rid<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::Rid);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        let id = scan.word()?;
        let direction = match scan.word()? {
            b"send" => RidDirection::Send,
            b"recv" => RidDirection::Recv,
            _ => return Err(scan.error(ErrorKind::BadWord)),
        };
        Ok(Self {
            id,
            direction,
            restrictions: scan.trimmed_rest(),
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.id);
        out.extend_from_slice(match self.direction {
            RidDirection::Send => b" send",
            RidDirection::Recv => b" recv",
        });
        if !self.restrictions.is_empty() {
            out.push(b' ');
            out.extend_from_slice(self.restrictions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same};
    use super::*;

    #[test]
    fn lines_come_back_as_written() {
        same::<Rid<'_>>(b"hi send");
        same::<Rid<'_>>(b"1 recv pt=97,98;max-width=1280");
    }

    #[test]
    fn broken_lines_are_refused() {
        for bad in [&b"hi"[..], b"hi both", b""] {
            refused::<Rid<'_>>(bad);
        }
    }
}
