//! A call being changed: a copy that replaces the call, or nothing.

use std::sync::Arc;

use patchcord_contract::Time;
use patchcord_media::flow::PortId;
use smallvec::SmallVec;

use crate::Settings;
use crate::call::{Call, Component, Doors};
use crate::dtls::Identity;
use crate::error::CallError;
use crate::ports::{Count, Lease, LeasedPort, Ports, Want};
use crate::random::Random;

/// A call under change, with the ports that came and went on the way.
///
/// Ports that left are given back only by [`Draft::commit`]; ports that came are given back by
/// [`Draft::abandon`], so an error leaves the call and the port keeper as they were.
pub(crate) struct Draft<'p, P> {
    /// The copy.
    pub(crate) call: Call,
    /// What was chosen.
    pub(crate) settings: &'p Settings,
    /// What we show in handshakes, if there is anything.
    pub(crate) identity: Option<Arc<Identity>>,
    /// When.
    pub(crate) now: Time,
    /// What the client should know.
    pub(crate) notes: Notes,
    /// Draws keys.
    pub(crate) random: &'p mut Random,
    ports: &'p mut P,
    leased: SmallVec<[LeasedPort; 8]>,
    retired: SmallVec<[LeasedPort; 8]>,
}

/// What came of a draft.
pub(crate) struct Committed {
    /// The call, to be put in the place of the old one.
    pub(crate) call: Call,
    /// Ports it has since.
    pub(crate) leased: SmallVec<[LeasedPort; 8]>,
    /// Ports it had.
    pub(crate) retired: SmallVec<[LeasedPort; 8]>,
    /// What the client should know.
    pub(crate) notes: Notes,
}

/// Remarks for the reply's `warning`.
#[derive(Debug, Default)]
pub(crate) struct Notes(SmallVec<[&'static str; 2]>);

impl Notes {
    /// Adds a remark, once.
    pub(crate) fn add(&mut self, note: &'static str) {
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// The remarks in the order they were made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }
}

impl<'p, P: Ports> Draft<'p, P> {
    /// Starts from `call`, which the caller still has.
    pub(crate) fn new(
        call: Call,
        settings: &'p Settings,
        identity: Option<Arc<Identity>>,
        now: Time,
        random: &'p mut Random,
        ports: &'p mut P,
    ) -> Self {
        Self {
            call,
            settings,
            identity,
            now,
            notes: Notes::default(),
            random,
            ports,
            leased: SmallVec::new(),
            retired: SmallVec::new(),
        }
    }

    /// Leases ports on an interface, on the worker that the call lives on.
    pub(crate) fn lease(&mut self, interface: u8, count: Count) -> Result<Lease, CallError> {
        let want = Want {
            interface: usize::from(interface),
            count,
            worker: self.call.worker,
        };
        let lease = self.ports.lease(self.now, want)?;
        self.call.worker.get_or_insert(lease.rtp.id.worker());
        self.leased.push(lease.rtp);
        self.leased.extend(lease.rtcp);
        Ok(lease)
    }

    /// Gives a component's port back once the draft is committed; its counts stay with the call.
    pub(crate) fn retire(&mut self, component: &Component) {
        self.retire_but(component, &[]);
    }

    /// The same, where others have some of its ports by now.
    pub(crate) fn retire_but(&mut self, component: &Component, kept: &[PortId]) {
        self.call.past.add(&component.stats);
        let gone = component.ports().filter(|port| !kept.contains(&port.id));
        self.retired.extend(gone);
    }

    /// Gives the ports at further addresses back once the draft is committed.
    pub(crate) fn retire_doors(&mut self, doors: &Doors) {
        self.retired.extend(doors.all.iter().map(|door| door.port));
    }

    /// Ends the draft; what it holds is the call.
    pub(crate) fn commit(self) -> Committed {
        for port in &self.retired {
            self.ports.release(self.now, *port);
        }
        Committed {
            call: self.call,
            leased: self.leased,
            retired: self.retired,
            notes: self.notes,
        }
    }

    /// Ends the draft; nothing has happened.
    pub(crate) fn abandon(self) {
        for port in &self.leased {
            self.ports.release(self.now, *port);
        }
    }
}
