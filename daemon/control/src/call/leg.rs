//! One party of a call: how it is named, how it is reached, what was written to it.

use patchcord_media::flow::{Learning, Stranger};
use patchcord_wire::ids::{Branch, Label, Tag};
use smallvec::SmallVec;

use super::connectivity::Connectivity;
use super::section::Section;
use crate::ice::Mode;

/// A leg's name within its call; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LegId(pub(crate) u16);

/// One party of a call.
#[derive(Clone, Debug)]
pub(crate) struct Leg {
    /// Its name within the call.
    pub(crate) id: LegId,
    /// Its SIP tag, then further tags that answered the same offer. Empty until one is known.
    pub(crate) tags: SmallVec<[Tag; 1]>,
    /// Whether a final reply settled its tag: another one is another leg.
    pub(crate) is_pinned: bool,
    /// The leg that the offer it answered was written to: itself, unless it is a further answerer.
    pub(crate) offered_as: LegId,
    /// Hash of the last body it sent (NG `alias-key`).
    pub(crate) said: u64,
    /// The Via branch of the request that made it.
    pub(crate) branch: Option<Branch>,
    /// A name given by the script.
    pub(crate) label: Option<Label>,
    /// Unix time it was made, µs.
    pub(crate) created_us: u64,
    /// First row of its logical interface in the settings.
    pub(crate) interface: Option<u8>,
    /// How its endpoints are learnt.
    pub(crate) learning: Learning,
    /// What happens to packets from elsewhere.
    pub(crate) stranger: Stranger,
    /// Whether bundles in its offers are accepted.
    pub(crate) accepts_bundles: bool,
    /// How much of ICE is done towards it, if it is done.
    pub(crate) ice_mode: Mode,
    /// ICE towards it.
    pub(crate) ice: Option<Box<Connectivity>>,
    /// Its media sections, in the order of its SDP; the same index pairs them with its peer's.
    pub(crate) sections: Vec<Section>,
    /// What the last SDP written to it said, where later ones have to agree.
    pub(crate) written: Option<Box<Written>>,
}

/// What an SDP written to a leg fixed for the later ones (NG `replace`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// User name of the o= line.
    pub(crate) username: Box<[u8]>,
    /// Session id of the o= line.
    pub(crate) session_id: Box<[u8]>,
    /// Version of the o= line.
    pub(crate) version: u64,
    /// The s= line's value.
    pub(crate) name: Box<[u8]>,
    /// Hash of the last body that was written.
    pub(crate) body: u64,
}

impl Leg {
    /// A leg with no name and no media yet.
    pub(crate) fn new(id: LegId, created_us: u64, learning: Learning) -> Self {
        Self {
            id,
            tags: SmallVec::new(),
            is_pinned: false,
            offered_as: id,
            said: 0,
            branch: None,
            label: None,
            created_us,
            interface: None,
            learning,
            stranger: Stranger::Forward,
            accepts_bundles: false,
            ice_mode: Mode::Full,
            ice: None,
            sections: Vec::new(),
            written: None,
        }
    }

    /// Its tag, if one is known.
    pub(crate) fn tag(&self) -> Option<&Tag> {
        self.tags.first()
    }

    /// A final reply under `tag` was its: tags of forks that rang before are not its any more.
    pub(crate) fn pin(&mut self, tag: Tag) {
        self.tags.clear();
        self.tags.push(tag);
        self.is_pinned = true;
    }

    /// Whether `tag` is its tag or an alias of it.
    pub(crate) fn is_called(&self, tag: &Tag) -> bool {
        self.tags.contains(tag)
    }
}
