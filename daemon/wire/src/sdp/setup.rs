//! `a=setup`: who opens the connection, and so who is DTLS client (RFC 4145 §4, RFC 5763 §5).

use super::scan::Scan;
use super::{AttrKind, Error, ErrorKind, Field, LineKind};

/// An `a=setup` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// The writer opens: it is the client.
    Active,
    /// The writer waits: it is the server.
    Passive,
    /// Either, as the answerer likes.
    Actpass,
    /// Not to be opened for now.
    Holdconn,
}

impl Setup {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Active, Self::Passive, Self::Actpass, Self::Holdconn];

    /// The word as it stands in the line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::Actpass => "actpass",
            Self::Holdconn => "holdconn",
        }
    }
}

impl<'b> Field<'b> for Setup {
    const KIND: LineKind = LineKind::Attr(AttrKind::Setup);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        let word = scan.word()?;
        Self::ALL
            .into_iter()
            .find(|s| word.eq_ignore_ascii_case(s.as_str().as_bytes()))
            .ok_or(scan.error(ErrorKind::BadWord))
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_str().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{printed, refused, same};
    use super::*;

    #[test]
    fn all_roles_come_back_as_written() {
        for setup in Setup::ALL {
            same::<Setup>(setup.as_str().as_bytes());
        }
        printed::<Setup>(b"ActPass ", b"actpass");
    }

    #[test]
    fn other_words_are_refused() {
        refused::<Setup>(b"");
        refused::<Setup>(b"act");
    }
}
