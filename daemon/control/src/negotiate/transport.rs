//! Which ports a section gets, when it keeps them, and when others take their place.

use patchcord_contract::Endpoint;
use patchcord_wire::ng::learning::PortLatching;

use super::draft::Draft;
use crate::call::{
    Component, Description, Keying, LegId, Local, Lodging, Muxing, Tenure, Transport,
};
use crate::error::CallError;
use crate::ports::{Count, Ports};

/// What a section's ports have to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// Row of the settings.
    pub(super) interface: u8,
    /// One port or two.
    pub(super) count: Count,
    /// The far side's endpoint that they stand for.
    pub(super) stands_for: Endpoint,
    /// What a change of that endpoint means.
    pub(super) latching: Latching,
    /// Whether RTCP needs a port of its own.
    pub(super) rtcp: NeedsRtcp,
}

/// Whether ports stay when the endpoint that they stand for changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Latching {
    /// They stay.
    Keep,
    /// They are replaced.
    Renew,
}

/// Whether RTCP needs a port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NeedsRtcp {
    /// It does.
    Yes,
    /// It can share.
    No,
}

impl Latching {
    /// By request; without a word ports stay for peers with ICE, which tell old from new
    /// themselves, and for those that will not receive.
    pub(super) const fn new(wanted: PortLatching, has_ice: bool, receives: bool) -> Self {
        match wanted {
            PortLatching::Default if !has_ice && receives => Self::Renew,
            PortLatching::Keep | PortLatching::Default => Self::Keep,
            PortLatching::Renew => Self::Renew,
        }
    }
}

impl Demand {
    /// One port for protocols without RTCP, else two; a muxed transport gives its second back
    /// with the answer.
    pub(super) const fn count(description: &Description) -> Count {
        if description.proto.is_rtp() {
            Count::Pair
        } else {
            Count::Single
        }
    }

    /// Whether `transport` will do. One behind another's ports only lasts where it has to: ICE would have to begin
    /// anew.
    fn is_met_by(&self, transport: &Transport) -> bool {
        transport.tenure == Tenure::Own
            && (transport.rtp.lodging.is_none() || transport.rtp.is_candidate())
            && transport.interface == self.interface
            && (transport.rtcp.is_some() || matches!(self.rtcp, NeedsRtcp::No))
            && (self.latching == Latching::Keep || stands_for(transport, self.stands_for))
    }
}

/// Whether ports stand for an endpoint: the same one, or none yet. A hold hides the address only.
fn stands_for(transport: &Transport, endpoint: Endpoint) -> bool {
    let known = transport.stands_for;
    if known.addr.is_unspecified() || endpoint.addr.is_unspecified() {
        known.port == 0 || endpoint.port == 0 || known.port == endpoint.port
    } else {
        known == endpoint
    }
}

/// Gives section `index` of `leg` ports that meet the demand. Ports in use stay open beside new
/// ones until the answer; of ports that an open offer had put beside, those that no longer fit go.
pub(super) fn provide<P: Ports>(
    draft: &mut Draft<'_, P>,
    leg: LegId,
    index: usize,
    demand: Demand,
) -> Result<(), CallError> {
    let section = &mut draft.call.leg_mut(leg).sections[index];
    let Some(local) = &mut section.local else {
        let now = lease(draft, demand)?;
        draft.call.leg_mut(leg).sections[index].local = Some(Local { now, next: None });
        return Ok(());
    };
    if demand.is_met_by(&local.now) {
        refine(&mut local.now, demand.stands_for);
        if let Some(dropped) = local.next.take() {
            give_up(draft, leg, index, *dropped);
        }
        return Ok(());
    }
    if let Some(next) = local.next.as_mut().filter(|next| demand.is_met_by(next)) {
        refine(next, demand.stands_for);
        return Ok(());
    }
    let next = lease(draft, demand)?;
    put_beside(draft, leg, index, next);
    Ok(())
}

/// Lets section `index` of `leg` share the ports of section `owner`, at once if it has none, else beside
/// its own until the answer.
pub(super) fn share<P: Ports>(draft: &mut Draft<'_, P>, leg: LegId, index: usize, owner: usize) {
    let sections = &draft.call.leg(leg).sections;
    let Some(theirs) = sections[owner].newest() else {
        return;
    };
    let (port, shared) = (theirs.rtp.id(), theirs.shared());
    let has = |transport: &Transport| transport.rtp.id() == port;
    match &mut draft.call.leg_mut(leg).sections[index].local {
        None => {
            let local = Local {
                now: shared,
                next: None,
            };
            draft.call.leg_mut(leg).sections[index].local = Some(local);
        }
        Some(local) if has(&local.now) => {
            if let Some(dropped) = local.next.take() {
                give_up(draft, leg, index, *dropped);
            }
        }
        Some(local) if local.next.as_deref().is_some_and(has) => {}
        Some(_) => put_beside(draft, leg, index, shared),
    }
}

