//! RTCP of the relay's own, as the peers get it: what it says, when, and what becomes of theirs.
#![forbid(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::{Endpoint, Reason, Time};
use patchcord_media::bundle::{Bundle, Edit, EditId, Part};
use patchcord_media::flow::{
    Accepts, Admission, Clocks, Command, Event, Feedback, Handshakes, Learning, PortId, Reporting,
    Reports, Security, Sink, Sinks, Spec, Stranger,
};
use patchcord_media::srtp::{Keys, Opening, Protocol, Receiver, Suite, Tier, open};
use patchcord_media::stats::PortStats;
use patchcord_media::{Outbox, Packet, Plane, Rx};
use patchcord_wire::ids::Mid;
use patchcord_wire::rtcp::{Compound, ReceiverReport, ReportBlock, Sdes, SenderReport, Writer};
use smallvec::SmallVec;

const INTERVAL: Duration = Duration::from_secs(5);
const CNAME: [u8; 16] = *b"0123456789abcdef";
/// The SSRC of who sends to slot 0.
const ALICE: u32 = 0xa11c_e000;

fn port(slot: u32) -> PortId {
    PortId::new(0, slot).expect("a small slot")
}

fn peer(slot: u32) -> Endpoint {
    let address = Ipv4Addr::new(192, 0, 2, slot as u8 + 1);
    Endpoint::new(IpAddr::V4(address), 4_000)
}

fn sinks(slots: &[u32]) -> Sinks {
    let sink = |slot: &u32| Sink {
        via: port(*slot),
        feedback: Feedback::Keep,
        edit: None,
    };
    slots.iter().map(sink).collect()
}

fn here(rtp: u32) -> Reporting {
    Reporting::Here(Arc::new(Reports {
        rtp: port(rtp),
        interval: INTERVAL,
        cname: CNAME,
    }))
}

fn spec(slot: u32, accepts: Accepts, to: [&[u32]; 2], reporting: Reporting) -> Spec {
    Spec {
        port: port(slot),
        accepts,
        admission: Admission {
            advertised: peer(slot),
            learning: Learning::Heuristic,
            stranger: Stranger::Forward,
            epoch: 1,
        },
        handshakes: Handshakes::default(),
        receive: Security::Plain,
        send: Security::Plain,
        clocks: Clocks::new(),
        rtp: sinks(to[0]),
        rtcp: sinks(to[1]),
        reporting,
        bundle: None,
        doors: None,
        tos: 0,
        blocked: false,
        interface: 0,
        stats: Arc::new(PortStats::default()),
    }
}

/// Two muxed legs at slots 0 and 1.
fn muxed() -> [Spec; 2] {
    [0, 1].map(|slot| {
        let far = [1 - slot];
        spec(slot, Accepts::Muxed, [&far, &far], here(slot))
    })
}

/// A leg with two sections bundled at slot 0, which are at slots 1 and 2 on the other side.
fn bundled() -> [Spec; 3] {
    let part = |name: &[u8], payload_type: u8, to: u32| Part {
        mid: Mid::new(name).expect("a name"),
        ssrcs: SmallVec::new(),
        rids: Vec::new(),
        types: [payload_type].into_iter().collect(),
        clocks: Clocks::new(),
        rtp: sinks(&[to]),
        rtcp: sinks(&[to]),
        stats: Arc::new(PortStats::default()),
    };
    let mut web = spec(0, Accepts::Muxed, [&[], &[]], here(0));
    web.bundle = Some(Box::new(Bundle {
        mid: Some(1),
        parts: vec![part(b"a", 0, 1), part(b"v", 96, 2)],
        ..Bundle::default()
    }));
    let phone = |slot: u32, part: u8| {
        let mut phone = spec(slot, Accepts::Muxed, [&[0], &[0]], here(slot));
        let edit = Edit {
            part: Some(part),
            ..Edit::default()
        };
        for sink in &mut phone.rtp {
            sink.edit = EditId::new(0);
        }
        phone.bundle = Some(Box::new(Bundle {
            edits: vec![edit],
            ..Bundle::default()
        }));
        phone
    };
    [web, phone(1, 0), phone(2, 1)]
}

