//! Which section of a bundle a packet belongs to (RFC 9143 §9.2): by the MID in it, by its SSRC as learnt
//! or declared, by a stream name (RFC 8852) or a payload type that only one section has.
//!
//! Nothing else decides, and nothing is learnt from a packet that is dropped. The table of SSRCs is
//! bounded: a newcomer takes the place of the stream that has been silent longest and for [`IDLE`] at
//! least, or is decided packet by packet.

use std::time::Duration;

use patchcord_contract::{Reason, Time};
use patchcord_wire::rtp::Rtp;

use crate::bundle::{Bundle, MAX_PARTS};
use crate::quality::{Header, Probation};

/// SSRCs learnt at one port.
pub(crate) const LEARNT: usize = 64;
/// How long a stream is silent before another one may take its place.
pub(crate) const IDLE: Duration = Duration::from_secs(5);
/// How long a packet may have been under way: sequence numbers further apart in time say nothing of
/// their order, since 16 bits of them wrap.
const LATE: Duration = Duration::from_secs(5);
/// A payload type of no section, and one of several.
const NONE: u8 = u8::MAX;
const SEVERAL: u8 = u8::MAX - 1;

/// What a port with several sections knows of the packets that arrive there.
#[derive(Debug)]
pub(crate) struct Demux {
    /// The section of each payload type.
    by_type: [u8; 128],
    /// Declared SSRCs and their sections, sorted.
    declared: Box<[(u32, u8)]>,
    ssrcs: [u32; LEARNT],
    streams: [Stream; LEARNT],
    len: usize,
    /// What measuring the streams of each section needs.
    pub(crate) parts: Box<[Measured]>,
}

/// A stream whose section is known.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    part: u8,
    /// The sequence number of the packet that named the section last, and when it came.
    named: Option<(u16, Time)>,
    seen: Time,
}

/// The state of measuring a section's streams.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// The slot of the stream that sent last.
    pub(crate) recent: u8,
    pub(crate) probation: Option<Probation>,
}

impl Demux {
    /// The rules of `bundle`; of what was learnt under the rules `before`, what still applies stays.
    pub(crate) fn new(bundle: &Bundle, before: Option<(&Bundle, Box<Self>)>) -> Box<Self> {
        let parts = &bundle.parts[..bundle.parts.len().min(MAX_PARTS)];
        let mut by_type = [NONE; 128];
        for (number, place) in by_type.iter_mut().enumerate() {
            let mut having = (0..).zip(parts).filter(|(_, p)| p.types.has(number as u8));
            *place = match (having.next(), having.next()) {
                (None, _) => NONE,
                (Some((part, _)), None) => part,
                (Some(_), Some(_)) => SEVERAL,
            };
        }
        let declared = (0..)
            .zip(parts)
            .flat_map(|(part, of)| of.ssrcs.iter().map(move |s| (*s, part)));
        let mut declared: Vec<(u32, u8)> = declared.collect();
        declared.sort_unstable();
        // Who is declared in two sections is in neither.
        declared.dedup();
        let clear = declared.chunk_by(|one, other| one.0 == other.0);
        let declared = clear
            .filter(|same| same.len() == 1)
            .flatten()
            .copied()
            .collect();
        let mut demux = Box::new(Self {
            by_type,
            declared,
            ssrcs: [0; LEARNT],
            streams: [Stream::default(); LEARNT],
            len: 0,
            parts: parts.iter().map(|_| Measured::default()).collect(),
        });
        if let Some((rules, old)) = before {
            demux.inherit(bundle, rules, *old);
        }
        demux
    }

    fn inherit(&mut self, bundle: &Bundle, rules: &Bundle, old: Self) {
        let place = |part: usize| {
            let mid = &rules.parts.get(part)?.mid;
            bundle
                .parts
                .iter()
                .position(|p| p.mid == *mid)
                .filter(|at| *at < self.parts.len())
        };
        let places: Vec<Option<usize>> = (0..old.parts.len()).map(place).collect();
        let place = |part: u8| places.get(usize::from(part)).copied().flatten();
        for (at, stream) in old.streams[..old.len].iter().enumerate() {
            let ssrc = old.ssrcs[at];
            // What is declared now, and was not before, is newer than what was learnt.
            let declared = self.declared(ssrc).map(usize::from);
            let is_news = declared.is_some() && declared != old.declared(ssrc).and_then(place);
            if let Some(part) = place(stream.part).filter(|_| !is_news) {
                self.ssrcs[self.len] = old.ssrcs[at];
                self.streams[self.len] = Stream {
                    part: part as u8,
                    ..*stream
                };
                self.len += 1;
            }
        }
        for (measured, place) in old.parts.into_iter().zip(places.iter().copied()) {
            if let Some(part) = place {
                self.parts[part] = measured;
            }
        }
    }

