//! What only whole bodies can show: identity, hostile input, agreement with another implementation.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::ids::Mid;

/// Every body that real programs sent, by file name.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sdp/bodies");
    let mut bodies: Vec<_> = std::fs::read_dir(folder)
        .expect("the corpus is part of the repository")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "sdp"))
        .map(|path| {
            let name = path
                .file_name()
                .expect("a file")
                .to_string_lossy()
                .into_owned();
            (name, std::fs::read(path).expect("readable"))
        })
        .collect();
    bodies.sort();
    assert!(bodies.len() >= 60, "only {} bodies", bodies.len());
    bodies
}

/// The body, written section by section and line by line.
fn copied(sdp: &Sdp<'_>) -> Vec<u8> {
    let mut out = Writer::new(sdp.eol(), sdp.body().len());
    out.raw_all(sdp.session().lines());
    sdp.sections().for_each(|s| out.raw_all(s.lines()));
    out.finish()
}

/// Reads a line as what it is and prints it again, without prefix; `None` if it has no type.
fn reprinted(line: Line<'_>) -> Option<Result<Vec<u8>, Error>> {
    fn print<'b, F: Field<'b>>(line: Line<'b>) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        line.parse::<F>()?.print(&mut out);
        Ok(out)
    }
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rest has no value or no type"
    )]
    let read = match line.kind() {
        LineKind::Origin => print::<Origin<'_>>,
        LineKind::Connection => print::<Connection<'_>>,
        LineKind::Bandwidth => print::<Bandwidth<'_>>,
        LineKind::Media => print::<MediaLine<'_>>,
        LineKind::Attr(AttrKind::Rtpmap) => print::<Rtpmap<'_>>,
        LineKind::Attr(AttrKind::Fmtp) => print::<Fmtp<'_>>,
        LineKind::Attr(AttrKind::RtcpFb) => print::<RtcpFb<'_>>,
        LineKind::Attr(AttrKind::Ptime) => print::<Ptime>,
        LineKind::Attr(AttrKind::Maxptime) => print::<Maxptime>,
        LineKind::Attr(AttrKind::Rtcp) => print::<Rtcp<'_>>,
        LineKind::Attr(AttrKind::Mid) => print::<Mid>,
        LineKind::Attr(AttrKind::Group) => print::<Group<'_>>,
        LineKind::Attr(AttrKind::Candidate) => print::<Candidate<'_>>,
        LineKind::Attr(AttrKind::IceUfrag) => print::<IceUfrag<'_>>,
        LineKind::Attr(AttrKind::IcePwd) => print::<IcePwd<'_>>,
        LineKind::Attr(AttrKind::IceOptions) => print::<IceOptions<'_>>,
        LineKind::Attr(AttrKind::Fingerprint) => print::<Fingerprint>,
        LineKind::Attr(AttrKind::Setup) => print::<Setup>,
        LineKind::Attr(AttrKind::TlsId) => print::<TlsId<'_>>,
        LineKind::Attr(AttrKind::Crypto) => print::<Crypto<'_>>,
        LineKind::Attr(AttrKind::Extmap) => print::<Extmap<'_>>,
        LineKind::Attr(AttrKind::Ssrc) => print::<SsrcAttr<'_>>,
        LineKind::Attr(AttrKind::Msid) => print::<Msid<'_>>,
        LineKind::Attr(AttrKind::Label) => print::<MediaLabel<'_>>,
        _ => return None,
    };
    Some(read(line))
}

/// Calls everything that looks at a body, and checks what must hold of any body.
fn exercise(body: &[u8]) {
    let Ok(sdp) = Sdp::parse(body) else { return };
    assert_eq!(copied(&sdp), body);
    let _ = sdp.check();
    for line in sdp.lines() {
        assert!(line.raw().starts_with(line.content()));
        assert!(line.content().ends_with(line.value()));
        let _name = line.name();
        if let Some(Err(error)) = reprinted(line) {
            let end = line.at() + line.raw().len();
            assert!((line.at()..=end).contains(&(error.at as usize)), "{error}");
        }
    }
    for section in sdp.sections() {
        assert_eq!(
            section.lines().next().map(|l| l.kind()),
            Some(LineKind::Media)
        );
        let formats = Formats::of(&section);
        if let Ok(media) = section.media() {
            media.payload_types().take(128).for_each(|p| {
                formats.rtpmap(p);
            });
        }
        let _found = (
            section.direction(),
            section.connection(),
            section.get::<Crypto<'_>>(),
        );
    }
    let mut edits = Edits::new();
    edits.push(Scope::Session, Edit::Remove(b"nothing"));
    assert_eq!(edits.apply(&sdp), body);
    assert!(same_but_version(body, body));
}

