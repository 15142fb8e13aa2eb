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