/// Two legs with RTP at slots 0 and 2, RTCP at 1 and 3.
fn split() -> [Spec; 4] {
    let rtp = |slot, far, rtcp| spec(slot, Accepts::Rtp, [&[far], &[rtcp]], Reporting::Elsewhere);
    let rtcp = |slot, far, rtp| spec(slot, Accepts::Rtcp, [&[], &[far]], here(rtp));
    [rtp(0, 2, 3), rtcp(1, 3, 0), rtp(2, 0, 1), rtcp(3, 1, 2)]
}

#[derive(Debug, Default)]
struct Sent {
    forwarded: usize,
    copies: Vec<(Vec<u8>, PortId, Endpoint)>,
}

impl Outbox for Sent {
    fn forward(&mut self, _: usize, _: usize, _: PortId, _: Endpoint) {
        self.forwarded += 1;
    }

    fn copy(&mut self, bytes: &[u8], via: PortId, to: Endpoint) {
        self.copies.push((bytes.to_vec(), via, to));
    }

    fn event(&mut self, _: Event) {}
}

/// A report as it came.
#[derive(Clone, Debug)]
struct Report {
    at: Time,
    via: PortId,
    to: Endpoint,
    bytes: Vec<u8>,
}

struct Rig {
    plane: Plane,
    now: Time,
    stats: Vec<Arc<PortStats>>,
}

impl Rig {
    fn new(specs: impl IntoIterator<Item = Spec>) -> Self {
        let mut rig = Self {
            plane: Plane::new(0, 1),
            now: Time::from_secs(100),
            stats: Vec::new(),
        };
        for spec in specs {
            rig.stats.push(Arc::clone(&spec.stats));
            rig.set(spec);
        }
        rig
    }

    fn set(&mut self, spec: Spec) {
        self.plane.command(self.now, Command::Set(Arc::new(spec)));
    }

    /// A datagram of the peer at a slot; how many left, and the reason if none did.
    fn send(&mut self, slot: u32, bytes: &[u8]) -> usize {
        let mut buffer = bytes.to_vec();
        buffer.resize(bytes.len() + 200, 0);
        let mut out = Sent::default();
        let mut batch = [Rx {
            port: port(slot),
            source: Some(peer(slot)),
            packet: Packet::new(&mut buffer, bytes.len()),
            truncated: false,
        }];
        self.plane.process(self.now, &mut batch, &mut out);
        out.forwarded + out.copies.len()
    }

    /// Time passes in ticks; what the relay says meanwhile.
    fn pass(&mut self, time: Duration) -> Vec<Report> {
        let end = self.now + time;
        let mut reports = Vec::new();
        while self.now < end {
            self.now = self.now + Duration::from_millis(100);
            let mut out = Sent::default();
            self.plane.tick(self.now, &mut out);
            reports.extend(out.copies.into_iter().map(|(bytes, via, to)| Report {
                at: self.now,
                via,
                to,
                bytes,
            }));
        }
        reports
    }

    /// The peer at `slot` sends `count` packets of 20 ms; time passes with them.
    fn talk(&mut self, slot: u32, ssrc: u32, first: u16, count: u16) {
        for nth in 0..count {
            let at = first.wrapping_add(nth);
            self.send(slot, &rtp(ssrc, at, u32::from(at) * 160, 160));
            self.now = self.now + Duration::from_millis(20);
        }
    }

    fn drops(&self, nth: usize, reason: Reason) -> u64 {
        self.stats[nth].drops(reason)
    }
}

fn rtp(ssrc: u32, sequence: u16, timestamp: u32, payload: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.resize(12 + payload, 0x55);
    packet
}

fn receiver_report(ssrc: u32, blocks: &[ReportBlock]) -> Vec<u8> {
    let mut buffer = vec![0; 256];
    let mut writer = Writer::new(&mut buffer);
    writer.receiver_report(ssrc, blocks);
    let len = writer.len();
    buffer.truncate(len);
    buffer
}

