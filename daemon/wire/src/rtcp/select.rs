//! The part of a compound that is about some of its sources: what a bundle of sections on one transport
//! becomes for each of them (RFC 9143 §9.2, RFC 3550 §6.1).
//!
//! Reports keep the blocks that are about the selection; a sender report of a sender outside it becomes a
//! receiver report. Descriptions and goodbyes keep their sources, feedback its targets. A selection
//! of a compound that begins with a report begins with one too.

use super::compound::word;
use super::{Compound, Feedback, Packet, PacketType, Sdes, item};
use crate::ids::Ssrc;

/// Bytes of a report block.
const BLOCK: usize = 24;
/// Feedback whose entries each name a source: TMMBR and TMMBN (RFC 5104 §4.2); FIR (§4.3.1) has the
/// number of TMMBN.
const MAX_BITRATE: u8 = 3;
const MAX_BITRATE_GRANTED: u8 = 4;
/// Feedback of applications, REMB among it.
const APPLICATION: u8 = 15;

/// A source as a packet names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It sends what the sender of the compound sends.
    Sender(Ssrc),
    /// The compound is about it: it sends the other way.
    Media(Ssrc),
}

/// Writes to `out` what of `compound` is about the sources that `about` names; returns the length, 0 if
/// nothing is. `out` has to be eight bytes longer than the datagram, or what does not fit is left out.
pub fn select(compound: &Compound<'_>, about: impl Fn(Source) -> bool, out: &mut [u8]) -> usize {
    let mut selection = Selection {
        about,
        out,
        len: 0,
        is_full: false,
        needs_report: compound.begins_with_report(),
        reporter: None,
    };
    for packet in compound.packets() {
        if let Some(sender) = packet.sender() {
            selection.take(&packet, sender);
        }
    }
    selection.len
}

struct Selection<'o, F> {
    about: F,
    out: &'o mut [u8],
    len: usize,
    /// Whether something did not fit since the packet was begun.
    is_full: bool,
    /// Whether what is written has to begin with a report.
    needs_report: bool,
    /// Whose report was written last.
    reporter: Option<Ssrc>,
}

/// Where a packet that is being written begins.
#[derive(Clone, Copy)]
struct Begun(usize);

