//! Ethernet frames with UDP in them, made from scratch and taken apart again: nothing here is shared with the
//! program under test (RFC 791, RFC 8200, RFC 768, IEEE 802.1Q).

use std::net::IpAddr;

use patchcord_contract::Endpoint;

/// The loopback interface's own address: to it a frame has to be sent that runs without an interface.
pub(crate) const HOST: [u8; 6] = [0; 6];

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const UDP: u8 = 17;

/// What stands in the UDP checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// What belongs there.
    Right,
    /// Zero: none was made.
    None,
    /// Something else.
    Wrong,
    /// The pseudo header's sum, for a device to complete.
    Partial,
}

/// A frame to be made. The fields are what a sender may get wrong by itself; other damage is done to the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) to: [u8; 6],
    pub(crate) from: [u8; 6],
    pub(crate) tags: Vec<u16>,
    pub(crate) source: Endpoint,
    pub(crate) local: Endpoint,
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    /// Flags and offset of IPv4.
    pub(crate) fragment: u16,
    /// Options of IPv4, whole words.
    pub(crate) options: Vec<u8>,
    pub(crate) protocol: u8,
    pub(crate) checksum: Checksum,
    pub(crate) payload: Vec<u8>,
    /// Bytes behind the IP packet.
    pub(crate) padding: usize,
}

impl Shape {
    /// An ordinary packet.
    pub(crate) fn new(source: Endpoint, local: Endpoint, payload: &[u8]) -> Self {
        Self {
            to: HOST,
            from: [2, 0, 0, 0, 0, 9],
            tags: Vec::new(),
            source,
            local,
            tos: 0,
            ttl: 64,
            fragment: 0x4000,
            options: Vec::new(),
            protocol: UDP,
            checksum: Checksum::Right,
            payload: payload.to_vec(),
            padding: 0,
        }
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut frame = [self.to, self.from].concat();
        for tag in &self.tags {
            frame.extend(VLAN.to_be_bytes());
            frame.extend(tag.to_be_bytes());
        }
        let udp = self.udp();
        match (self.source.addr.ip(), self.local.addr.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                frame.extend(IPV4.to_be_bytes());
                let words = 5 + self.options.len() / 4;
                let total = 4 * words + udp.len();
                let mut ip = vec![0x40 | words as u8, self.tos];
                ip.extend((total as u16).to_be_bytes());
                ip.extend([0, 0]);
                ip.extend(self.fragment.to_be_bytes());
                ip.extend([self.ttl, self.protocol, 0, 0]);
                ip.extend(from.octets());
                ip.extend(to.octets());
                ip.extend(&self.options);
                let sum = !fold(sum(&ip));
                ip[10..12].copy_from_slice(&sum.to_be_bytes());
                frame.extend(ip);
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                frame.extend(IPV6.to_be_bytes());
                let class = 6 << 28 | u32::from(self.tos) << 20;
                frame.extend(class.to_be_bytes());
                frame.extend((udp.len() as u16).to_be_bytes());
                frame.extend([self.protocol, self.ttl]);
                frame.extend(from.octets());
                frame.extend(to.octets());
            }
            mixed => panic!("no packet goes between {mixed:?}"),
        }
        frame.extend(udp);
        frame.resize(frame.len() + self.padding, 0);
        frame
    }

    fn udp(&self) -> Vec<u8> {
        let length = (8 + self.payload.len()) as u16;
        let mut udp = self.source.port.to_be_bytes().to_vec();
        udp.extend(self.local.port.to_be_bytes());
        udp.extend(length.to_be_bytes());
        udp.extend([0, 0]);
        udp.extend(&self.payload);
        let pseudo = pseudo(self.source, self.local, length);
        let right = match !fold(pseudo + sum(&udp)) {
            0 => 0xffff,
            sum => sum,
        };
        let checksum = match self.checksum {
            Checksum::Right => right,
            Checksum::None => 0,
            Checksum::Wrong => right.wrapping_sub(0x0101).max(1),
            Checksum::Partial => fold(pseudo),
        };
        udp[6..8].copy_from_slice(&checksum.to_be_bytes());
        udp
    }
}

/// A datagram as a socket would get it, out of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub(crate) source: Endpoint,
    pub(crate) local: Endpoint,
    /// Where its UDP header begins in the frame.
    pub(crate) at: usize,
    /// The UDP checksum.
    pub(crate) checksum: u16,
    /// What that of a packet that arrived whole adds up to zero; of another it tells by how much it is wrong.
    pub(crate) error: u16,
    pub(crate) payload: Vec<u8>,
    /// Bytes behind it.
    pub(crate) padding: usize,
}

