//! What the packets carry: a pattern that differs in every byte from packet to packet, the
//! payloads of a recording, or a tone. All are made before the clock and looked up on it.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};

use super::{RtpStream, tone};
use crate::io::frame;

/// The longest payload: an Ethernet frame less IPv6, UDP and RTP headers.
pub(crate) const LONGEST: usize = 1500 - 40 - 8 - 12;
/// Packets taken of a recording.
const RECORDED: usize = 100_000;
const TABLE: usize = 1 << 16;

/// A source of payload bytes, a function of stream and sequence number.
pub(crate) enum Payload {
    /// Pseudo-random bytes.
    Pattern { table: Vec<u8>, len: usize },
    /// The RTP payloads of a recording, in a circle.
    Recorded(Vec<Vec<u8>>),
    /// A G.711 tone, another for each side.
    Tones([tone::Tone; 2]),
}

impl Payload {
    /// Pattern payloads of `len` bytes.
    pub(crate) fn pattern(len: usize) -> Result<Self> {
        ensure!(
            (1..=LONGEST).contains(&len),
            "a payload has 1 to {LONGEST} bytes, not {len}"
        );
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            // xorshift64*: fills the table once, quality does not matter
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d)
        };
        let words = (TABLE + LONGEST).div_ceil(8);
        let table = (0..words).flat_map(|_| next().to_le_bytes()).collect();
        Ok(Self::Pattern { table, len })
    }

    /// The RTP payloads found in a pcap or pcapng file.
    pub(crate) fn recorded(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let payloads = read(file).with_context(|| format!("reading {}", path.display()))?;
        ensure!(
            !payloads.is_empty(),
            "{} holds no RTP over UDP",
            path.display()
        );
        Ok(Self::Recorded(payloads))
    }

    /// The payload of one packet.
    pub(crate) fn bytes(&self, stream: &RtpStream, seq: u32) -> &[u8] {
        match self {
            Self::Pattern { table, len } => {
                let mixed = (stream.ssrc.wrapping_mul(0x9e37_79b1) ^ seq).wrapping_mul(0x85eb_ca6b);
                let start = (mixed >> 16) as usize;
                &table[start..start + len]
            }
            Self::Recorded(payloads) => {
                &payloads[(stream.ssrc.wrapping_add(seq)) as usize % payloads.len()]
            }
            Self::Tones(tones) => tones[stream.side() as usize].frame(seq),
        }
    }
}

fn read(mut file: File) -> Result<Vec<Vec<u8>>> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic)?;
    file.rewind()?;
    let mut payloads = Vec::new();
    if magic == [0x0a, 0x0d, 0x0d, 0x0a] {
        let mut reader = PcapNgReader::new(file)?;
        while let Some(block) = reader.next_block() {
            if let Block::EnhancedPacket(packet) = block? {
                payloads.extend(rtp_payload(&packet.data));
            }
            if payloads.len() == RECORDED {
                break;
            }
        }
    } else {
        let mut reader = PcapReader::new(file)?;
        if reader.header().datalink != DataLink::ETHERNET {
            bail!("link type {:?}, want Ethernet", reader.header().datalink);
        }
        while let Some(packet) = reader.next_packet() {
            payloads.extend(rtp_payload(&packet?.data));
            if payloads.len() == RECORDED {
                break;
            }
        }
    }
    Ok(payloads)
}

/// What follows the fixed RTP header and the CSRC list; extensions are left to the payload.
fn rtp_payload(frame: &[u8]) -> Option<Vec<u8>> {
    let packet = frame::parse(frame, false)?.payload;
    let [first @ 128..=191, kind, ..] = packet else {
        return None;
    };
    if (192..=223).contains(kind) {
        return None; // RTCP (RFC 5761 §4)
    }
    let payload = packet.get(12 + 4 * usize::from(first & 15)..)?;
    (!payload.is_empty() && payload.len() <= LONGEST).then(|| payload.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::ledger::tests::streams;

    #[test]
    fn neighbouring_packets_and_streams_differ() {
        let payload = Payload::pattern(160).expect("a length");
        let streams = streams(2);
        for seq in [0, 1, 65_535, 65_536, u32::MAX - 1] {
            let here = payload.bytes(&streams[0], seq);
            assert_eq!(here.len(), 160);
            for other in [
                payload.bytes(&streams[0], seq + 1),
                payload.bytes(&streams[1], seq),
            ] {
                assert!(here.iter().zip(other).filter(|(a, b)| a == b).count() < 20);
            }
        }
    }

    #[test]
    fn a_recording_gives_its_rtp_payloads_and_nothing_else() {
        let template = frame::Template::new(
            [2; 6],
            [4; 6],
            "10.0.0.1:4000".parse().expect("address"),
            "10.0.0.2:5000".parse().expect("address"),
        );
        let packets: [&[u8]; 4] = [
            b"\x80\x00\0\x01\0\0\0\0\0\0\0\x09first",
            b"\x80\xc8\0\x01\0\0\0\0\0\0\0\x09an RTCP packet",
            b"not RTP at all, really",
            b"\x81\x00\0\x02\0\0\0\0\0\0\0\x09CSRCsecond",
        ];
        let path = std::env::temp_dir().join(format!("patchload-{}.pcap", std::process::id()));
        let file = File::create(&path).expect("a file");
        let mut writer = pcap_file::pcap::PcapWriter::new(file).expect("a header");
        for packet in packets {
            let mut bytes = [0; 200];
            let len = template.write(&mut bytes, |slot| {
                slot[..packet.len()].copy_from_slice(packet);
                packet.len()
            });
            let packet = pcap_file::pcap::PcapPacket::new(
                std::time::Duration::ZERO,
                len as u32,
                &bytes[..len],
            );
            writer.write_packet(&packet).expect("written");
        }
        drop(writer);
        let Payload::Recorded(got) = Payload::recorded(&path).expect("read") else {
            panic!("a recording")
        };
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(got, [b"first".to_vec(), b"second".to_vec()]);
    }
}
