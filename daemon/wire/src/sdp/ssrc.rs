//! `a=ssrc`: what is known of one RTP stream (RFC 5576 §4.1).

use super::scan::{Scan, split_once};
use super::{AttrKind, Error, ErrorKind, Field, LineKind};
use crate::digits;
use crate::ids::Ssrc;

/// An `a=ssrc` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SsrcAttr<'b> {
    /// The stream's source.
    pub ssrc: Ssrc,
    /// The name of what is said of it, such as `cname`.
    pub name: &'b [u8],
    /// Its value.
    pub value: Option<&'b [u8]>,
}

impl<'b> Field<'b> for SsrcAttr<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::Ssrc);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        let ssrc = scan.number()?;
        let (name, value) = split_once(scan.trimmed_rest(), b':');
        if name.is_empty() {
            return Err(scan.error(ErrorKind::Missing));
        }
        Ok(Self { ssrc, name, value })
    }

    fn print(&self, out: &mut Vec<u8>) {
        digits::push(u64::from(self.ssrc.0), out);
        out.push(b' ');
        out.extend_from_slice(self.name);
        if let Some(value) = self.value {
            out.push(b':');
            out.extend_from_slice(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same, value};
    use super::*;

    #[test]
    fn lines_come_back_as_written() {
        same::<SsrcAttr<'_>>(b"1649751917 cname:i01iF2bWBFio0W7b");
        same::<SsrcAttr<'_>>(b"4294967295 msid:a b");
        same::<SsrcAttr<'_>>(b"1 x");
        assert_eq!(
            value::<SsrcAttr<'_>>(b"7 cname:{a:b}").value,
            Some(&b"{a:b}"[..])
        );
    }

    #[test]
    fn broken_lines_are_refused() {
        for bad in [&b"4294967296 cname:x"[..], b"1", b"1 :x", b"x cname:y"] {
            refused::<SsrcAttr<'_>>(bad);
        }
    }
}
