//! Sender and receiver reports (RFC 3550 §6.4).

use super::compound::word;
use super::{Ntp, Packet, PacketType};
use crate::ids::Ssrc;

/// Length of one report block.
const BLOCK: usize = 24;

/// A sender report.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport<'p> {
    /// Who sends.
    pub ssrc: Ssrc,
    /// Wall clock when it was sent.
    pub ntp: Ntp,
    /// The same instant as an RTP timestamp.
    pub rtp_timestamp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub octets: u32,
    blocks: &'p [u8],
}

impl<'p> SenderReport<'p> {
    /// Reads a packet; `None` if it is another type or shorter than its count says.
    pub fn of(packet: &Packet<'p>) -> Option<Self> {
        if packet.kind() != PacketType::SenderReport {
            return None;
        }
        let body = packet.body();
        Some(Self {
            ssrc: Ssrc(word(body, 0)?),
            ntp: Ntp(u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?)),
            rtp_timestamp: word(body, 12)?,
            packets: word(body, 16)?,
            octets: word(body, 20)?,
            blocks: blocks(packet, 24)?,
        })
    }

    /// What it reports of the streams that its sender receives.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = ReportBlock> + Clone + use<'p> {
        self.blocks.chunks_exact(BLOCK).map(ReportBlock::of)
    }
}

/// A receiver report.
#[derive(Clone, Copy, Debug)]
pub struct ReceiverReport<'p> {
    /// Who reports.
    pub ssrc: Ssrc,
    blocks: &'p [u8],
}

impl<'p> ReceiverReport<'p> {
    /// Reads a packet; `None` if it is another type or shorter than its count says.
    pub fn of(packet: &Packet<'p>) -> Option<Self> {
        if packet.kind() != PacketType::ReceiverReport {
            return None;
        }
        Some(Self {
            ssrc: Ssrc(word(packet.body(), 0)?),
            blocks: blocks(packet, 4)?,
        })
    }

    /// What it reports of the streams that its sender receives.
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = ReportBlock> + Clone + use<'p> {
        self.blocks.chunks_exact(BLOCK).map(ReportBlock::of)
    }
}

/// What a receiver says of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream that it is about.
    pub ssrc: u32,
    /// Packets lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost so far, less duplicates; signed, 24 bits.
    pub cumulative_lost: i32,
    /// Highest sequence number received, extended by its cycles.
    pub highest_sequence: u32,
    /// Interarrival jitter in RTP timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time in the last sender report; 0 before the first.
    pub last_sr: u32,
    /// Time since that report came, in 65536ths of a second.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    fn of(bytes: &[u8]) -> Self {
        let at = |n: usize| word(bytes, n).unwrap_or_default();
        Self {
            ssrc: at(0),
            fraction_lost: (at(4) >> 24) as u8,
            cumulative_lost: (at(4) << 8).cast_signed() >> 8,
            highest_sequence: at(8),
            jitter: at(12),
            last_sr: at(16),
            delay_since_last_sr: at(20),
        }
    }
}

/// The report blocks from byte `at` of the body, as many as the count says.
fn blocks<'p>(packet: &Packet<'p>, at: usize) -> Option<&'p [u8]> {
    packet
        .body()
        .get(at..at + BLOCK * usize::from(packet.count()))
}
