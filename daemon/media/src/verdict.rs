//! What becomes of a packet: every packet has exactly one verdict.

use patchcord_contract::Reason;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It left through at least one sink.
    Forward,
    /// It goes up to control.
    Punt,
    /// It ends here because it should not have come, or has nowhere to go.
    Drop(Reason),
    /// It ends here as intended.
    Consume(Reason),
}

impl From<Result<(), Reason>> for Verdict {
    /// The verdict on a packet that left, or did not because of a reason.
    fn from(departed: Result<(), Reason>) -> Self {
        departed.map_or_else(Self::of, |()| Self::Forward)
    }
}

impl Verdict {
    /// The verdict on a packet that is not forwarded because of `reason`.
    pub const fn of(reason: Reason) -> Self {
        match reason {
            Reason::Empty | Reason::Blocked | Reason::RtcpTerminated => Self::Consume(reason),
            Reason::NoFlow
            | Reason::Short
            | Reason::Truncated
            | Reason::NotRtp
            | Reason::NotRtcp
            | Reason::BadHeader
            | Reason::BadRtcp
            | Reason::UnwantedRtcp
            | Reason::WrongSource
            | Reason::NoSink
            | Reason::NoPeer
            | Reason::Loop
            | Reason::PuntLimit
            | Reason::PuntFull
            | Reason::SendFailed
            | Reason::SendFull
            | Reason::UnexpectedStun
            | Reason::UnexpectedDtls
            | Reason::Feedback
            | Reason::NoKeys
            | Reason::SrtpAuth
            | Reason::SrtpReplay
            | Reason::SrtpOld
            | Reason::SrtpSsrc
            | Reason::SrtpShort
            | Reason::SrtpMki
            | Reason::SrtpLifetime
            | Reason::SrtpRoom
            | Reason::SrtpReuse
            | Reason::NoSection
            | Reason::UnknownMid
            | Reason::WrongPayload => Self::Drop(reason),
        }
    }

    /// The label used in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Punt => "punt",
            Self::Drop(_) => "drop",
            Self::Consume(_) => "consume",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_media_keepalives_and_terminated_rtcp_end_as_intended() {
        let consumed = Reason::ALL
            .iter()
            .filter(|r| Verdict::of(**r).as_str() == "consume");
        assert!(consumed.eq([&Reason::Empty, &Reason::Blocked, &Reason::RtcpTerminated]));
    }
}
