//! Candidates that trickle in (RFC 8838), as fragments of SDP that a proxy hands over (RFC 8840).

use std::time::Duration;

use patchcord_contract::Time;
use patchcord_media::flow::Command;
use patchcord_wire::ids::{Mid, Tag};
use patchcord_wire::ng::{OfferAnswer, Reply};
use patchcord_wire::sdp::{self, AttrKind, IceUfrag, Sdp};

use crate::call::{Call, Connectivity, Leg, Section};
use crate::negotiate::ice::candidates;
use crate::random::Random;
use crate::{Clock, Control};

/// How long a fragment waits for the offer or answer that it belongs to.
const PATIENCE: Duration = Duration::from_secs(3);

/// Fragments that can wait, and the longest that does.
const MOST: usize = 256;
const LONGEST: usize = 16 * 1024;

/// A fragment that overtook its offer or answer.
#[derive(Debug)]
pub(crate) struct Waiting {
    at: Time,
    call_id: Box<[u8]>,
    tag: Box<[u8]>,
    body: Box<[u8]>,
}

impl Control {
    /// Takes a fragment of `request`'s sender, now or with what it belongs to.
    pub(crate) fn fragment(
        &mut self,
        clock: Clock,
        request: &OfferAnswer<'_>,
        commands: &mut Vec<Command>,
    ) -> Reply<'static> {
        let waiting = Waiting {
            at: clock.now,
            call_id: (*request.call_id).into(),
            tag: (*request.from_tag).into(),
            body: (*request.sdp).into(),
        };
        if !self.take(clock, &waiting, commands) && waiting.body.len() <= LONGEST {
            self.fragments
                .retain(|known| clock.now.since(known.at) < PATIENCE);
            if self.fragments.len() == MOST {
                self.fragments.pop_front();
            }
            self.fragments.push_back(waiting);
        }
        Reply::ok()
    }

    /// Takes the fragments that waited for a call's offer or answer.
    pub(crate) fn take_waiting(&mut self, clock: Clock, id: &[u8], commands: &mut Vec<Command>) {
        let all = std::mem::take(&mut self.fragments);
        for waiting in all {
            let is_over = clock.now.since(waiting.at) >= PATIENCE;
            let is_its = *waiting.call_id == *id;
            let is_done = is_over || is_its && self.take(clock, &waiting, commands);
            if !is_done {
                self.fragments.push_back(waiting);
            }
        }
    }

    /// Whether a fragment was for credentials that are known.
    fn take(&mut self, clock: Clock, waiting: &Waiting, commands: &mut Vec<Command>) -> bool {
        let Some(key) = self.calls.find(&waiting.call_id) else {
            return false;
        };
        let (Some(call), Ok(tag)) = (self.calls.get_mut(key), Tag::new(&waiting.tag)) else {
            return false;
        };
        let taken = take(call, clock.now, &tag, &waiting.body, &mut self.random);
        self.heed_agents(clock, key, commands);
        taken
    }
}

/// Whether any part of a fragment was for credentials that a leg of that tag has said.
fn take(call: &mut Call, now: Time, tag: &Tag, body: &[u8], random: &mut Random) -> bool {
    // What RFC 8840 §9 makes up is no whole description.
    let whole = if body.starts_with(b"v=") {
        body.to_vec()
    } else {
        [b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\n", body].concat()
    };
    let Ok(sdp) = Sdp::parse(&whole) else {
        return false;
    };
    let mut taken = false;
    for leg in call.legs.iter_mut().filter(|leg| leg.is_called(tag)) {
        if sdp.is_empty() {
            taken |= take_part(leg, now, 0, &sdp.session(), random);
        }
        for (at, part) in sdp.sections().enumerate() {
            taken |= take_part(leg, now, at, &part, random);
        }
    }
    taken
}

/// The part about one section: that of its name, else the one in its place.
fn take_part(
    leg: &mut Leg,
    now: Time,
    at: usize,
    part: &sdp::Section<'_, '_>,
    random: &mut Random,
) -> bool {
    let mid = part.get::<Mid>().and_then(Result::ok);
    let named = |section: &&Section| mid.is_some() && section.mid == mid;
    let section = leg.sections.iter().find(named).or(leg.sections.get(at));
    let Some(list) = section.and_then(|section| section.ice) else {
        return false;
    };
    let Some(ice) = leg.ice.as_deref_mut() else {
        return false;
    };
    let Connectivity { agent, out, .. } = ice;
    let Some(IceUfrag(ufrag)) = part.get_or_inherit().and_then(Result::ok) else {
        return false;
    };
    if agent
        .peer_credentials(list)
        .is_none_or(|theirs| theirs.ufrag() != ufrag)
    {
        return false;
    }
    for candidate in candidates(part, ufrag) {
        agent.add_remote(now, list, candidate, random.source(), out);
    }
    if part.has_or_inherits(AttrKind::EndOfCandidates) {
        agent.end_of_candidates(list);
    }
    true
}
