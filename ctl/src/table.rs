//! Tables for people: columns as wide as their widest cell, numbers to the right.

use std::fmt::{self, Write as _};

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows under a header.
#[derive(Debug)]
pub(crate) struct Table {
    header: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(header: &[(impl AsRef<str>, Align)]) -> Self {
        let header = header
            .iter()
            .map(|(name, align)| (name.as_ref().to_owned(), *align));
        Self {
            header: header.collect(),
            rows: Vec::new(),
        }
    }

    /// Whether there is no row.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Appends a row; missing cells are empty, further ones are dropped.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let mut cells: Vec<String> = cells.into_iter().take(self.header.len()).collect();
        cells.iter_mut().for_each(disarm);
        cells.resize(self.header.len(), String::new());
        self.rows.push(cells);
    }

    fn widths(&self) -> Vec<usize> {
        (0..self.header.len())
            .map(|column| {
                let cells = self.rows.iter().map(|row| row[column].chars().count());
                cells
                    .chain([self.header[column].0.chars().count()])
                    .max()
                    .unwrap_or(0)
            })
            .collect()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let mut emit = |cells: &mut dyn Iterator<Item = &str>| -> fmt::Result {
            let mut line = String::new();
            for (at, ((cell, width), (_, align))) in
                cells.zip(&widths).zip(&self.header).enumerate()
            {
                let gap = if at == 0 { "" } else { "  " };
                match align {
                    Align::Left => write!(line, "{gap}{cell:<width$}")?,
                    Align::Right => write!(line, "{gap}{cell:>width$}")?,
                }
            }
            writeln!(f, "{}", line.trim_end())
        };
        emit(&mut self.header.iter().map(|(name, _)| name.as_str()))?;
        for row in &self.rows {
            emit(&mut row.iter().map(String::as_str))?;
        }
        Ok(())
    }
}

/// Replaces control characters: names come from the network, and a terminal obeys them.
fn disarm(text: &mut String) {
    if text.contains(char::is_control) {
        *text = printable(text);
    }
}

/// The text without control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { '\u{fffd}' } else { char })
        .collect()
}

/// A count with thin groups: `1234567` as `1 234 567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the unit of thousand that keeps them short: `999 B`, `1.2 kB`, `34.5 GB`.
pub(crate) fn bytes(number: u64) -> String {
    if number < 1000 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1000.0;
    let mut units = ["kB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    // What rounds to 1000.0 belongs to the next unit.
    for larger in units {
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}

/// Text of at most `width` characters, its middle left out where it is longer.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width || width < 5 {
        return text.to_owned();
    }
    let tail = (width - 1) / 3;
    let head: String = text.chars().take(width - 1 - tail).collect();
    let tail: String = text.chars().skip(length - tail).collect();
    format!("{head}…{tail}")
}

/// A span of whole seconds as `42s`, `3m07s`, `2h05m`, `4d03h`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[("call", Align::Left), ("packets", Align::Right)]);
        table.row(["a-long-call-id".into(), "7".into()]);
        assert_eq!(
            table.to_string(),
            "call            packets\na-long-call-id        7\n"
        );
    }

    #[test]
    fn names_from_the_network_do_not_steer_the_terminal() {
        let mut table = Table::new(&[("call", Align::Left)]);
        table.row(["\u{1b}[2Jx".into()]);
        assert_eq!(table.to_string(), "call\n\u{fffd}[2Jx\n");
    }

    #[test]
    fn large_counts_are_grouped() {
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1 000");
        assert_eq!(count(1_234_567), "1 234 567");
    }

    #[test]
    fn bytes_change_their_unit_before_they_round_to_a_thousand() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_234), "1.2 kB");
        assert_eq!(bytes(999_960), "1.0 MB");
        assert_eq!(bytes(u64::MAX), "18446744.1 TB");
    }

    #[test]
    fn long_text_loses_its_middle() {
        assert_eq!(shorten("abcdefghij", 10), "abcdefghij");
        assert_eq!(shorten("abcdefghijk", 10), "abcdef…ijk");
        assert_eq!(shorten("ääääääääääää", 7), "ääää…ää");
    }

    #[test]
    fn a_span_keeps_its_two_largest_units() {
        assert_eq!(span(59), "59s");
        assert_eq!(span(187), "3m07s");
        assert_eq!(span(7_500), "2h05m");
        assert_eq!(span(356_400), "4d03h");
    }
}
