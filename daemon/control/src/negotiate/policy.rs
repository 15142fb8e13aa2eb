//! What a request decides beside its SDP: how endpoints are learnt, TOS, labels, delays.

use std::time::Duration;

use patchcord_media::flow::{Learning, Stranger};
use patchcord_wire::ids::Label;
use patchcord_wire::ng::address::Tos;
use patchcord_wire::ng::learning::{EndpointLearning, SourceCheck};
use patchcord_wire::ng::offer_answer::DropTraffic;
use patchcord_wire::ng::recording::Switch;
use patchcord_wire::ng::{Flag, OfferAnswer};

use crate::call::{Call, LegId, Rtcp, Traffic};
use crate::random::Random;

/// Most bytes of metadata that are kept.
const MAX_METADATA: usize = 4096;

/// Applies what the message of `sender` decides for both legs and the call. What it does not
/// mention stays as it was.
pub(super) fn apply(
    call: &mut Call,
    request: &OfferAnswer<'_>,
    sender: LegId,
    receiver: LegId,
    random: &mut Random,
) {
    match request.tos {
        Tos::Configured | Tos::Keep => {}
        Tos::Set(tos) => call.tos = Some(tos),
    }
    match (request.generate_rtcp, call.rtcp) {
        (Some(Switch::On), Rtcp::Relayed) => call.rtcp = Rtcp::Ours(random.cname()),
        (Some(Switch::Off), _) => call.rtcp = Rtcp::Relayed,
        (Some(Switch::On), Rtcp::Ours(_)) | (None, _) => {}
    }
    match request.drop_traffic {
        Some(DropTraffic::Start) => call.traffic = Traffic::Dropped,
        Some(DropTraffic::Stop) => call.traffic = Traffic::Flows,
        None => {}
    }
    if let Some(seconds) = request.delete_delay {
        call.delete_delay = Some(Duration::from_secs(u64::from(seconds)));
    }
    if let Some(metadata) = &request.metadata {
        call.metadata = Some(metadata[..metadata.len().min(MAX_METADATA)].into());
    }
    label(
        call,
        sender,
        request.set_label.as_ref().or(request.label.as_ref()),
    );
    label(call, receiver, request.to_label.as_ref());
    learning(call, request, sender, receiver);
}

fn label(call: &mut Call, leg: LegId, text: Option<&std::borrow::Cow<'_, [u8]>>) {
    if let Some(label) = text.and_then(|text| Label::new(text).ok()) {
        call.leg_mut(leg).label = Some(label);
    }
}

/// `asymmetric` is about whoever sent the message; all else about both sides.
fn learning(call: &mut Call, request: &OfferAnswer<'_>, sender: LegId, receiver: LegId) {
    let stranger = match request.learning.source_check {
        SourceCheck::Lenient => None,
        SourceCheck::Strict => Some(Stranger::Drop),
        SourceCheck::Handover => Some(Stranger::Follow),
    };
    for id in [sender, receiver] {
        let leg = call.leg_mut(id);
        leg.stranger = stranger.unwrap_or(leg.stranger);
        leg.learning = request.learning.mode.map_or(leg.learning, mode);
    }
    if request.flags.has(Flag::Asymmetric) {
        call.leg_mut(sender).learning = Learning::Off;
    }
}

const fn mode(mode: EndpointLearning) -> Learning {
    match mode {
        EndpointLearning::Off => Learning::Off,
        EndpointLearning::Immediate => Learning::Immediate,
        EndpointLearning::Delayed => Learning::Delayed,
        EndpointLearning::Heuristic => Learning::Heuristic,
    }
}
