//! What a request permits and prefers of SDES (NG `SDES`, `recrypt`, `passthrough`).

use std::borrow::Cow;

use patchcord_media::srtp::{Keys, Parameters, Suite};
use patchcord_wire::ng::recording::Switch;
use patchcord_wire::ng::security::{SdesFlag, SdesUse};
use patchcord_wire::ng::{Flag, OfferAnswer, Set};

use crate::call::{Passing, Rtcp};
use crate::negotiate::Notes;

/// The lifetime that `lifetime` writes.
const LIFETIME: u64 = 1 << 31;

/// What a request says of SDES.
#[derive(Debug)]
pub(in crate::negotiate) struct Policy {
    /// Whether it is offered.
    pub(in crate::negotiate) usage: SdesUse,
    /// What becomes of equal keys, where the request says so.
    pub(in crate::negotiate) passing: Option<Passing>,
    /// The order in which lines are written.
    pub(super) order: Vec<Suite>,
    /// The suites to answer the offerer with.
    pub(super) preferred: Vec<Suite>,
    flags: Set<SdesFlag>,
    only: Option<Vec<Suite>>,
    no: Vec<Suite>,
}

impl Policy {
    /// Reads a request. A suite that nobody knows is said, once.
    pub(in crate::negotiate) fn new(
        request: &OfferAnswer<'_>,
        rtcp: Rtcp,
        notes: &mut Notes,
    ) -> Self {
        let sdes = &request.sdes;
        let mut suites = |names: &[Cow<'_, [u8]>]| {
            let known = |name: &[u8]| std::str::from_utf8(name).ok().and_then(Suite::from_name);
            let found: Vec<_> = names.iter().filter_map(|name| known(name)).collect();
            if found.len() < names.len() {
                notes.add("SDES: no suite of that name");
            }
            found
        };
        Self {
            usage: sdes.usage,
            passing: passing(request, rtcp),
            order: suites(&sdes.order),
            preferred: suites(&sdes.offerer_preference),
            flags: sdes.flags,
            only: (!sdes.only.is_empty()).then(|| suites(&sdes.only)),
            no: suites(&sdes.no),
        }
    }

    /// The suites to answer the offerer with, decided with its offer.
    pub(super) fn preferred(&self) -> Box<[Suite]> {
        self.preferred.as_slice().into()
    }

    /// Whether a switch is on.
    pub(super) fn has(&self, flag: SdesFlag) -> bool {
        self.flags.has(flag)
    }

    /// Whether a suite may be used: `only` beats `no`.
    pub(super) fn allows(&self, suite: Suite) -> bool {
        match &self.only {
            Some(only) => only.contains(&suite),
            None => !self.no.contains(&suite),
        }
    }

    /// Whether a received line goes on: `nonew` beats `only` and `no`.
    pub(super) fn forwards(&self, suite: Suite) -> bool {
        self.has(SdesFlag::NoNew) || self.allows(suite)
    }

    /// Session parameters as received, with those that the request puts in or takes out.
    pub(super) fn parameters(&self, received: Parameters, suite: Suite) -> Parameters {
        let decide = |received: bool, off: SdesFlag, on: SdesFlag| {
            self.has(on) || (received && !self.has(off))
        };
        Parameters {
            encrypts_rtp: decide(
                received.encrypts_rtp,
                SdesFlag::UnencryptedSrtp,
                SdesFlag::EncryptedSrtp,
            ),
            encrypts_rtcp: decide(
                received.encrypts_rtcp,
                SdesFlag::UnencryptedSrtcp,
                SdesFlag::EncryptedSrtcp,
            ),
            authenticates_rtp: suite.is_aead()
                || decide(
                    received.authenticates_rtp,
                    SdesFlag::UnauthenticatedSrtp,
                    SdesFlag::AuthenticatedSrtp,
                ),
        }
    }

    /// Whether a line may be chosen that has these parameters: what was taken out must not come back.
    pub(super) fn accepts(&self, parameters: Parameters) -> bool {
        let refuses = |kept: bool, on| !kept && self.has(on);
        !refuses(parameters.encrypts_rtp, SdesFlag::EncryptedSrtp)
            && !refuses(parameters.encrypts_rtcp, SdesFlag::EncryptedSrtcp)
            && !refuses(parameters.authenticates_rtp, SdesFlag::AuthenticatedSrtp)
    }

    /// A key of ours with the lifetime that the request wants.
    pub(super) fn dated(&self, keys: Keys) -> Keys {
        if self.has(SdesFlag::Lifetime) {
            keys.with_lifetime(LIFETIME)
                .expect("a lifetime of some packets")
        } else {
            keys
        }
    }
}

fn passing(request: &OfferAnswer<'_>, rtcp: Rtcp) -> Option<Passing> {
    match (request.passthrough, rtcp) {
        _ if request.flags.has(Flag::Recrypt) => Some(Passing::Never),
        (Some(Switch::On), _) => Some(Passing::Unread),
        // Our reports need keys that nobody else counts under.
        (Some(Switch::Off), _) | (None, Rtcp::Ours(_)) => Some(Passing::Never),
        (None, Rtcp::Relayed) => None,
    }
}
