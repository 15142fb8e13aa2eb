//! `rtpp-flags`: the flag string of a proxy script, whole, in one key.
//!
//! Words by spaces; a bare word is a flag; `key=value` is a key of the message; a value in brackets
//! is a list, or a dictionary if each of its words has a `=`; brackets nest.

use std::borrow::Cow;

use crate::ng::flags::Flag;
use crate::ng::keys::{KEYS, Key, RawKey, TextKey};
use crate::ng::parse::Draft;
use crate::ng::text::{self, Text};
use crate::ng::warnings::WarningKind;
use crate::proto::Proto;
use crate::value::{Dict, Value};

/// Nested brackets that are read; deeper ones are text.
const MAX_DEPTH: u8 = 8;

/// The profile that `RTP`, `SRTP`, `AVP`, `AVPF` and `DTLS` spell together.
#[derive(Clone, Copy, Default)]
pub(super) struct Profile {
    keying: Option<Keying>,
    feedback: Option<bool>,
}

/// How media is keyed, weakest first; a `DTLS` anywhere makes it DTLS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Keying {
    Plain,
    Srtp,
    Dtls,
}

impl Profile {
    /// Takes a word; `false` if it is none of the five.
    fn add(&mut self, word: &[u8]) -> bool {
        let keying = |profile: &mut Self, keying| profile.keying = profile.keying.max(Some(keying));
        match word {
            b"RTP" => keying(self, Keying::Plain),
            b"SRTP" => keying(self, Keying::Srtp),
            b"DTLS" => keying(self, Keying::Dtls),
            b"AVP" => self.feedback = self.feedback.or(Some(false)),
            b"AVPF" => self.feedback = Some(true),
            _ => return false,
        }
        true
    }

    /// The profile, if any of the words was there.
    pub(super) fn proto(self) -> Option<Proto> {
        if self.keying.is_none() && self.feedback.is_none() {
            return None;
        }
        Some(
            match (
                self.keying.unwrap_or(Keying::Plain),
                self.feedback.unwrap_or(false),
            ) {
                (Keying::Plain, false) => Proto::RtpAvp,
                (Keying::Plain, true) => Proto::RtpAvpf,
                (Keying::Srtp, false) => Proto::RtpSavp,
                (Keying::Srtp, true) => Proto::RtpSavpf,
                (Keying::Dtls, false) => Proto::UdpTlsRtpSavp,
                (Keying::Dtls, true) => Proto::UdpTlsRtpSavpf,
            },
        )
    }
}

/// Reads the flag string into the draft.
pub(super) fn read<'a>(draft: &mut Draft<'a>, name: &[u8], value: &Value<'a>) {
    let Value::Str(string) = value else {
        return draft.unknown(name, b"not a string");
    };
    for word in Tokens::new(string.clone()).take(text::MAX_WORDS) {
        match text::split_once(&word, b"=") {
            Some((key, value)) if !key.is_empty() => pair(draft, &word, &key, value),
            _ => bare(draft, &word),
        }
    }
}

fn bare<'a>(draft: &mut Draft<'a>, word: &Text<'a>) {
    let is_profile =
        draft.profile.add(word) || word.contains(&b'/') && draft.transport_protocol(word);
    if !is_profile {
        draft.flag(word);
    }
}

fn pair<'a>(draft: &mut Draft<'a>, word: &Text<'a>, name: &[u8], value: Cow<'a, [u8]>) {
    let value = nested(value, MAX_DEPTH);
    match KEYS.get(name) {
        Some(Key::Command | Key::RtppFlags | Key::Raw(RawKey::Flags)) => {
            draft.warnings.add(WarningKind::UnknownKey, name, b"");
        }
        Some(key) => {
            if key == Key::Text(TextKey::ToTag) {
                draft.message.flags.insert(Flag::ToTag);
            } else if key == Key::Text(TextKey::FromTag) {
                draft.message.flags.insert(Flag::Directional);
            }
            draft.key(key, name, &value);
        }
        None => match value {
            // `codec-strip=[PCMA PCMU]` is the flag once for each member.
            Value::List(members) => {
                for member in members {
                    if let Value::Str(member) = member {
                        let flag = [name, b"=", &member].concat();
                        draft.flag(&Cow::Owned(flag));
                    }
                }
            }
            Value::Str(_) | Value::Int(_) | Value::Dict(_) => draft.flag(word),
        },
    }
}

/// A value: text, or what stands in brackets.
fn nested(value: Cow<'_, [u8]>, depth: u8) -> Value<'_> {
    let [b'[', inner @ .., b']'] = value.as_ref() else {
        return Value::Str(value);
    };
    let Some(depth) = depth.checked_sub(1) else {
        return Value::Str(value);
    };
    let inner = text::slice(&value, 1, 1 + inner.len());
    let words: Vec<_> = Tokens::new(inner).take(text::MAX_WORDS).collect();
    let pairs: Option<Vec<_>> = words.iter().map(|word| top_level_equals(word)).collect();
    match pairs {
        Some(pairs) if !pairs.is_empty() => {
            let entries = pairs
                .into_iter()
                .map(|(key, value)| (key, nested(value, depth)));
            Value::Dict(entries.collect::<Dict<'_>>())
        }
        _ => Value::List(words.into_iter().map(|word| nested(word, depth)).collect()),
    }
}

/// Parts `key=value`, unless the word begins with a bracket.
fn top_level_equals<'a>(word: &Text<'a>) -> Option<(Text<'a>, Text<'a>)> {
    if word.starts_with(b"[") {
        None
    } else {
        text::split_once(word, b"=")
    }
}

/// Words by spaces outside brackets.
struct Tokens<'a> {
    text: Cow<'a, [u8]>,
    at: usize,
}

impl<'a> Tokens<'a> {
    const fn new(text: Cow<'a, [u8]>) -> Self {
        Self { text, at: 0 }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Cow<'a, [u8]>;

    fn next(&mut self) -> Option<Cow<'a, [u8]>> {
        let start = self.at
            + self.text[self.at..]
                .iter()
                .position(|byte| !is_space(*byte))?;
        let mut open = 0_usize;
        let end = self.text[start..].iter().position(|byte| {
            match byte {
                b'[' => open += 1,
                b']' => open = open.saturating_sub(1),
                _ => return open == 0 && is_space(*byte),
            }
            false
        });
        self.at = end.map_or(self.text.len(), |length| start + length);
        Some(text::slice(&self.text, start, self.at))
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b';')
}
