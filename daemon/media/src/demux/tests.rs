//! The rules of RFC 9143 §9.2, one by one.

use std::sync::Arc;

use patchcord_wire::extension::Rewrite;
use patchcord_wire::ids::Mid;

use super::*;
use crate::bundle::Part;
use crate::flow::{Clocks, Sinks};
use crate::stats::PortStats;

const NOW: Time = Time::from_secs(100);

fn part(mid: &str, ssrcs: &[u32], types: &[u8]) -> Part {
    Part {
        mid: Mid::new(mid.as_bytes()).expect("a token"),
        ssrcs: ssrcs.iter().copied().collect(),
        rids: Vec::new(),
        types: types.iter().copied().collect(),
        clocks: Clocks::new(),
        rtp: Sinks::new(),
        rtcp: Sinks::new(),
        stats: Arc::new(PortStats::default()),
    }
}

/// Audio has 0 and 96, video 97 and 96; audio declares SSRC 5.
fn bundle() -> Bundle {
    Bundle {
        mid: Some(3),
        rids: [None; 2],
        parts: vec![part("a", &[5], &[0, 96]), part("v", &[], &[97, 96])],
        edits: Vec::new(),
    }
}

struct Rig {
    bundle: Bundle,
    demux: Box<Demux>,
    now: Time,
}

impl Rig {
    fn new() -> Self {
        let bundle = bundle();
        let demux = Demux::new(&bundle, None);
        Self {
            bundle,
            demux,
            now: NOW,
        }
    }

    fn take(
        &mut self,
        ssrc: u32,
        payload_type: u8,
        sequence: u16,
        mid: Option<&str>,
    ) -> Result<u8, Reason> {
        self.take_with(ssrc, payload_type, sequence, mid.map(|mid| (3, mid)))
    }

