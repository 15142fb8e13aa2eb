//! A section among those that share a transport (RFC 9143): which it is, and what packets say of it.

use patchcord_media::bundle::PayloadTypes;
use smallvec::SmallVec;

use super::leg::Leg;
use super::lodging::Lodging;
use super::section::{Component, Section, Tenure, Transport};
use crate::ice::ListId;

/// What is known of a section for bundles, its own or the other side's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bundled {
    /// Which of the leg's groups it is in: agreed, or offered to the leg or by it.
    pub(crate) group: Option<u8>,
    /// How it is offered to the leg.
    pub(crate) offered: Offered,
    /// The id of the MID in packets from and to the leg.
    pub(crate) mid: Option<u8>,
    /// The payload types that the leg names.
    pub(crate) types: PayloadTypes,
    /// The streams that the leg declares.
    pub(crate) ssrcs: SmallVec<[u32; 4]>,
    /// The ids of stream names in its packets, and the names of those that it sends.
    pub(crate) rid_ids: [Option<u8>; 2],
    pub(crate) rids: Vec<Box<[u8]>>,
    /// Header extensions that the leg may send, and that nobody else is told of.
    pub(crate) masked: Vec<Masked>,
}

/// A header extension that ends here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Masked {
    /// The id in the leg's packets.
    pub(crate) id: u8,
    /// Its name.
    pub(crate) uri: Box<[u8]>,
    /// Its attributes.
    pub(crate) attributes: Box<[u8]>,
    /// Whether the leg would also receive it.
    pub(crate) both_ways: bool,
}

/// How a bundled section is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Offered {
    /// So that it can do without the bundle.
    #[default]
    Either,
    /// Only in the bundle, at the bundle's port.
    Only,
    /// Only in the bundle, at port 0.
    Strictly,
}

impl Leg {
    /// The section that has the ports which `index` is told: itself, unless it shares them.
    pub(crate) fn owner(&self, index: usize) -> usize {
        let newest = self.sections.get(index).and_then(Section::newest);
        let shared = newest.filter(|t| t.tenure == Tenure::Shared);
        let Some(port) = shared.map(|t| t.rtp.id()) else {
            return index;
        };
        let owns = |section: &Section| section.own_components().any(|c| c.id() == port);
        self.sections.iter().position(owns).unwrap_or(index)
    }

    /// The sections that packets at a transport's port may be of, by index: one, or several that share it.
    pub(crate) fn sharing(&self, transport: &Transport) -> SmallVec<[usize; 4]> {
        let port = transport.rtp.id();
        let has = |section: &Section| section.transports().any(|t| t.rtp.id() == port);
        let all = self.sections.iter().enumerate();
        all.filter(|(_, section)| has(section))
            .map(|(index, _)| index)
            .collect()
    }

    /// Gives the ports that `index` shares to it; who had them shares them. All that belongs to the
    /// transport goes along.
    pub(crate) fn lead(&mut self, index: usize) {
        let owner = self.owner(index);
        if owner == index {
            return;
        }
        let Some(port) = self.sections[index].newest().map(|t| t.rtp.id()) else {
            return;
        };
        let mut taken = None;
        for transport in self.sections[owner].transports_mut() {
            if transport.rtp.id() == port {
                taken = Some(hand_out(transport));
            }
        }
        let Some(taken) = taken else { return };
        let (ice, keying, dtls) = {
            let section = &mut self.sections[owner];
            (section.ice, section.keying.clone(), section.dtls.take())
        };
        self.inherit(index, taken, ice);
        let section = &mut self.sections[index];
        section.keying = keying;
        section.dtls = dtls;
    }

    /// Makes a transport given up by another section the one of `index`, which shares it.
    pub(crate) fn inherit(&mut self, index: usize, taken: Transport, ice: Option<ListId>) {
        let port = taken.rtp.id();
        let section = &mut self.sections[index];
        let shared = section.transports_mut().find(|t| t.rtp.id() == port);
        if let Some(shared) = shared {
            let stats = std::sync::Arc::clone(&shared.rtp.stats);
            *shared = Transport {
                rtp: Component { stats, ..taken.rtp },
                ..taken
            };
        }
        section.ice = ice;
        if let (Some(list), Some(connectivity)) = (ice, self.ice.as_deref_mut()) {
            connectivity.lists.retain(|_, known| *known != list);
            connectivity.lists.insert(index, list);
        }
    }
}

/// Takes what makes a transport the section's own; it shares it from then on, with its own counters.
fn hand_out(transport: &mut Transport) -> Transport {
    let mut taken = transport.clone();
    taken.tenure = Tenure::Own;
    transport.tenure = Tenure::Shared;
    transport.rtcp = None;
    transport.rtp.candidate = None;
    transport.rtp.doors = None;
    if let Some(lodging) = &mut transport.rtp.lodging {
        lodging.tenure = Tenure::Shared;
    }
    taken
}

impl Transport {
    /// The same ports as another section of the leg has them, with counters of its own.
    pub(crate) fn shared(&self) -> Self {
        Self {
            tenure: Tenure::Shared,
            rtp: Component {
                advertised: self.rtp.advertised,
                latched: self.rtp.latched,
                lodging: self
                    .rtp
                    .lodging
                    .as_ref()
                    .map(|_| Box::new(Lodging::behind(&self.rtp, self.interface))),
                ..Component::new(self.rtp.port)
            },
            rtcp: None,
            ..*self
        }
    }
}
