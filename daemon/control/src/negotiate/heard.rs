//! What a body says, section by section, as far as a relay acts on it (RFC 8866, RFC 3264).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use patchcord_contract::{Addr, Endpoint};
use patchcord_media::flow::Clocks;
use patchcord_wire::Proto;
use patchcord_wire::ids::Mid;
use patchcord_wire::ng::OfferAnswer;
use patchcord_wire::ng::address::{AddressSource, Family};
use patchcord_wire::sdp::{
    AttrKind, Connection, Formats, Host, Maxptime, MediaLine, Ptime, Rtcp, Sdp, Section,
    static_rtpmap,
};
use smallvec::SmallVec;

use super::{dtls, ice, sdes};
use crate::call::{Description, FeedbackWord, MuxWord, Named, PacketTimes, RtcpPlace, Twin};
use crate::error::CallError;
use crate::settings::TrustedAddress;

/// One section of a received body.
pub(super) struct Heard<'i, 'b> {
    /// Its lines.
    pub(super) section: Section<'i, 'b>,
    /// Its m= line.
    pub(super) media: MediaLine<'b>,
    /// The address of its c= line, or what takes its place.
    pub(super) description: Description,
    /// What is to be done with it.
    pub(super) passage: Passage,
    /// Its name.
    pub(super) mid: Option<Mid>,
    /// Its packet times.
    pub(super) ptime: PacketTimes,
    /// Its lines about payload types.
    pub(super) formats: Formats<'b>,
    /// The other m= line of the section, if it has two.
    pub(super) twin: Option<Box<Twin>>,
    /// Its ICE.
    pub(super) ice: Option<ice::Spoken<'b>>,
    /// Why some of its crypto lines cannot be used.
    pub(super) crypto_notes: SmallVec<[&'static str; 1]>,
}

/// What is to be done with a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// It gets ports of ours.
    Relayed,
    /// It is not UDP, or not media: it is copied, address and port included.
    Foreign,
    /// It is refused or ended: port 0.
    Rejected,
}

/// Which address of the sender is believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Believed {
    source: Option<IpAddr>,
    prefers_source: bool,
}

impl Believed {
    /// Decides by request and configuration.
    pub(super) fn new(request: &OfferAnswer<'_>, trusted: TrustedAddress) -> Self {
        let prefers_source = match request.addressing.source {
            AddressSource::Configured => trusted == TrustedAddress::SipSource,
            AddressSource::Sdp => false,
            AddressSource::Signalling => true,
        };
        Self {
            source: request.addressing.received_from,
            prefers_source,
        }
    }

    /// The address to send to, given the one written. A hold by zero address stays a hold; a name
    /// is not resolved, the SIP source stands in for it.
    fn address(self, written: Host<'_>) -> Result<Addr, CallError> {
        match (written.ip(), self.source) {
            (Some(ip), _) if ip.is_unspecified() => Ok(ip.into()),
            (_, Some(source)) if self.prefers_source => Ok(source.into()),
            (Some(ip), _) => Ok(ip.into()),
            (None, Some(source)) => Ok(source.into()),
            (None, None) => Err(CallError::BadSdp),
        }
    }
}

/// Reads every section of a body that passed [`Sdp::check`].
pub(super) fn read<'i, 'b>(
    sdp: &'i Sdp<'b>,
    believed: Believed,
) -> Result<Vec<Heard<'i, 'b>>, CallError> {
    sdp.check()?;
    if sdp.is_empty() {
        return Err(CallError::NoSections);
    }
    let mut heard = Vec::with_capacity(sdp.len());
    for section in sdp.sections() {
        heard.push(read_section(section, believed)?);
    }
    Ok(heard)
}

fn read_section<'i, 'b>(
    section: Section<'i, 'b>,
    believed: Believed,
) -> Result<Heard<'i, 'b>, CallError> {
    let media = section.media()?;
    let passage = passage(&media);
    let formats = Formats::of(&section);
    let proto = media.proto();
    let host = section.connection().transpose()?.map(|c| c.address.host);
    let addr = match (host, passage) {
        (Some(host), Passage::Relayed) => believed.address(host)?,
        (host, _) => host
            .and_then(Host::ip)
            .unwrap_or(Ipv4Addr::UNSPECIFIED.into())
            .into(),
    };
    let crypto = sdes::read(&section);
    let ice = ice::read(&section).filter(|_| proto.is_rtp());
    let description = Description {
        proto,
        rtp: Endpoint {
            addr,
            port: media.port,
        },
        // The discard port and no address, with credentials: all of it trickles.
        place: if section.has_or_inherits(AttrKind::IceUfrag) && media.port == 9 {
            Named::Later
        } else {
            Named::Now
        },
        rtcp: rtcp_place(&section, believed, addr, host),
        mux: mux_word(&section, proto),
        feedback: feedback_word(&section),
        direction: section.direction(),
        codec: first_codec(&media, &formats),
        clocks: clocks(&media, &formats),
        crypto: crypto.lines.into(),
        dtls: dtls::read(&section).filter(|_| proto.is_rtp()),
    };
    let ptime = PacketTimes {
        ptime: section
            .get_or_inherit::<Ptime>()
            .and_then(Result::ok)
            .map_or(0, |p| p.0),
        maxptime: section
            .get_or_inherit::<Maxptime>()
            .and_then(Result::ok)
            .map_or(0, |p| p.0),
    };
    let mid = section.get::<Mid>().and_then(Result::ok);
    Ok(Heard {
        section,
        media,
        description,
        passage,
        mid,
        ptime,
        formats,
        twin: None,
        ice,
        crypto_notes: crypto.notes,
    })
}

