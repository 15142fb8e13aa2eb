//! The flows of one worker, by slot.

use crate::flow::{PortId, Spec};

/// What is kept of a flow: its Spec and its run state.
#[derive(Debug)]
pub(crate) struct Flow {
    /// What control wants.
    pub(crate) spec: Box<Spec>,
}

/// All flows of a worker, indexed by the port's slot.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<Option<Flow>>,
    len: usize,
}

impl Table {
    /// The flow at `port`.
    #[inline]
    pub(crate) fn get(&self, port: PortId) -> Option<&Flow> {
        self.slots.get(port.slot())?.as_ref()
    }

    /// Creates or changes the flow of the Spec's port.
    pub(crate) fn set(&mut self, spec: Box<Spec>) {
        let slot = spec.port.slot();
        if slot >= self.slots.len() {
            self.slots.resize_with(slot + 1, || None);
        }
        if self.slots[slot].replace(Flow { spec }).is_none() {
            self.len += 1;
        }
    }

    /// Removes the flow at `port`.
    pub(crate) fn clear(&mut self, port: PortId) {
        if self
            .slots
            .get_mut(port.slot())
            .and_then(Option::take)
            .is_some()
        {
            self.len -= 1;
        }
    }

    /// Flows in the table.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}
