//! Which port a datagram is for: by its port number first, of which an interface's address has one each.

use patchcord_contract::Endpoint;
use patchcord_media::flow::PortId;

/// An attached port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port {
    /// Where it is.
    pub(super) local: Endpoint,
    /// The scope (interface index) of its address.
    pub(super) scope: u32,
    /// TOS byte of what it sends.
    pub(super) tos: u8,
    id: PortId,
    /// The slot, plus one, of another port with this number; 0: none.
    next: u32,
}

/// Attached ports.
#[derive(Debug)]
pub(super) struct Ports {
    slots: Vec<Option<Port>>,
    /// For each number the slot, plus one, of a port with it.
    numbers: Box<[u32]>,
}

impl Ports {
    /// None.
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            numbers: vec![0; 1 << 16].into_boxed_slice(),
        }
    }

    /// Adds a port, whose slot is vacant.
    pub(super) fn add(&mut self, id: PortId, local: Endpoint, scope: u32) {
        if self.slots.len() <= id.slot() {
            self.slots.resize(id.slot() + 1, None);
        }
        let head = &mut self.numbers[usize::from(local.port)];
        self.slots[id.slot()] = Some(Port {
            local,
            scope,
            tos: 0,
            id,
            next: std::mem::replace(head, id.slot() as u32 + 1),
        });
    }

    /// Takes a port out, and says where it was.
    pub(super) fn remove(&mut self, id: PortId) -> Option<Endpoint> {
        let port = self.slots.get_mut(id.slot())?.take()?;
        let mark = id.slot() as u32 + 1;
        let head = &mut self.numbers[usize::from(port.local.port)];
        if *head == mark {
            *head = port.next;
            return Some(port.local);
        }
        let mut at = *head;
        while let Some(other) = self.slot_mut(at) {
            if other.next == mark {
                other.next = port.next;
                break;
            }
            at = other.next;
        }
        Some(port.local)
    }

    /// A port.
    pub(super) fn get(&self, id: PortId) -> Option<&Port> {
        self.slots.get(id.slot())?.as_ref()
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, id: PortId) -> Option<&mut Port> {
        self.slots.get_mut(id.slot())?.as_mut()
    }

    /// The port that is there.
    #[inline]
    pub(super) fn find(&self, local: Endpoint) -> Option<PortId> {
        let mut at = self.numbers[usize::from(local.port)];
        loop {
            let port = self.slots.get((at as usize).checked_sub(1)?)?.as_ref()?;
            if port.local.addr == local.addr {
                return Some(port.id);
            }
            at = port.next;
        }
    }

    fn slot_mut(&mut self, mark: u32) -> Option<&mut Port> {
        self.slots
            .get_mut((mark as usize).checked_sub(1)?)?
            .as_mut()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn ports_of_one_number_are_told_apart_by_address() {
        let mut ports = Ports::new();
        let at = |last, port| Endpoint::new(IpAddr::from([192, 0, 2, last]), port);
        let id = |slot| PortId::new(3, slot).expect("a slot");
        for slot in 0..4 {
            ports.add(id(slot), at(slot as u8, 4000), 0);
        }
        ports.add(id(4), at(0, 4002), 0);
        for gone in [1, 3, 0] {
            assert_eq!(ports.remove(id(gone)), Some(at(gone as u8, 4000)));
            assert_eq!(ports.remove(id(gone)), None);
            assert_eq!(ports.find(at(gone as u8, 4000)), None);
            assert_eq!(ports.find(at(2, 4000)), Some(id(2)));
        }
        ports.add(id(1), at(9, 4000), 0);
        assert_eq!(ports.find(at(9, 4000)), Some(id(1)));
        assert_eq!(ports.find(at(0, 4002)), Some(id(4)));
        assert_eq!(ports.find(at(0, 4004)), None);
    }
}
