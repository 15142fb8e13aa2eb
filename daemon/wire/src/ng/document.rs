//! A dictionary that is written before it is known in which encoding it will be sent.

use std::fmt;

use crate::bencode;
use crate::ng::Format;
use crate::ng::writer::Writer;
use crate::value::{Dict, Limits, Value};

/// The entries of a dictionary, written as bencode: most proxies read that, and get a copy of the bytes. For the
/// others it is read again.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Document(
    /// A whole dictionary, or nothing.
    Vec<u8>,
);

/// What was written here is no stranger's word.
const OWN: Limits = Limits {
    depth: u8::MAX,
    elements: u32::MAX,
};

impl Document {
    /// No entries.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The entries that `fill` writes; `room` is how many bytes they will hardly exceed.
    pub fn write(room: usize, fill: impl FnOnce(&mut Writer<'_>)) -> Self {
        let mut bytes = Vec::with_capacity(room);
        Writer::new(Format::Bencode, &mut bytes).dict(fill);
        Self(bytes)
    }

    /// The entries, to look things up.
    pub fn entries(&self) -> Dict<'_> {
        match bencode::decode(&self.0, OWN) {
            Ok((Value::Dict(entries), _)) => entries,
            _ => Dict::new(),
        }
    }

    /// Appends the entries to the dictionary that `out` is in.
    pub(crate) fn append(&self, out: &mut Writer<'_>) {
        match &self.0[..] {
            [b'd', entries @ .., b'e'] if out.format() == Format::Bencode => out.written(entries),
            _ => {
                for (key, value) in &self.entries() {
                    out.key_bytes(key);
                    out.value(value);
                }
            }
        }
    }
}

impl From<&Dict<'_>> for Document {
    fn from(entries: &Dict<'_>) -> Self {
        Self::write(0, |out| {
            for (key, value) in entries {
                out.key_bytes(key);
                out.value(value);
            }
        })
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let nested = Dict::new().with("e", Value::List(vec![]));
        let entries = Dict::new()
            .with("a", "x")
            .with("\u{ff}", -1_i64)
            .with("d", nested);
        let document = Document::from(&entries);
        assert_eq!(document.entries(), entries);
        assert_eq!(Document::new().entries(), Dict::new());
        assert_eq!(Document::from(&Dict::new()).entries(), Dict::new());
    }

    #[test]
    fn either_encoding_gets_the_same_entries_among_others() {
        for format in [Format::Bencode, Format::Json] {
            let mut out = Vec::new();
            Writer::new(format, &mut out).dict(|out| {
                out.entry("before", "x");
                Document::new().append(out);
                Document::write(0, |out| out.uint_entry("n", 1)).append(out);
                out.entry("after", "y");
            });
            let entries = Dict::new()
                .with("before", "x")
                .with("n", 1_i64)
                .with("after", "y");
            let mut wanted = Vec::new();
            format.encode(&entries.into(), &mut wanted);
            assert_eq!(out, wanted);
        }
    }
}
