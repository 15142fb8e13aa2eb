//! bencode (BEP 3) as the NG protocol uses it: unsorted keys, leading zeros tolerated, order kept.
//!
//! A duplicate key is kept in place; look-ups take the first entry.

use std::borrow::Cow;
use std::fmt;

use crate::digits;
use crate::value::{Dict, Limits, Value, decimal};

/// Longest run of digits in a length or an integer, zeros in front included.
const MAX_DIGITS: usize = 32;
/// Room in a new dictionary or list, so that an ordinary request does not grow one twice.
const FEW: usize = 4;

/// Why bytes are not bencode, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// Offset of the byte that is wrong, or of the end if bytes are missing.
    pub at: usize,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The bytes end before the value does.
    Truncated,
    /// No value starts with this byte.
    BadStart,
    /// A length or integer is no decimal number, or does not fit 64 bits.
    BadNumber,
    /// A dictionary key is not a string.
    BadKey,
    /// More nested than allowed.
    TooDeep,
    /// More values than allowed.
    TooMany,
}

/// Decodes the value at the start of `input`; returns it and its length. What follows is not looked at.
pub fn decode(input: &[u8], limits: Limits) -> Result<(Value<'_>, usize), Error> {
    let mut decoder = Decoder {
        input,
        at: 0,
        left: limits.elements,
    };
    let value = decoder.value(limits.depth)?;
    Ok((value, decoder.at))
}

struct Decoder<'a> {
    input: &'a [u8],
    at: usize,
    /// Values that may still come.
    left: u32,
}

impl<'a> Decoder<'a> {
    fn value(&mut self, depth: u8) -> Result<Value<'a>, Error> {
        match self.peek()? {
            b'0'..=b'9' => Ok(Value::Str(Cow::Borrowed(self.string()?))),
            b'i' => self.integer(),
            b'l' => self.list(depth),
            b'd' => self.dict(depth),
            _ => Err(self.error(ErrorKind::BadStart)),
        }
    }

    fn list(&mut self, depth: u8) -> Result<Value<'a>, Error> {
        let depth = self.enter(depth)?;
        let mut members = Vec::new();
        while self.peek()? != b'e' {
            members.push(self.value(depth)?);
        }
        self.at += 1;
        Ok(Value::List(members))
    }

    fn dict(&mut self, depth: u8) -> Result<Value<'a>, Error> {
        let outermost = self.at == 0;
        let depth = self.enter(depth)?;
        let mut dict = if outermost {
            Dict::with_capacity(4 * FEW)
        } else {
            Dict::new()
        };
        loop {
            match self.peek()? {
                b'e' => break,
                b'0'..=b'9' => {}
                _ => return Err(self.error(ErrorKind::BadKey)),
            }
            let key = self.string()?;
            let value = self.value(depth)?;
            dict.push(key, value);
        }
        self.at += 1;
        Ok(Value::Dict(dict))
    }

    /// Steps over the first byte of a list or dictionary.
    fn enter(&mut self, depth: u8) -> Result<u8, Error> {
        let inner = depth.checked_sub(1).ok_or(self.error(ErrorKind::TooDeep))?;
        self.count()?;
        self.at += 1;
        Ok(inner)
    }

    fn string(&mut self) -> Result<&'a [u8], Error> {
        self.count()?;
        let length = self.length()?;
        // Checked against what is there before anything is taken: lengths are the sender's word.
        let text = self.input[self.at..].get(..length).ok_or(self.end())?;
        self.at += length;
        Ok(text)
    }

    /// A length with its colon.
    fn length(&mut self) -> Result<usize, Error> {
        let mut length = 0_usize;
        for (index, &byte) in self.input[self.at..].iter().enumerate() {
            let bad = Error {
                at: self.at + index,
                kind: ErrorKind::BadNumber,
            };
            match byte {
                b':' => {
                    self.at += index + 1;
                    return Ok(length);
                }
                b'0'..=b'9' if index < MAX_DIGITS => {
                    let longer = length.checked_mul(10).ok_or(bad)?;
                    length = longer.checked_add(usize::from(byte - b'0')).ok_or(bad)?;
                }
                _ => return Err(bad),
            }
        }
        Err(self.end())
    }

    fn integer(&mut self) -> Result<Value<'a>, Error> {
        self.count()?;
        self.at += 1;
        let start = self.at;
        for (index, &byte) in self.input[start..].iter().enumerate() {
            let bad = Error {
                at: start + index,
                kind: ErrorKind::BadNumber,
            };
            match byte {
                b'e' => {
                    let number = decimal(&self.input[start..start + index]).ok_or(bad)?;
                    self.at += index + 1;
                    return Ok(Value::Int(number));
                }
                b'0'..=b'9' | b'-' if index < MAX_DIGITS => {}
                _ => return Err(bad),
            }
        }
        Err(self.end())
    }

    fn count(&mut self) -> Result<(), Error> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or(self.error(ErrorKind::TooMany))?;
        Ok(())
    }

    fn peek(&self) -> Result<u8, Error> {
        self.input.get(self.at).copied().ok_or(self.end())
    }

    const fn error(&self, kind: ErrorKind) -> Error {
        Error { at: self.at, kind }
    }

    const fn end(&self) -> Error {
        Error {
            at: self.input.len(),
            kind: ErrorKind::Truncated,
        }
    }
}

/// Appends `value` to `out`, dictionaries in their own order.
pub fn encode(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Str(text) => encode_str(text, out),
        Value::Int(number) => encode_int(*number, out),
        Value::List(members) => {
            out.push(b'l');
            for member in members {
                encode(member, out);
            }
            out.push(b'e');
        }
        Value::Dict(dict) => {
            out.push(b'd');
            for (key, value) in dict {
                encode_str(key, out);
                encode(value, out);
            }
            out.push(b'e');
        }
    }
}

/// Appends a byte string.
#[inline]
pub fn encode_str(text: &[u8], out: &mut Vec<u8>) {
    match text.len() {
        len @ 0..10 => out.extend_from_slice(&[b'0' + len as u8, b':']),
        len @ 10..100 => {
            let [tens, ones] = digits::pair(len as u8);
            out.extend_from_slice(&[tens, ones, b':']);
        }
        len => {
            digits::push(len as u64, out);
            out.push(b':');
        }
    }
    out.extend_from_slice(text);
}

/// Appends an integer.
pub fn encode_int(number: i64, out: &mut Vec<u8>) {
    if (0..10).contains(&number) {
        out.extend_from_slice(&[b'i', b'0' + number as u8, b'e']);
        return;
    }
    let mut buffer = [b'e'; 2 + digits::LONGEST + 1];
    let last = buffer.len() - 1;
    let mut start = digits::end_with(number.unsigned_abs(), &mut buffer[..last]);
    if number < 0 {
        start -= 1;
        buffer[start] = b'-';
    }
    start -= 1;
    buffer[start] = b'i';
    out.extend_from_slice(&buffer[start..]);
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::Truncated => "ends too early",
            ErrorKind::BadStart => "no value starts like this",
            ErrorKind::BadNumber => "bad number",
            ErrorKind::BadKey => "key is not a string",
            ErrorKind::TooDeep => "nested too deep",
            ErrorKind::TooMany => "too many values",
        };
        write!(f, "{what} at byte {}", self.at)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
