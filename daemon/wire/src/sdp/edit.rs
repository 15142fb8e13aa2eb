//! `sdp-attr`: attributes added, removed and replaced as text, in a body that is otherwise finished.

use super::scan::words;
use super::writer::one_line;
use super::{Line, LineKind, Sdp, Section, Writer};

/// Which sections an edit is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope<'e> {
    /// The session part.
    Session,
    /// Every media section of that media type.
    Media(&'e [u8]),
    /// Every media section that is none of audio, video, image and message.
    OtherMedia,
}

impl<'e> Scope<'e> {
    /// The scope of that name: `none`, `global` and `session` are the session part, `other` is
    /// [`Self::OtherMedia`], any other word a media type.
    pub const fn from_name(name: &'e [u8]) -> Self {
        match name {
            b"none" | b"global" | b"session" => Self::Session,
            b"other" => Self::OtherMedia,
            media => Self::Media(media),
        }
    }

    fn covers(self, section: &Section<'_, '_>) -> bool {
        let line = section
            .lines()
            .next()
            .filter(|l| l.kind() == LineKind::Media);
        let media = line.and_then(|l| words(l.value()).next());
        match (self, media) {
            (Self::Session, _) => line.is_none(),
            (Self::Media(wanted), Some(media)) => wanted == media,
            (Self::OtherMedia, Some(media)) => {
                !matches!(media, b"audio" | b"video" | b"image" | b"message")
            }
            (Self::Media(_) | Self::OtherMedia, None) => false,
        }
    }
}

