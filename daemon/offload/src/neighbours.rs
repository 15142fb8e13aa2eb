//! Tells the kernel which neighbours are in use, as its own sending would (`rtnetlink(7)`).
//!
//! What the program sends goes past the kernel's own sending, so nobody would notice a neighbour that moved or
//! went. A worker names the ways of its entries here now and then: the kernel tells the next hop of each and, if
//! that one has not been heard of for a while, is told that it is in use. It then asks whether it is there, as for
//! packets of its own (RFC 4861 §7.3.3).

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use patchcord_contract::Entry;

use crate::netlink;

const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;
const NEW_NEIGHBOUR: u16 = 28;
const GET_NEIGHBOUR: u16 = 30;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
const ROUTE_TO: u16 = 1;
const ROUTE_FROM: u16 = 2;
const ROUTE_INTERFACE: u16 = 4;
const ROUTE_GATEWAY: u16 = 5;
/// A gateway of the other family (RFC 8950).
const ROUTE_VIA: u16 = 18;
const NEIGHBOUR_ADDRESS: u16 = 1;
/// `NUD_STALE`: known, and not heard of for a while.
const STALE: u16 = 4;
/// `NTF_USE`. It would also take away what an administrator has set for ever.
const IN_USE: u8 = 1;

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// Bytes of `struct rtmsg`.
const ROUTE: usize = 12;
/// Bytes of `struct ndmsg`.
const NEIGHBOUR: usize = 12;

/// A connection to the kernel.
#[derive(Debug)]
pub(crate) struct Neighbours {
    socket: File,
}

