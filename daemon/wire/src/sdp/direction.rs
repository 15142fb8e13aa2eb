//! `a=sendrecv`, `a=sendonly`, `a=recvonly`, `a=inactive` (RFC 8866 §6.7, RFC 3264 §6.1).

use super::AttrKind;

/// Which way media flows, seen from whoever wrote the description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Both ways; what applies where nothing is written.
    #[default]
    Sendrecv,
    /// The writer sends only.
    Sendonly,
    /// The writer receives only.
    Recvonly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// All four.
    pub const ALL: [Self; 4] = [
        Self::Sendrecv,
        Self::Sendonly,
        Self::Recvonly,
        Self::Inactive,
    ];

    /// The direction that an attribute is.
    pub fn of(attr: AttrKind) -> Option<Self> {
        Self::ALL.into_iter().find(|d| d.attr() == attr)
    }

    /// The attribute that it is written as.
    pub const fn attr(self) -> AttrKind {
        match self {
            Self::Sendrecv => AttrKind::Sendrecv,
            Self::Sendonly => AttrKind::Sendonly,
            Self::Recvonly => AttrKind::Recvonly,
            Self::Inactive => AttrKind::Inactive,
        }
    }

    /// The direction of that name, as in an extmap.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::of(AttrKind::from_name(name))
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.attr().name()
    }

    /// Whether the writer sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::Sendrecv | Self::Sendonly)
    }

    /// Whether the writer receives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::Sendrecv | Self::Recvonly)
    }

    /// The direction of a writer who sends and receives or not.
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::Sendrecv,
            (true, false) => Self::Sendonly,
            (false, true) => Self::Recvonly,
            (false, false) => Self::Inactive,
        }
    }

    /// The same, seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_side_sends_what_this_one_receives() {
        for direction in Direction::ALL {
            assert_eq!(direction.reversed().reversed(), direction);
            assert_eq!(direction.reversed().sends(), direction.receives());
            assert_eq!(
                Direction::new(direction.sends(), direction.receives()),
                direction
            );
        }
    }

    #[test]
    fn names_lead_back() {
        for direction in Direction::ALL {
            assert_eq!(
                Direction::from_name(direction.as_str().as_bytes()),
                Some(direction)
            );
        }
        assert_eq!(Direction::from_name(b"mid"), None);
        assert_eq!(Direction::from_name(b"stopped"), None);
    }
}
