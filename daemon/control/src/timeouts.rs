//! When a call ends by itself, and when to look at it next.

use std::time::Duration;

use patchcord_contract::Time;

use crate::call::{Call, Fate, Section};
use crate::settings::Timeouts;
use crate::totals::EndReason;

/// Longest time between two looks at a call: how late a timeout that a reload shortened may be, and
/// how often quality is sampled.
pub(crate) const LOOK: Duration = Duration::from_secs(5);

/// What a look at a call found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It is over.
    Over(EndReason),
    /// It goes on; to be looked at again then.
    Again(Time),
}

/// Looks at a call: whether its time is over, and if not, when it may be.
pub(crate) fn look(call: &Call, timeouts: &Timeouts, now: Time) -> Look {
    let (end, reason) = end(call, timeouts);
    match end {
        Some(end) if end <= now => Look::Over(reason),
        Some(end) if call.fate == Fate::Alive => Look::Again(end.min(now + LOOK)),
        Some(end) => Look::Again(end),
        None => Look::Again(now + LOOK),
    }
}

/// When a call ends if nothing more happens to it, and why.
fn end(call: &Call, timeouts: &Timeouts) -> (Option<Time>, EndReason) {
    if let Fate::Deleted { at } = call.fate {
        return (Some(at), EndReason::Terminated);
    }
    let (quiet, reason) = match call.answered {
        None => (
            timeouts.offer.map(|limit| call.signalled.now + limit),
            EndReason::OfferTimeout,
        ),
        Some(answered) => silence(call, timeouts, answered),
    };
    let last = timeouts.total.map(|limit| call.created.now + limit);
    match (last, quiet) {
        (Some(last), Some(quiet)) if last > quiet => (Some(quiet), reason),
        (Some(last), _) => (Some(last), EndReason::FinalTimeout),
        (None, quiet) => (quiet, reason),
    }
}

/// When silence ends an answered call: once no port has seen a packet, or the last answer is past,
/// for as long as its section may be silent; a held one longer. A call without ports, all sections
/// refused or foreign, counts as held.
fn silence(call: &Call, timeouts: &Timeouts, answered: Time) -> (Option<Time>, EndReason) {
    let mut latest: Option<(Time, EndReason)> = None;
    for section in call.legs.iter().flat_map(|leg| &leg.sections) {
        let (limit, reason) = if is_held(section) {
            (timeouts.silent, EndReason::SilentTimeout)
        } else {
            (timeouts.media, EndReason::Timeout)
        };
        for component in section.components() {
            let Some(limit) = limit else {
                return (None, reason);
            };
            let last = component
                .stats
                .last_packet()
                .unwrap_or(Time::ZERO)
                .max(answered);
            let end = last + limit;
            if latest.is_none_or(|(known, _)| end > known) {
                latest = Some((end, reason));
            }
        }
    }
    match latest {
        Some((end, reason)) => (Some(end), reason),
        None => (
            timeouts.silent.map(|limit| answered + limit),
            EndReason::SilentTimeout,
        ),
    }
}

fn is_held(section: &Section) -> bool {
    section
        .remote
        .effective()
        .is_some_and(crate::call::Description::is_held)
}
