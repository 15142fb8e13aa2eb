//! Replies: the few shapes that every request ends in, and their bytes.

use std::borrow::Cow;

use crate::ng::Format;
use crate::ng::document::Document;
use crate::ng::writer::Writer;
use crate::value::Dict;

/// A reply to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// `result: pong`
    Pong,
    /// `result: ok`, and what else there is to say.
    Ok {
        /// The rewritten SDP.
        sdp: Option<Cow<'a, [u8]>>,
        /// What was not done or not understood.
        warning: Option<Cow<'a, str>>,
        /// Further entries, such as those of `query`; written after the others.
        extra: Document,
    },
    /// `result: error` with its `error-reason`.
    Error(Cow<'a, str>),
    /// `result: load limit` with its `message`: one of the limit texts.
    LoadLimit(Cow<'a, str>),
}

impl<'a> Reply<'a> {
    /// `result: ok` and nothing else.
    pub const fn ok() -> Self {
        Self::Ok {
            sdp: None,
            warning: None,
            extra: Document::new(),
        }
    }

    /// `result: ok` with the rewritten SDP.
    pub fn sdp(sdp: impl Into<Cow<'a, [u8]>>) -> Self {
        Self::Ok {
            sdp: Some(sdp.into()),
            warning: None,
            extra: Document::new(),
        }
    }

    /// `result: ok` with these entries.
    pub const fn document(extra: Document) -> Self {
        Self::Ok {
            sdp: None,
            warning: None,
            extra,
        }
    }

    /// `result: ok` with the entries of `dict`.
    pub fn dict(dict: &Dict<'_>) -> Self {
        Self::document(dict.into())
    }

    /// `result: error` with a reason.
    pub fn error(reason: impl Into<Cow<'a, str>>) -> Self {
        Self::Error(reason.into())
    }

    /// The reply with a warning; failures have their reason and stay as they are.
    #[must_use]
    pub fn with_warning(mut self, text: impl Into<Cow<'a, str>>) -> Self {
        if let Self::Ok { warning, .. } = &mut self {
            *warning = Some(text.into());
        }
        self
    }

    /// Appends the reply to `out`: cookie and space if there is a cookie, then the dictionary.
    pub fn write(&self, cookie: Option<&[u8]>, format: Format, out: &mut Vec<u8>) {
        if let Some(cookie) = cookie {
            out.reserve(cookie.len() + 64);
            out.extend_from_slice(cookie);
            out.push(b' ');
        }
        let mut writer = Writer::new(format, out);
        writer.begin_dict();
        match self {
            Self::Pong => writer.entry("result", "pong"),
            Self::Ok {
                sdp,
                warning,
                extra,
            } => {
                writer.entry("result", "ok");
                if let Some(warning) = warning {
                    writer.entry("warning", warning.as_ref());
                }
                if let Some(sdp) = sdp {
                    writer.key("sdp");
                    writer.bytes(sdp);
                }
                extra.append(&mut writer);
            }
            Self::Error(reason) => {
                writer.entry("result", "error");
                writer.entry("error-reason", reason.as_ref());
            }
            Self::LoadLimit(message) => {
                writer.entry("result", "load limit");
                writer.entry("message", message.as_ref());
            }
        }
        writer.end_dict();
    }

    /// The reply's bytes in a buffer of their own.
    pub fn to_bytes(&self, cookie: Option<&[u8]>, format: Format) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(cookie, format, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ng::error::reason;
    use crate::value::Value;

    fn text(reply: &Reply<'_>, format: Format) -> String {
        String::from_utf8(reply.to_bytes(Some(b"c"), format)).expect("UTF-8")
    }

    #[test]
    fn replies_have_the_shapes_that_proxies_read() {
        let cases = [
            (Reply::Pong, "c d6:result4:ponge", r#"c {"result":"pong"}"#),
            (Reply::ok(), "c d6:result2:oke", r#"c {"result":"ok"}"#),
            (
                Reply::sdp(&b"v=0\r\n"[..]).with_warning("x"),
                "c d6:result2:ok7:warning1:x3:sdp5:v=0\r\ne",
                r#"c {"result":"ok","warning":"x","sdp":"v=0\r\n"}"#,
            ),
            (
                Reply::error(reason::OUT_OF_PORTS),
                "c d6:result5:error12:error-reason16:Ran out of portse",
                r#"c {"result":"error","error-reason":"Ran out of ports"}"#,
            ),
            (
                Reply::LoadLimit(reason::SESSION_LIMIT.into()),
                "c d6:result10:load limit7:message30:Parallel session limit reachede",
                r#"c {"result":"load limit","message":"Parallel session limit reached"}"#,
            ),
        ];
        for (reply, bencode, json) in cases {
            assert_eq!(text(&reply, Format::Bencode), bencode);
            assert_eq!(text(&reply, Format::Json), json);
        }
    }

    #[test]
    fn nested_entries_stand_after_the_result() {
        let totals = Dict::new().with("RTP", Dict::new().with("packets", 5_u64));
        let calls = vec![Value::str("a"), Value::Int(2), Value::Dict(Dict::new())];
        let reply = Reply::dict(&Dict::new().with("totals", totals).with("calls", calls));
        assert_eq!(
            text(&reply, Format::Json),
            r#"c {"result":"ok","totals":{"RTP":{"packets":5}},"calls":["a",2,{}]}"#
        );
        assert_eq!(
            text(&reply, Format::Bencode),
            "c d6:result2:ok6:totalsd3:RTPd7:packetsi5eee5:callsl1:ai2edeee"
        );
    }

    #[test]
    fn without_a_cookie_the_dictionary_stands_alone() {
        assert_eq!(
            Reply::Pong.to_bytes(None, Format::Json),
            br#"{"result":"pong"}"#
        );
    }

    #[test]
    fn a_failure_keeps_its_reason_whatever_the_warning() {
        assert_eq!(Reply::error("x").with_warning("y"), Reply::error("x"));
    }
}
