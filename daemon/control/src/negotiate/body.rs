//! The body that goes on: the one that came, with what is ours written anew.
//!
//! A media section is written as m=, i=, c=, further lines, mid, formats, header extensions,
//! attributes of others, direction, rtcp, keys, packet times. What is not ours is copied byte for
//! byte, in the order it came in.

use std::net::IpAddr;

use patchcord_wire::ids::{Mid, PayloadType};
use patchcord_wire::ng::replace::RtcpAttribute;
use patchcord_wire::ng::security::SdesFlag;
use patchcord_wire::ng::{Flag, OfferAnswer};
use patchcord_wire::sdp::base64::Padding;
use patchcord_wire::sdp::{
    Address, AttrKind, Connection, Direction, Formats, Line, LineKind, MediaLine, Rtcp, Writer,
    static_rtpmap,
};

use super::heard::{Heard, connection};
use super::mux::MuxShown;
use super::{bundle, dtls, extensions, ice, sdes, through};
use crate::call::{Beside, BundleOffer, Lines, Masked, PacketTimes, Transport, Way};

/// How one section is written.
pub(super) enum Plan<'p> {
    /// Copied, with its own address and port.
    Foreign,
    /// Port 0 and little else.
    Rejected {
        /// The protocol as written.
        proto: &'p [u8],
        /// The "no address" that stands in c=.
        zero: IpAddr,
        /// Its name.
        mid: Option<&'p Mid>,
    },
    /// Another protocol than RTP: our address and port, all else as it was.
    Opaque(Place<'p>),
    /// The ends' own ICE, and all that hangs on it.
    Through(Place<'p>, Beside),
    /// RTP.
    Rtp(Box<RtpPlan<'p>>),
}

/// Where a section is, in our words.
pub(super) struct Place<'p> {
    /// The protocol as written.
    pub(super) proto: &'p [u8],
    /// The address in c=.
    pub(super) address: IpAddr,
    /// The address where we are, be it on hold.
    pub(super) candidate: IpAddr,
    /// The ports.
    pub(super) transport: &'p Transport,
}

/// How an RTP section is written.
pub(super) struct RtpPlan<'p> {
    /// Where.
    pub(super) place: Place<'p>,
    /// Its name.
    pub(super) mid: Option<&'p Mid>,
    /// The direction shown.
    pub(super) direction: Direction,
    /// What is said of rtcp-mux.
    pub(super) mux: MuxShown,
    /// What is said of keys.
    pub(super) keys: &'p Keys,
    /// Packet times in force.
    pub(super) ptime: PacketTimes,
    /// What is said of ICE.
    pub(super) ice: Option<ice::Shown<'p>>,
    /// What is said of what tells packets apart.
    pub(super) streams: Streams,
    /// Header extensions of the receiver's that end here.
    pub(super) masked: &'p [Masked],
}

/// What is said of what tells packets on one transport apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Streams {
    /// The MID.
    pub(super) mid: MidLine,
    /// Whether what counts packets of the whole transport passes.
    pub(super) counts_transport: bool,
    /// Whether header extensions that end here are named to who sends them.
    pub(super) names_masked: bool,
    /// How the section is offered.
    pub(super) offered: BundleOffer,
}

/// What becomes of the `a=extmap` line of the MID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MidLine {
    /// It passes.
    AsWritten,
    /// It goes.
    Gone,
    /// It is there, with this id.
    Ours(u8),
}

impl MidLine {
    /// The line with that id, or none.
    pub(super) const fn of(id: Option<u8>) -> Self {
        match id {
            Some(id) => Self::Ours(id),
            None => Self::Gone,
        }
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            mid: MidLine::AsWritten,
            counts_transport: true,
            names_masked: false,
            offered: BundleOffer::Either,
        }
    }
}

/// What becomes of the attributes that key SRTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    /// They pass: the ends key each other.
    Pass,
    /// They go: they are about another section than the one written.
    Strip,
    /// They go, and what is ours stands in their place.
    Ours {
        /// Keys.
        lines: Lines,
        /// What makes keys.
        dtls: Option<dtls::Shown>,
    },
}

impl Keys {
    /// What is said to a leg that is keyed in this way.
    pub(super) fn new(way: Way, lines: Lines, dtls: Option<dtls::Shown>) -> Self {
        match way {
            Way::Plain => Self::Strip,
            Way::Ends => Self::Pass,
            Way::Sdes | Way::Dtls | Way::Either => Self::Ours { lines, dtls },
        }
    }
}

