//! The profile matrix: which `<proto>` the receiver of a body is told, and how both sides are keyed
//! (RFC 3551, RFC 4585, RFC 3711, RFC 5124, RFC 5764, RFC 8643).
//!
//! Plain, SDES and DTLS turn into each other, with and without feedback; feedback is filtered where the
//! far side has none, in its profile or by its own word. A receiver whose profile is secure is offered both ways to key it, as far as
//! the request leaves them. What nobody here has the keys of stays keyed by the two ends.

use patchcord_media::flow::Feedback;
use patchcord_wire::Proto;
use patchcord_wire::ng::security::{OsrtpForm, ProtoChoice};

use super::draft::Notes;
use crate::call::{FeedbackWord, Way};

/// How an offerer's section is keyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Not at all.
    Plain,
    /// By SDES, with a line that we can use.
    Sdes,
    /// By DTLS, with a fingerprint.
    Dtls,
    /// In a way that only the ends know: SDES lines that we cannot use, MIKEY, DTLS that we are not to do.
    Foreign,
}

/// How a profile says that its packets are keyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keying {
    None,
    Sdes,
    Dtls,
}

const NO_DTLS: &str = "DTLS: off, keying kept or by SDES";
const NO_KEYS: &str = "SDES: no line with a usable key, SRTP passes end to end";
const DTLS_ENDS: &str = "DTLS: off, SRTP passes end to end";
const NO_WAY: &str = "SDES: off, and nothing else to key SRTP with, keying kept";

/// What is known of an offered section, and wanted for its receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// The offerer's protocol.
    pub(crate) theirs: Proto,
    /// How it is keyed.
    pub(crate) source: Source,
    /// What the request says.
    pub(crate) choice: ProtoChoice,
    /// What the receiver was told the last time, if the offerer's own protocol is still the same: an
    /// earlier choice outlives re-INVITEs that do not repeat it.
    pub(crate) before: Option<Proto>,
    /// Whether there are lines to offer.
    pub(crate) sdes: bool,
    /// Whether DTLS may be offered.
    pub(crate) dtls: bool,
    /// Whether keys are offered in a plain profile.
    pub(crate) osrtp: Option<OsrtpForm>,
}

/// What the receiver of an offer is told, and how both sides are keyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The receiver's protocol.
    pub(crate) proto: Proto,
    /// How the offerer is keyed.
    pub(crate) near: Way,
    /// How the receiver is keyed.
    pub(crate) far: Way,
}

impl Wish {
    /// Decides. Whether there is feedback is always the wanted profile's.
    pub(crate) fn told(self, notes: &mut Notes) -> Told {
        let Self { theirs, .. } = self;
        if !theirs.is_rtp() {
            return told(theirs, Way::Plain, Way::Plain);
        }
        let wanted = self.wanted(notes);
        let near = match self.source {
            Source::Plain => Way::Plain,
            Source::Sdes => Way::Sdes,
            Source::Dtls => Way::Dtls,
            Source::Foreign => return untouched(theirs, wanted, notes),
        };
        let column = keying(wanted);
        let opportunistic = self.osrtp.filter(|form| {
            let twofold = *form == OsrtpForm::Legacy;
            column != Keying::Dtls && (self.sdes || self.dtls && !twofold)
        });
        let far = match (self.sdes, self.dtls) {
            _ if column == Keying::None && opportunistic.is_none() => Way::Plain,
            (true, true) => Way::Either,
            (true, false) => Way::Sdes,
            (false, true) => Way::Dtls,
            (false, false) => {
                notes.add(NO_WAY);
                if theirs.is_secure() {
                    let kept = profile(keying(theirs), wanted.is_feedback());
                    return told(kept, Way::Ends, Way::Ends);
                }
                // Keys in a plain profile can be answered though none can be offered.
                Way::Plain
            }
        };
        let shown = match (far, column, opportunistic) {
            (Way::Plain | Way::Ends, _, _) | (_, _, Some(OsrtpForm::Rfc)) => Keying::None,
            (Way::Dtls | Way::Either, Keying::Dtls, _) => Keying::Dtls,
            (_, Keying::Dtls, _) => {
                notes.add(NO_DTLS);
                Keying::Sdes
            }
            (_, Keying::None | Keying::Sdes, _) => Keying::Sdes,
        };
        told(profile(shown, wanted.is_feedback()), near, far)
    }

