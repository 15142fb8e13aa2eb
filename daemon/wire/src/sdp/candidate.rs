//! `a=candidate`: one transport address to try (RFC 8839 §5.1, TCP by RFC 6544 §4.5).

use super::host::Host;
use super::scan::{Scan, words};
use super::{AttrKind, Error, ErrorKind, Field, LineKind};
use crate::digits;

/// An `a=candidate` line.
///
/// Host names (`….local` and others) are kept as such; what follows the known parts is kept as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'b> {
    /// Candidates of one base and kind share it.
    pub foundation: &'b [u8],
    /// 1 for RTP, 2 for RTCP.
    pub component: u16,
    /// The transport's text, such as `udp`.
    pub transport: &'b [u8],
    /// The priority.
    pub priority: u32,
    /// The address.
    pub host: Host<'b>,
    /// The port.
    pub port: u16,
    /// What follows `typ`: `host`, `srflx`, `prflx`, `relay`.
    pub kind: CandidateKind<'b>,
    /// `raddr` and `rport`: the base it was derived from.
    pub related: Option<(Host<'b>, u16)>,
    /// `tcptype` and all other extensions, as written.
    pub extensions: &'b [u8],
}

/// How a candidate was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CandidateKind<'b> {
    /// An address of the host itself.
    Host,
    /// Seen by a STUN server.
    ServerReflexive,
    /// Seen by the peer.
    PeerReflexive,
    /// Leased from a TURN server.
    Relayed,
    /// Any other word.
    Other(&'b [u8]),
}

impl<'b> CandidateKind<'b> {
    fn of(word: &'b [u8]) -> Self {
        match word {
            b"host" => Self::Host,
            b"srflx" => Self::ServerReflexive,
            b"prflx" => Self::PeerReflexive,
            b"relay" => Self::Relayed,
            other => Self::Other(other),
        }
    }

    /// The word as it stands in the line.
    pub const fn name(&self) -> &'b [u8] {
        match self {
            Self::Host => b"host",
            Self::ServerReflexive => b"srflx",
            Self::PeerReflexive => b"prflx",
            Self::Relayed => b"relay",
            Self::Other(word) => word,
        }
    }
}

impl<'b> Candidate<'b> {
    /// Whether it is one of UDP.
    pub fn is_udp(&self) -> bool {
        self.transport.eq_ignore_ascii_case(b"udp")
    }

    /// The value of an extension such as `tcptype`, `generation` or `ufrag`.
    pub fn extension(&self, name: &str) -> Option<&'b [u8]> {
        let mut parts = words(self.extensions);
        while let Some(key) = parts.next() {
            let value = parts.next()?;
            if key == name.as_bytes() {
                return Some(value);
            }
        }
        None
    }

    fn scan_related(scan: &mut Scan<'b>) -> Result<Option<(Host<'b>, u16)>, Error> {
        let mut ahead = *scan;
        if ahead.next_word() != Some(b"raddr") {
            return Ok(None);
        }
        let host = Host::of(ahead.word()?);
        if ahead.word()? != b"rport" {
            return Err(ahead.error(ErrorKind::BadWord));
        }
        let port = ahead.number()?;
        *scan = ahead;
        Ok(Some((host, port)))
    }
}

impl<'b> Field<'b> for Candidate<'b> {
    const KIND: LineKind = LineKind::Attr(AttrKind::Candidate);

    fn parse(value: &'b [u8]) -> Result<Self, Error> {
        let mut scan = Scan::new(value);
        let foundation = scan.word()?;
        let component = scan.number()?;
        let transport = scan.word()?;
        let priority = scan.number()?;
        let host = Host::of(scan.word()?);
        let port = scan.number()?;
        if scan.word()? != b"typ" {
            return Err(scan.error(ErrorKind::BadWord));
        }
        let kind = CandidateKind::of(scan.word()?);
        let related = Self::scan_related(&mut scan)?;
        let extensions = scan.trimmed_rest();
        Ok(Self {
            foundation,
            component,
            transport,
            priority,
            host,
            port,
            kind,
            related,
            extensions,
        })
    }

    fn print(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.foundation);
        out.push(b' ');
        digits::push(u64::from(self.component), out);
        out.push(b' ');
        out.extend_from_slice(self.transport);
        out.push(b' ');
        digits::push(u64::from(self.priority), out);
        out.push(b' ');
        self.host.print(out);
        out.push(b' ');
        digits::push(u64::from(self.port), out);
        out.extend_from_slice(b" typ ");
        out.extend_from_slice(self.kind.name());
        if let Some((host, port)) = self.related {
            out.extend_from_slice(b" raddr ");
            host.print(out);
            out.extend_from_slice(b" rport ");
            digits::push(u64::from(port), out);
        }
        if !self.extensions.is_empty() {
            out.push(b' ');
            out.extend_from_slice(self.extensions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{refused, same, value};
    use super::*;

    const UDP: &[u8] = b"697145916 1 udp 2122260223 10.99.11.2 54386 typ host generation 0";
    const TCP: &[u8] = b"14 1 TCP 1518280447 10.99.11.2 9 typ host tcptype active generation 0";
    const LOCAL: &[u8] = b"1 1 udp 2122260223 4b1c6b2a-1b4e-4d0f-9c2a-1c.local 54386 typ host";
    const SRFLX: &[u8] =
        b"4 2 UDP 1686052607 2001:db8::7 61000 typ srflx raddr fd99:17::2 rport 54386 x y";

    #[test]
    fn candidates_come_back_as_written() {
        for text in [UDP, TCP, LOCAL, SRFLX] {
            same::<Candidate<'_>>(text);
        }
        same::<Candidate<'_>>(b"a 1 udp 1 1.2.3.4 9 typ token");
    }

    #[test]
    fn names_are_kept_and_not_resolved() {
        assert_eq!(value::<Candidate<'_>>(LOCAL).host.ip(), None);
        assert!(value::<Candidate<'_>>(UDP).host.ip().is_some());
    }

    #[test]
    fn extensions_are_found_by_name() {
        let candidate: Candidate<'_> = value(TCP);
        assert!(!candidate.is_udp());
        assert_eq!(candidate.extension("tcptype"), Some(&b"active"[..]));
        assert_eq!(candidate.extension("generation"), Some(&b"0"[..]));
        assert_eq!(candidate.extension("active"), None);
    }

    #[test]
    fn broken_candidates_are_refused() {
        refused::<Candidate<'_>>(b"1 1 udp 2122260223 10.0.0.1 9");
        refused::<Candidate<'_>>(b"1 1 udp 2122260223 10.0.0.1 9 host typ");
        refused::<Candidate<'_>>(b"1 1 udp 4294967296 10.0.0.1 9 typ host");
        refused::<Candidate<'_>>(b"1 1 udp 1 10.0.0.1 9 typ srflx raddr 1.2.3.4");
    }
}
