//! Frames: Ethernet, at most one VLAN tag (IEEE 802.1Q), IPv4 without options or IPv6 without extension headers,
//! UDP. Read as strictly as the kernel program reads them, and written as the kernel's own sockets would have
//! them written, in front of a payload that stays where it is.

use std::ops::Range;

use patchcord_contract::checksum::Sum;
use patchcord_contract::{Addr, Endpoint};

use super::{Course, Hop};

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
/// Room that the longest headers need in front of a payload.
pub(crate) const HEADROOM: usize = ETHERNET + TAG + IPV6 + UDP;

/// The number of UDP.
pub(super) const PROTOCOL: u8 = 17;

const IS_IPV4: [u8; 2] = [0x08, 0x00];
const IS_IPV6: [u8; 2] = [0x86, 0xdd];
const IS_VLAN: [u8; 2] = [0x81, 0x00];

/// IPv4's flag not to fragment, as sockets set it for what fits.
const DONT_FRAGMENT: [u8; 2] = [0x40, 0x00];

/// A datagram in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// Where it was sent to.
    pub(crate) local: Endpoint,
    /// Where it came from.
    pub(crate) source: Endpoint,
    /// The bytes of the frame that are its payload.
    pub(crate) payload: Range<usize>,
}

/// Reads a frame; `None` if it is not a whole UDP datagram with the right checksums, or the one over the pseudo
/// header alone that a device was to complete.
#[inline]
pub(crate) fn parse(frame: &[u8]) -> Option<Arrived> {
    let kind = |at: usize| frame.get(at..at + 2);
    let link = if kind(ETHERNET - 2)? == IS_VLAN {
        ETHERNET + TAG
    } else {
        ETHERNET
    };
    let packet = frame.get(link..)?;
    let ends = match kind(link - 2)? {
        kind if kind == IS_IPV4 => over_v4(packet)?,
        kind if kind == IS_IPV6 => over_v6(packet)?,
        _ => return None,
    };
    let Ends { from, to, datagram } = ends;
    let bytes = &packet[datagram.clone()];
    let [a, b, c, d, high, low, sum @ ..] = *bytes.first_chunk::<UDP>()?;
    if usize::from(u16::from_be_bytes([high, low])) != bytes.len() {
        return None;
    }
    let checksum = u16::from_be_bytes(sum);
    if !is_right(from, to, bytes, checksum) {
        return None;
    }
    Some(Arrived {
        local: Endpoint {
            addr: to,
            port: u16::from_be_bytes([c, d]),
        },
        source: Endpoint {
            addr: from,
            port: u16::from_be_bytes([a, b]),
        },
        payload: link + datagram.start + UDP..link + datagram.end,
    })
}

/// A datagram in an IP packet.
struct Ends {
    from: Addr,
    to: Addr,
    datagram: Range<usize>,
}

#[inline]
fn over_v4(packet: &[u8]) -> Option<Ends> {
    let header = packet.first_chunk::<IPV4>()?;
    let [0x45, _, high, low, _, _, flags, offset, _, PROTOCOL, ..] = *header else {
        return None;
    };
    // More fragments, or not the first one (RFC 791 §3.1).
    let is_fragment = flags & 0x3f != 0 || offset != 0;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if is_fragment || len < IPV4 + UDP || len > packet.len() || sum(header) != 0xffff {
        return None;
    }
    let addr = |at: usize| {
        let mut addr = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
        addr[12..].copy_from_slice(&header[at..at + 4]);
        Addr(addr)
    };
    Some(Ends {
        from: addr(12),
        to: addr(16),
        datagram: IPV4..len,
    })
}

