//! From a call to its flows: the one place that knows what forwarding a call means.

use std::sync::Arc;

use patchcord_contract::Endpoint;
use patchcord_media::bundle::{Bundle, Edit, Part, PayloadTypes};
use patchcord_media::flow::{
    Accepts, Admission, Clocks, Handshakes, Learning, Lodger, PortId, Punts, Reporting, Reports,
    Security, Sink, Sinks, Spec, Stranger,
};
use patchcord_wire::Proto;
use smallvec::SmallVec;

use crate::Settings;
use crate::bundles;
use crate::call::{
    Bundled, Call, Component, Description, FeedbackWord, Leg, LegId, Muxing, Protection, Rtcp,
    Section, Tenure, Traffic, Transport,
};
use crate::ice::{self, Agent, ListId};
use crate::negotiate::profile::{self, Carries, Speaks};

/// Sources of one port that a worker is told of. More only answers to checks would see.
const MAX_VALIDATED: usize = 16;

/// Notes in every component where its peer says it is, so that a change opens a new epoch.
///
/// Compiling reads a call and changes nothing; what has to be remembered from one compilation to
/// the next is brought up to date here.
pub(crate) fn settle(call: &mut Call) {
    for leg in &mut call.legs {
        let agent = leg.ice.as_deref().map(|ice| &ice.agent);
        for section in leg.sections.iter_mut().filter(|section| !section.shares()) {
            if let (Some(agent), Some(list)) = (agent, section.ice) {
                follow(agent, list, section);
                continue;
            }
            let known = section.remote.effective().filter(|d| !d.is_rejected());
            let rtp = known.map_or(Endpoint::NONE, |d| d.rtp);
            let rtcp = known.map_or(Endpoint::NONE, Description::rtcp_endpoint);
            for transport in section.transports_mut() {
                transport.rtp.advertise(rtp);
                if let Some(component) = &mut transport.rtcp {
                    component.advertise(rtcp);
                }
            }
        }
        show_shared(leg);
    }
}

/// What shares ports is where their owner is.
fn show_shared(leg: &mut Leg) {
    for index in 0..leg.sections.len() {
        let owner = leg.owner(index);
        if owner == index {
            continue;
        }
        let Some(known) = leg.sections[owner].newest().map(|t| t.rtp.clone()) else {
            continue;
        };
        for transport in leg.sections[index].transports_mut() {
            if transport.rtp.id() == known.id() {
                transport.rtp.advertised = known.advertised;
                transport.rtp.latched = known.latched;
            }
        }
    }
}

/// Under ICE the agent says where the peer is.
fn follow(agent: &Agent, list: ListId, section: &mut Section) {
    for transport in section.transports_mut() {
        let halves = [
            (ice::Component::Rtp, Some(&mut transport.rtp)),
            (ice::Component::Rtcp, transport.rtcp.as_mut()),
        ];
        for (half, component) in halves {
            let Some(component) = component else { continue };
            let (port, remote) = Leg::chosen(agent, list, half, component);
            component.leave_by(port);
            component.advertise(remote);
        }
    }
}

/// The flows a call wants, sorted by port; `settings` are for what the call did not choose.
pub(crate) fn compile(call: &Call, settings: &Settings) -> Vec<Arc<Spec>> {
    let mut specs = Vec::with_capacity(call.flows.len());
    for leg in &call.legs {
        let listeners = call.listeners(leg.id);
        for (index, section) in leg.sections.iter().enumerate() {
            let source = Source {
                call,
                leg,
                section,
                index,
                listeners: &listeners,
                settings,
            };
            let own = |transport: &&Transport| transport.tenure == Tenure::Own;
            for transport in section.transports().filter(own) {
                source.compile(transport, &mut specs);
            }
        }
    }
    specs.sort_unstable_by_key(|spec: &Arc<Spec>| spec.port);
    specs
}

/// One section of one leg as a source of packets.
struct Source<'c> {
    call: &'c Call,
    leg: &'c Leg,
    section: &'c Section,
    index: usize,
    listeners: &'c SmallVec<[LegId; 2]>,
    settings: &'c Settings,
}