/// Gives section `index` of `leg`, which was told ports that it shares and answered with an endpoint of its own,
/// ports behind them. It may have been so before.
pub(super) fn lodge<P: Ports>(
    draft: &mut Draft<'_, P>,
    leg: LegId,
    index: usize,
    host: usize,
) -> Result<(), CallError> {
    let sections = &draft.call.leg(leg).sections;
    let (Some(theirs), Some(shared)) = (sections[host].newest(), sections[index].newest()) else {
        return Ok(());
    };
    let demand = Demand {
        interface: theirs.interface,
        count: match theirs.rtcp {
            Some(_) => Count::Pair,
            None => Count::Single,
        },
        stands_for: shared.stands_for,
        latching: Latching::Keep,
        rtcp: NeedsRtcp::No,
    };
    let behind = |component: &Component| Lodging::behind(component, theirs.interface);
    let lodgings = [Some(behind(&theirs.rtp)), theirs.rtcp.as_ref().map(behind)];
    let muxing = match theirs.rtcp {
        Some(_) => shared.muxing,
        None => Muxing::Muxed,
    };
    let mut next = lease(draft, demand)?;
    next.muxing = muxing;
    for (component, lodging) in next.components_mut().zip(lodgings) {
        component.lodging = lodging.map(Box::new);
    }
    put_beside(draft, leg, index, next);
    Ok(())
}

fn put_beside<P: Ports>(draft: &mut Draft<'_, P>, leg: LegId, index: usize, next: Transport) {
    let section = &mut draft.call.leg_mut(leg).sections[index];
    let Some(local) = &mut section.local else {
        return;
    };
    if let Some(dropped) = local.next.replace(Box::new(next)) {
        give_up(draft, leg, index, *dropped);
    }
}

/// A transport that section `index` has no use for any more: what others share goes over to the first of
/// them, with all that hangs on it; the counts stay with the call.
fn give_up<P: Ports>(draft: &mut Draft<'_, P>, leg: LegId, index: usize, gone: Transport) {
    if gone.tenure == Tenure::Shared {
        draft.call.past.add(&gone.rtp.stats);
        return;
    }
    let held = draft.call.leg(leg).sharing(&gone);
    let Some(heir) = held.into_iter().find(|heir| *heir != index) else {
        let taken = draft.call.leg_mut(leg).move_in(&gone);
        for component in gone.components() {
            draft.retire_but(component, &taken);
        }
        return;
    };
    draft.call.past.add(&gone.rtp.stats);
    let leg = draft.call.leg_mut(leg);
    let section = &mut leg.sections[index];
    let (ice, keying, dtls) = (section.ice, section.keying.clone(), section.dtls.take());
    leg.inherit(heir, gone, ice);
    leg.sections[heir].keying = keying;
    leg.sections[heir].dtls = dtls;
}

/// What an open offer had put beside is not taken.
pub(super) fn drop_next<P: Ports>(draft: &mut Draft<'_, P>, leg: LegId, index: usize) {
    let section = &mut draft.call.leg_mut(leg).sections[index];
    let next = section.local.as_mut().and_then(|local| local.next.take());
    if let Some(next) = next {
        give_up(draft, leg, index, *next);
    }
}

/// The answer is here: what was put beside takes the place.
pub(super) fn settle<P: Ports>(draft: &mut Draft<'_, P>, leg: LegId, index: usize) {
    let section = &mut draft.call.leg_mut(leg).sections[index];
    let Some(local) = &mut section.local else {
        return;
    };
    let Some(next) = local.next.take() else {
        return;
    };
    let old = std::mem::replace(&mut local.now, *next);
    give_up(draft, leg, index, old);
}

/// Settles how RTCP is carried; a muxed transport has no use for its second port.
pub(super) fn settle_mux<P: Ports>(
    draft: &mut Draft<'_, P>,
    leg: LegId,
    index: usize,
    muxing: Muxing,
) {
    let section = &mut draft.call.leg_mut(leg).sections[index];
    let Some(local) = &mut section.local else {
        return;
    };
    local.now.muxing = muxing;
    if muxing == Muxing::Muxed
        && let Some(rtcp) = local.now.rtcp.take()
    {
        draft.retire(&rtcp);
    }
}

/// Ports in use stand for the endpoint that answered; a hold says nothing about that.
pub(super) fn stand_for<P>(draft: &mut Draft<'_, P>, leg: LegId, index: usize, endpoint: Endpoint) {
    let local = &mut draft.call.leg_mut(leg).sections[index].local;
    if let Some(local) = local.as_mut().filter(|_| !endpoint.addr.is_unspecified()) {
        local.now.stands_for = endpoint;
    }
}

/// The section is over: its ports go.
pub(super) fn close<P: Ports>(draft: &mut Draft<'_, P>, leg: LegId, index: usize) {
    let section = &mut draft.call.leg_mut(leg).sections[index];
    if let Some(Local { now, next }) = section.local.take() {
        if let Some(next) = next {
            give_up(draft, leg, index, *next);
        }
        give_up(draft, leg, index, now);
    }
    let section = &mut draft.call.leg_mut(leg).sections[index];
    section.keying = Keying::default();
    section.dtls = None;
    section.bundled = None;
}

/// An endpoint that was unknown or hidden by a hold becomes known.
fn refine(transport: &mut Transport, endpoint: Endpoint) {
    if transport.stands_for.addr.is_unspecified() || transport.stands_for.port == 0 {
        transport.stands_for = endpoint;
    }
}

fn lease<P: Ports>(draft: &mut Draft<'_, P>, demand: Demand) -> Result<Transport, CallError> {
    let (rtp, rtcp) = Component::of(draft.lease(demand.interface, demand.count)?);
    Ok(Transport {
        interface: demand.interface,
        muxing: Muxing::Split,
        tenure: Tenure::Own,
        stands_for: demand.stands_for,
        rtp,
        rtcp,
    })
}