#[test]
fn real_bodies_are_written_back_identically() {
    for (name, body) in corpus() {
        let sdp = Sdp::parse(&body).expect("within limits");
        assert_eq!(copied(&sdp), body, "{name}");
        assert_eq!(sdp.check(), Ok(()), "{name}");
        assert_eq!(sdp.eol(), Eol::Crlf, "{name}");
    }
}

#[test]
fn typed_lines_of_real_bodies_come_back_as_written() {
    let mut typed = 0;
    for (name, body) in corpus() {
        for line in Sdp::parse(&body).expect("within limits").lines() {
            let Some(printed) = reprinted(line) else {
                continue;
            };
            let text = String::from_utf8_lossy(line.content());
            let printed = printed.unwrap_or_else(|e| panic!("{name}: {text}: {e}"));
            // Hash names come in capitals from some and leave in the case of the registry.
            let same = match line.attr() {
                Some(AttrKind::Fingerprint) => printed.eq_ignore_ascii_case(line.value()),
                _ => printed == line.value(),
            };
            assert!(same, "{name}: {text} became {}", printed.escape_ascii());
            typed += 1;
        }
    }
    assert!(typed > 1500, "only {typed} lines were typed");
}

#[test]
fn structure_and_values_agree_with_the_oracle() {
    for (name, body) in corpus() {
        agrees_with_oracle(&name, &body);
    }
}

fn agrees_with_oracle(name: &str, body: &[u8]) {
    let ours = Sdp::parse(body).expect("within limits");
    let theirs = sdp_types::Session::parse(body).unwrap_or_else(|e| panic!("{name}: {e}"));
    let text = |b: &[u8]| String::from_utf8(b.to_vec()).expect("the oracle takes UTF-8 only");
    let origin: Origin<'_> = ours.session().get().expect("there").expect("well-formed");
    assert_eq!(
        Some(text(origin.user)),
        theirs.origin.username.or(Some("-".into())),
        "{name}"
    );
    assert_eq!(text(origin.id), theirs.origin.sess_id, "{name}");
    assert_eq!(
        origin.version,
        Version::Number(theirs.origin.sess_version),
        "{name}"
    );
    assert_eq!(ours.len(), theirs.medias.len(), "{name}");
    attributes_agree(name, &ours.session(), &theirs.attributes);
    for (section, media) in ours.sections().zip(&theirs.medias) {
        let line = section.media().expect("well-formed");
        assert_eq!(text(line.kind.name()), media.media, "{name}");
        assert_eq!(
            (line.port, line.count),
            (media.port, media.num_ports),
            "{name}"
        );
        assert_eq!(text(line.proto), media.proto, "{name}");
        assert_eq!(text(line.formats), media.fmt, "{name}");
        let connections: Vec<_> = section
            .all::<Connection<'_>>()
            .map(|c| c.expect("ok"))
            .collect();
        assert_eq!(connections.len(), media.connections.len(), "{name}");
        for (ours, theirs) in connections.iter().zip(&media.connections) {
            let theirs = theirs.try_address().expect("an address");
            assert_eq!(ours.address.ip(), Some(theirs.ip), "{name}");
            assert_eq!(ours.ttl, theirs.ttl, "{name}");
        }
        attributes_agree(name, &section, &media.attributes);
    }
}

