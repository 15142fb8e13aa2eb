//! Who may send to a port and where the replies go: endpoint learning and the source check.
//!
//! 1. A flow starts by sending to the endpoint that SDP advertised.
//! 2. The first packet opens a window of [`LEARNING_WINDOW`]. What sends then is compared with the
//!    advertised endpoint; under `heuristic` replies go at once to the best source so far, and a source
//!    never displaces one that is as good: whoever spoofs must know the advertised address, and then
//!    it is the owner's first packet that ends the window.
//! 3. After the window, or at once if the advertised endpoint itself sends, the peer is settled.
//!    Strangers are then forwarded but not believed, dropped, or followed.
//!
//! While the advertised endpoint cannot be sent to (unknown yet, or held at 0.0.0.0: RFC 3264 §8.4
//! forbids sending to it), nothing is learnt and nothing is sent; what the peer sends is still relayed.

use std::time::Duration;

use patchcord_contract::{Endpoint, Time};

use crate::flow::{Admission, Learning, Stranger};
use crate::table::Guard;

/// How long a flow may change its mind about where its peer is, from the first packet on.
pub(crate) const LEARNING_WINDOW: Duration = Duration::from_secs(3);

/// What a flow knows of its peer.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Where packets for the peer go: latched, or advertised until then.
    current: Endpoint,
    state: State,
    best: Rank,
    admission: Admission,
    /// When the window closes, if it is open.
    until: Time,
    /// How packets for the peer are protected. It stands here because what leaves reads no more of
    /// the flow than this line.
    pub(crate) guard: Guard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The advertised endpoint cannot be sent to.
    Silent,
    /// Nobody has sent yet.
    Fresh,
    /// The window is open.
    Open,
    /// The peer is known for good, or nothing may be learnt.
    Settled,
}

/// How well a source fits the advertised endpoint; the order is that of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Nothing has been believed so far.
    Nothing,
    Anything,
    Port,
    Address,
    Exact,
}

/// What a packet's source means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The packet is not a stranger's on a strict flow.
    pub(crate) welcome: bool,
    /// The peer moved or became final.
    pub(crate) latched: bool,
    /// The learning window opened.
    pub(crate) opened: bool,
}

impl Decision {
    const PASS: Self = Self {
        welcome: true,
        latched: false,
        opened: false,
    };
    const LATCHED: Self = Self {
        latched: true,
        ..Self::PASS
    };
    const REFUSE: Self = Self {
        welcome: false,
        ..Self::PASS
    };

    /// Whether anything changed.
    #[inline]
    pub(crate) const fn is_news(self) -> bool {
        self.latched || self.opened
    }
}

/// What kind of packet asks for admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The flow's own media: its source may be believed.
    Media,
    /// Something beside it, such as RTCP on an RTP port: it proves nothing about where media is from.
    Beside,
}

impl Peer {
    /// Nobody has sent yet.
    pub(crate) fn new(admission: Admission) -> Self {
        Self::starting(admission, admission.advertised)
    }

    /// The same admission, or a new one. In a new one learning begins again; `before` is an endpoint
    /// latched earlier under the same advertised endpoint, the best first guess there is.
    pub(crate) fn change(&mut self, admission: Admission, before: Option<Endpoint>) {
        let old = self.admission;
        if (old.epoch, old.advertised, old.learning)
            == (admission.epoch, admission.advertised, admission.learning)
        {
            self.admission = admission;
        } else {
            let guess = before.filter(|_| admission.learning != Learning::Off);
            let guard = self.guard;
            *self = Self::starting(admission, guess.unwrap_or(admission.advertised));
            self.guard = guard;
        }
    }

    /// Whether a packet from `source` is welcome, and what it teaches.
    #[inline]
    pub(crate) fn admit(
        &mut self,
        now: Time,
        source: Option<Endpoint>,
        evidence: Evidence,
    ) -> Decision {
        match source {
            // The kernel has checked it against the peer of its time; that is not fresh evidence.
            None => Decision::PASS,
            Some(source) if self.state == State::Settled && source == self.current => {
                Decision::PASS
            }
            Some(source) => self.consider(now, source, evidence),
        }
    }

    /// Closes the window if it is over and somebody was believed in it; says whether it did.
    pub(crate) fn settle(&mut self, now: Time) -> bool {
        let over = self.state == State::Open && now >= self.until && self.best > Rank::Nothing;
        if over {
            self.state = State::Settled;
        }
        over
    }

