//! `a=rtpmap`: which codec a payload type is (RFC 8866 §6.6).

use super::scan::{Scan, number};
use super::{AttrKind, Error, ErrorKind, Field, LineKind};
use crate::digits;
use crate::ids::PayloadType;

/// An `a=rtpmap` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtpmap<'b> {
    /// The payload type.
    pub payload_type: PayloadType,
    /// The codec's name. Names are compared without regard to case.
    pub encoding: &'b [u8],
    /// The RTP clock rate in Hz.
    pub rate: u32,
    /// What follows the second slash; for audio the number of channels.
    pub parameters: Option<&'b [u8]>,
}

impl Rtpmap<'_> {
    /// How many channels; 1 unless written.
    pub fn channels(&self) -> u16 {
        self.parameters.and_then(number).unwrap_or(1)
    }

    /// Whether it is the codec of that name, in any case.
    pub fn is(&self, encoding: &str) -> bool {
        self.encoding.eq_ignore_ascii_case(encoding.as_bytes())
    }
}

impl<'b> Field<'b> for Rtpmap<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::Rtpmap);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        let payload_type = scan.number()?;
        let mut parts = scan.word()?.splitn(3, |b| *b == b'/');
        let encoding = parts.next().filter(|e| !e.is_empty());
        let rate = parts
            .next()
            .and_then(number)
            .ok_or(scan.error(ErrorKind::BadNumber))?;
        Ok(Self {
            payload_type,
            encoding: encoding.ok_or(scan.error(ErrorKind::Missing))?,
            rate,
            parameters: parts.next().filter(|p| !p.is_empty()),
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        digits::push(u64::from(self.payload_type.get()), out);
        out.push(b' ');
        out.extend_from_slice(self.encoding);
        out.push(b'/');
        digits::push(u64::from(self.rate), out);
        if let Some(parameters) = self.parameters {
            out.push(b'/');
            out.extend_from_slice(parameters);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{printed, refused, same, value};
    use super::*;

    #[test]
    fn maps_come_back_as_written() {
        same::<Rtpmap<'_>>(b"111 opus/48000/2");
        same::<Rtpmap<'_>>(b"0 PCMU/8000");
        same::<Rtpmap<'_>>(b"9 G722/8000/1");
        same::<Rtpmap<'_>>(b"98 X/90000/a/b");
        printed::<Rtpmap<'_>>(b" 96  VP8/90000/  ", b"96 VP8/90000");
    }

    #[test]
    fn channels_are_one_unless_written() {
        assert_eq!(value::<Rtpmap<'_>>(b"111 opus/48000/2").channels(), 2);
        assert_eq!(value::<Rtpmap<'_>>(b"0 PCMU/8000").channels(), 1);
        assert!(value::<Rtpmap<'_>>(b"0 pcmu/8000").is("PCMU"));
    }

    #[test]
    fn broken_maps_are_refused() {
        for bad in [
            &b"128 X/8000"[..],
            b"0 PCMU",
            b"0 /8000",
            b"0 PCMU/x",
            b"0",
            b"PCMU/8000",
            b"",
        ] {
            refused::<Rtpmap<'_>>(bad);
        }
    }
}
