//! `ICE` and `ICE-lite` (RFC 8445).

use crate::ng::learning::{is_backward, is_forward};

/// What is done to ICE in the rewritten SDP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IceMode {
    /// Ours if the SDP had ICE, else none.
    #[default]
    Default,
    /// Taken out (`remove`).
    Remove,
    /// Ours, even if none was offered (`force`).
    Force,
    /// Ours as the last candidates beside the others (`optional`).
    Optional,
    /// Ours as relayed candidates beside the others' (`force-relay`).
    ForceRelay,
}

/// Towards which side we are a lite agent (RFC 8445 §2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceLite {
    /// Neither.
    Off,
    /// The receiver of the rewritten SDP.
    Forward,
    /// The sender of this SDP.
    Backward,
    /// Both.
    Both,
}

/// What `ICE` and `ICE-lite` ask for. The last word of each counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ice {
    /// What is done to the SDP.
    pub mode: IceMode,
    /// Lite towards whom; `None` keeps what was said before in the call.
    pub lite: Option<IceLite>,
}

impl Ice {
    pub(crate) fn add(&mut self, word: &[u8]) -> bool {
        self.mode = match word {
            b"remove" => IceMode::Remove,
            b"force" => IceMode::Force,
            b"optional" => IceMode::Optional,
            b"force-relay" => IceMode::ForceRelay,
            b"default" => IceMode::Default,
            b"no-lite" => return self.add_lite(b"off"),
            b"lite" => return self.add_lite(b"forward"),
            _ => match word.strip_prefix(b"lite-") {
                Some(word) => return self.add_lite(word),
                None => return false,
            },
        };
        true
    }

    pub(crate) fn add_lite(&mut self, word: &[u8]) -> bool {
        self.lite = Some(match word {
            b"off" | b"no" | b"none" => IceLite::Off,
            b"both" => IceLite::Both,
            b"offer" => IceLite::Forward,
            b"answer" => IceLite::Backward,
            _ if is_forward(word) => IceLite::Forward,
            _ if is_backward(word) => IceLite::Backward,
            _ => return false,
        });
        true
    }
}
