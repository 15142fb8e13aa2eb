//! What a worker offers the lower tier, and what it takes back: the plane's side of offload.

use std::sync::Arc;

use patchcord_contract::{Endpoint, Entry, Tally};
use smallvec::SmallVec;

use super::{Lowered, Place, Tallies, Tier, WhyNot, entry, fold};
use crate::flow::PortId;
use crate::plane::Plane;
use crate::stats::SsrcStats;
use crate::table::{Flow, Guard};

/// A flow as the lower tier may carry it.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// Where its packets arrive.
    pub local: Endpoint,
    /// What becomes of them.
    pub entry: Entry,
    /// Its stream so far.
    pub tally: Tally,
    /// The port that they leave from.
    pub via: PortId,
}

impl Plane {
    /// Reads what the lower tier counts from here on. Without it nothing is offered.
    pub fn set_tallies(&mut self, tallies: Box<dyn Tallies>) {
        self.tallies = Some(tallies);
    }

    /// What the lower tier may carry of the flow at `port`. `local` tells a port's own address.
    pub fn offer(
        &self,
        port: PortId,
        local: impl Fn(PortId) -> Option<Endpoint>,
    ) -> Result<Offer, WhyNot> {
        let flow = self.table.get(port).ok_or(WhyNot::NoSink)?;
        let place = |port: PortId| {
            let flow = self.table.get(port)?;
            Some(Place {
                is_elsewhere: flow.cold.spec.leaves() != port,
                local: local(port)?,
                peer: flow.peer.settled(),
                tos: flow.cold.spec.tos,
                is_sealed: matches!(flow.peer.guard, Guard::Pending | Guard::Srtp),
            })
        };
        let here = place(port).ok_or(WhyNot::NoSink)?;
        let sinks = &flow.cold.spec.rtp;
        let places: Option<SmallVec<[Place; 1]>> =
            sinks.iter().map(|sink| place(sink.via)).collect();
        let entry = entry(&flow.cold.spec, &here, &places.ok_or(WhyNot::FarLearning)?)?;
        let via = sinks.first().ok_or(WhyNot::NoSink)?.via;
        let recent = flow.stats.ssrcs.get(usize::from(flow.recent));
        let tally = recent.and_then(SsrcStats::lend).ok_or(WhyNot::Silent)?;
        Ok(Offer {
            local: here.local,
            entry,
            tally,
            via,
        })
    }

    /// The lower tier has taken an offer: it counts in the tally of that index.
    pub fn lower(&mut self, port: PortId, offer: &Offer, tally: u32) {
        let Some(sent) = self.table.get(offer.via).map(|far| Arc::clone(&far.stats)) else {
            return;
        };
        if let Some(flow) = self.table.get_mut(port) {
            flow.stats.set_tier(Tier::Kernel);
            flow.is_lowered = true;
            flow.cold.lowered = Some(Box::new(Lowered {
                tally,
                sent,
                before: offer.tally,
                owed: 0,
            }));
        }
    }

    /// Takes in what the lower tier has counted at `port`; says whether it still carries its stream.
    pub fn catch_up(&mut self, port: PortId) -> bool {
        let Some(flow) = self.table.get_mut(port) else {
            return false;
        };
        let Some((tallies, lowered)) = self.tallies.as_deref().zip(flow.cold.lowered.as_deref())
        else {
            return false;
        };
        let tally = tallies.read(lowered.tally);
        fold(flow, &self.totals, &tally) || !is_elsewhere(flow, &tally)
    }

    /// The lower tier has let go of the flow at `port`, with this tally.
    pub fn raise(&mut self, port: PortId, tally: &Tally) {
        if let Some(flow) = self.table.get_mut(port) {
            fold(flow, &self.totals, tally);
            flow.is_lowered = false;
            flow.cold.lowered = None;
            flow.stats.set_tier(Tier::Worker);
        }
    }

    /// Says why the flow at `port` is not lowered.
    pub fn keep(&self, port: PortId, why: WhyNot) {
        if let Some(flow) = self.table.get(port) {
            flow.stats.set_tier(Tier::Kept(why));
        }
    }
}

/// Whether the port's packets go on in a way that the tally does not follow: another stream, another payload
/// type, numbers that began anew, or went on before it began.
fn is_elsewhere(flow: &Flow, tally: &Tally) -> bool {
    let recent = flow.stats.ssrcs.get(usize::from(flow.recent));
    let Some(now) = recent.and_then(SsrcStats::lend) else {
        return false;
    };
    let most = if tally.begun == 0 { 0 } else { 63 };
    let is_same = now.ssrc == tally.ssrc
        && now.payload_type == tally.payload_type
        && (now.highest as u16).wrapping_sub(tally.highest as u16) <= most;
    !is_same && flow.stats.last_packet.get() > tally.last_seen
}