fn sender_report(ssrc: u32, seconds: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 200, 0, 6];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0, 0, 0, seconds, 0x80, 0, 0, 0]);
    packet.resize(28, 0);
    packet
}

/// What a report says: its senders and its blocks.
fn read(bytes: &[u8]) -> (Vec<SenderReport<'_>>, Vec<ReportBlock>) {
    let theirs = rtcp_types::Compound::parse(bytes).expect("others can read it too");
    assert!(theirs.into_iter().all(|packet| packet.is_ok()));
    let compound = Compound::parse(bytes).expect("a compound");
    let packets: Vec<_> = compound.packets().collect();
    assert!(compound.begins_with_report());
    let sdes = Sdes::of(packets.last().expect("packets")).expect("the name is last");
    for chunk in sdes.chunks() {
        let item = chunk.items().next().expect("an item");
        assert_eq!((item.kind, item.text), (1, CNAME.as_slice()));
    }
    let senders: Vec<_> = packets.iter().filter_map(SenderReport::of).collect();
    let receivers = packets.iter().filter_map(ReceiverReport::of);
    let blocks = senders.iter().flat_map(SenderReport::blocks);
    let blocks = blocks.chain(receivers.flat_map(|r| r.blocks().collect::<Vec<_>>()));
    let blocks = blocks.collect();
    (senders, blocks)
}

/// The section that a report is about, by its own word.
fn section(bytes: &[u8]) -> Option<Vec<u8>> {
    let compound = Compound::parse(bytes).expect("a compound");
    let sdes = compound.packets().last().and_then(|packet| {
        let sdes = Sdes::of(&packet)?;
        let names: Vec<_> = sdes
            .chunks()
            .map(|chunk| chunk.get(15).map(<[u8]>::to_vec))
            .collect();
        assert!(names.windows(2).all(|two| two[0] == two[1]), "{names:?}");
        names.into_iter().next()
    });
    sdes.flatten()
}

/// The last report to the peer at a slot.
fn last(reports: &[Report], slot: u32) -> Report {
    let mut to_it = reports.iter().filter(|report| report.to == peer(slot));
    to_it.next_back().expect("a report to it").clone()
}

#[test]
fn each_peer_gets_a_report_every_interval_and_up_to_a_second_more() {
    let mut rig = Rig::new(muxed());
    let reports = rig.pass(Duration::from_mins(1));
    for slot in [0, 1] {
        let mine: Vec<_> = reports.iter().filter(|r| r.to == peer(slot)).collect();
        assert!((10..=12).contains(&mine.len()), "{}", mine.len());
        assert!(mine.iter().all(|report| report.via == port(slot)));
        let gaps: Vec<_> = mine.windows(2).map(|w| w[1].at.since(w[0].at)).collect();
        let longest = INTERVAL + Duration::from_millis(1_100);
        assert!(gaps.iter().all(|gap| (INTERVAL..=longest).contains(gap)));
        assert!(gaps.windows(2).any(|w| w[0] != w[1]), "they spread");
    }
    let sent = rig.stats[0].rtcp_out.packets.get();
    assert!((10..=12).contains(&sent), "counted as sent from there");
}

#[test]
fn a_report_of_the_sender_tells_what_was_forwarded() {
    let mut rig = Rig::new(muxed());
    rig.talk(0, ALICE, 10, 100);
    let stopped = rig.now;
    let report = last(&rig.pass(Duration::from_secs(5)), 1);
    let (senders, blocks) = read(&report.bytes);
    assert_eq!((senders.len(), blocks.len()), (1, 0));
    let [sender] = senders.as_slice() else {
        panic!("one stream")
    };
    assert_eq!(sender.ssrc.0, ALICE);
    assert_eq!((sender.packets, sender.octets), (100, 16_000));
    // The last packet, number 109, left 20 ms before the talk ended.
    let passed = report.at.since(stopped) + Duration::from_millis(20);
    let ticks = passed.as_millis() as u32 * 8;
    assert_eq!(sender.rtp_timestamp, 109 * 160 + ticks);
    let seconds = report.at.0 / 1_000_000_000;
    assert_eq!(sender.ntp.0 >> 32, seconds, "the monotonic clock");
}