fn attributes_agree(name: &str, ours: &Section<'_, '_>, theirs: &[sdp_types::Attribute]) {
    let ours: Vec<_> = ours.attributes_except(AttrSet::NONE).collect();
    assert_eq!(ours.len(), theirs.len(), "{name}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours.name(), theirs.attribute.as_bytes(), "{name}");
        let value = theirs.value.as_deref().unwrap_or_default();
        assert_eq!(ours.value(), value.as_bytes(), "{name}");
    }
}

#[test]
fn oddities_stay_byte_for_byte() {
    for body in [
        &b"v=0\no=- 1 1 IN IP4 10.0.0.1\nm=audio 4 RTP/AVP 0\n"[..],
        b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\nm=audio 4 RTP/AVP 0\r\n",
        b"s=caf\xe9\r\nv=0\r\n\r\n\r\nm=audio 4 RTP/AVP 0",
        b"v=0\r\nm=audio 4 RTP/AVP 0 \t \r\nt=0 0\r\nc=IN IP4 1.2.3.4  \r\na=x\r\nb=AS:1\r\n",
        b"v=0\rm=audio 4 RTP/AVP 0\r",
        b"\r\r\n\0\n=\n\xff",
        b"",
    ] {
        exercise(body);
    }
}

#[test]
fn own_lines_end_as_the_body_ends_its_own() {
    let eol = |body| Sdp::parse(body).expect("within limits").eol();
    assert_eq!(eol(b"v=0\ns=-\n"), Eol::Lf);
    assert_eq!(eol(b"v=0\ns=-\r\n"), Eol::Crlf);
    assert_eq!(eol(b"v=0"), Eol::Crlf);
}

#[test]
fn a_last_line_without_end_gets_one_only_if_another_follows() {
    let sdp = Sdp::parse(b"v=0\r\na=x").expect("within limits");
    let mut out = Writer::new(sdp.eol(), 0);
    out.raw_all(sdp.lines());
    assert_eq!(out.as_bytes(), b"v=0\r\na=x");
    out.flag(AttrKind::RtcpMux);
    assert_eq!(out.finish(), b"v=0\r\na=x\r\na=rtcp-mux\r\n");
}

#[test]
fn own_lines_cannot_smuggle_in_others() {
    let mut out = Writer::new(Eol::Crlf, 0);
    out.put(&TlsId(b"a\r\nm=audio 9 RTP/AVP 0"));
    out.attr(AttrKind::Mid, b"0\na=x");
    out.text(b"a=y\ra=z");
    assert_eq!(out.finish(), b"a=tls-id:a\r\na=mid:0\r\na=y\r\n");
}

#[test]
fn too_much_of_anything_is_an_error() {
    let kind = |body: &[u8]| Sdp::parse(body).map(|_| ()).map_err(|e| e.kind);
    let sections = |n| b"m=audio 4 RTP/AVP 0\r\n".repeat(n);
    assert_eq!(kind(&sections(256)), Ok(()));
    assert_eq!(kind(&sections(257)), Err(ErrorKind::TooManySections));
    assert_eq!(kind(&sections(1000)), Err(ErrorKind::TooManySections));
    assert_eq!(kind(&b"\n".repeat(16 * 1024)), Ok(()));
    assert_eq!(
        kind(&b"\n".repeat(16 * 1024 + 1)),
        Err(ErrorKind::TooManyLines)
    );
    assert_eq!(kind(&vec![b'a'; 256 * 1024]), Ok(()));
    assert_eq!(
        kind(&vec![b'a'; 256 * 1024 + 1]),
        Err(ErrorKind::BodyTooLong)
    );
}

#[test]
fn a_line_of_a_megabyte_is_a_line() {
    let body = [b"v=0\r\na=".as_slice(), &vec![b'x'; 1 << 20], b":y\r\n"].concat();
    let limits = Limits {
        body: 2 << 20,
        ..Limits::DEFAULT
    };
    let sdp = Sdp::parse_within(&body, &limits).expect("within limits");
    let line = sdp.lines().nth(1).expect("two lines");
    assert_eq!(line.attr(), Some(AttrKind::Other));
    assert_eq!((line.name().len(), line.value()), (1 << 20, &b"y"[..]));
    assert_eq!(copied(&sdp), body);
}

