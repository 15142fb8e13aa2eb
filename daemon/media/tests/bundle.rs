//! Bundles through a whole plane: sections told apart and put together, and nothing in a wrong one.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use patchcord_contract::{Endpoint, Reason, Time};
use patchcord_media::bundle::{Bundle, Edit, EditId, Part};
use patchcord_media::flow::{
    Accepts, Admission, Clocks, Command, Event, Feedback, Handshakes, Learning, PortId, Reporting,
    Security, Sink, Sinks, Spec, Stranger,
};
use patchcord_media::srtp::{Keys, Opening, Protocol, Receiver, Sealing, Sender, Suite, Tier};
use patchcord_media::srtp::{open, seal};
use patchcord_media::stats::PortStats;
use patchcord_media::{Outbox, Packet, Plane, Rx};
use patchcord_wire::extension::Rewrite;
use patchcord_wire::ids::Mid;
use patchcord_wire::rtp::Rtp;

/// The id of the MID towards the bundle's peer.
const ID: u8 = 3;
/// Bytes of a receive buffer.
const BUFFER: usize = 2112;
const NAMES: [&str; 3] = ["a", "v", "w"];

fn port(slot: u32) -> PortId {
    PortId::new(0, slot).expect("a small slot")
}

fn peer(slot: u32) -> Endpoint {
    let host = IpAddr::V4(Ipv4Addr::new(192, 0, 2, slot as u8 + 1));
    Endpoint::new(host, 4_000)
}

fn sink(slot: u32, edit: Option<usize>) -> Sinks {
    Sinks::from_slice(&[Sink {
        via: port(slot),
        feedback: Feedback::Keep,
        edit: edit.and_then(EditId::new),
    }])
}

fn spec(slot: u32, sinks: Sinks, security: [Security; 2], bundle: Bundle) -> Spec {
    let [receive, send] = security;
    Spec {
        port: port(slot),
        accepts: Accepts::Muxed,
        admission: Admission {
            advertised: peer(slot),
            learning: Learning::Heuristic,
            stranger: Stranger::Forward,
            epoch: 1,
        },
        handshakes: Handshakes::default(),
        receive,
        send,
        clocks: Clocks::new(),
        rtp: sinks.clone(),
        rtcp: sinks,
        reporting: Reporting::Relayed,
        bundle: Some(Box::new(bundle)),
        doors: None,
        tos: 0,
        blocked: false,
        interface: 0,
        stats: Arc::new(PortStats::default()),
    }
}

/// Slot 0 carries three sections; 1 to 3 carry one each. Payload type 96 is in all of them, 10 to 12 in
/// one each.
fn specs(security: [Security; 2]) -> Vec<Spec> {
    let mid = |at: usize| Mid::new(NAMES[at].as_bytes()).expect("a token");
    let parts = (0..3).map(|at| Part {
        mid: mid(at),
        ssrcs: [700 + at as u32].into_iter().collect(),
        rids: Vec::new(),
        types: [96, 10 + at as u8].into_iter().collect(),
        clocks: Clocks::new(),
        rtp: sink(at as u32 + 1, Some(0)),
        rtcp: sink(at as u32 + 1, None),
        stats: Arc::new(PortStats::default()),
    });
    let cut = Edit {
        cut: [ID].into_iter().collect(),
        ..Edit::default()
    };
    let bundle = Bundle {
        mid: Some(ID),
        rids: [None; 2],
        parts: parts.collect(),
        edits: vec![cut],
    };
    let mut specs = vec![spec(0, Sinks::new(), security, bundle)];
    specs.extend((0..3).map(|at| {
        let edit = Edit {
            name: Some((ID, mid(at))),
            part: Some(at as u8),
            ..Edit::default()
        };
        let edits = vec![edit];
        let bundle = Bundle {
            edits,
            ..Bundle::default()
        };
        let plain = [Security::Plain, Security::Plain];
        let mut spec = spec(at as u32 + 1, sink(0, Some(0)), plain, bundle);
        spec.rtcp = sink(0, None);
        spec
    }));
    specs
}

#[derive(Debug, Default)]
struct Sent {
    forwards: Vec<(usize, usize, PortId)>,
    copies: Vec<(Vec<u8>, PortId)>,
}

