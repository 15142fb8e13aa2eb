//! The requests, typed: what a dictionary asks for once its spellings are understood.

use std::borrow::Cow;

use crate::ng::error::NgError;
use crate::ng::flags::Flag;
use crate::ng::offer_answer::OfferAnswer;
use crate::ng::parse;
use crate::ng::set::Set;
use crate::ng::templates::Templates;
use crate::ng::{Command, Warnings};
use crate::value::Value;

/// How many calls `list` names when no limit is given.
pub const DEFAULT_LIST_LIMIT: u32 = 32;

/// A request. It borrows from the datagram, not from the value tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// `ping`
    Ping,
    /// `offer`
    Offer(Box<OfferAnswer<'a>>),
    /// `answer`; its `to_tag` is `Some`.
    Answer(Box<OfferAnswer<'a>>),
    /// `delete`
    Delete(Delete<'a>),
    /// `query`
    Query(Query<'a>),
    /// `list`
    List {
        /// Most calls to name.
        limit: u32,
    },
    /// `statistics`
    Statistics,
    /// `cli`, with its text.
    Cli(Cow<'a, [u8]>),
    /// A command that exists in the protocol and not here.
    Unsupported(Command),
}

/// `delete`: ends a call, or the part of it that the tags name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delete<'a> {
    /// The call; never empty.
    pub call_id: Cow<'a, [u8]>,
    /// Only this party's dialogue; `None` ends the call.
    pub from_tag: Option<Cow<'a, [u8]>>,
    /// Only towards this party; `None` unless the flag `to-tag` asks for it.
    pub to_tag: Option<Cow<'a, [u8]>>,
    /// Only this branch.
    pub via_branch: Option<Cow<'a, [u8]>>,
    /// Seconds until the end, instead of the configured; 0 is at once.
    pub delay: Option<u32>,
    /// Kept with the call, returned in the reply.
    pub metadata: Option<Cow<'a, [u8]>>,
    /// The simple switches: [`Flag::Fatal`], [`Flag::Fast`], [`Flag::DiscardRecording`].
    pub flags: Set<Flag>,
}

/// `query`: what is known about a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// The call; never empty.
    pub call_id: Cow<'a, [u8]>,
    /// Only this party.
    pub from_tag: Option<Cow<'a, [u8]>>,
    /// Only this other party.
    pub to_tag: Option<Cow<'a, [u8]>>,
    /// Only this branch.
    pub via_branch: Option<Cow<'a, [u8]>>,
    /// The simple switches.
    pub flags: Set<Flag>,
}

impl<'a> Request<'a> {
    /// Understands a dictionary. What is not understood in it becomes a warning, never an error.
    pub fn parse(body: &Value<'a>) -> (Result<Self, NgError>, Warnings) {
        parse::request(body, None)
    }

    /// The same with the operator's templates.
    pub fn parse_with(
        body: &Value<'a>,
        templates: &'a Templates,
    ) -> (Result<Self, NgError>, Warnings) {
        parse::request(body, Some(templates))
    }

    /// The request's command word.
    pub const fn command(&self) -> Command {
        match self {
            Self::Ping => Command::Ping,
            Self::Offer(_) => Command::Offer,
            Self::Answer(_) => Command::Answer,
            Self::Delete(_) => Command::Delete,
            Self::Query(_) => Command::Query,
            Self::List { .. } => Command::List,
            Self::Statistics => Command::Statistics,
            Self::Cli(_) => Command::Cli,
            Self::Unsupported(command) => *command,
        }
    }

    /// The call it is about.
    pub fn call_id(&self) -> Option<&[u8]> {
        match self {
            Self::Offer(message) | Self::Answer(message) => Some(&message.call_id),
            Self::Delete(delete) => Some(&delete.call_id),
            Self::Query(query) => Some(&query.call_id),
            Self::Ping
            | Self::List { .. }
            | Self::Statistics
            | Self::Cli(_)
            | Self::Unsupported(_) => None,
        }
    }
}
