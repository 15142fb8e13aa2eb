//! A further answerer of an offer: a leg of its own beside the one that answered first (RFC 3261
//! §13.2.2.4).
//!
//! It was told the other one's ports and sends there; what goes to it leaves from ports of its own.

use patchcord_wire::Proto;

use super::draft::Draft;
use super::transport::{self, Demand, Latching, NeedsRtcp};
use super::{dtls, ice, sdes};
use crate::call::{LegId, Muxing, Remote};
use crate::error::CallError;
use crate::ports::{Count, Ports};

/// Gives `branch` the sections of the offer that it shares with another leg, if it has none yet.
pub(super) fn open<P: Ports>(draft: &mut Draft<'_, P>, branch: LegId) -> Result<(), CallError> {
    let leg = draft.call.leg(branch);
    if leg.offered_as == branch || !leg.sections.is_empty() {
        return Ok(());
    }
    let named = draft.call.leg(leg.offered_as);
    let owners: Vec<usize> = (0..named.sections.len())
        .map(|at| named.owner(at))
        .collect();
    let mut sections = named.sections.clone();
    let mut demands = Vec::with_capacity(sections.len());
    for section in &mut sections {
        section.remote = Remote::Silent;
        section.quality = None;
        section.ice = None;
        sdes::reopen(&mut section.keying);
        dtls::reopen(section);
        demands.push(section.local.take().map(|local| {
            let demand = Demand {
                interface: local.now.interface,
                count: if section.told.is_some_and(Proto::is_rtp) {
                    Count::Pair
                } else {
                    Count::Single
                },
                stands_for: local.now.stands_for,
                latching: Latching::Keep,
                rtcp: NeedsRtcp::No,
            };
            (demand, local.now.muxing)
        }));
    }
    let named = leg.offered_as;
    draft.call.leg_mut(branch).sections = sections;
    let firsts = (0..owners.len()).filter(|index| owners[*index] == *index);
    let others = (0..owners.len()).filter(|index| owners[*index] != *index);
    for index in firsts.chain(others) {
        let Some((demand, muxing)) = demands[index] else {
            continue;
        };
        if owners[index] != index {
            transport::share(draft, branch, index, owners[index]);
            ice::join(draft, branch, index);
            continue;
        }
        transport::provide(draft, branch, index, demand)?;
        if let Some(local) = &mut draft.call.leg_mut(branch).sections[index].local {
            // What the first answer settled was on offer to this one too.
            local.now.muxing = match muxing {
                Muxing::Split => Muxing::Split,
                Muxing::Offered | Muxing::Muxed => Muxing::Offered,
            };
        }
        ice::share(draft, named, branch, index);
    }
    Ok(())
}
