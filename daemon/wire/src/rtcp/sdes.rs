//! Source descriptions (RFC 3550 §6.5).

use super::compound::word;
use super::{Packet, PacketType};
use crate::ids::Ssrc;

/// Item types.
pub mod item {
    /// The canonical name that ties a participant's sources together.
    pub const CNAME: u8 = 1;
    /// A name for people.
    pub const NAME: u8 = 2;
    /// The program.
    pub const TOOL: u8 = 6;
    /// The media section's name (RFC 9143 §15).
    pub const MID: u8 = 15;
}

/// A source description packet.
#[derive(Clone, Copy, Debug)]
pub struct Sdes<'p> {
    body: &'p [u8],
    count: u8,
}

/// What it says of one source.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'p> {
    /// The source.
    pub ssrc: Ssrc,
    items: &'p [u8],
}

/// One item of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'p> {
    /// What it is, see [`item`].
    pub kind: u8,
    /// Its text.
    pub text: &'p [u8],
}

impl<'p> Sdes<'p> {
    /// Reads a packet; `None` if it is another type.
    pub fn of(packet: &Packet<'p>) -> Option<Self> {
        (packet.kind() == PacketType::Sdes).then(|| Self {
            body: packet.body(),
            count: packet.count(),
        })
    }

    /// The chunks. What is malformed ends them.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk<'p>> + use<'p> {
        let mut rest = self.body;
        (0..self.count).map_while(move |_| {
            let ssrc = Ssrc(word(rest, 0)?);
            let items = &rest[4..];
            let len = items_len(items)?;
            // An item list ends in one to four zero bytes, at a 32-bit boundary.
            rest = items.get(len / 4 * 4 + 4..).unwrap_or_default();
            Some(Chunk {
                ssrc,
                items: &items[..len],
            })
        })
    }
}

impl<'p> Chunk<'p> {
    /// The items.
    pub fn items(&self) -> impl Iterator<Item = Item<'p>> + use<'p> {
        let mut rest = self.items;
        std::iter::from_fn(move || {
            let (&[kind, len], after) = rest.split_first_chunk()?;
            let (text, after) = after.split_at_checked(usize::from(len))?;
            rest = after;
            Some(Item { kind, text })
        })
    }

    /// The text of the first item of that type.
    pub fn get(&self, kind: u8) -> Option<&'p [u8]> {
        self.items().find(|i| i.kind == kind).map(|i| i.text)
    }
}

/// How long the items are, up to the zero or the end of the packet; `None` if one does not fit.
fn items_len(items: &[u8]) -> Option<usize> {
    let mut at = 0;
    while items.get(at).is_some_and(|kind| *kind != 0) {
        at += 2 + usize::from(*items.get(at + 1)?);
    }
    (at <= items.len()).then_some(at)
}
