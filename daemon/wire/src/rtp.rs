//! RTP packets, viewed where they lie (RFC 3550 §5.1, header extensions RFC 8285).

use crate::ids::{PayloadType, Ssrc};

/// Length of the fixed header.
pub const HEADER: usize = 12;

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Shorter than the fixed header.
    #[error("{0} bytes are no RTP header")]
    Short(u32),
    /// Another version than 2.
    #[error("RTP version {0}")]
    Version(u8),
    /// The CSRC list or the header extension ends beyond the packet, at this byte.
    #[error("RTP header ends at byte {0}, beyond the packet")]
    Header(u32),
    /// The last byte says that there is no or more padding than there are bytes after the header.
    #[error("{0} bytes of RTP padding do not fit")]
    Padding(u8),
}

/// An RTP packet whose header was checked: CSRC list, header extension and padding lie within it.
#[derive(Clone, Copy, Debug)]
pub struct Rtp<'p> {
    packet: &'p [u8],
    /// Where the payload starts.
    payload: u32,
    /// Bytes of padding at the end.
    padding: u8,
}

impl<'p> Rtp<'p> {
    /// Checks a packet that is in the clear.
    #[inline]
    pub fn parse(packet: &'p [u8]) -> Result<Self, RtpError> {
        Self::parse_protected(packet)?.with_padding()
    }

    /// Checks the header of a packet whose payload, and so whose padding, is still encrypted
    /// (RFC 3711 §3.1); its payload runs to the end of the packet.
    #[inline]
    pub fn parse_protected(packet: &'p [u8]) -> Result<Self, RtpError> {
        if packet.len() < HEADER {
            return Err(RtpError::Short(packet.len() as u32));
        }
        if packet[0] >> 6 != 2 {
            return Err(RtpError::Version(packet[0] >> 6));
        }
        let mut end = HEADER + 4 * usize::from(packet[0] & 0x0f);
        if packet[0] & 0x10 != 0 {
            let words = packet
                .get(end + 2..end + 4)
                .ok_or(RtpError::Header(end as u32 + 4))?;
            end += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        if end > packet.len() {
            return Err(RtpError::Header(end as u32));
        }
        Ok(Self {
            packet,
            payload: end as u32,
            padding: 0,
        })
    }

    #[inline]
    fn with_padding(self) -> Result<Self, RtpError> {
        if self.packet[0] & 0x20 == 0 {
            return Ok(self);
        }
        let padding = self.packet[self.packet.len() - 1];
        if padding == 0 || usize::from(padding) > self.packet.len() - self.payload as usize {
            return Err(RtpError::Padding(padding));
        }
        Ok(Self { padding, ..self })
    }

    /// The whole packet.
    #[inline]
    pub const fn packet(&self) -> &'p [u8] {
        self.packet
    }

    /// The marker bit.
    #[inline]
    pub const fn marker(&self) -> bool {
        self.packet[1] & 0x80 != 0
    }

    /// The payload type.
    #[inline]
    pub const fn payload_type(&self) -> PayloadType {
        PayloadType::from_low_bits(self.packet[1])
    }

    /// The sequence number.
    #[inline]
    pub const fn sequence(&self) -> u16 {
        u16::from_be_bytes([self.packet[2], self.packet[3]])
    }

    /// The timestamp, in units of the payload's clock rate.
    #[inline]
    pub const fn timestamp(&self) -> u32 {
        self.word(4)
    }

    /// The synchronisation source.
    #[inline]
    pub const fn ssrc(&self) -> Ssrc {
        Ssrc(self.word(8))
    }

