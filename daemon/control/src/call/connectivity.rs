//! ICE towards one leg: its agent, and which of the leg's ports each of its candidates is.

use std::collections::BTreeMap;

use patchcord_contract::{Endpoint, Time};
use patchcord_media::flow::PortId;

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
                        component.candidate = None;
                        continue;
                    };
                    let port = component.port.port;
                    let id = component.candidate.unwrap_or_else(|| {
                        let place = Place {
                            base: Endpoint::new(row.address, port),
                            advertised: Endpoint::new(row.advertised, port),
                            kind: CandidateType::Host,
                            preference: u16::MAX,
                        };
                        ice.agent.add_local(list, half, place)
                    });
                    component.candidate = Some(id);
                    kept.push(id);
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
        for component in transports.flat_map(Transport::components_mut) {
            component.candidate = None;
        }
    }

    /// The candidate that a local port is, if it is one.
    pub(crate) fn candidate_at(&self, port: PortId) -> Option<LocalId> {
        let mut components = self.sections.iter().flat_map(Section::own_components);
        components.find(|c| c.id() == port)?.candidate
    }

    /// The local port that a candidate is.
    pub(crate) fn port_of(&self, candidate: LocalId) -> Option<PortId> {
        let mut components = self.sections.iter().flat_map(Section::components);
        let found = components.find(|c| c.candidate == Some(candidate))?;
        Some(found.id())
    }

    /// The agent and the checklist of a section that has both.
    pub(crate) fn ice_of(&self, section: &Section) -> Option<(&Agent, ListId)> {
        Some((&self.ice.as_deref()?.agent, section.ice?))
    }

    /// Where packets of a component go by the agent's choice: nowhere while there is none.
    pub(crate) fn chosen(
        agent: &Agent,
        list: ListId,
        half: ice::Component,
        component: &Component,
    ) -> Endpoint {
        let chosen = agent.selected(list, half);
        chosen
            .filter(|pair| component.candidate == Some(pair.local))
            .map_or(Endpoint::NONE, |pair| pair.remote)
    }
}