    /// The profile that is asked for: by the request, else by an earlier one, else by the offerer.
    fn wanted(self, notes: &mut Notes) -> Proto {
        let wanted = match self.choice {
            ProtoChoice::To(proto) => proto,
            ProtoChoice::Unchanged | ProtoChoice::Accept => {
                let before = self.before.filter(|before| before.is_rtp());
                before.unwrap_or(self.theirs)
            }
        };
        if wanted.is_rtp() {
            return wanted;
        }
        notes.add("transport-protocol: no gateway to UDPTL, protocol kept");
        self.theirs
    }
}

/// A section whose keys only the ends have.
fn untouched(theirs: Proto, wanted: Proto, notes: &mut Notes) -> Told {
    match (keying(theirs), keying(wanted)) {
        (Keying::Dtls, Keying::Dtls) | (_, Keying::Sdes) if keying(theirs) == keying(wanted) => {}
        (Keying::Dtls, _) => notes.add(DTLS_ENDS),
        (_, Keying::Dtls) => notes.add(NO_DTLS),
        (_, _) => notes.add(NO_KEYS),
    }
    let kept = profile(keying(theirs), wanted.is_feedback());
    told(kept, Way::Ends, Way::Ends)
}

const fn told(proto: Proto, near: Way, far: Way) -> Told {
    Told { proto, near, far }
}

/// What the offerer is told of an answer, given its own profile, the answerer's and how the offerer is
/// keyed: its own, unless the answerer's change is to be passed on and can be.
pub(crate) fn answered(offered: Proto, near: Way, answered: Proto, choice: ProtoChoice) -> Proto {
    match (choice, near, keying(answered)) {
        (ProtoChoice::Unchanged | ProtoChoice::To(_), _, _) => offered,
        (ProtoChoice::Accept, Way::Ends, _)
        | (ProtoChoice::Accept, _, Keying::None)
        | (ProtoChoice::Accept, Way::Sdes, Keying::Sdes)
        | (ProtoChoice::Accept, Way::Dtls, Keying::Dtls) => answered,
        // Keys cannot be made up in an answer to an offer without any.
        (ProtoChoice::Accept, Way::Plain | Way::Sdes | Way::Dtls | Way::Either, _) => {
            profile(keying(offered), answered.is_feedback())
        }
    }
}

/// What passes in a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// RTP and RTCP, plain or secure.
    Rtp,
    /// Bytes: other protocols, and SRTP that the ends key by DTLS on the same port.
    Bytes,
}

/// What passes in a section of this protocol, keyed in this way.
pub(crate) const fn carries(proto: Proto, way: Way) -> Carries {
    match (keying(proto), way) {
        (Keying::Dtls, Way::Ends) => Carries::Bytes,
        _ if proto.is_rtp() => Carries::Rtp,
        _ => Carries::Bytes,
    }
}

/// What a side says of feedback.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speaks {
    /// Its profile.
    pub(crate) proto: Proto,
    /// Whether it has `a=rtcp-fb` beside.
    pub(crate) lines: FeedbackWord,
}

impl Speaks {
    /// By profile alone.
    pub(crate) const fn profile(proto: Proto) -> Self {
        let lines = FeedbackWord::Unsaid;
        Self { proto, lines }
    }

    const fn has_feedback(self) -> bool {
        self.proto.is_feedback() || matches!(self.lines, FeedbackWord::Said)
    }
}

