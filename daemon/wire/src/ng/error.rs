//! What can be wrong with a message before any call is looked at, worded as proxies and logs know it.

use std::fmt;

use crate::ng::{Command, Format};
use crate::{bencode, json};

/// Reply texts. Those marked *protocol* are compared literally by Kamailio or OpenSIPS.
pub mod reason {
    /// *Protocol*: the limit of concurrent calls is reached; also the text for every other limit
    /// towards a client that does not know `load limit`.
    pub const SESSION_LIMIT: &str = "Parallel session limit reached";
    /// *Protocol*: the CPU limit is exceeded.
    pub const CPU_LIMIT: &str = "CPU usage limit exceeded";
    /// *Protocol*: the load limit is exceeded.
    pub const LOAD_LIMIT: &str = "Load limit exceeded";
    /// *Protocol*: the bandwidth limit is exceeded.
    pub const BANDWIDTH_LIMIT: &str = "Bandwidth limit exceeded";
    /// *Protocol*: no local port is free on an interface that is needed.
    pub const OUT_OF_PORTS: &str = "Ran out of ports";

    /// The payload is neither a bencode nor a JSON dictionary.
    pub const INVALID_FORMAT: &str = "Invalid NG data format";
    /// The bencode dictionary is broken off, malformed or too large.
    pub const BAD_BENCODE: &str = "Could not decode bencode dictionary";
    /// The JSON object is broken off, malformed or too large.
    pub const BAD_JSON: &str = "Failed to parse JSON document";
    /// The dictionary has no `command`.
    pub const NO_COMMAND: &str = "Dictionary contains no key \"command\"";
    /// The command word means nothing.
    pub const UNRECOGNIZED_COMMAND: &str = "Unrecognized command";
    /// The command word is known, and not implemented.
    pub const UNSUPPORTED_COMMAND: &str = "Unsupported command";
    /// No `sdp`.
    pub const NO_SDP: &str = "No SDP body in message";
    /// No `call-id`.
    pub const NO_CALL_ID: &str = "No call-id in message";
    /// No `from-tag`.
    pub const NO_FROM_TAG: &str = "No from-tag in message";
    /// No `to-tag`.
    pub const NO_TO_TAG: &str = "No to-tag in message";
    /// A `list` with a negative limit.
    pub const INVALID_LIMIT: &str = "invalid limit, must be >= 0";
    /// A `cli` without a `body`.
    pub const NO_BODY: &str = "No body in message";

    /// The call is not known (`answer`, `query`).
    pub const UNKNOWN_CALL: &str = "Unknown call-id";
    /// The call is not known (commands other than `offer`, `answer`, `query`, `delete`).
    pub const UNKNOWN_CALL_ID: &str = "Unknown call-ID";
    /// A `delete` for a call, branch or tag that is not there; a warning unless `fatal`.
    pub const CALL_NOT_FOUND: &str = "Call-ID not found or tags didn't match";
    /// The SDP cannot be read.
    pub const BAD_SDP: &str = "Failed to parse SDP";
    /// The SDP can be read, but lacks what is needed.
    pub const INCOMPLETE_SDP: &str = "Incomplete SDP specification";
    /// The tags do not name an offer that this could be the answer to.
    pub const INVALID_DIALOGUE: &str = "Invalid dialogue association";
    /// The SDP could be read, but not rewritten.
    pub const REWRITE_FAILED: &str = "Error rewriting SDP";
}

/// Why bytes are no NG message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeError<'a> {
    /// No space, so no cookie: the datagram is dropped without a reply.
    NoCookie,
    /// There is a cookie, so there is a reply, an error.
    Malformed {
        /// The cookie to reply with.
        cookie: &'a [u8],
        /// The encoding to reply in; bencode if the payload is neither.
        format: Format,
        /// What is wrong.
        cause: Malformed,
    },
}

/// What is wrong with the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It starts neither with `d` nor with `{`.
    Format,
    /// Bad bencode.
    Bencode(bencode::Error),
    /// Bad JSON.
    Json(json::Error),
}

impl Malformed {
    /// The `error-reason` to reply with.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Format => reason::INVALID_FORMAT,
            Self::Bencode(_) => reason::BAD_BENCODE,
            Self::Json(_) => reason::BAD_JSON,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())?;
        match self {
            Self::Format => Ok(()),
            Self::Bencode(error) => write!(f, ": {error}"),
            Self::Json(error) => write!(f, ": {error}"),
        }
    }
}

impl fmt::Display for EnvelopeError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCookie => f.write_str("no cookie"),
            Self::Malformed { cause, .. } => cause.fmt(f),
        }
    }
}

impl std::error::Error for EnvelopeError<'_> {}

/// Why a dictionary is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NgError {
    /// There is no `command`.
    NoCommand,
    /// The `command` means nothing.
    UnrecognizedCommand,
    /// No `sdp`, or an empty one.
    NoSdp,
    /// No `call-id`, or an empty one.
    NoCallId,
    /// No `from-tag`.
    NoFromTag,
    /// No `to-tag`.
    NoToTag,
    /// A `list` with a negative `limit`.
    InvalidLimit,
    /// A `cli` without a `body`.
    NoBody,
}

impl NgError {
    /// The `error-reason` to reply with.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoCommand => reason::NO_COMMAND,
            Self::UnrecognizedCommand => reason::UNRECOGNIZED_COMMAND,
            Self::NoSdp => reason::NO_SDP,
            Self::NoCallId => reason::NO_CALL_ID,
            Self::NoFromTag => reason::NO_FROM_TAG,
            Self::NoToTag => reason::NO_TO_TAG,
            Self::InvalidLimit => reason::INVALID_LIMIT,
            Self::NoBody => reason::NO_BODY,
        }
    }
}

impl fmt::Display for NgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for NgError {}

/// The `error-reason` for a command that is known and not implemented.
pub fn unsupported(command: Command) -> String {
    format!("{}: {}", reason::UNSUPPORTED_COMMAND, command.as_str())
}
