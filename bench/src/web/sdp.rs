//! What browsers offer and phones answer, and what the relay made of it (RFC 8829, RFC 9143).
//!
//! A browser offers its sections as a bundle, each with an address of its own: who does not bundle
//! takes them apart, as browsers let peers do ("balanced", RFC 8829 §4.1.1).

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, anyhow, bail};
use patchcord_dtls::Role;
use patchcord_wire::extension::MID;
use patchcord_wire::sdp::{Extmap, Fingerprint, Group, Sdp, Section, Setup};

use super::ice::{PWD, UFRAG};
use super::section::{Kind, Told};
use super::transport::Peer;

/// The id that browsers offer for the name of a section.
const ID: u8 = 4;

/// A section of a browser's offer or of a phone's answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) at: SocketAddr,
    pub(super) kind: Kind,
}

/// What a browser offers beside its sections.
#[derive(Clone, Debug)]
pub(super) struct Offer<'a> {
    /// In `a=setup`.
    pub(super) setup: Setup,
    /// The SHA-256 of its certificate.
    pub(super) fingerprint: &'a [u8],
    /// Whether the sections may share a transport.
    pub(super) bundle: bool,
}

impl Offer<'_> {
    /// The body.
    pub(super) fn body(&self, places: &[Place]) -> String {
        let digits: Vec<_> = self
            .fingerprint
            .iter()
            .map(|b| format!("{b:02X}"))
            .collect();
        let (print, setup) = (digits.join(":"), self.setup.as_str());
        let mut sdp = session(places) + "a=ice-lite\r\n";
        if self.bundle {
            let mids: Vec<_> = places.iter().map(|place| place.kind.mid).collect();
            let _ = write!(sdp, "a=group:BUNDLE {}\r\n", mids.join(" "));
        }
        for Place { at, kind } in places {
            let (ip, port) = (at.ip(), at.port());
            sdp += &line(*at, *kind, "UDP/TLS/RTP/SAVPF");
            if self.bundle {
                let _ = write!(sdp, "a=mid:{}\r\na=extmap:{ID} {MID}\r\n", kind.mid);
            }
            let _ = write!(
                sdp,
                "a=rtcp-mux\r\na=sendrecv\r\na=setup:{setup}\r\na=fingerprint:sha-256 {print}\r\n\
                 a=ice-ufrag:{UFRAG}\r\na=ice-pwd:{PWD}\r\n\
                 a=candidate:1 1 UDP 2130706431 {ip} {port} typ host\r\na=end-of-candidates\r\n"
            );
        }
        sdp
    }
}

/// A phone's answer.
pub(super) fn plain(places: &[Place]) -> String {
    let one = |place: &Place| line(place.at, place.kind, "RTP/AVP") + "a=sendrecv\r\n";
    places
        .iter()
        .map(one)
        .fold(session(places), |sdp, section| sdp + &section)
}

fn session(places: &[Place]) -> String {
    let first = places.first().map(|place| place.at.ip());
    let ip = first.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!("v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n")
}

fn line(at: SocketAddr, kind: Kind, proto: &str) -> String {
    let (media, port, number) = (kind.media, at.port(), kind.payload_type);
    let codec = kind.codec;
    format!("m={media} {port} {proto} {number}\r\na=rtpmap:{number} {codec}\r\n")
}

/// Where each section of a body wants its media.
pub(super) fn endpoints(body: &[u8]) -> Result<Vec<SocketAddr>> {
    parse(body)?
        .sections()
        .map(|section| endpoint(&section))
        .collect()
}

/// What a browser needs to know of the transport of each section, and what is on it.
pub(super) fn told(body: &[u8]) -> Result<Vec<(Peer, Told)>> {
    let sdp = parse(body)?;
    let groups = sdp.session().all::<Group<'_>>();
    let bundled = groups
        .filter_map(Result::ok)
        .any(|group| group.is_bundle() && group.mids().count() == sdp.len());
    let one = |section: Section<'_, '_>| {
        let told = if bundled {
            Told::Bundled(id(&section)?)
        } else {
            Told::Alone
        };
        Ok((peer(&section)?, told))
    };
    sdp.sections().map(one).collect()
}

fn parse(body: &[u8]) -> Result<Sdp<'_>> {
    Sdp::parse(body).map_err(|e| anyhow!("the relay's SDP: {e:?}"))
}

fn endpoint(section: &Section<'_, '_>) -> Result<SocketAddr> {
    let media = section.media().map_err(|e| anyhow!("an m-line: {e:?}"))?;
    let connection = section.connection().and_then(Result::ok);
    let ip = connection.and_then(|line| line.address.ip());
    let ip = ip.context("the relay's SDP has no address")?;
    Ok(SocketAddr::new(ip, media.port))
}