impl Outbox for Sent {
    fn forward(&mut self, index: usize, len: usize, via: PortId, _: Endpoint) {
        self.forwards.push((index, len, via));
    }

    fn copy(&mut self, bytes: &[u8], via: PortId, _: Endpoint) {
        self.copies.push((bytes.to_vec(), via));
    }

    fn event(&mut self, _: Event) {}
}

struct Rig {
    plane: Plane,
    specs: Vec<Spec>,
    now: Time,
}

impl Rig {
    fn new(security: [Security; 2]) -> Self {
        let mut rig = Self {
            plane: Plane::new(0, 1),
            specs: specs(security),
            now: Time::from_secs(100),
        };
        for spec in rig.specs.clone() {
            rig.set(spec);
        }
        rig
    }

    fn set(&mut self, spec: Spec) {
        self.plane.command(self.now, Command::Set(Arc::new(spec)));
    }

    /// A batch, each packet from the peer of its slot; what left and from which slot, in order.
    fn batch(&mut self, packets: &[(u32, Vec<u8>)]) -> Vec<(Vec<u8>, usize)> {
        let mut buffers: Vec<Vec<u8>> = packets
            .iter()
            .map(|(_, bytes)| {
                let mut buffer = bytes.clone();
                buffer.resize(BUFFER, 0);
                buffer
            })
            .collect();
        let mut batch: Vec<Rx<'_>> = buffers
            .iter_mut()
            .zip(packets)
            .map(|(buffer, (slot, bytes))| Rx {
                port: port(*slot),
                source: Some(peer(*slot)),
                packet: Packet::new(buffer, bytes.len()),
                truncated: false,
            })
            .collect();
        let mut out = Sent::default();
        self.plane.process(self.now, &mut batch, &mut out);
        let own = out.forwards.iter();
        let mut left: Vec<_> = own
            .map(|(index, len, via)| (buffers[*index][..*len].to_vec(), via.slot()))
            .collect();
        left.extend(
            out.copies
                .iter()
                .map(|(bytes, via)| (bytes.clone(), via.slot())),
        );
        left
    }

    fn send(&mut self, slot: u32, bytes: Vec<u8>) -> Vec<(Vec<u8>, usize)> {
        self.batch(&[(slot, bytes)])
    }

    fn drops(&self, slot: usize, reason: Reason) -> u64 {
        self.specs[slot].stats.drops(reason)
    }

    fn part(&self, at: usize) -> &Part {
        let bundle = self.specs[0].bundle.as_deref();
        &bundle.expect("slot 0 is the bundle").parts[at]
    }
}

fn plain() -> [Security; 2] {
    [Security::Plain, Security::Plain]
}

fn keys(seed: u8) -> Arc<Keys> {
    let inline = [seed; 30];
    Arc::new(Keys::from_inline(Suite::AesCm128Sha1_80, &inline).expect("30 bytes"))
}

/// An RTP packet with a MID or without, and one byte of payload that says where it belongs.
fn rtp(ssrc: u32, payload_type: u8, sequence: u16, mid: Option<&str>, truth: u8) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, truth];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
    let len = packet.len();
    packet.resize(len + 32, 0);
    let rewrite = Rewrite {
        put: mid.map(|mid| (ID, mid.as_bytes())),
        ..Rewrite::default()
    };
    let len = rewrite.apply(&mut packet, len).expect("there is room");
    packet.truncate(len);
    packet
}

#[test]
fn a_named_packet_leaves_where_its_section_is_and_without_the_name() {
    let mut rig = Rig::new(plain());
    for (at, name) in NAMES.iter().enumerate() {
        let left = rig.send(0, rtp(1, 96, at as u16, Some(name), 7));
        assert_eq!(left, [(rtp(1, 96, at as u16, None, 7), at + 1)]);
        assert_eq!(rig.part(at).stats.rtp_in.packets.get(), 1);
    }
    assert_eq!(rig.specs[0].stats.forwarded.get(), 3);
}

