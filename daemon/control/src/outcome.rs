//! What a request comes to: a reply, or something only the process can do.

use patchcord_wire::ng::Reply;
use patchcord_wire::value::Dict;

/// What [`Control::request`](crate::Control::request) returns.
#[derive(Debug)]
pub enum Outcome {
    /// The finished reply.
    Reply(Reply<'static>),
    /// A `cli` line about the process. The process acts and answers with [`cli_reply`].
    Process(ProcessCommand),
}

/// What a person wants to read the answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Lines of text, worded as rtpengine's own.
    Text,
    /// One JSON document, for `patchctl`.
    Json,
}

/// A `cli` line that is about the process and not about calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessCommand {
    /// `reload`: read the configuration again.
    Reload,
    /// `version`.
    Version(Form),
    /// `json status`: uptime, calls, workers, backend, queues.
    Status,
    /// `list interfaces`, `json interfaces`: the interfaces with their ports, free and leased.
    Interfaces(Form),
    /// `list maxopenfiles`.
    MaxOpenFiles,
    /// `list loglevel`.
    LogLevel,
    /// `set loglevel N`: 0 to 7, as in syslog.
    SetLogLevel(u8),
}

/// Wraps the text that answers a `cli` line.
pub fn cli_reply(text: impl Into<Vec<u8>>) -> Reply<'static> {
    Reply::dict(&Dict::new().with("response", text.into()))
}
