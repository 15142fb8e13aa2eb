//! An ICE agent (RFC 8445), full or lite, with trickling (RFC 8838), patience (RFC 8863) and consent
//! (RFC 7675), without sockets, clocks or calls.
//!
//! In go datagrams, what SDP said of the peer, and time; out come datagrams and [`Event`]s. An [`Agent`]
//! is one leg: its sections are checklists that share a role, a pace and what they learn of
//! foundations. A checklist has a session for its credentials, and after a restart the previous
//! one beside it, whose pair serves until the new one has nominated. Nothing in a datagram is believed
//! before its MESSAGE-INTEGRITY is verified, and what is not believed is not answered either.

mod agent;
mod candidate;
mod check;
mod checklist;
mod consent;
mod credentials;
mod drive;
mod event;
mod pair;
mod request;
mod response;
mod select;
mod session;
mod view;

pub use agent::{Agent, Mode, Role};
pub use candidate::{Announced, Candidate, CandidateType, Component, LocalId, Place, Skipped};
pub use checklist::ListId;
pub use credentials::Credentials;
pub use event::{Event, Output, Selected, Standing, Transmit};
pub use view::{PairState, PairView};

use std::time::Duration;

/// Pace of new checks (RFC 8445 §14.2: not below 5 ms; what the incumbent has).
pub const PACE: Duration = Duration::from_millis(20);

/// First interval of retransmission; it doubles (RFC 8445 §14.3, with what the incumbent has).
pub const RTO: Duration = Duration::from_millis(100);

/// Retransmissions of a check (RFC 8489 §6.2.1).
pub const RETRIES: u8 = 7;

/// Candidates that a peer may name for one section.
pub const MAX_REMOTES: usize = 100;

/// Candidates beyond those that are learnt from checks: names that do not resolve are rescued by them.
const MAX_LEARNT: usize = 16;

/// Pairs in a checklist (RFC 8445 §6.1.2.5).
pub const MAX_PAIRS: usize = 100;

/// Sources remembered before the peer's credentials are known.
const MAX_EARLY: usize = 16;

/// Longest datagram that is looked at: two longest ufrags and every attribute fit well.
const MAX_DATAGRAM: usize = 1_280;

/// How long a controlling agent waits for a better pair than the one it has.
const GRACE: Duration = Duration::from_millis(100);

/// A nominated pair without checks for so long gives way to one of lower priority that is nominated.
const STALE: Duration = Duration::from_secs(3);

/// A pair in use that has not answered for so long, twice asked, gives way to any other that the peer uses.
const QUIET: Duration = Duration::from_secs(12);

/// No checklist fails earlier (RFC 8863 §4).
pub const PATIENCE: Duration = Duration::from_millis(39_500);

/// A peer that checks the chosen pair again so long after choosing it keeps consent fresh, and will go on doing so.
const AGAIN: Duration = Duration::from_secs(2);

/// Consent expires so long after the last response (RFC 7675 §5.1).
pub const CONSENT: Duration = Duration::from_secs(30);
