//! What checks say and when they are sent.

use std::time::Duration;

use patchcord_contract::Endpoint;
use patchcord_control::ice::{
    CandidateType, Component, LocalId, Mode, Output, PACE, RETRIES, RTO, Standing,
};
use patchcord_wire::stun::{Class, ErrorCode, Key, Message, Method, Role, TransactionId, Writer};

use crate::net::{LEFT, Net, RIGHT, endpoint};

const SECOND: Duration = Duration::from_secs(1);
const PEER: &str = "203.0.113.1:20000";

/// A peer that is played by hand, of the left agent of a net.
pub(crate) struct Peer {
    pub(crate) local: LocalId,
    pub(crate) ufrag: Vec<u8>,
    pub(crate) pwd: Vec<u8>,
    pub(crate) sequence: u8,
}

impl Peer {
    /// The left agent of `net` has one candidate and knows the right one's credentials.
    pub(crate) fn of(net: &Net) -> Self {
        let right = &net.sides[RIGHT];
        let theirs = right.agent.credentials(right.lists[0]);
        Self {
            local: *net.sides[LEFT].bases.keys().next().expect("a candidate"),
            ufrag: theirs.ufrag().into(),
            pwd: theirs.pwd().into(),
            sequence: 0,
        }
    }

    /// A check of the peer, with what `more` adds.
    pub(crate) fn check(&mut self, net: &Net, more: impl Fn(&mut Writer<'_>)) -> Vec<u8> {
        let left = &net.sides[LEFT];
        let ours = left.agent.credentials(left.lists[0]);
        self.sequence = self.sequence.wrapping_add(1);
        let mut buffer = [0; 1_024];
        let id = TransactionId([self.sequence; 12]);
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id);
        writer.username(ours.ufrag(), &self.ufrag);
        more(&mut writer);
        let len = writer.finish(&Key::new(ours.pwd())).expect("room");
        buffer[..len].to_vec()
    }

    /// The peer's good response to a request of ours.
    pub(crate) fn respond(&self, request: &[u8], seen: Endpoint) -> Vec<u8> {
        let request = Message::parse(request).expect("our request");
        let mut buffer = [0; 256];
        let id = request.transaction;
        let mut writer = Writer::new(&mut buffer, Class::Success, Method::BINDING, id);
        writer.mapped(seen.socket_addr());
        let len = writer.finish(&Key::new(&self.pwd)).expect("room");
        buffer[..len].to_vec()
    }
}

/// An ordinary check of a controlling peer.
pub(crate) fn plain(writer: &mut Writer<'_>) {
    writer.priority(1_000).role(Role::Controlling(1));
}

/// The same, that nominates.
pub(crate) fn nominating(writer: &mut Writer<'_>) {
    plain(writer);
    writer.use_candidate();
}

/// A left agent that is controlled, and a peer by hand behind a wall.
pub(crate) fn controlled(seed: u64) -> (Net, Peer) {
    use patchcord_control::ice::Role::{Controlled, Controlling};
    let mut net = Net::with_roles(seed, [Mode::Full; 2], [Controlled, Controlling]);
    net.pair_up();
    net.cut = true;
    net.tell_credentials(LEFT, 0);
    let peer = Peer::of(&net);
    (net, peer)
}

fn code(out: &Output) -> Option<u16> {
    let message = Message::parse(&out.transmits.first()?.bytes).expect("a response");
    message.error.map(|error| error.code)
}

#[test]
fn a_check_is_repeated_at_doubling_intervals_and_then_given_up() {
    let mut net = Net::new(1, [Mode::Full; 2]);
    net.pair_up();
    net.cut = true;
    net.tell(LEFT, 0);
    let start = net.now;
    net.run(39 * SECOND);
    let times: Vec<_> = net.sides[LEFT]
        .sent
        .iter()
        .map(|sent| sent.0.since(start))
        .collect();
    let mut expected = vec![Duration::ZERO];
    for retry in 0..u32::from(RETRIES) {
        expected.push(expected[retry as usize] + RTO * 2_u32.pow(retry));
    }
    assert_eq!(times, expected);
    let first = &net.sides[LEFT].sent[0].3;
    assert!(net.sides[LEFT].sent.iter().all(|sent| sent.3 == *first));
    assert!(
        !net.sides[LEFT]
            .agent
            .pairs(net.sides[LEFT].lists[0])
            .any(|pair| { pair.state != patchcord_control::ice::PairState::Failed })
    );
}

