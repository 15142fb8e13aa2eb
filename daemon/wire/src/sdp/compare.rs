//! Whether two descriptions differ in more than their version (RFC 3264 §8, RFC 8866 §5.2).

use std::ops::Range;

use super::scan::Scan;

/// Whether `a` and `b` are the same body, were it not for the version in `o=`. Line ends count.
pub fn same_but_version(a: &[u8], b: &[u8]) -> bool {
    match (version_span(a), version_span(b)) {
        (Some(x), Some(y)) => a[..x.start] == b[..y.start] && a[x.end..] == b[y.end..],
        _ => a == b,
    }
}

/// Where the version stands in the body's first `o=` line, so that another can be put in its place.
pub fn version_span(body: &[u8]) -> Option<Range<usize>> {
    let mut start = 0;
    let line = body.split_inclusive(|b| *b == b'\n').find(|line| {
        let found = line.starts_with(b"o=");
        start += if found { 0 } else { line.len() };
        found
    })?;
    let mut scan = Scan::new(line.trim_ascii_end());
    let (_user, _id) = (scan.next_word()?, scan.next_word()?);
    let version = scan.next_word()?;
    let end = start + scan.at();
    Some(end - version.len()..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &[u8], b: &[u8]) -> bool {
        let forth = same_but_version(a, b);
        assert_eq!(forth, same_but_version(b, a));
        forth
    }

    const ONE: &[u8] = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\n";

    #[test]
    fn only_the_version_may_differ() {
        assert!(same(ONE, ONE));
        assert!(same(ONE, b"v=0\r\no=- 1 17 IN IP4 10.0.0.1\r\ns=-\r\n"));
        assert!(!same(ONE, b"v=0\r\no=- 2 1 IN IP4 10.0.0.1\r\ns=-\r\n"));
        assert!(!same(ONE, b"v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\n"));
        assert!(!same(ONE, b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=x\r\n"));
    }

    #[test]
    fn more_lines_and_other_line_ends_are_a_difference() {
        assert!(!same(
            ONE,
            b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n"
        ));
        assert!(!same(ONE, b"v=0\no=- 1 1 IN IP4 10.0.0.1\ns=-\n"));
    }

    #[test]
    fn bodies_without_a_version_are_the_same_only_by_their_bytes() {
        assert!(same(b"o=x 1\r\ns=-\r\n", b"o=x 1\r\ns=-\r\n"));
        assert!(!same(b"o=x 1\r\n", b"o=x 2\r\n"));
        assert!(!same(b"", b"o=x 1 1 IN IP4 0.0.0.0\r\n"));
    }

    #[test]
    fn the_version_is_found_and_nothing_else() {
        let span = version_span(ONE).expect("there is one");
        assert_eq!(span, 11..12);
        assert_eq!(version_span(b"v=0\ns=o=- 1 1\n"), None);
        assert_eq!(version_span(b"o=x 7"), None);
        assert_eq!(version_span(b"o=x  7   123 IN"), Some(9..12));
    }
}