/// One edit. The texts stand for what follows `a=`; line breaks end them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'e> {
    /// Writes the attribute at the end of the section.
    Add(&'e [u8]),
    /// Takes out attributes by name (`rtcp-fb`), by name and first word of the value
    /// (`rtpmap:101`, `ssrc:1234`), or by their whole text.
    Remove(&'e [u8]),
    /// Puts the second in the place of attributes found as by [`Self::Remove`].
    Substitute(&'e [u8], &'e [u8]),
}

/// Edits and the sections they are about, in the order in which they were given.
///
/// The first removal or substitution that fits an attribute decides; what is put in its place or
/// added is not looked at again.
#[derive(Clone, Debug, Default)]
pub struct Edits<'e>(Vec<(Scope<'e>, Edit<'e>)>);

impl<'e> Edits<'e> {
    /// No edits.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Appends an edit.
    pub fn push(&mut self, scope: Scope<'e>, edit: Edit<'e>) {
        self.0.push((scope, edit));
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The body with all edits made. Lines that no edit is about stay byte for byte.
    pub fn apply(&self, sdp: &Sdp<'_>) -> Vec<u8> {
        let mut out = Writer::new(sdp.eol(), sdp.body().len() + 256);
        for section in std::iter::once(sdp.session()).chain(sdp.sections()) {
            let edits = || {
                self.0
                    .iter()
                    .filter(|(s, _)| s.covers(&section))
                    .map(|(_, e)| *e)
            };
            for line in section.lines() {
                match edits().find(|e| e.is_about(line)) {
                    None | Some(Edit::Add(_)) => out.raw(line),
                    Some(Edit::Remove(_)) => {}
                    Some(Edit::Substitute(_, text)) => write_attribute(&mut out, text),
                }
            }
            for edit in edits() {
                if let Edit::Add(text) = edit {
                    write_attribute(&mut out, text);
                }
            }
        }
        out.finish()
    }
}

impl Edit<'_> {
    /// Whether `line` is to be removed or replaced.
    fn is_about(self, line: Line<'_>) -> bool {
        match self {
            Self::Remove(text) | Self::Substitute(text, _) => fits(line, text),
            Self::Add(_) => false,
        }
    }
}

fn write_attribute(out: &mut Writer, text: &[u8]) {
    let text = one_line(text);
    if !text.is_empty() {
        out.text(&[b"a=", text].concat());
    }
}

/// Whether `line` is the attribute that `text` names: by name, `name:first-word` or whole.
fn fits(line: Line<'_>, text: &[u8]) -> bool {
    let text = one_line(text).trim_ascii_end();
    let Some(attribute) = line.content().strip_prefix(b"a=") else {
        return false;
    };
    let Some(rest) = attribute.strip_prefix(text).filter(|_| !text.is_empty()) else {
        return false;
    };
    let (is_name, is_tagged) = (!text.contains(&b':'), !text.contains(&b' '));
    match rest.trim_ascii_end() {
        [] => true,
        [b':', ..] => is_name,
        [b' ', ..] => is_tagged && !is_name,
        [..] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"v=0\r\na=group:BUNDLE 0\r\nm=audio 4 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n\
a=rtcp-mux\r\na=rtcp-mux-only\r\na=ssrc:1 cname:x\r\nm=video 6 RTP/AVP 96\r\na=rtcp-mux\r\na=ssrc:1 cname:x\r\n";

    fn edited(body: &[u8], edits: &[(&'static str, Edit<'static>)]) -> String {
        let mut all = Edits::new();
        for (scope, edit) in edits {
            all.push(Scope::from_name(scope.as_bytes()), *edit);
        }
        let out = all.apply(&Sdp::parse(body).expect("within limits"));
        String::from_utf8(out).expect("the tests are text")
    }

    fn without(edits: &[(&'static str, Edit<'static>)], gone: &[&str]) {
        let body = String::from_utf8(BODY.to_vec()).expect("text");
        let expected = gone.iter().fold(body, |b, g| b.replacen(g, "", 1));
        assert_eq!(edited(BODY, edits), expected);
    }

    #[test]
    fn no_edit_is_the_identity() {
        without(&[], &[]);
        without(
            &[("audio", Edit::Remove(b"")), ("audio", Edit::Add(b""))],
            &[],
        );
    }

    #[test]
    fn removal_is_by_name_by_name_and_tag_or_by_the_whole_text() {
        without(&[("audio", Edit::Remove(b"rtcp-mux"))], &["a=rtcp-mux\r\n"]);
        without(
            &[("audio", Edit::Remove(b"ssrc"))],
            &["a=ssrc:1 cname:x\r\n"],
        );
        without(
            &[("audio", Edit::Remove(b"ssrc:1"))],
            &["a=ssrc:1 cname:x\r\n"],
        );
        without(
            &[("audio", Edit::Remove(b"ssrc:1 cname:x"))],
            &["a=ssrc:1 cname:x\r\n"],
        );
        without(
            &[("audio", Edit::Remove(b"rtpmap:0"))],
            &["a=rtpmap:0 PCMU/8000\r\n"],
        );
        without(&[("audio", Edit::Remove(b"ssrc:"))], &[]);
        without(&[("audio", Edit::Remove(b"ssr"))], &[]);
        without(&[("audio", Edit::Remove(b"rtpmap:0 PC"))], &[]);
        let long = b"m=audio 4 RTP/AVP 0\r\na=fmtp:96 a b\r\n";
        assert_eq!(
            edited(long, &[("audio", Edit::Remove(b"fmtp:96 a"))]).len(),
            long.len()
        );
    }

    #[test]
    fn each_section_is_edited_by_its_own_edits_only() {
        without(&[("none", Edit::Remove(b"rtcp-mux"))], &[]);
        without(
            &[("global", Edit::Remove(b"group"))],
            &["a=group:BUNDLE 0\r\n"],
        );
        without(
            &[
                ("audio", Edit::Remove(b"ssrc")),
                ("video", Edit::Remove(b"ssrc")),
            ],
            &["a=ssrc:1 cname:x\r\n", "a=ssrc:1 cname:x\r\n"],
        );
    }

    #[test]
    fn other_media_is_what_has_no_name_of_its_own() {
        let body = b"m=text 4 RTP/AVP 98\r\na=x\r\nm=audio 4 RTP/AVP 0\r\na=x\r\n";
        let out = edited(body, &[("other", Edit::Remove(b"x"))]);
        assert_eq!(out, "m=text 4 RTP/AVP 98\r\nm=audio 4 RTP/AVP 0\r\na=x\r\n");
    }

    #[test]
    fn additions_end_their_section_and_substitutes_keep_their_place() {
        let out = edited(
            b"v=0\r\nm=audio 4 RTP/AVP 0\r\na=x:1\r\na=y",
            &[
                ("none", Edit::Add(b"tool:p")),
                ("audio", Edit::Substitute(b"x", b"z:2")),
                ("audio", Edit::Add(b"w")),
            ],
        );
        assert_eq!(
            out,
            "v=0\r\na=tool:p\r\nm=audio 4 RTP/AVP 0\r\na=z:2\r\na=y\r\na=w\r\n"
        );
    }

    #[test]
    fn line_breaks_do_not_make_lines() {
        let out = edited(
            b"v=0\r\n",
            &[("none", Edit::Add(b"x\r\nm=audio 9 RTP/AVP 0"))],
        );
        assert_eq!(out, "v=0\r\na=x\r\n");
    }
}
