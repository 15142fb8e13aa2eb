//! Secure media through a whole plane: what leaves, what is refused, and what nobody learns from.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use patchcord_contract::{Endpoint, Reason, Time};
use patchcord_media::flow::{
    Accepts, Admission, Clocks, Command, Event, Feedback, Handshakes, Learning, PortId, Reporting,
    Security, Side, Sink, Sinks, Spec, Stranger,
};
use patchcord_media::srtp::{
    Cause, Keys, Opening, Protocol, Receiver, Sealing, Sender, Suite, Tier, open, seal,
};
use patchcord_media::stats::PortStats;
use patchcord_media::{Outbox, Packet, Plane, Rx};

/// Bytes of a receive buffer, as the engine's are.
const BUFFER: usize = 2112;

fn port(slot: u32) -> PortId {
    PortId::new(0, slot).expect("a small slot")
}

fn host(last: u8) -> Endpoint {
    Endpoint::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), 4_000)
}

fn peer(slot: u32) -> Endpoint {
    host(slot as u8 + 1)
}

fn keys(suite: Suite, seed: u8) -> Arc<Keys> {
    let inline: Vec<u8> = (0..46).map(|n: u8| n.wrapping_mul(7) ^ seed).collect();
    let len = suite.key_len() + suite.salt_len();
    Arc::new(Keys::from_inline(suite, &inline[..len]).expect("the suite's lengths"))
}

fn spec(slot: u32, to: &[u32], receive: Security, send: Security) -> Spec {
    let sinks: Sinks = to
        .iter()
        .map(|slot| Sink {
            via: port(*slot),
            feedback: Feedback::Keep,
            edit: None,
        })
        .collect();
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
        bundle: None,
        doors: None,
        tos: 0,
        blocked: false,
        interface: 0,
        stats: Arc::new(PortStats::default()),
    }
}

#[derive(Debug, Default)]
struct Sent {
    forwards: Vec<(usize, usize, PortId)>,
    copies: Vec<(Vec<u8>, PortId)>,
    events: Vec<Event>,
}

impl Outbox for Sent {
    fn forward(&mut self, index: usize, len: usize, via: PortId, _: Endpoint) {
        self.forwards.push((index, len, via));
    }

    fn copy(&mut self, bytes: &[u8], via: PortId, _: Endpoint) {
        self.copies.push((bytes.to_vec(), via));
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }
}

struct Rig {
    plane: Plane,
    now: Time,
    events: Vec<Event>,
    specs: Vec<Spec>,
}

impl Rig {
    fn new(specs: Vec<Spec>) -> Self {
        let mut rig = Self {
            plane: Plane::new(0, 1),
            now: Time::from_secs(100),
            events: Vec::new(),
            specs: Vec::new(),
        };
        for spec in &specs {
            rig.set(spec.clone());
        }
        rig.specs = specs;
        rig
    }

    /// A plain leg at slot 0 and a secure one at slot 1.
    fn translating(suite: Suite) -> (Self, Party) {
        let (theirs, ours) = (keys(suite, 1), keys(suite, 2));
        let rig = Self::new(vec![
            spec(0, &[1], Security::Plain, Security::Plain),
            spec(
                1,
                &[0],
                Security::Srtp(Arc::clone(&theirs)),
                Security::Srtp(Arc::clone(&ours)),
            ),
        ]);
        (rig, Party::new(&theirs, &ours))
    }

    fn set(&mut self, spec: Spec) {
        self.plane.command(self.now, Command::Set(Arc::new(spec)));
    }

    /// A batch of packets, each from the peer of its slot; what left, in order.
    fn batch(&mut self, packets: &[(u32, Vec<u8>)]) -> Vec<(Vec<u8>, PortId)> {
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
        self.events.append(&mut out.events);
        let own = out.forwards.iter();
        let mut left: Vec<_> = own
            .map(|(index, len, via)| (buffers[*index][..*len].to_vec(), *via))
            .collect();
        left.append(&mut out.copies);
        left
    }

    fn relay(&mut self, slot: u32, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut left = self.batch(&[(slot, bytes.to_vec())]);
        assert!(left.len() <= 1, "one sink");
        left.pop().map(|(bytes, _)| bytes)
    }

    fn drops(&self, slot: usize, reason: Reason) -> u64 {
        self.specs[slot].stats.drops(reason)
    }
}

/// The far end of a secure leg.
struct Party {
    sender: Sender,
    receiver: Receiver,
}

