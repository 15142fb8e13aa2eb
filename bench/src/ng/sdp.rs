//! The offers and answers of our endpoints, and what the relay made of them (RFC 8866).

use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow, ensure};
use clap::ValueEnum;
use patchcord_media::srtp::Keys;
use patchcord_wire::sdp::Sdp;

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

/// An endpoint's media description.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Media<'a> {
    pub(crate) at: SocketAddr,
    pub(crate) payload_type: u8,
    pub(crate) ptime: u32,
    pub(crate) rtcp: Rtcp,
    /// The key that protects what the endpoint sends, and the tag of its line.
    pub(crate) keys: Option<(u32, &'a Keys)>,
}

impl Media<'_> {
    /// The whole SDP body.
    pub(crate) fn to_sdp(self) -> String {
        let (ip, port, pt) = (self.at.ip(), self.at.port(), self.payload_type);
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        let codec = if pt == 0 { "PCMU/8000" } else { "L16/8000" };
        let (proto, crypto) = match self.keys {
            Some((tag, keys)) => {
                let security = Security::Sdes(keys.suite());
                (security.proto(), sdes::line(tag, keys))
            }
            None => (Security::Plain.proto(), String::new()),
        };
        let mux = if self.rtcp == Rtcp::Mux {
            "a=rtcp-mux\r\n"
        } else {
            ""
        };
        format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {port} {proto} {pt}\r\na=rtpmap:{pt} {codec}\r\na=ptime:{}\r\n\
             {crypto}{mux}a=sendrecv\r\n",
            self.ptime
        )
    }
}

/// Where the first media section of `body` says its media is to be sent.
pub(crate) fn media_endpoint(body: &[u8]) -> Result<SocketAddr> {
    let broken = |what, e| anyhow!("the relay's SDP, {what}: {e:?}");
    let sdp = Sdp::parse(body).map_err(|e| broken("body", e))?;
    let section = sdp
        .media(0)
        .context("the relay's SDP has no media section")?;
    let media = section.media().map_err(|e| broken("m-line", e))?;
    ensure!(media.port != 0, "the relay rejected the media section");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_address_is_found_on_either_level() {
        for ip in ["192.0.2.1", "2001:db8::1"] {
            let at = SocketAddr::new(ip.parse().expect("an address"), 4000);
            let rtcp = Rtcp::Mux;
            let sdp = Media {
                at,
                payload_type: 0,
                ptime: 20,
                rtcp,
                keys: None,
            }
            .to_sdp();
            assert_eq!(media_endpoint(sdp.as_bytes()).expect("found"), at);
            let line = sdp
                .lines()
                .find(|l| l.starts_with("c="))
                .expect("a c-line")
                .to_owned();
            let moved = sdp.replacen(&format!("{line}\r\n"), "", 1) + &line + "\r\n";
            assert_eq!(media_endpoint(moved.as_bytes()).expect("found"), at);
        }
    }

    #[test]
    fn a_rejected_section_has_no_media_address() {
        let sdp = b"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n\
            m=audio 0 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n";
        assert!(media_endpoint(sdp).is_err());
    }
}
