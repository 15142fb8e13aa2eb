//! Which lines of a section belong to which payload type, found in one pass.

use smallvec::SmallVec;

use super::scan::Scan;
use super::{AttrKind, Line, LineKind, Rtpmap, Section, static_rtpmap};
use crate::ids::PayloadType;

/// The lines of a section that describe payload types: rtpmap, fmtp and rtcp-fb.
#[derive(Clone, Debug)]
pub struct Formats<'b> {
    /// The lines, each with the next one of its payload type.
    lines: SmallVec<[(Line<'b>, Link); 8]>,
    /// The first line of each payload type.
    first: [Link; PayloadType::COUNT],
}

/// A place in [`Formats::lines`], counted from 1; 0 ends a chain.
type Link = u16;

impl<'b> Formats<'b> {
    /// Collects the lines of `section`.
    pub fn of(section: &Section<'_, 'b>) -> Self {
        let mut formats = Self {
            lines: SmallVec::new(),
            first: [0; PayloadType::COUNT],
        };
        let mut last = [0; PayloadType::COUNT];
        for line in section.lines().filter(|l| Self::is_format(l.kind())) {
            let Some(payload_type) = payload_type(line) else {
                continue;
            };
            // A body with more lines than links can count is beyond every limit.
            let Ok(link) = Link::try_from(formats.lines.len() + 1) else {
                break;
            };
            formats.lines.push((line, 0));
            let before = std::mem::replace(&mut last[payload_type.index()], link);
            match formats.lines.get_mut(usize::from(before).wrapping_sub(1)) {
                Some((_, next)) => *next = link,
                None => formats.first[payload_type.index()] = link,
            }
        }
        formats
    }

    /// Whether lines of that kind belong to a payload type.
    pub const fn is_format(kind: LineKind) -> bool {
        matches!(
            kind,
            LineKind::Attr(AttrKind::Rtpmap | AttrKind::Fmtp | AttrKind::RtcpFb)
        )
    }

    /// The lines of one payload type, in the order of the body.
    pub fn lines(&self, payload_type: PayloadType) -> impl Iterator<Item = Line<'b>> + Clone {
        let at = |link: Link| self.lines.get(usize::from(link).wrapping_sub(1));
        let first = at(self.first[payload_type.index()]);
        std::iter::successors(first, move |(_, next)| at(*next)).map(|(line, _)| *line)
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
    Scan::new(line.value()).number().ok()
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
    fn many_lines_of_many_types_stay_apart_and_in_order() {
        let mut body = b"m=video 4 RTP/AVP 96\r\n".to_vec();
        for n in 0..1000 {
            body.extend(format!("a=rtcp-fb:{} x{n}\r\n", n % 128).bytes());
        }
        let sdp = Sdp::parse(&body).expect("within limits");
        let formats = Formats::of(&sdp.media(0).expect("one"));
        for number in 0..128 {
            let found: Vec<_> = formats
                .lines(pt(number))
                .map(|l| l.value().to_vec())
                .collect();
            let expected: Vec<_> = (usize::from(number)..1000)
                .step_by(128)
                .map(|n| format!("{number} x{n}").into_bytes())
                .collect();
            assert_eq!(found, expected);
        }
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
