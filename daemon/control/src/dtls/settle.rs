//! From a call to its associations: opened where they are wanted, closed where they are not, told what
//! was agreed meanwhile.

use patchcord_contract::{Endpoint, Time};

use super::{Exit, Handshakes, Order, PathId, Role};
use crate::call::{Call, Component, Dtls, Path, Section, Stage, Standing, Tenure, Transport};

/// Brings the associations of a changed call up to date.
pub(crate) fn settle(call: &mut Call, now: Time, handshakes: &mut Handshakes) {
    let mut kept = Vec::new();
    for section in call.legs.iter_mut().flat_map(|leg| &mut leg.sections) {
        let by_ice = section.ice.is_some();
        let Some(mut dtls) = section.dtls.take() else {
            continue;
        };
        let wanted = wanted(section, dtls.standing);
        dtls.paths
            .retain(|path| wanted.iter().any(|component| component.id() == path.port));
        if dtls.is_open() {
            for component in wanted {
                attend(&mut dtls, component, by_ice, now, handshakes);
            }
        }
        for path in &dtls.paths {
            let to = destination(section, path);
            kept.push((path.id, to));
        }
        section.dtls = Some(dtls);
    }
    for (path, to) in &call.paths {
        if !kept.iter().any(|(id, _)| id == path) {
            handshakes.part(*path, *to, now);
        }
    }
    call.paths = kept;
}

/// Closes all associations of a call that ends.
pub(crate) fn close_all(call: &Call, now: Time, handshakes: &mut Handshakes) {
    for (path, to) in &call.paths {
        handshakes.part(*path, *to, now);
    }
}

/// The ports that keys are made at. An offer that is open can be answered at those it named, too.
fn wanted(section: &Section, standing: Standing) -> Vec<&Component> {
    let Some(local) = section.local.as_ref() else {
        return Vec::new();
    };
    let next = local.next.as_deref();
    let next = next.filter(|_| standing == Standing::Offered);
    match standing {
        Standing::Heard | Standing::Idle => Vec::new(),
        Standing::Offered | Standing::Agreed | Standing::Held => std::iter::once(&local.now)
            .chain(next)
            .filter(|transport| transport.tenure == Tenure::Own)
            .flat_map(Transport::components)
            .collect(),
    }
}

/// Makes the association at a port what it should be.
fn attend(
    dtls: &mut Dtls,
    component: &Component,
    by_ice: bool,
    now: Time,
    handshakes: &mut Handshakes,
) {
    let port = component.id();
    let at = dtls.paths.iter().position(|path| path.port == port);
    let at = at.unwrap_or_else(|| {
        dtls.paths.push(Path {
            id: PathId::new(port, handshakes.number()),
            port,
            generation: 0,
            epoch: dtls.epoch,
            role: dtls.role,
            knows: false,
            source: Endpoint::NONE,
            told: Endpoint::NONE,
            began: None,
            retries: 0,
            stage: Stage::Waiting,
            keys: None,
        });
        dtls.paths.len() - 1
    });
    let path = &mut dtls.paths[at];
    path.follow(component.advertised);
    let is_new = path.generation == 0;
    if is_new || path.epoch != dtls.epoch {
        path.epoch = dtls.epoch;
        path.retries = 0;
        open(dtls, at, by_ice, handshakes);
    } else if !path.knows && !dtls.peer.fingerprints.is_empty() {
        path.knows = true;
        handshakes.order(Order::Expect(path.id, dtls.peer.fingerprints.clone()));
    }
    let path = &mut dtls.paths[at];
    let waits = path.role == Role::Client && path.began.is_none();
    if waits && component.advertised.is_sendable() {
        path.began = Some(now);
        path.stage = Stage::Running;
        handshakes.order(Order::Start(path.id));
    }
}

impl Path {
    /// The peer says that it is there. Where another was heard from, or it was before, is no place of its.
    fn follow(&mut self, told: Endpoint) {
        if told == self.told || !told.is_sendable() {
            return;
        }
        if self.told.is_sendable() {
            self.source = Endpoint::NONE;
        }
        self.told = told;
    }
}

/// Begins an association on a path, in the place of what it has.
pub(super) fn open(dtls: &mut Dtls, at: usize, by_ice: bool, handshakes: &mut Handshakes) {
    let path = &mut dtls.paths[at];
    path.generation += 1;
    path.role = dtls.role;
    path.began = None;
    path.stage = Stage::Waiting;
    path.knows = !dtls.peer.fingerprints.is_empty();
    handshakes.order(Order::Open {
        path: path.id,
        generation: path.generation,
        identity: std::sync::Arc::clone(&dtls.identity),
        role: dtls.role,
        by_ice,
        fingerprints: dtls.peer.fingerprints.clone(),
        start: false,
    });
}

/// Where datagrams of a path leave and go: where ICE says; else where the peer's come from, or will.
pub(super) fn destination(section: &Section, path: &Path) -> Exit {
    let mut components = section.components();
    let known = components.find(|component| component.id() == path.port);
    let leaves = known.map_or(path.port, Component::leaves);
    let advertised = known.map_or(Endpoint::NONE, |component| component.advertised);
    let (first, second) = if section.ice.is_some() {
        (advertised, path.source)
    } else {
        (path.source, advertised)
    };
    let to = if first.is_sendable() { first } else { second };
    (leaves, to)
}
