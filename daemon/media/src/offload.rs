//! Which flows a lower tier can finish, and for the others, why not.
//!
//! An [`Entry`] knows addresses and ports only. It is computed from the Spec and the settled peers and
//! from nothing else, so that clearing the lower tier's map costs speed and never behaviour.

use std::fmt;

use patchcord_contract::{Endpoint, Entry, Mismatch};

mod fold;
mod offer;
mod tier;

pub use fold::Tallies;
pub(crate) use fold::{Lowered, fold, take_in};
pub use offer::Offer;
pub use tier::Tier;

use crate::flow::{Accepts, Learning, Reporting, Security, Spec, Stranger};

/// A local port as the lower tier sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The local endpoint.
    pub local: Endpoint,
    /// The peer there, once it is settled.
    pub peer: Option<Endpoint>,
    /// TOS byte of what leaves from there.
    pub tos: u8,
    /// Whether what leaves from there is sealed, or waits for keys.
    pub is_sealed: bool,
    /// Whether what leaves does so from another port.
    pub is_elsewhere: bool,
}

/// Why a flow stays with the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// Media is blocked by command.
    Blocked,
    /// It carries RTCP, which the worker reads.
    Rtcp,
    /// It carries neither RTP nor RTCP.
    Opaque,
    /// The worker counts what our own RTCP reports.
    Reported,
    /// Sections share the port or a header extension is edited on the way.
    Bundled,
    /// It is opened or sealed, which takes keys.
    Secure,
    /// Its packets go nowhere.
    NoSink,
    /// Its packets go to several places.
    Forked,
    /// Its own peer is still being learnt.
    Learning,
    /// Its peer may send from anywhere (`asymmetric`), so there is no source to check.
    AnySource,
    /// The far peer is unknown, held, or still being learnt.
    FarLearning,
    /// Nothing has been heard of it that the lower tier could follow.
    Silent,
    /// One side's packets leave from another address than they are keyed by here.
    Elsewhere,
    /// The lower tier has no room.
    Full,
    /// The lower tier refused it.
    Refused,
}