    /// A packet with one header extension, or none.
    fn take_with(
        &mut self,
        ssrc: u32,
        payload_type: u8,
        sequence: u16,
        put: Option<(u8, &str)>,
    ) -> Result<u8, Reason> {
        let mut packet = vec![0x80, payload_type, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        let len = packet.len();
        packet.resize(len + 32, 0);
        let put = put.map(|(id, text)| (id, text.as_bytes()));
        let rewrite = Rewrite {
            put,
            ..Rewrite::default()
        };
        let len = rewrite.apply(&mut packet, len).expect("there is room");
        let header = Header::from(Rtp::parse(&packet[..len]).expect("well-formed"));
        self.demux
            .section(self.now, &self.bundle, &header, &packet[..len])
    }
}

#[test]
fn a_name_decides_and_teaches() {
    let mut rig = Rig::new();
    assert_eq!(rig.take(1, 96, 1, None), Err(Reason::NoSection));
    assert_eq!(rig.take(1, 96, 2, Some("v")), Ok(1));
    assert_eq!(rig.take(1, 96, 3, None), Ok(1));
    assert_eq!(rig.take(1, 96, 4, Some("a")), Ok(0), "a stream may move");
    assert_eq!(rig.take(1, 96, 5, None), Ok(0));
}

#[test]
fn an_earlier_packet_that_comes_late_moves_no_stream() {
    let mut rig = Rig::new();
    assert_eq!(rig.take(1, 96, 65_535, Some("a")), Ok(0));
    assert_eq!(rig.take(1, 96, 2, Some("v")), Ok(1), "over the wrap");
    assert_eq!(
        rig.take(1, 96, 0, Some("a")),
        Ok(0),
        "it says itself where it belongs"
    );
    assert_eq!(rig.take(1, 96, 3, None), Ok(1));
}

#[test]
fn a_name_after_half_the_sequence_numbers_is_no_late_one() {
    let mut rig = Rig::new();
    assert_eq!(rig.take(1, 96, 1, Some("a")), Ok(0));
    rig.now = NOW + Duration::from_mins(10);
    assert_eq!(rig.take(1, 96, 33_000, None), Ok(0));
    assert_eq!(rig.take(1, 96, 40_000, Some("v")), Ok(1));
    assert_eq!(rig.take(1, 96, 40_001, None), Ok(1), "the stream has moved");
}

#[test]
fn the_name_of_a_stream_decides_where_only_one_section_has_it() {
    let mut rig = Rig::new();
    rig.bundle.rids = [Some(10), Some(11)];
    rig.bundle.parts[0].rids = vec![b"h"[..].into(), b"l"[..].into()];
    rig.bundle.parts[1].rids = vec![b"s"[..].into(), b"l"[..].into()];
    rig.demux = Demux::new(&rig.bundle, None);
    assert_eq!(rig.take_with(1, 96, 1, Some((10, "h"))), Ok(0));
    assert_eq!(
        rig.take(1, 96, 2, None),
        Ok(0),
        "its source is known from here on"
    );
    assert_eq!(
        rig.take_with(2, 96, 1, Some((11, "s"))),
        Ok(1),
        "what repairs it"
    );
    let nobody = Err(Reason::NoSection);
    assert_eq!(
        rig.take_with(3, 96, 1, Some((10, "l"))),
        nobody,
        "two have it"
    );
    assert_eq!(
        rig.take_with(3, 97, 1, Some((10, "l"))),
        Ok(1),
        "one of them has 97"
    );
    assert_eq!(
        rig.take_with(4, 97, 1, Some((10, "h"))),
        Err(Reason::WrongPayload)
    );
    assert_eq!(
        rig.take_with(4, 97, 1, Some((10, "x"))),
        nobody,
        "nobody has it"
    );
    assert_eq!(rig.take(4, 97, 1, None), Ok(1), "and nothing was learnt");
}

#[test]
fn a_name_of_no_section_is_dropped_and_teaches_nothing() {
    let mut rig = Rig::new();
    assert_eq!(rig.take(1, 97, 1, Some("x")), Err(Reason::UnknownMid));
    assert_eq!(rig.take(1, 96, 2, None), Err(Reason::NoSection));
}

#[test]
fn a_declared_source_is_of_its_section_until_a_name_says_otherwise() {
    let mut rig = Rig::new();
    assert_eq!(rig.take(5, 96, 1, None), Ok(0));
    assert_eq!(rig.take(5, 97, 2, None), Err(Reason::WrongPayload));
    assert_eq!(rig.take(5, 96, 3, Some("v")), Ok(1));
    assert_eq!(rig.take(5, 96, 4, None), Ok(1));
}

#[test]
fn a_source_declared_twice_is_declared_by_nobody() {
    let mut bundle = bundle();
    bundle.parts[1].ssrcs.push(5);
    let demux = Demux::new(&bundle, None);
    assert_eq!(demux.known(5), None);
}

#[test]
fn a_payload_type_of_one_section_decides_and_teaches() {
    let mut rig = Rig::new();
    assert_eq!(rig.take(1, 97, 1, None), Ok(1));
    assert_eq!(rig.take(1, 96, 2, None), Ok(1));
    assert_eq!(rig.take(1, 0, 3, None), Err(Reason::WrongPayload));
    assert_eq!(rig.take(2, 33, 1, None), Err(Reason::NoSection));
}

#[test]
fn a_payload_type_that_the_named_section_has_not_is_dropped_and_teaches_nothing() {
    let mut rig = Rig::new();
    assert_eq!(rig.take(1, 0, 1, Some("v")), Err(Reason::WrongPayload));
    assert_eq!(rig.take(1, 96, 2, None), Err(Reason::NoSection));
}

#[test]
fn other_rules_keep_what_still_applies() {
    let mut rig = Rig::new();
    assert_eq!(rig.take(1, 96, 1, Some("v")), Ok(1));
    assert_eq!(rig.take(2, 96, 1, Some("a")), Ok(0));
    let mut next = bundle();
    next.parts[0] = part("w", &[], &[96]);
    next.parts.reverse();
    let Rig { bundle, demux, now } = rig;
    let demux = Demux::new(&next, Some((&bundle, demux)));
    let mut rig = Rig {
        bundle: next,
        demux,
        now,
    };
    assert_eq!(rig.take(1, 96, 2, None), Ok(0), "it moved with its section");
    assert_eq!(
        rig.take(2, 96, 2, None),
        Err(Reason::NoSection),
        "its section is gone"
    );
}

#[test]
fn a_source_declared_anew_is_where_it_was_declared() {
    let mut rig = Rig::new();
    assert_eq!(rig.take(1, 96, 1, Some("v")), Ok(1));
    assert_eq!(rig.take(5, 96, 1, Some("v")), Ok(1));
    let mut next = bundle();
    next.parts[0] = part("a", &[1, 5], &[0, 96]);
    let demux = Demux::new(&next, Some((&rig.bundle, rig.demux)));
    let mut rig = Rig {
        bundle: next,
        demux,
        now: rig.now,
    };
    assert_eq!(rig.take(1, 96, 2, None), Ok(0));
    assert_eq!(
        rig.take(5, 96, 2, None),
        Ok(1),
        "a name has said otherwise since it was declared"
    );
}

#[test]
fn a_flood_of_sources_displaces_none_that_is_in_use() {
    let mut rig = Rig::new();
    let flood = 1_000..1_000 + 2 * LEARNT as u32;
    assert_eq!(rig.take(1, 96, 1, Some("v")), Ok(1));
    for ssrc in flood {
        assert_eq!(
            rig.take(ssrc, 96, 1, Some("a")),
            Ok(0),
            "its own name decides"
        );
    }
    assert_eq!(rig.take(1, 96, 2, None), Ok(1));
    assert_eq!(rig.demux.len, LEARNT);
    assert_eq!(rig.take(9, 96, 2, None), Err(Reason::NoSection));
    rig.now = NOW + IDLE;
    assert_eq!(rig.take(1, 96, 3, None), Ok(1));
    assert_eq!(rig.take(9, 96, 3, Some("a")), Ok(0));
    assert_eq!(
        rig.take(9, 96, 4, None),
        Ok(0),
        "it took a silent one's place"
    );
    assert_eq!(rig.take(1, 96, 4, None), Ok(1));
}
