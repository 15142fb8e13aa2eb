//! Feedback messages (RFC 4585 §6), and taking them out towards peers that know none.

use super::compound::{SHORTEST, packet_len, word};
use super::{Packet, PacketType};
use crate::ids::Ssrc;

/// A transport-layer or payload-specific feedback message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback<'p> {
    /// Which of the two.
    pub kind: PacketType,
    /// The message's format (FMT): of payload feedback 1 is PLI, 4 FIR, 15 application (REMB).
    pub format: u8,
    /// Who sends it.
    pub sender: Ssrc,
    /// The stream that it is about; 0 where the message itself says it.
    pub media: Ssrc,
    /// The feedback control information.
    pub data: &'p [u8],
}

impl<'p> Feedback<'p> {
    /// Reads a packet; `None` if it is another type or too short.
    pub fn of(packet: &Packet<'p>) -> Option<Self> {
        if !packet.kind().is_feedback() {
            return None;
        }
        let body = packet.body();
        Some(Self {
            kind: packet.kind(),
            format: packet.count(),
            sender: Ssrc(word(body, 0)?),
            media: Ssrc(word(body, 4)?),
            data: &body[8..],
        })
    }
}

/// Cuts all feedback out of a compound that [`super::Compound::parse`] has accepted, in place, and
/// returns the new length; 0 means that nothing else was in it that is a datagram by itself: a lone
/// header of four bytes names no source and is none.
///
/// Padding belongs to the last packet; when that one goes, its padding goes with it.
#[inline]
pub fn strip_feedback(datagram: &mut [u8]) -> usize {
    let (mut read, mut kept) = (0, 0);
    while let Some(len) = packet_len(&datagram[read..]) {
        let end = (read + len).min(datagram.len());
        if !PacketType::of(datagram[read + 1]).is_feedback() {
            if read != kept {
                datagram.copy_within(read..end, kept);
            }
            kept += end - read;
        }
        read = end;
    }
    if kept < SHORTEST { 0 } else { kept }
}
