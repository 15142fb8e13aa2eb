//! One line of a body: its bytes, what it is, and its value.

use super::{AttrKind, Error, ErrorKind, Field, LineKind};

/// One line of a body. It borrows from the body only, not from the index.
#[derive(Clone, Copy, Debug)]
pub struct Line<'b> {
    pub(super) raw: &'b [u8],
    pub(super) at: u32,
    pub(super) end: u8,
    pub(super) value: u8,
    pub(super) kind: LineKind,
}

impl<'b> Line<'b> {
    /// What the line is.
    pub const fn kind(&self) -> LineKind {
        self.kind
    }

    /// Which attribute it is, if it is one.
    pub const fn attr(&self) -> Option<AttrKind> {
        self.kind.attr()
    }

    /// The line with its line end, as it stands in the body.
    pub const fn raw(&self) -> &'b [u8] {
        self.raw
    }

    /// The line without its line end.
    pub fn content(&self) -> &'b [u8] {
        &self.raw[..self.raw.len() - usize::from(self.end)]
    }

    /// What stands after `x=`; for a known attribute, after `a=name:`. Blanks at the end are kept.
    /// Of an [`AttrKind::Other`] it is what stands after the colon, if there is one.
    pub fn value(&self) -> &'b [u8] {
        match self.value {
            0 => self.long_value(),
            at => &self.content()[usize::from(at)..],
        }
    }

    /// An attribute's name: what stands between `a=` and the colon. Empty for other lines.
    pub fn name(&self) -> &'b [u8] {
        let LineKind::Attr(_) = self.kind else {
            return &[];
        };
        let rest = &self.content()[2..];
        match memchr::memchr(b':', rest) {
            Some(colon) => &rest[..colon],
            None => rest.trim_ascii_end(),
        }
    }

    /// Where the line starts in the body.
    pub const fn at(&self) -> usize {
        self.at as usize
    }

    /// Reads the line as an `F`.
    ///
    /// # Errors
    /// [`ErrorKind::BadWord`] if it is a line of another kind; what `F` says, placed in the body,
    /// if it is malformed.
    pub fn parse<F: Field<'b>>(&self) -> Result<F, Error> {
        if self.kind != F::KIND {
            return Err(Error {
                kind: ErrorKind::BadWord,
                at: self.at,
            });
        }
        F::parse(self.value()).map_err(|e| e.shifted(self.at + u32::from(self.value)))
    }

    /// The value of an attribute whose name is too long for the index to have looked for it.
    fn long_value(&self) -> &'b [u8] {
        if self.kind == LineKind::Attr(AttrKind::Other) {
            let content = self.content();
            return memchr::memchr(b':', content).map_or(&[], |colon| &content[colon + 1..]);
        }
        &[]
    }
}