/// Writes one section.
pub(super) fn write_section(
    out: &mut Writer,
    heard: &Heard<'_, '_>,
    plan: &Plan<'_>,
    request: &OfferAnswer<'_>,
) {
    match plan {
        Plan::Foreign => write_foreign(out, heard),
        Plan::Rejected { proto, zero, mid } => {
            write_media(out, heard, proto, 0);
            write_head(out, heard, &connection(*zero));
            if let Some(mid) = mid {
                out.put(*mid);
            }
        }
        Plan::Opaque(place) => {
            write_media(out, heard, place.proto, place.transport.rtp.told());
            write_head(out, heard, &connection(place.address));
            let is_attribute = |line: &Line<'_>| {
                let attr = line.attr();
                attr.is_some_and(|attr| attr != AttrKind::Rtcp && !is_ice(attr))
            };
            out.raw_all(heard.section.lines().filter(is_attribute));
        }
        Plan::Through(place, beside) => through::write(out, heard, place, *beside),
        Plan::Rtp(plan) => write_rtp(out, heard, plan, request),
    }
}

/// Writes the m= line of a section that the received body does not have.
pub(super) fn write_absent(
    out: &mut Writer,
    kind: &[u8],
    proto: &[u8],
    formats: &[u8],
    zero: IpAddr,
) {
    let kind = patchcord_wire::sdp::MediaKind::from_name(kind);
    out.put(&MediaLine {
        kind,
        port: 0,
        count: None,
        proto,
        formats,
    });
    out.put(&connection(zero));
}

fn write_rtp(
    out: &mut Writer,
    heard: &Heard<'_, '_>,
    plan: &RtpPlan<'_>,
    request: &OfferAnswer<'_>,
) {
    let keeps_direction = request.flags.has(Flag::OriginalSendrecv);
    let port = match plan.streams.offered {
        BundleOffer::Either | BundleOffer::Only => plan.place.transport.rtp.told(),
        BundleOffer::Strictly => 0,
    };
    write_media(out, heard, plan.place.proto, port);
    write_head(out, heard, &connection(plan.place.address));
    if let Some(mid) = plan.mid {
        out.put(mid);
    }
    if plan.streams.offered != BundleOffer::Either {
        out.flag(AttrKind::BundleOnly);
    }
    let counts_transport = plan.streams.counts_transport;
    let takes = |line: &Line<'_>| counts_transport || !bundle::counts_transport(*line);
    write_formats(out, &heard.media, &heard.formats, takes);
    extensions::write(out, heard, plan, request);
    if heard.section.has_or_inherits(AttrKind::ExtmapAllowMixed) {
        out.flag(AttrKind::ExtmapAllowMixed);
    }
    let passes = |line: &Line<'_>| {
        line.attr()
            .is_some_and(|attr| is_others(attr, line, keeps_direction))
            && takes(line)
    };
    out.raw_all(heard.section.lines().filter(passes));
    if !keeps_direction {
        out.direction(plan.direction);
    }
    write_rtcp(out, plan, request.rewrite.rtcp_attribute);
    write_keys(out, heard, plan.keys, request);
    for (attr, millis) in [
        (AttrKind::Ptime, plan.ptime.ptime),
        (AttrKind::Maxptime, plan.ptime.maxptime),
    ] {
        if millis != 0 {
            out.number(attr, u64::from(millis));
        }
    }
    if let Some(ice) = &plan.ice {
        ice.write(out, request);
    }
}

fn write_keys(out: &mut Writer, heard: &Heard<'_, '_>, keys: &Keys, request: &OfferAnswer<'_>) {
    match keys {
        Keys::Strip => {}
        Keys::Pass => {
            let is_key = |line: &Line<'_>| line.attr().is_some_and(is_key);
            out.raw_all(heard.section.lines().filter(is_key));
        }
        Keys::Ours { lines, dtls } => {
            let padding = if request.sdes.flags.has(SdesFlag::Pad) {
                Padding::With
            } else {
                Padding::Without
            };
            sdes::print::write(out, lines, padding);
            if let Some(dtls) = dtls {
                dtls.write(out);
            }
        }
    }
}

pub(super) fn write_media(out: &mut Writer, heard: &Heard<'_, '_>, proto: &[u8], port: u16) {
    let formats = heard.media.formats.trim_ascii_end();
    out.put(&MediaLine {
        port,
        count: heard.media.count.filter(|_| port != 0),
        proto,
        formats,
        ..heard.media
    });
}

/// What stands between m= and the attributes: i=, our c=, then the others as they came.
pub(super) fn write_head(out: &mut Writer, heard: &Heard<'_, '_>, connection: &Connection<'_>) {
    out.raw_all(heard.section.lines_of(LineKind::Information));
    out.put(connection);
    // Session lines that stray behind an m= line belong to nobody; copied, not judged.
    let is_other = |line: &Line<'_>| {
        !matches!(
            line.kind(),
            LineKind::Media
                | LineKind::Information
                | LineKind::Connection
                | LineKind::Attr(_)
                | LineKind::Malformed
        )
    };
    out.raw_all(heard.section.lines().filter(is_other));
}

