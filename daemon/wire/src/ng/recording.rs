//! Recording, playback and music on hold.

use std::borrow::Cow;

use crate::value::Value;

/// A switch that may also be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}

impl Switch {
    /// Reads `on`, `off` and their synonyms, normalised.
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"on" | b"yes" | b"true" | b"1" | b"enable" | b"enabled" => Self::On,
            b"off" | b"no" | b"false" | b"0" | b"disable" | b"disabled" | b"none" => Self::Off,
            _ => return None,
        })
    }
}

/// `audio-player`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioPlayer {
    /// As configured.
    Default,
    /// Where transcoding is done.
    Transcoding,
    /// Never.
    Off,
    /// Always.
    Always,
}

impl AudioPlayer {
    /// Reads a mode, normalised.
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"default" => Self::Default,
            b"transcoding" | b"transcode" | b"on" | b"yes" | b"enable" | b"enabled" => {
                Self::Transcoding
            }
            b"off" | b"no" | b"disable" | b"disabled" => Self::Off,
            b"always" | b"force" | b"forced" | b"everything" => Self::Always,
            _ => return None,
        })
    }
}

/// What is asked about recording and playback.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording<'a> {
    /// Whether to record from the start (`record-call`).
    pub record: Option<Switch>,
    /// The file (`recording-file`, `output-destination` and more).
    pub file: Option<Cow<'a, [u8]>>,
    /// The directory (`recording-dir`, `recording-path` and more).
    pub directory: Option<Cow<'a, [u8]>>,
    /// The file name's pattern (`recording-pattern`, `output-pattern`).
    pub pattern: Option<Cow<'a, [u8]>>,
    /// Keys about announcements, control digits and mixing slots, with their values as they are.
    pub details: Vec<(Cow<'a, [u8]>, Value<'a>)>,
    /// The player that mixes sources (`audio-player`).
    pub player: Option<AudioPlayer>,
    /// Music on hold (`moh`), as it is.
    pub music_on_hold: Option<Value<'a>>,
}
