//! Replies: the few shapes that every request ends in, and their bytes.

use std::borrow::Cow;

use crate::ng::Format;
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
        extra: Dict<'a>,
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
            extra: Dict::new(),
        }
    }

    /// `result: ok` with the rewritten SDP.
    pub fn sdp(sdp: impl Into<Cow<'a, [u8]>>) -> Self {
        Self::Ok {
            sdp: Some(sdp.into()),
            warning: None,
            extra: Dict::new(),
        }
    }

    /// `result: ok` with the entries of `dict`.
    pub const fn dict(dict: Dict<'a>) -> Self {
        Self::Ok {
            sdp: None,
            warning: None,
            extra: dict,
        }
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
                for (key, value) in extra {
                    writer.key_bytes(key);
                    writer.value(value);
                }
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
