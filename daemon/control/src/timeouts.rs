//! When a call ends by itself, and when to look at it next.

use std::time::Duration;

use patchcord_contract::Time;

use crate::call::{Call, Fate, Section};
use crate::settings::Timeouts;
use crate::totals::EndReason;

/// Longest time between two looks at a call: how late a timeout that a reload shortened may be, and
/// how often quality is sampled.
pub(crate) const LOOK: Duration = Duration::from_secs(5);

/// Why a call is over at `now`, if it is.
pub(crate) fn ended(call: &Call, timeouts: &Timeouts, now: Time) -> Option<EndReason> {
    let passed =
        |since: Time, limit: Option<Duration>| limit.is_some_and(|l| now.since(since) >= l);
    if let Fate::Deleted { at } = call.fate {
        return (now >= at).then_some(EndReason::Terminated);
    }
    if passed(call.created.now, timeouts.total) {
        return Some(EndReason::FinalTimeout);
    }
    let Some(answered) = call.answered else {
        return passed(call.signalled.now, timeouts.offer).then_some(EndReason::OfferTimeout);
    };
    silent(call, timeouts, answered, now)
}

/// Whether no section has seen a packet for as long as it may. Each section is given the time since
/// its last packet or the last answer; a held one the longer timeout.
fn silent(call: &Call, timeouts: &Timeouts, answered: Time, now: Time) -> Option<EndReason> {
    let mut reason = EndReason::Timeout;
    for section in call.legs.iter().flat_map(|leg| &leg.sections) {
        let is_held = is_held(section);
        let limit = if is_held {
            timeouts.silent
        } else {
            timeouts.media
        };
        let limit = limit.unwrap_or(Duration::MAX);
        for component in section.components() {
            let last = component
                .stats
                .last_packet()
                .unwrap_or(Time::ZERO)
                .max(answered);
            if now.since(last) < limit {
                return None;
            }
        }
        if is_held && section.local.is_some() {
            reason = EndReason::SilentTimeout;
        }
    }
    // A call without ports (all sections refused or foreign) has nothing that could speak.
    let has_ports = call
        .legs
        .iter()
        .any(|leg| leg.sections.iter().any(|s| s.local.is_some()));
    let idle = timeouts
        .silent
        .is_some_and(|limit| now.since(answered) >= limit);
    (has_ports || idle).then_some(reason)
}

fn is_held(section: &Section) -> bool {
    section
        .remote
        .effective()
        .is_some_and(crate::call::Description::is_held)
}

/// When a call has to be looked at next.
pub(crate) fn next_look(call: &Call, now: Time) -> Time {
    match call.fate {
        Fate::Alive => now + LOOK,
        Fate::Deleted { at } => at,
    }
}