    /// Where packets for the peer go.
    #[inline]
    pub(crate) fn destination(&self) -> Option<Endpoint> {
        (self.state != State::Silent).then_some(self.current)
    }

    /// The endpoint that will not change any more, unless by command or by following a stranger.
    pub(crate) fn settled(&self) -> Option<Endpoint> {
        (self.state == State::Settled).then_some(self.current)
    }

    /// The endpoint learnt from packets, final or not.
    pub(crate) fn latched(&self) -> Option<Endpoint> {
        (self.best > Rank::Nothing).then_some(self.current)
    }

    /// When the window closes, if it is open.
    pub(crate) fn window(&self) -> Option<Time> {
        (self.state == State::Open).then_some(self.until)
    }

    /// The admission in force.
    pub(crate) const fn admission(&self) -> &Admission {
        &self.admission
    }

    fn starting(admission: Admission, current: Endpoint) -> Self {
        let state = match admission.learning {
            _ if !admission.advertised.is_sendable() => State::Silent,
            Learning::Off => State::Settled,
            Learning::Immediate | Learning::Delayed | Learning::Heuristic => State::Fresh,
        };
        Self {
            current,
            state,
            best: Rank::Nothing,
            admission,
            until: Time::ZERO,
            guard: Guard::Plain,
        }
    }

    #[cold]
    fn consider(&mut self, now: Time, source: Endpoint, evidence: Evidence) -> Decision {
        let closed = self.settle(now);
        let decision = match self.state {
            State::Silent if self.admission.stranger == Stranger::Validated => Decision::REFUSE,
            State::Silent => Decision::PASS,
            State::Settled if source == self.current => Decision::PASS,
            State::Settled => self.stranger(source, evidence),
            State::Fresh | State::Open => match evidence {
                Evidence::Beside => self.unproven(source),
                Evidence::Media => self.learn(now, source),
            },
        };
        Decision {
            latched: decision.latched || closed,
            ..decision
        }
    }

    fn stranger(&mut self, source: Endpoint, evidence: Evidence) -> Decision {
        match (self.admission.stranger, evidence) {
            (Stranger::Drop | Stranger::Validated, _) => Decision::REFUSE,
            (Stranger::Follow, Evidence::Media) if self.admission.learning != Learning::Off => {
                self.current = source;
                Decision::LATCHED
            }
            (Stranger::Forward | Stranger::Follow, _) => Decision::PASS,
        }
    }

    /// A source that is not believed, while the flow still learns.
    fn unproven(&self, source: Endpoint) -> Decision {
        let strict = self.admission.stranger == Stranger::Drop && self.best > Rank::Nothing;
        if strict && source != self.current {
            Decision::REFUSE
        } else {
            Decision::PASS
        }
    }

    fn learn(&mut self, now: Time, source: Endpoint) -> Decision {
        let fresh = self.state == State::Fresh;
        if fresh {
            self.state = State::Open;
            self.until = now + LEARNING_WINDOW;
        }
        let rank = rank(source, self.admission.advertised);
        let decision = match self.admission.learning {
            Learning::Immediate => self.latch(source, rank, State::Settled),
            Learning::Delayed if now >= self.until => self.latch(source, rank, State::Settled),
            Learning::Heuristic if rank == Rank::Exact => self.latch(source, rank, State::Settled),
            Learning::Heuristic if rank > self.best => self.latch(source, rank, State::Open),
            Learning::Heuristic => self.unproven(source),
            Learning::Delayed | Learning::Off => Decision::PASS,
        };
        Decision {
            opened: fresh && self.state == State::Open,
            ..decision
        }
    }

    fn latch(&mut self, source: Endpoint, rank: Rank, state: State) -> Decision {
        self.current = source;
        self.best = rank;
        self.state = state;
        Decision::LATCHED
    }
}

fn rank(source: Endpoint, advertised: Endpoint) -> Rank {
    match (
        source.addr == advertised.addr,
        source.port == advertised.port,
    ) {
        (true, true) => Rank::Exact,
        (true, false) => Rank::Address,
        (false, true) => Rank::Port,
        (false, false) => Rank::Anything,
    }
}

#[cfg(test)]
mod tests;
