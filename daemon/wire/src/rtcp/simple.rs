//! BYE, APP (RFC 3550 §6.6, §6.7) and extended reports (RFC 3611).

use super::compound::word;
use super::{Packet, PacketType};
use crate::ids::Ssrc;

/// A goodbye.
#[derive(Clone, Copy, Debug)]
pub struct Bye<'p> {
    sources: &'p [u8],
    reason: &'p [u8],
}

impl<'p> Bye<'p> {
    /// Reads a packet; `None` if it is another type or shorter than its count says.
    pub fn of(packet: &Packet<'p>) -> Option<Self> {
        if packet.kind() != PacketType::Bye {
            return None;
        }
        let (sources, rest) = packet
            .body()
            .split_at_checked(4 * usize::from(packet.count()))?;
        let reason = rest
            .split_first()
            .and_then(|(len, text)| text.get(..usize::from(*len)));
        Some(Self {
            sources,
            reason: reason.unwrap_or_default(),
        })
    }

    /// Who leaves.
    pub fn sources(&self) -> impl ExactSizeIterator<Item = Ssrc> + Clone + use<'p> {
        self.sources
            .chunks_exact(4)
            .map(|s| Ssrc(word(s, 0).unwrap_or_default()))
    }

    /// Why; empty if not told.
    pub const fn reason(&self) -> &'p [u8] {
        self.reason
    }
}

/// An application's own packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct App<'p> {
    /// Who sends it.
    pub ssrc: Ssrc,
    /// The application's own subtype.
    pub subtype: u8,
    /// The application's name.
    pub name: [u8; 4],
    /// The application's data.
    pub data: &'p [u8],
}

impl<'p> App<'p> {
    /// Reads a packet; `None` if it is another type or too short.
    pub fn of(packet: &Packet<'p>) -> Option<Self> {
        if packet.kind() != PacketType::App {
            return None;
        }
        let body = packet.body();
        Some(Self {
            ssrc: Ssrc(word(body, 0)?),
            subtype: packet.count(),
            name: word(body, 4)?.to_be_bytes(),
            data: &body[8..],
        })
    }
}

/// An extended report.
#[derive(Clone, Copy, Debug)]
pub struct ExtendedReport<'p> {
    /// Who reports.
    pub ssrc: Ssrc,
    blocks: &'p [u8],
}

/// One block of an extended report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XrBlock<'p> {
    /// The block type: 4 receiver reference time, 5 DLRR, 6 statistics summary, 7 VoIP metrics, …
    pub kind: u8,
    /// The type's own byte.
    pub specific: u8,
    /// The words after the block's header.
    pub data: &'p [u8],
}

impl<'p> ExtendedReport<'p> {
    /// Reads a packet; `None` if it is another type or too short.
    pub fn of(packet: &Packet<'p>) -> Option<Self> {
        if packet.kind() != PacketType::ExtendedReport {
            return None;
        }
        let body = packet.body();
        Some(Self {
            ssrc: Ssrc(word(body, 0)?),
            blocks: &body[4..],
        })
    }

    /// The blocks. What is malformed ends them.
    pub fn blocks(&self) -> impl Iterator<Item = XrBlock<'p>> + use<'p> {
        let mut rest = self.blocks;
        std::iter::from_fn(move || {
            let (&[kind, specific, high, low], after) = rest.split_first_chunk()?;
            let len = 4 * usize::from(u16::from_be_bytes([high, low]));
            let (data, after) = after.split_at_checked(len)?;
            rest = after;
            Some(XrBlock {
                kind,
                specific,
                data,
            })
        })
    }
}
