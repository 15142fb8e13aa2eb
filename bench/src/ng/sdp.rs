//! The offers and answers of our endpoints, and what the relay made of them (RFC 8866).

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, anyhow, ensure};
use clap::ValueEnum;
use patchcord_media::srtp::Keys;
use patchcord_wire::extension::MID;
use patchcord_wire::sdp::{Extmap, Group, Sdp};

use super::sdes::{self, Security};

/// What an endpoint says of its RTCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rtcp {
    /// On the port above RTP's.
    #[default]
    Split,
    /// On RTP's own port (RFC 5761).
    Mux,
}

/// A media section of an endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) at: SocketAddr,
    pub(crate) payload_type: u8,
    /// The key that protects what the endpoint sends, and the tag of its line.
    pub(crate) keys: Option<(u32, &'a Keys)>,
}

/// An endpoint's media description: audio, then video.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Media<'a> {
    pub(crate) sections: &'a [Section<'a>],
    pub(crate) ptime: u32,
    pub(crate) rtcp: Rtcp,
    /// Whether the sections may share a transport (RFC 9143).
    pub(crate) bundle: bool,
}

/// What sections are called in a bundle.
pub(crate) const MIDS: [&str; 2] = ["a", "v"];
/// The id that a bundle's sections offer for their name.
const MID_ID: u8 = 4;

impl Media<'_> {
    /// The whole SDP body.
    pub(crate) fn to_sdp(self) -> String {
        let first = self.sections.first().map(|section| section.at.ip());
        let ip = first.unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        let mut sdp =
            format!("v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n");
        if self.bundle {
            let mids = MIDS[..self.sections.len().min(MIDS.len())].join(" ");
            let _ = write!(sdp, "a=group:BUNDLE {mids}\r\n");
        }
        for (section, mid) in self.sections.iter().zip(MIDS) {
            self.section(section, mid, &mut sdp);
        }
        sdp
    }

    fn section(self, section: &Section<'_>, mid: &str, sdp: &mut String) {
        let (port, pt) = (section.at.port(), section.payload_type);
        let (media, codec) = match (mid, pt) {
            ("v", _) => ("video", "VP8/90000"),
            (_, 0) => ("audio", "PCMU/8000"),
            _ => ("audio", "L16/8000"),
        };
        let (proto, crypto) = match section.keys {
            Some((tag, keys)) => {
                let security = Security::Sdes(keys.suite());
                (security.proto(), sdes::line(tag, keys))
            }
            None => (Security::Plain.proto(), String::new()),
        };
        let _ = write!(
            sdp,
            "m={media} {port} {proto} {pt}\r\na=rtpmap:{pt} {codec}\r\n"
        );
        if media == "audio" {
            let _ = write!(sdp, "a=ptime:{}\r\n", self.ptime);
        }
        if self.bundle {
            let _ = write!(sdp, "a=mid:{mid}\r\na=extmap:{MID_ID} {MID}\r\n");
        }
        *sdp += &crypto;
        if self.rtcp == Rtcp::Mux || self.bundle {
            *sdp += "a=rtcp-mux\r\n";
        }
        *sdp += "a=sendrecv\r\n";
    }
}

/// Where media section `index` of `body` says its media is to be sent.
pub(crate) fn media_endpoint(body: &[u8], index: usize) -> Result<SocketAddr> {
    let broken = |what, e| anyhow!("the relay's SDP, {what}: {e:?}");
    let sdp = Sdp::parse(body).map_err(|e| broken("body", e))?;
    let section = sdp
        .media(index)
        .context("the relay's SDP lacks a media section")?;
    let media = section.media().map_err(|e| broken("m-line", e))?;
    ensure!(media.port != 0, "the relay rejected a media section");
    let connection = section
        .connection()
        .context("the relay's SDP has no c-line")?;
    let connection = connection.map_err(|e| broken("c-line", e))?;
    let ip = connection
        .address
        .ip()
        .context("the relay's SDP has a name for an address")?;
    Ok(SocketAddr::new(ip, media.port))
}

/// The id under which packets name their section, if `body` has all its sections in one bundle.
pub(crate) fn bundle_id(body: &[u8]) -> Result<Option<u8>> {
    let sdp = Sdp::parse(body).map_err(|e| anyhow!("the relay's SDP: {e:?}"))?;
    let mut groups = sdp.session().all::<Group<'_>>().filter_map(Result::ok);
    if !groups.any(|group| group.is_bundle() && group.mids().count() == sdp.len()) {
        return Ok(None);
    }
    let first = sdp.media(0).context("a bundle of nothing")?;
    let mut maps = first.all::<Extmap<'_>>().filter_map(Result::ok);
    let map = maps.find(|map| map.uri == MID.as_bytes());
    let id = map.and_then(|map| u8::try_from(map.id).ok());
    id.map(Some)
        .context("the relay bundles, and names no section")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_address_is_found_on_either_level() {
        for ip in ["192.0.2.1", "2001:db8::1"] {
            let at = SocketAddr::new(ip.parse().expect("an address"), 4000);
            let rtcp = Rtcp::Mux;
            let section = Section {
                at,
                payload_type: 0,
                keys: None,
            };
            let sdp = Media {
                sections: &[section],
                ptime: 20,
                rtcp,
                bundle: false,
            }
            .to_sdp();
            assert_eq!(media_endpoint(sdp.as_bytes(), 0).expect("found"), at);
            let line = sdp
                .lines()
                .find(|l| l.starts_with("c="))
                .expect("a c-line")
                .to_owned();
            let moved = sdp.replacen(&format!("{line}\r\n"), "", 1) + &line + "\r\n";
            assert_eq!(media_endpoint(moved.as_bytes(), 0).expect("found"), at);
        }
    }

    #[test]
    fn a_rejected_section_has_no_media_address() {
        let sdp = b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
            m=audio 0 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n";
        assert!(media_endpoint(sdp, 0).is_err());
    }

    #[test]
    fn a_bundle_is_offered_section_by_section() {
        let section = |port, payload_type| Section {
            at: SocketAddr::from(([192, 0, 2, 1], port)),
            payload_type,
            keys: None,
        };
        let sdp = Media {
            sections: &[section(4000, 0), section(4002, 96)],
            ptime: 20,
            rtcp: Rtcp::Split,
            bundle: true,
        }
        .to_sdp();
        let mid = "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=rtcp-mux\r\na=sendrecv\r\n";
        assert_eq!(
            sdp,
            format!(
                "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                 a=group:BUNDLE a v\r\n\
                 m=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=mid:a\r\n{mid}\
                 m=video 4002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=mid:v\r\n{mid}"
            )
        );
        assert_eq!(bundle_id(sdp.as_bytes()).expect("read"), Some(4));
        let apart = sdp.replace("a=group:BUNDLE a v\r\n", "");
        assert_eq!(bundle_id(apart.as_bytes()).expect("read"), None);
        let nameless = sdp.replace("sdes:mid", "other");
        assert!(bundle_id(nameless.as_bytes()).is_err());
    }
}
