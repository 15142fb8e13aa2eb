//! What a frame holds, if it is UDP with room for RTP: Ethernet, at most one VLAN tag, IPv4 without options or
//! IPv6 without extension headers, whole.

use patchcord_contract::{Addr, Endpoint, LONGEST, RTP_HEADER, Stamp, is_rtp};

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET: usize = 14;
/// Bytes of a VLAN tag.
pub(crate) const TAG: usize = 4;
/// Bytes of an IPv4 header without options.
pub(crate) const IPV4: usize = 20;
/// Bytes of an IPv6 header.
pub(crate) const IPV6: usize = 40;
/// Bytes of a UDP header.
pub(crate) const UDP: usize = 8;

/// EtherType of IPv4, as it lies in memory.
pub(crate) const IS_IPV4: u16 = 0x0800_u16.to_be();
/// EtherType of IPv6, as it lies in memory.
pub(crate) const IS_IPV6: u16 = 0x86dd_u16.to_be();
/// EtherType of a VLAN tag (IEEE 802.1Q), as it lies in memory.
pub(crate) const IS_VLAN: u16 = 0x8100_u16.to_be();

/// The number of UDP.
pub(crate) const PROTOCOL: u8 = 17;

/// A frame's bytes as the kernel gives them: the addresses of the first and of the one behind the last.
#[derive(Clone, Copy)]
pub(crate) struct Bytes {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Bytes {
    /// A `T` at that offset, if it lies within the frame. What may be done with the pointer is what the
    /// verifier allows: it follows this very comparison.
    #[inline(always)]
    pub(crate) fn at<T>(self, offset: usize) -> Option<*mut T> {
        let first = self.start + offset;
        if first + size_of::<T>() > self.end {
            None
        } else {
            Some(first as *mut T)
        }
    }

    /// A `T` at that offset.
    #[inline(always)]
    pub(crate) fn read<T: Copy>(self, offset: usize) -> Option<T> {
        // SAFETY: within the frame, and any bytes are a `T` of those used here: integers and arrays of them.
        self.at::<T>(offset)
            .map(|at| unsafe { at.read_unaligned() })
    }
}

#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Ethernet {
    to: [u8; 6],
    from: [u8; 6],
    kind: u16,
}

/// IPv4, UDP and RTP up to the stream's name. Numbers are as they lie in memory.
#[repr(C, packed)]
#[derive(Clone, Copy)]
struct OverV4 {
    words: [u32; IPV4 / 4],
    udp: Inner,
}

/// The same over IPv6.
#[repr(C, packed)]
#[derive(Clone, Copy)]
struct OverV6 {
    class: u32,
    length: u16,
    next: u8,
    hops: u8,
    from: [u32; 4],
    to: [u32; 4],
    udp: Inner,
}

#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Inner {
    from: u16,
    to: u16,
    length: u16,
    checksum: u16,
    first: u8,
    second: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
}

const _: () = assert!(size_of::<Inner>() == UDP + RTP_HEADER);

/// A UDP datagram in a frame, of a length that a worker takes and RTP can have.
#[derive(Clone, Copy)]
pub(crate) struct Packet {
    /// Bytes in front of the IP header.
    pub(crate) link: usize,
    /// Whether it came over IPv6.
    pub(crate) is_v6: bool,
    pub(crate) source: Endpoint,
    pub(crate) local: Endpoint,
    /// The UDP checksum, as it lies in memory.
    pub(crate) checksum: u16,
    /// Whether the checksum is that of the pseudo header only, for a device to complete; of all other
    /// packets one in 65,536 looks like that as well.
    pub(crate) may_be_partial: bool,
    /// Bytes of UDP payload.
    pub(crate) len: u16,
    /// The first two bytes of the payload, which tell what it is.
    pub(crate) first: [u8; 2],
    /// What the payload says if it is RTP.
    pub(crate) stamp: Stamp,
}

impl Packet {
    /// Bytes in front of the UDP header.
    #[inline(always)]
    pub(crate) fn headers(&self) -> usize {
        self.link + if self.is_v6 { IPV6 } else { IPV4 }
    }

    /// Whether it is RTP, with a header that it can hold.
    #[inline(always)]
    pub(crate) fn is_rtp(&self, bytes: Bytes) -> Option<bool> {
        let [first, second] = self.first;
        if !is_rtp(first, second) {
            return Some(false);
        }
        // CSRC list and header extension (RFC 3550 §5.1, §5.3.1) lie within the packet.
        let mut header = RTP_HEADER + 4 * (first & 0x0f) as usize;
        if first & 0x10 != 0 {
            let words: u16 = bytes.read(self.headers() + UDP + header + 2)?;
            header += 4 + 4 * u16::from_be(words) as usize;
        }
        Some(header <= self.len as usize)
    }
}

