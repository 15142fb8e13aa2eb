//! Several sections on one port (RFC 9143), as control tells a worker; part of the waist ([`crate::flow`]).
//!
//! A port that carries several sections has a [`Part`] for each: what is in it and where it goes. A
//! sink that leads into such a port, or out of one, may name an [`Edit`] of the header extension.

use std::num::NonZeroU8;
use std::sync::Arc;

use patchcord_wire::extension::Rewrite;
use patchcord_wire::ids::Mid;
use smallvec::SmallVec;

use crate::flow::{Clocks, Sinks};
use crate::stats::PortStats;

/// Sections that one port carries; what is beyond is not read.
pub const MAX_PARTS: usize = 64;

/// What a port has beside that of an ordinary one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The id of the header extension that names a packet's section, if one was agreed.
    pub mid: Option<u8>,
    /// The ids of those that name a packet's stream within its section, and the stream that it repairs
    /// (RFC 8852).
    pub rids: [Option<u8>; 2],
    /// Its sections. With none or one it is an ordinary port, and the sinks are the Spec's; with more
    /// they are the parts', and the Spec's are not read.
    pub parts: Vec<Part>,
    /// What sinks of this port name.
    pub edits: Vec<Edit>,
}

/// One section of several on a port.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its name in packets.
    pub mid: Mid,
    /// The streams that its sender declared (`a=ssrc`).
    pub ssrcs: SmallVec<[u32; 4]>,
    /// The names of its streams (`a=rid`), if it has several.
    pub rids: Vec<Box<[u8]>>,
    /// The payload types that may be in it.
    pub types: PayloadTypes,
    /// The clock rates of what the peer sends in it.
    pub clocks: Clocks,
    /// Where its RTP goes.
    pub rtp: Sinks,
    /// Where RTCP about it goes.
    pub rtcp: Sinks,
    /// Its counters. One part has the port's own, which also count what is no section's.
    pub stats: Arc<PortStats>,
}

impl Part {
    /// Whether that is the name of one of its streams.
    pub(crate) fn has_rid(&self, name: &[u8]) -> bool {
        self.rids.iter().any(|rid| **rid == *name)
    }
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.mid == other.mid
            && self.ssrcs == other.ssrcs
            && self.rids == other.rids
            && self.types == other.types
            && self.clocks == other.clocks
            && self.rtp == other.rtp
            && self.rtcp == other.rtcp
            && Arc::ptr_eq(&self.stats, &other.stats)
    }
}

impl Eq for Part {}

/// A set of RTP payload types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadTypes(u128);

impl PayloadTypes {
    /// Whether a payload type is among them.
    #[inline]
    pub const fn has(self, payload_type: u8) -> bool {
        payload_type < 128 && self.0 >> payload_type & 1 != 0
    }

    /// These and those.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These, but for those.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether the sets have one in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl FromIterator<u8> for PayloadTypes {
    fn from_iter<I: IntoIterator<Item = u8>>(types: I) -> Self {
        let types = types.into_iter().filter(|number| *number < 128);
        Self(types.fold(0, |set, number| set | 1 << number))
    }
}

/// Names one of a port's edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EditId(NonZeroU8);

impl EditId {
    /// The name of the edit at `index`; `None` beyond 254.
    pub fn new(index: usize) -> Option<Self> {
        let number = u8::try_from(index.checked_add(1)?).ok()?;
        NonZeroU8::new(number).map(Self)
    }

    /// The place of the edit.
    pub const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// What becomes of RTP on its way through a sink. Under the keys of the endpoints it stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Elements of the header extension that go, by id.
    pub cut: SmallVec<[u8; 4]>,
    /// Elements that get another id.
    pub renumber: SmallVec<[(u8, u8); 2]>,
    /// The name of the section that is put in, and the id that it has there.
    pub name: Option<(u8, Mid)>,
    /// The part of the sink's port that it leaves as.
    pub part: Option<u8>,
}

impl Edit {
    /// The change of the header extension.
    #[inline]
    pub(crate) fn rewrite(&self) -> Rewrite<'_> {
        Rewrite {
            cut: &self.cut,
            renumber: &self.renumber,
            put: self.name.as_ref().map(|(id, mid)| (*id, mid.as_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in() {
        let types: PayloadTypes = [0, 96, 127, 128, 255].into_iter().collect();
        let found: Vec<u8> = (0..=255).filter(|number| types.has(*number)).collect();
        assert_eq!(found, [0, 96, 127]);
        assert!(types.meets([127].into_iter().collect()));
        assert!(!types.meets([1].into_iter().collect()));
        assert!(!types.without([127].into_iter().collect()).has(127));
        assert!(types.or([1].into_iter().collect()).has(1));
    }

    #[test]
    fn an_edit_is_named_by_its_place() {
        for index in [0, 1, 254] {
            assert_eq!(EditId::new(index).map(EditId::index), Some(index));
        }
        assert_eq!(EditId::new(255), None);
        assert_eq!(EditId::new(usize::MAX), None);
    }
}
