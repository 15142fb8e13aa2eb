//! A section that was offered another one's ports and answered with an endpoint of its own (RFC 9143 §7.3.3):
//! its peer goes on using the ports that it was told, so the section lodges behind whoever has them.

use patchcord_media::flow::PortId;
use smallvec::SmallVec;

use super::doors::Door;
use super::leg::Leg;
use super::section::{Component, Section, Tenure, Transport};

/// Where the peer of a component is, if that is at ports of another one.
#[derive(Clone, Debug)]
pub(crate) struct Lodging {
    /// The ports that the peer was told, the one in `m=` or `a=rtcp` first.
    pub(crate) places: SmallVec<[Door; 2]>,
    /// The one that packets leave from.
    pub(crate) leaves: PortId,
    /// Whose they are: shared, as long as somebody else has them.
    pub(crate) tenure: Tenure,
}

impl Lodging {
    /// Behind a component, at all its addresses.
    pub(crate) fn behind(host: &Component, interface: u8) -> Self {
        let own = std::iter::once((interface, host.port));
        let doors = host.doors().map(|door| (door.interface, door.port));
        let place = |(interface, port)| Door {
            interface,
            port,
            candidate: None,
        };
        let places = match &host.lodging {
            Some(theirs) => {
                let theirs = theirs.places.iter();
                theirs.map(|p| place((p.interface, p.port))).collect()
            }
            None => own.chain(doors).map(place).collect(),
        };
        Self {
            places,
            leaves: host.leaves(),
            tenure: Tenure::Shared,
        }
    }

    /// Whether a port is among its places.
    pub(crate) fn has(&self, port: PortId) -> bool {
        self.places.iter().any(|place| place.port.id == port)
    }
}

impl Component {
    /// The number of the port that the leg was told.
    pub(crate) fn told(&self) -> u16 {
        let lodging = self.lodging.as_deref();
        let place = lodging.and_then(|lodging| lodging.places.first());
        place.map_or(self.port.port, |place| place.port.port)
    }

    /// Whether it is a candidate of the leg's agent.
    pub(crate) fn is_candidate(&self) -> bool {
        self.candidates().next().is_some()
    }

    /// Whether its peer is at a port of `host`.
    fn lodges_behind(&self, host: &Self) -> bool {
        let lodging = self.lodging.as_deref().filter(|_| self.id() != host.id());
        lodging.is_some_and(|lodging| host.ports().any(|port| lodging.has(port.id)))
    }
}

impl Leg {
    /// The components whose peers are at ports of `host`.
    pub(crate) fn lodged<'l>(&'l self, host: &'l Component) -> impl Iterator<Item = &'l Component> {
        let components = self.sections.iter().flat_map(Section::own_components);
        components.filter(|component| component.lodges_behind(host))
    }

    /// A transport whose ports nobody shares is given up: those that others lodge at go to the first of them,
    /// whose flow stays where it is, with its keys and streams. Says which ports it took over.
    pub(crate) fn move_in(&mut self, gone: &Transport) -> SmallVec<[PortId; 2]> {
        let mut taken = SmallVec::new();
        for host in gone.components() {
            let sections = self.sections.iter_mut();
            let own = sections
                .flat_map(Section::transports_mut)
                .filter(|t| t.tenure == Tenure::Own);
            let mut components = own.flat_map(Transport::components_mut);
            let lodger = components.find(|component| component.lodges_behind(host));
            if let Some(lodging) = lodger.and_then(|lodger| lodger.lodging.as_deref_mut()) {
                lodging.tenure = Tenure::Own;
                taken.extend(lodging.places.iter().map(|place| place.port.id));
            }
        }
        taken
    }
}
