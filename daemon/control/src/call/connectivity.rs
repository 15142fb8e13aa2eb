//! ICE towards one leg: its agent, and which of the leg's ports each of its candidates is.

use std::collections::BTreeMap;

use patchcord_contract::{Endpoint, Time};
use patchcord_media::flow::PortId;
use smallvec::SmallVec;

use super::leg::Leg;
use super::section::{Component, Section, Tenure, Transport};
use crate::Interface;
use crate::ice::{self, Agent, CandidateType, ListId, LocalId, Output, Place};

/// A leg's agent.
#[derive(Clone, Debug)]
pub(crate) struct Connectivity {
    /// The agent.
    pub(crate) agent: Agent,
    /// What it wants sent, and its news.
    pub(crate) out: Output,
    /// The checklists that sections have, or had.
    pub(crate) lists: BTreeMap<usize, ListId>,
    /// Since when a checklist that is not connected has known whom to look for.
    pub(crate) since: BTreeMap<ListId, Time>,
}

impl Connectivity {
    /// An agent without sections.
    pub(crate) fn new(agent: Agent) -> Self {
        Self {
            agent,
            out: Output::default(),
            lists: BTreeMap::new(),
            since: BTreeMap::new(),
        }
    }
}

impl Leg {
    /// Makes the ports of the leg's sections with ICE its agent's candidates, and no others. `rows` are
    /// the configured interfaces.
    pub(crate) fn align(&mut self, rows: &[Interface]) {
        let Some(ice) = self.ice.as_deref_mut() else {
            return;
        };
        let mut kept = Vec::new();
        for section in &mut self.sections {
            let list = section.ice;
            let own = |t: &&mut Transport| t.tenure == Tenure::Own;
            for transport in section.transports_mut().filter(own) {
                let Some(row) = rows.get(usize::from(transport.interface)) else {
                    continue;
                };
                let halves = [
                    (ice::Component::Rtp, Some(&mut transport.rtp)),
                    (ice::Component::Rtcp, transport.rtcp.as_mut()),
                ];
                for (half, component) in halves {
                    let Some(component) = component else { continue };
                    let Some(list) = list else {
                        component.disown();
                        continue;
                    };
                    let mut name = |known: Option<LocalId>, row: &Interface, port, below| {
                        let id = known.unwrap_or_else(|| {
                            ice.agent.add_local(list, half, host(row, port, below))
                        });
                        kept.push(id);
                        Some(id)
                    };
                    if let Some(lodging) = &mut component.lodging {
                        for (below, place) in (0..).zip(&mut lodging.places) {
                            if let Some(row) = rows.get(usize::from(place.interface)) {
                                place.candidate =
                                    name(place.candidate, row, place.port.port, below);
                            }
                        }
                        continue;
                    }
                    component.candidate = name(component.candidate, row, component.port.port, 0);
                    for (below, door) in (1..).zip(component.doors_mut()) {
                        if let Some(row) = rows.get(usize::from(door.interface)) {
                            door.candidate = name(door.candidate, row, door.port.port, below);
                        }
                    }
                }
            }
        }
        let lists = ice.lists.values();
        let known = lists.flat_map(|list| ice.agent.candidates(*list));
        let gone = known
            .map(|candidate| candidate.id)
            .filter(|id| !kept.contains(id));
        for id in gone.collect::<Vec<_>>() {
            ice.agent.retire(id, &mut ice.out);
        }
        for section in self.sections.iter().filter(|section| !section.shares()) {
            let has_rtcp = section
                .transports()
                .any(|transport| transport.rtcp.is_some());
            if let Some(list) = section.ice.filter(|_| !has_rtcp) {
                ice.agent.mux(list, &mut ice.out);
            }
        }
    }

    /// Candidates are no longer the agent's, because ports changed hands.
    pub(crate) fn disown_ports(&mut self) {
        let sections = self.sections.iter_mut();
        let transports = sections.flat_map(Section::transports_mut);
        transports
            .flat_map(Transport::components_mut)
            .for_each(Component::disown);
    }

    /// The candidates that a local port is: one, or several if others lodge there, who has it first.
    pub(crate) fn candidates_at(&self, port: PortId) -> SmallVec<[LocalId; 2]> {
        let components = || self.sections.iter().flat_map(Section::own_components);
        let hosts = components().filter(|component| component.lodging.is_none());
        let lodgers = components().filter(|component| component.lodging.is_some());
        let candidates = hosts.chain(lodgers).flat_map(Component::candidates);
        let here = candidates.filter(|(_, known)| known.id == port);
        here.map(|(candidate, _)| candidate).collect()
    }

    /// The local port that a candidate is.
    pub(crate) fn port_of(&self, candidate: LocalId) -> Option<PortId> {
        let components = self.sections.iter().flat_map(Section::components);
        let mut candidates = components.flat_map(Component::candidates);
        Some(candidates.find(|(known, _)| *known == candidate)?.1.id)
    }

    /// The agent and the checklist of a section that has both.
    pub(crate) fn ice_of(&self, section: &Section) -> Option<(&Agent, ListId)> {
        Some((&self.ice.as_deref()?.agent, section.ice?))
    }

    /// Where packets of a component leave and where they go by the agent's choice: nowhere while there is none.
    pub(crate) fn chosen(
        agent: &Agent,
        list: ListId,
        half: ice::Component,
        component: &Component,
    ) -> (PortId, Endpoint) {
        let chosen = agent.selected(list, half).and_then(|pair| {
            let mut candidates = component.candidates();
            let (_, port) = candidates.find(|(local, _)| *local == pair.local)?;
            Some((port.id, pair.remote))
        });
        chosen.unwrap_or((component.id(), Endpoint::NONE))
    }
}

/// A host candidate at a row's address, `below` others in preference (RFC 8445 §5.1.2.1).
fn host(row: &Interface, port: u16, below: u16) -> Place {
    Place {
        base: Endpoint::new(row.address, port),
        advertised: Endpoint::new(row.advertised, port),
        kind: CandidateType::Host,
        preference: u16::MAX - below,
    }
}
