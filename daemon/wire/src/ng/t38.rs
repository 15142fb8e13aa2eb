//! `T.38`: fax gateway switches.

use crate::ng::set::{Set, member_enum};

member_enum! {
    /// A switch in the `T.38` list.
    pub enum T38Flag {
        /// UDPTL in, audio out.
        Decode,
        /// Audio in, UDPTL out.
        Force,
        /// The gateway ends.
        Stop,
        /// Redundancy by FEC.
        Fec,
        /// Without error correction mode.
        NoEcm,
        /// Without V.17.
        NoV17,
        /// Without V.27ter.
        NoV27ter,
        /// Without V.29.
        NoV29,
        /// Without V.34.
        NoV34,
        /// Without internet-aware fax.
        NoIaf,
    }
}

/// What `T.38` and `T.38-version` ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct T38 {
    /// Switches.
    pub flags: Set<T38Flag>,
    /// The version to offer.
    pub version: Option<u8>,
}

impl T38 {
    /// Adds a word, normalised.
    pub(crate) fn add(&mut self, word: &[u8]) -> bool {
        self.flags.insert(match word {
            b"decode" => T38Flag::Decode,
            b"force" => T38Flag::Force,
            b"stop" => T38Flag::Stop,
            b"fec" => T38Flag::Fec,
            b"no-ecm" => T38Flag::NoEcm,
            b"no-v17" => T38Flag::NoV17,
            b"no-v27ter" => T38Flag::NoV27ter,
            b"no-v29" => T38Flag::NoV29,
            b"no-v34" => T38Flag::NoV34,
            b"no-iaf" => T38Flag::NoIaf,
            _ => return false,
        });
        true
    }
}
