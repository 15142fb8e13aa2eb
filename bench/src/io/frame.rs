//! Ethernet, IPv4 (RFC 791), IPv6 (RFC 8200) and UDP (RFC 768) headers, written and read; the
//! checksums here are the generator's own, so that a relay's are checked by another hand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const ETHERNET: usize = 14;
const UDP: usize = 8;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const PROTOCOL_UDP: u8 = 17;

/// An Ethernet address.
pub(crate) type Mac = [u8; 6];

/// The Ethertype of packets to `ip`.
pub(crate) fn ethertype(ip: IpAddr) -> u16 {
    if ip.is_ipv4() { IPV4 } else { IPV6 }
}

/// The headers of one route, ready but for lengths and checksums.
#[derive(Clone)]
pub(crate) struct Template {
    header: [u8; ETHERNET + 40 + UDP],
    len: usize,
    /// Sum of the pseudo header without the length, and of the ports.
    addresses: u64,
}

impl Template {
    /// Headers from `from` (whose link address is `ours`) to `to` (reached by `gateway`).
    pub(crate) fn new(ours: Mac, gateway: Mac, from: SocketAddr, to: SocketAddr) -> Self {
        let mut header = [0; ETHERNET + 40 + UDP];
        header[..6].copy_from_slice(&gateway);
        header[6..12].copy_from_slice(&ours);
        header[12..14].copy_from_slice(&ethertype(to.ip()).to_be_bytes());
        let ip = &mut header[ETHERNET..];
        let ip_len = match (from.ip(), to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => write_ipv4(ip, from, to),
            (from, to) => write_ipv6(ip, mapped(from), mapped(to)),
        };
        let addresses = &ip[ip_len - if ip_len == 20 { 8 } else { 32 }..ip_len];
        let sum = sum(addresses)
            + u64::from(PROTOCOL_UDP)
            + u64::from(from.port())
            + u64::from(to.port());
        ip[ip_len..ip_len + 2].copy_from_slice(&from.port().to_be_bytes());
        ip[ip_len + 2..ip_len + 4].copy_from_slice(&to.port().to_be_bytes());
        Self {
            header,
            len: ETHERNET + ip_len + UDP,
            addresses: sum,
        }
    }

    /// Writes the frame around the payload that `fill` writes; returns its length.
    pub(crate) fn write(&self, out: &mut [u8], fill: impl FnOnce(&mut [u8]) -> usize) -> usize {
        out[..self.len].copy_from_slice(&self.header[..self.len]);
        let payload = fill(&mut out[self.len..]);
        let total = self.len + payload;
        let udp_len = (UDP + payload) as u16;
        let udp = self.len - UDP;
        out[udp + 4..udp + 6].copy_from_slice(&udp_len.to_be_bytes());
        // The length counts twice: in the pseudo header and in the UDP header.
        let whole = self.addresses + 2 * u64::from(udp_len) + sum(&out[self.len..total]);
        let checksum = match !fold(whole) {
            0 => 0xffff, // RFC 768: a sum of zero goes out as all ones
            other => other,
        };
        out[udp + 6..udp + 8].copy_from_slice(&checksum.to_be_bytes());
        let ip = &mut out[ETHERNET..];
        if udp == ETHERNET + 20 {
            ip[2..4].copy_from_slice(&(20 + udp_len).to_be_bytes());
            let checksum = !fold(sum(&ip[..20]));
            ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        } else {
            ip[4..6].copy_from_slice(&udp_len.to_be_bytes());
        }
        total
    }
}

fn write_ipv4(ip: &mut [u8], from: Ipv4Addr, to: Ipv4Addr) -> usize {
    ip[0] = 0x45;
    ip[6] = 0x40; // don't fragment
    ip[8] = 64;
    ip[9] = PROTOCOL_UDP;
    ip[12..16].copy_from_slice(&from.octets());
    ip[16..20].copy_from_slice(&to.octets());
    20
}

fn write_ipv6(ip: &mut [u8], from: Ipv6Addr, to: Ipv6Addr) -> usize {
    ip[0] = 0x60;
    ip[6] = PROTOCOL_UDP;
    ip[7] = 64;
    ip[8..24].copy_from_slice(&from.octets());
    ip[24..40].copy_from_slice(&to.octets());
    40
}

fn mapped(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

/// A UDP datagram found in a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parsed<'a> {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    pub(crate) payload: &'a [u8],
    pub(crate) checksum_ok: bool,
}

