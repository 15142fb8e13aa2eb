//! The profile matrix: which `<proto>` the receiver of a body is told, and how both sides are keyed
//! (RFC 3551, RFC 4585, RFC 3711, RFC 5124, RFC 5764, RFC 8643).
//!
//! Plain and SDES turn into each other, with and without feedback; feedback is filtered where the far
//! profile has none. What nobody here has the keys of stays keyed by the two ends and passes as bytes.

use patchcord_media::flow::Feedback;
use patchcord_wire::Proto;
use patchcord_wire::ng::security::{OsrtpForm, ProtoChoice};

use super::draft::Notes;
use crate::call::Way;

/// How an offerer's section is keyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Not at all.
    Plain,
    /// By SDES, with a line that we can use.
    Sdes,
    /// In a way that only the ends know: SDES lines that we cannot use, MIKEY, DTLS in `RTP/SAVP`.
    Foreign,
    /// By DTLS.
    Dtls,
}

/// How a receiver is to be keyed; the column of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keying {
    None,
    Sdes,
    Dtls,
}

/// One cell of the matrix.
#[derive(Clone, Copy)]
struct Cell {
    /// How the receiver's profile is keyed.
    told: Keying,
    /// How the offerer is keyed.
    near: Way,
    /// How the receiver is keyed.
    far: Way,
    /// What the client should know.
    note: Option<&'static str>,
}

const fn cell(told: Keying, near: Way, far: Way) -> Cell {
    Cell {
        told,
        near,
        far,
        note: None,
    }
}

const fn noted(told: Keying, near: Way, far: Way, note: &'static str) -> Cell {
    Cell {
        note: Some(note),
        ..cell(told, near, far)
    }
}

const NO_DTLS: &str = "transport-protocol: DTLS is not available yet, keying kept";
const NO_KEYS: &str = "SDES: no line with a usable key, SRTP passes end to end";
const DTLS_ENDS: &str = "transport-protocol: DTLS is not available yet, SRTP passes end to end";
const NO_SDES: &str = "SDES: off, and nothing else to key SRTP with yet, keying kept";