#[test]
fn a_packet_into_the_bundle_gets_the_name_of_its_section() {
    let mut rig = Rig::new(plain());
    for (at, name) in NAMES.iter().enumerate() {
        let left = rig.send(at as u32 + 1, rtp(9, 96, 1, None, 7));
        assert_eq!(left, [(rtp(9, 96, 1, Some(name), 7), 0)]);
        assert_eq!(rig.part(at).stats.rtp_out.packets.get(), 1);
    }
    assert_eq!(
        rig.specs[0].stats.rtp_out.packets.get(),
        0,
        "each is its section's"
    );
}

#[test]
fn a_name_that_cannot_be_changed_does_not_leave() {
    let mut rig = Rig::new(plain());
    let bare = rtp(9, 96, 1, None, 7);
    // The name of another section, and more elements than are ever written anew.
    let words: u16 = 300;
    let mut packet = bare[..12].to_vec();
    packet[0] |= 0x10;
    packet.extend([0xbe, 0xde]);
    packet.extend(words.to_be_bytes());
    packet.extend([ID << 4, b'w', 0, 0]);
    packet.extend((1..words).flat_map(|_| [0x92, 1, 2, 3]));
    packet.extend(&bare[12..]);
    assert_eq!(rig.send(2, packet), [(bare, 0)]);
}

#[test]
fn what_cannot_be_told_is_dropped_with_its_reason() {
    let mut rig = Rig::new(plain());
    for (packet, reason) in [
        (rtp(1, 96, 1, None, 0), Reason::NoSection),
        (rtp(1, 96, 2, Some("x"), 0), Reason::UnknownMid),
        (rtp(1, 11, 3, Some("a"), 0), Reason::WrongPayload),
        (b"\x10\0\0\0ZRTP\0\0\0\0".to_vec(), Reason::NoSection),
    ] {
        let before = rig.drops(0, reason);
        assert_eq!(rig.send(0, packet), []);
        assert_eq!(rig.drops(0, reason), before + 1, "{reason}");
    }
}

#[test]
fn blocked_media_is_counted_in_its_section_and_goes_nowhere() {
    let mut rig = Rig::new(plain());
    let mut blocked = rig.specs[0].clone();
    blocked.blocked = true;
    rig.set(blocked);
    assert_eq!(rig.send(0, rtp(1, 12, 1, None, 2)), []);
    assert_eq!(rig.drops(0, Reason::Blocked), 1);
    assert_eq!(rig.part(2).stats.rtp_in.packets.get(), 1);
}

// ---- SRTP ---------------------------------------------------------------------------------------

fn sealed(now: Time, sender: &mut Sender, protocol: Protocol, plain: &[u8]) -> Vec<u8> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + 64, 0);
    let mut packet = Packet::new(&mut buffer, plain.len());
    let job = Sealing::new(now, sender, port(0), protocol, &mut packet);
    seal(Tier::PORTABLE, sender, &mut [job.expect("a fresh index")]);
    packet.bytes().to_vec()
}

#[test]
fn a_forged_name_teaches_nothing() {
    let (theirs, ours) = (keys(1), keys(2));
    let mut rig = Rig::new([Security::Srtp(Arc::clone(&theirs)), Security::Srtp(ours)]);
    let mut sender = Sender::new(Tier::PORTABLE, theirs);
    let mut forged = sealed(
        rig.now,
        &mut sender,
        Protocol::Rtp,
        &rtp(1, 96, 9, Some("v"), 1),
    );
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(rig.send(0, forged), []);
    assert_eq!(rig.drops(0, Reason::SrtpAuth), 1);
    let unnamed = sealed(
        rig.now,
        &mut sender,
        Protocol::Rtp,
        &rtp(1, 96, 10, None, 1),
    );
    assert_eq!(rig.send(0, unnamed), []);
    assert_eq!(rig.drops(0, Reason::NoSection), 1);
    let named = sealed(
        rig.now,
        &mut sender,
        Protocol::Rtp,
        &rtp(1, 96, 11, Some("a"), 0),
    );
    assert_eq!(rig.send(0, named), [(rtp(1, 96, 11, None, 0), 1)]);
}