    /// The contributing sources.
    pub fn csrcs(&self) -> impl ExactSizeIterator<Item = Ssrc> + Clone + use<'p> {
        let list = &self.packet[HEADER..HEADER + 4 * usize::from(self.packet[0] & 0x0f)];
        list.chunks_exact(4)
            .map(|c| Ssrc(u32::from_be_bytes([c[0], c[1], c[2], c[3]])))
    }

    /// Length of the header: fixed part, CSRC list and extension.
    #[inline]
    pub const fn header_len(&self) -> usize {
        self.payload as usize
    }

    /// The payload, without padding.
    #[inline]
    pub fn payload(&self) -> &'p [u8] {
        &self.packet[self.payload as usize..self.packet.len() - usize::from(self.padding)]
    }

    /// The header extension: what its first 16 bits say, and its words.
    pub fn extension(&self) -> Option<(u16, &'p [u8])> {
        if self.packet[0] & 0x10 == 0 {
            return None;
        }
        let at = HEADER + 4 * usize::from(self.packet[0] & 0x0f);
        let profile = u16::from_be_bytes([self.packet[at], self.packet[at + 1]]);
        Some((profile, &self.packet[at + 4..self.payload as usize]))
    }

    /// The elements of the header extension; none if it is not of RFC 8285's forms.
    pub fn elements(&self) -> Elements<'p> {
        match self.extension() {
            Some((0xbede, rest)) => Elements {
                rest,
                form: Form::OneByte,
            },
            Some((profile, rest)) if profile & 0xfff0 == 0x1000 => Elements {
                rest,
                form: Form::TwoByte,
            },
            _ => Elements {
                rest: &[],
                form: Form::OneByte,
            },
        }
    }

    #[inline]
    const fn word(&self, at: usize) -> u32 {
        let p = self.packet;
        u32::from_be_bytes([p[at], p[at + 1], p[at + 2], p[at + 3]])
    }
}

/// One element of a header extension (RFC 8285 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'p> {
    /// The id that `a=extmap` gave a meaning.
    pub id: u8,
    /// The data; empty only in the two-byte form.
    pub data: &'p [u8],
}

/// Iterates over a header extension. What is malformed ends it.
#[derive(Clone, Debug)]
pub struct Elements<'p> {
    rest: &'p [u8],
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    OneByte,
    TwoByte,
}

impl<'p> Iterator for Elements<'p> {
    type Item = Element<'p>;

    fn next(&mut self) -> Option<Element<'p>> {
        loop {
            let (id, len, head) = match (self.form, self.rest) {
                (_, []) => return None,
                (_, [0, rest @ ..]) => {
                    self.rest = rest;
                    continue;
                }
                // 15 ends the extension; so does padding that claims a length.
                (Form::OneByte, [byte, ..]) if matches!(byte >> 4, 0 | 15) => {
                    self.rest = &[];
                    return None;
                }
                (Form::OneByte, [byte, ..]) => (byte >> 4, usize::from(byte & 15) + 1, 1),
                (Form::TwoByte, [id, len, ..]) => (*id, usize::from(*len), 2),
                (Form::TwoByte, [_]) => (0, usize::MAX - 2, 2),
            };
            let Some(data) = self.rest.get(head..head + len) else {
                self.rest = &[];
                return None;
            };
            self.rest = &self.rest[head + len..];
            return Some(Element { id, data });
        }
    }
}

/// The header of a packet that was checked, to be rewritten in place.
#[derive(Debug)]
pub struct HeaderMut<'p>(&'p mut [u8; HEADER]);

impl<'p> HeaderMut<'p> {
    /// The fixed header of `packet`; `None` if it is shorter or of another version.
    #[inline]
    pub fn new(packet: &'p mut [u8]) -> Option<Self> {
        packet
            .first_chunk_mut()
            .filter(|h: &&mut [u8; HEADER]| h[0] >> 6 == 2)
            .map(Self)
    }

    /// Sets the payload type and keeps the marker.
    #[inline]
    pub const fn set_payload_type(&mut self, payload_type: PayloadType) {
        self.0[1] = self.0[1] & 0x80 | payload_type.get();
    }

    /// Sets the marker bit and keeps the payload type.
    #[inline]
    pub const fn set_marker(&mut self, marker: bool) {
        self.0[1] = self.0[1] & 0x7f | (marker as u8) << 7;
    }

    /// Sets the sequence number.
    #[inline]
    pub fn set_sequence(&mut self, sequence: u16) {
        self.0[2..4].copy_from_slice(&sequence.to_be_bytes());
    }

    /// Sets the timestamp.
    #[inline]
    pub fn set_timestamp(&mut self, timestamp: u32) {
        self.0[4..8].copy_from_slice(&timestamp.to_be_bytes());
    }

    /// Sets the synchronisation source.
    #[inline]
    pub fn set_ssrc(&mut self, ssrc: Ssrc) {
        self.0[8..12].copy_from_slice(&ssrc.0.to_be_bytes());
    }
}
