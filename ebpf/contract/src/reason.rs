//! Why a packet was not forwarded: the counter index, the Prometheus label and the kernel's value.

use core::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a packet was not forwarded. Every packet that is not forwarded has exactly one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All reasons, in counter order: `ALL[r as usize] == r`.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
            /// How many there are, the length of a counter array.
            pub const COUNT: usize = Self::ALL.len();

            /// The label used in metrics, logs and `patchctl`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Whether a copy on its way out is meant, not a packet received: the packet had been
            /// forwarded, perhaps to other sinks too.
            pub const fn is_egress(self) -> bool {
                matches!(self, Self::SendFailed | Self::SendFull)
            }
        }
    };
}

reasons! {
    /// The port has no flow: it rests after a call, or its call has not programmed it yet.
    NoFlow = "no_flow",
    /// A datagram of zero bytes (a NAT keepalive).
    Empty = "empty",
    /// Shorter than the header its first byte announces.
    Short = "short",
    /// Longer than a receive buffer; the kernel cut it.
    Truncated = "truncated",
    /// Neither RTP nor RTCP on a port that carries only those.
    NotRtp = "not_rtp",
    /// Anything but RTCP on the RTCP port of a split transport.
    NotRtcp = "not_rtcp",
    /// RTP whose header is inconsistent with its length (CSRC list or extension).
    BadHeader = "bad_header",
    /// An RTCP packet that is not a valid compound (RFC 3550 A.2) or reduced-size packet (RFC 5506).
    BadRtcp = "bad_rtcp",
    /// RTCP on a port whose far side takes none.
    UnwantedRtcp = "unwanted_rtcp",
    /// From another source than the one latched, on a strict flow.
    WrongSource = "wrong_source",
    /// No sink wants it: the section is rejected or not negotiated yet.
    NoSink = "no_sink",
    /// The far peer's endpoint is unknown or 0.0.0.0.
    NoPeer = "no_peer",
    /// Media was blocked by command.
    Blocked = "blocked",
    /// The relay has seen these bytes too often: a forwarding loop.
    Loop = "loop",
    /// A punt that the token bucket refused.
    PuntLimit = "punt_limit",
    /// A punt that found the event queue full.
    PuntFull = "punt_full",
    /// The kernel refused the send.
    SendFailed = "send_failed",
    /// The kernel's send queue was full.
    SendFull = "send_full",
    /// STUN on a flow without ICE.
    UnexpectedStun = "unexpected_stun",
    /// DTLS on a flow without DTLS.
    UnexpectedDtls = "unexpected_dtls",
    /// Only RTCP feedback that the far profile does not carry (RFC 4585).
    Feedback = "feedback",
    /// Secure media whose keys are not known yet, on the side it came from or the one it goes to.
    NoKeys = "no_keys",
    /// SRTP or SRTCP whose tag is wrong: forged, damaged, under another key, or not protected at all.
    SrtpAuth = "srtp_auth",
    /// SRTP or SRTCP with an index that was received before.
    SrtpReplay = "srtp_replay",
    /// SRTP or SRTCP too old for the replay window to know.
    SrtpOld = "srtp_old",
    /// SRTP or SRTCP of a new SSRC at a port where all places are taken by streams in use.
    SrtpSsrc = "srtp_ssrc",
    /// Too short for the tag and the other fields that SRTP or SRTCP must have.
    SrtpShort = "srtp_short",
    /// SRTP or SRTCP with another MKI than the one agreed.
    SrtpMki = "srtp_mki",
    /// A packet under a key that has protected as many as it may.
    SrtpLifetime = "srtp_lifetime",
    /// No room behind the packet for the tag that it has to leave with.
    SrtpRoom = "srtp_room",
    /// A packet that would leave under an index used before: a key stream is never used twice.
    SrtpReuse = "srtp_reuse",
    /// RTCP that was read and ends here: each side gets the relay's own (`generate-RTCP`).
    RtcpTerminated = "rtcp_terminated",
    /// Bundled, and nothing tells whose: no MID, an unknown SSRC, a payload type of several sections or of
    /// none; or RTCP about none of them.
    NoSection = "no_section",
    /// Bundled, with the MID of no section.
    UnknownMid = "unknown_mid",
    /// Bundled, with a payload type that its section does not have.
    WrongPayload = "wrong_payload",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_its_own_counter_index() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index, "{reason}");
        }
    }

    #[test]
    fn labels_are_distinct_and_in_metric_form() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            let label = reason.as_str();
            assert!(
                label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'),
                "{label}"
            );
            assert!(
                Reason::ALL[..index]
                    .iter()
                    .all(|other| other.as_str() != label),
                "{label}"
            );
        }
    }

    #[test]
    fn only_failed_sends_are_about_copies() {
        let egress = Reason::ALL.iter().filter(|reason| reason.is_egress());
        assert!(egress.eq([&Reason::SendFailed, &Reason::SendFull]));
    }
}