/// The matrix. Rows are [`Source`]s, columns the [`Keying`] that is wanted of the receiver's profile;
/// whether there is feedback is the wanted profile's in every cell.
const MATRIX: [[Cell; 3]; 4] = {
    use Keying::{Dtls, None, Sdes};
    use Way::{Ends, Plain};
    const S: Way = Way::Sdes;
    [
        // wanted: plain                        wanted: SDES              wanted: DTLS
        [
            cell(None, Plain, Plain),
            cell(Sdes, Plain, S),
            noted(None, Plain, Plain, NO_DTLS),
        ],
        [
            cell(None, S, Plain),
            cell(Sdes, S, S),
            noted(Sdes, S, S, NO_DTLS),
        ],
        [
            noted(Sdes, Ends, Ends, NO_KEYS),
            cell(Sdes, Ends, Ends),
            noted(Sdes, Ends, Ends, NO_DTLS),
        ],
        [
            noted(Dtls, Ends, Ends, DTLS_ENDS),
            noted(Dtls, Ends, Ends, DTLS_ENDS),
            cell(Dtls, Ends, Ends),
        ],
    ]
};

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
    /// Looks the wish up in the matrix.
    pub(crate) fn told(self, notes: &mut Notes) -> Told {
        let Self { theirs, choice, .. } = self;
        if !theirs.is_rtp() {
            return told(theirs, Way::Plain, Way::Plain);
        }
        let mut wanted = match choice {
            ProtoChoice::To(proto) => proto,
            ProtoChoice::Unchanged | ProtoChoice::Accept => {
                let can_be = |b: &Proto| b.is_rtp() && (!b.is_dtls() || theirs.is_dtls());
                self.before.filter(can_be).unwrap_or(theirs)
            }
        };
        if !wanted.is_rtp() {
            notes.add("transport-protocol: no gateway to UDPTL, protocol kept");
            wanted = theirs;
        }
        let row = &MATRIX[self.source as usize];
        let column = keying(wanted);
        let opportunistic = self.osrtp.is_some() && column != Keying::Dtls && self.sdes;
        let offers = opportunistic || column == Keying::Sdes;
        let mut cell = row[if offers { Keying::Sdes } else { column } as usize];
        if cell.far == Way::Sdes && !self.sdes {
            cell = if theirs.is_secure() {
                noted(Keying::Sdes, Way::Ends, Way::Ends, NO_SDES)
            } else {
                // Keys in a plain profile can be answered though none can be offered.
                Cell {
                    note: Some(NO_SDES),
                    ..row[Keying::None as usize]
                }
            };
        }
        cell.note.into_iter().for_each(|note| notes.add(note));
        if cell.far == Way::Sdes && opportunistic && self.osrtp == Some(OsrtpForm::Rfc) {
            cell.told = Keying::None;
        }
        told(
            profile(cell.told, wanted.is_feedback()),
            cell.near,
            cell.far,
        )
    }
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
        | (ProtoChoice::Accept, Way::Sdes, Keying::Sdes) => answered,
        // Keys cannot be made up in an answer to an offer without any.
        (ProtoChoice::Accept, Way::Plain | Way::Sdes, _) => {
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

/// What passes in a section of this protocol.
pub(crate) const fn carries(proto: Proto) -> Carries {
    match keying(proto) {
        Keying::None if proto.is_rtp() => Carries::Rtp,
        Keying::Sdes => Carries::Rtp,
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
            osrtp: None,
        }
    }

    fn noted(wish: Wish) -> (Told, usize) {
        let mut notes = Notes::default();
        let told = wish.told(&mut notes);
        (told, notes.iter().count())
    }

    #[test]
    fn plain_and_sdes_turn_into_each_other_without_a_word() {
        let ours = &RTP[..4];
        for &from in ours {
            for &to in ours {
                let (told, notes) = noted(wish(from, ProtoChoice::To(to)));
                let way = |proto: Proto| {
                    if proto.is_secure() {
                        Way::Sdes
                    } else {
                        Way::Plain
                    }
                };
                let wanted = super::told(to, way(from), way(to));
                assert_eq!((told, notes), (wanted, 0), "{from} to {to}");
            }
        }
    }

    #[test]
    fn every_profile_stays_itself_unless_told_otherwise() {
        for proto in RTP {
            let (told, notes) = noted(wish(proto, ProtoChoice::Unchanged));
            assert_eq!((told.proto, notes), (proto, 0));
            assert_eq!(told.near, told.far);
        }
    }

    #[test]
    fn dtls_is_neither_made_nor_undone_and_the_client_is_told() {
        for proto in RTP {
            for dtls in [Proto::UdpTlsRtpSavp, Proto::UdpTlsRtpSavpf] {
                let (told, notes) = noted(wish(proto, ProtoChoice::To(dtls)));
                assert_eq!(keying(told.proto), keying(proto));
                assert_eq!(told.proto.is_feedback(), dtls.is_feedback());
                assert_eq!(notes == 0, proto.is_dtls(), "{proto} to {dtls}");
                let (told, notes) = noted(wish(dtls, ProtoChoice::To(proto)));
                assert_eq!(keying(told.proto), Keying::Dtls);
                assert_eq!((told.near, told.far), (Way::Ends, Way::Ends));
                assert_eq!(notes == 0, proto.is_dtls(), "{dtls} to {proto}");
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
            let (told, notes) = noted(foreign);
            assert_eq!(told, super::told(Proto::RtpSavp, Way::Ends, Way::Ends));
            assert_eq!(notes == 0, to.is_secure());
        }
    }

    #[test]
    fn without_lines_to_offer_nothing_changes_and_the_client_is_told() {
        let without = |theirs| Wish {
            sdes: false,
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
            assert_eq!((told.proto, told.far, notes), (Proto::RtpAvp, Way::Sdes, 0));
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
    fn feedback_is_cut_only_towards_a_profile_without_it() {
        assert_eq!(feedback(Proto::RtpAvpf, Proto::RtpAvp), Feedback::Strip);
        assert_eq!(feedback(Proto::RtpAvpf, Proto::RtpAvpf), Feedback::Keep);
        assert_eq!(feedback(Proto::RtpAvp, Proto::RtpAvp), Feedback::Keep);
    }
}