#[test]
fn new_checks_keep_their_pace() {
    let mut net = Net::new(2, [Mode::Full; 2]);
    net.cut = true;
    net.host(LEFT, 0, Component::Rtp, "198.51.100.1:10000");
    for nth in 1..=60 {
        net.host(RIGHT, 0, Component::Rtp, &format!("203.0.113.{nth}:10000"));
    }
    net.tell(LEFT, 0);
    net.run(SECOND);
    let mut seen = std::collections::BTreeSet::new();
    let fresh = net.sides[LEFT]
        .sent
        .iter()
        .filter(|sent| seen.insert(sent.2));
    let times: Vec<_> = fresh.map(|sent| sent.0).collect();
    assert!(times.len() > 45, "{}", times.len());
    assert!(times.windows(2).all(|w| w[1].since(w[0]) >= PACE));
}

#[test]
fn a_check_has_what_the_rfc_wants() {
    let mut net = Net::new(3, [Mode::Full; 2]);
    net.pair_up();
    net.tell(LEFT, 0);
    let (_, _, to, bytes) = &net.sides[LEFT].sent[0];
    let message = Message::parse(bytes).expect("our check");
    let [left, right] = &net.sides;
    let ours = left.agent.credentials(left.lists[0]);
    let theirs = right.agent.credentials(right.lists[0]);
    assert_eq!(*to, endpoint(PEER));
    assert_eq!(message.ufrags(), Some((theirs.ufrag(), ours.ufrag())));
    assert!(message.verify(&Key::new(theirs.pwd())) && message.is_sealed());
    assert!(matches!(message.role, Some(Role::Controlling(_))));
    assert!(!message.use_candidate, "regular nomination");
    // Type preference 110, the candidate's local preference, component 1.
    assert_eq!(message.priority, Some(110 << 24 | 65_535 << 8 | 255));
    let candidate = left.agent.candidates(left.lists[0]).next().expect("ours");
    assert_eq!(candidate.priority, 126 << 24 | 65_535 << 8 | 255);
}

#[test]
fn candidates_of_one_address_share_a_foundation() {
    let mut net = Net::new(4, [Mode::Full; 2]);
    let video = net.section();
    net.host(LEFT, 0, Component::Rtp, "198.51.100.1:1000");
    net.host(LEFT, 0, Component::Rtcp, "198.51.100.1:1001");
    net.host(LEFT, 0, Component::Rtp, "198.51.100.2:1000");
    net.host(LEFT, video, Component::Rtp, "198.51.100.1:2000");
    net.candidate(
        LEFT,
        video,
        Component::Rtp,
        "198.51.100.1:2001",
        CandidateType::Relayed,
    );
    let side = &net.sides[LEFT];
    let foundations: Vec<_> = side
        .lists
        .iter()
        .flat_map(|list| side.agent.candidates(*list))
        .map(|candidate| candidate.foundation)
        .collect();
    assert_eq!(foundations, [1, 1, 2, 1, 3]);
}

#[test]
fn credentials_are_long_enough_and_never_the_same() {
    let mut net = Net::new(5, [Mode::Full; 2]);
    let side = &mut net.sides[LEFT];
    let list = side.lists[0];
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let ours = side.agent.credentials(list);
        assert!(ours.ufrag().len() >= 4 && ours.pwd().len() >= 22);
        let ice = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
        assert!(ours.ufrag().iter().chain(ours.pwd()).all(ice));
        assert!(seen.insert((ours.ufrag().to_vec(), ours.pwd().to_vec())));
        side.agent.restart(list, &mut side.random);
    }
    let shown = format!("{:?}", side.agent);
    let pwd = String::from_utf8_lossy(side.agent.credentials(list).pwd()).into_owned();
    assert!(!shown.contains(&pwd));
}

