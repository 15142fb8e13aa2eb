//! Which lines of a section belong to which payload type, found in one pass.

use smallvec::SmallVec;

use super::scan::{number, words};
use super::{AttrKind, Line, LineKind, Rtpmap, Section, static_rtpmap};
use crate::ids::PayloadType;

/// The lines of a section that describe payload types: rtpmap, fmtp and rtcp-fb, sorted by payload
/// type and, within one, in the order of the body.
#[derive(Clone, Debug)]
pub struct Formats<'b>(SmallVec<[(u8, Line<'b>); 16]>);

impl<'b> Formats<'b> {
    /// Collects the lines of `section`.
    pub fn of(section: &Section<'_, 'b>) -> Self {
        let mut lines: SmallVec<[_; 16]> = section
            .lines()
            .filter(|l| Self::is_format(l.kind()))
            .filter_map(|l| Some((payload_type(l)?.get(), l)))
            .collect();
        lines.sort_by_key(|(payload_type, _)| *payload_type);
        Self(lines)
    }

    /// Whether lines of that kind belong to a payload type.
    pub const fn is_format(kind: LineKind) -> bool {
        matches!(
            kind,
            LineKind::Attr(AttrKind::Rtpmap | AttrKind::Fmtp | AttrKind::RtcpFb)
        )
    }

    /// The lines of one payload type.
    pub fn lines(&self, payload_type: PayloadType) -> impl Iterator<Item = Line<'b>> + Clone {
        let start = self.0.partition_point(|(p, _)| *p < payload_type.get());
        self.0[start..]
            .iter()
            .take_while(move |(p, _)| *p == payload_type.get())
            .map(|(_, l)| *l)
    }

    /// The lines of one payload type and one attribute.
    pub fn lines_of(
        &self,
        payload_type: PayloadType,
        attr: AttrKind,
    ) -> impl Iterator<Item = Line<'b>> + Clone {
        self.lines(payload_type)
            .filter(move |l| l.attr() == Some(attr))
    }

    /// What the payload type means: by its rtpmap line, else by the static table.
    pub fn rtpmap(&self, payload_type: PayloadType) -> Option<Rtpmap<'b>> {
        self.lines_of(payload_type, AttrKind::Rtpmap)
            .find_map(|l| l.parse().ok())
            .or_else(|| static_rtpmap(payload_type))
    }
}

fn payload_type(line: Line<'_>) -> Option<PayloadType> {
    words(line.value()).next().and_then(number)
}

#[cfg(test)]
mod tests {
    use super::super::Sdp;
    use super::*;

    const BODY: &[u8] = b"v=0\r\n\
m=audio 4000 RTP/AVP 111 0 8\r\n\
a=fmtp:111 a=1\r\n\
a=rtpmap:111 opus/48000/2\r\n\
a=rtpmap:8 PCMA/8000\r\n\
a=fmtp:111 b=2\r\n\
a=fmtp:x y\r\n\
a=rtcp-fb:* nack\r\n";

    fn pt(number: u8) -> PayloadType {
        PayloadType::new(number).expect("below 128")
    }

    #[test]
    fn lines_are_found_by_payload_type_in_the_order_of_the_body() {
        let sdp = Sdp::parse(BODY).expect("within limits");
        let formats = Formats::of(&sdp.media(0).expect("one"));
        let lines: Vec<_> = formats.lines(pt(111)).map(|l| l.content()).collect();
        assert_eq!(
            lines,
            [
                &b"a=fmtp:111 a=1"[..],
                b"a=rtpmap:111 opus/48000/2",
                b"a=fmtp:111 b=2"
            ]
        );
        assert_eq!(formats.lines_of(pt(111), AttrKind::Fmtp).count(), 2);
        assert_eq!(formats.lines(pt(0)).count(), 0);
    }

    #[test]
    fn static_types_need_no_rtpmap() {
        let sdp = Sdp::parse(BODY).expect("within limits");
        let formats = Formats::of(&sdp.media(0).expect("one"));
        assert!(formats.rtpmap(pt(0)).expect("static").is("PCMU"));
        assert_eq!(formats.rtpmap(pt(111)).expect("written").rate, 48000);
        assert_eq!(formats.rtpmap(pt(112)), None);
    }
}
