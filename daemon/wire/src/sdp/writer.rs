//! Composes a body line by line: lines of others by their bytes, lines of our own typed.

use super::{AttrKind, Direction, Field, Line, LineKind};
use crate::digits;

/// A line end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Eol {
    /// CR LF, as RFC 8866 wants it.
    #[default]
    Crlf,
    /// A bare LF, for peers that write nothing else.
    Lf,
}

impl Eol {
    /// Its bytes.
    pub const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Crlf => b"\r\n",
            Self::Lf => b"\n",
        }
    }
}

/// Appends lines to a body.
///
/// A copied line keeps its own line end. The last line of a body that had none gets one only if
/// another line follows it.
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
    eol: Eol,
}

impl Writer {
    /// An empty body whose own lines end with `eol`, with room for `capacity` bytes.
    pub fn new(eol: Eol, capacity: usize) -> Self {
        Self {
            out: Vec::with_capacity(capacity),
            eol,
        }
    }

    /// Copies a line byte for byte.
    pub fn raw(&mut self, line: Line<'_>) {
        self.close();
        self.out.extend_from_slice(line.raw());
    }

    /// Copies lines byte for byte.
    #[expect(
        single_use_lifetimes,
        reason = "an anonymous one is unstable in this place"
    )]
    pub fn raw_all<'b>(&mut self, lines: impl IntoIterator<Item = Line<'b>>) {
        lines.into_iter().for_each(|l| self.raw(l));
    }

    /// Copies a line, but ends it as lines of our own end.
    pub fn raw_with_own_end(&mut self, line: Line<'_>) {
        self.close();
        self.out.extend_from_slice(line.content());
        self.end();
    }

    /// Writes a typed line.
    pub fn put<'b, F: Field<'b>>(&mut self, field: &F) {
        self.open(F::KIND);
        let start = self.out.len();
        field.print(&mut self.out);
        self.guard(start);
        self.end();
    }

    /// Writes an attribute without a value, such as `a=rtcp-mux`.
    pub fn flag(&mut self, attr: AttrKind) {
        self.close();
        self.out.extend_from_slice(b"a=");
        self.out.extend_from_slice(attr.name().as_bytes());
        self.end();
    }

    /// Writes a direction.
    pub fn direction(&mut self, direction: Direction) {
        self.flag(direction.attr());
    }

    /// Writes an attribute with a number for its value.
    pub fn number(&mut self, attr: AttrKind, number: u64) {
        self.open(LineKind::Attr(attr));
        digits::push(number, &mut self.out);
        self.end();
    }

    /// Writes an attribute with bytes for its value. What follows a line break in `value` is cut off.
    pub fn attr(&mut self, attr: AttrKind, value: &[u8]) {
        self.open(LineKind::Attr(attr));
        self.out.extend_from_slice(one_line(value));
        self.end();
    }

    /// Writes a whole line of our own. What follows a line break in `content` is cut off.
    pub fn text(&mut self, content: &[u8]) {
        self.close();
        self.out.extend_from_slice(one_line(content));
        self.end();
    }

    /// The line end of our own lines.
    pub const fn eol(&self) -> Eol {
        self.eol
    }

    /// What was written so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.out
    }

    /// The body.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    fn open(&mut self, kind: LineKind) {
        self.close();
        if let Some(letter) = kind.letter() {
            self.out.extend_from_slice(&[letter, b'=']);
        }
        if let Some(attr) = kind.attr() {
            self.out.extend_from_slice(attr.name().as_bytes());
            self.out.push(b':');
        }
    }

    /// Ends a copied line that had no line end.
    fn close(&mut self) {
        if self.out.last().is_some_and(|b| *b != b'\n') {
            self.end();
        }
    }

    fn end(&mut self) {
        self.out.extend_from_slice(self.eol.bytes());
    }

    /// A field that borrowed a line break from outside must not become two lines.
    fn guard(&mut self, start: usize) {
        let len = one_line(&self.out[start..]).len();
        self.out.truncate(start + len);
    }
}

/// `text` up to its first line break.
pub(super) fn one_line(text: &[u8]) -> &[u8] {
    memchr::memchr2(b'\r', b'\n', text).map_or(text, |at| &text[..at])
}
