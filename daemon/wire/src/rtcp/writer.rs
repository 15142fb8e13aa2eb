//! Writes the reports of a participant: SR, RR and the SDES with its CNAME (RFC 3550 §6.4, §6.5).

use super::item::{CNAME, MID};
use super::{Ntp, ReportBlock};

/// What a sender report says beside its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// Who sends.
    pub ssrc: u32,
    /// The sender's clock.
    pub ntp: Ntp,
    /// The same instant as an RTP timestamp.
    pub rtp_timestamp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub octets: u32,
}

/// Writes packets one after the other into a buffer. What does not fit is left out whole.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    len: usize,
}

impl<'b> Writer<'b> {
    /// Begins at the start of `buffer`.
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// The bytes written.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A sender report; at most 31 blocks.
    pub fn sender_report(&mut self, info: &SenderInfo, blocks: &[ReportBlock]) {
        let body = [
            info.ssrc,
            (info.ntp.0 >> 32) as u32,
            info.ntp.0 as u32,
            info.rtp_timestamp,
            info.packets,
            info.octets,
        ];
        self.report(200, &body, blocks);
    }

    /// A receiver report; at most 31 blocks.
    pub fn receiver_report(&mut self, ssrc: u32, blocks: &[ReportBlock]) {
        self.report(201, &[ssrc], blocks);
    }

    /// A source description that gives all of `ssrcs` the same CNAME; at most 31 of them.
    pub fn canonical_name(&mut self, ssrcs: impl ExactSizeIterator<Item = u32>, name: &[u8]) {
        self.names(ssrcs, &[(CNAME, name)]);
    }

    /// The same, with the section that they are in (RFC 9143 §15.1).
    pub fn names_in(
        &mut self,
        ssrcs: impl ExactSizeIterator<Item = u32>,
        name: &[u8],
        section: &[u8],
    ) {
        self.names(ssrcs, &[(CNAME, name), (MID, section)]);
    }

    fn names(&mut self, ssrcs: impl ExactSizeIterator<Item = u32>, items: &[(u8, &[u8])]) {
        let count = ssrcs.len().min(31);
        let text = |text: &'_ [u8]| text.len().min(255);
        let len: usize = items.iter().map(|(_, name)| 2 + text(name)).sum();
        // The item list ends in one to four zero bytes, at a 32-bit boundary.
        let chunk = 4 + len / 4 * 4 + 4;
        let Some(packet) = self.packet(count, 202, count * chunk) else {
            return;
        };
        for (ssrc, chunk) in ssrcs.zip(packet.chunks_exact_mut(chunk)) {
            let (head, mut rest) = chunk.split_at_mut(4);
            head.copy_from_slice(&ssrc.to_be_bytes());
            for (kind, name) in items {
                let (item, behind) = rest.split_at_mut(2 + text(name));
                item[..2].copy_from_slice(&[*kind, text(name) as u8]);
                item[2..].copy_from_slice(&name[..text(name)]);
                rest = behind;
            }
            rest.fill(0);
        }
    }

    fn report(&mut self, kind: u8, head: &[u32], blocks: &[ReportBlock]) {
        let blocks = &blocks[..blocks.len().min(31)];
        let words = blocks.iter().flat_map(ReportBlock::words);
        let len = 4 * head.len() + 24 * blocks.len();
        let Some(packet) = self.packet(blocks.len(), kind, len) else {
            return;
        };
        let words = head.iter().copied().chain(words);
        for (place, word) in packet.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
    }

    /// The body of a new packet, `len` bytes, a multiple of four.
    fn packet(&mut self, count: usize, kind: u8, len: usize) -> Option<&mut [u8]> {
        let packet = self.buffer.get_mut(self.len..self.len + 4 + len)?;
        self.len += packet.len();
        let (header, body) = packet.split_at_mut(4);
        let [high, low] = ((len / 4) as u16).to_be_bytes();
        header.copy_from_slice(&[0x80 | count as u8, kind, high, low]);
        Some(body)
    }
}

