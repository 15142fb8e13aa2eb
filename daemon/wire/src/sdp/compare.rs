//! Whether two descriptions differ in more than their version (RFC 3264 §8, RFC 8866 §5.2).

use super::origin::Origin;
use super::{LineKind, Sdp};

/// Whether `a` and `b` are the same body, were it not for the version in `o=`. Line ends count.
pub fn same_but_version(a: &Sdp<'_>, b: &Sdp<'_>) -> bool {
    if a.body() == b.body() {
        return true;
    }
    let (mut left, mut right) = (a.lines(), b.lines());
    left.len() == right.len()
        && left.by_ref().zip(right.by_ref()).all(|(a, b)| {
            a.raw() == b.raw()
                || a.kind() == LineKind::Origin
                    && b.kind() == LineKind::Origin
                    && match (a.parse::<Origin<'_>>(), b.parse::<Origin<'_>>()) {
                        (Ok(a), Ok(b)) => {
                            Origin {
                                version: b.version,
                                ..a
                            } == b
                        }
                        _ => false,
                    }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &[u8], b: &[u8]) -> bool {
        let index = |body| Sdp::parse(body).expect("within limits");
        let forth = same_but_version(&index(a), &index(b));
        assert_eq!(forth, same_but_version(&index(b), &index(a)));
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
    fn malformed_origins_are_the_same_only_by_their_bytes() {
        assert!(same(b"o=x 1\r\ns=-\r\n", b"o=x 1\r\ns=-\r\n"));
        assert!(!same(b"o=x 1\r\n", b"o=x 2\r\n"));
    }
}