#[test]
fn what_must_be_understood_and_is_not_is_refused() {
    let (mut net, mut peer) = controlled(6);
    let check = peer.check(&net, |w| {
        w.error(ErrorCode::BAD_REQUEST);
    });
    let out = net.inject(LEFT, peer.local, endpoint(PEER), &check);
    assert_eq!(code(&out), Some(400), "no priority");
    let mut check = peer.check(&net, plain);
    // PRIORITY becomes an attribute that nobody knows; the tags are made again.
    let at = check
        .windows(4)
        .position(|w| w == [0, 0x24, 0, 4])
        .expect("PRIORITY");
    check[at] = 0x7f;
    let check = resign(&net, &check);
    let out = net.inject(LEFT, peer.local, endpoint(PEER), &check);
    assert_eq!(code(&out), Some(420));
    assert!(
        out.transmits[0]
            .bytes
            .windows(6)
            .any(|w| w == [0, 0x0a, 0, 2, 0x7f, 0x24])
    );
    assert_eq!(net.sides[LEFT].agent.admitted(peer.local).count(), 0);
}

/// The message with its MESSAGE-INTEGRITY made anew under the left agent's password.
fn resign(net: &Net, check: &[u8]) -> Vec<u8> {
    let left = &net.sides[LEFT];
    let key = Key::new(left.agent.credentials(left.lists[0]).pwd());
    let mut bytes = check.to_vec();
    let at = bytes
        .windows(4)
        .position(|w| w == [0, 8, 0, 20])
        .expect("an integrity");
    let mut header = [0; 20];
    header.copy_from_slice(&bytes[..20]);
    bytes.truncate(at);
    // A writer that continues what is there: same header, the rest as an opaque copy.
    let mut buffer = vec![0; 512];
    let id = TransactionId(std::array::from_fn(|n| header[8 + n]));
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id);
    writer.raw(&bytes[20..]);
    let len = writer.finish(&key).expect("room");
    buffer.truncate(len);
    buffer
}

#[test]
fn the_end_of_candidates_hastens_the_nomination() {
    let time = |end: bool| {
        let mut net = Net::new(7, [Mode::Full; 2]);
        net.pair_up();
        net.tell(RIGHT, 0);
        net.run(Duration::from_millis(30));
        if end {
            net.tell(LEFT, 0);
        } else {
            net.tell_credentials(LEFT, 0);
            net.tell_candidates(LEFT, 0);
        }
        let start = net.now;
        assert!(net.run_until(SECOND, Net::both_connected));
        net.now.since(start)
    };
    assert!(time(true) < Duration::from_millis(70), "{:?}", time(true));
    assert!(
        time(false) > Duration::from_millis(100),
        "{:?}",
        time(false)
    );
}

/// Has the left agent's check to `source` answered, as far as one is under way.
fn answer(net: &mut Net, peer: &Peer, source: &str, out: &Output) {
    for transmit in &out.transmits {
        let message = Message::parse(&transmit.bytes).expect("STUN");
        if message.class == Class::Request && transmit.to == endpoint(source) {
            let response = peer.respond(&transmit.bytes, endpoint("198.51.100.1:10000"));
            net.inject(LEFT, peer.local, endpoint(source), &response);
        }
    }
}

