//! A call as data: its legs, which of them talk to which, and what was decided for all of them.

mod bundled;
mod connectivity;
mod doors;
mod dtls;
mod identity;
mod keying;
mod leg;
mod lodging;
mod section;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::Time;
use patchcord_media::flow::{Learning, PortId, Spec};
use patchcord_wire::ids::CallId;
use smallvec::SmallVec;

pub(crate) use bundled::{Bundled, Masked, Offered as BundleOffer};
pub(crate) use connectivity::Connectivity;
pub(crate) use doors::{Doors, others};
pub(crate) use dtls::{Dtls, Made, Path, Said, Stage, Standing};
pub(crate) use identity::{
    Address, Newcomer, Parties, Scope, answer_parties, delete_scope, offer_parties,
};
pub(crate) use keying::{Keying, Line, Lines, Passing, Protection, Way};
pub(crate) use leg::{Leg, LegId, Written};
pub(crate) use lodging::Lodging;
pub(crate) use section::{
    Beside, Component, Description, FeedbackWord, Local, MuxWord, Muxing, Named, PacketTimes,
    Remote, RtcpPlace, Section, Shown, Tenure, Through, Transport, Twin, Which,
};
pub(crate) use tally::{Count, Tally};

use crate::Clock;
use crate::dtls::{Exit, PathId};

/// Everything under one NG `call-id`.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Its NG name.
    pub(crate) id: CallId,
    /// When it was made.
    pub(crate) created: Clock,
    /// When it was last signalled.
    pub(crate) signalled: Clock,
    /// When an offer was last answered; no call is silent before that.
    pub(crate) answered: Option<Time>,
    /// Its legs.
    pub(crate) legs: SmallVec<[Leg; 2]>,
    /// Who talks to whom; the most recent last.
    pub(crate) dialogues: SmallVec<[Dialogue; 1]>,
    /// The worker that owns all its ports.
    pub(crate) worker: Option<u8>,
    /// TOS byte of its media, if a request chose one.
    pub(crate) tos: Option<u8>,
    /// Delete delay, if a request chose one.
    pub(crate) delete_delay: Option<Duration>,
    /// Free text kept for whoever asks.
    pub(crate) metadata: Option<Box<[u8]>>,
    /// Whose RTCP the legs get.
    pub(crate) rtcp: Rtcp,
    /// Whether media passes.
    pub(crate) traffic: Traffic,
    /// Whether it is on its way out.
    pub(crate) fate: Fate,
    /// The flows that the workers have, sorted by port.
    pub(crate) flows: Vec<Arc<Spec>>,
    /// The associations that run, and where their peers are.
    pub(crate) paths: Vec<(PathId, Exit)>,
    /// What passed at ports that were given back.
    pub(crate) past: Tally,
    /// When the table looks at it next.
    pub(crate) due: Time,
    /// When one of its agents has something to do.
    pub(crate) pulse: Option<Time>,
    /// The next [`LegId`].
    pub(crate) next_leg: u16,
}

/// Two legs that an offer joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialogue {
    /// Who made the last offer.
    pub(crate) offerer: LegId,
    /// Who it went to.
    pub(crate) answerer: LegId,
    /// How far it came.
    pub(crate) exchange: Exchange,
}

/// How far an offer/answer exchange came (RFC 3264).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// The first offer has no answer.
    Offered,
    /// Agreed.
    Established,
    /// Agreed once; a further offer has no answer.
    Reoffered,
}

/// Whether media of a call passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// As it should.
    #[default]
    Flows,
    /// Dropped by request (`drop-traffic`).
    Dropped,
}

/// Whose RTCP the legs of a call get (`generate-RTCP`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Rtcp {
    /// Each other's.
    #[default]
    Relayed,
    /// Ours, under this name.
    Ours([u8; 16]),
}

/// Whether a call is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// No.
    Alive,
    /// Deleted; it forwards until then.
    Deleted {
        /// When its ports are given back.
        at: Time,
    },
}

impl Call {
    /// A call with no legs.
    pub(crate) fn new(id: CallId, clock: Clock) -> Self {
        Self {
            id,
            created: clock,
            signalled: clock,
            answered: None,
            legs: SmallVec::new(),
            dialogues: SmallVec::new(),
            worker: None,
            tos: None,
            delete_delay: None,
            metadata: None,
            rtcp: Rtcp::Relayed,
            traffic: Traffic::Flows,
            fate: Fate::Alive,
            flows: Vec::new(),
            paths: Vec::new(),
            past: Tally::default(),
            due: Time::ZERO,
            pulse: None,
            next_leg: 0,
        }
    }

    /// Adds a leg.
    pub(crate) fn add_leg(&mut self, clock: Clock, learning: Learning) -> LegId {
        let id = LegId(self.next_leg);
        self.next_leg = self.next_leg.wrapping_add(1);
        self.legs.push(Leg::new(id, clock.wall_us, learning));
        id
    }

    /// The leg of that name. Names come from the call itself and legs leave only through
    /// [`Self::remove_leg`], which forgets its dialogues, so a name in hand is a leg.
    pub(crate) fn leg(&self, id: LegId) -> &Leg {
        self.legs
            .iter()
            .find(|leg| leg.id == id)
            .expect("a leg name in use is a leg of the call")
    }

    /// Section `index` of both sides of an exchange: the offerer's, the answerer's.
    pub(crate) fn sections(&self, parties: Parties, index: usize) -> (&Section, &Section) {
        (
            &self.leg(parties.offerer).sections[index],
            &self.leg(parties.answerer).sections[index],
        )
    }

