//! One address form for both families, so that no table and no function exists twice.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// An IPv6 address, or an IPv4 address as its v4-mapped form (RFC 4291 §2.5.5.2), network byte order.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Addr(pub [u8; 16]);

impl Addr {
    /// `::`, which no packet comes from.
    pub const UNSPECIFIED: Self = Self([0; 16]);

    /// Whether this is a v4-mapped address.
    pub const fn is_v4(self) -> bool {
        u128::from_be_bytes(self.0) >> 32 == 0xffff
    }

    /// Whether this is `::`, `0.0.0.0` or its mapped form: "no address" in SDP.
    pub const fn is_unspecified(self) -> bool {
        let bits = u128::from_be_bytes(self.0);
        bits == 0 || bits == 0xffff_0000_0000
    }

    /// The address in `core::net` form; a mapped address comes out as IPv4.
    pub const fn ip(self) -> IpAddr {
        if self.is_v4() {
            let [.., a, b, c, d] = self.0;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        } else {
            IpAddr::V6(Ipv6Addr::from_octets(self.0))
        }
    }
}

impl From<IpAddr> for Addr {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self(v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => Self(v6.octets()),
        }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ip().fmt(f)
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A UDP endpoint: address and port, the port in host byte order.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Endpoint {
    /// The address.
    pub addr: Addr,
    /// The UDP port, host byte order.
    pub port: u16,
}

impl Endpoint {
    /// No endpoint: unspecified address, port 0.
    pub const NONE: Self = Self {
        addr: Addr::UNSPECIFIED,
        port: 0,
    };

    /// An endpoint from its two halves.
    pub fn new(addr: impl Into<Addr>, port: u16) -> Self {
        Self {
            addr: addr.into(),
            port,
        }
    }

    /// Whether a packet can be sent there: a specified address and a port other than 0.
    pub const fn is_sendable(self) -> bool {
        self.port != 0 && !self.addr.is_unspecified()
    }

    /// The endpoint in `core::net` form.
    pub const fn socket_addr(self) -> SocketAddr {
        SocketAddr::new(self.addr.ip(), self.port)
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Self {
        Self {
            addr: addr.ip().into(),
            port: addr.port(),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket_addr().fmt(f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));

    #[test]
    fn both_families_survive_the_round_trip() {
        for ip in [V4, V6] {
            assert_eq!(Addr::from(ip).ip(), ip);
            assert_eq!(Endpoint::new(ip, 9).socket_addr(), SocketAddr::new(ip, 9));
            assert_eq!(Endpoint::from(SocketAddr::new(ip, 9)), Endpoint::new(ip, 9));
        }
    }

    #[test]
    fn ipv4_is_its_mapped_form() {
        let mapped = IpAddr::V6(Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped());
        assert_eq!(Addr::from(V4), Addr::from(mapped));
        assert!(Addr::from(V4).is_v4());
        assert!(!Addr::from(V6).is_v4());
    }

    #[test]
    fn zero_of_either_family_is_no_address() {
        for ip in [
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ] {
            assert!(Addr::from(ip).is_unspecified());
            assert!(!Endpoint::new(ip, 30_000).is_sendable());
        }
        assert!(!Addr::from(V4).is_unspecified());
    }

    #[test]
    fn the_ipv4_loopback_is_not_the_ipv6_one() {
        let v6 = Addr::from(IpAddr::V6(Ipv6Addr::LOCALHOST));
        assert!(!v6.is_v4() && !v6.is_unspecified());
        assert_ne!(v6, Addr::from(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }

    #[test]
    fn port_zero_cannot_be_sent_to() {
        assert!(!Endpoint::new(V4, 0).is_sendable());
        assert!(Endpoint::new(V4, 1).is_sendable());
        assert!(!Endpoint::NONE.is_sendable());
    }
}
