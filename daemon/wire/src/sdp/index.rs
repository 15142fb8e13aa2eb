//! A body held as bytes and indexed into lines and sections, in one pass (RFC 8866 §5).

use smallvec::SmallVec;

use super::{AttrKind, AttrSet, Eol, Error, ErrorKind, Line, LineKind, Section};

/// How large a body may be. Beyond, it is refused before it costs anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in the body.
    pub body: usize,
    /// Lines in the body.
    pub lines: usize,
    /// Media sections in the body.
    pub sections: usize,
}

impl Limits {
    /// What a relay has to take: 256 KiB, 16,384 lines, 256 media sections.
    pub const DEFAULT: Self = Self {
        body: 256 * 1024,
        lines: 16 * 1024,
        sections: 256,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// One indexed body. Nothing in it is parsed yet but letters and attribute names.
///
/// The lines partition the body: written one after the other they are the body again, byte for byte.
#[derive(Clone, Debug)]
pub struct Sdp<'b> {
    body: &'b [u8],
    entries: SmallVec<[Entry; 32]>,
    /// The session part, then each media section.
    spans: SmallVec<[Span; 4]>,
    eol: Eol,
}

/// Where a line is and what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    start: u32,
    /// Length without the line end.
    len: u32,
    /// Length of the line end: 0 (end of the body), 1 or 2.
    end: u8,
    /// Offset of the value in the line, 0 without one.
    value: u8,
    kind: LineKind,
}

/// A section's lines.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    /// Index of its first line.
    first: u32,
    /// The attributes that occur in it.
    attrs: AttrSet,
}

impl<'b> Sdp<'b> {
    /// Indexes `body` within [`Limits::DEFAULT`].
    pub fn parse(body: &'b [u8]) -> Result<Self, Error> {
        Self::parse_within(body, &Limits::DEFAULT)
    }

    /// Indexes `body`. Any bytes within the limits have an index; whether they are a usable SDP is
    /// told by [`Self::check`] and by the parsers of the single lines.
    pub fn parse_within(body: &'b [u8], limits: &Limits) -> Result<Self, Error> {
        if body.len() > limits.body.min(u32::MAX as usize) {
            return Err(Error::new(ErrorKind::BodyTooLong, limits.body));
        }
        let mut sdp = Self {
            body,
            entries: SmallVec::new(),
            spans: SmallVec::new(),
            eol: Eol::Crlf,
        };
        sdp.spans.push(Span::default());
        let (mut start, mut crlf, mut lf) = (0, false, false);
        for newline in memchr::memchr_iter(b'\n', body) {
            let has_cr = newline > start && body[newline - 1] == b'\r';
            crlf |= has_cr;
            lf |= !has_cr;
            let end = 1 + u8::from(has_cr);
            sdp.push(start, newline + 1, end, limits)?;
            start = newline + 1;
        }
        if start < body.len() {
            sdp.push(start, body.len(), 0, limits)?;
        }
        if lf && !crlf {
            sdp.eol = Eol::Lf;
        }
        Ok(sdp)
    }

    #[inline]
    fn push(&mut self, start: usize, next: usize, end: u8, limits: &Limits) -> Result<(), Error> {
        if self.entries.len() == limits.lines {
            return Err(Error::new(ErrorKind::TooManyLines, start));
        }
        let stop = next - usize::from(end);
        let (kind, value) = LineKind::of(&self.body[start..stop]);
        if kind == LineKind::Media {
            if self.spans.len() > limits.sections {
                return Err(Error::new(ErrorKind::TooManySections, start));
            }
            self.spans.push(Span {
                first: self.entries.len() as u32,
                attrs: AttrSet::NONE,
            });
        }
        if let (LineKind::Attr(attr), Some(span)) = (kind, self.spans.last_mut()) {
            span.attrs = span.attrs.with(attr);
        }
        let (start, len) = (start as u32, (stop - start) as u32);
        self.entries.push(Entry {
            start,
            len,
            end,
            value,
            kind,
        });
        Ok(())
    }

    /// The bytes that were indexed.
    pub const fn body(&self) -> &'b [u8] {
        self.body
    }

    /// The line end for lines of our own: LF if the body uses bare LF throughout, else CRLF.
    pub const fn eol(&self) -> Eol {
        self.eol
    }

    /// All lines, in order.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = Line<'b>> + DoubleEndedIterator + Clone {
        let body = self.body;
        self.entries.iter().map(move |e| e.line(body))
    }

    /// The session part: all lines before the first `m=`.
    pub fn session(&self) -> Section<'_, 'b> {
        self.part(0)
    }

    /// How many media sections there are.
    pub fn len(&self) -> usize {
        self.spans.len() - 1
    }

    /// Whether there is no media section.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The media section at `index`, counted from 0.
    pub fn media(&self, index: usize) -> Option<Section<'_, 'b>> {
        (index < self.len()).then(|| self.part(index + 1))
    }

    /// The media sections, in order.
    pub fn sections(&self) -> impl ExactSizeIterator<Item = Section<'_, 'b>> + Clone {
        (1..self.spans.len()).map(|i| self.part(i))
    }

    /// Whether an attribute occurs anywhere.
    pub fn has(&self, kind: AttrKind) -> bool {
        self.spans.iter().any(|s| s.attrs.contains(kind))
    }

    fn part(&self, index: usize) -> Section<'_, 'b> {
        let first = |i: usize| {
            self.spans
                .get(i)
                .map_or(self.entries.len(), |s| s.first as usize)
        };
        let session = &self.entries[..first(1)];
        Section {
            body: self.body,
            entries: &self.entries[first(index)..first(index + 1)],
            attrs: self.spans[index].attrs,
            session,
            session_attrs: self.spans[0].attrs,
        }
    }
}

impl Entry {
    pub(super) const fn kind(self) -> LineKind {
        self.kind
    }

    pub(super) fn line(self, body: &[u8]) -> Line<'_> {
        let raw = &body[self.start as usize..(self.start + self.len) as usize + self.end as usize];
        Line {
            raw,
            at: self.start,
            end: self.end,
            value: self.value,
            kind: self.kind,
        }
    }
}
