//! Reads the words and numbers of one value from left to right.

use super::{Error, ErrorKind};

/// What of a value has not been read yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'b> {
    value: &'b [u8],
    at: usize,
}

impl<'b> Scan<'b> {
    /// Starts at the beginning of `value`.
    pub(super) const fn new(value: &'b [u8]) -> Self {
        Self { value, at: 0 }
    }

    /// The next word between blanks; `None` at the end.
    pub(super) fn next_word(&mut self) -> Option<&'b [u8]> {
        self.skip_blanks();
        let rest = &self.value[self.at..];
        let len = rest.iter().position(|b| is_blank(*b)).unwrap_or(rest.len());
        self.at += len;
        rest.get(..len).filter(|w| !w.is_empty())
    }

    /// The next word, which must be there.
    pub(super) fn word(&mut self) -> Result<&'b [u8], Error> {
        let at = self.at;
        self.next_word().ok_or(Error::new(ErrorKind::Missing, at))
    }

    /// The next word, read as a decimal number.
    pub(super) fn number<T: TryFrom<u64>>(&mut self) -> Result<T, Error> {
        let word = self.word()?;
        self.number_in(word)
    }

    /// A decimal number that is the whole of `word`, the word just read.
    pub(super) fn number_in<T: TryFrom<u64>>(&self, word: &[u8]) -> Result<T, Error> {
        number(word).ok_or(Error::new(
            ErrorKind::BadNumber,
            self.at.saturating_sub(word.len()),
        ))
    }

    /// All that was not read, without the blanks before it; blanks at the end stay.
    pub(super) fn rest(mut self) -> &'b [u8] {
        self.skip_blanks();
        &self.value[self.at..]
    }

    /// All that was not read, without the blanks around it.
    pub(super) fn trimmed_rest(self) -> &'b [u8] {
        self.rest().trim_ascii_end()
    }

    /// Where the last word ended.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// An error at the place where the last word ended.
    pub(super) const fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, self.at)
    }

    fn skip_blanks(&mut self) {
        while self.value.get(self.at).is_some_and(|b| is_blank(*b)) {
            self.at += 1;
        }
    }
}

/// The words of `value` between blanks.
pub(super) fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    value.split(|b| is_blank(*b)).filter(|w| !w.is_empty())
}

/// A decimal number that is the whole of `word`: digits only, no sign, no overflow.
pub(super) fn number<T: TryFrom<u64>>(word: &[u8]) -> Option<T> {
    if word.is_empty() {
        return None;
    }
    let value = word.iter().try_fold(0u64, |n, b| {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 {
            None
        } else {
            n.checked_mul(10)?.checked_add(u64::from(digit))
        }
    })?;
    T::try_from(value).ok()
}

/// Splits at the first `stop`; the second half is `None` without one.
pub(super) fn split_once(value: &[u8], stop: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(stop, value) {
        Some(at) => (&value[..at], Some(&value[at + 1..])),
        None => (value, None),
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_skip_runs_of_blanks() {
        let mut scan = Scan::new(b"  a \t b  c d  ");
        assert_eq!(scan.next_word(), Some(&b"a"[..]));
        assert_eq!(scan.next_word(), Some(&b"b"[..]));
        assert_eq!(scan.rest(), b"c d  ");
        assert_eq!(scan.trimmed_rest(), b"c d");
    }

    #[test]
    fn number_refuses_signs_overflow_and_nothing() {
        assert_eq!(number::<u16>(b"65535"), Some(65535));
        assert_eq!(number::<u64>(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b""[..], b"+1", b"-1", b"1x", b"18446744073709551616"] {
            assert_eq!(number::<u64>(bad), None);
        }
        assert_eq!(number::<u16>(b"65536"), None);
    }

    #[test]
    fn errors_point_at_the_word() {
        let mut scan = Scan::new(b"12 x4");
        assert_eq!(scan.number::<u8>(), Ok(12));
        assert_eq!(
            scan.number::<u8>(),
            Err(Error::new(ErrorKind::BadNumber, 3))
        );
        assert_eq!(scan.word(), Err(Error::new(ErrorKind::Missing, 5)));
    }
}