/// Which RTCP a receiver takes (RFC 4585 §4). Who announces feedback wants it, whatever its profile is called:
/// phones do so in SAVP, and wait for a picture's refresh half a minute without.
pub(crate) const fn feedback(from: Speaks, to: Speaks) -> Feedback {
    if from.has_feedback() && to.proto.is_rtp() && !to.has_feedback() {
        Feedback::Strip
    } else {
        Feedback::Keep
    }
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

const fn profile(keying: Keying, feedback: bool) -> Proto {
    match (keying, feedback) {
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

    const RTP: [Proto; 6] = [
        Proto::RtpAvp,
        Proto::RtpAvpf,
        Proto::RtpSavp,
        Proto::RtpSavpf,
        Proto::UdpTlsRtpSavp,
        Proto::UdpTlsRtpSavpf,
    ];

    fn wish(theirs: Proto, choice: ProtoChoice) -> Wish {
        Wish {
            theirs,
            source: match keying(theirs) {
                Keying::None => Source::Plain,
                Keying::Sdes => Source::Sdes,
                Keying::Dtls => Source::Dtls,
            },
            choice,
            before: None,
            sdes: true,
            dtls: true,
            osrtp: None,
        }
    }

    /// How an offerer of that profile is keyed.
    fn near(theirs: Proto) -> Way {
        match keying(theirs) {
            Keying::None => Way::Plain,
            Keying::Sdes => Way::Sdes,
            Keying::Dtls => Way::Dtls,
        }
    }

    fn noted(wish: Wish) -> (Told, usize) {
        let mut notes = Notes::default();
        let told = wish.told(&mut notes);
        (told, notes.iter().count())
    }

    #[test]
    fn every_profile_turns_into_every_other_without_a_word() {
        for from in RTP {
            for to in RTP {
                let far = if to.is_secure() {
                    Way::Either
                } else {
                    Way::Plain
                };
                let wanted = told(to, near(from), far);
                let came = noted(wish(from, ProtoChoice::To(to)));
                assert_eq!(came, (wanted, 0), "{from} to {to}");
            }
        }
    }

    #[test]
    fn every_profile_stays_itself_unless_told_otherwise() {
        for proto in RTP {
            let (told, notes) = noted(wish(proto, ProtoChoice::Unchanged));
            assert_eq!((told.proto, notes), (proto, 0));
        }
    }

    #[test]
    fn one_way_alone_is_offered_where_the_other_is_off() {
        for to in RTP.into_iter().filter(|to| to.is_secure()) {
            let only = |sdes, dtls| Wish {
                sdes,
                dtls,
                ..wish(Proto::RtpAvp, ProtoChoice::To(to))
            };
            let (told, notes) = noted(only(false, true));
            assert_eq!((told.proto, told.far, notes), (to, Way::Dtls, 0));
            let (told, notes) = noted(only(true, false));
            assert_eq!(told.far, Way::Sdes);
            // A profile that says DTLS is none for keys in lines.
            assert_eq!(notes == 0, !to.is_dtls());
            assert_eq!(told.proto, profile(Keying::Sdes, to.is_feedback()));
        }
    }

    #[test]
    fn dtls_that_is_off_stays_between_the_ends() {
        for dtls in [Proto::UdpTlsRtpSavp, Proto::UdpTlsRtpSavpf] {
            for to in RTP {
                let foreign = Wish {
                    source: Source::Foreign,
                    dtls: false,
                    ..wish(dtls, ProtoChoice::To(to))
                };
                let (came, notes) = noted(foreign);
                let kept = profile(Keying::Dtls, to.is_feedback());
                assert_eq!(came, told(kept, Way::Ends, Way::Ends));
                assert_eq!(notes == 0, to.is_dtls(), "{dtls} to {to}");
            }
        }
    }

    #[test]
    fn keys_that_only_the_ends_have_stay_theirs() {
        for to in [Proto::RtpAvp, Proto::RtpSavp] {
            let foreign = Wish {
                source: Source::Foreign,
                ..wish(Proto::RtpSavp, ProtoChoice::To(to))
            };
            let (came, notes) = noted(foreign);
            assert_eq!(came, told(Proto::RtpSavp, Way::Ends, Way::Ends));
            assert_eq!(notes == 0, to.is_secure());
        }
    }

    #[test]
    fn with_nothing_to_offer_nothing_changes_and_the_client_is_told() {
        let without = |theirs| Wish {
            sdes: false,
            dtls: false,
            ..wish(theirs, ProtoChoice::To(Proto::RtpSavpf))
        };
        let plain = told(Proto::RtpAvpf, Way::Plain, Way::Plain);
        assert_eq!(noted(without(Proto::RtpAvp)), (plain, 1));
        let secure = told(Proto::RtpSavpf, Way::Ends, Way::Ends);
        assert_eq!(noted(without(Proto::RtpSavp)), (secure, 1));
    }

    #[test]
    fn opportunistic_keys_are_told_in_a_plain_profile() {
        for (theirs, choice) in [
            (Proto::RtpSavp, ProtoChoice::Unchanged),
            (Proto::RtpSavp, ProtoChoice::To(Proto::RtpAvp)),
            (Proto::RtpAvp, ProtoChoice::To(Proto::RtpSavp)),
        ] {
            let wish = Wish {
                osrtp: Some(OsrtpForm::Rfc),
                ..wish(theirs, choice)
            };
            let (told, notes) = noted(wish);
            let wanted = (Proto::RtpAvp, Way::Either, 0);
            assert_eq!((told.proto, told.far, notes), wanted);
        }
    }

    #[test]
    fn fax_stays_fax() {
        for (theirs, choice) in [(Proto::Udptl, Proto::RtpAvp), (Proto::RtpAvp, Proto::Udptl)] {
            let (told, notes) = noted(wish(theirs, ProtoChoice::To(choice)));
            assert_eq!((told.proto, notes), (theirs, usize::from(theirs.is_rtp())));
        }
    }

    #[test]
    fn an_earlier_choice_outlives_a_reinvite() {
        for before in [Proto::RtpAvpf, Proto::RtpSavp] {
            let again = Wish {
                before: Some(before),
                ..wish(Proto::RtpAvp, ProtoChoice::Unchanged)
            };
            assert_eq!(noted(again).0.proto, before);
        }
    }

    #[test]
    fn an_answerers_change_is_passed_on_if_it_can_be() {
        let accept = |offered, near, said| answered(offered, near, said, ProtoChoice::Accept);
        let savp = Proto::RtpSavp;
        assert_eq!(accept(savp, Way::Sdes, Proto::RtpAvp), Proto::RtpAvp);
        assert_eq!(accept(savp, Way::Sdes, Proto::RtpSavpf), Proto::RtpSavpf);
        assert_eq!(
            accept(Proto::RtpAvp, Way::Plain, Proto::RtpSavpf),
            Proto::RtpAvpf
        );
        let kept = answered(savp, Way::Sdes, Proto::RtpAvp, ProtoChoice::Unchanged);
        assert_eq!(kept, savp);
    }

    #[test]
    fn feedback_is_cut_only_towards_who_has_not_asked_for_it() {
        let by_profile = Speaks::profile;
        let said = |proto| Speaks {
            proto,
            lines: FeedbackWord::Said,
        };
        let (avp, avpf, savp) = (Proto::RtpAvp, Proto::RtpAvpf, Proto::RtpSavp);
        for (from, to, wanted) in [
            (by_profile(avpf), by_profile(avp), Feedback::Strip),
            (by_profile(avpf), by_profile(savp), Feedback::Strip),
            (said(savp), by_profile(avp), Feedback::Strip),
            (by_profile(avpf), by_profile(avpf), Feedback::Keep),
            (by_profile(avp), by_profile(avp), Feedback::Keep),
            (by_profile(avpf), said(savp), Feedback::Keep),
            (by_profile(avpf), said(avp), Feedback::Keep),
            (by_profile(avpf), by_profile(Proto::Udptl), Feedback::Keep),
        ] {
            assert_eq!(feedback(from, to), wanted, "{from:?} to {to:?}");
        }
    }
}
