//! The proxy's end of the protocol: requests built and replies read, for `patchctl` and `patchload`.

use std::borrow::Cow;

use crate::ng::envelope::parse_with;
use crate::ng::error::EnvelopeError;
use crate::ng::{Command, Format};
use crate::value::{Dict, Limits, Value};

/// A request under construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestBuilder<'a> {
    dict: Dict<'a>,
}

impl<'a> RequestBuilder<'a> {
    /// A request with nothing but its command, spelled as proxies do.
    pub fn new(command: Command) -> Self {
        let word = match command.as_str() {
            word if word.contains('-') => Value::owned(word.replace('-', " ")),
            word => Value::str(word),
        };
        Self {
            dict: Dict::new().with("command", word),
        }
    }

    /// Adds an entry: text, a number, a list or a dictionary.
    #[must_use]
    pub fn with(mut self, key: &'a str, value: impl Into<Value<'a>>) -> Self {
        self.dict.push(key.as_bytes(), value.into());
        self
    }

    /// Adds a list of texts, such as `flags`; an empty one is left out.
    #[must_use]
    pub fn with_list(self, key: &'a str, members: impl IntoIterator<Item = &'a str>) -> Self {
        let members: Vec<_> = members.into_iter().map(Value::str).collect();
        if members.is_empty() {
            self
        } else {
            self.with(key, members)
        }
    }

    /// The request's bytes; without a cookie they suit `POST /ng-plain` only.
    pub fn to_bytes(&self, cookie: Option<&[u8]>, format: Format) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.write(cookie, format, &mut out);
        out
    }

    /// Appends the request's bytes to `out`.
    pub fn write(&self, cookie: Option<&[u8]>, format: Format, out: &mut Vec<u8>) {
        if let Some(cookie) = cookie {
            out.extend_from_slice(cookie);
            out.push(b' ');
        }
        let body = Value::Dict(self.dict.clone());
        format.encode(&body, out);
    }
}

/// What a reply says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'r> {
    /// `ok` or `pong`.
    Success,
    /// `error`, with its `error-reason`.
    Error(&'r str),
    /// `load limit`, with its `message`: ask another relay.
    LoadLimit(&'r str),
    /// Another `result`, which proxies take for a failure; empty if there is none.
    Other(&'r str),
}

/// A reply as a client reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// The request's cookie.
    pub cookie: &'a [u8],
    /// The dictionary.
    pub body: Value<'a>,
}

impl<'a> Response<'a> {
    /// Parses a reply with its cookie, in either encoding.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, EnvelopeError<'a>> {
        let envelope = parse_with(datagram, Limits::REPLY)?;
        Ok(Self {
            cookie: envelope.cookie,
            body: envelope.body,
        })
    }

    /// What the reply says.
    pub fn outcome(&self) -> Outcome<'_> {
        let text = |key| {
            self.body
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        match text("result") {
            "ok" | "pong" => Outcome::Success,
            "error" => Outcome::Error(text("error-reason")),
            "load limit" => Outcome::LoadLimit(text("message")),
            other => Outcome::Other(other),
        }
    }

    /// The rewritten SDP.
    pub fn sdp(&self) -> Option<&[u8]> {
        self.body.get("sdp").and_then(Value::as_bytes)
    }

    /// The reply's `warning`.
    pub fn warning(&self) -> Option<Cow<'_, str>> {
        self.body
            .get("warning")
            .and_then(Value::as_bytes)
            .map(String::from_utf8_lossy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ng::{Flag, Reply, Request, parse};

    #[test]
    fn what_a_client_builds_the_relay_understands() {
        let builder = RequestBuilder::new(Command::Offer)
            .with("call-id", "c")
            .with("from-tag", "f")
            .with("sdp", "v=0\r\n")
            .with("TOS", 184_i64)
            .with_list("flags", ["loop-protect"])
            .with_list("replace", []);
        for format in [Format::Bencode, Format::Json] {
            let bytes = builder.to_bytes(Some(b"7"), format);
            let envelope = parse(&bytes).expect("an envelope");
            assert_eq!((envelope.cookie, envelope.format), (&b"7"[..], format));
            let (request, warnings) = Request::parse(&envelope.body);
            let Ok(Request::Offer(offer)) = request else {
                panic!("{request:?}")
            };
            assert!(offer.flags.has(Flag::LoopProtect));
            assert_eq!(offer.sdp.as_ref(), b"v=0\r\n");
            assert!(warnings.is_empty());
            assert_eq!(envelope.body.get("replace"), None);
        }
    }

    #[test]
    fn commands_of_two_words_are_spelled_as_proxies_do() {
        let bytes = RequestBuilder::new(Command::PlayMedia).to_bytes(None, Format::Bencode);
        assert_eq!(bytes, b"d7:command10:play mediae");
    }

    #[test]
    fn what_the_relay_replies_the_client_understands() {
        let outcome = |reply: &Reply<'_>, format| {
            let bytes = reply.to_bytes(Some(b"7"), format);
            let response = Response::parse(&bytes).expect("a reply");
            assert_eq!(response.cookie, b"7");
            format!("{:?}", response.outcome())
        };
        for format in [Format::Bencode, Format::Json] {
            assert_eq!(outcome(&Reply::Pong, format), "Success");
            assert_eq!(outcome(&Reply::error("x"), format), r#"Error("x")"#);
            assert_eq!(
                outcome(&Reply::LoadLimit("y".into()), format),
                r#"LoadLimit("y")"#
            );
            let bytes = Reply::sdp(&b"v=0"[..])
                .with_warning("z")
                .to_bytes(Some(b"7"), format);
            let response = Response::parse(&bytes).expect("a reply");
            assert_eq!(response.sdp(), Some(&b"v=0"[..]));
            assert_eq!(response.warning().as_deref(), Some("z"));
        }
        let response = Response::parse(b"7 d6:result3:hume").expect("a reply");
        assert_eq!(response.outcome(), Outcome::Other("hum"));
    }
}
