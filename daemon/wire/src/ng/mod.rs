//! The NG control protocol: what SIP proxies say to a media relay over UDP, TCP, HTTP and WebSocket.
//!
//! The way in: [`split`] gives cookie and payload, [`parse()`] the [`Envelope`], [`Request::parse`] the
//! typed request and its [`Warnings`]. The way out: [`Reply::write`]. A TCP connection is cut into
//! units by [`stream::Units`]. [`client`] is the other end of the wire, for our own tools.
//! Words stay rtpengine's here (`call-id`, `replace`, `direction`); the core has its own.

pub mod address;
pub mod bundle;
pub mod client;
pub mod codec;
pub mod dtmf;
pub mod error;
pub mod flags;
pub mod ice;
pub mod learning;
pub mod mux;
pub mod offer_answer;
pub mod recording;
pub mod replace;
pub mod sdp_attr;
pub mod security;
pub mod stream;
pub mod t38;

mod command;
mod document;
mod envelope;
mod flag_table;
mod flag_words;
mod keys;
mod parse;
mod reply;
mod request;
mod rtpp_flags;
mod set;
pub(crate) mod spelling;
mod templates;
mod text;
mod warnings;
mod writer;

pub use command::Command;
pub use document::Document;
pub use envelope::{Envelope, Format, parse, parse_plain, parse_with, split};
pub use error::{EnvelopeError, Malformed, NgError, reason};
pub use flags::{FLAGS, Flag, FlagInfo, Mark, Status};
pub use offer_answer::{LoadLimitReply, OfferAnswer, SipMessage, SipMessageKind};
pub use reply::Reply;
pub use request::{DEFAULT_LIST_LIMIT, Delete, Query, Request};
pub use set::{Member, Set};
pub use templates::Templates;
pub use warnings::{Warning, WarningKind, Warnings};
pub use writer::Writer;
