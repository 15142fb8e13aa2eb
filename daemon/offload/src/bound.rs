//! Which UDP ports are bound in this network namespace, as procfs tells.

use std::fs;
use std::net::{IpAddr, Ipv6Addr};

/// Ports of an address, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) address: IpAddr,
    pub(crate) min: u16,
    pub(crate) max: u16,
}

impl Range {
    /// Whether an endpoint is of the range.
    pub(crate) fn contains(&self, ip: IpAddr, port: u16) -> bool {
        ip == self.address && (self.min..=self.max).contains(&port)
    }

    /// Whether a socket bound to that endpoint hears a port of the range. One of every IPv6 address may hear
    /// IPv4 as well.
    pub(crate) fn is_hit_by(&self, ip: IpAddr, port: u16) -> bool {
        let is_everywhere = ip.is_unspecified() && (ip.is_ipv6() || self.address.is_ipv4());
        (is_everywhere || ip == self.address) && (self.min..=self.max).contains(&port)
    }

    /// Whether the two have a port in common.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.address == other.address && self.min <= other.max && other.min <= self.max
    }
}

/// Local endpoints of all UDP sockets.
pub(crate) fn bound() -> Vec<(IpAddr, u16)> {
    let tables = ["udp", "udp6"].map(|table| {
        fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default()
    });
    tables
        .iter()
        .flat_map(|table| table.lines().filter_map(local))
        .collect()
}

/// The local endpoint in a line of the table.
fn local(line: &str) -> Option<(IpAddr, u16)> {
    let (ip, port) = line.split_whitespace().nth(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    // Words of 32 bits, each printed as the machine reads it.
    let word = |at: usize| {
        let text = ip.get(8 * at..8 * at + 8)?;
        Some(u32::from_str_radix(text, 16).ok()?.to_ne_bytes())
    };
    let ip = match ip.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let mut bytes = [0; 16];
            let (chunks, _) = bytes.as_chunks_mut::<4>();
            for (at, chunk) in chunks.iter_mut().enumerate() {
                *chunk = word(at)?;
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some((ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_tables_are_read() {
        let four = " 1234: 010000C0:7530 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 1 2 0 0";
        let expected = IpAddr::from(0x0100_00c0_u32.to_ne_bytes());
        assert_eq!(local(four), Some((expected, 30_000)));
        let six =
            "   9: B80D0120000000000000000001000000:7531 00000000000000000000000000000000:0000 07";
        let words = [0xb80d_0120_u32, 0, 0, 0x0100_0000].map(u32::to_ne_bytes);
        let expected = <[u8; 16]>::try_from(words.concat()).expect("16 bytes");
        assert_eq!(local(six), Some((expected.into(), 30_001)));
        assert_eq!(local("  sl  local_address rem_address   st tx_queue"), None);
        assert_eq!(local(""), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a socket to be found")]
    fn a_bound_port_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let local = socket.local_addr().expect("bound");
        assert!(bound().contains(&(local.ip(), local.port())));
    }

    #[test]
    fn a_socket_of_every_address_hears_every_range() {
        let range = |address: &str| Range {
            address: address.parse().expect("an address"),
            min: 30_000,
            max: 30_001,
        };
        let hit = |range: &Range, ip: &str, port| range.is_hit_by(ip.parse().expect("one"), port);
        let (four, six) = (range("192.0.2.1"), range("2001:db8::1"));
        assert!(hit(&four, "192.0.2.1", 30_000) && hit(&four, "0.0.0.0", 30_001));
        assert!(hit(&four, "::", 30_000) && hit(&six, "::", 30_000));
        assert!(!hit(&six, "0.0.0.0", 30_000) && !hit(&four, "192.0.2.2", 30_000));
        assert!(!hit(&four, "192.0.2.1", 30_002) && !hit(&four, "192.0.2.1", 29_999));
    }
}
