//! Handshakes in their calls: what arrives for them, what they send, what came of them.

use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::{Endpoint, Time};
use patchcord_media::flow::{Command, Learning, PortId};
use tracing::{debug, info, warn};

use super::settle::{destination, open};
use super::{Handshakes, Identity, News, Order, PathId, Role};
use crate::call::{Call, Leg, Made, Path, Section, Stage};
use crate::control::refresh;
use crate::{Clock, Control};

/// How often a handshake that failed is begun again for a peer that does.
const RETRIES: u8 = 4;
/// How long a goodbye may take.
const PARTING: Duration = Duration::from_secs(2);

impl Control {
    /// What is shown in handshakes of whoever is new from now on; until the first there are none.
    pub fn identify(&mut self, identity: Arc<Identity>) {
        self.handshakes.identity = Some(identity);
    }

    /// What is to be done next about handshakes.
    pub fn next_order(&mut self) -> Option<Order> {
        self.handshakes.orders.pop_front()
    }

    /// A DTLS datagram came up.
    pub(crate) fn dtls(&mut self, clock: Clock, port: PortId, source: Endpoint, bytes: &[u8]) {
        let Some(key) = self.calls.at_port(port) else {
            return;
        };
        let Some(call) = self.calls.get_mut(key) else {
            return;
        };
        let port = call.entered(port);
        let Some((leg, index, at)) = find(call, |path| path.port == port) else {
            return;
        };
        let Some(arrival) = arrival(&call.legs[leg], index, at, source, bytes) else {
            debug!(call_id = %call.id, port = port.slot(), %source, "DTLS of a stranger dropped");
            return;
        };
        let section = &mut call.legs[leg].sections[index];
        let by_ice = section.ice.is_some();
        let Some(dtls) = section.dtls.as_deref_mut() else {
            return;
        };
        if arrival == Arrival::Anew {
            dtls.paths[at].retries += 1;
            open(dtls, at, by_ice, &mut self.handshakes);
        }
        let path = &mut dtls.paths[at];
        path.source = source;
        if path.stage == Stage::Waiting {
            path.stage = Stage::Running;
        }
        path.began.get_or_insert(clock.now);
        let id = path.id;
        self.handshakes.order(Order::Datagram(id, bytes.into()));
    }

    /// Takes note of what an association says.
    pub fn news(
        &mut self,
        clock: Clock,
        id: PathId,
        generation: u32,
        news: News,
        commands: &mut Vec<Command>,
    ) {
        let key = id.port().and_then(|port| self.calls.at_port(port));
        let call = key.and_then(|key| self.calls.get_mut(key));
        let found = call.and_then(|call| find(call, |path| path.id == id).map(|at| (call, at)));
        let Some((call, (leg, index, at))) = found else {
            self.handshakes.goodbye(clock.now, id, news, commands);
            return;
        };
        let section = &mut call.legs[leg].sections[index];
        if let News::Datagram(bytes) = news {
            send(section, at, bytes, commands);
            return;
        }
        let paths = section.dtls.as_deref_mut().map(|dtls| &mut dtls.paths);
        let Some(path) = paths.map(|paths| &mut paths[at]) else {
            return;
        };
        if path.generation != generation {
            return;
        }
        let took = path.began.map(|began| clock.now.since(began));
        match take(path, news) {
            Taken::Nothing => {}
            Taken::Keys => {
                self.totals.dtls.took.add(took.unwrap_or_default());
                tell_keys(call, leg, index, at, took);
                refresh(
                    call,
                    clock.now,
                    &self.settings,
                    commands,
                    &mut self.handshakes,
                );
            }
            Taken::Failure => {
                self.totals.dtls.failed += 1;
                tell_failure(call, leg, index, at);
                refresh(
                    call,
                    clock.now,
                    &self.settings,
                    commands,
                    &mut self.handshakes,
                );
            }
        }
    }
}

impl Handshakes {
    /// What a path that was closed still says.
    fn goodbye(&mut self, now: Time, id: PathId, news: News, commands: &mut Vec<Command>) {
        self.partings
            .retain(|(_, _, since)| now.since(*since) < PARTING);
        let known = self.partings.iter().find(|(path, _, _)| *path == id);
        if let (News::Datagram(bytes), Some((_, (port, to), _))) = (news, known) {
            let (port, to) = (*port, *to);
            commands.push(Command::Send { port, to, bytes });
        }
    }
}

/// What a datagram means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    /// It belongs to the association.
    More,
    /// It begins another one.
    Anew,
}

