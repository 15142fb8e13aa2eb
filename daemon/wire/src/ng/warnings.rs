//! What a request said that was not understood; never a failure.

use std::fmt;

/// Most warnings kept of one request.
const MAX_WARNINGS: usize = 16;
/// Most bytes kept of a word that was not understood.
const MAX_TEXT: usize = 64;

/// What kind of thing was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarningKind {
    /// A key of the dictionary.
    UnknownKey,
    /// A member of `flags`.
    UnknownFlag,
    /// A member or value of a key that is known.
    UnknownValue,
    /// A key that was there already; the first one counts.
    DuplicateKey,
}

/// One thing that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What kind of thing.
    pub kind: WarningKind,
    /// The key it stood under; the key itself for unknown keys; `flags` for flags.
    pub key: String,
    /// The word, printable, cut off at 64 bytes.
    pub text: String,
}

/// The warnings of one request: bounded, in the order of appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warnings {
    kept: Vec<Warning>,
    dropped: u32,
}

impl Warnings {
    /// No warnings.
    pub const fn new() -> Self {
        Self {
            kept: Vec::new(),
            dropped: 0,
        }
    }

    /// Adds one, or counts it if there are many already.
    pub(crate) fn add(&mut self, kind: WarningKind, key: &[u8], text: &[u8]) {
        if self.kept.len() < MAX_WARNINGS {
            self.kept.push(Warning {
                kind,
                key: printable(key),
                text: printable(text),
            });
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// The warnings that were kept.
    pub fn iter(&self) -> std::slice::Iter<'_, Warning> {
        self.kept.iter()
    }

    /// How many more there were.
    pub const fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Whether everything was understood.
    pub const fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

fn printable(text: &[u8]) -> String {
    text[..text.len().min(MAX_TEXT)].escape_ascii().to_string()
}

impl<'w> IntoIterator for &'w Warnings {
    type Item = &'w Warning;
    type IntoIter = std::slice::Iter<'w, Warning>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, key, text } = self;
        match kind {
            WarningKind::UnknownKey => write!(f, "unknown key {key}"),
            WarningKind::UnknownFlag => write!(f, "unknown flag {text}"),
            WarningKind::UnknownValue => write!(f, "unknown value {text} of {key}"),
            WarningKind::DuplicateKey => write!(f, "key {key} given twice"),
        }
    }
}

impl fmt::Display for Warnings {
    /// All on one line, ready for the reply's `warning`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, warning) in self.iter().enumerate() {
            write!(f, "{}{warning}", if index == 0 { "" } else { "; " })?;
        }
        if self.dropped > 0 {
            write!(f, "; {} more", self.dropped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_and_length_are_bounded() {
        let mut warnings = Warnings::new();
        for _ in 0..1000 {
            warnings.add(WarningKind::UnknownFlag, b"flags", &[0xff; 10_000]);
        }
        assert_eq!(warnings.iter().count(), MAX_WARNINGS);
        assert_eq!(warnings.dropped(), 1000 - MAX_WARNINGS as u32);
        // Each byte is escaped to four characters.
        assert!(
            warnings
                .iter()
                .all(|warning| warning.text.len() == MAX_TEXT * 4)
        );
    }

    #[test]
    fn warnings_read_as_one_line() {
        let mut warnings = Warnings::new();
        warnings.add(WarningKind::UnknownFlag, b"flags", b"foo\r\n");
        warnings.add(WarningKind::UnknownValue, b"replace", b"bar");
        assert_eq!(
            warnings.to_string(),
            r"unknown flag foo\r\n; unknown value bar of replace"
        );
    }
}