#[test]
fn blocks_tell_what_was_received_since_the_last_report() {
    let mut rig = Rig::new(muxed());
    rig.talk(0, ALICE, 0xfff0, 8);
    rig.talk(0, ALICE, 0xfffa, 10);
    rig.send(0, &sender_report(ALICE, 7));
    let heard = rig.now;
    let report = last(&rig.pass(Duration::from_secs(6)), 0);
    let (senders, blocks) = read(&report.bytes);
    assert!(senders.is_empty(), "nothing was sent to it");
    let delay = report.at.since(heard).as_nanos() * 65_536 / 1_000_000_000;
    let expected = ReportBlock {
        ssrc: ALICE,
        fraction_lost: (2 * 256 / 20) as u8,
        cumulative_lost: 2,
        highest_sequence: 0x0001_0003,
        jitter: blocks[0].jitter,
        last_sr: 0x0007_8000,
        delay_since_last_sr: delay as u32,
    };
    assert_eq!(blocks, [expected]);
    rig.talk(0, ALICE, 4, 20);
    let report = last(&rig.pass(Duration::from_secs(6)), 0);
    let (_, blocks) = read(&report.bytes);
    assert_eq!(blocks[0].fraction_lost, 0, "none since");
    assert_eq!(blocks[0].cumulative_lost, 2, "two in all");
    let (_, blocks) = read(&last(&rig.pass(Duration::from_secs(6)), 0).bytes).clone();
    assert_eq!(blocks, [], "silence is not reported on");
}

#[test]
fn duplicates_make_loss_negative_and_no_fraction() {
    let mut rig = Rig::new(muxed());
    rig.talk(0, ALICE, 1, 10);
    rig.send(0, &rtp(ALICE, 10, 1_600, 160));
    let (_, blocks) = read(&last(&rig.pass(Duration::from_secs(6)), 0).bytes).clone();
    assert_eq!(
        (blocks[0].cumulative_lost, blocks[0].fraction_lost),
        (-1, 0)
    );
}

#[test]
fn what_peers_say_ends_here_and_is_still_read() {
    let mut rig = Rig::new(muxed());
    rig.talk(0, ALICE, 1, 100);
    let report = last(&rig.pass(Duration::from_secs(6)), 1);
    let (senders, _) = read(&report.bytes);
    rig.now = report.at + Duration::from_millis(540);
    let block = ReportBlock {
        ssrc: ALICE,
        fraction_lost: 26,
        last_sr: senders[0].ntp.middle(),
        delay_since_last_sr: 65_536 / 2,
        ..ReportBlock::default()
    };
    assert_eq!(rig.send(1, &receiver_report(9, &[block])), 0, "kept");
    assert_eq!(rig.drops(1, Reason::RtcpTerminated), 1);
    let stream = &rig.stats[0].ssrcs[0];
    assert_eq!(stream.reported_loss.get(), 26);
    let trip = stream.rtt().expect("our own report was answered");
    assert_eq!(trip.as_millis(), 40, "between here and the receiver");
}

#[test]
fn rtcp_of_a_split_transport_leaves_from_its_own_port() {
    let mut rig = Rig::new(split());
    rig.talk(0, ALICE, 1, 50);
    rig.send(1, &sender_report(ALICE, 3));
    assert_eq!(rig.drops(1, Reason::RtcpTerminated), 1);
    let reports = rig.pass(Duration::from_secs(6));
    let places: std::collections::BTreeSet<_> = reports.iter().map(|r| r.via).collect();
    assert!(places.into_iter().eq([port(1), port(3)]));
    let (_, blocks) = read(&last(&reports, 1).bytes).clone();
    assert_eq!((blocks[0].ssrc, blocks[0].last_sr), (ALICE, 0x0003_8000));
    let report = last(&reports, 3);
    let (senders, _) = read(&report.bytes);
    assert_eq!((senders[0].ssrc.0, senders[0].packets), (ALICE, 50));
    // Who muxes unasked is not relayed either.
    assert_eq!(rig.send(0, &sender_report(ALICE, 4)), 0);
}