#[test]
fn a_body_cut_off_anywhere_still_has_an_index() {
    let (_, body) = corpus()
        .into_iter()
        .max_by_key(|(_, b)| b.len())
        .expect("some");
    for end in 0..=body.len() {
        exercise(&body[..end]);
    }
}

#[test]
fn values_are_inherited_from_the_session_part() {
    let body = b"v=0\r\nc=IN IP4 1.2.3.4\r\na=sendonly\r\na=setup:active\r\n\
m=audio 4 RTP/AVP 0\r\nm=audio 4 RTP/AVP 0\r\nc=IN IP4 5.6.7.8\r\na=inactive\r\na=setup:passive\r\n";
    let sdp = Sdp::parse(body).expect("within limits");
    let (first, second) = (sdp.media(0).expect("two"), sdp.media(1).expect("two"));
    let ip = |s: &Section<'_, '_>| {
        s.connection()
            .and_then(Result::ok)
            .and_then(|c| c.address.ip())
    };
    assert_eq!(ip(&first), Some([1, 2, 3, 4].into()));
    assert_eq!(ip(&second), Some([5, 6, 7, 8].into()));
    assert_eq!(
        (first.own_direction(), first.direction()),
        (None, Direction::Sendonly)
    );
    assert_eq!(second.direction(), Direction::Inactive);
    assert_eq!(first.get_or_inherit::<Setup>(), Some(Ok(Setup::Active)));
    assert_eq!(first.get::<Setup>(), None);
    assert!(second.all_or_inherit::<Setup>().eq([Ok(Setup::Passive)]));
    assert!(first.has_or_inherits(AttrKind::Setup) && !first.has(AttrKind::Setup));
    assert!(sdp.media(2).is_none());
}

/// Bodies that look like SDP: lines of all sorts, well-formed and not, with all sorts of ends.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "[a-z]=[ -~]{0,40}",
        "a=[a-z-]{1,24}(:[ -~]{0,40})?",
        "m=(audio|video|image) [0-9]{1,6}(/[0-9])? [A-Z/]{1,12}( [0-9]{1,3}){0,5}",
        "a=(rtpmap|fmtp|rtcp-fb|extmap|ssrc):[0-9]{1,3} [ -~]{0,20}",
        "a=candidate:[0-9] [0-9] udp [0-9]{1,11} [0-9.]{1,9} [0-9]{1,6} typ [a-z ]{0,30}",
        "a=crypto:[0-9] [A-Z_]{1,9} inline:[ -~]{0,40}",
        "a=fingerprint:sha-(1|256) [0-9A-F:]{0,96}",
        "[co]=[ -~]{0,8} IN IP[46] [0-9a-f:./]{0,24}",
    ];
    let end = prop_oneof![8 => Just("\r\n"), 2 => Just("\n"), 1 => Just("")];
    prop::collection::vec((line, end), 0..40).prop_map(|lines| {
        lines
            .into_iter()
            .flat_map(|(line, end)| [line.as_bytes(), end.as_bytes()].concat())
            .collect()
    })
}

proptest! {
    #[test]
    fn any_bytes_survive(body in prop::collection::vec(any::<u8>(), 0..2000)) {
        exercise(&body);
    }

    #[test]
    fn anything_like_sdp_survives(body in soup()) {
        exercise(&body);
    }

    #[test]
    fn real_bodies_with_wrong_bytes_survive(
        pick in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bodies = corpus();
        let (_, mut body) = bodies.swap_remove(pick.index(bodies.len()));
        for (at, byte) in changes {
            let at = at.index(body.len());
            body[at] = byte;
        }
        exercise(&body);
    }

    #[test]
    fn printed_lines_read_back_as_the_same(body in soup()) {
        for line in Sdp::parse(&body).expect("within limits").lines() {
            let Some(Ok(printed)) = reprinted(line) else { continue };
            let mut text = line.content()[..line.content().len() - line.value().len()].to_vec();
            text.extend_from_slice(&printed);
            let again = Sdp::parse(&text).expect("within limits");
            let twice = reprinted(again.lines().next().expect("one line"));
            prop_assert_eq!(twice, Some(Ok(printed)));
        }
    }
}
