//! `c=`: where media is to be sent (RFC 8866 §5.7).

use super::host::{Address, Family, Host};
use super::scan::{Scan, number, split_once};
use super::{Error, ErrorKind, Field, LineKind};
use crate::digits;

/// A `c=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'b> {
    /// The address.
    pub address: Address<'b>,
    /// Time to live of an IPv4 multicast address.
    pub ttl: Option<u8>,
    /// How many contiguous multicast addresses.
    pub count: Option<u16>,
}

impl Connection<'_> {
    /// Whether the address means hold: `0.0.0.0` or `::`.
    pub const fn is_unspecified(&self) -> bool {
        self.address.host.is_unspecified()
    }
}

impl<'b> Field<'b> for Connection<'b> {
    const KIND: LineKind = LineKind::Connection;

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        let family = Address::scan_family(&mut scan)?;
        let (host, suffix) = split_once(scan.word()?, b'/');
        if host.is_empty() {
            return Err(scan.error(ErrorKind::BadAddress));
        }
        let address = Address::of(family, host);
        let bad = scan.error(ErrorKind::BadNumber);
        let (ttl, count) = match (suffix, address.family) {
            (None, _) => (None, None),
            (Some(suffix), Family::Ip4) => {
                let (ttl, count) = split_once(suffix, b'/');
                (
                    Some(number(ttl).ok_or(bad)?),
                    count.map(|c| number(c).ok_or(bad)).transpose()?,
                )
            }
            (Some(count), Family::Ip6) => (None, Some(number(count).ok_or(bad)?)),
        };
        Ok(Self {
            address,
            ttl,
            count,
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        self.address.print(out);
        for part in [self.ttl.map(u64::from), self.count.map(u64::from)]
            .into_iter()
            .flatten()
        {
            out.push(b'/');
            digits::push(part, out);
        }
    }
}

impl<'b, A: Into<Address<'b>>> From<A> for Connection<'b> {
    fn from(address: A) -> Self {
        Self {
            address: address.into(),
            ttl: None,
            count: None,
        }
    }
}

impl<'b> From<Host<'b>> for Address<'b> {
    /// A name is written as one of IPv4.
    fn from(host: Host<'b>) -> Self {
        Self {
            family: host.ip().map_or(Family::Ip4, Family::of),
            host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same, value};
    use super::*;

    #[test]
    fn unicast_multicast_and_names_come_back_as_written() {
        same::<Connection<'_>>(b"IN IP4 10.99.11.2");
        same::<Connection<'_>>(b"IN IP6 fd99:17::2");
        same::<Connection<'_>>(b"IN IP4 phone.example.com");
        same::<Connection<'_>>(b"IN IP4 224.2.1.1/127/3");
        same::<Connection<'_>>(b"IN IP4 224.2.1.1/127");
        same::<Connection<'_>>(b"IN IP6 ff15::101/3");
    }

    #[test]
    fn hold_by_address_is_recognised() {
        assert!(value::<Connection<'_>>(b"IN IP4 0.0.0.0").is_unspecified());
        assert!(value::<Connection<'_>>(b"IN IP6 ::").is_unspecified());
        assert!(!value::<Connection<'_>>(b"IN IP4 10.0.0.1 ").is_unspecified());
    }

    #[test]
    fn bad_suffixes_and_missing_parts_are_refused() {
        refused::<Connection<'_>>(b"IN IP4");
        refused::<Connection<'_>>(b"IN IP4 /127");
        refused::<Connection<'_>>(b"IN IP4 224.2.1.1/256");
        refused::<Connection<'_>>(b"IN IP6 ff15::1/x");
    }
}