/// A section that is none of ours keeps its address, which may have stood in the session part.
fn write_foreign(out: &mut Writer, heard: &Heard<'_, '_>) {
    out.raw_all(heard.section.lines_of(LineKind::Media));
    out.raw_all(heard.section.lines_of(LineKind::Information));
    if let Some(Ok(connection)) = heard.section.connection() {
        out.put(&connection);
    }
    let rest = |line: &Line<'_>| {
        !matches!(
            line.kind(),
            LineKind::Media | LineKind::Information | LineKind::Connection
        )
    };
    out.raw_all(heard.section.lines().filter(rest));
}

/// rtpmap, fmtp and rtcp-fb of every payload type, in the order of the m= line. A static payload
/// type without an rtpmap gets the one it stands for.
fn write_formats(
    out: &mut Writer,
    media: &MediaLine<'_>,
    formats: &Formats<'_>,
    takes: impl Fn(&Line<'_>) -> bool,
) {
    let mut written = 0_u128;
    for payload_type in media.payload_types() {
        let bit = 1_u128 << payload_type.get();
        if written & bit != 0 {
            continue;
        }
        written |= bit;
        write_rtpmap(out, payload_type, formats);
        for attr in [AttrKind::Fmtp, AttrKind::RtcpFb] {
            out.raw_all(formats.lines_of(payload_type, attr).filter(&takes));
        }
    }
}

fn write_rtpmap(out: &mut Writer, payload_type: PayloadType, formats: &Formats<'_>) {
    let mut own = formats.lines_of(payload_type, AttrKind::Rtpmap).peekable();
    if own.peek().is_some() {
        out.raw_all(own);
    } else if let Some(rtpmap) = static_rtpmap(payload_type) {
        out.put(&rtpmap);
    }
}

fn write_rtcp(out: &mut Writer, plan: &RtpPlan<'_>, attribute: RtcpAttribute) {
    let transport = plan.place.transport;
    let component = match (plan.mux, &transport.rtcp) {
        (MuxShown::Muxed, _) => Some(&transport.rtp),
        (MuxShown::None | MuxShown::Offered, rtcp) => rtcp.as_ref(),
    };
    let is_full = attribute == RtcpAttribute::Full;
    let address = is_full.then(|| Address::from(plan.place.address));
    if let Some(component) = component
        && attribute != RtcpAttribute::Omit
    {
        out.put(&Rtcp {
            port: component.told(),
            address,
        });
    }
    match plan.mux {
        MuxShown::None => {}
        MuxShown::Offered | MuxShown::Muxed => out.flag(AttrKind::RtcpMux),
    }
}

/// Whether an attribute of an RTP section is somebody else's and stays among its likes.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not listed is not ours, also what is not known yet"
)]
fn is_others(attr: AttrKind, line: &Line<'_>, keeps_direction: bool) -> bool {
    match attr {
        AttrKind::Sendrecv | AttrKind::Sendonly | AttrKind::Recvonly | AttrKind::Inactive => {
            keeps_direction
        }
        // About a payload type, these are written with it; about all (`*`), they stay here.
        AttrKind::RtcpFb => line.value().trim_ascii_start().starts_with(b"*"),
        AttrKind::Rtpmap
        | AttrKind::Fmtp
        | AttrKind::Ptime
        | AttrKind::Maxptime
        | AttrKind::Rtcp
        | AttrKind::RtcpMux
        | AttrKind::RtcpMuxOnly
        | AttrKind::Mid
        | AttrKind::BundleOnly
        | AttrKind::Extmap
        | AttrKind::ExtmapAllowMixed
        | AttrKind::Patchcord => false,
        other => !is_ice(other) && !is_key(other),
    }
}

/// Whether an attribute belongs to ICE (RFC 8839).
pub(super) const fn is_ice(attr: AttrKind) -> bool {
    matches!(
        attr,
        AttrKind::Candidate
            | AttrKind::RemoteCandidates
            | AttrKind::EndOfCandidates
            | AttrKind::IceUfrag
            | AttrKind::IcePwd
            | AttrKind::IceOptions
            | AttrKind::IceLite
            | AttrKind::IceMismatch
            | AttrKind::IcePacing
    )
}

/// Whether an attribute keys SRTP between whoever wrote it and whoever reads it.
pub(super) const fn is_key(attr: AttrKind) -> bool {
    matches!(
        attr,
        AttrKind::Crypto
            | AttrKind::KeyMgmt
            | AttrKind::Setup
            | AttrKind::Connection
            | AttrKind::Fingerprint
            | AttrKind::TlsId
    )
}
