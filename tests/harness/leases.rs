//! Ports without sockets: what control leases from in tests that have no kernel.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use patchcord_contract::{Endpoint, Time};
use patchcord_control::{Count, Lease, LeasedPort, NoPorts, Ports, Settings, Want};
use patchcord_media::flow::PortId;

/// Leases of numbered ports on the addresses of some [`Settings`], first come, longest rested first.
#[derive(Debug)]
pub struct Leases {
    addresses: Vec<Endpoint>,
    free: Vec<VecDeque<u16>>,
    out: BTreeSet<PortId>,
    places: BTreeMap<PortId, Endpoint>,
    ids: BTreeMap<Endpoint, PortId>,
}

impl Leases {
    /// `pairs` port pairs from 30000 up on each interface of `settings`.
    pub fn new(settings: &Settings, pairs: u16) -> Self {
        Self {
            addresses: settings
                .interfaces
                .iter()
                .map(|i| Endpoint::new(i.address, 0))
                .collect(),
            free: settings
                .interfaces
                .iter()
                .map(|_| (0..pairs).map(|n| 30_000 + 2 * n).collect())
                .collect(),
            out: BTreeSet::new(),
            places: BTreeMap::new(),
            ids: BTreeMap::new(),
        }
    }

    /// Ports that are leased now.
    pub fn leased(&self) -> usize {
        self.out.len()
    }

    /// The local endpoint of a port that was leased once.
    pub fn endpoint(&self, port: PortId) -> Option<Endpoint> {
        self.places.get(&port).copied()
    }

    /// The port at a local endpoint, if it was leased once.
    pub fn port(&self, endpoint: Endpoint) -> Option<PortId> {
        self.ids.get(&endpoint).copied()
    }

    fn open(&mut self, interface: usize, port: u16) -> LeasedPort {
        let endpoint = Endpoint {
            port,
            ..self.addresses[interface]
        };
        let slot = self.ids.len() as u32;
        let id = *self
            .ids
            .entry(endpoint)
            .or_insert_with(|| PortId::new(0, slot).expect("tests lease fewer ports than slots"));
        self.places.insert(id, endpoint);
        assert!(
            self.out.insert(id),
            "a port is leased to one transport at a time"
        );
        LeasedPort { id, port }
    }
}

impl Ports for Leases {
    fn lease(&mut self, _now: Time, want: Want) -> Result<Lease, NoPorts> {
        let rtp = self.free[want.interface].pop_front().ok_or(NoPorts)?;
        Ok(Lease {
            rtp: self.open(want.interface, rtp),
            rtcp: matches!(want.count, Count::Pair).then(|| self.open(want.interface, rtp + 1)),
        })
    }

    fn release(&mut self, _now: Time, port: LeasedPort) {
        assert!(
            self.out.remove(&port.id),
            "only what is leased is given back"
        );
        if port.port.is_multiple_of(2) {
            let place = self.places[&port.id];
            let interface = self.addresses.iter().position(|a| a.addr == place.addr);
            self.free[interface.expect("a port is on an interface")].push_back(port.port);
        }
    }
}
