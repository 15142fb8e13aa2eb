//! `a=rtcp-fb`: which feedback a payload type takes (RFC 4585 §4.2).

use super::scan::{Scan, number};
use super::{AttrKind, Error, ErrorKind, Field, LineKind};
use crate::digits;
use crate::ids::PayloadType;

/// An `a=rtcp-fb` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtcpFb<'b> {
    /// The payload type; `None` for `*`, all of them.
    pub payload_type: Option<PayloadType>,
    /// The feedback as written, such as `nack pli`.
    pub feedback: &'b [u8],
}

impl<'b> Field<'b> for RtcpFb<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::RtcpFb);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        let payload_type = match scan.word()? {
            b"*" => None,
            word => Some(number(word).ok_or(scan.error(ErrorKind::BadNumber))?),
        };
        let feedback = scan.trimmed_rest();
        if feedback.is_empty() {
            return Err(scan.error(ErrorKind::Missing));
        }
        Ok(Self {
            payload_type,
            feedback,
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        match self.payload_type {
            Some(payload_type) => digits::push(u64::from(payload_type.get()), out),
            None => out.push(b'*'),
        }
        out.push(b' ');
        out.extend_from_slice(self.feedback);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same};
    use super::*;

    #[test]
    fn lines_come_back_as_written() {
        same::<RtcpFb<'_>>(b"96 nack pli");
        same::<RtcpFb<'_>>(b"* trr-int 5000");
        same::<RtcpFb<'_>>(b"111 transport-cc");
    }

    #[test]
    fn broken_lines_are_refused() {
        for bad in [&b"96"[..], b"128 nack", b"x nack", b""] {
            refused::<RtcpFb<'_>>(bad);
        }
    }
}