impl Party {
    fn new(sends: &Arc<Keys>, receives: &Arc<Keys>) -> Self {
        let (sends, receives) = ((**sends).clone(), Arc::clone(receives));
        Self {
            sender: Sender::new(Tier::PORTABLE, Arc::new(sends)),
            receiver: Receiver::new(Tier::PORTABLE, receives),
        }
    }

    fn seal(&mut self, protocol: Protocol, plain: &[u8]) -> Vec<u8> {
        let mut buffer = plain.to_vec();
        buffer.resize(BUFFER, 0);
        let mut packet = Packet::new(&mut buffer, plain.len());
        let now = Time::from_secs(1);
        let job = Sealing::new(now, &mut self.sender, port(9), protocol, &mut packet);
        let mut jobs = [job.expect("a fresh index")];
        seal(Tier::PORTABLE, &self.sender, &mut jobs);
        packet.bytes().to_vec()
    }

    fn open(&mut self, protocol: Protocol, sealed: &[u8]) -> Result<Vec<u8>, Reason> {
        let mut buffer = sealed.to_vec();
        let mut packet = Packet::new(&mut buffer, sealed.len());
        let mut jobs = [Opening::new(port(9), protocol, &mut packet)];
        open(
            Time::from_secs(1),
            Tier::PORTABLE,
            &mut self.receiver,
            &mut jobs,
        );
        jobs[0].outcome()?;
        Ok(packet.bytes().to_vec())
    }
}

fn rtp(sequence: u16) -> Vec<u8> {
    rtp_of(0xcafe, sequence)
}

fn rtp_of(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.resize(172, 0xd5);
    packet
}

/// A receiver report and, behind it, picture loss indication.
fn rtcp() -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1, 0, 0, 0xca, 0xfe];
    packet.extend([0x81, 206, 0, 2, 0, 0, 0xca, 0xfe, 0, 0, 0xbe, 0xef]);
    packet
}

#[test]
fn plain_and_secure_legs_understand_each_other_in_every_suite() {
    for suite in Suite::ALL {
        let (mut rig, mut party) = Rig::translating(suite);
        for sequence in 65_500..65_600_u32 {
            let plain = rtp(sequence as u16);
            let sealed = rig.relay(0, &plain).expect("it leaves");
            assert_eq!(sealed.len(), plain.len() + suite.rtp_tag_len());
            assert_eq!(party.open(Protocol::Rtp, &sealed), Ok(plain.clone()));
            let sealed = party.seal(Protocol::Rtp, &plain);
            assert_eq!(rig.relay(1, &sealed), Some(plain), "{suite} {sequence}");
        }
        let sealed = rig.relay(0, &rtcp()).expect("it leaves");
        assert_eq!(party.open(Protocol::Rtcp, &sealed), Ok(rtcp()));
        let sealed = party.seal(Protocol::Rtcp, &rtcp());
        assert_eq!(rig.relay(1, &sealed), Some(rtcp()), "{suite}");
        let stats = &rig.specs[1].stats;
        assert_eq!(stats.ssrcs[0].lost.get(), 0, "it measures what it opened");
        assert_eq!(stats.rtp_in.packets.get(), 100);
        let wire = 100 * (172 + suite.rtp_tag_len() as u64);
        assert_eq!(stats.rtp_in.bytes.get(), wire, "bytes as on the wire");
        assert_eq!(stats.rtp_out.bytes.get(), wire);
    }
}

#[test]
fn nobody_learns_from_what_does_not_authenticate() {
    let (mut rig, mut party) = Rig::translating(Suite::AesCm128Sha1_80);
    let mut forged = party.seal(Protocol::Rtp, &rtp(1));
    forged[100] ^= 1;
    assert_eq!(rig.relay(1, &forged), None);
    assert_eq!(rig.relay(1, &rtp(1)), None, "plain RTP");
    assert_eq!(rig.drops(1, Reason::SrtpAuth), 2);
    assert_eq!(rig.events, [], "no latch");
    let stats = &rig.specs[1].stats;
    assert_eq!((stats.last_packet(), stats.ssrcs[0].used.get()), (None, 0));
    let good = party.seal(Protocol::Rtp, &rtp(2));
    assert_eq!(rig.relay(1, &good), Some(rtp(2)));
    assert!(matches!(rig.events[..], [Event::Latched { .. }]));
}

