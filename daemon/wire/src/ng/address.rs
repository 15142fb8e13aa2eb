//! Addresses, interfaces and TOS: where media comes from, and which of our addresses are used.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::ng::spelling;

/// The family of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of `address`.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Reads `IP4`, `IP6` and the shorter `4`, `6`, `IPv4`, `IPv6`, `inet`, `inet6`.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let is = |names: [&str; 4]| {
            names
                .iter()
                .any(|name| name.as_bytes().eq_ignore_ascii_case(text))
        };
        if is(["IP4", "IPv4", "4", "inet"]) {
            Some(Self::V4)
        } else if is(["IP6", "IPv6", "6", "inet6"]) {
            Some(Self::V6)
        } else {
            None
        }
    }

    /// `IP4` or `IP6`, as SDP has it; `IPv4` and `IPv6` are [`Family::as_query_str`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IP4",
            Self::V6 => "IP6",
        }
    }

    /// `IPv4` or `IPv6`, as the query reply has it.
    pub const fn as_query_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

/// Which address is taken for the sender's media address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressSource {
    /// As configured (`sip-source`); without that, the SDP's.
    #[default]
    Configured,
    /// The SDP's (`trust-address`).
    Sdp,
    /// `received-from`'s (`SIP-source-address`, which beats `trust-address`).
    Signalling,
}

/// The interface for one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum InterfaceChoice<'a> {
    /// Not said: the one remembered, else the default.
    #[default]
    Unset,
    /// By name.
    Named(Cow<'a, [u8]>),
    /// One after the other, call by call (`round-robin-calls`).
    RoundRobin,
    /// The one whose route leads to the address (`peer`, `inbound-peer`, `outbound-peer`).
    Towards(IpAddr),
}

impl<'a> InterfaceChoice<'a> {
    pub(crate) fn named(name: Cow<'a, [u8]>) -> Self {
        if spelling::same(&name, b"round-robin-calls") {
            Self::RoundRobin
        } else if name.is_empty() {
            Self::Unset
        } else {
            Self::Named(name)
        }
    }

    /// The family that `internal` and `external` mean where no interface has such a name.
    pub fn legacy_family(&self) -> Option<Family> {
        match self {
            Self::Named(name) if name.as_ref() == b"internal" => Some(Family::V4),
            Self::Named(name) if name.as_ref() == b"external" => Some(Family::V6),
            Self::Named(_) | Self::Unset | Self::RoundRobin | Self::Towards(_) => None,
        }
    }
}

/// The interfaces of both sides (`direction`, `from-interface`, `to-interface`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interfaces<'a> {
    /// Towards the sender of this SDP.
    pub from: InterfaceChoice<'a>,
    /// Towards the receiver of the rewritten SDP.
    pub to: InterfaceChoice<'a>,
}

impl<'a> Interfaces<'a> {
    /// Takes the words of a `direction`; two replace what was there, one is the next.
    pub(crate) fn directions(&mut self, mut names: impl Iterator<Item = Cow<'a, [u8]>>) {
        match (names.next(), names.next()) {
            (Some(from), Some(to)) => {
                self.from = InterfaceChoice::named(from);
                self.to = InterfaceChoice::named(to);
            }
            (Some(next), None) => self.next_direction(next),
            (None, _) => {}
        }
    }

    /// Takes the next `direction`: the first is the sender's, the second the receiver's.
    pub(crate) fn next_direction(&mut self, name: Cow<'a, [u8]>) {
        if self.from == InterfaceChoice::Unset {
            self.from = InterfaceChoice::named(name);
        } else {
            self.to = InterfaceChoice::named(name);
        }
    }
}

/// Which addresses are used on either side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addressing<'a> {
    /// Where the SIP message came from.
    pub received_from: Option<IpAddr>,
    /// Which address is taken for the sender's media address.
    pub source: AddressSource,
    /// Written into the rewritten SDP instead of our own address (`media-address`).
    pub media_address: Option<IpAddr>,
    /// The family written into the rewritten SDP; `None` follows the peer's, else stays.
    pub family: Option<Family>,
    /// The interfaces of both sides.
    pub interfaces: Interfaces<'a>,
}

impl Addressing<'_> {
    pub(crate) fn trust(&mut self, source: AddressSource) {
        if self.source != AddressSource::Signalling {
            self.source = source;
        }
    }
}

/// DSCP/TOS of what leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tos {
    /// As configured: nothing was said, or a number above 255.
    #[default]
    Configured,
    /// As it is now: a negative number.
    Keep,
    /// This TOS byte.
    Set(u8),
}

impl From<i64> for Tos {
    fn from(number: i64) -> Self {
        match u8::try_from(number) {
            Ok(tos) => Self::Set(tos),
            Err(_) if number < 0 => Self::Keep,
            Err(_) => Self::Configured,
        }
    }
}

/// Reads an address, in brackets or not.
pub(crate) fn ip(text: &[u8]) -> Option<IpAddr> {
    let text = text
        .strip_prefix(b"[")
        .and_then(|text| text.strip_suffix(b"]"))
        .unwrap_or(text);
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_direction_is_the_receivers() {
        let mut interfaces = Interfaces::default();
        interfaces.next_direction(Cow::Borrowed(b"priv"));
        interfaces.next_direction(Cow::Borrowed(b"pub"));
        assert_eq!(
            interfaces.from,
            InterfaceChoice::Named(Cow::Borrowed(b"priv"))
        );
        assert_eq!(interfaces.to, InterfaceChoice::Named(Cow::Borrowed(b"pub")));
    }

    #[test]
    fn legacy_names_stand_for_families() {
        let choice = |name: &'static str| InterfaceChoice::named(Cow::Borrowed(name.as_bytes()));
        assert_eq!(choice("internal").legacy_family(), Some(Family::V4));
        assert_eq!(choice("external").legacy_family(), Some(Family::V6));
        assert_eq!(choice("pub").legacy_family(), None);
        assert_eq!(choice("round-robin-calls"), InterfaceChoice::RoundRobin);
    }

    #[test]
    fn tos_outside_a_byte_is_keep_or_default() {
        assert_eq!(Tos::from(184), Tos::Set(184));
        assert_eq!(Tos::from(0), Tos::Set(0));
        assert_eq!(Tos::from(-1), Tos::Keep);
        assert_eq!(Tos::from(256), Tos::Configured);
        assert_eq!(Tos::from(i64::MAX), Tos::Configured);
    }

    #[test]
    fn addresses_may_stand_in_brackets() {
        assert_eq!(ip(b"[fd99:17::2]"), ip(b"fd99:17::2"));
        assert!(ip(b"fd99:17::2").is_some());
        assert_eq!(ip(b"example.org"), None);
        assert_eq!(ip(b""), None);
    }
}