#[test]
fn sections_leave_under_one_context() {
    let (theirs, ours) = (keys(1), keys(2));
    let mut rig = Rig::new([Security::Srtp(theirs), Security::Srtp(Arc::clone(&ours))]);
    let packets: Vec<_> = (1..4)
        .map(|slot| (slot, rtp(slot, 96, 1, None, 0)))
        .collect();
    let left = rig.batch(&packets);
    let mut receiver = Receiver::new(Tier::PORTABLE, ours);
    for (at, (mut bytes, slot)) in left.into_iter().enumerate() {
        let len = bytes.len();
        let mut packet = Packet::new(&mut bytes, len);
        let mut jobs = [Opening::new(port(0), Protocol::Rtp, &mut packet)];
        open(rig.now, Tier::PORTABLE, &mut receiver, &mut jobs);
        assert_eq!((jobs[0].outcome(), slot), (Ok(()), 0));
        assert_eq!(
            packet.bytes(),
            rtp(at as u32 + 1, 96, 1, Some(NAMES[at]), 0)
        );
    }
}

#[test]
fn an_edit_never_leaves_under_an_index_that_other_bytes_have() {
    let key = keys(1);
    let both = [
        Security::Srtp(Arc::clone(&key)),
        Security::Srtp(Arc::clone(&key)),
    ];
    let mut rig = Rig::new(both.clone());
    let mut same = rig.specs[1].clone();
    [same.receive, same.send] = both;
    rig.set(same);
    let mut sender = Sender::new(Tier::PORTABLE, key);
    let named = sealed(
        rig.now,
        &mut sender,
        Protocol::Rtp,
        &rtp(1, 96, 1, Some("a"), 0),
    );
    assert_eq!(rig.send(0, named), []);
    assert_eq!(rig.drops(0, Reason::SrtpReuse), 1);
}

// ---- RTCP ---------------------------------------------------------------------------------------

fn rtcp(count: u8, kind: u8, body: &[u32]) -> Vec<u8> {
    let mut packet = vec![0x80 | count, kind, 0, body.len() as u8];
    packet.extend(body.iter().flat_map(|word| word.to_be_bytes()));
    packet
}

/// A rig where SSRC 1 is in the first section and 2 in the second, and 51 to 53 come from the far sides.
fn talking() -> Rig {
    let mut rig = Rig::new(plain());
    rig.send(0, rtp(1, 10, 1, None, 0));
    rig.send(0, rtp(2, 11, 1, None, 1));
    for slot in 1..4 {
        rig.send(slot, rtp(50 + slot, 96, 1, None, 0));
    }
    rig
}

#[test]
fn a_compound_goes_apart_by_who_sends_and_who_is_meant() {
    let mut rig = talking();
    let info = [1, 2, 3, 4, 5];
    let block = |ssrc: u32| [ssrc, 0, 0, 0, 0, 0];
    let report = rtcp(2, 200, &[&[1][..], &info, &block(51), &block(52)].concat());
    let request = rtcp(1, 206, &[1, 53]);
    let mut left = rig.send(0, [report, request.clone()].concat());
    left.sort_by_key(|(_, slot)| *slot);
    let expected = [
        (rtcp(1, 200, &[&[1][..], &info, &block(51)].concat()), 1),
        (rtcp(1, 201, &[&[1][..], &block(52)].concat()), 2),
        ([rtcp(0, 201, &[1]), request].concat(), 3),
    ];
    assert_eq!(left, expected);
    assert_eq!(rig.specs[0].stats.forwarded.get(), 3);
    assert_eq!(
        rig.specs[1].stats.ssrcs[0].reports.get(),
        1,
        "read at the far side"
    );
}

#[test]
fn a_compound_about_nobody_is_dropped_with_its_reason() {
    let mut rig = talking();
    assert_eq!(rig.send(0, rtcp(0, 201, &[99])), []);
    assert_eq!(rig.drops(0, Reason::NoSection), 1);
}

#[test]
fn a_compound_about_hundreds_is_not_looked_through() {
    let mut rig = talking();
    // A full intra request, whose entries each name a source.
    let about = |ssrcs: &[u32]| {
        let entries = ssrcs.iter().flat_map(|ssrc| [*ssrc, 0]);
        let body: Vec<u32> = [1, 0].into_iter().chain(entries).collect();
        rtcp(4, 206, &body)
    };
    let strangers: Vec<u32> = (1_000..1_200).collect();
    let some = [&strangers[..60], &[51]].concat();
    let left = rig.send(0, about(&some));
    assert_eq!(left, [(about(&[51]), 1)]);
    let many = [&strangers[..110], &[51]].concat();
    assert_eq!(rig.send(0, about(&many)), []);
    assert_eq!(rig.drops(0, Reason::NoSection), 1);
}