impl Datagram {
    /// The datagram in a frame, if one arrives at a socket from it by itself.
    pub(crate) fn read(frame: &[u8]) -> Option<Self> {
        let mut at = 12;
        let mut kind = word(frame, at)?;
        at += 2;
        if kind == VLAN {
            kind = word(frame, at + 2)?;
            at += 4;
        }
        let packet = frame.get(at..)?;
        let (header, from, to, len): (usize, IpAddr, IpAddr, usize) = match kind {
            IPV4 => {
                let header = 4 * usize::from(packet.first()? & 0x0f);
                let total = usize::from(word(packet, 2)?);
                if header < 20 || packet.len() < header {
                    return None;
                }
                let is_whole = matches!(word(packet, 6)?, 0 | 0x4000 | 0x8000 | 0xc000);
                let is_sound = fold(sum(&packet[..header])) == 0xffff;
                let is_udp = packet[0] >> 4 == 4 && packet[9] == UDP && packet.len() >= total;
                if !is_whole || !is_sound || !is_udp {
                    return None;
                }
                let (from, to) = (
                    packet[12..].first_chunk::<4>()?,
                    packet[16..].first_chunk::<4>()?,
                );
                let len = total.checked_sub(header)?;
                (header, (*from).into(), (*to).into(), len)
            }
            IPV6 => {
                let len = usize::from(word(packet, 4)?);
                if packet[0] >> 4 != 6 || *packet.get(6)? != UDP || packet.len() < 40 + len {
                    return None;
                }
                let (from, to) = (
                    packet[8..].first_chunk::<16>()?,
                    packet[24..].first_chunk::<16>()?,
                );
                (40, (*from).into(), (*to).into(), len)
            }
            _ => return None,
        };
        Self::over_ip(&frame[..at + header + len], from, to, at + header).map(|datagram| Self {
            padding: frame.len() - (at + header + len),
            ..datagram
        })
    }

    fn over_ip(frame: &[u8], from: IpAddr, to: IpAddr, at: usize) -> Option<Self> {
        let udp = frame.get(at..)?;
        let length = usize::from(word(udp, 4)?);
        let checksum = word(udp, 6)?;
        if length < 8 || length > udp.len() || (checksum == 0 && from.is_ipv6()) {
            return None;
        }
        let source = Endpoint::new(from, word(udp, 0)?);
        let local = Endpoint::new(to, word(udp, 2)?);
        let total = fold(pseudo(source, local, length as u16) + sum(&udp[..length]));
        Some(Self {
            source,
            local,
            at,
            checksum,
            error: if checksum == 0 { 0 } else { !total },
            payload: udp[8..length].to_vec(),
            padding: 0,
        })
    }

    /// Whether a socket refuses it for its checksum.
    pub(crate) const fn is_damaged(&self) -> bool {
        self.error != 0
    }

    /// Whether its checksum is that of the pseudo header.
    pub(crate) fn looks_partial(&self) -> bool {
        let length = (8 + self.payload.len()) as u16;
        self.checksum == fold(pseudo(self.source, self.local, length))
    }
}

/// Makes the checksums of a frame right that has room for them, whatever else is wrong with it.
pub(crate) fn mend(frame: &mut [u8], link: usize) {
    let is_v4 = frame.get(link).is_some_and(|first| first >> 4 == 4);
    if is_v4 && frame.len() >= link + 20 {
        frame[link + 10..link + 12].fill(0);
        let sum = !fold(sum(&frame[link..link + 20]));
        frame[link + 10..link + 12].copy_from_slice(&sum.to_be_bytes());
    }
    if let Some(datagram) = Datagram::read(frame).filter(|datagram| datagram.checksum != 0) {
        let at = datagram.at + 6;
        frame[at..at + 2].fill(0xff);
        let Some(without) = Datagram::read(frame) else {
            return;
        };
        // All ones count for nothing in such a sum.
        let checksum = if without.error == 0 {
            0xffff
        } else {
            without.error
        };
        frame[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    }
}

fn pseudo(source: Endpoint, local: Endpoint, length: u16) -> u64 {
    let bytes = |endpoint: Endpoint| match endpoint.addr.ip() {
        IpAddr::V4(addr) => sum(&addr.octets()),
        IpAddr::V6(addr) => sum(&addr.octets()),
    };
    bytes(source) + bytes(local) + u64::from(UDP) + u64::from(length)
}

/// The big-endian words of `bytes`, added up; the last one padded (RFC 1071 §4.1).
fn sum(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low));
    bytes.chunks(2).map(word).sum()
}

const fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u16::from_be_bytes)
}
