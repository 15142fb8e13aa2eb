//! The session part of a body that goes on (RFC 8866 §5, NG `replace`).

use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;

use patchcord_wire::ng::replace::Replace;
use patchcord_wire::ng::{Flag, OfferAnswer, Set};
use patchcord_wire::sdp::{
    AttrKind, Group, Line, LineKind, Origin, Sdp, Version, Writer, version_span,
};

use super::body::{is_ice, is_key};
use super::extensions::is_stripped;
use crate::call::Written;

/// How the session part is written.
pub(super) struct SessionPlan<'p> {
    /// Our address towards the receiver, for `replace: origin`.
    pub(super) address: IpAddr,
    /// Our mark, if the request wants one.
    pub(super) mark: Option<&'p [u8]>,
    /// Whether the session part's keys pass.
    pub(super) keys: SessionKeys,
    /// Whether the session part's ICE passes.
    pub(super) ice: SessionIce,
    /// What earlier bodies to the same receiver said.
    pub(super) before: Option<&'p Written>,
    /// Which of the receiver's sections share a transport.
    pub(super) groups: Vec<Vec<u8>>,
    /// Whether we are a lite agent to the receiver.
    pub(super) is_lite: bool,
}

/// Whether the session part's attributes that key SRTP pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionKeys {
    /// They are about some section that the ends key.
    Pass,
    /// They are about none.
    Strip,
}

/// Whether the session part's attributes of ICE pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionIce {
    /// The ends check each other in some section.
    Pass,
    /// They check us, if at all.
    Strip,
}

/// Writes the session part.
pub(super) fn write_session(
    out: &mut Writer,
    sdp: &Sdp<'_>,
    plan: &SessionPlan<'_>,
    request: &OfferAnswer<'_>,
) {
    let replace = request.rewrite.replace;
    let keeps_direction = request.flags.has(Flag::OriginalSendrecv);
    let mut mark = plan.mark;
    let mut groups = plan.groups.iter();
    for line in sdp.session().lines() {
        let LineKind::Attr(attr) = line.kind() else {
            write_line(out, line, plan, replace);
            continue;
        };
        groups
            .by_ref()
            .for_each(|group| out.attr(AttrKind::Group, group));
        if let Some(mark) = mark.take() {
            out.attr(AttrKind::Patchcord, mark);
        }
        let stays = passes(attr, line, plan, keeps_direction);
        if stays && !(attr == AttrKind::Extmap && is_stripped(line, request)) {
            out.raw(line);
        }
    }
    groups.for_each(|group| out.attr(AttrKind::Group, group));
    if let Some(mark) = mark {
        out.attr(AttrKind::Patchcord, mark);
    }
    if plan.is_lite {
        out.flag(AttrKind::IceLite);
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not listed is not ours and is copied"
)]
fn write_line(out: &mut Writer, line: Line<'_>, plan: &SessionPlan<'_>, replace: Set<Replace>) {
    match line.kind() {
        LineKind::Connection => {}
        LineKind::Origin => write_origin(out, line, plan, replace),
        LineKind::Name => match plan.before.filter(|_| replace.has(Replace::SessionName)) {
            Some(before) => out.text(&[b"s=", &*before.name].concat()),
            None => out.raw(line),
        },
        _ => out.raw(line),
    }
}

fn write_origin(out: &mut Writer, line: Line<'_>, plan: &SessionPlan<'_>, replace: Set<Replace>) {
    let Ok(origin) = line.parse::<Origin<'_>>() else {
        out.raw(line);
        return;
    };
    let full = replace.has(Replace::OriginFull);
    let mut ours = origin;
    if full || replace.has(Replace::Origin) {
        ours.address = plan.address.into();
    }
    if let Some(before) = plan.before {
        if full || replace.has(Replace::Username) {
            ours.user = &before.username;
        }
        if full {
            ours.id = &before.session_id;
        }
        if owns_version(replace) {
            ours.version = Version::Number(before.version);
        }
    }
    if ours == origin {
        out.raw(line);
    } else {
        out.put(&ours);
    }
}

/// Whether the version of the o= line is ours to count.
fn owns_version(replace: Set<Replace>) -> bool {
    [
        Replace::SdpVersion,
        Replace::ForceIncrementSdpVersion,
        Replace::OriginFull,
    ]
    .into_iter()
    .any(|member| replace.has(member))
}

/// Whether a later body to the same receiver will have to agree with this one.
pub(super) fn is_remembered(replace: Set<Replace>) -> bool {
    owns_version(replace) || replace.has(Replace::Username) || replace.has(Replace::SessionName)
}

/// What is remembered of the first body to a receiver.
pub(super) fn first_written(sdp: &Sdp<'_>) -> Written {
    let session = sdp.session();
    let mut written = Written::default();
    if let Some(Ok(origin)) = session.get::<Origin<'_>>() {
        written.username = origin.user.into();
        written.session_id = origin.id.into();
        written.version = match origin.version {
            Version::Number(number) => number,
            Version::Text(_) => 0,
        };
    }
    if let Some(name) = session.first(LineKind::Name) {
        written.name = name.value().into();
    }
    written
}

/// Counts the version up if the body differs from the last one, and puts it into the body.
pub(super) fn count_version(written: &mut Written, body: &mut Vec<u8>, replace: Set<Replace>) {
    if !owns_version(replace) {
        return;
    }
    let hash = hash(body);
    let is_changed = written.body != 0 && written.body != hash;
    written.body = hash;
    if !is_changed && !replace.has(Replace::ForceIncrementSdpVersion) {
        return;
    }
    written.version = written.version.wrapping_add(1);
    if let Some(span) = version_span(body) {
        body.splice(span, written.version.to_string().into_bytes());
    }
}

/// The hash of a body without its o= line's version: that one changes because others do. Never 0.
fn hash(body: &[u8]) -> u64 {
    let span = version_span(body).unwrap_or(0..0);
    let mut hasher = DefaultHasher::new();
    hasher.write(&body[..span.start]);
    hasher.write(&body[span.end..]);
    hasher.finish() | 1
}

/// Whether an attribute of the session part stays.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not listed is not ours, also what is not known yet"
)]
fn passes(attr: AttrKind, line: Line<'_>, plan: &SessionPlan<'_>, keeps_direction: bool) -> bool {
    match attr {
        AttrKind::Sendrecv | AttrKind::Sendonly | AttrKind::Recvonly | AttrKind::Inactive => {
            keeps_direction
        }
        AttrKind::Group => !line
            .parse::<Group<'_>>()
            .is_ok_and(|group| group.is_bundle()),
        // Written in each section that it applies to, or out of place here.
        AttrKind::Ptime
        | AttrKind::Maxptime
        | AttrKind::ExtmapAllowMixed
        | AttrKind::Rtcp
        | AttrKind::RtcpMux => false,
        other if is_key(other) => plan.keys == SessionKeys::Pass,
        AttrKind::EndOfCandidates => false,
        other => plan.ice == SessionIce::Pass || !is_ice(other),
    }
}
