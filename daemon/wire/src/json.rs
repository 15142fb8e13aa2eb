//! JSON in and out of the same values as bencode, under the same limits.
//!
//! JSON has text where NG has bytes: bytes that are not UTF-8 are written as Latin-1, one `\u00xx`
//! each. Booleans are read as 1 and 0, fractions and huge integers as their text, null as nothing.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::digits;
use crate::value::{Dict, Limits, Value};

/// Why bytes are not JSON, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line, from 1.
    pub line: u32,
    /// The column in bytes, from 1; 0 for the end of the line before.
    pub column: u32,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The bytes end before the value does.
    Truncated,
    /// Not JSON.
    Syntax,
    /// More nested than allowed.
    TooDeep,
    /// More values than allowed.
    TooMany,
}

/// Decodes the value at the start of `input`; returns it and its length. What follows is not looked at.
pub fn decode(input: &[u8], limits: Limits) -> Result<(Value<'_>, usize), Error> {
    let state = State {
        left: Cell::new(limits.elements),
        broken: Cell::new(None),
    };
    let mut stream = serde_json::Deserializer::from_slice(input);
    let seed = Seed {
        state: &state,
        depth: limits.depth,
    };
    match seed.deserialize(&mut stream) {
        Ok(value) => {
            let length = stream.into_iter::<de::IgnoredAny>().byte_offset();
            Ok((value.unwrap_or(Value::Str(Cow::Borrowed(b""))), length))
        }
        Err(error) => Err(Error {
            line: error.line() as u32,
            column: error.column() as u32,
            kind: state.broken.get().unwrap_or(if error.is_eof() {
                ErrorKind::Truncated
            } else {
                ErrorKind::Syntax
            }),
        }),
    }
}

/// What all levels of one decoding share.
struct State {
    left: Cell<u32>,
    broken: Cell<Option<ErrorKind>>,
}

impl State {
    fn stop<E: de::Error>(&self, kind: ErrorKind) -> E {
        self.broken.set(Some(kind));
        E::custom("limit exceeded")
    }

    fn count<E: de::Error>(&self) -> Result<(), E> {
        let left = self
            .left
            .get()
            .checked_sub(1)
            .ok_or_else(|| self.stop(ErrorKind::TooMany))?;
        self.left.set(left);
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Seed<'s> {
    state: &'s State,
    depth: u8,
}

impl Seed<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        self.state.count()?;
        let depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| self.state.stop(ErrorKind::TooDeep))?;
        Ok(Self { depth, ..self })
    }
}

/// `None` is null.
impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Option<Value<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Option<Value<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        self.state.count()?;
        Ok(None)
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Self::Value, E> {
        self.visit_i64(i64::from(truth))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        self.state.count()?;
        Ok(Some(Value::Int(number)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => self.visit_string(number.to_string()),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        self.visit_string(number.to_string())
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        self.state.count()?;
        Ok(Some(Value::str(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
        self.state.count()?;
        Ok(Some(Value::owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(member) = members.next_element_seed(inner)? {
            list.extend(member);
        }
        Ok(Some(Value::List(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let inner = self.deeper()?;
        let mut dict = Dict::new();
        while let Some(key) = entries.next_key_seed(Key { state: self.state })? {
            if let Some(value) = entries.next_value_seed(inner)? {
                dict.push(key, value);
            }
        }
        Ok(Some(Value::Dict(dict)))
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'s> {
    state: &'s State,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Cow<'de, [u8]>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        self.state.count()?;
        from.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = Cow<'de, [u8]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text.as_bytes()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.as_bytes().to_vec()))
    }
}

/// Appends `value` to `out`, dictionaries in their own order.
pub fn encode(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Str(text) => encode_str(text, out),
        Value::Int(number) => encode_int(*number, out),
        Value::List(members) => {
            out.push(b'[');
            for (index, member) in members.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                encode(member, out);
            }
            out.push(b']');
        }
        Value::Dict(dict) => {
            out.push(b'{');
            for (index, (key, value)) in dict.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                encode_str(key, out);
                out.push(b':');
                encode(value, out);
            }
            out.push(b'}');
        }
    }
}

/// What follows the backslash for each byte; 0 for none, `u` for four hexadecimal digits.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escapes[byte] = b'u';
        byte += 1;
    }
    escapes[0x7f] = b'u';
    escapes[b'\n' as usize] = b'n';
    escapes[b'\r' as usize] = b'r';
    escapes[b'\t' as usize] = b't';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

/// Appends a string; bytes that are not UTF-8 as Latin-1.
pub fn encode_str(text: &[u8], out: &mut Vec<u8>) {
    let latin1 = std::str::from_utf8(text).is_err();
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    while let Some(plain) = rest
        .iter()
        .position(|byte| ESCAPES[usize::from(*byte)] != 0 || latin1 && !byte.is_ascii())
    {
        out.extend_from_slice(&rest[..plain]);
        match ESCAPES[usize::from(rest[plain])] {
            0 | b'u' => escape(rest[plain], out),
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        rest = &rest[plain + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"\\u00");
    out.push(HEX[usize::from(byte >> 4)]);
    out.push(HEX[usize::from(byte & 15)]);
}

/// Appends an integer.
pub fn encode_int(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        out.push(b'-');
    }
    digits::push(number.unsigned_abs(), out);
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::Truncated => "ends too early",
            ErrorKind::Syntax => "syntax error",
            ErrorKind::TooDeep => "nested too deep",
            ErrorKind::TooMany => "too many values",
        };
        write!(f, "{what} at line {} column {}", self.line, self.column)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
