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
    #[inline]
    pub fn elements(&self) -> Elements<'p> {
        let extension = self.extension();
        let known = extension.and_then(|(profile, rest)| Some((Form::of(profile)?, rest)));
        let (form, rest) = known.unwrap_or((Form::OneByte, &[]));
        Elements { rest, form }
    }

    /// The data of the first element with that id.
    #[inline]
    pub fn element(&self, id: u8) -> Option<&'p [u8]> {
        let mut elements = self.elements();
        elements.find(|element| element.id == id).map(|e| e.data)
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

/// How elements are written (RFC 8285 §4.2, §4.3).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    OneByte,
    TwoByte,
}

impl Form {
    /// The form that the first 16 bits of a header extension announce.
    pub(crate) const fn of(profile: u16) -> Option<Self> {
        match profile {
            0xbede => Some(Self::OneByte),
            0x1000..=0x100f => Some(Self::TwoByte),
            _ => None,
        }
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A packet with two CSRCs, a one-byte header extension and four bytes of padding.
    const FULL: &[u8] = &[
        0xb2, 0xe0, 0x12, 0x34, 0, 0, 0, 160, 0xde, 0xad, 0xbe, 0xef, // fixed header
        0, 0, 0, 1, 0, 0, 0, 2, // CSRCs
        0xbe, 0xde, 0, 2, 0x10, 0xff, 0x31, b'a', b'b', 0, 0, 0, // extension
        1, 2, 3, 0, 0, 0, 4, // payload and padding
    ];

    /// A packet of the header extension `profile` with these words.
    fn extended(profile: [u8; 2], words: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        packet.extend(profile);
        packet.extend((words.len() as u16 / 4).to_be_bytes());
        packet.extend(words);
        packet
    }

    fn elements(packet: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let rtp = Rtp::parse(packet).expect("well-formed");
        rtp.elements().map(|e| (e.id, e.data.to_vec())).collect()
    }

    #[test]
    fn every_part_is_where_the_header_says() {
        let rtp = Rtp::parse(FULL).expect("well-formed");
        assert!(rtp.marker());
        assert_eq!(rtp.payload_type().get(), 96);
        assert_eq!((rtp.sequence(), rtp.timestamp()), (0x1234, 160));
        assert_eq!(rtp.ssrc(), Ssrc(0xdead_beef));
        assert!(rtp.csrcs().eq([Ssrc(1), Ssrc(2)]));
        assert_eq!((rtp.header_len(), rtp.payload()), (32, &[1, 2, 3][..]));
        assert_eq!(elements(FULL), [(1, vec![0xff]), (3, b"ab".to_vec())]);
    }

    #[test]
    fn a_packet_cut_off_anywhere_in_its_header_is_refused() {
        for end in 0..32 {
            assert!(Rtp::parse(&FULL[..end]).is_err(), "{end}");
        }
        assert!(Rtp::parse_protected(&FULL[..32]).is_ok());
    }

    #[test]
    fn other_versions_and_wrong_padding_are_refused() {
        let mut packet = FULL.to_vec();
        packet[0] = 0x72;
        assert_eq!(Rtp::parse(&packet).map(|_| ()), Err(RtpError::Version(1)));
        for (padding, fits) in [(0, false), (7, true), (8, false), (255, false)] {
            let mut packet = FULL.to_vec();
            *packet.last_mut().expect("not empty") = padding;
            assert_eq!(Rtp::parse(&packet).is_ok(), fits, "{padding}");
            assert!(
                Rtp::parse_protected(&packet).is_ok(),
                "padding is still encrypted"
            );
        }
    }

    #[test]
    fn one_byte_elements_end_at_15_and_at_padding_with_a_length() {
        let packet = extended([0xbe, 0xde], &[0x10, 7, 0, 0, 0xf0, 1, 0x20, 8]);
        assert_eq!(elements(&packet), [(1, vec![7])]);
        let packet = extended([0xbe, 0xde], &[0x10, 7, 0x01, 1, 1, 0, 0x20, 8]);
        assert_eq!(elements(&packet), [(1, vec![7])]);
        let packet = extended([0xbe, 0xde], &[0x1f, 1, 2, 3]);
        assert_eq!(elements(&packet), []);
    }

    #[test]
    fn two_byte_elements_may_be_empty() {
        let packet = extended([0x10, 0x05], &[1, 0, 0, 15, 2, 8, 9, 0]);
        assert_eq!(elements(&packet), [(1, vec![]), (15, vec![8, 9])]);
        let packet = extended([0x10, 0x00], &[1, 1, 8, 2]);
        assert_eq!(elements(&packet), [(1, vec![8])]);
        let packet = extended([0x20, 0x00], &[1, 1, 8, 2]);
        assert_eq!(elements(&packet), []);
    }

    #[test]
    fn setters_change_what_they_name_and_nothing_else() {
        let mut packet = FULL.to_vec();
        let mut header = HeaderMut::new(&mut packet).expect("long enough");
        header.set_payload_type(PayloadType::from_low_bits(8));
        header.set_sequence(7);
        header.set_timestamp(0x0102_0304);
        header.set_ssrc(Ssrc(9));
        let rtp = Rtp::parse(&packet).expect("still well-formed");
        assert!(rtp.marker());
        assert_eq!(rtp.payload_type().get(), 8);
        assert_eq!((rtp.sequence(), rtp.timestamp()), (7, 0x0102_0304));
        assert_eq!(rtp.ssrc(), Ssrc(9));
        assert_eq!(packet[12..], FULL[12..]);
        HeaderMut::new(&mut packet)
            .expect("long enough")
            .set_marker(false);
        assert_eq!(packet[1], 8);
        assert!(HeaderMut::new(&mut packet[..11]).is_none());
        assert!(HeaderMut::new(&mut [0; 12]).is_none());
    }

    /// Bytes that often are RTP: a plausible first byte, small extension lengths.
    fn packet() -> impl Strategy<Value = Vec<u8>> {
        (
            0x80u8..=0xbf,
            prop::collection::vec(prop_oneof![0u8..8, any::<u8>()], 0..80),
        )
            .prop_map(|(first, mut rest)| {
                rest.insert(0, first);
                rest
            })
    }

    proptest! {
        #[test]
        fn agrees_with_the_oracle(packet in packet()) {
            let theirs = rtp_types::RtpPacket::parse(&packet);
            let ours = Rtp::parse(&packet);
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
            let (Ok(ours), Ok(theirs)) = (ours, theirs) else { return Ok(()) };
            prop_assert_eq!(ours.marker(), theirs.marker_bit());
            prop_assert_eq!(ours.payload_type().get(), theirs.payload_type());
            prop_assert_eq!(ours.sequence(), theirs.sequence_number());
            prop_assert_eq!(ours.timestamp(), theirs.timestamp());
            prop_assert_eq!(ours.ssrc().0, theirs.ssrc());
            prop_assert!(ours.csrcs().map(|s| s.0).eq(theirs.csrc()));
            prop_assert_eq!(ours.extension(), theirs.extension());
            prop_assert_eq!(ours.payload(), theirs.payload());
        }

        #[test]
        fn elements_of_any_packet_lie_within_it(packet in packet()) {
            if let Ok(rtp) = Rtp::parse(&packet) {
                let len: usize = rtp.elements().map(|e| e.data.len() + 1).sum();
                prop_assert!(len <= rtp.extension().map_or(0, |(_, words)| words.len()));
            }
        }
    }
}