fn peer(section: &Section<'_, '_>) -> Result<Peer> {
    let role = match section.get_or_inherit::<Setup>() {
        Some(Ok(Setup::Active)) => Role::Server,
        Some(Ok(Setup::Passive)) => Role::Client,
        other => bail!("the relay answers with role {other:?}"),
    };
    let fingerprints = section.all_or_inherit::<Fingerprint>();
    Ok(Peer {
        at: endpoint(section)?,
        role,
        fingerprints: fingerprints.filter_map(Result::ok).collect(),
    })
}

/// The id under which the packets of a section name it.
fn id(section: &Section<'_, '_>) -> Result<u8> {
    let maps = section.all::<Extmap<'_>>().filter_map(Result::ok);
    let mut named = maps.filter(|map| map.uri == MID.as_bytes());
    let id = named.next().and_then(|map| u8::try_from(map.id).ok());
    id.context("the relay bundles, and names no section")
}

#[cfg(test)]
mod tests {
    use super::super::section::KINDS;
    use super::*;

    fn places(ports: [u16; 2]) -> [Place; 2] {
        let place = |at: usize| Place {
            at: SocketAddr::from(([192, 0, 2, 1], ports[at])),
            kind: KINDS[at],
        };
        [place(0), place(1)]
    }

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        a=ice-lite\r\na=group:BUNDLE a v\r\n\
        m=audio 4000 UDP/TLS/RTP/SAVPF 0\r\na=rtpmap:0 PCMU/8000\r\n\
        a=mid:a\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=rtcp-mux\r\na=sendrecv\r\n\
        a=setup:actpass\r\na=fingerprint:sha-256 AB:01\r\na=ice-ufrag:load\r\n\
        a=ice-pwd:patchloadpatchloadpatch\r\n\
        a=candidate:1 1 UDP 2130706431 192.0.2.1 4000 typ host\r\na=end-of-candidates\r\n\
        m=video 4002 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n\
        a=mid:v\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=rtcp-mux\r\na=sendrecv\r\n\
        a=setup:actpass\r\na=fingerprint:sha-256 AB:01\r\na=ice-ufrag:load\r\n\
        a=ice-pwd:patchloadpatchloadpatch\r\n\
        a=candidate:1 1 UDP 2130706431 192.0.2.1 4002 typ host\r\na=end-of-candidates\r\n";

    #[test]
    fn a_browser_offers_a_bundle_that_can_be_taken_apart() {
        let mut offer = Offer {
            setup: Setup::Actpass,
            fingerprint: &[0xab, 1],
            bundle: true,
        };
        assert_eq!(offer.body(&places([4000, 4002])), OFFER);
        offer.bundle = false;
        let apart = offer.body(&places([4000, 4002]));
        let of_bundles = |line: &&str| line.contains("group") || line.contains("mid");
        let rest: Vec<_> = OFFER.lines().filter(|line| !of_bundles(line)).collect();
        assert_eq!(apart.lines().collect::<Vec<_>>(), rest);
    }

    #[test]
    fn a_phone_answers_with_a_port_for_each_section() {
        let body = plain(&places([5000, 5002]));
        assert_eq!(
            body,
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 5000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n\
             m=video 5002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=sendrecv\r\n"
        );
        let at = |port| SocketAddr::from(([192, 0, 2, 1], port));
        assert_eq!(
            endpoints(body.as_bytes()).expect("read"),
            [at(5000), at(5002)]
        );
    }

    #[test]
    fn an_answer_is_a_bundle_only_if_it_says_so() {
        let answer = OFFER.replace("actpass", "passive").replace("4002", "4000");
        let got = told(answer.as_bytes()).expect("read");
        let kinds: Vec<_> = got.iter().map(|(_, told)| *told).collect();
        assert_eq!(kinds, [Told::Bundled(4), Told::Bundled(4)]);
        assert!(got.iter().all(|(peer, _)| peer.role == Role::Client));
        for (from, to) in [("a=group:BUNDLE a v\r\n", ""), ("BUNDLE a v", "BUNDLE a")] {
            let apart = told(answer.replace(from, to).as_bytes()).expect("read");
            assert!(apart.iter().all(|(_, told)| *told == Told::Alone), "{to}");
        }
        let nameless = answer.replace("sdes:mid", "other");
        assert!(told(nameless.as_bytes()).is_err());
    }
}
