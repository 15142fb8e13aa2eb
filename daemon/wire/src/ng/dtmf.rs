//! DTMF hiding, triggers and delays.

use std::borrow::Cow;

/// What becomes of DTMF events (`DTMF-security`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtmfMode {
    /// Passed on.
    Off,
    /// Dropped.
    Drop,
    /// Replaced by silence.
    Silence,
    /// Replaced by a tone.
    Tone,
    /// Replaced by random digits.
    Random,
    /// Replaced by the digit 0.
    Zero,
    /// Replaced by a given digit.
    Dtmf,
}

impl DtmfMode {
    /// Reads a mode, normalised.
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"off" | b"no" | b"disable" | b"disabled" => Self::Off,
            b"drop" => Self::Drop,
            b"silence" => Self::Silence,
            b"tone" => Self::Tone,
            b"random" => Self::Random,
            b"zero" => Self::Zero,
            b"dtmf" => Self::Dtmf,
            _ => return None,
        })
    }
}

/// What is asked about DTMF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dtmf<'a> {
    /// What becomes of events.
    pub security: Option<DtmfMode>,
    /// The digit of [`DtmfMode::Dtmf`].
    pub code: Option<Cow<'a, [u8]>>,
    /// The tones of [`DtmfMode::Tone`], in Hz.
    pub frequencies: Vec<u32>,
    /// The tone's volume in dB.
    pub volume: Option<i32>,
    /// Digits that switch to `trigger_security`.
    pub trigger: Option<Cow<'a, [u8]>>,
    /// Digits that switch to `trigger_end_security`.
    pub trigger_end: Option<Cow<'a, [u8]>>,
    /// Milliseconds after which the trigger ends.
    pub trigger_end_time: Option<u32>,
    /// Digits after which the trigger ends.
    pub trigger_end_digits: Option<u32>,
    /// The mode after the trigger.
    pub trigger_security: Option<DtmfMode>,
    /// The mode after its end.
    pub trigger_end_security: Option<DtmfMode>,
    /// Milliseconds by which events are delayed.
    pub delay: Option<u32>,
    /// Milliseconds by which all media is delayed.
    pub delay_buffer: Option<u32>,
    /// Where events are reported to.
    pub log_destination: Option<Cow<'a, [u8]>>,
}