impl Source<'_> {
    fn compile(&self, transport: &Transport, specs: &mut Vec<Arc<Spec>>) {
        let mut edits = Vec::new();
        let (rtp, rtcp) = self.sinks(&mut edits);
        let accepts = match (carries(self.section), transport.muxing) {
            (Carries::Bytes, _) => Accepts::Opaque,
            (Carries::Rtp, Muxing::Muxed) => Accepts::Muxed,
            (Carries::Rtp, Muxing::Split | Muxing::Offered) => Accepts::Rtp,
        };
        let is_opaque = accepts == Accepts::Opaque;
        if let Some(component) = &transport.rtcp {
            let (accepts, rtp, rtcp) = if is_opaque {
                (Accepts::Opaque, rtcp.clone(), Sinks::new())
            } else {
                (Accepts::Rtcp, Sinks::new(), rtcp.clone())
            };
            let spec = self.spec(transport, component, accepts, rtp, rtcp);
            specs.push(Arc::new(spec));
        }
        let rtcp = if is_opaque { Sinks::new() } else { rtcp };
        let mut spec = self.spec(transport, &transport.rtp, accepts, rtp, rtcp);
        spec.bundle = self.bundle(transport, edits);
        if spec.split().is_some() {
            // Each part has its own.
            spec.rtp.clear();
            spec.rtcp.clear();
        }
        specs.push(Arc::new(spec));
    }

    fn spec(
        &self,
        transport: &Transport,
        component: &Component,
        accepts: Accepts,
        rtp: Sinks,
        rtcp: Sinks,
    ) -> Spec {
        let clocks = self
            .section
            .remote
            .effective()
            .map_or_else(Clocks::new, |d| d.clocks.clone());
        let protection = protection(
            self.call,
            self.leg,
            self.section,
            self.index,
            component.id(),
        );
        let (learning, stranger) = match self.section.ice {
            Some(_) => (Learning::Off, Stranger::Validated),
            None => (self.leg.learning, self.leg.stranger),
        };
        Spec {
            port: component.id(),
            accepts,
            admission: Admission {
                advertised: component.advertised,
                learning,
                stranger,
                epoch: component.epoch,
            },
            handshakes: self.handshakes(component),
            receive: protection.receive,
            send: protection.send,
            clocks,
            rtp,
            rtcp,
            reporting: self.reporting(component),
            bundle: None,
            doors: component.told_doors(self.lodgers(component)),
            tos: self.call.tos.unwrap_or(self.settings.tos),
            blocked: self.call.traffic == Traffic::Dropped,
            interface: transport.interface,
            stats: Arc::clone(&component.stats),
        }
    }

    /// What control wants to see of a port, and who has proven itself there.
    fn handshakes(&self, component: &Component) -> Handshakes {
        let agent = self.leg.ice_of(self.section);
        let dtls = self.section.dtls.as_deref();
        let has_dtls =
            dtls.is_some_and(|dtls| dtls.paths.iter().any(|path| path.port == component.id()));
        match (agent, component.is_candidate()) {
            (Some((agent, _)), true) => Handshakes {
                punts: if has_dtls { Punts::Both } else { Punts::Stun },
                validated: validated(component, agent),
            },
            _ if has_dtls => Handshakes {
                punts: Punts::Dtls,
                ..Handshakes::default()
            },
            _ => Handshakes::default(),
        }
    }

    /// Whose peers are at the component's ports beside its own. Payload types tell them apart that nobody else
    /// there has.
    fn lodgers(&self, host: &Component) -> Box<[Lodger]> {
        let lodged: SmallVec<[PortId; 2]> = self.leg.lodged(host).map(Component::id).collect();
        let others = |of: PortId| {
            let all = std::iter::once(host.id()).chain(lodged.iter().copied());
            let others = all.filter(move |port| *port != of);
            others.fold(PayloadTypes::default(), |types, port| {
                types.or(self.types_at(port))
            })
        };
        let lodgers = lodged.iter().map(|port| Lodger {
            port: *port,
            types: self.types_at(*port).without(others(*port)),
            ssrcs: self
                .sections_at(*port)
                .flat_map(|(_, known)| known.ssrcs.clone())
                .collect(),
        });
        lodgers.collect()
    }

    /// The leg's sections whose packets are at a port of its.
    fn sections_at(&self, port: PortId) -> impl Iterator<Item = (usize, &Bundled)> {
        let sections = self.leg.sections.iter().enumerate();
        let here = sections.filter(move |(_, section)| {
            let mut transports = section.transports();
            transports.any(|transport| transport.rtp.id() == port)
        });
        here.filter_map(|(index, section)| Some((index, section.bundled.as_deref()?)))
    }

    /// The payload types that may arrive at a port of the leg's.
    fn types_at(&self, port: PortId) -> PayloadTypes {
        let far = |index: usize| {
            let sections = self.listeners.iter();
            let sections = sections.filter_map(move |leg| self.call.leg(*leg).sections.get(index));
            sections.filter_map(|section| Some(section.bundled.as_deref()?.types))
        };
        let types = self
            .sections_at(port)
            .flat_map(|(index, known)| far(index).chain(std::iter::once(known.types)));
        types.fold(PayloadTypes::default(), PayloadTypes::or)
    }

    /// Whose RTCP the leg gets there. Ours only where both sides can be read, and have keys of their own:
    /// what we say under a key must not be under an index that somebody else uses.
    fn reporting(&self, component: &Component) -> Reporting {
        let (Rtcp::Ours(cname), Some(local)) = (self.call.rtcp, &self.section.local) else {
            return Reporting::Relayed;
        };
        if !self
            .company()
            .into_iter()
            .all(|index| self.is_reported(index))
        {
            return Reporting::Relayed;
        }
        if component.id() != local.now.rtcp_component().id() {
            return Reporting::Elsewhere;
        }
        Reporting::Here(Arc::new(Reports {
            rtp: local.now.rtp.id(),
            interval: self.settings.rtcp_interval,
            cname,
        }))
    }

    /// The sections that share a transport with this one, on whichever side: of RTCP on one port all is ours or
    /// none.
    fn company(&self) -> SmallVec<[usize; 4]> {
        let mut known = SmallVec::from_slice(&[self.index]);
        let mut at = 0;
        while let Some(index) = known.get(at).copied() {
            at += 1;
            let far = self.listeners.iter().map(|leg| self.call.leg(*leg));
            for leg in std::iter::once(self.leg).chain(far) {
                let transport = leg.sections.get(index).and_then(Section::newest);
                let sharing = transport.map(|transport| leg.sharing(transport));
                for other in sharing.into_iter().flatten() {
                    if !known.contains(&other) {
                        known.push(other);
                    }
                }
            }
        }
        known
    }

    /// Whether a section's RTCP can be ours towards both sides.
    fn is_reported(&self, index: usize) -> bool {
        let protected = |leg: &Leg| {
            let section = leg.sections.get(index)?;
            let owner = leg.sections.get(leg.owner(index))?;
            let rtp = owner.local.as_ref()?.now.rtp.id();
            let is_read = carries(section) == Carries::Rtp;
            is_read.then(|| protection(self.call, leg, owner, leg.owner(index), rtp))
        };
        let Some(near) = protected(self.leg) else {
            return false;
        };
        let far = self.listeners.iter();
        let mut far = far.map(|leg| protected(self.call.leg(*leg))).peekable();
        far.peek().is_some() && far.all(|far| far.is_some_and(|far| are_apart(&near, &far)))
    }

    /// Where RTP and RTCP of this section go: out of the ports that each listener was given. What is edited
    /// on the way is appended to `edits`.
    fn sinks(&self, edits: &mut Vec<Edit>) -> (Sinks, Sinks) {
        let mut rtp = Sinks::new();
        let mut rtcp = Sinks::new();
        for listener in self.listeners {
            let leg = self.call.leg(*listener);
            let Some(section) = leg.sections.get(self.index) else {
                continue;
            };
            let Some(local) = &section.local else {
                continue;
            };
            let from = speaks(self.section, FeedbackWord::Unsaid);
            // Who has not answered was offered what the other side says.
            let feedback = profile::feedback(from, speaks(section, from.lines));
            let edit = bundles::edit(self.leg, self.index, leg);
            rtp.push(Sink {
                via: local.now.rtp.id(),
                feedback,
                edit: edit.and_then(|edit| bundles::place(edit, edits)),
            });
            rtcp.push(Sink {
                via: local.now.rtcp_component().id(),
                feedback,
                edit: None,
            });
        }
        (rtp, rtcp)
    }

    /// What the port has beside that of an ordinary one. The sections that share it are its parts.
    fn bundle(&self, transport: &Transport, mut edits: Vec<Edit>) -> Option<Box<Bundle>> {
        let known = self.section.bundled.as_deref()?;
        let sharing = self.leg.sharing(transport);
        let mut rids = known.rid_ids;
        let mut parts = Vec::new();
        if sharing.len() > 1 {
            edits.clear();
            for index in sharing {
                let source = Source {
                    section: &self.leg.sections[index],
                    index,
                    ..*self
                };
                // An id means the same in all sections of a bundle, but not all have to say so (RFC 9143 §9.1).
                let said = source.section.bundled.as_deref().map(|said| said.rid_ids);
                for (id, said) in rids.iter_mut().zip(said.into_iter().flatten()) {
                    *id = id.or(said);
                }
                parts.extend(source.part(transport, &mut edits));
            }
        }
        if parts.is_empty() && edits.is_empty() {
            return None;
        }
        Some(Box::new(Bundle {
            mid: known.mid,
            rids,
            parts,
            edits,
        }))
    }

    fn part(&self, transport: &Transport, edits: &mut Vec<Edit>) -> Option<Part> {
        let (rtp, rtcp) = self.sinks(edits);
        let mut held = self.section.transports();
        let held = held.find(|known| known.rtp.id() == transport.rtp.id())?;
        let known = self.section.remote.effective();
        let far = self.listeners.iter().filter_map(|listener| {
            let section = self.call.leg(*listener).sections.get(self.index)?;
            section.bundled.as_deref()
        });
        let near = self.section.bundled.as_deref()?;
        Some(Part {
            mid: self.section.mid.clone()?,
            ssrcs: near.ssrcs.clone(),
            rids: near.rids.clone(),
            types: far.fold(near.types, |types, far| types.or(far.types)),
            clocks: known.map_or_else(Clocks::new, |d| d.clocks.clone()),
            rtp,
            rtcp,
            stats: Arc::clone(&held.rtp.stats),
        })
    }
}

