//! The table of calls: found by call-id, by local port, and by when something is due.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use patchcord_contract::Time;
use patchcord_media::flow::PortId;
use patchcord_wire::ids::CallId;
use rustc_hash::FxHashMap;
use slotmap::{SlotMap, new_key_type};

use crate::call::Call;

new_key_type! {
    /// A call's place in the table.
    pub(crate) struct CallKey;
}

/// All calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    table: SlotMap<CallKey, Call>,
    /// Call-ids come from the network: hashed with keys of our own.
    by_id: HashMap<CallId, CallKey>,
    by_port: FxHashMap<PortId, CallKey>,
    /// When to look at which call. An entry counts only if it is the call's own `due`.
    due: BinaryHeap<Reverse<(Time, CallKey)>>,
    /// The same for agents, whose times are short: an entry counts only if it is the call's own `pulse`.
    pulses: BinaryHeap<Reverse<(Time, CallKey)>>,
}

impl Calls {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many local ports they hold.
    pub(crate) fn ports(&self) -> usize {
        self.by_port.len()
    }

    /// The call of that id.
    pub(crate) fn find(&self, id: &[u8]) -> Option<CallKey> {
        self.by_id.get(id).copied()
    }

    /// The call that holds a local port.
    pub(crate) fn at_port(&self, port: PortId) -> Option<CallKey> {
        self.by_port.get(&port).copied()
    }

    /// A call by its place.
    pub(crate) fn get(&self, key: CallKey) -> Option<&Call> {
        self.table.get(key)
    }

    /// A call by its place, to change it.
    pub(crate) fn get_mut(&mut self, key: CallKey) -> Option<&mut Call> {
        self.table.get_mut(key)
    }

    /// Adds a call. It is looked at when it is scheduled.
    pub(crate) fn insert(&mut self, call: Call) -> CallKey {
        let id = call.id.clone();
        let key = self.table.insert(call);
        self.by_id.insert(id, key);
        key
    }

    /// Takes a call out.
    pub(crate) fn remove(&mut self, key: CallKey) -> Option<Call> {
        let call = self.table.remove(key)?;
        self.by_id.remove(&call.id);
        Some(call)
    }

    /// Notes that a call holds a port.
    pub(crate) fn add_port(&mut self, port: PortId, key: CallKey) {
        self.by_port.insert(port, key);
    }

    /// Notes that a call no longer holds a port.
    pub(crate) fn remove_port(&mut self, port: PortId) {
        self.by_port.remove(&port);
    }

    /// A call that is due by `now`; it has to be given its next time with [`Self::schedule`].
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<CallKey> {
        while let Some(Reverse((at, key))) = self.due.peek().copied() {
            if at > now {
                return None;
            }
            self.due.pop();
            if self.table.get(key).is_some_and(|call| call.due == at) {
                return Some(key);
            }
        }
        None
    }

    /// Looks at a call again at `due`, and not at any time that was set before.
    pub(crate) fn schedule(&mut self, key: CallKey, due: Time) {
        let Some(call) = self.table.get_mut(key) else {
            return;
        };
        call.due = due;
        self.due.push(Reverse((due, key)));
    }

    /// A call with an agent that has something to do by `now`.
    pub(crate) fn pop_pulse(&mut self, now: Time) -> Option<CallKey> {
        while let Some(Reverse((at, key))) = self.pulses.peek().copied() {
            if at > now {
                return None;
            }
            self.pulses.pop();
            if let Some(call) = self
                .table
                .get_mut(key)
                .filter(|call| call.pulse == Some(at))
            {
                call.pulse = None;
                return Some(key);
            }
        }
        None
    }

    /// Looks at a call's agents when the first of them has something to do.
    pub(crate) fn schedule_pulse(&mut self, key: CallKey) {
        let Some(call) = self.table.get_mut(key) else {
            return;
        };
        let agents = call.legs.iter().filter_map(|leg| leg.ice.as_deref());
        let next = agents.filter_map(|ice| ice.agent.next()).min();
        if call.pulse != next {
            call.pulse = next;
            self.pulses.extend(next.map(|at| Reverse((at, key))));
        }
    }

    /// When the next agent has something to do.
    pub(crate) fn next_pulse(&self) -> Option<Time> {
        self.pulses.peek().map(|Reverse((at, _))| *at)
    }

    /// When the next call is due.
    pub(crate) fn next_due(&self) -> Option<Time> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// All calls, in an order that is the same for the same history.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (CallKey, &Call)> {
        self.table.iter()
    }
}
