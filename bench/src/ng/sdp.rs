//! The offers and answers of our endpoints, and what the relay made of them (RFC 8866).

use std::fmt::Write;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use clap::ValueEnum;

/// What protects the media of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Security {
    /// Plain RTP.
    #[default]
    Plain,
}

impl Security {
    /// The `<proto>` of the m-line.
    fn proto(self) -> &'static str {
        match self {
            Self::Plain => "RTP/AVP",
        }
    }
}

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
pub(crate) struct Media {
    pub(crate) at: SocketAddr,
    pub(crate) payload_type: u8,
    pub(crate) ptime: u32,
    pub(crate) security: Security,
    pub(crate) rtcp: Rtcp,
}

impl Media {
    /// The whole SDP body.
    pub(crate) fn to_sdp(self) -> String {
        let (ip, port, pt) = (self.at.ip(), self.at.port(), self.payload_type);
        let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
        let codec = if pt == 0 { "PCMU/8000" } else { "L16/8000" };
        let proto = self.security.proto();
        let mut sdp = format!(
            "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {port} {proto} {pt}\r\na=rtpmap:{pt} {codec}\r\na=ptime:{}\r\n",
            self.ptime
        );
        if self.rtcp == Rtcp::Mux {
            sdp.push_str("a=rtcp-mux\r\n");
        }
        let _ = write!(sdp, "a=sendrecv\r\n");
        sdp
    }
}

/// Where the first media section of `body` says its media is to be sent.
pub(crate) fn media_endpoint(body: &[u8]) -> Result<SocketAddr> {
    let text = String::from_utf8_lossy(body);
    let port = text
        .lines()
        .find_map(|l| l.strip_prefix("m=audio "))
        .context("m-line")?;
    let port = port.split(' ').next().unwrap_or_default().parse()?;
    let ip = text
        .lines()
        .rev()
        .find_map(|l| l.strip_prefix("c=IN IP"))
        .context("c-line")?;
    Ok(SocketAddr::new(ip[2..].trim().parse()?, port))
}
