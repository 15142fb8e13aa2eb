//! `a=ice-options`: which ICE extensions are understood (RFC 8839 §5.6).

use super::scan::words;
use super::{AttrKind, Error, Field, LineKind};

/// An `a=ice-options` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IceOptions<'b>(pub &'b [u8]);

impl<'b> IceOptions<'b> {
    /// The options, one by one.
    pub fn tags(&self) -> impl Iterator<Item = &'b [u8]> + Clone + use<'b> {
        words(self.0)
    }

    /// Whether an option such as `trickle` or `ice2` is among them.
    pub fn has(&self, tag: &str) -> bool {
        self.tags().any(|t| t == tag.as_bytes())
    }
}

impl<'b> Field<'b> for IceOptions<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::IceOptions);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        Ok(Self(value.trim_ascii()))
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{same, value};
    use super::*;

    #[test]
    fn options_come_back_and_are_found() {
        same::<IceOptions<'_>>(b"trickle ice2");
        let options: IceOptions<'_> = value(b"renomination trickle ");
        assert!(options.has("trickle") && !options.has("ice2") && !options.has("trick"));
    }
}