#[test]
fn a_description_names_the_section_of_a_stream() {
    let mut rig = talking();
    // SDES of SSRC 8 with MID "w".
    let names = rtcp(1, 202, &[8, u32::from_be_bytes([15, 1, b'w', 0])]);
    rig.send(0, [rtcp(0, 201, &[1]), names].concat());
    let left = rig.send(0, rtp(8, 96, 1, None, 2));
    assert_eq!(left, [(rtp(8, 96, 1, None, 2), 3)]);
}

#[test]
fn compounds_into_the_bundle_go_as_they_are() {
    let mut rig = talking();
    for slot in 1..4 {
        let compound = [rtcp(0, 201, &[50 + slot]), rtcp(1, 206, &[50 + slot, 1])].concat();
        assert_eq!(rig.send(slot, compound.clone()), [(compound, 0)]);
    }
}

#[test]
fn feedback_is_cut_from_each_part_by_its_own_profile() {
    let mut rig = talking();
    let mut strict = rig.specs[0].clone();
    if let Some(bundle) = &mut strict.bundle {
        bundle.parts[2].rtcp[0].feedback = Feedback::Strip;
    }
    rig.set(strict);
    let requests = [rtcp(1, 206, &[1, 52]), rtcp(1, 206, &[1, 53])].concat();
    let left = rig.send(0, [rtcp(0, 201, &[1]), requests].concat());
    let first = rtcp(0, 201, &[1]);
    let expected = [
        (first.clone(), 1),
        ([first.clone(), rtcp(1, 206, &[1, 52])].concat(), 2),
        (first, 3),
    ];
    assert_eq!(left, expected);
}

// ---- a million ----------------------------------------------------------------------------------

/// A generator that is good enough to surprise (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// The ids of a stream's name, and of the name of the one that it repairs.
const RIDS: [u8; 2] = [4, 5];
/// The streams that the sections name: one name is in two of them.
const STREAMS: [&[&str]; 3] = [&[], &["h", "l"], &["h", "m"]];

/// What has to become of a packet, and by which of RFC 9143 §9.2's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Fate {
    Named,
    KnownStream,
    StreamName,
    PayloadType,
    /// Its section can be told, and has no such payload type.
    Foreign,
    /// Neither a name in it, nor its stream, nor a payload type tells one section.
    Undecidable,
}