impl Heard<'_, '_> {
    /// The address family its sender uses here.
    pub(super) fn family(&self) -> Family {
        Family::of(self.description.rtp.addr.ip())
    }

    /// Whether it wants silence by address 0.0.0.0 or `::` (RFC 2543's way to hold).
    pub(super) fn is_zero_address(&self) -> bool {
        self.description.is_zero_address()
    }

    /// Whether it wants more ports than the one it names (RFC 8866 §5.14).
    pub(super) fn spans_ports(&self) -> bool {
        self.passage == Passage::Relayed && self.media.count.is_some_and(|count| count > 1)
    }

    /// Whether it is RTP, keyed or not.
    pub(super) const fn is_rtp(&self) -> bool {
        self.description.proto.is_rtp()
    }
}

/// "No address" of a family.
pub(super) const fn zero_address(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn passage(media: &MediaLine<'_>) -> Passage {
    let is_tcp = media
        .proto
        .get(..3)
        .is_some_and(|head| head.eq_ignore_ascii_case(b"TCP"));
    if is_tcp || media.kind.name() == b"message" {
        Passage::Foreign
    } else if media.port == 0 {
        Passage::Rejected
    } else {
        Passage::Relayed
    }
}

fn mux_word(section: &Section<'_, '_>, proto: Proto) -> MuxWord {
    if proto.is_rtp() && section.has(AttrKind::RtcpMux) {
        MuxWord::Said
    } else {
        MuxWord::Unsaid
    }
}

fn feedback_word(section: &Section<'_, '_>) -> FeedbackWord {
    if section.has(AttrKind::RtcpFb) {
        FeedbackWord::Said
    } else {
        FeedbackWord::Unsaid
    }
}

/// Where RTCP is wanted. The address in `a=rtcp` is believed as far as the one in `c=` was: what
/// differs from `c=` is meant; what repeats it follows it. An unusable line means the next port.
fn rtcp_place(
    section: &Section<'_, '_>,
    believed: Believed,
    rtp: Addr,
    connection: Option<Host<'_>>,
) -> RtcpPlace {
    let Some(Ok(rtcp)) = section.get::<Rtcp<'_>>() else {
        return RtcpPlace::Next;
    };
    if rtcp.port == 0 {
        return RtcpPlace::Next;
    }
    let addr = match rtcp.address.map(|address| address.host) {
        Some(host) if Some(host) != connection && !host.is_unspecified() => {
            believed.address(host).unwrap_or(rtp)
        }
        Some(_) | None => rtp,
    };
    RtcpPlace::At(Endpoint {
        addr,
        port: rtcp.port,
    })
}

fn first_codec(media: &MediaLine<'_>, formats: &Formats<'_>) -> Box<[u8]> {
    if !media.proto().is_rtp() {
        return Box::default();
    }
    let first = media
        .payload_types()
        .next()
        .and_then(|pt| formats.rtpmap(pt));
    first.map_or_else(Box::default, |map| map.encoding.into())
}

/// The clock rates that a worker cannot know by itself: those of payload types with an rtpmap that
/// differs from the static table, or from 8000 Hz where the table says nothing.
fn clocks(media: &MediaLine<'_>, formats: &Formats<'_>) -> Clocks {
    if !media.proto().is_rtp() {
        return Clocks::new();
    }
    let mut known = 0_u128;
    let unseen = |pt: &patchcord_wire::ids::PayloadType| {
        let bit = 1_u128 << pt.get();
        let new = known & bit == 0;
        known |= bit;
        new
    };
    media
        .payload_types()
        .filter(unseen)
        .filter_map(|pt| {
            let rate = formats.rtpmap(pt)?.rate;
            let by_itself = static_rtpmap(pt).map_or(8000, |map| map.rate);
            (rate != by_itself).then_some((pt.get(), rate))
        })
        .collect()
}

/// Used in `a=rtcp` and `c=` alike: a line's own address.
pub(super) fn connection(ip: IpAddr) -> Connection<'static> {
    Connection::from(ip)
}
