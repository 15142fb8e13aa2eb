//! Endpoints as the kernel writes them: `sockaddr_in` and `sockaddr_in6`, byte by byte.

use std::net::SocketAddr;

use patchcord_contract::{Addr, Endpoint};

/// Length of a `sockaddr_in`.
pub(crate) const LEN_V4: usize = 16;

/// Length of a `sockaddr_in6`, the longer of the two.
pub(crate) const LEN_V6: usize = 28;

/// An address for, or from, the kernel.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(4))]
pub(crate) struct RawAddr(pub(crate) [u8; LEN_V6]);

impl RawAddr {
    /// Room for the kernel to write into.
    pub(crate) const ROOM: Self = Self([0; LEN_V6]);
}

/// The family of a socket, and what else its addresses need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4.
    V4,
    /// IPv6; link-local peers are in this scope.
    V6 {
        /// The scope (interface index) of the socket's own address.
        scope: u32,
    },
}

impl Family {
    /// The family of a socket bound to `local`.
    pub(crate) fn of(local: SocketAddr) -> Self {
        match local {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(local) => Self::V6 {
                scope: local.scope_id(),
            },
        }
    }

    /// Length of this family's addresses.
    pub(crate) const fn addr_len(self) -> usize {
        match self {
            Self::V4 => LEN_V4,
            Self::V6 { .. } => LEN_V6,
        }
    }

    /// Writes `to` as this family's address; `None` if it belongs to the other.
    #[inline]
    pub(crate) fn encode(self, to: Endpoint, raw: &mut RawAddr) -> Option<()> {
        let bytes = &mut raw.0;
        bytes[2..4].copy_from_slice(&to.port.to_be_bytes());
        match self {
            Self::V4 if to.addr.is_v4() => {
                bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
                bytes[4..8].copy_from_slice(&to.addr.0[12..]);
                bytes[8..16].fill(0);
            }
            Self::V6 { scope } if !to.addr.is_v4() => {
                bytes[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
                bytes[4..8].fill(0);
                bytes[8..24].copy_from_slice(&to.addr.0);
                let link_local = to.addr.0[0] == 0xfe && to.addr.0[1] & 0xc0 == 0x80;
                let scope = if link_local { scope } else { 0 };
                bytes[24..28].copy_from_slice(&scope.to_ne_bytes());
            }
            Self::V4 | Self::V6 { .. } => return None,
        }
        Some(())
    }

    /// The endpoint as a socket address of this family; `None` if it belongs to the other.
    pub(crate) fn socket_addr(self, to: Endpoint) -> Option<SocketAddr> {
        let mut raw = RawAddr::ROOM;
        self.encode(to, &mut raw)?;
        let mut addr = to.socket_addr();
        if let SocketAddr::V6(six) = &mut addr {
            let [.., a, b, c, d] = raw.0;
            six.set_scope_id(u32::from_ne_bytes([a, b, c, d]));
        }
        Some(addr)
    }
}

/// Reads an address that the kernel wrote.
#[inline]
pub(crate) fn decode(name: &[u8]) -> Option<Endpoint> {
    let (family, rest) = name.split_first_chunk::<2>()?;
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let port = u16::from_be_bytes(*port);
    let addr = match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET => {
            let mut addr = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
            addr[12..].copy_from_slice(rest.first_chunk::<4>()?);
            addr
        }
        libc::AF_INET6 => *rest.get(4..)?.first_chunk::<16>()?,
        _ => return None,
    };
    Some(Endpoint {
        addr: Addr(addr),
        port,
    })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn an_address_comes_back_as_it_went() {
        let v4 = Endpoint::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 40_002);
        let v6 = Endpoint::new(std::net::IpAddr::V6("2001:db8::9".parse().expect("v6")), 9);
        for (family, to) in [(Family::V4, v4), (Family::V6 { scope: 3 }, v6)] {
            let mut raw = RawAddr([0xaa; LEN_V6]);
            family.encode(to, &mut raw).expect("same family");
            assert_eq!(decode(&raw.0[..family.addr_len()]), Some(to));
            let system = socket2::SockAddr::from(to.socket_addr());
            assert_eq!(system.len() as usize, family.addr_len());
            assert_eq!(family.socket_addr(to), Some(to.socket_addr()));
        }
        let mut raw = RawAddr::ROOM;
        assert_eq!(Family::V4.encode(v6, &mut raw), None);
        assert_eq!(Family::V6 { scope: 0 }.encode(v4, &mut raw), None);
    }

    #[test]
    fn only_link_local_peers_carry_the_scope() {
        let family = Family::V6 { scope: 7 };
        let near = Endpoint::new(std::net::IpAddr::V6("fe80::1".parse().expect("v6")), 9);
        let far = Endpoint::new(std::net::IpAddr::V6(Ipv6Addr::LOCALHOST), 9);
        let scope = |to| match family.socket_addr(to) {
            Some(SocketAddr::V6(addr)) => addr.scope_id(),
            other => panic!("{other:?} is not IPv6"),
        };
        assert_eq!((scope(near), scope(far)), (7, 0));
    }

    #[test]
    fn a_cut_address_is_none() {
        let mut raw = RawAddr::ROOM;
        let to = Endpoint::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9);
        Family::V4.encode(to, &mut raw).expect("same family");
        for len in 0..8 {
            assert_eq!(decode(&raw.0[..len]), None);
        }
        assert_eq!(decode(&[0xff; LEN_V6]), None);
    }
}
