//! The `<proto>` of an `m=` line (RFC 8866 §5.14): what SDP writes and NG's `transport-protocol` asks for.

use std::fmt;

/// A transport protocol of an `m=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proto {
    /// `RTP/AVP`: plain RTP (RFC 3551).
    RtpAvp,
    /// `RTP/SAVP`: SRTP, keyed by SDES (RFC 3711, RFC 4568).
    RtpSavp,
    /// `RTP/AVPF`: plain RTP with feedback (RFC 4585).
    RtpAvpf,
    /// `RTP/SAVPF`: SRTP with feedback (RFC 5124).
    RtpSavpf,
    /// `UDP/TLS/RTP/SAVP`: SRTP keyed by DTLS (RFC 5764).
    UdpTlsRtpSavp,
    /// `UDP/TLS/RTP/SAVPF`: the same with feedback; what browsers speak.
    UdpTlsRtpSavpf,
    /// `udptl`: T.38 fax over UDP (RFC 7345 §1, T.38 Annex D).
    Udptl,
    /// Anything else; the SDP keeps its text.
    Other,
}

impl Proto {
    /// Every named protocol, in the order of the enum; [`Proto::Other`] has no name.
    pub const NAMED: [Self; 7] = [
        Self::RtpAvp,
        Self::RtpSavp,
        Self::RtpAvpf,
        Self::RtpSavpf,
        Self::UdpTlsRtpSavp,
        Self::UdpTlsRtpSavpf,
        Self::Udptl,
    ];

    /// Reads a protocol, upper or lower case; what is not known is [`Proto::Other`].
    pub fn parse(text: &[u8]) -> Self {
        Self::NAMED
            .into_iter()
            .find(|proto| proto.as_str().as_bytes().eq_ignore_ascii_case(text))
            .unwrap_or(Self::Other)
    }

    /// The protocol as SDP writes it; empty for [`Proto::Other`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RtpAvp => "RTP/AVP",
            Self::RtpSavp => "RTP/SAVP",
            Self::RtpAvpf => "RTP/AVPF",
            Self::RtpSavpf => "RTP/SAVPF",
            Self::UdpTlsRtpSavp => "UDP/TLS/RTP/SAVP",
            Self::UdpTlsRtpSavpf => "UDP/TLS/RTP/SAVPF",
            Self::Udptl => "udptl",
            Self::Other => "",
        }
    }

    /// Whether RTP flows in it.
    pub const fn is_rtp(self) -> bool {
        !matches!(self, Self::Udptl | Self::Other)
    }

    /// Whether it is encrypted.
    pub const fn is_secure(self) -> bool {
        matches!(
            self,
            Self::RtpSavp | Self::RtpSavpf | Self::UdpTlsRtpSavp | Self::UdpTlsRtpSavpf
        )
    }

    /// Whether DTLS keys it.
    pub const fn is_dtls(self) -> bool {
        matches!(self, Self::UdpTlsRtpSavp | Self::UdpTlsRtpSavpf)
    }

    /// Whether RTCP feedback messages belong to it (RFC 4585).
    pub const fn is_feedback(self) -> bool {
        matches!(self, Self::RtpAvpf | Self::RtpSavpf | Self::UdpTlsRtpSavpf)
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_in_any_case() {
        for proto in Proto::NAMED {
            assert_eq!(Proto::parse(proto.as_str().as_bytes()), proto);
            assert_eq!(
                Proto::parse(proto.as_str().to_lowercase().as_bytes()),
                proto
            );
            assert_eq!(
                Proto::parse(proto.as_str().to_uppercase().as_bytes()),
                proto
            );
        }
        assert_eq!(Proto::parse(b"UDP/DTLS/SCTP"), Proto::Other);
        assert_eq!(Proto::parse(b""), Proto::Other);
    }

    #[test]
    fn dtls_is_secure_and_the_f_means_feedback() {
        for proto in Proto::NAMED {
            assert!(!proto.is_dtls() || proto.is_secure());
            assert_eq!(proto.is_feedback(), proto.as_str().ends_with('F'));
        }
    }
}
