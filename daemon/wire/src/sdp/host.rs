//! Addresses as SDP writes them: `IN IP4 …` (RFC 8866 §5.7) and bare in candidates (RFC 8839 §5.1).

use crate::digits;
use std::net::IpAddr;

use super::scan::Scan;
use super::{Error, ErrorKind};

/// An address family by its SDP name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `IP4`
    Ip4,
    /// `IP6`
    Ip6,
}

impl Family {
    /// The SDP name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ip4 => "IP4",
            Self::Ip6 => "IP6",
        }
    }

    /// The family of that SDP name, in any case.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::Ip4, Self::Ip6]
            .into_iter()
            .find(|f| name.eq_ignore_ascii_case(f.as_str().as_bytes()))
    }

    /// The family of an address.
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::Ip4,
            IpAddr::V6(_) => Self::Ip6,
        }
    }
}

/// An address, or a name where an address may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host<'b> {
    /// An address.
    Ip(IpAddr),
    /// Anything else: a host name, `….local`, an address with a zone. The relay resolves nothing.
    Name(&'b [u8]),
}

impl<'b> Host<'b> {
    /// Reads one word; every word is a host.
    pub fn of(word: &'b [u8]) -> Self {
        std::str::from_utf8(word)
            .ok()
            .and_then(|w| w.parse().ok())
            .map_or(Self::Name(word), Self::Ip)
    }

    /// The address, if it is one.
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Ip(ip) => Some(ip),
            Self::Name(_) => None,
        }
    }

    /// Whether this is `0.0.0.0` or `::`, the old way to hold a call.
    pub const fn is_unspecified(self) -> bool {
        matches!(self, Self::Ip(ip) if ip.is_unspecified())
    }

    pub(super) fn print(self, out: &mut Vec<u8>) {
        match self {
            Self::Ip(ip) => digits::push_ip(ip, out),
            Self::Name(name) => out.extend_from_slice(name),
        }
    }
}

/// `<nettype> <addrtype> <address>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address<'b> {
    /// The address type; of an address that contradicts its type, the address's own family.
    pub family: Family,
    /// The address.
    pub host: Host<'b>,
}

impl<'b> Address<'b> {
    /// Reads the three words. A network type other than `IN` is refused.
    pub(super) fn scan(scan: &mut Scan<'b>) -> Result<Self, Error> {
        let family = Self::scan_family(scan)?;
        let word = scan.word()?;
        Ok(Self::of(family, word))
    }

    pub(super) fn scan_family(scan: &mut Scan<'b>) -> Result<Family, Error> {
        if !scan.word()?.eq_ignore_ascii_case(b"IN") {
            return Err(scan.error(ErrorKind::BadAddress));
        }
        Family::from_name(scan.word()?).ok_or(scan.error(ErrorKind::BadAddress))
    }

    pub(super) fn of(family: Family, word: &'b [u8]) -> Self {
        let host = Host::of(word);
        Self {
            family: host.ip().map_or(family, Family::of),
            host,
        }
    }

    /// The address, if it is one and not a name.
    pub const fn ip(self) -> Option<IpAddr> {
        self.host.ip()
    }

    pub(super) fn print(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"IN ");
        out.extend_from_slice(self.family.as_str().as_bytes());
        out.push(b' ');
        self.host.print(out);
    }
}

impl From<IpAddr> for Address<'_> {
    fn from(ip: IpAddr) -> Self {
        Self {
            family: Family::of(ip),
            host: Host::Ip(ip),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &[u8]) -> Result<Address<'_>, Error> {
        Address::scan(&mut Scan::new(value))
    }

    fn written(address: Address<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        address.print(&mut out);
        out
    }

    #[test]
    fn both_families_and_names_come_back_as_written() {
        for text in [
            &b"IN IP4 10.99.11.2"[..],
            b"IN IP6 fd99:17::2",
            b"IN IP4 media.example.com",
        ] {
            assert_eq!(written(read(text).expect("well-formed")), text);
        }
    }

    #[test]
    fn an_address_of_the_other_family_wins_over_its_type() {
        let address = read(b"IN IP4 fd99:17::2").expect("tolerated");
        assert_eq!(written(address), b"IN IP6 fd99:17::2");
    }

    #[test]
    fn foreign_networks_and_families_are_refused() {
        for bad in [
            &b"ATM IP4 1.2.3.4"[..],
            b"IN IP5 1.2.3.4",
            b"IN IP4",
            b"IN",
            b"",
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
        assert_eq!(
            read(b"in ip4 1.2.3.4").expect("any case").family,
            Family::Ip4
        );
    }

    #[test]
    fn unspecified_is_recognised_in_both_families() {
        assert!(Host::of(b"0.0.0.0").is_unspecified());
        assert!(Host::of(b"::").is_unspecified());
        assert!(!Host::of(b"1.2.3.4").is_unspecified());
        assert!(!Host::of(b"x.local").is_unspecified());
    }
}
