//! `m=`: what a media section carries, at which port, by which protocol (RFC 8866 §5.14).

use super::scan::{Scan, number, split_once, words};
use super::{Error, ErrorKind, Field, LineKind};
use crate::Proto;
use crate::digits;
use crate::ids::PayloadType;

/// What a media section carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind<'b> {
    /// `audio`
    Audio,
    /// `video`
    Video,
    /// `text` (RFC 4103)
    Text,
    /// `application`
    Application,
    /// `message` (RFC 4975)
    Message,
    /// `image` (T.38)
    Image,
    /// Any other word.
    Other(&'b [u8]),
}

impl<'b> MediaKind<'b> {
    /// The kind of that name.
    pub fn from_name(name: &'b [u8]) -> Self {
        match name {
            b"audio" => Self::Audio,
            b"video" => Self::Video,
            b"text" => Self::Text,
            b"application" => Self::Application,
            b"message" => Self::Message,
            b"image" => Self::Image,
            other => Self::Other(other),
        }
    }

    /// The name as it stands in the line.
    pub const fn name(&self) -> &'b [u8] {
        match self {
            Self::Audio => b"audio",
            Self::Video => b"video",
            Self::Text => b"text",
            Self::Application => b"application",
            Self::Message => b"message",
            Self::Image => b"image",
            Self::Other(name) => name,
        }
    }
}

/// An `m=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaLine<'b> {
    /// What it carries.
    pub kind: MediaKind<'b>,
    /// The port; 0 in a section that is rejected (or bundle-only).
    pub port: u16,
    /// How many ports (`/n`), of layered codings.
    pub count: Option<u16>,
    /// The protocol's text, as written.
    pub proto: &'b [u8],
    /// The formats as written, blanks at the end included.
    pub formats: &'b [u8],
}

impl<'b> MediaLine<'b> {
    /// The protocol.
    pub fn proto(&self) -> Proto {
        Proto::parse(self.proto)
    }

    /// The formats, one by one.
    pub fn formats(&self) -> impl Iterator<Item = &'b [u8]> + Clone + use<'b> {
        words(self.formats)
    }

    /// Those formats that are payload types; of an RTP section that is all of them.
    pub fn payload_types(&self) -> impl Iterator<Item = PayloadType> + Clone + use<'b> {
        self.formats().filter_map(number)
    }
}

impl<'b> Field<'b> for MediaLine<'b> {
    const KIND: LineKind = LineKind::Media;

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        let kind = MediaKind::from_name(scan.word()?);
        let (port, count) = split_once(scan.word()?, b'/');
        let bad = scan.error(ErrorKind::BadNumber);
        Ok(Self {
            kind,
            port: number(port).ok_or(bad)?,
            count: count.map(|c| number(c).ok_or(bad)).transpose()?,
            proto: scan.word()?,
            formats: scan.rest(),
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.kind.name());
        out.push(b' ');
        digits::push(u64::from(self.port), out);
        if let Some(count) = self.count {
            out.push(b'/');
            digits::push(u64::from(count), out);
        }
        out.push(b' ');
        out.extend_from_slice(self.proto);
        if !self.formats.is_empty() {
            out.push(b' ');
            out.extend_from_slice(self.formats);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same, value};
    use super::*;

    #[test]
    fn lines_of_all_sorts_come_back_as_written() {
        same::<MediaLine<'_>>(b"audio 54386 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126");
        same::<MediaLine<'_>>(b"video 49170/2 RTP/AVP 31");
        same::<MediaLine<'_>>(b"image 4004 udptl t38");
        same::<MediaLine<'_>>(b"message 7394 TCP/TLS/MSRP *");
        same::<MediaLine<'_>>(b"application 9 UDP/DTLS/SCTP webrtc-datachannel");
        same::<MediaLine<'_>>(b"audio 0 RTP/AVP 0  8 ");
        same::<MediaLine<'_>>(b"x-video 0 RTP/AVP");
    }

    #[test]
    fn formats_are_words_and_payload_types_numbers_below_128() {
        let line: MediaLine<'_> = value(b"audio 4000 RTP/AVP 0  8 x 127 128 ");
        assert_eq!(line.formats().count(), 5);
        let types: Vec<u8> = line.payload_types().map(PayloadType::get).collect();
        assert_eq!(types, [0, 8, 127]);
        assert_eq!(line.proto(), Proto::RtpAvp);
    }

    #[test]
    fn bad_ports_and_missing_protocols_are_refused() {
        refused::<MediaLine<'_>>(b"audio 65536 RTP/AVP 0");
        refused::<MediaLine<'_>>(b"audio $ RTP/AVP 0");
        refused::<MediaLine<'_>>(b"audio 4000/x RTP/AVP 0");
        refused::<MediaLine<'_>>(b"audio 4000");
        refused::<MediaLine<'_>>(b"audio");
    }
}