/// A stream as its sender has it.
#[derive(Clone, Copy)]
struct Stream {
    ssrc: u32,
    part: usize,
    /// Its name within the section, if its packets say one.
    rid: Option<(u8, &'static str)>,
    sequence: u16,
    /// Packets until it may say its section's name.
    silent: u64,
    /// Whether anything sent so far told its section.
    is_told: bool,
}

/// A stream of any section; some are declared, and some say their own names.
fn stream(random: &mut Random, next: &mut u32) -> Stream {
    let part = random.below(3) as usize;
    let is_told = random.below(40) == 0;
    let names = STREAMS[part];
    let id = RIDS[random.below(2) as usize];
    let rid = match random.below(3) {
        0 => names
            .get(random.below(2) as usize)
            .map_or((id, "nobody's"), |name| (id, name)),
        _ => (id, ""),
    };
    *next += 1;
    Stream {
        ssrc: if is_told { 700 + part as u32 } else { *next },
        part,
        rid: Some(rid).filter(|(_, name)| !name.is_empty()),
        sequence: random.below(65_536) as u16,
        silent: random.below(60),
        is_told,
    }
}

/// The next packet of a stream, and what has to become of it. Its payload says the section, or 255 if it is
/// nobody's: with a payload type that is another section's or none's, named or not, once the stream's section
/// can be known.
fn next(random: &mut Random, stream: &mut Stream) -> (Vec<u8>, Fate) {
    stream.sequence = stream.sequence.wrapping_add(1);
    stream.silent = stream.silent.saturating_sub(1);
    let named = stream.silent == 0 && random.below(8) == 0;
    let own = 10 + stream.part as u8;
    let payload_type = match random.below(20) {
        0 if named || stream.is_told => 10 + random.below(3) as u8,
        1 if named || stream.is_told => random.below(128) as u8,
        2 => own,
        _ => 96,
    };
    let is_own = payload_type == 96 || payload_type == own;
    let by_type = payload_type == own;
    // "h" is in two sections, and a name that none has may be of the one that names no streams.
    let fate = match stream.rid.map(|(_, name)| name) {
        _ if !is_own => Fate::Foreign,
        _ if named => Fate::Named,
        _ if stream.is_told => Fate::KnownStream,
        Some("l" | "m") => Fate::StreamName,
        Some("h") if by_type => Fate::StreamName,
        Some("nobody's") if by_type && stream.part == 0 => Fate::PayloadType,
        None if by_type => Fate::PayloadType,
        _ => Fate::Undecidable,
    };
    stream.is_told |= !matches!(fate, Fate::Foreign | Fate::Undecidable);
    let truth = if is_own { stream.part as u8 } else { 255 };
    let mid = named.then_some(NAMES[stream.part]);
    let bytes = rtp(stream.ssrc, payload_type, stream.sequence, mid, truth);
    let bytes = match stream.rid {
        Some((id, name)) => with_element(bytes, id, name.as_bytes()),
        None => bytes,
    };
    (bytes, fate)
}

fn with_element(mut packet: Vec<u8>, id: u8, data: &[u8]) -> Vec<u8> {
    let len = packet.len();
    packet.resize(len + 32, 0);
    let rewrite = Rewrite {
        put: Some((id, data)),
        ..Rewrite::default()
    };
    let len = rewrite.apply(&mut packet, len).expect("there is room");
    packet.truncate(len);
    packet
}

/// A bundle whose sections name some of their streams.
fn with_stream_names() -> Rig {
    let mut rig = Rig::new(plain());
    let mut spec = rig.specs[0].clone();
    let bundle = spec.bundle.as_mut().expect("slot 0 is the bundle");
    bundle.rids = RIDS.map(Some);
    for (part, names) in bundle.parts.iter_mut().zip(STREAMS) {
        part.rids = names.iter().map(|name| name.as_bytes().into()).collect();
    }
    rig.specs[0] = spec.clone();
    rig.set(spec);
    rig
}

#[test]
#[expect(clippy::print_stdout, reason = "the count is what is to be shown")]
fn of_a_million_packets_each_that_can_be_told_is_delivered_and_none_to_a_wrong_section() {
    let mut rig = with_stream_names();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut ssrc = 10_000;
    let mut streams: Vec<Stream> = (0..12).map(|_| stream(&mut random, &mut ssrc)).collect();
    let (mut delivered, mut wrong) = (0_u64, 0_u64);
    let mut fates = BTreeMap::<Fate, u64>::new();
    for batch in 0..20_000_u64 {
        rig.now = Time::from_secs(100) + std::time::Duration::from_millis(20 * batch);
        let packets: Vec<_> = (0..50)
            .map(|_| {
                let chosen = &mut streams[random.below(12) as usize];
                if random.below(500) == 0 {
                    *chosen = stream(&mut random, &mut ssrc);
                }
                let (bytes, fate) = next(&mut random, chosen);
                *fates.entry(fate).or_default() += 1;
                (0, bytes)
            })
            .collect();
        for (bytes, slot) in rig.batch(&packets) {
            let rtp = Rtp::parse(&bytes).expect("what leaves is RTP");
            delivered += 1;
            wrong += u64::from(usize::from(rtp.payload()[0]) + 1 != slot);
        }
    }
    println!("{delivered} of 1000000 packets delivered, {wrong} to a wrong section: {fates:?}");
    let stats = &rig.specs[0].stats;
    let [foreign, undecidable] = [Fate::Foreign, Fate::Undecidable].map(|fate| fates[&fate]);
    assert_eq!((delivered, wrong), (stats.forwarded.get(), 0));
    assert_eq!(stats.drops(Reason::WrongPayload), foreign);
    assert_eq!(stats.drops(Reason::NoSection), undecidable);
    assert_eq!(delivered + foreign + undecidable, 1_000_000);
    assert!(fates.values().all(|count| *count > 300), "{fates:?}");
}