    /// The section of a packet, or why none can be told.
    #[inline]
    pub(crate) fn section(
        &mut self,
        now: Time,
        bundle: &Bundle,
        header: &Header,
        packet: &[u8],
    ) -> Result<u8, Reason> {
        let known = self.place(header.ssrc);
        let named = bundle.mid.and_then(|id| name(packet, id));
        let part = match (named, known) {
            (Some(name), _) => by_name(bundle, name).ok_or(Reason::UnknownMid)?,
            (None, Some(at)) => self.streams[at].part,
            (None, None) => match self.declared(header.ssrc) {
                Some(part) => part,
                None => self.undeclared(bundle, header, packet)?,
            },
        };
        let types = bundle.parts.get(usize::from(part)).map(|p| p.types);
        if !types.is_some_and(|types| types.has(header.payload_type)) {
            return Err(Reason::WrongPayload);
        }
        let named = named.map(|_| (header.sequence, now));
        match known {
            Some(at) => self.streams[at].tell(now, part, named),
            None => self.learn(now, header.ssrc, part, named),
        }
        Ok(part)
    }

    /// The section of a packet whose SSRC says nothing. What one section calls its stream is not
    /// another's, whatever the payload type.
    #[cold]
    fn undeclared(&self, bundle: &Bundle, header: &Header, packet: &[u8]) -> Result<u8, Reason> {
        let by_type = self.by_type[usize::from(header.payload_type & 0x7f)];
        let mut ids = bundle.rids.iter().flatten();
        if let Some(rid) = ids.find_map(|id| name(packet, *id)) {
            let parts = (0..).zip(bundle.parts.iter().take(MAX_PARTS));
            let mut having = parts.filter(|(_, part)| part.has_rid(rid));
            return match (having.next(), having.next()) {
                (Some((part, _)), None) => Ok(part),
                (first, _) => {
                    let part = bundle.parts.get(usize::from(by_type));
                    // Who names no streams may have sent any.
                    let may = part.is_some_and(|part| match first {
                        Some(_) => part.has_rid(rid),
                        None => part.rids.is_empty(),
                    });
                    if may {
                        Ok(by_type)
                    } else {
                        Err(Reason::NoSection)
                    }
                }
            };
        }
        match by_type {
            NONE | SEVERAL => Err(Reason::NoSection),
            part => Ok(part),
        }
    }

    /// The section that a stream is in, as far as is known.
    pub(crate) fn known(&self, ssrc: u32) -> Option<u8> {
        let learnt = self.place(ssrc).map(|at| self.streams[at].part);
        learnt.or_else(|| self.declared(ssrc))
    }

    /// Takes note of a stream that RTCP says is in that section.
    pub(crate) fn note(&mut self, now: Time, ssrc: u32, part: u8) {
        if self.place(ssrc).is_none() && usize::from(part) < self.parts.len() {
            self.learn(now, ssrc, part, None);
        }
    }

    #[inline]
    fn place(&self, ssrc: u32) -> Option<usize> {
        self.ssrcs[..self.len]
            .iter()
            .position(|known| *known == ssrc)
    }

    fn declared(&self, ssrc: u32) -> Option<u8> {
        let at = self
            .declared
            .binary_search_by_key(&ssrc, |(known, _)| *known);
        at.ok().map(|at| self.declared[at].1)
    }

    #[cold]
    fn learn(&mut self, now: Time, ssrc: u32, part: u8, named: Option<(u16, Time)>) {
        let at = if self.len < LEARNT {
            self.len += 1;
            self.len - 1
        } else {
            let oldest = (0..LEARNT).min_by_key(|at| self.streams[*at].seen);
            match oldest.filter(|at| now.since(self.streams[*at].seen) >= IDLE) {
                Some(at) => at,
                None => return,
            }
        };
        self.ssrcs[at] = ssrc;
        self.streams[at] = Stream {
            part,
            named,
            seen: now,
        };
    }
}

impl Stream {
    /// A packet of the stream was decided to be of `part`. A name counts if no later packet had one.
    #[inline]
    fn tell(&mut self, now: Time, part: u8, named: Option<(u16, Time)>) {
        self.seen = now;
        let Some((sequence, _)) = named else { return };
        let is_late = |(last, at): (u16, Time)| {
            sequence.wrapping_sub(last).cast_signed() < 0 && now.since(at) < LATE
        };
        if !self.named.is_some_and(is_late) {
            self.named = named;
            self.part = part;
        }
    }
}

/// The name of its section that a packet carries.
#[inline]
fn name(packet: &[u8], id: u8) -> Option<&[u8]> {
    if packet.first()? & 0x10 == 0 {
        return None;
    }
    Rtp::parse_protected(packet).ok()?.element(id)
}

/// The section of that name.
pub(crate) fn by_name(bundle: &Bundle, name: &[u8]) -> Option<u8> {
    let parts = bundle.parts.iter().take(MAX_PARTS);
    let at = parts
        .enumerate()
        .find(|(_, part)| part.mid.as_bytes() == name);
    at.map(|(at, _)| at as u8)
}

#[cfg(test)]
mod tests;