#[test]
fn a_replay_leaves_once() {
    let (mut rig, mut party) = Rig::translating(Suite::AesCm128Sha1_80);
    let sealed = party.seal(Protocol::Rtp, &rtp(7));
    let left = rig.batch(&[(1, sealed.clone()), (1, sealed.clone())]);
    assert_eq!(left, [(rtp(7), port(0))], "even in one batch");
    assert_eq!(rig.relay(1, &sealed), None);
    assert_eq!(rig.drops(1, Reason::SrtpReplay), 2);
}

#[test]
fn a_plain_side_that_repeats_a_sequence_number_never_reuses_a_key_stream() {
    let (mut rig, _) = Rig::translating(Suite::AesCm128Sha1_80);
    assert!(rig.relay(0, &rtp(7)).is_some());
    let mut other = rtp(7);
    other[171] = 0;
    assert_eq!(rig.relay(0, &other), None);
    assert_eq!(rig.relay(0, &rtp(7)), None, "nor for the same bytes");
    assert_eq!(rig.drops(0, Reason::SrtpReuse), 2);
    assert!(rig.relay(0, &rtp(8)).is_some());
}

#[test]
fn a_batch_of_both_directions_keeps_its_order() {
    let (mut rig, mut party) = Rig::translating(Suite::AesCm128Sha1_32);
    let mut batch = Vec::new();
    for sequence in 65_535..65_600_u32 {
        batch.push((0, rtp(sequence as u16)));
        batch.push((1, party.seal(Protocol::Rtp, &rtp(sequence as u16))));
    }
    let left = rig.batch(&batch);
    let towards = |slot| left.iter().filter(move |(_, via)| *via == port(slot));
    for (sequence, (bytes, _)) in (65_535..65_600_u32).zip(towards(0)) {
        assert_eq!(*bytes, rtp(sequence as u16));
    }
    for (sequence, (bytes, _)) in (65_535..65_600_u32).zip(towards(1)) {
        let opened = party.open(Protocol::Rtp, bytes);
        assert_eq!(opened, Ok(rtp(sequence as u16)));
    }
    assert_eq!(left.len(), 130);
}

#[test]
fn under_one_key_only_what_authenticates_passes_and_it_passes_unchanged() {
    for suite in Suite::ALL {
        let shared = keys(suite, 5);
        let secure = || Security::Srtp(Arc::clone(&shared));
        let mut rig = Rig::new(vec![
            spec(0, &[1], secure(), Security::Pending),
            spec(1, &[0], Security::Pending, secure()),
        ]);
        let mut party = Party::new(&shared, &shared);
        for sequence in 65_530..65_545_u32 {
            let sealed = party.seal(Protocol::Rtp, &rtp(sequence as u16));
            let mut forged = sealed.clone();
            forged[20] ^= 4;
            assert_eq!(rig.relay(0, &forged), None, "{suite}");
            assert_eq!(rig.relay(0, &sealed), Some(sealed.clone()), "{suite}");
            assert_eq!(rig.relay(0, &sealed), None, "{suite}");
        }
        let sealed = party.seal(Protocol::Rtcp, &rtcp());
        assert_eq!(rig.relay(0, &sealed), Some(sealed.clone()), "{suite}");
        assert_eq!(rig.drops(0, Reason::SrtpAuth), 15);
        assert_eq!(rig.drops(0, Reason::SrtpReplay), 15);
    }
}

#[test]
fn feedback_is_cut_out_of_what_was_sealed() {
    let (mut rig, mut party) = Rig::translating(Suite::AesCm128Sha1_80);
    let mut strict = rig.specs[1].clone();
    strict.rtcp[0].feedback = Feedback::Strip;
    rig.set(strict);
    let sealed = party.seal(Protocol::Rtcp, &rtcp());
    assert_eq!(rig.relay(1, &sealed), Some(rtcp()[..8].to_vec()));
}

#[test]
fn a_stream_forks_to_plain_and_secure_sinks() {
    let sends = [3, 4].map(|seed| keys(Suite::AeadAes128Gcm, seed));
    let mut specs = vec![
        spec(0, &[1, 2, 3, 4], Security::Plain, Security::Plain),
        spec(3, &[0], Security::Plain, Security::Plain),
        spec(4, &[0], Security::Plain, Security::Plain),
    ];
    for (slot, keys) in [1, 2].into_iter().zip(&sends) {
        let send = Security::Srtp(Arc::clone(keys));
        specs.push(spec(slot, &[0], Security::Plain, send));
    }
    let mut rig = Rig::new(specs);
    let batch: Vec<_> = (0..64).map(|sequence| (0, rtp(sequence))).collect();
    let left = rig.batch(&batch);
    for slot in [3, 4] {
        let here = left.iter().filter(|(_, via)| *via == port(slot));
        let bytes: Vec<_> = here.map(|(bytes, _)| bytes.clone()).collect();
        assert_eq!(bytes, (0..64).map(rtp).collect::<Vec<_>>());
    }
    for (slot, keys) in [1, 2].into_iter().zip(&sends) {
        let mut party = Party::new(keys, keys);
        let here = left.iter().filter(|(_, via)| *via == port(slot));
        let opened: Vec<_> = here
            .map(|(bytes, _)| party.open(Protocol::Rtp, bytes))
            .collect();
        assert_eq!(opened, (0..64).map(|n| Ok(rtp(n))).collect::<Vec<_>>());
    }
}