#[test]
fn several_streams_are_a_report_each() {
    let mut rig = Rig::new(muxed());
    let ssrcs = (1..=6).map(|nth| nth << 28);
    ssrcs.for_each(|ssrc| rig.talk(0, ssrc, 100, 20));
    let report = last(&rig.pass(Duration::from_secs(5)), 1);
    let (senders, _) = read(&report.bytes);
    let ssrcs: Vec<u32> = senders.iter().map(|sender| sender.ssrc.0).collect();
    assert_eq!(
        ssrcs,
        [1, 2, 3, 4].map(|nth| nth << 28),
        "as many as are told apart"
    );
}

#[test]
fn off_again_relays_again_and_says_nothing() {
    let mut rig = Rig::new(muxed());
    assert_eq!(rig.send(0, &receiver_report(9, &[])), 0);
    for spec in muxed() {
        rig.set(Spec {
            reporting: Reporting::Relayed,
            ..spec
        });
    }
    assert_eq!(rig.send(0, &receiver_report(8, &[])), 1);
    assert!(rig.pass(Duration::from_secs(20)).is_empty());
}

#[test]
fn a_changed_spec_keeps_the_pace() {
    let mut rig = Rig::new(muxed());
    let mut reports = Vec::new();
    for _ in 0..30 {
        reports.extend(rig.pass(Duration::from_secs(1)));
        for spec in muxed() {
            rig.set(spec);
        }
    }
    let count = reports.iter().filter(|r| r.to == peer(0)).count();
    assert!((4..=6).contains(&count), "{count}");
}

#[test]
fn what_is_gone_or_held_says_nothing() {
    let mut rig = Rig::new(muxed());
    rig.plane.command(rig.now, Command::Clear(port(0)));
    let [_, mut held] = muxed();
    held.admission.advertised = Endpoint::NONE;
    held.admission.epoch = 2;
    rig.set(held);
    assert!(rig.pass(Duration::from_secs(20)).is_empty());
}

#[test]
fn what_cannot_be_read_is_relayed() {
    for security in [Security::EndToEnd, Security::Pending] {
        let mut rig = Rig::new(muxed().map(|spec| Spec {
            receive: security.clone(),
            send: security.clone(),
            ..spec
        }));
        rig.send(0, &receiver_report(9, &[]));
        assert_eq!(rig.drops(0, Reason::RtcpTerminated), 0, "{security:?}");
        assert!(rig.pass(Duration::from_secs(20)).is_empty());
    }
}

#[test]
fn a_secure_peer_gets_its_reports_sealed() {
    for suite in Suite::ALL {
        let key = |seed: u8| {
            let inline: Vec<u8> = (0..46).map(|n: u8| n.wrapping_mul(7) ^ seed).collect();
            let len = suite.key_len() + suite.salt_len();
            Arc::new(Keys::from_inline(suite, &inline[..len]).expect("the suite's lengths"))
        };
        let (theirs, ours) = (key(1), key(2));
        let [near, far] = muxed();
        let far = Spec {
            receive: Security::Srtp(theirs),
            send: Security::Srtp(Arc::clone(&ours)),
            ..far
        };
        let mut rig = Rig::new([near, far]);
        rig.talk(0, ALICE, 1, 10);
        let mut receiver = Receiver::new(Tier::best(), ours);
        for _ in 0..2 {
            let report = last(&rig.pass(Duration::from_secs(6)), 1);
            let mut bytes = report.bytes.clone();
            let len = bytes.len();
            let mut packet = Packet::new(&mut bytes, len);
            let mut jobs = [Opening::new(port(1), Protocol::Rtcp, &mut packet)];
            open(report.at, Tier::best(), &mut receiver, &mut jobs);
            let [job] = jobs;
            assert_eq!(job.outcome(), Ok(()), "{suite}");
            let (senders, _) = read(packet.bytes());
            assert_eq!((senders[0].ssrc.0, senders[0].octets), (ALICE, 1_600));
        }
    }
}

