//! Members of `flags`: whole words, `key=value`, and members of other keys behind a prefix.

use std::borrow::Cow;

use crate::ng::codec::CodecOp;
use crate::ng::flags::{Flag, FlagWord, WORDS};
use crate::ng::keys::{KEYS, Key, RawKey, WordsKey};
use crate::ng::parse::Draft;
use crate::ng::security::SdesFlag;
use crate::ng::spelling::{self, Name};
use crate::ng::text::{self, Text};
use crate::ng::warnings::WarningKind;
use crate::value::Value;

/// Prefixes whose rest is one word of a key.
const WORD_PREFIXES: [(&str, WordsKey); 13] = [
    ("replace", WordsKey::Replace),
    ("rtcp-mux", WordsKey::RtcpMux),
    ("osrtp", WordsKey::Osrtp),
    ("bundle", WordsKey::Bundle),
    ("t38", WordsKey::T38),
    ("endpoint-learning", WordsKey::EndpointLearning),
    ("ice-lite", WordsKey::IceLite),
    ("ice", WordsKey::Ice),
    ("dtls", WordsKey::Dtls),
    ("media-echo", WordsKey::MediaEcho),
    ("sdp-media-remove", WordsKey::SdpMediaRemove),
    ("dtmf-security", WordsKey::DtmfSecurity),
    ("generate-rtcp", WordsKey::GenerateRtcp),
];

impl<'a> Draft<'a> {
    /// Takes a member of `flags`.
    pub(super) fn flag(&mut self, word: &Text<'a>) {
        let word = &trim(word);
        if word.is_empty() {
            return;
        }
        let name = Name::new(word);
        if let Some(known) = name.as_ref().and_then(|name| WORDS.find(name.as_bytes())) {
            self.known_flag(known);
        } else if !self.prefixed_flag(word) && !self.key_value_flag(word) {
            self.warnings.add(WarningKind::UnknownFlag, b"flags", word);
        }
    }

    fn known_flag(&mut self, word: FlagWord) {
        let message = &mut *self.message;
        match word {
            FlagWord::Nothing => {}
            FlagWord::Set(flag) => {
                message.flags.insert(flag);
            }
            FlagWord::WebRtc => {
                message.flags.insert(Flag::WebRtc);
            }
            FlagWord::Source(source) => message.addressing.trust(source),
            FlagWord::Check(check) => message.learning.check(check),
            FlagWord::Latching(latching) => message.learning.latch(latching),
            FlagWord::Rtcp(wanted) => message.rewrite.set_rtcp_attribute(wanted),
            FlagWord::AlwaysTranscode => {
                message
                    .codecs
                    .ops
                    .push((CodecOp::Accept, Cow::Borrowed(b"all")));
            }
            FlagWord::StripExtmap => message.extmap.strip.push(Cow::Borrowed(b"all")),
            FlagWord::PadCrypto => {
                message.sdes.flags.insert(SdesFlag::Pad);
            }
            FlagWord::Passthrough(switch) => message.passthrough = Some(switch),
            FlagWord::Record(switch) => message.recording.record = Some(switch),
            FlagWord::GenerateRtcp(switch) => message.generate_rtcp = Some(switch),
            FlagWord::Player(player) => message.recording.player = Some(player),
            FlagWord::Dtmf(mode) => {
                message.dtmf_mut().security.get_or_insert(mode);
            }
            FlagWord::Interface(name) => {
                message
                    .addressing
                    .interfaces
                    .next_direction(Cow::Borrowed(name.as_bytes()));
            }
        }
    }

    /// Takes a flag that is a member of another key behind that key's name.
    fn prefixed_flag(&mut self, word: &Text<'a>) -> bool {
        let after = |prefix| {
            let rest = unseparated(spelling::strip_prefix(word, prefix)?)?;
            Some(text::slice(word, word.len() - rest.len(), word.len()))
        };
        for (prefix, key) in WORD_PREFIXES {
            if after(prefix).is_some_and(|rest| self.spelled_word(key, &rest)) {
                return true;
            }
        }
        if let Some(rest) = after("sdes") {
            self.message.sdes.add(&text::unescape(rest))
        } else if let Some(codec) = after("transcode") {
            self.codec(CodecOp::Transcode, codec)
        } else if let Some(rest) = after("codec") {
            let Some((op, codec)) = first_word(&rest) else {
                return false;
            };
            let op = Name::new(&op).and_then(|op| CodecOp::parse(op.as_bytes()));
            op.is_some_and(|op| self.codec(op, codec))
        } else if let Some(rest) = after("extmap") {
            let Some((op, extension)) = first_word(&rest) else {
                return false;
            };
            let list = Name::new(&op);
            let list = list
                .as_ref()
                .and_then(|op| self.message.extmap.list(op.as_bytes()));
            list.map(|list| list.push(text::unescape(extension)))
                .is_some()
        } else if let Some(rest) = after("sdp-attr") {
            self.message.rewrite.sdp_attr.flag(&rest)
        } else {
            after("from-tags").is_some()
        }
    }

    fn codec(&mut self, op: CodecOp, codec: Cow<'a, [u8]>) -> bool {
        if codec.is_empty() {
            return false;
        }
        self.message.codecs.ops.push((op, text::unescape(codec)));
        true
    }

    /// Takes `key=value`, or `key--value`.
    fn key_value_flag(&mut self, word: &Text<'a>) -> bool {
        let Some((name, value)) =
            text::split_once(word, b"=").or_else(|| text::split_once(word, b"--"))
        else {
            return false;
        };
        match KEYS.get(&name) {
            None | Some(Key::Command | Key::RtppFlags | Key::Raw(RawKey::Flags)) => false,
            Some(key) => {
                self.key(key, &name, &Value::Str(text::unescape(value)));
                true
            }
        }
    }
}

/// What follows a separator: `-`, `=` or `--`.
fn unseparated(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'-', b'-', rest @ ..] | [b'-' | b'=' | b' ' | b'_', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Parts `op-rest` or `op=rest`.
fn first_word<'a>(text: &Text<'a>) -> Option<(Text<'a>, Text<'a>)> {
    let end = text.iter().position(|byte| matches!(byte, b'-' | b'='))?;
    let rest = unseparated(&text[end..])?;
    Some((
        text::slice(text, 0, end),
        text::slice(text, text.len() - rest.len(), text.len()),
    ))
}

fn trim<'a>(word: &Text<'a>) -> Cow<'a, [u8]> {
    let trimmed = word.trim_ascii_start();
    let start = word.len() - trimmed.len();
    text::slice(word, start, start + trimmed.trim_ascii_end().len())
}
