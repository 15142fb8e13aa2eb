//! The outer form of an NG message: cookie, one space, one dictionary in bencode or JSON.

use crate::ng::error::{EnvelopeError, Malformed};
use crate::value::{Limits, Value};
use crate::{bencode, json};

/// The encoding of a message; a reply has the request's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// bencode: the payload starts with `d`.
    #[default]
    Bencode,
    /// JSON: the payload starts with `{`.
    Json,
}

impl Format {
    /// The encoding of a payload, by its first byte.
    pub const fn of(payload: &[u8]) -> Option<Self> {
        match payload.first() {
            Some(b'd') => Some(Self::Bencode),
            Some(b'{') => Some(Self::Json),
            _ => None,
        }
    }

    /// Appends `value` to `out` in this encoding.
    pub fn encode(self, value: &Value<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Bencode => bencode::encode(value, out),
            Self::Json => json::encode(value, out),
        }
    }

    fn decode(self, payload: &[u8], limits: Limits) -> Result<Value<'_>, Malformed> {
        let decoded = match self {
            Self::Bencode => bencode::decode(payload, limits).map_err(Malformed::Bencode),
            Self::Json => json::decode(payload, limits).map_err(Malformed::Json),
        };
        decoded.map(|(value, _)| value)
    }
}

/// A message taken out of its envelope. The body is a dictionary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Everything before the first space; opaque, repeated in the reply.
    pub cookie: &'a [u8],
    /// The encoding to reply in.
    pub format: Format,
    /// The dictionary.
    pub body: Value<'a>,
}

/// Parts a datagram into cookie and payload, so that a repeated cookie needs no parsing; `None`
/// without a space, when the datagram is to be dropped.
pub fn split(datagram: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = datagram.iter().position(|byte| *byte == b' ')?;
    Some((&datagram[..space], &datagram[space + 1..]))
}

/// Parses a request with its cookie, as it comes by UDP, TCP, `POST /ng` or WebSocket. Bytes after
/// the dictionary are ignored, as rtpengine does.
pub fn parse(datagram: &[u8]) -> Result<Envelope<'_>, EnvelopeError<'_>> {
    parse_with(datagram, Limits::REQUEST)
}

/// Parses a message with its cookie under other limits than a request's; clients read replies so.
pub fn parse_with(datagram: &[u8], limits: Limits) -> Result<Envelope<'_>, EnvelopeError<'_>> {
    let (cookie, payload) = split(datagram).ok_or(EnvelopeError::NoCookie)?;
    let malformed = |format, cause| EnvelopeError::Malformed {
        cookie,
        format,
        cause,
    };
    let (format, body) =
        parse_plain(payload, limits).map_err(|(format, cause)| malformed(format, cause))?;
    Ok(Envelope {
        cookie,
        format,
        body,
    })
}

/// Parses a bare dictionary, as it comes by `POST /ng-plain`. The error has the encoding to reply in.
pub fn parse_plain(
    payload: &[u8],
    limits: Limits,
) -> Result<(Format, Value<'_>), (Format, Malformed)> {
    let format = Format::of(payload).ok_or((Format::Bencode, Malformed::Format))?;
    let body = format
        .decode(payload, limits)
        .map_err(|cause| (format, cause))?;
    Ok((format, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_before_the_first_space_is_the_cookie() {
        let envelope = parse(b"12_ab \x01").expect_err("no dictionary");
        assert!(matches!(
            envelope,
            EnvelopeError::Malformed {
                cookie: b"12_ab",
                ..
            }
        ));
        let envelope = parse(b" d7:command4:pinge").expect("an empty cookie is one");
        assert_eq!(envelope.cookie, b"");
        let envelope = parse(b"1 {\"command\": \"ping\"}").expect("JSON");
        assert_eq!(
            (envelope.cookie, envelope.format),
            (&b"1"[..], Format::Json)
        );
    }

    #[test]
    fn without_a_space_there_is_nothing_to_reply_to() {
        for datagram in [&b""[..], b"d7:command4:pinge", b"\n", &vec![b'x'; 65_507]] {
            assert_eq!(parse(datagram), Err(EnvelopeError::NoCookie));
        }
    }

    #[test]
    fn what_is_neither_bencode_nor_json_is_said_in_the_manuals_words() {
        for payload in ["", "le", "i1e", "4:ping", "[]", "D", " d1:ai1ee"] {
            let datagram = format!("c {payload}");
            let Err(EnvelopeError::Malformed { format, cause, .. }) = parse(datagram.as_bytes())
            else {
                panic!("{payload:?} is malformed")
            };
            assert_eq!(format, Format::Bencode);
            assert_eq!(cause.reason(), "Invalid NG data format");
        }
    }

    #[test]
    fn a_broken_dictionary_is_answered_in_its_own_encoding() {
        let broken = |datagram: &'static str| match parse(datagram.as_bytes()) {
            Err(EnvelopeError::Malformed { format, cause, .. }) => (format, cause.to_string()),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            broken("c d7:command"),
            (
                Format::Bencode,
                "Could not decode bencode dictionary: ends too early at byte 10".to_owned()
            )
        );
        assert_eq!(
            broken("c {\"a\":}"),
            (
                Format::Json,
                "Failed to parse JSON document: syntax error at line 1 column 6".to_owned()
            )
        );
    }

    #[test]
    fn what_follows_the_dictionary_is_ignored() {
        assert!(parse(b"c d7:command4:pinge\n").is_ok());
        assert!(parse(b"c {\"command\":\"ping\"}\r\n").is_ok());
    }
}