/// The peer of a slot sends `count` packets of one payload type.
fn speak(rig: &mut Rig, slot: u32, ssrc: u32, payload_type: u8, count: u16) {
    for nth in 0..count {
        let mut packet = rtp(ssrc, nth, u32::from(nth) * 160, 160);
        packet[1] = payload_type;
        assert_eq!(rig.send(slot, &packet), 1);
        rig.now = rig.now + Duration::from_millis(20);
    }
}

#[test]
fn in_a_bundle_each_section_is_reported_by_itself_and_named() {
    let mut rig = Rig::new(bundled());
    let (spoken, shown, answered, filmed) = (0xa0, 0xa1, 0xb0, 0xb1);
    speak(&mut rig, 0, spoken, 0, 30);
    speak(&mut rig, 0, shown, 96, 40);
    speak(&mut rig, 1, answered, 0, 50);
    speak(&mut rig, 2, filmed, 96, 60);
    let reports = rig.pass(Duration::from_secs(6));
    let to_web: Vec<_> = reports.iter().filter(|r| r.to == peer(0)).collect();
    let told = |name: &[u8]| {
        let is_its = |report: &&&Report| section(&report.bytes).as_deref() == Some(name);
        let mut found = to_web.iter().filter(is_its);
        let report = found.next().expect("a report on it");
        let (senders, blocks) = read(&report.bytes);
        let senders: Vec<_> = senders.iter().map(|s| (s.ssrc.0, s.packets)).collect();
        let blocks: Vec<_> = blocks
            .iter()
            .map(|b| (b.ssrc, b.highest_sequence))
            .collect();
        (senders, blocks)
    };
    assert_eq!(told(b"a"), (vec![(answered, 50)], vec![(spoken, 29)]));
    assert_eq!(told(b"v"), (vec![(filmed, 60)], vec![(shown, 39)]));
    for (slot, sender, heard) in [(1, (spoken, 30), answered), (2, (shown, 40), filmed)] {
        let report = last(&reports, slot);
        assert_eq!(section(&report.bytes), None, "it is not bundled");
        let (senders, blocks) = read(&report.bytes);
        assert_eq!((senders[0].ssrc.0, senders[0].packets), sender);
        assert_eq!(blocks[0].ssrc, heard);
    }
}

#[test]
fn what_peers_report_ends_here_on_both_sides_of_a_bundle_and_closes_round_trips() {
    let mut rig = Rig::new(bundled());
    speak(&mut rig, 2, 0xb1, 96, 60);
    let reports = rig.pass(Duration::from_secs(6));
    let to_web = reports.iter().filter(|r| r.to == peer(0));
    let mut senders =
        to_web.filter_map(|report| read(&report.bytes).0.first().map(|s| s.ntp.middle()));
    let last_sr = senders.next_back().expect("a sender report on the picture");
    let block = ReportBlock {
        ssrc: 0xb1,
        last_sr,
        ..ReportBlock::default()
    };
    assert_eq!(rig.send(0, &receiver_report(0xa1, &[block])), 0);
    assert_eq!(rig.drops(0, Reason::RtcpTerminated), 1);
    assert_eq!(rig.send(1, &sender_report(0xb0, 1)), 0);
    assert_eq!(rig.drops(1, Reason::RtcpTerminated), 1);
    let stream = &rig.stats[2].ssrcs[0];
    assert_eq!(stream.ssrc.get(), 0xb1);
    assert!(stream.rtt_us.get() > 0, "what the browser says of it");
}

#[test]
fn a_silent_bundle_says_that_we_are_there_once_an_interval() {
    let mut rig = Rig::new(bundled());
    let reports = rig.pass(Duration::from_secs(6));
    let to_web: Vec<_> = reports.iter().filter(|r| r.to == peer(0)).collect();
    assert_eq!(to_web.len(), 1);
    assert_eq!(read(&to_web[0].bytes).1, []);
}
