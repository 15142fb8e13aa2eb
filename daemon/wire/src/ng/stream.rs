//! Cuts a TCP connection into NG units, `cookie SP dictionary` back to back, reading each byte once.

use std::fmt;
use std::ops::Range;

/// Most bytes of a unit unless configured otherwise; a datagram cannot hold more either.
pub const DEFAULT_MAX_UNIT: usize = 64 * 1024;
/// Most bytes of a cookie in a stream; without a bound, bytes without a space would be kept for nothing.
const MAX_COOKIE: usize = 1024;
/// Most nesting; the parser allows less.
const MAX_DEPTH: u8 = 32;

/// Why a connection cannot go on: there is no way to find the next unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The payload is neither a bencode nor a JSON dictionary.
    Format,
    /// The unit is larger than allowed, or will be by its own words.
    TooLarge,
    /// More nesting than allowed.
    TooDeep,
}

/// Finds the units in the bytes of one connection.
///
/// Call [`Units::next`] with all bytes that are not yet taken; after a unit, drop its bytes (up to the
/// end of the range) and call again. The state between calls is where scanning stopped, so each byte
/// is looked at once however the bytes trickle in.
#[derive(Clone, Debug)]
pub struct Units {
    max: usize,
    at: usize,
    start: usize,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Before the cookie: line ends that clients put between units.
    Between,
    Cookie,
    /// At a bencode value, inside `depth` lists and dictionaries.
    Bencode {
        depth: u8,
    },
    /// In the digits of a length.
    Length {
        depth: u8,
        value: usize,
    },
    /// In an integer.
    Integer {
        depth: u8,
    },
    /// Outside strings in JSON.
    Json {
        depth: u8,
    },
    /// In a JSON string.
    JsonString {
        depth: u8,
        escaped: bool,
    },
}

impl Default for Units {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_UNIT)
    }
}

impl Units {
    /// A scanner for units of at most `max` bytes.
    pub const fn new(max: usize) -> Self {
        Self {
            max,
            at: 0,
            start: 0,
            state: State::Between,
        }
    }

    /// The next whole unit in `bytes`; `None` if more bytes are needed.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<Range<usize>>, StreamError> {
        while let Some(&byte) = bytes.get(self.at) {
            if self.at - self.start >= self.max {
                return Err(StreamError::TooLarge);
            }
            self.at += 1;
            self.state = match self.state {
                State::Between if matches!(byte, b'\r' | b'\n') => {
                    self.start = self.at;
                    State::Between
                }
                State::Between | State::Cookie if byte == b' ' => match bytes.get(self.at) {
                    None => {
                        self.at -= 1;
                        self.state = State::Cookie;
                        return Ok(None);
                    }
                    Some(b'd') => State::Bencode { depth: 0 },
                    Some(b'{') => State::Json { depth: 0 },
                    Some(_) => return Err(StreamError::Format),
                },
                State::Between | State::Cookie if self.at - self.start > MAX_COOKIE => {
                    return Err(StreamError::TooLarge);
                }
                State::Between | State::Cookie => State::Cookie,
                State::Bencode { depth } => self.bencode(depth, byte)?,
                State::Length { depth, value } => self.length(depth, value, byte)?,
                State::Integer { depth } => match byte {
                    b'e' => State::Bencode { depth },
                    b'0'..=b'9' | b'-' => State::Integer { depth },
                    _ => return Err(StreamError::Format),
                },
                State::Json { depth } => json(depth, byte)?,
                State::JsonString {
                    depth,
                    escaped: true,
                } => State::JsonString {
                    depth,
                    escaped: false,
                },
                State::JsonString {
                    depth,
                    escaped: false,
                } => match byte {
                    b'"' => State::Json { depth },
                    byte => State::JsonString {
                        depth,
                        escaped: byte == b'\\',
                    },
                },
            };
            let closed = matches!(byte, b'e' | b'}' | b']');
            if closed
                && matches!(
                    self.state,
                    State::Bencode { depth: 0 } | State::Json { depth: 0 }
                )
            {
                let unit = self.start..self.at;
                *self = Self::new(self.max);
                return Ok(Some(unit));
            }
        }
        Ok(None)
    }

    fn bencode(&mut self, depth: u8, byte: u8) -> Result<State, StreamError> {
        match byte {
            b'd' | b'l' if depth == MAX_DEPTH => Err(StreamError::TooDeep),
            b'd' | b'l' => Ok(State::Bencode { depth: depth + 1 }),
            b'e' => depth
                .checked_sub(1)
                .map(|depth| State::Bencode { depth })
                .ok_or(StreamError::Format),
            b'i' => Ok(State::Integer { depth }),
            b'0'..=b'9' => self.length(depth, 0, byte),
            _ => Err(StreamError::Format),
        }
    }

    /// Takes a byte of a length; at its end jumps over the string.
    fn length(&mut self, depth: u8, value: usize, byte: u8) -> Result<State, StreamError> {
        match byte {
            b'0'..=b'9' => {
                let value = value
                    .saturating_mul(10)
                    .saturating_add(usize::from(byte - b'0'));
                if value > self.max {
                    return Err(StreamError::TooLarge);
                }
                Ok(State::Length { depth, value })
            }
            b':' => {
                self.at += value;
                if self.at - self.start >= self.max {
                    return Err(StreamError::TooLarge);
                }
                Ok(State::Bencode { depth })
            }
            _ => Err(StreamError::Format),
        }
    }
}

