//! Why a request is refused. Each error is one NG reply, and leaves its call as it was.

use patchcord_wire::ng::{LoadLimitReply, Reply, reason};
use patchcord_wire::sdp;
use thiserror::Error;

use crate::ports::NoPorts;
use crate::settings::LoadLimit;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum CallError {
    /// An `answer` or `query` for a call that does not exist.
    #[error("{}", reason::UNKNOWN_CALL)]
    UnknownCall,
    /// A `delete` that matches nothing, with the flag `fatal`.
    #[error("{}", reason::CALL_NOT_FOUND)]
    NotFound,
    /// A new call while a limit is reached.
    #[error("{}", .0.as_str())]
    Limit(LoadLimit),
    /// No port is left on an interface that is needed.
    #[error("{}", reason::OUT_OF_PORTS)]
    OutOfPorts,
    /// The SDP cannot be read.
    #[error("{}", reason::BAD_SDP)]
    BadSdp,
    /// The SDP lacks a line that is needed.
    #[error("{}", reason::INCOMPLETE_SDP)]
    IncompleteSdp,
    /// The SDP has no media section.
    #[error("{}", reason::REWRITE_FAILED)]
    NoSections,
    /// The tags name no offer that this could be an answer to.
    #[error("{}", reason::INVALID_DIALOGUE)]
    InvalidDialogue,
    /// A call-id, tag or branch has bytes that none can have, or too many.
    #[error("Malformed call-id, tag or branch")]
    BadName,
    /// More legs than any dialogue has.
    #[error("Too many parties in one call")]
    TooManyLegs,
}

impl CallError {
    /// The reply. A limit has two forms, of which the client chose one.
    pub(crate) fn reply(self, form: LoadLimitReply) -> Reply<'static> {
        match (self, form) {
            (Self::Limit(limit), LoadLimitReply::Result) => Reply::LoadLimit(limit.as_str().into()),
            // Proxies that do not know load limits know this text, whatever the limit.
            (Self::Limit(_), LoadLimitReply::Error) => Reply::error(LoadLimit::Sessions.as_str()),
            (other, _) => Reply::error(other.to_string()),
        }
    }
}

impl From<NoPorts> for CallError {
    fn from(_: NoPorts) -> Self {
        Self::OutOfPorts
    }
}

impl From<sdp::Error> for CallError {
    fn from(error: sdp::Error) -> Self {
        if error.is_incomplete() {
            Self::IncompleteSdp
        } else {
            Self::BadSdp
        }
    }
}
