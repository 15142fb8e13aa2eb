//! Ports for cases: numbered from 30000 over all interfaces, so that a number is one port.

use std::collections::BTreeMap;

use patchcord_contract::{Endpoint, Time};
use patchcord_control::{Count, Lease, LeasedPort, NoPorts, Ports, Settings, Want};
use patchcord_media::flow::PortId;

/// Leases that are never leased again.
pub(crate) struct Shelf {
    addresses: Vec<Endpoint>,
    places: BTreeMap<PortId, Endpoint>,
    leased: BTreeMap<PortId, Endpoint>,
    /// Leases still to be had.
    left: usize,
    next: u16,
}

impl Shelf {
    /// `left` leases on the interfaces of `settings`.
    pub(crate) fn new(settings: &Settings, left: usize) -> Self {
        Self {
            addresses: settings
                .interfaces
                .iter()
                .map(|i| Endpoint::new(i.address, 0))
                .collect(),
            places: BTreeMap::new(),
            leased: BTreeMap::new(),
            left,
            next: 30_000,
        }
    }

    /// Where a port is or was.
    pub(crate) fn endpoint(&self, port: PortId) -> Endpoint {
        self.places[&port]
    }

    /// How many are leased.
    pub(crate) fn leased(&self) -> usize {
        self.leased.len()
    }

    fn open(&mut self, interface: usize, port: u16) -> LeasedPort {
        let id = PortId::new(0, u32::from(port)).expect("a port number fits a slot");
        let endpoint = Endpoint {
            port,
            ..self.addresses[interface]
        };
        self.places.insert(id, endpoint);
        self.leased.insert(id, endpoint);
        LeasedPort { id, port }
    }
}

impl Ports for Shelf {
    fn lease(&mut self, _now: Time, want: Want) -> Result<Lease, NoPorts> {
        self.left = self.left.checked_sub(1).ok_or(NoPorts)?;
        let port = self.next;
        self.next += 2;
        let rtp = self.open(want.interface, port);
        let rtcp = (want.count == Count::Pair).then(|| self.open(want.interface, port + 1));
        Ok(Lease { rtp, rtcp })
    }

    fn release(&mut self, _now: Time, port: LeasedPort) {
        self.leased
            .remove(&port.id)
            .expect("only what is leased is given back");
    }
}