impl WhyNot {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 15] = [
        Self::Blocked,
        Self::Rtcp,
        Self::Opaque,
        Self::Reported,
        Self::Bundled,
        Self::Secure,
        Self::NoSink,
        Self::Forked,
        Self::Learning,
        Self::AnySource,
        Self::FarLearning,
        Self::Silent,
        Self::Elsewhere,
        Self::Full,
        Self::Refused,
    ];

    /// Whether only a command changes it.
    pub const fn is_lasting(self) -> bool {
        match self {
            Self::Blocked | Self::Rtcp | Self::Opaque | Self::Reported | Self::AnySource => true,
            Self::Secure
            | Self::NoSink
            | Self::Forked
            | Self::Learning
            | Self::FarLearning
            | Self::Bundled
            | Self::Silent
            | Self::Elsewhere
            | Self::Full
            | Self::Refused => false,
        }
    }

    /// The reason as shown to the operator.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "media is blocked",
            Self::Rtcp => "RTCP is read by the worker",
            Self::Opaque => "neither RTP nor RTCP",
            Self::Reported => "our own RTCP reports on it",
            Self::Bundled => "bundled sections are told apart by the worker",
            Self::Secure => "SRTP is opened and sealed by the worker",
            Self::NoSink => "goes nowhere",
            Self::Forked => "goes to several places",
            Self::Learning => "peer not settled",
            Self::AnySource => "any source may send",
            Self::FarLearning => "far peer not settled",
            Self::Silent => "no stream to follow",
            Self::Elsewhere => "leaves from another address",
            Self::Full => "the kernel's table is full",
            Self::Refused => "the kernel refused the entry",
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The entry for the RTP of a flow at `here` whose sinks leave from `sinks`; what else arrives there
/// is the worker's in any case, because the lower tier finishes nothing but RTP.
pub fn entry(spec: &Spec, here: &Place, sinks: &[Place]) -> Result<Entry, WhyNot> {
    let far = match (spec.accepts, sinks) {
        _ if spec.blocked => return Err(WhyNot::Blocked),
        (Accepts::Rtcp, _) => return Err(WhyNot::Rtcp),
        (Accepts::Opaque, _) => return Err(WhyNot::Opaque),
        _ if spec.reporting != Reporting::Relayed => return Err(WhyNot::Reported),
        _ if spec.bundle.is_some() || spec.has_lodgers() => return Err(WhyNot::Bundled),
        (Accepts::Rtp | Accepts::Muxed, []) => return Err(WhyNot::NoSink),
        (Accepts::Rtp | Accepts::Muxed, [far]) => far,
        (Accepts::Rtp | Accepts::Muxed, [..]) => return Err(WhyNot::Forked),
    };
    if here.is_elsewhere || far.is_elsewhere {
        return Err(WhyNot::Elsewhere);
    }
    let is_plain = match spec.receive {
        Security::Plain => !far.is_sealed,
        Security::EndToEnd => true,
        Security::Pending | Security::Srtp(_) => false,
    };
    if !is_plain {
        return Err(WhyNot::Secure);
    }
    let source = here.peer.ok_or(WhyNot::Learning)?;
    let to = far.peer.ok_or(WhyNot::FarLearning)?;
    let mismatch = match (spec.admission.learning, spec.admission.stranger) {
        (_, Stranger::Drop) => Mismatch::Drop,
        (Learning::Off, Stranger::Forward | Stranger::Follow) => return Err(WhyNot::AnySource),
        (_, Stranger::Forward | Stranger::Follow | Stranger::Validated) => Mismatch::Punt,
    };
    let entry = Entry {
        mismatch,
        tos: far.tos,
        ..Entry::new(here.local, source, far.local, to)
    };
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::Arc;

    use super::*;
    use crate::flow::{Admission, Clocks, Feedback, Handshakes, PortId, Sink, Sinks};
    use crate::stats::PortStats;

    fn host(last: u8, port: u16) -> Endpoint {
        Endpoint::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), port)
    }

    const fn place(local: Endpoint, peer: Option<Endpoint>, tos: u8) -> Place {
        Place {
            local,
            peer,
            tos,
            is_sealed: false,
            is_elsewhere: false,
        }
    }

    fn near() -> Place {
        place(host(1, 30_000), Some(host(2, 4_000)), 7)
    }

    fn far() -> Place {
        place(host(1, 30_002), Some(host(3, 5_000)), 9)
    }

    fn spec() -> Spec {
        let slot = |n| PortId::new(0, n).expect("a small slot");
        let sinks = Sinks::from_slice(&[Sink {
            via: slot(1),
            feedback: Feedback::Strip,
            edit: None,
        }]);
        Spec {
            port: slot(0),
            accepts: Accepts::Muxed,
            admission: Admission {
                advertised: host(2, 4_000),
                learning: Learning::Heuristic,
                stranger: Stranger::Forward,
                epoch: 1,
            },
            handshakes: Handshakes::default(),
            receive: Security::Plain,
            send: Security::Plain,
            clocks: Clocks::new(),
            rtp: sinks.clone(),
            rtcp: sinks,
            reporting: Reporting::Relayed,
            bundle: None,
            doors: None,
            tos: 0,
            blocked: false,
            interface: 0,
            stats: Arc::new(PortStats::default()),
        }
    }

    fn with(learning: Learning, stranger: Stranger) -> Spec {
        let spec = spec();
        Spec {
            admission: Admission {
                learning,
                stranger,
                ..spec.admission
            },
            ..spec
        }
    }

    #[test]
    fn a_settled_plain_flow_becomes_an_entry() {
        let entry = entry(&spec(), &near(), &[far()]).expect("nothing stands against it");
        let expected = Entry {
            mismatch: Mismatch::Punt,
            tos: 9,
            ..Entry::new(
                host(1, 30_000),
                host(2, 4_000),
                host(1, 30_002),
                host(3, 5_000),
            )
        };
        assert_eq!(entry, expected);
    }

    #[test]
    fn strangers_are_dropped_below_only_where_the_worker_would_drop_them() {
        for (stranger, expected) in [
            (Stranger::Forward, Mismatch::Punt),
            (Stranger::Follow, Mismatch::Punt),
            (Stranger::Drop, Mismatch::Drop),
        ] {
            let spec = with(Learning::Heuristic, stranger);
            let entry = entry(&spec, &near(), &[far()]).expect("an entry");
            assert_eq!(entry.mismatch, expected);
        }
    }

    #[test]
    fn what_needs_a_worker_says_why() {
        let why = |spec: Spec, here: Place, sinks: &[Place]| entry(&spec, &here, sinks).err();
        let unsettled = |place| Place {
            peer: None,
            ..place
        };
        let takes = |accepts| Spec { accepts, ..spec() };
        let blocked = Spec {
            blocked: true,
            ..spec()
        };
        let reported = Spec {
            reporting: Reporting::Elsewhere,
            ..spec()
        };
        let bundled = Spec {
            bundle: Some(Box::default()),
            ..spec()
        };
        let secure = Spec {
            handshakes: Handshakes::default(),
            receive: Security::Pending,
            ..spec()
        };
        let sealed = Place {
            is_sealed: true,
            ..far()
        };
        let elsewhere = |place| Place {
            is_elsewhere: true,
            ..place
        };
        for (found, expected) in [
            (why(spec(), elsewhere(near()), &[far()]), WhyNot::Elsewhere),
            (why(spec(), near(), &[elsewhere(far())]), WhyNot::Elsewhere),
            (why(secure, near(), &[far()]), WhyNot::Secure),
            (why(reported, near(), &[far()]), WhyNot::Reported),
            (why(bundled, near(), &[far()]), WhyNot::Bundled),
            (why(spec(), near(), &[sealed]), WhyNot::Secure),
            (why(blocked, near(), &[far()]), WhyNot::Blocked),
            (why(takes(Accepts::Rtcp), near(), &[far()]), WhyNot::Rtcp),
            (
                why(takes(Accepts::Opaque), near(), &[far()]),
                WhyNot::Opaque,
            ),
            (why(spec(), near(), &[]), WhyNot::NoSink),
            (why(spec(), near(), &[far(), far()]), WhyNot::Forked),
            (why(spec(), unsettled(near()), &[far()]), WhyNot::Learning),
            (
                why(spec(), near(), &[unsettled(far())]),
                WhyNot::FarLearning,
            ),
            (
                why(with(Learning::Off, Stranger::Forward), near(), &[far()]),
                WhyNot::AnySource,
            ),
        ] {
            assert_eq!(found, Some(expected));
        }
        let strict = with(Learning::Off, Stranger::Drop);
        assert!(
            entry(&strict, &near(), &[far()]).is_ok(),
            "strict and not learning is settled"
        );
    }
}