/// Whether a datagram is let in. With ICE only who proved itself is; without, one source has the word,
/// and loses it to one that is more likely the peer as long as nobody has proven to be.
fn arrival(leg: &Leg, index: usize, at: usize, source: Endpoint, bytes: &[u8]) -> Option<Arrival> {
    let section = &leg.sections[index];
    let path = section.dtls.as_deref()?.paths.get(at)?;
    let is_over = matches!(path.stage, Stage::Failed(_) | Stage::Closed);
    let again =
        is_over && path.role == Role::Server && path.retries < RETRIES && is_client_hello(bytes);
    let usual = if again { Arrival::Anew } else { Arrival::More };
    let mut components = section.components();
    let component = components.find(|component| component.id() == path.port)?;
    if let (Some((agent, _)), true) = (leg.ice_of(section), component.is_candidate()) {
        let is_known = component.admitted(agent).any(|known| known == source);
        return is_known.then_some(usual);
    }
    let rank = |source| rank(leg.learning, path.role, component.advertised, source);
    if rank(source) == 0 {
        return None;
    }
    if path.source == Endpoint::NONE || path.source == source {
        return Some(usual);
    }
    let may_change = path.role == Role::Server && is_client_hello(bytes);
    let is_better = rank(source) > rank(path.source);
    let is_unproven = path.stage != Stage::Connected;
    if may_change && path.retries < RETRIES && is_unproven && (is_better || is_over) {
        return Some(Arrival::Anew);
    }
    None
}

/// How likely a source is the peer, without ICE: 0 if it cannot be.
fn rank(learning: Learning, role: Role, advertised: Endpoint, source: Endpoint) -> u8 {
    let learns = learning != Learning::Off;
    if source == advertised {
        3
    } else if learns && source.addr == advertised.addr {
        2
    } else {
        // Who we begin with answers from where we sent to.
        u8::from(learns && role == Role::Server)
    }
}

/// Whether a datagram begins with a ClientHello (RFC 6347 §4.1, §4.2.2).
fn is_client_hello(bytes: &[u8]) -> bool {
    bytes.first() == Some(&22) && bytes.get(3..5) == Some(&[0, 0]) && bytes.get(13) == Some(&1)
}

/// Leg, section and path by their places.
fn find(call: &Call, wanted: impl Fn(&Path) -> bool) -> Option<(usize, usize, usize)> {
    call.legs.iter().enumerate().find_map(|(leg, known)| {
        let mut sections = known.sections.iter().enumerate();
        sections.find_map(|(index, section)| {
            let paths = &section.dtls.as_deref()?.paths;
            let at = paths.iter().position(&wanted)?;
            Some((leg, index, at))
        })
    })
}

fn send(section: &Section, at: usize, bytes: Box<[u8]>, commands: &mut Vec<Command>) {
    let path = section.dtls.as_deref().and_then(|dtls| dtls.paths.get(at));
    let Some(path) = path else { return };
    let (port, to) = destination(section, path);
    if to.is_sendable() {
        commands.push(Command::Send { port, to, bytes });
    }
}

/// What news mean for the call.
enum Taken {
    Nothing,
    Keys,
    Failure,
}

fn take(path: &mut Path, news: News) -> Taken {
    match news {
        News::Datagram(_) => Taken::Nothing,
        News::Postponed => {
            path.stage = Stage::Postponed;
            Taken::Nothing
        }
        News::Keys { receive, send } => {
            path.stage = Stage::Connected;
            path.retries = 0;
            path.keys = Some(Made {
                receive: Arc::new(*receive),
                send: Arc::new(*send),
            });
            Taken::Keys
        }
        News::Failed(failure) => {
            if failure.reason == "fingerprint" {
                // Who is not believed any more is not believed under old keys either.
                path.keys = None;
            }
            path.stage = Stage::Failed(failure);
            Taken::Failure
        }
        News::Closed => {
            path.stage = Stage::Closed;
            Taken::Nothing
        }
    }
}

fn tell_keys(call: &Call, leg: usize, index: usize, at: usize, took: Option<Duration>) {
    let Some(path) = path(call, leg, index, at) else {
        return;
    };
    let suite = path.keys.as_ref().map(|made| made.suite().name());
    let (port, role) = (path.port.slot(), path.role.as_str());
    info!(call_id = %call.id, index, port, role, suite, ?took, "DTLS connected");
}

fn tell_failure(call: &Call, leg: usize, index: usize, at: usize) {
    let Some(path) = path(call, leg, index, at) else {
        return;
    };
    let (port, role) = (path.port.slot(), path.role.as_str());
    if let Stage::Failed(failure) = &path.stage {
        let (reason, text) = (failure.reason, &failure.text);
        warn!(call_id = %call.id, index, port, role, reason, %text, "DTLS failed, media waits");
    }
}

fn path(call: &Call, leg: usize, index: usize, at: usize) -> Option<&Path> {
    call.legs[leg].sections[index]
        .dtls
        .as_deref()?
        .paths
        .get(at)
}
