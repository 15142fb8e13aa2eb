//! RTP and RTCP packets as the tests send and see them (RFC 3550 §5.1, §6.4).

/// A received RTP packet, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Payload type.
    pub kind: u8,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Source of the RTP stream.
    pub ssrc: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Packet {
    /// The packet in `datagram`, where it is RTP without extension and contributors.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let (header, payload) = datagram.split_at_checked(12)?;
        let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| header[at + byte]));
        (header[0] == 0x80).then(|| Self {
            kind: header[1] & 0x7f,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: word(4),
            ssrc: word(8),
            payload: payload.to_vec(),
        })
    }
}

/// An RTP packet of PCMU.
pub fn rtp(sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A sender report without report blocks, and the CNAME that a compound packet needs.
pub fn sender_report(ssrc: u32, packets: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 200, 0, 6];
    for word in [ssrc, 0xe000_0000, 0, packets * 160, packets, packets * 160] {
        packet.extend(word.to_be_bytes());
    }
    packet.extend(source_description(ssrc));
    packet
}

/// An empty receiver report, and the CNAME that a compound packet needs.
pub fn receiver_report(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend(source_description(ssrc));
    packet
}

fn source_description(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x81, 202, 0, 3];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([1, 4, b't', b'e', b's', b't', 0, 0]);
    packet
}