/// Who has proven itself at a component, each once.
fn validated(component: &Component, agent: &Agent) -> Box<[Endpoint]> {
    let mut known = SmallVec::<[Endpoint; MAX_VALIDATED]>::new();
    for source in component.admitted(agent) {
        if known.len() < MAX_VALIDATED && !known.contains(&source) {
            known.push(source);
        }
    }
    known.as_slice().into()
}

/// What packets of a section are protected with. Who answered the same offer as the leg sends to its
/// ports, but keyed in a way of its own: the one agreed with last counts, both ways, since nothing
/// else leaves from there meanwhile.
fn protection(call: &Call, leg: &Leg, own: &Section, index: usize, port: PortId) -> Protection {
    let sender = call.sender(leg.id);
    let section = sender.and_then(|id| call.leg(id).sections.get(index));
    let section = section.unwrap_or(own);
    if [own, section]
        .into_iter()
        .any(|section| carries(section) == Carries::Bytes)
    {
        return Protection::both(Security::EndToEnd);
    }
    match section.dtls.as_deref().filter(|dtls| dtls.is_in_force()) {
        Some(dtls) => dtls.protection(port),
        None => section.keying.now.clone(),
    }
}

/// Whether both sides can be read, and no key is on both.
fn are_apart(near: &Protection, far: &Protection) -> bool {
    let all = [&near.receive, &near.send, &far.receive, &far.send];
    let is_ours = |security: &Security| matches!(security, Security::Plain | Security::Srtp(_));
    let is_same = |one: &Security, other: &Security| match (one, other) {
        (Security::Srtp(one), Security::Srtp(other)) => one == other,
        (_, _) => false,
    };
    all.into_iter().all(is_ours)
        && !is_same(&near.receive, &far.send)
        && !is_same(&far.receive, &near.send)
}

/// What passes in a section. While an offer turns it into something else, both have to pass.
fn carries(section: &Section) -> Carries {
    if section.through.is_some() {
        return Carries::Bytes;
    }
    let speaks = [section.remote.effective(), section.remote.latest()];
    let protos = speaks
        .into_iter()
        .flatten()
        .map(|description| description.proto);
    let way = section.keying.way;
    let kinds = protos.chain(section.told);
    let mut kinds = kinds.map(|proto| profile::carries(proto, way));
    let first = kinds.next().unwrap_or(Carries::Bytes);
    if kinds.all(|kind| kind == first) {
        first
    } else {
        Carries::Bytes
    }
}

/// What a leg speaks in a section: as it said, else as it was told.
fn speaks(section: &Section, told: FeedbackWord) -> Speaks {
    match section.remote.effective() {
        Some(said) => Speaks {
            proto: said.proto,
            lines: said.feedback,
        },
        None => Speaks {
            proto: section.told.unwrap_or(Proto::RtpAvp),
            lines: told,
        },
    }
}
