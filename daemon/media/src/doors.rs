//! Which ports lead to a flow that is at another port (RFC 8445 §5.1.1.1), and to which of several whose
//! peers were told the same port (RFC 9143 §7.3.3).

use patchcord_contract::{Class, Endpoint, classify};
use patchcord_wire::rtp::Rtp;

use crate::flow::{self, Lodger, PortId};
use crate::table::Table;

/// The doors of a worker, by slot.
#[derive(Debug)]
pub(crate) struct Doors {
    slots: Vec<Option<PortId>>,
    len: usize,
    /// Flows at whose ports others lodge.
    hosts: usize,
}

impl Doors {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            len: 0,
            hosts: 0,
        }
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0 && self.hosts == 0
    }

    /// Where `port` leads, if it is a door.
    pub(crate) fn leads_to(&self, port: PortId) -> Option<PortId> {
        *self.slots.get(port.slot())?
    }

    /// The flow at `to` has other doors than before. One that leads elsewhere by now is left alone.
    pub(crate) fn change(
        &mut self,
        to: PortId,
        before: Option<&flow::Doors>,
        after: Option<&flow::Doors>,
    ) {
        for door in ports(before) {
            let slot = self.slots.get_mut(door.slot());
            if let Some(slot) = slot.filter(|slot| **slot == Some(to)) {
                *slot = None;
                self.len -= 1;
            }
        }
        for door in ports(after).filter(|door| door.worker() == to.worker()) {
            if self.slots.len() <= door.slot() {
                self.slots.resize(door.slot() + 1, None);
            }
            let known = self.slots[door.slot()].replace(to);
            self.len += usize::from(known.is_none());
        }
        let hosts =
            |doors: Option<&flow::Doors>| usize::from(doors.is_some_and(|d| !d.lodgers.is_empty()));
        self.hosts = self.hosts + hosts(after) - hosts(before);
    }
}

/// Whose packet it is that arrived at `host`: of the one who is known to send from there; if that is nobody, or
/// several, of the one whose stream or payload type it has; else of the port's own flow.
pub(crate) fn addressee(
    table: &Table,
    host: PortId,
    lodgers: &[Lodger],
    source: Option<Endpoint>,
    packet: &[u8],
) -> PortId {
    let ports = lodgers.iter().map(|lodger| lodger.port);
    // A connected socket has only one source, and that is the peer of the port's own flow.
    let source = source.or_else(|| table.get(host)?.peer.destination());
    let is_theirs = |port: &PortId| {
        let flow = table.get(*port).filter(|_| source.is_some());
        flow.is_some_and(|flow| flow.peer.destination() == source || flow.is_validated(source))
    };
    let mut known = std::iter::once(host).chain(ports).filter(is_theirs);
    if let (Some(port), None) = (known.next(), known.next()) {
        return port;
    }
    let rtp = Rtp::parse_protected(packet);
    let Some(rtp) = rtp.ok().filter(|_| classify(packet) == Class::Rtp) else {
        return host;
    };
    let (ssrc, payload_type) = (rtp.ssrc().0, rtp.payload_type().get());
    let declared = lodgers.iter().find(|l| l.ssrcs.contains(&ssrc));
    let named = || lodgers.iter().find(|l| l.types.has(payload_type));
    declared.or_else(named).map_or(host, |lodger| lodger.port)
}

fn ports(doors: Option<&flow::Doors>) -> impl Iterator<Item = PortId> {
    doors
        .into_iter()
        .flat_map(|doors| doors.ports.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(slot: u32) -> PortId {
        PortId::new(0, slot).expect("a small slot")
    }

    fn doors(slots: &[u32]) -> flow::Doors {
        flow::Doors {
            ports: slots.iter().map(|slot| port(*slot)).collect(),
            leaves: port(0),
            lodgers: Box::default(),
        }
    }

    #[test]
    fn a_door_leads_to_who_had_it_last() {
        let mut known = Doors::new();
        let (one, other) = (doors(&[5, 9]), doors(&[9]));
        known.change(port(1), None, Some(&one));
        known.change(port(2), None, Some(&other));
        assert_eq!(known.leads_to(port(9)), Some(port(2)));
        known.change(port(1), Some(&one), None);
        assert_eq!(known.leads_to(port(5)), None);
        assert_eq!(
            known.leads_to(port(9)),
            Some(port(2)),
            "it is another's by now"
        );
        known.change(port(2), Some(&other), None);
        assert!(known.is_empty());
    }

    #[test]
    fn a_door_of_another_worker_is_none() {
        let mut known = Doors::new();
        let far = flow::Doors {
            ports: [PortId::new(1, 3).expect("a small slot")].into(),
            leaves: port(0),
            lodgers: Box::default(),
        };
        known.change(port(0), None, Some(&far));
        assert!(known.is_empty());
    }
}
