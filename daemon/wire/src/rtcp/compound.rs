//! A datagram of RTCP packets: the checks that come before all else (RFC 3550 A.2, RFC 5506 §3.4.2).

use thiserror::Error;

use crate::ids::Ssrc;

/// Length of the common header.
const HEADER: usize = 4;
/// Shortest datagram that is RTCP: a header and the source that it is about.
pub(super) const SHORTEST: usize = 8;

/// Why bytes are not RTCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RtcpError {
    /// Shorter than a header and a source.
    #[error("{0} bytes are no RTCP packet")]
    Short(u32),
    /// A packet of another version than 2, at this byte.
    #[error("no RTCP version 2 at byte {0}")]
    Version(u32),
    /// A packet of another type than 192 to 223, at this byte.
    #[error("no RTCP packet type at byte {0}")]
    Type(u32),
    /// A packet that ends beyond the datagram, at this byte.
    #[error("RTCP packet at byte {0} does not fit")]
    Length(u32),
    /// Padding in another packet than the last, or more of it than there are bytes.
    #[error("wrong RTCP padding at byte {0}")]
    Padding(u32),
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PacketType {
    /// 200, RFC 3550 §6.4.1
    SenderReport,
    /// 201, RFC 3550 §6.4.2
    ReceiverReport,
    /// 202, RFC 3550 §6.5
    Sdes,
    /// 203, RFC 3550 §6.6
    Bye,
    /// 204, RFC 3550 §6.7
    App,
    /// 205, RFC 4585 §6.2
    TransportFeedback,
    /// 206, RFC 4585 §6.3
    PayloadFeedback,
    /// 207, RFC 3611 §2
    ExtendedReport,
    /// Any other.
    Other(u8),
}

impl PacketType {
    /// The type of that number.
    pub const fn of(number: u8) -> Self {
        match number {
            200 => Self::SenderReport,
            201 => Self::ReceiverReport,
            202 => Self::Sdes,
            203 => Self::Bye,
            204 => Self::App,
            205 => Self::TransportFeedback,
            206 => Self::PayloadFeedback,
            207 => Self::ExtendedReport,
            other => Self::Other(other),
        }
    }

    /// Whether it is feedback (RFC 4585), which plain AVP does not carry.
    pub const fn is_feedback(self) -> bool {
        matches!(self, Self::TransportFeedback | Self::PayloadFeedback)
    }
}

/// A datagram of one or more RTCP packets, checked.
///
/// Whether it begins with a report, as RFC 3550 wants it, or is of reduced size is not asked.
#[derive(Clone, Copy, Debug)]
pub struct Compound<'p>(&'p [u8]);

impl<'p> Compound<'p> {
    /// Checks the datagram.
    #[inline]
    pub fn parse(datagram: &'p [u8]) -> Result<Self, RtcpError> {
        if datagram.len() < SHORTEST {
            return Err(RtcpError::Short(datagram.len() as u32));
        }
        let mut at = 0;
        while at < datagram.len() {
            at = check(datagram, at)?;
        }
        Ok(Self(datagram))
    }

    /// The packets, in order.
    pub const fn packets(&self) -> Packets<'p> {
        Packets(self.0)
    }

    /// Whether it begins with a sender or receiver report; if not, it is of reduced size.
    pub const fn begins_with_report(&self) -> bool {
        matches!(self.0[1], 200 | 201)
    }

    /// The source that sent it: that of its first packet, if it has one.
    pub fn sender(&self) -> Option<Ssrc> {
        self.packets().next().and_then(|p| p.sender())
    }
}

/// Checks the packet at `at` and tells where the next one begins.
#[inline]
fn check(datagram: &[u8], at: usize) -> Result<usize, RtcpError> {
    let rest = &datagram[at..];
    let here = at as u32;
    let &[first, kind, high, low, ..] = rest else {
        return Err(RtcpError::Length(here));
    };
    if first >> 6 != 2 {
        return Err(RtcpError::Version(here));
    }
    if !matches!(kind, 192..=223) {
        return Err(RtcpError::Type(here));
    }
    let len = HEADER + 4 * usize::from(u16::from_be_bytes([high, low]));
    let packet = rest.get(..len).ok_or(RtcpError::Length(here))?;
    if first & 0x20 != 0 {
        let padding = usize::from(packet[len - 1]);
        let fits = padding != 0 && padding <= len - HEADER;
        if len != rest.len() || !fits {
            return Err(RtcpError::Padding(here));
        }
    }
    Ok(at + len)
}

/// Iterates over the packets of a checked compound.
#[derive(Clone, Debug)]
pub struct Packets<'p>(&'p [u8]);

impl<'p> Iterator for Packets<'p> {
    type Item = Packet<'p>;

    #[inline]
    fn next(&mut self) -> Option<Packet<'p>> {
        let len = packet_len(self.0)?;
        let (packet, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(Packet(packet))
    }
}

/// What the header at the start of `rest` says of its packet's length; `None` at the end.
#[inline]
pub(super) fn packet_len(rest: &[u8]) -> Option<usize> {
    let &[_, _, high, low, ..] = rest else {
        return None;
    };
    Some(HEADER + 4 * usize::from(u16::from_be_bytes([high, low])))
}

/// One packet of a checked compound.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'p>(&'p [u8]);

impl<'p> Packet<'p> {
    /// What it is.
    #[inline]
    pub const fn kind(&self) -> PacketType {
        PacketType::of(self.0[1])
    }

    /// The five bits after version and padding: a count, a subtype or a feedback format.
    #[inline]
    pub const fn count(&self) -> u8 {
        self.0[0] & 0x1f
    }

    /// The whole packet.
    #[inline]
    pub const fn bytes(&self) -> &'p [u8] {
        self.0
    }

    /// What follows the common header, without padding.
    #[inline]
    pub fn body(&self) -> &'p [u8] {
        let padded = self.0[0] & 0x20 != 0;
        let padding = if padded {
            usize::from(self.0[self.0.len() - 1])
        } else {
            0
        };
        self.0
            .get(HEADER..self.0.len() - padding)
            .unwrap_or_default()
    }

    /// The source in the first word after the header, where all types but SDES and BYE have their
    /// sender; these two name it in their first chunk.
    pub fn sender(&self) -> Option<Ssrc> {
        word(self.body(), 0).map(Ssrc)
    }
}

/// The big-endian 32-bit word at byte `at`.
#[inline]
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|w| u32::from_be_bytes(*w))
}