#[inline]
fn over_v6(packet: &[u8]) -> Option<Ends> {
    let header = packet.first_chunk::<IPV6>()?;
    let [version, _, _, _, high, low, PROTOCOL, ..] = *header else {
        return None;
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if version >> 4 != 6 || len < UDP || IPV6 + len > packet.len() {
        return None;
    }
    let (addresses, _) = header[8..].as_chunks::<16>();
    let [from, to] = *addresses else { return None };
    Some(Ends {
        from: Addr(from),
        to: Addr(to),
        datagram: IPV6..IPV6 + len,
    })
}

#[inline]
fn is_right(from: Addr, to: Addr, datagram: &[u8], checksum: u16) -> bool {
    if checksum == 0 {
        // Over IPv6 there is no packet without a checksum (RFC 8200 §8.1).
        return to.is_v4();
    }
    let pseudo = pseudo(from, to, datagram.len());
    pseudo.word(sum(datagram)).checksum() == 0 || pseudo.checksum() == !checksum
}

/// Writes headers in front of the payload; gives where the frame begins. With `tagged` it is one for
/// [`Hop::under`], else one for [`Hop::interface`]. `None` if there is no room for them, the packet does not fit
/// the hop, or its ends are of different families.
#[inline]
pub(crate) fn write(
    buffer: &mut [u8],
    payload: Range<usize>,
    course: &Course,
    hop: &Hop,
    tagged: bool,
) -> Option<usize> {
    let is_v4 = course.is_v4()?;
    let headers = UDP + if is_v4 { IPV4 } else { IPV6 };
    let len = headers + payload.len();
    let tag = if tagged { hop.vlan } else { 0 };
    let link = if tag == 0 { ETHERNET } else { ETHERNET + TAG };
    if len > usize::from(hop.mtu) {
        return None;
    }
    let start = payload.start.checked_sub(headers + link)?;
    let datagram = udp(course, buffer.get(payload.clone())?)?;
    let frame = &mut buffer[start..payload.start];
    let (ethernet, rest) = frame.split_at_mut(link);
    let (ip, rest) = rest.split_at_mut(headers - UDP);
    rest.copy_from_slice(&datagram);
    ethernet[..6].copy_from_slice(&hop.to);
    ethernet[6..12].copy_from_slice(&hop.from);
    ethernet[link - 2..].copy_from_slice(&if is_v4 { IS_IPV4 } else { IS_IPV6 });
    if tag != 0 {
        ethernet[12..14].copy_from_slice(&IS_VLAN);
        ethernet[14..16].copy_from_slice(&tag.to_be_bytes());
    }
    if is_v4 {
        ip.copy_from_slice(&v4(course, len as u16, hop.life));
    } else {
        ip.copy_from_slice(&v6(course, (len - IPV6) as u16, hop.life));
    }
    Some(start)
}

/// The UDP header of a payload, checksum included; `None` if that is too long for one.
#[inline]
pub(super) fn udp(course: &Course, payload: &[u8]) -> Option<[u8; UDP]> {
    let len = u16::try_from(UDP + payload.len()).ok()?;
    let (from, to) = (course.from, course.to);
    let sum = pseudo(from.addr, to.addr, usize::from(len))
        .word(from.port)
        .word(to.port)
        .word(len)
        .word(sum(payload));
    let mut header = [0; UDP];
    let words = [from.port, to.port, len, sum.udp_checksum()];
    let (places, _) = header.as_chunks_mut::<2>();
    for (place, word) in places.iter_mut().zip(words) {
        *place = word.to_be_bytes();
    }
    Some(header)
}

#[inline]
fn v4(course: &Course, len: u16, life: u8) -> [u8; IPV4] {
    let mut header = [0; IPV4];
    header[..2].copy_from_slice(&[0x45, course.tos]);
    header[2..4].copy_from_slice(&len.to_be_bytes());
    header[6..8].copy_from_slice(&DONT_FRAGMENT);
    header[8..10].copy_from_slice(&[life, PROTOCOL]);
    header[12..16].copy_from_slice(&course.from.addr.0[12..]);
    header[16..].copy_from_slice(&course.to.addr.0[12..]);
    let checksum = !sum(&header);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}

#[inline]
fn v6(course: &Course, len: u16, life: u8) -> [u8; IPV6] {
    let mut header = [0; IPV6];
    header[..2].copy_from_slice(&[0x60 | course.tos >> 4, course.tos << 4]);
    header[4..6].copy_from_slice(&len.to_be_bytes());
    header[6..8].copy_from_slice(&[PROTOCOL, life]);
    header[8..24].copy_from_slice(&course.from.addr.0);
    header[24..].copy_from_slice(&course.to.addr.0);
    header
}

/// The sum over a pseudo header (RFC 768, RFC 8200 §8.1). An IPv4 address counts in its mapped form: what that
/// adds is 0xffff, which a ones' complement sum does not notice.
#[inline]
fn pseudo(from: Addr, to: Addr, len: usize) -> Sum {
    let sums = [sum(&from.0), sum(&to.0), len as u16, u16::from(PROTOCOL)];
    sums.into_iter().fold(Sum::default(), Sum::word)
}

/// The ones' complement sum of bytes, eight at a time and in the machine's own order (RFC 1071 §2 (B), (C)).
#[inline]
fn sum(bytes: &[u8]) -> u16 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let add = |sum: u64, word: [u8; 8]| {
        let (sum, carry) = sum.overflowing_add(u64::from_ne_bytes(word));
        sum + u64::from(carry)
    };
    let sum = words.iter().fold(0, |sum, word| add(sum, *word));
    let sum = add(sum, last);
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    u16::from_be(sum as u16)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn course(v6: bool) -> Course {
        let (from, to): (IpAddr, IpAddr) = if v6 {
            (
                "2001:db8::1".parse().expect("v6"),
                "2001:db8::2".parse().expect("v6"),
            )
        } else {
            ([192, 0, 2, 1].into(), [192, 0, 2, 2].into())
        };
        Course {
            from: Endpoint::new(from, 30_000),
            to: Endpoint::new(to, 40_000),
            scope: 0,
            tos: 0xb8,
        }
    }

    fn hop() -> Hop {
        Hop {
            interface: 4,
            under: 3,
            vlan: 7,
            to: [2, 0, 0, 0, 0, 2],
            from: [2, 0, 0, 0, 0, 1],
            mtu: 1500,
            life: 64,
        }
    }

    /// A frame, and what it should be read as.
    fn framed(v6: bool, tagged: bool, payload: &[u8]) -> (Vec<u8>, Arrived) {
        let course = course(v6);
        let mut buffer = vec![0xaa; HEADROOM];
        buffer.extend(payload);
        let range = HEADROOM..buffer.len();
        let start = write(&mut buffer, range, &course, &hop(), tagged).expect("it fits");
        let frame = buffer.split_off(start);
        let arrived = Arrived {
            local: course.to,
            source: course.from,
            payload: frame.len() - payload.len()..frame.len(),
        };
        (frame, arrived)
    }

    /// Every combination of family and tag.
    fn each(test: impl Fn(bool, bool)) {
        for v6 in [false, true] {
            for tagged in [false, true] {
                test(v6, tagged);
            }
        }
    }

    #[test]
    fn the_fast_sum_is_the_contracts() {
        let bytes: Vec<u8> = (0..300_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        for start in 0..9 {
            for end in start..bytes.len() {
                let slow = Sum::default().bytes(&bytes[start..end]).checksum();
                assert_eq!(!sum(&bytes[start..end]), slow, "{start}..{end}");
            }
        }
        let full = [0xff; 4096];
        assert_eq!(sum(&full), 0xffff);
        assert_eq!(sum(&[]), 0);
    }

    #[test]
    fn what_is_written_is_read_back() {
        each(|v6, tagged| {
            for len in [0, 1, 2, 7, 8, 172, 1200] {
                let payload: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
                let (frame, arrived) = framed(v6, tagged, &payload);
                assert_eq!(
                    parse(&frame),
                    Some(arrived.clone()),
                    "{v6} {tagged} {len} bytes"
                );
                assert_eq!(frame[arrived.payload], payload);
            }
        });
    }

    #[test]
    fn the_bytes_in_front_are_the_standards() {
        let (frame, _) = framed(false, true, b"media");
        let ethernet = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x81, 0, 0, 7, 8, 0];
        assert_eq!(frame[..18], ethernet);
        let ip = [
            0x45, 0xb8, 0, 33, 0, 0, 0x40, 0, 64, 17, 0xb6, 0x10, 192, 0, 2, 1, 192, 0, 2, 2,
        ];
        assert_eq!(frame[18..38], ip);
        let sum = Sum::default()
            .bytes(&ip[12..])
            .word(17)
            .word(13)
            .word(30_000)
            .word(40_000)
            .word(13)
            .bytes(b"media");
        let [high, low] = sum.udp_checksum().to_be_bytes();
        assert_eq!(frame[38..46], [0x75, 0x30, 0x9c, 0x40, 0, 13, high, low]);
        let (frame, _) = framed(true, false, b"media");
        assert_eq!(frame[14..22], [0x6b, 0x80, 0, 0, 0, 13, 17, 64]);
        assert_eq!(frame.len(), ETHERNET + IPV6 + UDP + 5);
    }

    #[test]
    fn padding_behind_a_short_packet_is_no_payload() {
        each(|v6, tagged| {
            let (mut frame, arrived) = framed(v6, tagged, b"x");
            frame.resize(120, 0);
            assert_eq!(parse(&frame), Some(arrived));
        });
    }

    #[test]
    fn a_changed_byte_is_found_and_a_cut_frame_is_none() {
        each(|v6, tagged| {
            let (frame, arrived) = framed(v6, tagged, b"some media");
            let ip = arrived.payload.start - UDP - if v6 { IPV6 } else { IPV4 };
            for at in ip - 2..frame.len() {
                let mut wrong = frame.clone();
                wrong[at] ^= 0x10;
                // Class, label and hop limit of IPv6 are under no checksum.
                let is_covered = !v6 || !(ip + 1..ip + 4).contains(&at) && at != ip + 7;
                if is_covered {
                    assert_eq!(parse(&wrong), None, "byte {at} of {frame:x?}");
                }
            }
            for len in 0..frame.len() {
                assert_eq!(parse(&frame[..len]), None, "{len} bytes");
            }
        });
    }

    #[test]
    fn checksums_may_be_absent_over_ipv4_and_partial_over_both() {
        each(|v6, tagged| {
            let (mut frame, arrived) = framed(v6, tagged, b"some media");
            let at = arrived.payload.start - 2;
            frame[at..at + 2].fill(0);
            assert_eq!(parse(&frame).is_some(), !v6);
            let pseudo = pseudo(arrived.source.addr, arrived.local.addr, UDP + 10);
            frame[at..at + 2].copy_from_slice(&(!pseudo.checksum()).to_be_bytes());
            assert_eq!(parse(&frame), Some(arrived));
        });
    }

    #[test]
    fn fragments_options_and_other_protocols_are_none() {
        let (frame, _) = framed(false, false, b"some media");
        let change = |at: usize, byte: u8| {
            let mut frame = frame.clone();
            frame[ETHERNET + at] = byte;
            frame[ETHERNET + 10..ETHERNET + 12].fill(0);
            let checksum = !sum(&frame[ETHERNET..ETHERNET + IPV4]);
            frame[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&checksum.to_be_bytes());
            parse(&frame).is_some()
        };
        assert!(change(8, 1), "a packet at the end of its life has arrived");
        assert!(change(6, 0x00), "it may have been fragmented");
        for (at, byte) in [(6, 0x20), (7, 1), (0, 0x46), (0, 0x55), (9, 6), (3, 27)] {
            assert!(!change(at, byte), "{byte:#x} at {at}");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let course = course(false);
        let mut buffer = vec![0; 2000];
        let fits = |hop: &Hop, payload: Range<usize>, buffer: &mut [u8]| {
            write(buffer, payload, &course, hop, true).is_some()
        };
        assert!(fits(&hop(), 100..1572, &mut buffer));
        assert!(!fits(&hop(), 100..1573, &mut buffer), "longer than the MTU");
        assert!(!fits(&hop(), 45..50, &mut buffer), "no headroom");
        assert!(!fits(&hop(), 100..2001, &mut buffer), "beyond the buffer");
        let between = Course {
            to: self::course(true).to,
            ..course
        };
        assert_eq!(write(&mut buffer, 100..200, &between, &hop(), false), None);
    }
}
