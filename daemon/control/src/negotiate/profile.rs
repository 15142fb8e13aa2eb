//! The profile matrix: which `<proto>` the receiver of a body is told, and what then passes.
//!
//! Plain profiles turn into each other; feedback is filtered where the far profile has none. Keys
//! are the ends' own as yet: a secure section keeps its keying and its packets pass as bytes.

use patchcord_media::flow::Feedback;
use patchcord_wire::Proto;
use patchcord_wire::ng::security::ProtoChoice;

use super::draft::Notes;

/// The protocol an offer tells its receiver.
///
/// `before` is what the receiver was told the last time, if the offerer's own protocol is still the
/// same: an earlier choice outlives re-INVITEs that do not repeat it.
pub(crate) fn offered(
    theirs: Proto,
    choice: ProtoChoice,
    before: Option<Proto>,
    notes: &mut Notes,
) -> Proto {
    let wanted = match choice {
        ProtoChoice::To(proto) => proto,
        ProtoChoice::Unchanged | ProtoChoice::Accept => before
            .filter(|b| b.is_rtp() && same_keying(*b, theirs))
            .unwrap_or(theirs),
    };
    if !theirs.is_rtp() || wanted == theirs {
        return theirs;
    }
    if !wanted.is_rtp() {
        notes.add("transport-protocol: no gateway to UDPTL, protocol kept");
        return theirs;
    }
    if keying(theirs) == keying(wanted) {
        return wanted;
    }
    notes.add("transport-protocol: no SRTP yet, keying kept end to end");
    // The keying stays the offerer's; feedback is the receiver's choice.
    with_feedback(theirs, wanted.is_feedback())
}

/// What passes in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// Plain RTP and RTCP.
    Rtp,
    /// SRTP and SRTCP whose keys are in the ends' own SDES lines.
    Srtp,
    /// Bytes: other protocols, and SRTP that the ends key by DTLS on the same port.
    Bytes,
}

/// What passes in a section of this protocol.
pub(crate) const fn carries(proto: Proto) -> Carries {
    match keying(proto) {
        Keying::None if proto.is_rtp() => Carries::Rtp,
        Keying::Sdes => Carries::Srtp,
        Keying::None | Keying::Dtls => Carries::Bytes,
    }
}

/// Which RTCP a receiver takes, given both profiles (RFC 4585 §4).
pub(crate) const fn feedback(from: Proto, to: Proto) -> Feedback {
    if from.is_feedback() && to.is_rtp() && !to.is_feedback() {
        Feedback::Strip
    } else {
        Feedback::Keep
    }
}

/// Whether two profiles get their keys in the same way.
pub(crate) fn same_keying(one: Proto, other: Proto) -> bool {
    keying(one) == keying(other)
}

/// How a profile gets its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keying {
    None,
    Sdes,
    Dtls,
}

const fn keying(proto: Proto) -> Keying {
    if proto.is_dtls() {
        Keying::Dtls
    } else if proto.is_secure() {
        Keying::Sdes
    } else {
        Keying::None
    }
}

const fn with_feedback(proto: Proto, feedback: bool) -> Proto {
    match (keying(proto), feedback) {
        (Keying::None, false) => Proto::RtpAvp,
        (Keying::None, true) => Proto::RtpAvpf,
        (Keying::Sdes, false) => Proto::RtpSavp,
        (Keying::Sdes, true) => Proto::RtpSavpf,
        (Keying::Dtls, false) => Proto::UdpTlsRtpSavp,
        (Keying::Dtls, true) => Proto::UdpTlsRtpSavpf,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(theirs: Proto, choice: ProtoChoice) -> (Proto, usize) {
        let mut notes = Notes::default();
        let proto = offered(theirs, choice, None, &mut notes);
        (proto, notes.iter().count())
    }

    #[test]
    fn plain_profiles_turn_into_each_other_without_a_word() {
        assert_eq!(
            told(Proto::RtpAvp, ProtoChoice::To(Proto::RtpAvpf)),
            (Proto::RtpAvpf, 0)
        );
        assert_eq!(
            told(Proto::RtpAvpf, ProtoChoice::To(Proto::RtpAvp)),
            (Proto::RtpAvp, 0)
        );
        assert_eq!(
            told(Proto::RtpAvp, ProtoChoice::Unchanged),
            (Proto::RtpAvp, 0)
        );
    }

    #[test]
    fn keying_is_never_changed_and_the_client_is_told() {
        let secure = ProtoChoice::To(Proto::UdpTlsRtpSavpf);
        assert_eq!(told(Proto::RtpAvp, secure), (Proto::RtpAvpf, 1));
        let plain = ProtoChoice::To(Proto::RtpAvp);
        assert_eq!(
            told(Proto::UdpTlsRtpSavpf, plain),
            (Proto::UdpTlsRtpSavp, 1)
        );
        assert_eq!(
            told(Proto::RtpSavp, ProtoChoice::To(Proto::RtpSavpf)),
            (Proto::RtpSavpf, 0)
        );
    }

    #[test]
    fn fax_stays_fax() {
        assert_eq!(
            told(Proto::Udptl, ProtoChoice::To(Proto::RtpAvp)),
            (Proto::Udptl, 0)
        );
        assert_eq!(
            told(Proto::RtpAvp, ProtoChoice::To(Proto::Udptl)),
            (Proto::RtpAvp, 1)
        );
    }

    #[test]
    fn an_earlier_choice_outlives_a_reinvite() {
        let mut notes = Notes::default();
        let before = Some(Proto::RtpAvpf);
        let again = offered(Proto::RtpAvp, ProtoChoice::Unchanged, before, &mut notes);
        assert_eq!(again, Proto::RtpAvpf);
    }

    #[test]
    fn feedback_is_cut_only_towards_a_profile_without_it() {
        assert_eq!(feedback(Proto::RtpAvpf, Proto::RtpAvp), Feedback::Strip);
        assert_eq!(feedback(Proto::RtpAvpf, Proto::RtpAvpf), Feedback::Keep);
        assert_eq!(feedback(Proto::RtpAvp, Proto::RtpAvp), Feedback::Keep);
    }
}
