//! A component at more than one address (RFC 8445 §5.1.1.1): a port at each, one of which packets leave from.

use patchcord_contract::Endpoint;
use patchcord_media::flow::{self, PortId};
use smallvec::SmallVec;

use super::section::{Component, Section, Tenure};
use crate::Interface;
use crate::ice::{Agent, LocalId};
use crate::ports::LeasedPort;

/// The ports that a component has beside its own.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    /// One at each further address.
    pub(crate) all: SmallVec<[Door; 2]>,
    /// The port that packets leave from: the component's own, or a door's.
    pub(crate) leaves: PortId,
}

/// A component's port at a further address.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    /// Index into [`Settings::interfaces`](crate::Settings::interfaces).
    pub(crate) interface: u8,
    /// The port.
    pub(crate) port: LeasedPort,
    /// The candidate that it is to the leg's agent.
    pub(crate) candidate: Option<LocalId>,
}

impl Component {
    /// Its ports at further addresses.
    pub(crate) fn doors(&self) -> impl Iterator<Item = &Door> {
        self.doors.iter().flat_map(|doors| &doors.all)
    }

    /// As [`Self::doors`], to change them.
    pub(crate) fn doors_mut(&mut self) -> impl Iterator<Item = &mut Door> {
        self.doors.iter_mut().flat_map(|doors| &mut doors.all)
    }

    /// A further port.
    pub(crate) fn add_door(&mut self, interface: u8, port: LeasedPort) {
        let leaves = self.id();
        let doors = self.doors.get_or_insert_with(|| {
            Box::new(Doors {
                all: SmallVec::new(),
                leaves,
            })
        });
        doors.all.push(Door {
            interface,
            port,
            candidate: None,
        });
    }

    /// Every port it has.
    pub(crate) fn ports(&self) -> impl Iterator<Item = LeasedPort> {
        let further = self.doors().chain(self.rooms());
        std::iter::once(self.port).chain(further.map(|door| door.port))
    }

    /// The ports that its peer was told, if they were another's and are its own by now.
    fn rooms(&self) -> impl Iterator<Item = &Door> {
        let lodging = self.lodging.iter().filter(|l| l.tenure == Tenure::Own);
        lodging.flat_map(|lodging| &lodging.places)
    }

    /// Every port it has, as a candidate of the leg's agent.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = (LocalId, LeasedPort)> {
        // What its peer does not know is none.
        let places = self.lodging.iter().flat_map(|lodging| &lodging.places);
        let doors = self.doors().chain(places);
        let doors = doors.map(|door| (door.candidate, door.port));
        let all = std::iter::once((self.candidate, self.port)).chain(doors);
        all.filter_map(|(candidate, port)| Some((candidate?, port)))
    }

    /// Sources whose packets are the peer's, at whichever of its ports.
    pub(crate) fn admitted<'a>(&'a self, agent: &'a Agent) -> impl Iterator<Item = Endpoint> + 'a {
        self.candidates()
            .flat_map(|(candidate, _)| agent.admitted(candidate))
    }

    /// None of its ports is a candidate.
    pub(crate) fn disown(&mut self) {
        self.candidate = None;
        self.doors_mut().for_each(|door| door.candidate = None);
        if let Some(lodging) = &mut self.lodging {
            lodging.places.iter_mut().for_each(|p| p.candidate = None);
        }
    }

    /// The port that packets for the leg leave from.
    pub(crate) fn leaves(&self) -> PortId {
        match (&self.lodging, &self.doors) {
            (Some(lodging), _) => lodging.leaves,
            (None, Some(doors)) => doors.leaves,
            (None, None) => self.id(),
        }
    }

    /// Packets leave from that port of its from now on.
    pub(crate) fn leave_by(&mut self, port: PortId) {
        match (&mut self.lodging, &mut self.doors) {
            // While nothing is chosen its own port is named, which nobody knows.
            (Some(lodging), _) if port != self.port.id => lodging.leaves = port,
            (None, Some(doors)) => doors.leaves = port,
            (Some(_), _) | (None, None) => {}
        }
    }

    /// What a worker is told of its doors, and of those who lodge there.
    pub(crate) fn told_doors(&self, lodgers: Box<[flow::Lodger]>) -> Option<Box<flow::Doors>> {
        let ports: Box<[PortId]> = self.ports().skip(1).map(|port| port.id).collect();
        let is_plain = ports.is_empty() && self.lodging.is_none() && lodgers.is_empty();
        (!is_plain).then(|| {
            Box::new(flow::Doors {
                ports,
                leaves: self.leaves(),
                lodgers,
            })
        })
    }
}

impl Section {
    /// Every port that is the section's own.
    pub(crate) fn own_ports(&self) -> impl Iterator<Item = LeasedPort> {
        self.own_components().flat_map(Component::ports)
    }

    /// The component that has the port.
    pub(crate) fn component_at(&self, port: PortId) -> Option<&Component> {
        let mut own = self.transports().filter(|t| t.tenure == Tenure::Own);
        own.find_map(|transport| {
            let mut components = transport.components();
            components.find(|component| component.ports().any(|known| known.id == port))
        })
    }
}

/// The other rows of a row's logical interface, which are its further addresses.
pub(crate) fn others(rows: &[Interface], row: u8) -> impl Iterator<Item = u8> {
    let name = rows.get(usize::from(row)).map(|row| row.name.as_str());
    let others = (0_u8..).zip(rows).filter(move |(at, _)| *at != row);
    others
        .filter(move |(_, other)| Some(other.name.as_str()) == name)
        .map(|(at, _)| at)
}
