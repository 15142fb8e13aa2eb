//! The session part or one media section: its lines, and typed access to those that matter.

use super::index::Entry;
use super::{
    AttrKind, AttrSet, Connection, Direction, Error, ErrorKind, Field, Line, LineKind, MediaLine,
};

/// The session part or one media section of an indexed body.
#[derive(Clone, Copy, Debug)]
pub struct Section<'i, 'b> {
    pub(super) body: &'b [u8],
    pub(super) entries: &'i [Entry],
    pub(super) attrs: AttrSet,
    pub(super) session: &'i [Entry],
    pub(super) session_attrs: AttrSet,
}

impl<'i, 'b> Section<'i, 'b> {
    /// The lines, in order. A media section's first line is its `m=` line.
    pub fn lines(
        &self,
    ) -> impl ExactSizeIterator<Item = Line<'b>> + DoubleEndedIterator + Clone + use<'i, 'b> {
        let body = self.body;
        self.entries.iter().map(move |e| e.line(body))
    }

    /// The lines of one kind, in order.
    pub fn lines_of(&self, kind: LineKind) -> impl Iterator<Item = Line<'b>> + Clone + use<'i, 'b> {
        let body = self.body;
        let entries = if self.may_have(kind) {
            self.entries
        } else {
            &[]
        };
        entries
            .iter()
            .filter(move |e| e.kind() == kind)
            .map(move |e| e.line(body))
    }

    /// The first line of one kind.
    pub fn first(&self, kind: LineKind) -> Option<Line<'b>> {
        self.lines_of(kind).next()
    }

    /// The attributes of this section that are not in `except`, all others included, in order.
    pub fn attributes_except(
        &self,
        except: AttrSet,
    ) -> impl Iterator<Item = Line<'b>> + Clone + use<'i, 'b> {
        let body = self.body;
        let kept = move |e: &&Entry| e.kind().attr().is_some_and(|a| !except.contains(a));
        self.entries.iter().filter(kept).map(move |e| e.line(body))
    }

    /// Which attributes occur in this section itself.
    pub const fn attributes(&self) -> AttrSet {
        self.attrs
    }

    /// Whether an attribute occurs in this section itself.
    pub const fn has(&self, kind: AttrKind) -> bool {
        self.attrs.contains(kind)
    }

    /// Whether an attribute occurs in this section or in the session part.
    pub const fn has_or_inherits(&self, kind: AttrKind) -> bool {
        self.attrs.contains(kind) || self.session_attrs.contains(kind)
    }

    /// The first `F` of this section itself, read.
    pub fn get<F: Field<'b>>(&self) -> Option<Result<F, Error>> {
        self.first(F::KIND).map(|l| l.parse())
    }

    /// Every `F` of this section itself, read.
    pub fn all<F: Field<'b>>(&self) -> impl Iterator<Item = Result<F, Error>> + use<'i, 'b, F> {
        self.lines_of(F::KIND).map(|l| l.parse())
    }

    /// The first `F` of this section, else of the session part, read.
    pub fn get_or_inherit<F: Field<'b>>(&self) -> Option<Result<F, Error>> {
        self.get().or_else(|| self.session_part().get())
    }

    /// Every `F` of this section; if it has none, every `F` of the session part.
    pub fn all_or_inherit<F: Field<'b>>(
        &self,
    ) -> impl Iterator<Item = Result<F, Error>> + use<'i, 'b, F> {
        let own = self.first(F::KIND).is_some();
        let part = if own { *self } else { self.session_part() };
        part.all()
    }

    /// The `m=` line, read.
    ///
    /// # Errors
    /// What is wrong with the line; in the session part, that it has none.
    pub fn media(&self) -> Result<MediaLine<'b>, Error> {
        let missing = Error::new(ErrorKind::Missing, self.at());
        self.entries.first().ok_or(missing)?.line(self.body).parse()
    }

    /// The `c=` line that applies: the section's own, else the session's.
    pub fn connection(&self) -> Option<Result<Connection<'b>, Error>> {
        self.get_or_inherit()
    }

    /// The direction written in this section itself; the first one, should there be several.
    pub fn own_direction(&self) -> Option<Direction> {
        if Direction::ALL.iter().all(|d| !self.has(d.attr())) {
            return None;
        }
        self.entries
            .iter()
            .find_map(|e| Direction::of(e.kind().attr()?))
    }

    /// The direction that applies: the section's own, else the session's, else sendrecv
    /// (RFC 8866 §6.7).
    pub fn direction(&self) -> Direction {
        self.own_direction()
            .or_else(|| self.session_part().own_direction())
            .unwrap_or_default()
    }

    /// The session part that this section inherits from; itself, if it is the session part.
    #[must_use]
    pub fn session_part(&self) -> Self {
        Self {
            entries: self.session,
            attrs: self.session_attrs,
            ..*self
        }
    }

    /// Where the section starts in the body.
    pub fn at(&self) -> usize {
        self.entries.first().map_or(0, |e| e.line(self.body).at())
    }

    const fn may_have(&self, kind: LineKind) -> bool {
        match kind.attr() {
            Some(attr) => self.has(attr),
            None => true,
        }
    }
}