/// The peer checks from `source`, and answers what comes back.
fn visit(net: &mut Net, peer: &mut Peer, source: &str, more: impl Fn(&mut Writer<'_>)) {
    let check = peer.check(net, more);
    let mut out = net.inject(LEFT, peer.local, endpoint(source), &check);
    net.now = net.now + PACE;
    let side = &mut net.sides[LEFT];
    side.agent.tick(net.now, &mut side.random, &mut out);
    answer(net, peer, source, &out);
}

#[test]
fn of_pairs_nominated_at_once_the_best_is_used() {
    let (mut net, mut peer) = controlled(8);
    let way = |net: &Net| net.way(LEFT, Component::Rtp).map(|way| way.1);
    visit(&mut net, &mut peer, "203.0.113.9:1", |w| {
        w.priority(500).role(Role::Controlling(1)).use_candidate();
    });
    assert_eq!(way(&net), Some(endpoint("203.0.113.9:1")));
    visit(&mut net, &mut peer, "203.0.113.9:2", |w| {
        w.priority(900).role(Role::Controlling(1)).use_candidate();
    });
    assert_eq!(way(&net), Some(endpoint("203.0.113.9:2")), "a better one");
    visit(&mut net, &mut peer, "203.0.113.9:1", |w| {
        w.priority(500).role(Role::Controlling(1)).use_candidate();
    });
    assert_eq!(way(&net), Some(endpoint("203.0.113.9:2")), "a worse one");
}

#[test]
fn a_peer_that_moved_and_nominates_a_worse_pair_is_followed() {
    let (mut net, mut peer) = controlled(9);
    visit(&mut net, &mut peer, "203.0.113.9:2", nominating);
    net.run(4 * SECOND);
    visit(&mut net, &mut peer, "203.0.113.9:1", |w| {
        w.priority(5).role(Role::Controlling(1)).use_candidate();
    });
    let way = net.way(LEFT, Component::Rtp).map(|way| way.1);
    assert_eq!(way, Some(endpoint("203.0.113.9:1")));
}

#[test]
fn a_pair_is_used_before_its_nomination_and_not_before_its_check() {
    let (mut net, mut peer) = controlled(10);
    let check = peer.check(&net, plain);
    let out = net.inject(LEFT, peer.local, endpoint(PEER), &check);
    assert_eq!(out.transmits.len(), 2, "a response and a triggered check");
    assert_eq!(net.selected(LEFT, 0, Component::Rtp), None);
    answer(&mut net, &peer, PEER, &out);
    let standing = |net: &Net| {
        net.selected(LEFT, 0, Component::Rtp)
            .map(|pair| pair.standing)
    };
    assert_eq!(standing(&net), Some(Standing::Valid));
    visit(&mut net, &mut peer, PEER, nominating);
    assert_eq!(standing(&net), Some(Standing::Nominated));
}

#[test]
fn a_response_from_elsewhere_ends_the_pair() {
    let (mut net, mut peer) = controlled(11);
    let check = peer.check(&net, nominating);
    let out = net.inject(LEFT, peer.local, endpoint(PEER), &check);
    let response = peer.respond(&out.transmits[1].bytes, endpoint("198.51.100.1:10000"));
    net.inject(LEFT, peer.local, endpoint("203.0.113.1:20001"), &response);
    net.inject(LEFT, peer.local, endpoint(PEER), &response);
    assert_eq!(net.selected(LEFT, 0, Component::Rtp), None);
}

#[test]
fn another_branch_of_the_call_gets_no_answer() {
    let (mut net, mut peer) = controlled(12);
    peer.ufrag = b"another".to_vec();
    let check = peer.check(&net, nominating);
    let out = net.inject(LEFT, peer.local, endpoint(PEER), &check);
    assert_eq!(out.transmits.len(), 0);
    assert_eq!(net.sides[LEFT].agent.admitted(peer.local).count(), 0);
}

#[test]
fn a_peer_that_begins_anew_is_answered_once_its_new_names_are_known() {
    let (mut net, mut peer) = controlled(13);
    visit(&mut net, &mut peer, PEER, nominating);
    assert!(net.selected(LEFT, 0, Component::Rtp).is_some());
    let elsewhere = endpoint("203.0.113.1:20002");
    let answers = |net: &mut Net, from: &str, check: &[u8]| {
        let local = *net.sides[LEFT].bases.keys().next().expect("a candidate");
        net.inject(LEFT, local, endpoint(from), check)
            .transmits
            .len()
    };
    // It has a new port and new names, and does not know ours of the new generation yet.
    let mut anew = Peer {
        ufrag: b"anew".to_vec(),
        ..Peer::of(&net)
    };
    let early = anew.check(&net, nominating);
    assert_eq!(answers(&mut net, "203.0.113.1:20002", &early), 0);
    let consent = peer.check(&net, plain);
    let side = &mut net.sides[LEFT];
    let (list, mut out) = (side.lists[0], Output::default());
    assert!(side.agent.is_restart(list, &anew.ufrag, &anew.pwd));
    side.agent.restart(list, &mut side.random);
    side.agent.describe(
        net.now,
        list,
        &anew.ufrag,
        &anew.pwd,
        &mut side.random,
        &mut out,
    );
    assert_eq!(
        answers(&mut net, "203.0.113.1:20002", &early),
        0,
        "still to our old names"
    );
    assert_eq!(
        answers(&mut net, PEER, &consent),
        1,
        "what is in use goes on"
    );
    let check = anew.check(&net, nominating);
    let out = net.inject(LEFT, anew.local, elsewhere, &check);
    answer(&mut net, &anew, "203.0.113.1:20002", &out);
    visit(&mut net, &mut anew, "203.0.113.1:20002", nominating);
    let selected = net.selected(LEFT, 0, Component::Rtp).expect("the new pair");
    assert_eq!(
        (selected.remote, selected.standing),
        (elsewhere, Standing::Nominated)
    );
}