impl<F: Fn(Source) -> bool> Selection<'_, F> {
    fn take(&mut self, packet: &Packet<'_>, sender: Ssrc) {
        match packet.kind() {
            PacketType::SenderReport => self.report(packet, sender, 24),
            PacketType::ReceiverReport => self.report(packet, sender, 4),
            PacketType::Sdes => self.descriptions(packet, sender),
            PacketType::Bye => self.goodbye(packet, sender),
            PacketType::TransportFeedback | PacketType::PayloadFeedback => self.feedback(packet),
            PacketType::ExtendedReport => self.extended(packet, sender),
            PacketType::App | PacketType::Other(_) => {
                if self.is_sender(sender) {
                    self.whole(packet, sender);
                }
            }
        }
    }

    fn report(&mut self, packet: &Packet<'_>, sender: Ssrc, head: usize) {
        let is_sender = self.is_sender(sender);
        let body = packet.body();
        let Some(blocks) = body.get(head..head + BLOCK * usize::from(packet.count())) else {
            return;
        };
        let blocks = blocks.chunks_exact(BLOCK);
        if !is_sender && !blocks.clone().any(|block| self.is_media(block, 0)) {
            return;
        }
        let begun = self.begin();
        let (kind, head) = if is_sender {
            (packet.bytes()[1], head)
        } else {
            (201, 4)
        };
        self.push(&body[..head]);
        let count = self.push_if(blocks, |own, block| own.is_media(block, 0));
        if self.end(begun, count, kind) {
            self.reporter = Some(sender);
        }
    }

    fn descriptions(&mut self, packet: &Packet<'_>, first: Ssrc) {
        let Some(sdes) = Sdes::of(packet) else { return };
        let reporter = self.reporter;
        let is_ours = |own: &Self, ssrc| reporter == Some(ssrc) || own.is_sender(ssrc);
        if !sdes.chunks().any(|chunk| is_ours(self, chunk.ssrc)) {
            return;
        }
        self.report_first(first);
        let begun = self.begin();
        let mut count = 0;
        for chunk in sdes.chunks() {
            if !is_ours(self, chunk.ssrc) {
                continue;
            }
            count += 1;
            self.push(&chunk.ssrc.0.to_be_bytes());
            // The name of a section is each side's own.
            for item in chunk.items().filter(|item| item.kind != item::MID) {
                self.push(&[item.kind, item.text.len() as u8]);
                self.push(item.text);
            }
            let written = self.len - begun.0;
            self.push(&[0; 4][written % 4..]);
        }
        self.end(begun, count, 202);
    }

    fn goodbye(&mut self, packet: &Packet<'_>, first: Ssrc) {
        let listed = 4 * usize::from(packet.count());
        let Some((sources, reason)) = packet.body().split_at_checked(listed) else {
            return;
        };
        let leaves = |own: &Self, source: &[u8]| {
            word(source, 0).is_some_and(|ssrc| own.is_sender(Ssrc(ssrc)))
        };
        if sources.chunks_exact(4).any(|source| leaves(self, source)) {
            self.report_first(first);
            let begun = self.begin();
            let count = self.push_if(sources.chunks_exact(4), leaves);
            self.push(reason);
            self.end(begun, count, 203);
        }
    }

    fn feedback(&mut self, packet: &Packet<'_>) {
        let Some(feedback) = Feedback::of(packet) else {
            return;
        };
        let is_transport = packet.kind() == PacketType::TransportFeedback;
        let is_request = feedback.format == MAX_BITRATE && is_transport;
        if is_request || feedback.format == MAX_BITRATE_GRANTED {
            return self.entries(packet, &feedback);
        }
        let is_ours = if feedback.media.0 != 0 {
            (self.about)(Source::Media(feedback.media))
        } else if feedback.format == APPLICATION && feedback.data.starts_with(b"REMB") {
            let count = feedback.data.get(4).map_or(0, |count| usize::from(*count));
            let listed = feedback.data.get(8..).unwrap_or_default();
            let mut listed = listed.chunks_exact(4).take(count);
            listed.any(|ssrc| self.is_media(ssrc, 0))
        } else {
            self.is_sender(feedback.sender)
        };
        if is_ours {
            self.whole(packet, feedback.sender);
        }
    }

    /// Feedback with an entry for each source that it is about.
    fn entries(&mut self, packet: &Packet<'_>, feedback: &Feedback<'_>) {
        let entries = feedback.data.chunks_exact(8);
        if entries.clone().any(|entry| self.is_media(entry, 0)) {
            self.report_first(feedback.sender);
            let begun = self.begin();
            self.push(&packet.body()[..8]);
            self.push_if(entries, |own, entry| own.is_media(entry, 0));
            self.end(begun, feedback.format, packet.bytes()[1]);
        }
    }

    /// Keeps the blocks about the selection; those about the sender itself go with it.
    fn extended(&mut self, packet: &Packet<'_>, sender: Ssrc) {
        let is_sender = self.reporter == Some(sender) || self.is_sender(sender);
        let blocks = || {
            let mut rest = &packet.body()[4..];
            std::iter::from_fn(move || {
                let &[_, _, high, low, ..] = rest else {
                    return None;
                };
                let len = 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
                let (block, after) = rest.split_at_checked(len)?;
                rest = after;
                Some(block)
            })
        };
        let is_about = |own: &Self, block: &[u8]| match block[0] {
            // Loss, duplicates, receipt times, statistics, VoIP metrics: each about one source.
            1..=3 | 6 | 7 => own.is_media(block, 4),
            // DLRR: an answer for each source.
            5 => {
                let mut answers = block[4..].chunks_exact(12);
                answers.any(|answer| own.is_media(answer, 0))
            }
            _ => is_sender,
        };
        if blocks().any(|block| is_about(self, block)) {
            self.report_first(sender);
            let begun = self.begin();
            self.push(&sender.0.to_be_bytes());
            self.push_if(blocks(), is_about);
            self.end(begun, packet.count(), 207);
        }
    }

    fn is_sender(&self, ssrc: Ssrc) -> bool {
        (self.about)(Source::Sender(ssrc))
    }

    fn is_media(&self, bytes: &[u8], at: usize) -> bool {
        word(bytes, at).is_some_and(|ssrc| (self.about)(Source::Media(Ssrc(ssrc))))
    }

    fn whole(&mut self, packet: &Packet<'_>, sender: Ssrc) {
        self.report_first(sender);
        let begun = self.len;
        self.push(packet.bytes());
        if std::mem::take(&mut self.is_full) {
            self.len = begun;
        }
    }

    /// Makes sure that what has to begin with a report does.
    fn report_first(&mut self, sender: Ssrc) {
        if self.len == 0 && self.needs_report {
            let begun = self.begin();
            self.push(&sender.0.to_be_bytes());
            self.end(begun, 0, 201);
        }
    }

    fn begin(&mut self) -> Begun {
        let begun = Begun(self.len);
        self.push(&[0; 4]);
        begun
    }

    fn push(&mut self, bytes: &[u8]) {
        match self.out.get_mut(self.len..self.len + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.is_full = true,
        }
    }

    fn push_if<'p>(
        &mut self,
        parts: impl Iterator<Item = &'p [u8]>,
        is_kept: impl Fn(&Self, &'p [u8]) -> bool,
    ) -> u8 {
        let mut count = 0_u8;
        for part in parts {
            if is_kept(self, part) {
                self.push(part);
                count = count.wrapping_add(1);
            }
        }
        count
    }

    /// Ends a packet; what did not fit, or is not of whole words, is taken back.
    fn end(&mut self, Begun(start): Begun, count: u8, kind: u8) -> bool {
        let body = (self.len - start).saturating_sub(4);
        if std::mem::take(&mut self.is_full) || !body.is_multiple_of(4) {
            self.len = start;
            return false;
        }
        let [high, low] = ((body / 4) as u16).to_be_bytes();
        self.out[start..start + 4].copy_from_slice(&[0x80 | count & 31, kind, high, low]);
        true
    }
}
