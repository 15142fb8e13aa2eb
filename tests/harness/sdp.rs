//! SDP as the tests write and read it: text, with just enough looked up in it (RFC 8866).

use std::net::IpAddr;
use std::net::SocketAddr;

use crate::Family;

/// A line of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CryptoLine<'s> {
    /// Its tag.
    pub tag: u32,
    /// Its suite.
    pub suite: &'s str,
    /// Master key and salt in base64.
    pub key: &'s str,
}

/// A session description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdp {
    text: String,
}

impl Sdp {
    /// One section of PCMU audio at `endpoint`.
    pub fn audio(endpoint: SocketAddr) -> Self {
        let (family, address) = (Family::of(endpoint.ip()).sdp(), endpoint.ip());
        Self::parse(&format!(
            "v=0\r\no=- 4711 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\n\
             t=0 0\r\nm=audio {} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n",
            endpoint.port()
        ))
    }

    /// The description in `text`.
    pub fn parse(text: &str) -> Self {
        Self {
            text: text.to_owned(),
        }
    }

    /// The same with a line at its end.
    #[must_use]
    pub fn with(mut self, line: &str) -> Self {
        self.text += line;
        self.text += "\r\n";
        self
    }

    /// The same with `from` replaced by `to`.
    #[must_use]
    pub fn replaced(&self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "no {from:?} in\n{}", self.text);
        Self::parse(&self.text.replace(from, to))
    }

    /// As it goes over the wire.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it has this very line.
    pub fn has(&self, line: &str) -> bool {
        self.text.lines().any(|own| own == line)
    }

    /// The lines of media section `index`, its m= first.
    fn section(&self, index: usize) -> impl Iterator<Item = &str> {
        let mut seen = 0;
        self.text.lines().filter(move |line| {
            seen += usize::from(line.starts_with("m="));
            seen == index + 1
        })
    }

    /// The crypto lines of section `index` (RFC 4568 §9.1).
    pub fn crypto(&self, index: usize) -> impl Iterator<Item = CryptoLine<'_>> {
        self.section(index).filter_map(|line| {
            let mut words = line.strip_prefix("a=crypto:")?.split(' ');
            let (tag, suite) = (words.next()?.parse().ok()?, words.next()?);
            let key = words.next()?.strip_prefix("inline:")?;
            let key = key.split('|').next()?;
            Some(CryptoLine { tag, suite, key })
        })
    }

    /// The value of an attribute of section `index`.
    pub fn value(&self, index: usize, attribute: &str) -> Option<&str> {
        let of = |line| str::strip_prefix(line, "a=")?.split_once(':');
        let mut values = self.section(index).filter_map(of);
        values.find_map(|(name, value)| (name == attribute).then_some(value))
    }

    /// The candidates of section `index` for RTP, in order.
    pub fn candidates(&self, index: usize) -> impl Iterator<Item = SocketAddr> {
        self.section(index).filter_map(|line| {
            let mut words = line.strip_prefix("a=candidate:")?.split(' ').skip(1);
            let (component, _, _) = (words.next()?, words.next()?, words.next()?);
            let (ip, port) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            (component == "1").then_some(SocketAddr::new(ip, port))
        })
    }

    /// The first payload type of section `index`, and the lines that say what it is.
    pub fn codec(&self, index: usize) -> Option<(u8, Vec<&str>)> {
        let first = self
            .section(index)
            .next()?
            .split(' ')
            .nth(3)?
            .parse()
            .ok()?;
        let of = |line: &&str| {
            let words = line
                .strip_prefix("a=rtpmap:")
                .or(line.strip_prefix("a=fmtp:"));
            words.is_some_and(|words| words.split(' ').next() == Some(&format!("{first}")))
        };
        Some((first, self.section(index).filter(of).collect()))
    }

    /// The profile of section `index`.
    pub fn profile(&self, index: usize) -> Option<&str> {
        self.section(index).next()?.split(' ').nth(2)
    }

    /// Where section `index` wants its RTP.
    ///
    /// # Panics
    /// Where it does not say so.
    pub fn rtp(&self, index: usize) -> SocketAddr {
        let port = self
            .section(index)
            .next()
            .and_then(|m| m.split(' ').nth(1)?.parse().ok());
        let port = port.unwrap_or_else(|| panic!("no section {index} in\n{}", self.text));
        SocketAddr::new(self.address(index), port)
    }

    /// Where section `index` wants its RTCP: muxed, in its a=rtcp (RFC 3605), or one port up.
    pub fn rtcp(&self, index: usize) -> SocketAddr {
        let mut rtcp = self.rtp(index);
        if self.section(index).any(|line| line == "a=rtcp-mux") {
            return rtcp;
        }
        let told = self
            .section(index)
            .find_map(|line| line.strip_prefix("a=rtcp:"));
        let port = told.and_then(|words| words.split(' ').next()?.parse().ok());
        rtcp.set_port(port.unwrap_or(rtcp.port() + 1));
        rtcp
    }

    /// The connection address of section `index`: its own or the session's.
    fn address(&self, index: usize) -> IpAddr {
        let of = |line: &str| {
            line.strip_prefix("c=IN IP")?
                .split(' ')
                .nth(1)?
                .parse()
                .ok()
        };
        let own = self.section(index).find_map(of);
        let all = || {
            self.text
                .lines()
                .take_while(|line| !line.starts_with("m="))
                .find_map(of)
        };
        own.or_else(all)
            .unwrap_or_else(|| panic!("no address in\n{}", self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_endpoints_of_each_section() {
        let sdp = Sdp::audio("192.0.2.1:4000".parse().expect("an endpoint"))
            .with("a=rtcp:4011")
            .with("m=video 5000 RTP/AVP 96")
            .with("c=IN IP6 2001:db8::1")
            .with("a=rtcp-mux");
        let text = |endpoint: SocketAddr| endpoint.to_string();
        assert_eq!(text(sdp.rtp(0)), "192.0.2.1:4000");
        assert_eq!(text(sdp.rtcp(0)), "192.0.2.1:4011");
        assert_eq!(text(sdp.rtp(1)), "[2001:db8::1]:5000");
        assert_eq!(sdp.rtcp(1), sdp.rtp(1));
    }
}