impl Neighbours {
    /// A connection in the thread's network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = netlink::open(0)?;
        Ok(Self { socket })
    }

    /// Says that the next hop of what leaves by `entry` is in use, if that makes a difference; whether it did.
    pub(crate) fn touch(&mut self, entry: &Entry) -> io::Result<bool> {
        // A refusal of what was said before, about a neighbour that is gone.
        while self.receive()?.is_some() {}
        let to = entry.to.addr.ip();
        let route = self.ask(&route_request(entry))?;
        let Some(hop) = route.and_then(|answer| hop(&answer, to)) else {
            return Ok(false);
        };
        let neighbour = self.ask(&about(GET_NEIGHBOUR, hop, 0))?;
        if neighbour.and_then(|answer| state(&answer)) != Some(STALE) {
            return Ok(false);
        }
        self.socket.write_all(&about(NEW_NEIGHBOUR, hop, IN_USE))?;
        Ok(true)
    }

    /// The kernel has answered by the time that it has taken a request.
    fn ask(&mut self, request: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.socket.write_all(request)?;
        self.receive()
    }

    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; 4096];
        match self.socket.read(&mut bytes) {
            Ok(len) => {
                bytes.truncate(len);
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hop {
    interface: u32,
    neighbour: IpAddr,
}

/// A request: `fixed` is the structure that belongs to its kind.
fn message(kind: u16, fixed: &[u8], attributes: &[(u16, IpAddr)]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[6..8].copy_from_slice(&REQUEST.to_ne_bytes());
    bytes.extend(fixed);
    for (kind, address) in attributes {
        let octets = octets(*address);
        bytes.extend((4 + octets.len() as u16).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(octets);
    }
    let len = bytes.len() as u32;
    bytes[..4].copy_from_slice(&len.to_ne_bytes());
    bytes
}

/// For the route of what leaves by `entry`.
fn route_request(entry: &Entry) -> Vec<u8> {
    let (from, to) = (entry.from.addr.ip(), entry.to.addr.ip());
    let mut route = [0; ROUTE];
    route[0] = family(to);
    let bits = 8 * octets(to).len() as u8;
    (route[1], route[2], route[3]) = (bits, bits, entry.tos);
    message(GET_ROUTE, &route, &[(ROUTE_TO, to), (ROUTE_FROM, from)])
}

/// A message about a neighbour.
fn about(kind: u16, hop: Hop, flags: u8) -> Vec<u8> {
    let mut neighbour = [0; NEIGHBOUR];
    neighbour[0] = family(hop.neighbour);
    neighbour[4..8].copy_from_slice(&hop.interface.to_ne_bytes());
    neighbour[10] = flags;
    message(kind, &neighbour, &[(NEIGHBOUR_ADDRESS, hop.neighbour)])
}

/// What the kernel knows of a neighbour.
fn state(answer: &[u8]) -> Option<u16> {
    let word = |at: usize| Some(u16::from_ne_bytes(*answer.get(at..)?.first_chunk()?));
    (word(4)? == NEW_NEIGHBOUR).then(|| word(HEADER + 8))?
}

/// The next hop that a route names; the destination itself if it names no gateway.
fn hop(answer: &[u8], to: IpAddr) -> Option<Hop> {
    let kind = answer.get(4..6)?.first_chunk()?;
    if u16::from_ne_bytes(*kind) != NEW_ROUTE {
        return None;
    }
    let mut rest = answer.get(HEADER + ROUTE..)?;
    let (mut interface, mut neighbour) = (None, to);
    while let [a, b, c, d, ..] = *rest {
        let len = usize::from(u16::from_ne_bytes([a, b]));
        let value = rest.get(4..len)?;
        match u16::from_ne_bytes([c, d]) {
            ROUTE_INTERFACE => interface = value.first_chunk().copied().map(u32::from_ne_bytes),
            ROUTE_GATEWAY => neighbour = address(value)?,
            ROUTE_VIA => neighbour = address(value.get(2..)?)?,
            _ => {}
        }
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Hop {
        interface: interface?,
        neighbour,
    })
}

fn family(address: IpAddr) -> u8 {
    let family = if address.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    family as u8
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().into(),
        IpAddr::V6(v6) => v6.octets().into(),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => Some(Ipv4Addr::from_octets(*octets.first_chunk()?).into()),
        16 => Some(Ipv6Addr::from_octets(*octets.first_chunk()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use patchcord_contract::Endpoint;

    use super::*;

    fn entry(from: IpAddr, to: IpAddr) -> Entry {
        let at = |addr| Endpoint::new(addr, 4_000);
        Entry::new(at(from), at(to), at(from), at(to))
    }

    #[test]
    fn the_kernel_tells_the_next_hop_of_both_families() {
        let mut kernel = Neighbours::open().expect("anyone may ask");
        for here in [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::LOCALHOST.into(),
        ] {
            kernel
                .socket
                .write_all(&route_request(&entry(here, here)))
                .expect("taken");
            let answer = kernel.receive().expect("readable").expect("an answer");
            let found = hop(&answer, here).expect("a route");
            assert_eq!((found.interface, found.neighbour), (1, here));
        }
    }

    #[test]
    fn a_gateway_is_the_next_hop() {
        let to = IpAddr::from([203, 0, 113, 9]);
        let mut answer = message(NEW_ROUTE, &[0; ROUTE], &[(ROUTE_TO, to)]);
        answer.extend([8, 0, ROUTE_INTERFACE as u8, 0, 7, 0, 0, 0]);
        let direct = hop(&answer, to).expect("it names an interface");
        assert_eq!((direct.interface, direct.neighbour), (7, to));
        let gateway = [8, 0, ROUTE_GATEWAY as u8, 0, 192, 0, 2, 1];
        answer.extend(gateway);
        let far = hop(&answer, to).expect("it names an interface");
        assert_eq!(far.neighbour, IpAddr::from([192, 0, 2, 1]));
        let other = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        let via = [&[22, 0, ROUTE_VIA as u8, 0, 10, 0], &other.octets()[..]].concat();
        answer.extend(via);
        let far = hop(&answer, to).expect("it names an interface");
        assert_eq!(far.neighbour, IpAddr::from(other));
    }

    #[test]
    fn a_neighbour_is_as_the_kernel_says() {
        let mut neighbour = [0; NEIGHBOUR];
        neighbour[8..10].copy_from_slice(&STALE.to_ne_bytes());
        let answer = message(NEW_NEIGHBOUR, &neighbour, &[]);
        assert_eq!(state(&answer), Some(STALE));
        assert_eq!(state(&answer[..HEADER + 9]), None);
        assert_eq!(state(&message(2, &neighbour, &[])), None, "an error");
    }

    #[test]
    fn what_the_kernel_refuses_names_no_hop() {
        assert_eq!(hop(&message(2, &[0; 20], &[]), [192, 0, 2, 1].into()), None);
        assert_eq!(hop(&[0; 3], [192, 0, 2, 1].into()), None);
        let cut = message(NEW_ROUTE, &[0; ROUTE], &[(ROUTE_TO, [192, 0, 2, 1].into())]);
        for len in 0..cut.len() {
            assert_eq!(hop(&cut[..len], [192, 0, 2, 1].into()), None);
        }
    }
}