#[test]
fn equal_keys_keep_their_state_and_others_begin_anew() {
    let (mut rig, mut party) = Rig::translating(Suite::AesCm128Sha1_80);
    for sequence in [65_535, 0] {
        let sealed = party.seal(Protocol::Rtp, &rtp(sequence));
        assert!(rig.relay(1, &sealed).is_some());
        let sealed = rig.relay(0, &rtp(sequence)).expect("it leaves");
        assert!(party.open(Protocol::Rtp, &sealed).is_ok());
    }
    let mut same = rig.specs[1].clone();
    same.receive = Security::Srtp(keys(Suite::AesCm128Sha1_80, 1));
    same.send = Security::Srtp(keys(Suite::AesCm128Sha1_80, 2));
    rig.set(same);
    let sealed = party.seal(Protocol::Rtp, &rtp(1));
    assert!(rig.relay(1, &sealed).is_some(), "after a rollover");
    assert_eq!(rig.relay(1, &sealed), None, "the window is kept");
    let sealed = rig.relay(0, &rtp(1)).expect("it leaves");
    assert!(party.open(Protocol::Rtp, &sealed).is_ok());

    let (theirs, ours) = (
        keys(Suite::AeadAes256Gcm, 8),
        keys(Suite::AesCm192Sha1_32, 9),
    );
    let mut other = rig.specs[1].clone();
    other.receive = Security::Srtp(Arc::clone(&theirs));
    other.send = Security::Srtp(Arc::clone(&ours));
    rig.set(other);
    let mut party = Party::new(&theirs, &ours);
    let sealed = party.seal(Protocol::Rtp, &rtp(1));
    assert_eq!(rig.relay(1, &sealed), Some(rtp(1)));
    let sealed = rig.relay(0, &rtp(1)).expect("a new key, a new start");
    assert_eq!(party.open(Protocol::Rtp, &sealed), Ok(rtp(1)));
}

#[test]
fn a_flow_that_never_authenticates_says_why_once() {
    let cause = |make: &dyn Fn(&mut Party, u16) -> Vec<u8>| {
        let (mut rig, mut party) = Rig::translating(Suite::AesCm128Sha1_80);
        for sequence in 0..100 {
            let packet = make(&mut party, sequence);
            assert_eq!(rig.relay(1, &packet), None);
        }
        let causes: Vec<_> = rig
            .events
            .iter()
            .map(|event| {
                let Event::Unauthentic { cause, .. } = event else {
                    panic!("{event:?}");
                };
                *cause
            })
            .collect();
        assert_eq!(causes.len(), 1);
        causes[0]
    };
    let of = |suite, seed| {
        move |_: &mut Party, sequence| {
            let keys = keys(suite, seed);
            Party::new(&keys, &keys).seal(Protocol::Rtp, &rtp(sequence))
        }
    };
    assert_eq!(cause(&|_, sequence| rtp(sequence)), Cause::Plain);
    assert_eq!(cause(&|_, _| rtcp()), Cause::Plain);
    assert_eq!(cause(&of(Suite::AesCm128Sha1_80, 77)), Cause::Key);
    assert_eq!(cause(&of(Suite::AesCm128Sha1_32, 1)), Cause::Suite);
    assert_eq!(cause(&of(Suite::AeadAes128Gcm, 1)), Cause::Suite);
}

#[test]
fn a_flow_that_has_authenticated_is_not_doubted() {
    let (mut rig, mut party) = Rig::translating(Suite::AesCm128Sha1_80);
    let sealed = party.seal(Protocol::Rtp, &rtp(0));
    assert!(rig.relay(1, &sealed).is_some());
    rig.events.clear();
    for sequence in 0..200 {
        assert_eq!(rig.relay(1, &rtp(sequence)), None);
    }
    assert_eq!(rig.events, []);
}

