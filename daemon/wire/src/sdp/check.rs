//! Whether a body can be acted on: what a relay needs is there and readable, the rest is not asked.

use super::{Connection, Error, ErrorKind, LineKind, MediaLine, Origin, Sdp, Section};

impl Sdp<'_> {
    /// Checks what a relay needs: `v=0` first, a readable `o=`, `c=` and `m=` lines that can be read,
    /// and for each section with a port a `c=` of its own or of the session part.
    ///
    /// Missing `s=` and `t=`, odd order, unknown and malformed lines pass: they are copied.
    ///
    /// # Errors
    /// The first thing wrong; [`Error::is_incomplete`] tells missing lines from malformed ones.
    pub fn check(&self) -> Result<(), Error> {
        let first = self.lines().next();
        if !first.is_some_and(|l| l.kind() == LineKind::Version && l.value().trim_ascii() == b"0") {
            return Err(Error::new(ErrorKind::NoVersion, 0));
        }
        let session = self.session();
        session
            .get::<Origin<'_>>()
            .ok_or(Error::new(ErrorKind::NoOrigin, 0))??;
        check_connections(&session)?;
        self.sections().try_for_each(|s| check_media(&s))
    }
}

fn check_media(section: &Section<'_, '_>) -> Result<(), Error> {
    let MediaLine { port, .. } = section.media()?;
    check_connections(section)?;
    if port != 0 && section.connection().is_none() {
        return Err(Error::new(ErrorKind::NoConnection, section.at()));
    }
    Ok(())
}

fn check_connections(section: &Section<'_, '_>) -> Result<(), Error> {
    section
        .all::<Connection<'_>>()
        .try_for_each(|c| c.map(|_| ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &[u8]) -> Result<(), Error> {
        Sdp::parse(body).expect("within limits").check()
    }

    #[test]
    fn the_least_that_can_be_acted_on_passes() {
        assert_eq!(
            check(b"v=0\no=- 1 1 IN IP4 0.0.0.0\nm=audio 4 RTP/AVP 0\nc=IN IP4 1.2.3.4"),
            Ok(())
        );
        assert_eq!(
            check(b"v=0\no=- 1 1 IN IP4 0.0.0.0\nm=audio 0 RTP/AVP 0\n"),
            Ok(())
        );
        assert_eq!(check(b"v=0\no=- 1 1 IN IP4 0.0.0.0\nhello\n\nx=\n"), Ok(()));
    }

    #[test]
    fn missing_lines_are_told_from_malformed_ones() {
        let no_connection = check(b"v=0\no=- 1 1 IN IP4 0.0.0.0\nm=audio 4 RTP/AVP 0\n");
        assert_eq!(
            no_connection,
            Err(Error {
                kind: ErrorKind::NoConnection,
                at: 27
            })
        );
        assert!(
            check(b"v=0\nm=audio 4 RTP/AVP 0\n")
                .expect_err("no origin")
                .is_incomplete()
        );
        assert!(
            !check(b"v=0\no=- 1\n")
                .expect_err("half an origin")
                .is_incomplete()
        );
        assert!(!check(b"hello").expect_err("not SDP").is_incomplete());
        assert!(!check(b"").expect_err("nothing").is_incomplete());
    }

    #[test]
    fn errors_are_placed_in_the_body() {
        let body = b"v=0\no=- 1 1 IN IP4 0.0.0.0\nc=IN IP4 1.2.3.4\nm=audio 99999 RTP/AVP 0\n";
        let error = check(body).expect_err("no such port");
        assert_eq!(error.kind, ErrorKind::BadNumber);
        assert!(body[..error.at as usize].ends_with(b"m=audio 99999"));
    }
}
