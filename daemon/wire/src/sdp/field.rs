//! What every typed line has in common: which line it is, reading and printing its value.

use super::{Error, LineKind};

/// A typed line.
///
/// `parse` takes blanks at the end, `print` writes none: a line is only printed when it is ours; a
/// line that is passed on is copied by its bytes.
pub trait Field<'b>: Sized {
    /// The line that it stands in.
    const KIND: LineKind;

    /// Reads the value: what stands after `x=` or `a=name:`.
    fn parse(value: &'b [u8]) -> Result<Self, Error>;

    /// Appends the value, without the line's prefix and end.
    fn print(&self, out: &mut Vec<u8>);
}