impl ReportBlock {
    /// As it stands in a report; what does not fit its field is clamped.
    fn words(&self) -> [u32; 6] {
        let lost = self.cumulative_lost.clamp(-0x80_0000, 0x7f_ffff);
        let lost = lost.cast_unsigned() & 0xff_ffff;
        [
            self.ssrc,
            u32::from(self.fraction_lost) << 24 | lost,
            self.highest_sequence,
            self.jitter,
            self.last_sr,
            self.delay_since_last_sr,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Compound, ReceiverReport, Sdes, SenderReport};
    use super::*;

    const INFO: SenderInfo = SenderInfo {
        ssrc: 0xfeed_beef,
        ntp: Ntp(0x1234_5678_9abc_def0),
        rtp_timestamp: 0xffff_fff0,
        packets: 7,
        octets: 1_120,
    };

    fn block(cumulative_lost: i32) -> ReportBlock {
        ReportBlock {
            ssrc: 1,
            fraction_lost: 255,
            cumulative_lost,
            highest_sequence: 0x0001_0002,
            jitter: 3,
            last_sr: 4,
            delay_since_last_sr: 5,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut buffer = [0xff; 256];
        let mut writer = Writer::new(&mut buffer);
        let blocks = [block(-1), block(0x7f_ffff)];
        writer.sender_report(&INFO, &blocks);
        writer.canonical_name([1, 2].into_iter(), b"abcdef");
        let len = writer.len();
        let compound = Compound::parse(&buffer[..len]).expect("a compound");
        let packets: Vec<_> = compound.packets().collect();
        let report = SenderReport::of(&packets[0]).expect("a sender report");
        let read = SenderInfo {
            ssrc: report.ssrc.0,
            ntp: report.ntp,
            rtp_timestamp: report.rtp_timestamp,
            packets: report.packets,
            octets: report.octets,
        };
        assert_eq!(read, INFO);
        assert!(report.blocks().eq(blocks));
        let sdes = Sdes::of(&packets[1]).expect("a source description");
        let names = sdes.chunks().map(|chunk| {
            let item = chunk.items().next().expect("an item");
            (chunk.ssrc.0, item.kind, item.text)
        });
        assert!(names.eq([
            (1, CNAME, b"abcdef".as_slice()),
            (2, CNAME, b"abcdef".as_slice())
        ]));
    }

    #[test]
    fn streams_are_named_with_their_section() {
        for len in 1..=9 {
            let mut buffer = [0; 128];
            let section = &b"123456789"[..len];
            let mut writer = Writer::new(&mut buffer);
            writer.receiver_report(1, &[]);
            writer.names_in([1, 2].into_iter(), b"abcdef", section);
            let len = writer.len();
            let compound = Compound::parse(&buffer[..len]).expect("a compound");
            let sdes = compound.packets().nth(1).expect("a second packet");
            let sdes = Sdes::of(&sdes).expect("a source description");
            let names: Vec<_> = sdes
                .chunks()
                .map(|chunk| (chunk.ssrc.0, chunk.get(CNAME), chunk.get(MID)))
                .collect();
            let named = |ssrc| (ssrc, Some(&b"abcdef"[..]), Some(section));
            assert_eq!(names, [named(1), named(2)]);
        }
    }

    #[test]
    fn loss_beyond_its_24_bits_is_clamped() {
        let mut buffer = [0; 64];
        for (lost, expected) in [(i32::MAX, 0x7f_ffff), (i32::MIN, -0x80_0000)] {
            let mut writer = Writer::new(&mut buffer);
            writer.receiver_report(9, &[block(lost)]);
            let len = writer.len();
            let compound = Compound::parse(&buffer[..len]).expect("a compound");
            let packet = compound.packets().next().expect("a packet");
            let report = ReceiverReport::of(&packet).expect("a receiver report");
            assert_eq!(
                report.blocks().next().map(|b| b.cumulative_lost),
                Some(expected)
            );
        }
    }

    #[test]
    fn a_packet_without_room_is_left_out_whole() {
        let mut buffer = [0; 16];
        let mut writer = Writer::new(&mut buffer);
        writer.receiver_report(9, &[]);
        writer.receiver_report(9, &[block(0)]);
        assert_eq!((writer.len(), writer.is_empty()), (8, false));
    }

    #[test]
    fn every_length_of_name_ends_at_a_word() {
        let name = [b'x'; 9];
        for len in 0..=name.len() {
            let mut buffer = [0xff; 64];
            let mut writer = Writer::new(&mut buffer);
            writer.receiver_report(1, &[]);
            writer.canonical_name([1].into_iter(), &name[..len]);
            let end = writer.len();
            let theirs = rtcp_types::Compound::parse(&buffer[..end]).expect("a compound");
            for packet in theirs {
                let packet = packet.expect("a packet");
                if let rtcp_types::Packet::Sdes(sdes) = packet {
                    let chunk = sdes.chunks().next().expect("a chunk");
                    let item = chunk.items().next().expect("an item");
                    assert_eq!(item.value(), &name[..len]);
                }
            }
        }
    }
}