    /// As [`Self::leg`], to change it.
    pub(crate) fn leg_mut(&mut self, id: LegId) -> &mut Leg {
        self.legs
            .iter_mut()
            .find(|leg| leg.id == id)
            .expect("a leg name in use is a leg of the call")
    }

    /// Takes a leg out, with its dialogues. The ports that its offer named go to a leg that answered
    /// the same offer and sends there; the one taken out has that one's instead.
    pub(crate) fn remove_leg(&mut self, id: LegId) -> Leg {
        self.dialogues.retain(|dialogue| !dialogue.has(id));
        let at = self.legs.iter().position(|leg| leg.id == id);
        let mut gone = self
            .legs
            .remove(at.expect("a leg name in use is a leg of the call"));
        let mut sharing = self.legs.iter_mut().filter(|leg| leg.offered_as == id);
        if let Some(heir) = sharing.next() {
            let sections = heir.sections.iter_mut().zip(&mut gone.sections);
            for (theirs, named) in sections.filter(|(_, named)| named.local.is_some()) {
                std::mem::swap(&mut theirs.local, &mut named.local);
            }
            heir.disown_ports();
            heir.offered_as = heir.id;
            let heir = heir.id;
            sharing.for_each(|leg| leg.offered_as = heir);
        }
        gone
    }

    /// Notes an offer between two legs; it becomes the most recent dialogue.
    pub(crate) fn note_offer(&mut self, offerer: LegId, answerer: LegId) {
        let before = self.take_dialogue(offerer, answerer);
        let exchange = match before.map(|dialogue| dialogue.exchange) {
            None | Some(Exchange::Offered) => Exchange::Offered,
            Some(Exchange::Established | Exchange::Reoffered) => Exchange::Reoffered,
        };
        self.dialogues.push(Dialogue {
            offerer,
            answerer,
            exchange,
        });
    }

    /// Notes an answer between two legs; it becomes the most recent dialogue.
    pub(crate) fn note_answer(&mut self, offerer: LegId, answerer: LegId) {
        self.take_dialogue(offerer, answerer);
        self.dialogues.push(Dialogue {
            offerer,
            answerer,
            exchange: Exchange::Established,
        });
    }

    /// The port of the component that has `port`: that one, or the one it stands beside.
    pub(crate) fn entered(&self, port: PortId) -> PortId {
        let mut sections = self.legs.iter().flat_map(|leg| &leg.sections);
        let found = sections.find_map(|section| section.component_at(port));
        found.map_or(port, Component::id)
    }

    /// What passed in the call so far.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = self.past;
        for section in self.legs.iter().flat_map(|leg| &leg.sections) {
            section
                .components()
                .for_each(|component| tally.add(&component.stats));
        }
        tally
    }

    /// The dialogue between two legs, whoever offered.
    pub(crate) fn dialogue(&self, one: LegId, other: LegId) -> Option<&Dialogue> {
        self.dialogues
            .iter()
            .find(|dialogue| dialogue.has(one) && dialogue.has(other))
    }

    /// The leg that `leg` agreed with last.
    pub(crate) fn established_peer(&self, leg: LegId) -> Option<LegId> {
        let mut agreed = self
            .dialogues
            .iter()
            .rev()
            .filter(|d| d.exchange != Exchange::Offered);
        agreed.find_map(|dialogue| dialogue.peer_of(leg))
    }

    /// Every leg that `leg` has a dialogue with, the most recent first.
    pub(crate) fn peers(&self, leg: LegId) -> impl Iterator<Item = LegId> {
        self.dialogues
            .iter()
            .rev()
            .filter_map(move |dialogue| dialogue.peer_of(leg))
    }

    /// The legs that what `leg` sends goes to: the one it agreed with last; before any agreement,
    /// all that it has an open offer with. A leg that agreed with another one is not disturbed.
    pub(crate) fn listeners(&self, leg: LegId) -> SmallVec<[LegId; 2]> {
        if let Some(peer) = self.established_peer(leg) {
            // Further answerers of an offer send to the ports that it named.
            let offered_as = |leg| self.leg(leg).offered_as;
            let mutual = self
                .established_peer(peer)
                .is_some_and(|chosen| offered_as(chosen) == offered_as(leg));
            return mutual.then_some(peer).into_iter().collect();
        }
        self.peers(leg)
            .filter(|peer| self.established_peer(*peer).is_none())
            .collect()
    }

    /// Who sends to the ports of `leg`: of all that were told them in one offer, the one that its peer
    /// agreed with last.
    pub(crate) fn sender(&self, leg: LegId) -> Option<LegId> {
        let offered_as = |leg| self.leg(leg).offered_as;
        let group = offered_as(leg);
        let peer = self.established_peer(leg)?;
        let chosen = self.established_peer(peer)?;
        (group == leg && offered_as(chosen) == group).then_some(chosen)
    }

    fn take_dialogue(&mut self, one: LegId, other: LegId) -> Option<Dialogue> {
        let at = self
            .dialogues
            .iter()
            .position(|d| d.has(one) && d.has(other))?;
        Some(self.dialogues.remove(at))
    }
}

impl Dialogue {
    /// Whether `leg` is one of the two.
    pub(crate) fn has(self, leg: LegId) -> bool {
        self.offerer == leg || self.answerer == leg
    }

    /// The other one, if `leg` is one of the two.
    pub(crate) fn peer_of(self, leg: LegId) -> Option<LegId> {
        if self.offerer == leg {
            Some(self.answerer)
        } else if self.answerer == leg {
            Some(self.offerer)
        } else {
            None
        }
    }
}