fn json(depth: u8, byte: u8) -> Result<State, StreamError> {
    match byte {
        b'{' | b'[' if depth == MAX_DEPTH => Err(StreamError::TooDeep),
        b'{' | b'[' => Ok(State::Json { depth: depth + 1 }),
        b'}' | b']' => depth
            .checked_sub(1)
            .map(|depth| State::Json { depth })
            .ok_or(StreamError::Format),
        b'"' => Ok(State::JsonString {
            depth,
            escaped: false,
        }),
        _ => Ok(State::Json { depth }),
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Format => "neither bencode nor JSON",
            Self::TooLarge => "message too large",
            Self::TooDeep => "message nested too deep",
        })
    }
}

impl std::error::Error for StreamError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::Value;
    use crate::{bencode, ng};

    /// What a connection yields if its bytes come `chunk` at a time.
    fn units(bytes: &[u8], chunk: usize, max: usize) -> Result<Vec<Vec<u8>>, StreamError> {
        let (mut scanner, mut buffer, mut found) = (Units::new(max), Vec::new(), Vec::new());
        for part in bytes.chunks(chunk) {
            buffer.extend_from_slice(part);
            while let Some(unit) = scanner.next(&buffer)? {
                found.push(buffer[unit.clone()].to_vec());
                buffer.drain(..unit.end);
            }
        }
        Ok(found)
    }

    #[test]
    fn units_stand_back_to_back_in_either_encoding() {
        let parts = [
            "1 d7:command4:pinge",
            "2 {\"command\":\"ping\",\"x\":\"}\\\"]\"}",
            "3 d1:ali-5e1:ed0:0:eee",
            " d1:a3:e ee",
        ];
        for between in ["", "\n", "\r\n"] {
            let bytes = parts.join(between);
            for chunk in 1..=bytes.len() {
                let expected: Vec<_> = parts.iter().map(|part| part.as_bytes().to_vec()).collect();
                assert_eq!(
                    units(bytes.as_bytes(), chunk, 1000),
                    Ok(expected),
                    "chunk {chunk}"
                );
            }
        }
    }

    #[test]
    fn a_unit_may_be_as_large_as_allowed_and_no_larger() {
        let unit = [b"c d1:a90:".to_vec(), vec![b'x'; 90], b"e".to_vec()].concat();
        assert_eq!(unit.len(), 100);
        for chunk in [1, 7, 100] {
            assert_eq!(units(&unit, chunk, 100), Ok(vec![unit.clone()]));
            assert_eq!(units(&unit, chunk, 99), Err(StreamError::TooLarge));
        }
    }

    #[test]
    fn what_can_never_become_a_unit_ends_the_connection_at_once() {
        let error = |bytes: &[u8]| units(bytes, 1, DEFAULT_MAX_UNIT);
        assert_eq!(error(b"c x"), Err(StreamError::Format));
        assert_eq!(error(b"c d?"), Err(StreamError::Format));
        assert_eq!(error(b"c di1-x"), Err(StreamError::Format));
        assert_eq!(
            error(b"c d99999999999999999999"),
            Err(StreamError::TooLarge)
        );
        assert_eq!(error(&[b'c'; 2000]), Err(StreamError::TooLarge));
        assert_eq!(
            error(&[&b"c d1:a"[..], &[b'l'; 64]].concat()),
            Err(StreamError::TooDeep)
        );
        assert_eq!(
            error(&[&b"c {"[..], &[b'['; 64]].concat()),
            Err(StreamError::TooDeep)
        );
        assert_eq!(
            error(&[&b"c {\""[..], &vec![b'x'; 70_000]].concat()),
            Err(StreamError::TooLarge)
        );
    }

    #[test]
    fn bytes_that_trickle_in_are_looked_at_once() {
        let mut scanner = Units::new(DEFAULT_MAX_UNIT);
        let bytes = [&b"c {\""[..], &vec![b'x'; 60_000]].concat();
        for end in 0..bytes.len() {
            assert_eq!(scanner.next(&bytes[..end]), Ok(None));
            // Where the next call goes on: never behind what this one has seen, but for the one
            // byte after a cookie's space that decides the encoding.
            assert!(scanner.at + 1 >= end);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            chunk in 1_usize..50,
        ) {
            if let Ok(found) = units(&bytes, chunk, 128) {
                prop_assert!(found.iter().all(|unit| unit.len() <= 128));
            }
        }

        #[test]
        fn what_the_scanner_cuts_the_parser_reads_whole(
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 1..6),
            chunk in 1_usize..50,
        ) {
            let mut bytes = Vec::new();
            for text in &texts {
                bytes.extend_from_slice(b"cookie d1:a");
                bencode::encode(&Value::List(vec![Value::str(text), Value::Int(-1)]), &mut bytes);
                bytes.push(b'e');
            }
            let found = units(&bytes, chunk, 1000).expect("well formed");
            prop_assert_eq!(found.concat(), bytes);
            for (unit, text) in found.iter().zip(&texts) {
                let envelope = ng::parse(unit).expect("a unit");
                let list = envelope.body.get("a").and_then(Value::as_list).expect("a list");
                prop_assert_eq!(list[0].as_bytes(), Some(text.as_slice()));
            }
        }
    }
}