/// What the frame is. `None`: not ours, or strange in some way, or a group's.
#[inline(always)]
pub(crate) fn parse(bytes: Bytes) -> Option<Packet> {
    let ethernet: Ethernet = bytes.read(0)?;
    if ethernet.to[0] & 1 != 0 {
        return None;
    }
    match ethernet.kind {
        IS_IPV4 => over_v4(bytes, ETHERNET),
        IS_IPV6 => over_v6(bytes, ETHERNET),
        IS_VLAN => match bytes.read::<u16>(ETHERNET + 2)? {
            IS_IPV4 => over_v4(bytes, ETHERNET + TAG),
            IS_IPV6 => over_v6(bytes, ETHERNET + TAG),
            _ => None,
        },
        _ => None,
    }
}

#[inline(always)]
fn over_v4(bytes: Bytes, link: usize) -> Option<Packet> {
    let OverV4 { words, udp } = bytes.read(link)?;
    let [first, second, third, from, to] = words;
    let (first, second, third) = (
        u32::from_be(first),
        u32::from_be(second),
        u32::from_be(third),
    );
    let (version, length) = (first >> 24, first & 0xffff);
    let (time_to_live, protocol) = (third >> 24, (third >> 16 & 0xff) as u8);
    // More fragments, or not the first one (RFC 791 §3.1).
    let is_fragment = second & 0x3fff != 0;
    if version != 0x45 || is_fragment || time_to_live <= 1 || protocol != PROTOCOL {
        return None;
    }
    if fold(words.iter().fold(0, |sum, word| sum + *word as u64)) != 0xffff {
        return None;
    }
    let frame = bytes.end - bytes.start;
    if link + length as usize > frame {
        return None;
    }
    let payload = length.wrapping_sub(IPV4 as u32);
    let pseudo = from as u64 + to as u64;
    let packet = Packet {
        link,
        is_v6: false,
        source: Endpoint {
            addr: mapped(from),
            port: u16::from_be(udp.from),
        },
        local: Endpoint {
            addr: mapped(to),
            port: u16::from_be(udp.to),
        },
        checksum: udp.checksum,
        may_be_partial: is_partial(pseudo, udp),
        len: 0,
        first: [udp.first, udp.second],
        stamp: stamp(udp),
    };
    whole(packet, payload, udp)
}

#[inline(always)]
fn over_v6(bytes: Bytes, link: usize) -> Option<Packet> {
    let ip: OverV6 = bytes.read(link)?;
    let (from, to, udp) = (ip.from, ip.to, ip.udp);
    if u32::from_be(ip.class) >> 28 != 6 || ip.next != PROTOCOL || ip.hops <= 1 {
        return None;
    }
    let payload = u16::from_be(ip.length) as u32;
    if link + IPV6 + payload as usize > bytes.end - bytes.start {
        return None;
    }
    // Over IPv6 there is no packet without a checksum (RFC 8200 §8.1).
    if udp.checksum == 0 {
        return None;
    }
    let sum = |words: [u32; 4]| words.iter().fold(0, |sum, word| sum + *word as u64);
    let packet = Packet {
        link,
        is_v6: true,
        source: Endpoint {
            addr: address(from),
            port: u16::from_be(udp.from),
        },
        local: Endpoint {
            addr: address(to),
            port: u16::from_be(udp.to),
        },
        checksum: udp.checksum,
        may_be_partial: is_partial(sum(from) + sum(to), udp),
        len: 0,
        first: [udp.first, udp.second],
        stamp: stamp(udp),
    };
    whole(packet, payload, udp)
}

/// The rest of the questions: the UDP length, and room for a header of RTP.
#[inline(always)]
fn whole(packet: Packet, payload: u32, udp: Inner) -> Option<Packet> {
    let length = u16::from_be(udp.length);
    if length as u32 != payload || (length as usize) < UDP + RTP_HEADER {
        return None;
    }
    let len = length - UDP as u16;
    (len <= LONGEST).then_some(Packet { len, ..packet })
}

#[inline(always)]
fn stamp(udp: Inner) -> Stamp {
    Stamp {
        payload_type: udp.second & 0x7f,
        sequence: u16::from_be(udp.sequence),
        timestamp: u32::from_be(udp.timestamp),
        ssrc: u32::from_be(udp.ssrc),
    }
}

/// Whether the checksum is that of the pseudo header, whose addresses sum up to `addresses`.
#[inline(always)]
fn is_partial(addresses: u64, udp: Inner) -> bool {
    let pseudo = addresses + (PROTOCOL as u16).to_be() as u64 + udp.length as u64;
    fold(pseudo) == udp.checksum
}

/// A ones' complement sum as 16 bits, in the order of its words (RFC 1071 §2 (B)).
#[inline(always)]
fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// An IPv4 address in the form for both families.
#[inline(always)]
fn mapped(word: u32) -> Addr {
    address([0, 0, 0xffff_u32.to_be(), word])
}

/// An address of four words as they lie in memory.
#[inline(always)]
fn address(words: [u32; 4]) -> Addr {
    let mut bytes = [0; 16];
    let (chunks, _) = bytes.as_chunks_mut::<4>();
    for (chunk, word) in chunks.iter_mut().zip(words) {
        *chunk = word.to_ne_bytes();
    }
    Addr(bytes)
}