/// Reads a frame; nothing if it is not whole UDP. With `partial`, the device was to finish the
/// checksum and only the pseudo header is expected to be summed.
pub(crate) fn parse(frame: &[u8], partial: bool) -> Option<Parsed<'_>> {
    let ip = frame.get(ETHERNET..)?;
    let (addresses, from, to, udp): (&[u8], IpAddr, IpAddr, &[u8]) = match frame.get(12..14)? {
        [0x08, 0x00] => {
            let header = ip.first_chunk::<20>()?;
            if header[0] != 0x45 || header[9] != PROTOCOL_UDP {
                return None;
            }
            let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
            let address = |at: usize| Ipv4Addr::from_octets(*ip[at..].first_chunk().expect("20"));
            (
                &ip[12..20],
                address(12).into(),
                address(16).into(),
                ip.get(20..total)?,
            )
        }
        [0x86, 0xdd] => {
            let header = ip.first_chunk::<40>()?;
            if header[6] != PROTOCOL_UDP {
                return None;
            }
            let len = usize::from(u16::from_be_bytes([header[4], header[5]]));
            let address = |at: usize| Ipv6Addr::from_octets(*ip[at..].first_chunk().expect("40"));
            (
                &ip[8..40],
                address(8).into(),
                address(24).into(),
                ip.get(40..40 + len)?,
            )
        }
        _ => return None,
    };
    let field = |at: usize| Some(u16::from_be_bytes(*udp.get(at..)?.first_chunk()?));
    let (source, destination, len, checksum) = (field(0)?, field(2)?, field(4)?, field(6)?);
    if usize::from(len) != udp.len() {
        return None;
    }
    let pseudo = sum(addresses) + u64::from(PROTOCOL_UDP) + u64::from(len);
    let checksum_ok = if partial {
        fold(pseudo) == checksum
    } else {
        // IPv4 may go without (RFC 768), IPv6 may not (RFC 8200 §8.1).
        (checksum == 0 && from.is_ipv4()) || fold(pseudo + sum(udp)) == 0xffff
    };
    Some(Parsed {
        source: SocketAddr::new(from, source),
        destination: SocketAddr::new(to, destination),
        payload: &udp[UDP..],
        checksum_ok,
    })
}

/// Sum of big-endian 16-bit words, unfolded (RFC 1071). Frames are far too short to overflow it.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let whole: u64 = words
        .iter()
        .map(|w| u64::from(u32::from_be_bytes(*w)))
        .sum();
    let mut tail = [0; 4];
    tail[..rest.len()].copy_from_slice(rest);
    whole + u64::from(u32::from_be_bytes(tail))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
        let parse = |s: &str| s.parse().expect("an address");
        let template = Template::new([2; 6], [4; 6], parse(from), parse(to));
        let mut out = vec![0xaa; 2048];
        let len = template.write(&mut out, |slot| {
            slot[..payload.len()].copy_from_slice(payload);
            payload.len()
        });
        out.truncate(len);
        out
    }

    #[test]
    fn a_written_frame_reads_back_in_both_families() {
        for (from, to) in [
            ("10.1.2.3:4000", "10.1.2.4:5000"),
            ("[fd00::1]:4000", "[fd00::2]:5000"),
        ] {
            for payload in [&b""[..], b"odd", b"even", &[0xff; 1200]] {
                let bytes = frame(from, to, payload);
                let got = parse(&bytes, false).expect("UDP");
                assert_eq!(got.source.to_string(), from);
                assert_eq!(got.destination.to_string(), to);
                assert_eq!(got.payload, payload);
                assert!(got.checksum_ok, "{from} {payload:?}");
            }
        }
    }

    #[test]
    fn the_checksum_is_the_one_of_a_known_packet() {
        // A DNS query as captured: 192.168.1.10:1024 to 192.168.1.1:53, payload 0102; summed by hand:
        // c0a8+010a+c0a8+0101+0011+000a + 0400+0035+000a+0102 = 1_897b -> 897c -> 7683.
        let bytes = frame("192.168.1.10:1024", "192.168.1.1:53", &[1, 2]);
        let sum = 0xc0a8 + 0x010a + 0xc0a8 + 0x0101 + 0x11 + 0xa + 0x400 + 0x35 + 0xa + 0x102_u32;
        let folded = !((sum & 0xffff) + (sum >> 16)) as u16;
        assert_eq!(bytes[40..42], folded.to_be_bytes());
    }

    #[test]
    fn any_flipped_bit_of_the_datagram_breaks_the_checksum() {
        let good = frame("[fd00::1]:4000", "[fd00::2]:5000", &[7; 20]);
        for at in ETHERNET + 8..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(
                parse(&bad, false).is_none_or(|p| !p.checksum_ok),
                "byte {at}"
            );
        }
    }

    #[test]
    fn cut_frames_are_not_udp() {
        let whole = frame("10.1.2.3:4000", "10.1.2.4:5000", &[7; 20]);
        for len in 0..whole.len() {
            assert_eq!(parse(&whole[..len], false), None);
        }
    }
}
