//! `a=fmtp`: parameters of one format (RFC 8866 §6.15).

use super::scan::{Scan, number, split_once};
use super::{AttrKind, Error, Field, LineKind};
use crate::ids::PayloadType;

/// An `a=fmtp` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fmtp<'b> {
    /// The format it belongs to; a payload type in RTP.
    pub format: &'b [u8],
    /// The parameters as written, in a form that is the format's own affair.
    pub parameters: &'b [u8],
}

impl<'b> Fmtp<'b> {
    /// The format as a payload type, if it is one.
    pub fn payload_type(&self) -> Option<PayloadType> {
        number(self.format)
    }

    /// The parameters in the usual form, `name=value` or `name` between semicolons.
    pub fn pairs(&self) -> impl Iterator<Item = (&'b [u8], Option<&'b [u8]>)> + Clone + use<'b> {
        self.parameters
            .split(|b| *b == b';')
            .map(<[u8]>::trim_ascii)
            .filter(|p| !p.is_empty())
            .map(|pair| {
                let (name, value) = split_once(pair, b'=');
                (name.trim_ascii_end(), value.map(<[u8]>::trim_ascii_start))
            })
    }

    /// The value of one parameter, whose name is compared without regard to case; empty for a name
    /// without value.
    pub fn get(&self, name: &str) -> Option<&'b [u8]> {
        self.pairs()
            .find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.unwrap_or_default())
    }
}

impl<'b> Field<'b> for Fmtp<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::Fmtp);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        Ok(Self {
            format: scan.word()?,
            parameters: scan.trimmed_rest(),
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.format);
        if !self.parameters.is_empty() {
            out.push(b' ');
            out.extend_from_slice(self.parameters);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same, value};
    use super::*;

    #[test]
    fn parameters_of_any_form_come_back_as_written() {
        same::<Fmtp<'_>>(b"111 minptime=10;useinbandfec=1");
        same::<Fmtp<'_>>(b"101 0-15");
        same::<Fmtp<'_>>(b"63 111/111");
        same::<Fmtp<'_>>(b"97 apt=96; x");
        same::<Fmtp<'_>>(b"webrtc-datachannel max-message-size=100000");
        same::<Fmtp<'_>>(b"18");
    }

    #[test]
    fn pairs_are_found_by_name_in_any_case() {
        let fmtp: Fmtp<'_> = value(b"18 annexb = no;; MODE=2 ; flag");
        assert_eq!(fmtp.get("AnnexB"), Some(&b"no"[..]));
        assert_eq!(fmtp.get("mode"), Some(&b"2"[..]));
        assert_eq!(fmtp.get("flag"), Some(&b""[..]));
        assert_eq!(fmtp.get("none"), None);
        assert_eq!(fmtp.payload_type().map(PayloadType::get), Some(18));
    }

    #[test]
    fn nothing_at_all_is_refused() {
        refused::<Fmtp<'_>>(b"  ");
    }
}
