//! `statistics`: what there is, what there was, by rtpengine's names.

use std::time::Duration;

use patchcord_wire::ng::Reply;
use patchcord_wire::value::Dict;

use crate::call::{Call, Section};
use crate::{Clock, Control, EndReason, Totals};
impl Totals {
    /// Counts a call that is over.
    pub(crate) fn add(&mut self, call: &Call, reason: EndReason, duration: Duration) {
        self.ended[reason as usize] += 1;
        self.duration += duration;
        let tally = call.tally();
        self.packets += tally.rtp.packets + tally.rtcp.packets;
        self.bytes += tally.rtp.bytes + tally.rtcp.bytes;
        self.dropped += tally.dropped;
        let mut heard = call.legs.iter().map(|leg| {
            let mut components = leg.sections.iter().flat_map(Section::components);
            components.any(|component| component.stats.rtp_in.packets.get() > 0)
        });
        let (all, any) = heard
            .try_fold((true, false), |(all, any), one| {
                Some((all && one, any || one))
            })
            .unwrap_or_default();
        self.one_way += u64::from(any && !all);
        self.silent += u64::from(tally.rtp.packets == 0);
    }
}

/// The reply to `statistics`.
pub(crate) fn reply(control: &Control, _clock: Clock) -> Reply<'static> {
    let gauges = control.gauges();
    let totals = control.totals();
    let ended = |reason: EndReason| totals.ended_by(reason);
    let current = Dict::new()
        .with("sessionsown", gauges.calls as u64)
        .with("sessionsforeign", 0_u64)
        .with("sessionstotal", gauges.calls as u64)
        .with("transcodedmedia", 0_u64)
        .with("legs", gauges.legs as u64)
        .with("medias", gauges.sections as u64)
        .with("ports", gauges.ports as u64);
    let count: u64 = totals.ended.iter().sum();
    let average = totals
        .duration
        .as_secs()
        .checked_div(count)
        .unwrap_or_default();
    let total = Dict::new()
        .with("managedsessions", totals.calls)
        .with("rejectedsessions", totals.refused)
        .with("timeoutsessions", ended(EndReason::Timeout))
        .with("silenttimeoutsessions", ended(EndReason::SilentTimeout))
        .with("finaltimeoutsessions", ended(EndReason::FinalTimeout))
        .with("offertimeoutsessions", ended(EndReason::OfferTimeout))
        .with("regularterminatedsessions", ended(EndReason::Terminated))
        .with(
            "forcedterminatedsessions",
            ended(EndReason::ForceTerminated),
        )
        .with("relayedpackets", totals.packets)
        .with("relayedbytes", totals.bytes)
        .with("relayedpacketerrors", totals.dropped)
        .with("zerowaystreams", totals.silent)
        .with("onewaystreams", totals.one_way)
        .with("avgcallduration", average.to_string())
        .with("totalcallsduration", totals.duration.as_secs());
    let statistics = Dict::new()
        .with("currentstatistics", current)
        .with("totalstatistics", total);
    Reply::dict(&Dict::new().with("statistics", statistics))
}
