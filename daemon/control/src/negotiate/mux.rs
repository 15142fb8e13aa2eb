//! rtcp-mux: what is offered onward, what is granted inward (RFC 5761 §5.1.1).

use patchcord_wire::ng::mux::{MuxInward, MuxOnward};

use crate::call::{MuxWord, Muxing};

/// What a body says of rtcp-mux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MuxShown {
    /// Nothing: RTCP has its own port.
    None,
    /// `a=rtcp-mux` beside an RTCP port of its own.
    Offered,
    /// `a=rtcp-mux`, and RTCP at the RTP port.
    Muxed,
}

/// What the receiver of an offer is shown, given what the offerer said and what the receiver
/// already does.
pub(crate) const fn offered(said: MuxWord, wanted: MuxOnward, now: Option<Muxing>) -> MuxShown {
    match (wanted, now) {
        (MuxOnward::Separate, _) => MuxShown::None,
        (MuxOnward::Require, _) | (MuxOnward::Mirror | MuxOnward::Offer, Some(Muxing::Muxed)) => {
            MuxShown::Muxed
        }
        (MuxOnward::Offer, _) => MuxShown::Offered,
        (MuxOnward::Mirror, _) => match said {
            MuxWord::Said => MuxShown::Offered,
            MuxWord::Unsaid => MuxShown::None,
        },
    }
}

/// The same where packets pass as bytes and cannot be told apart: as the offerer said.
pub(crate) const fn mirrored(said: MuxWord, now: Option<Muxing>) -> MuxShown {
    match said {
        MuxWord::Said => offered(said, MuxOnward::Mirror, now),
        MuxWord::Unsaid => MuxShown::None,
    }
}

/// What the receiver's transport becomes while the offer is open. An offer made before on the same
/// ports may still be the one that is answered, so it is not taken back.
pub(crate) const fn while_open(shown: MuxShown, now: Muxing, agreed: bool) -> Muxing {
    match (shown, now) {
        (MuxShown::Muxed, Muxing::Muxed) => Muxing::Muxed,
        (MuxShown::Muxed | MuxShown::Offered, _) => Muxing::Offered,
        (MuxShown::None, Muxing::Offered) if !agreed => Muxing::Offered,
        (MuxShown::None, _) => Muxing::Split,
    }
}

/// What an answerer's transport becomes with its answer.
pub(crate) const fn answered(now: Muxing, said: MuxWord) -> Muxing {
    match (now, said) {
        (Muxing::Muxed, _) | (Muxing::Offered, MuxWord::Said) => Muxing::Muxed,
        (Muxing::Offered, MuxWord::Unsaid) | (Muxing::Split, _) => Muxing::Split,
    }
}

/// What the offerer is granted once its offer is answered.
pub(crate) const fn granted(
    said: MuxWord,
    wanted: MuxInward,
    answerer: Muxing,
    now: Muxing,
) -> Muxing {
    match (said, wanted) {
        (MuxWord::Unsaid, _) | (_, MuxInward::Reject) => Muxing::Split,
        (MuxWord::Said, MuxInward::Accept) => Muxing::Muxed,
        (MuxWord::Said, MuxInward::Mirror) => match (answerer, now) {
            // Granted to an earlier answer to the same offer, and no fork's answer takes it back.
            (Muxing::Muxed, _) | (_, Muxing::Muxed) => Muxing::Muxed,
            (Muxing::Split | Muxing::Offered, _) => Muxing::Split,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_the_offer_is_mirrored() {
        assert_eq!(
            offered(MuxWord::Said, MuxOnward::Mirror, None),
            MuxShown::Offered
        );
        assert_eq!(
            offered(MuxWord::Unsaid, MuxOnward::Mirror, None),
            MuxShown::None
        );
    }

    #[test]
    fn a_peer_that_muxes_is_offered_it_again() {
        let again = offered(MuxWord::Unsaid, MuxOnward::Mirror, Some(Muxing::Muxed));
        assert_eq!(again, MuxShown::Muxed);
        let told = offered(MuxWord::Said, MuxOnward::Separate, Some(Muxing::Muxed));
        assert_eq!(told, MuxShown::None, "unless the script says otherwise");
    }

    #[test]
    fn demux_grants_what_it_does_not_offer() {
        assert_eq!(
            offered(MuxWord::Said, MuxOnward::Separate, None),
            MuxShown::None
        );
        let granted = granted(
            MuxWord::Said,
            MuxInward::Accept,
            Muxing::Split,
            Muxing::Split,
        );
        assert_eq!(granted, Muxing::Muxed);
    }

    #[test]
    fn nothing_is_granted_that_was_not_offered() {
        for inward in [MuxInward::Mirror, MuxInward::Accept, MuxInward::Reject] {
            let granted = granted(MuxWord::Unsaid, inward, Muxing::Muxed, Muxing::Split);
            assert_eq!(granted, Muxing::Split);
        }
    }

    #[test]
    fn a_second_offer_does_not_take_back_the_first() {
        assert_eq!(
            while_open(MuxShown::None, Muxing::Offered, false),
            Muxing::Offered
        );
        assert_eq!(
            while_open(MuxShown::None, Muxing::Offered, true),
            Muxing::Split
        );
        assert_eq!(answered(Muxing::Offered, MuxWord::Unsaid), Muxing::Split);
    }
}
