//! Ports at the further addresses of an interface, for a section with ICE: each is a host candidate
//! (RFC 8445 §5.1.1.1).

use super::draft::Draft;
use crate::call::{LegId, Tenure, Transport, others};
use crate::ports::{Count, Ports};

/// Addresses of an interface that a section has ports at, beside its first.
const MAX_DOORS: usize = 15;

/// Gives a section ports at every further address of its interface; one without free ports is done without.
pub(super) fn widen<P: Ports>(draft: &mut Draft<'_, P>, leg: LegId, index: usize) {
    let section = &draft.call.leg(leg).sections[index];
    let newest = section.newest().filter(|t| t.tenure == Tenure::Own);
    let is_plain = |t: &&Transport| t.rtp.doors.is_none() && t.rtp.lodging.is_none();
    let Some(transport) = newest.filter(is_plain) else {
        return;
    };
    let id = transport.rtp.id();
    let count = match transport.rtcp {
        Some(_) => Count::Pair,
        None => Count::Single,
    };
    let rows = others(&draft.settings.interfaces, transport.interface).take(MAX_DOORS);
    let mut found = Vec::new();
    for row in rows {
        if let Ok(lease) = draft.lease(row, count) {
            found.push((row, lease));
        }
    }
    let section = &mut draft.call.leg_mut(leg).sections[index];
    let mut transports = section.transports_mut();
    let Some(transport) = transports.find(|t| t.rtp.id() == id) else {
        return;
    };
    for (row, lease) in found {
        transport.rtp.add_door(row, lease.rtp);
        if let (Some(rtcp), Some(port)) = (&mut transport.rtcp, lease.rtcp) {
            rtcp.add_door(row, port);
        }
    }
}

/// Gives a section's ports at further addresses back.
pub(super) fn shut<P: Ports>(draft: &mut Draft<'_, P>, leg: LegId, index: usize) {
    let section = &mut draft.call.leg_mut(leg).sections[index];
    let own = section.transports_mut().filter(|t| t.tenure == Tenure::Own);
    let components = own.flat_map(Transport::components_mut);
    let gone: Vec<_> = components.filter_map(|c| c.doors.take()).collect();
    for doors in &gone {
        draft.retire_doors(doors);
    }
}
