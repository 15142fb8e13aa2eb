//! What a request asks for that has no implementation: said in the reply, never silently ignored.

use patchcord_wire::ng::recording::Switch;
use patchcord_wire::ng::{Flag, OfferAnswer};

use super::draft::Notes;
use super::heard::Heard;

/// Remarks on what would have changed the result of `request`.
pub(super) fn remark(request: &OfferAnswer<'_>, heard: &[Heard<'_, '_>], notes: &mut Notes) {
    if heard.iter().any(Heard::spans_ports) {
        notes.add("m=: of several ports the first is relayed");
    }
    media(request, notes);
    if request.xmlrpc_callback.is_some() {
        notes.add("xmlrpc-callback: not available yet");
    }
}

fn media(request: &OfferAnswer<'_>, notes: &mut Notes) {
    let codecs = &request.codecs;
    if !codecs.ops.is_empty() || codecs.ptime.is_some() || codecs.ptime_reverse.is_some() {
        notes.add("codec: not available yet, codecs and packet times are kept");
    }
    if !request.t38.flags.is_empty() {
        notes.add("T.38: gateway not available yet");
    }
    let recording = &request.recording;
    if recording.record == Some(Switch::On) {
        notes.add("record-call: not available yet");
    }
    if recording.music_on_hold.is_some() {
        notes.add("moh: not available yet");
    }
    if request.learning.echo.is_some() {
        notes.add("media-echo: not available yet");
    }
    if let Some(dtmf) = &request.dtmf
        && (dtmf.security.is_some() || dtmf.trigger.is_some() || dtmf.delay.is_some())
    {
        notes.add("DTMF: not available yet, events are relayed");
    }
    flags(request, notes);
}

fn flags(request: &OfferAnswer<'_>, notes: &mut Notes) {
    const LATER: [(Flag, &str); 8] = [
        (Flag::NatWait, "NAT-wait: not available yet"),
        (Flag::PierceNat, "pierce-NAT: not available yet"),
        (
            Flag::SingleCodec,
            "single-codec: not available yet, codecs are kept",
        ),
        (Flag::InjectDtmf, "inject-DTMF: not available yet"),
        (
            Flag::BlockDtmf,
            "block-DTMF: not available yet, events are relayed",
        ),
        (Flag::BlockMedia, "block-media: not available yet"),
        (Flag::BlockShort, "block-short: not available yet"),
        (Flag::Mix, "mix: not available yet"),
    ];
    for (flag, note) in LATER {
        if request.flags.has(flag) {
            notes.add(note);
        }
    }
}