#[test]
fn a_key_ends_with_its_lifetime_and_says_so_once() {
    let short = |seed| {
        let keys = (*keys(Suite::AesCm128Sha1_80, seed)).clone();
        Arc::new(keys.with_lifetime(50).expect("a lifetime"))
    };
    let (theirs, ours) = (short(1), short(2));
    let mut rig = Rig::new(vec![
        spec(0, &[1], Security::Plain, Security::Plain),
        spec(
            1,
            &[0],
            Security::Srtp(Arc::clone(&theirs)),
            Security::Srtp(ours),
        ),
    ]);
    let endless = keys(Suite::AesCm128Sha1_80, 1);
    let mut party = Party::new(&endless, &endless);
    for sequence in 0..60 {
        let sealed = party.seal(Protocol::Rtp, &rtp(sequence));
        assert_eq!(rig.relay(1, &sealed).is_some(), sequence < 50);
        assert_eq!(rig.relay(0, &rtp(sequence)).is_some(), sequence < 50);
    }
    assert_eq!(rig.drops(1, Reason::SrtpLifetime), 10);
    assert_eq!(rig.drops(0, Reason::SrtpLifetime), 10);
    let sides: Vec<_> = rig
        .events
        .iter()
        .filter_map(|event| {
            let Event::KeyExpired { port: at, side, .. } = event else {
                return None;
            };
            Some((*at, *side))
        })
        .collect();
    assert_eq!(sides, [(port(1), Side::Receive), (port(1), Side::Send)]);
}

#[test]
fn what_has_no_room_for_its_tag_does_not_leave() {
    let keys = (*keys(Suite::AesCm128Sha1_80, 1)).clone();
    let keys = Arc::new(keys.with_mki(&[1; 128]).expect("an MKI"));
    let mut rig = Rig::new(vec![
        spec(0, &[1], Security::Plain, Security::Plain),
        spec(1, &[0], Security::Plain, Security::Srtp(keys)),
    ]);
    let mut packet = rtp(1);
    packet.resize(BUFFER - 137, 0);
    assert_eq!(rig.relay(0, &packet), None);
    assert_eq!(rig.drops(0, Reason::SrtpRoom), 1);
    packet.resize(BUFFER - 138, 0);
    let left = rig.relay(0, &packet).expect("it fits");
    assert_eq!(left.len(), BUFFER);
}

#[test]
fn rtcp_that_moves_to_another_port_goes_on_with_its_index() {
    let (mut rig, mut party) = Rig::translating(Suite::AesCm128Sha1_80);
    let Security::Srtp(ours) = rig.specs[1].send.clone() else {
        panic!("it is secure");
    };
    let split = |via| {
        let mut plain = spec(0, &[1], Security::Plain, Security::Plain);
        plain.rtcp = Sinks::from_slice(&[Sink {
            via: port(via),
            feedback: Feedback::Keep,
            edit: None,
        }]);
        plain
    };
    rig.set(spec(2, &[0], Security::Pending, Security::Srtp(ours)));
    for via in [2, 1, 2] {
        rig.set(split(via));
        let left = rig.batch(&[(0, rtcp())]);
        assert_eq!(left[0].1, port(via));
        assert_eq!(party.open(Protocol::Rtcp, &left[0].0), Ok(rtcp()));
    }
}

#[test]
fn a_flood_of_made_up_streams_changes_nothing_for_the_true_one() {
    let (mut rig, mut party) = Rig::translating(Suite::AesCm128Sha1_80);
    for sequence in 0..300_u16 {
        let sealed = rig.relay(0, &rtp(sequence)).expect("it leaves");
        assert_eq!(party.open(Protocol::Rtp, &sealed), Ok(rtp(sequence)));
        let good = party.seal(Protocol::Rtp, &rtp(sequence));
        let mut batch = vec![(1, good)];
        for n in 0..20 {
            let ssrc = u32::from(sequence) * 100 + n;
            let mut forged = rtp_of(ssrc, sequence);
            forged.extend([0; 10]);
            batch.push((1, forged));
            batch.push((0, rtp_of(ssrc, sequence)));
        }
        let left = rig.batch(&batch);
        let heard = left.iter().filter(|(_, via)| *via == port(0));
        assert_eq!(heard.count(), 1, "the true one only");
    }
    let refused = rig.drops(0, Reason::SrtpSsrc);
    assert!(refused > 5_000, "of the made-up ones: {refused}");
}
