//! A phone made of two sockets: it says its tone in RTP, sends RTCP, and keeps what it hears.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use patchcord_media::srtp::Suite;

use crate::handshake::{DtlsSide, Handshake, Leg};
use crate::ice::Ice;
use crate::secure::Secure;
use crate::tone::{self, Tone};
use crate::{Family, Host, Packet, Sdp, rtp, sender_report};

/// Packets that each side sends in [`converse`].
const PACKETS: usize = 12;
/// Between two packets. Faster than speech: nothing in a relay waits for the pace.
const GAP: Duration = Duration::from_millis(2);
/// How long a packet may be under way.
const TRANSIT: Duration = Duration::from_secs(6);
/// How long silence is listened to before it counts as silence.
const SILENCE: Duration = Duration::from_millis(150);

/// How long a handshake may take, repetitions of lost flights included.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// Packets of 20 ms in half a second.
const HALF_SECOND: usize = 25;

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the phone to the relay.
    Out,
    /// From the relay to the phone.
    In,
}

/// Whether a phone's RTCP has a port of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Control {
    Split,
    Muxed,
}

/// A phone in one host.
pub struct Phone {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    control: Control,
    tone: Tone,
    hertz: f64,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// Where RTP and RTCP came from when it last conversed.
    heard_from: [Vec<SocketAddr>; 2],
    /// Its SRTP, if it speaks that.
    secure: Option<Box<RefCell<Secure>>>,
    /// The SRTP of its RTCP, if that has keys of its own.
    secure_rtcp: Option<Box<RefCell<Secure>>>,
    /// Its DTLS, if it speaks that.
    handshake: Option<Box<Handshake>>,
    /// What it has made keys with, at each of its ports: who lost its last flight is sent it again.
    legs: Vec<RefCell<Leg>>,
    /// Its ICE, if it speaks that.
    ice: Option<Box<RefCell<Ice>>>,
    /// Its profile, where it is another than its keys imply.
    profile: Option<&'static str>,
    /// Where it sends RTP to.
    pub peer: Option<SocketAddr>,
    /// Where it sends RTCP to.
    pub peer_rtcp: Option<SocketAddr>,
}

impl Phone {
    /// A phone at `host`, on `port` and the next one, that says `hertz`.
    pub fn new(host: &Host, family: Family, port: u16, hertz: f64) -> Self {
        let address = host.address(family);
        let open = |port| {
            let socket = host.netns.run(move || UdpSocket::bind((address, port)));
            let socket = socket.expect("the port is free");
            socket
                .set_nonblocking(true)
                .expect("a socket may not block");
            socket
        };
        Self {
            rtp: open(port),
            rtcp: open(if port == 0 { 0 } else { port + 1 }),
            control: Control::Split,
            tone: Tone::new(hertz),
            hertz,
            ssrc: 0x1000_0000 | hertz as u32,
            sequence: 100,
            timestamp: 0,
            heard_from: [Vec::new(), Vec::new()],
            secure: None,
            secure_rtcp: None,
            handshake: None,
            legs: Vec::new(),
            ice: None,
            profile: None,
            peer: None,
            peer_rtcp: None,
        }
    }

    /// The same, with RTCP on its RTP port.
    #[must_use]
    pub fn muxed(mut self) -> Self {
        self.control = Control::Muxed;
        self
    }

    /// The same, with SRTP by this suite and a key made of `seed`.
    #[must_use]
    pub fn secured(mut self, suite: Suite, seed: u8) -> Self {
        self.rekey(suite, seed);
        self
    }

    /// The same, with keys made by DTLS.
    #[must_use]
    pub fn shaking_hands(mut self, side: DtlsSide) -> Self {
        self.handshake = Some(Box::new(Handshake::new(side)));
        self
    }

    /// The same, as a browser: with ICE, on one port, in a browser's profile.
    #[must_use]
    pub fn in_a_browser(mut self) -> Self {
        self.ice = Some(Box::new(RefCell::new(Ice::new())));
        self.profile = Some("UDP/TLS/RTP/SAVPF");
        self.muxed()
    }

    /// The same, in a profile of another name than its keys imply, as RFC 8643 does.
    #[must_use]
    pub fn in_profile(mut self, profile: &'static str) -> Self {
        self.profile = Some(profile);
        self
    }

    /// The same, whose RTP begins at this sequence number.
    #[must_use]
    pub fn counting_from(mut self, sequence: u16) -> Self {
        self.sequence = sequence;
        self
    }

    /// From here on it uses this suite and a key made of `seed`. The other side's key stays.
    pub fn rekey(&mut self, suite: Suite, seed: u8) {
        let old = self.secure.take().map(|secure| secure.into_inner());
        let secure = Secure::new(suite, seed).after(old);
        self.secure = Some(Box::new(RefCell::new(secure)));
    }

    /// From here on it says another tone.
    pub fn retune(&mut self, hertz: f64) {
        (self.tone, self.hertz) = (Tone::new(hertz), hertz);
    }

    /// Its description of itself, to offer or answer with.
    pub fn sdp(&self) -> Sdp {
        let sdp = Sdp::audio(self.address());
        let sdp = match self.control {
            Control::Split => sdp,
            Control::Muxed => sdp.with("a=rtcp-mux"),
        };
        if let Some(handshake) = &self.handshake {
            let profile = self.profile.unwrap_or("UDP/TLS/RTP/SAVP");
            let sdp = handshake.describe(sdp.replaced("RTP/AVP", profile));
            return match &self.ice {
                Some(_) => Ice::describe(sdp, self.address()),
                None => sdp,
            };
        }
        let Some(secure) = &self.secure else {
            return match self.profile {
                Some(profile) => sdp.replaced("RTP/AVP", profile),
                None => sdp,
            };
        };
        let profile = self.profile.unwrap_or("RTP/SAVP");
        sdp.replaced("RTP/AVP", profile)
            .with(&secure.borrow().line())
    }

    /// Its RTP endpoint.
    pub fn address(&self) -> SocketAddr {
        self.rtp.local_addr().expect("it is bound")
    }

    /// The tone it says.
    pub fn hertz(&self) -> f64 {
        self.hertz
    }

    /// The SSRC it sends with.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Sends from here on to where `sdp` says.
    pub fn call(&mut self, sdp: &Sdp) {
        self.call_section(sdp, 0);
    }

    /// Sends from here on to where section `index` of `sdp` says.
    pub fn call_section(&mut self, sdp: &Sdp, index: usize) {
        self.peer = Some(sdp.rtp(index));
        self.peer_rtcp = Some(sdp.rtcp(index));
        if let Some(ice) = &self.ice {
            ice.borrow_mut().hear(sdp, index);
        }
        if let Some(handshake) = &mut self.handshake {
            handshake.hear(sdp, index);
        } else if let Some(secure) = &self.secure {
            secure.borrow_mut().hear(sdp, index);
        }
    }

    /// Whoever calls it chooses the path.
    pub fn is_called(&self) {
        if let Some(ice) = &self.ice {
            ice.borrow_mut().yields();
        }
    }

    /// Takes the path to another candidate of its peer from here on; whether that answered in time.
    pub fn moves_to(&mut self, place: SocketAddr) -> bool {
        (self.peer, self.peer_rtcp) = (Some(place), Some(place));
        let ice = self.ice.as_ref().expect("it speaks ICE");
        ice.borrow_mut().begin_anew();
        let answered = patiently(TRANSIT, || {
            if let Some(check) = ice.borrow_mut().check() {
                self.send(&check);
            }
            // Media that was under way is lost with the old path.
            let _lost = self.take(&self.rtp);
            ice.borrow().is_answered.then_some(())
        });
        answered.is_some()
    }

    /// Makes keys with whoever it calls, at all its ports at once; whether that came to an end in time.
    /// Of every datagram, either way, `keeps` says whether it is not lost.
    pub fn shake_hands(&mut self, mut keeps: impl FnMut() -> bool) -> Result<(), String> {
        self.shake_hands_over(|_, _, _| keeps())
    }

    /// The same; of every datagram of the handshake at the port of that number, 0 or 1, `keeps` says
    /// whether it is not lost.
    pub fn shake_hands_over(
        &mut self,
        mut keeps: impl FnMut(usize, Way, &[u8]) -> bool,
    ) -> Result<(), String> {
        let handshake = self.handshake.as_ref().expect("it speaks DTLS");
        let mut legs = vec![(&self.rtp, self.peer, handshake.leg())];
        if self.control == Control::Split {
            legs.push((&self.rtcp, self.peer_rtcp, handshake.leg()));
        }
        let start = Instant::now();
        while legs.iter().any(|(_, _, leg)| leg.keys.is_none()) {
            for (number, (socket, peer, leg)) in legs.iter_mut().enumerate() {
                let peer = peer.expect("someone was called");
                let mut arrived = Vec::new();
                while let Some((source, datagram)) = receive(socket) {
                    match (datagram.first(), &self.ice) {
                        (Some(0..=3), Some(ice)) => {
                            let answer = ice.borrow_mut().take(source, &datagram);
                            answer.map(|answer| socket.send_to(&answer, source));
                        }
                        (Some(20..=63), _) if keeps(number, Way::In, &datagram) => {
                            arrived.push(datagram);
                        }
                        _ => {}
                    }
                }
                if let Some(ice) = &self.ice {
                    let mut ice = ice.borrow_mut();
                    ice.check().map(|check| socket.send_to(&check, peer));
                    if !ice.is_answered {
                        continue;
                    }
                }
                for datagram in leg.turn(arrived) {
                    if keeps(number, Way::Out, &datagram) {
                        socket
                            .send_to(&datagram, peer)
                            .expect("the core is reachable");
                    }
                }
            }
            if let Some((_, _, leg)) = legs.iter().find(|(_, _, leg)| leg.state().is_final()) {
                return Err(format!("{:?}", leg.state()));
            }
            if start.elapsed() > HANDSHAKE {
                return Err("not in time".to_owned());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut legs: Vec<Leg> = legs.into_iter().map(|(_, _, leg)| leg).collect();
        let mut made = legs.iter_mut().filter_map(|leg| {
            let keys = leg.keys.take()?;
            let secure = Secure::with_keys(keys.send, keys.receive);
            Some(Box::new(RefCell::new(secure)))
        });
        (self.secure, self.secure_rtcp) = (made.next(), made.next());
        self.legs = legs.into_iter().map(RefCell::new).collect();
        Ok(())
    }

    /// Says the next 20 ms of its tone.
    pub fn speak(&mut self) {
        let packet = self.utter();
        self.send(&packet);
    }

    /// The next 20 ms of its tone as they would leave, for a test to send when it likes.
    pub fn utter(&mut self) -> Vec<u8> {
        let frame = self.tone.frame();
        let packet = rtp(self.sequence, self.timestamp, self.ssrc, &frame);
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(frame.len() as u32);
        self.sealed(packet)
    }

    /// A packet as it leaves.
    fn sealed(&self, packet: Vec<u8>) -> Vec<u8> {
        match &self.secure {
            Some(secure) => secure.borrow_mut().seal(&packet),
            None => packet,
        }
    }

    /// A datagram as it is understood.
    fn opened(&self, (source, datagram): (SocketAddr, Vec<u8>)) -> (SocketAddr, Vec<u8>) {
        match &self.secure {
            Some(secure) => (source, secure.borrow_mut().open(datagram)),
            None => (source, datagram),
        }
    }

    /// Sends any packet of RTP as it leaves: under its keys, if it has some.
    pub fn say(&self, packet: &[u8]) {
        self.send(&self.sealed(packet.to_vec()));
    }

    /// Takes over from another program at its port the keys that this has made and exported (RFC 5764 §4.2).
    pub fn take_keys(&mut self, suite: Suite, is_client: bool, material: &[u8]) {
        let secure = Secure::exported(suite, is_client, material);
        self.secure = Some(Box::new(RefCell::new(secure)));
    }

    /// Sends any bytes to the peer's RTP port.
    pub fn send(&self, datagram: &[u8]) {
        let peer = self.peer.expect("someone was called");
        self.rtp
            .send_to(datagram, peer)
            .expect("the core is reachable");
    }

    /// Sends RTCP from the port that it belongs to.
    pub fn send_rtcp(&self, packet: &[u8]) {
        let peer = self.peer_rtcp.expect("someone was called");
        let sealed = match &self.secure_rtcp {
            Some(secure) => secure.borrow_mut().seal(packet),
            None => self.sealed(packet.to_vec()),
        };
        self.control_socket()
            .send_to(&sealed, peer)
            .expect("the core is reachable");
    }

    /// Forgets what has arrived so far.
    pub fn flush(&self) {
        while self.take(&self.rtp).is_some() {}
        while self.take(&self.rtcp).is_some() {}
    }

    /// The next datagram at its RTP port, and its source.
    pub fn receive(&self) -> Option<(SocketAddr, Vec<u8>)> {
        patiently(TRANSIT, || self.take(&self.rtp)).map(|got| self.opened(got))
    }

    /// What is there already at its RTP port, and its source.
    pub fn arrived(&self) -> Option<(SocketAddr, Vec<u8>)> {
        self.take(&self.rtp).map(|got| self.opened(got))
    }

    /// The same, or what comes in the next moment.
    pub fn arrived_soon(&self) -> Option<(SocketAddr, Vec<u8>)> {
        patiently(SILENCE, || self.arrived())
    }

    /// The next datagram at the port that its RTCP belongs to, and its source.
    pub fn receive_rtcp(&self) -> Option<(SocketAddr, Vec<u8>)> {
        patiently(TRANSIT, || self.take(self.control_socket())).map(|got| self.opened_rtcp(got))
    }

    /// What is there already at the port that its RTCP belongs to, and its source.
    pub fn arrived_rtcp(&self) -> Option<(SocketAddr, Vec<u8>)> {
        self.take(self.control_socket()).map(|got| self.opened(got))
    }

    /// Whether nothing reaches its RTP port for a while.
    pub fn is_left_alone(&self) -> bool {
        patiently(SILENCE, || self.take(&self.rtp)).is_none()
    }

    /// Collects `packets` RTP packets, or as many as come in time.
    pub fn hear(&self, packets: usize) -> Heard {
        let start = Instant::now();
        let mut heard = Heard::default();
        while heard.packets.len() < packets && start.elapsed() < TRANSIT {
            match self.take(&self.rtp).map(|got| self.opened(got)) {
                Some((source, datagram)) => heard.take(source, &datagram),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        heard
    }

    /// Whether the last packets that arrived, with those of `heard`, are a tone of `hertz`.
    ///
    /// Takes what is there without waiting, and keeps the last half second in `heard`.
    pub fn overhears(&self, heard: &mut Heard, hertz: f64) -> bool {
        while let Some((source, datagram)) = self.take(&self.rtp).map(|got| self.opened(got)) {
            heard.take(source, &datagram);
        }
        heard
            .packets
            .drain(..heard.packets.len().saturating_sub(HALF_SECOND));
        heard.packets.len() == HALF_SECOND && heard.is_tone(hertz)
    }

    /// An RTCP datagram as it is understood.
    fn opened_rtcp(&self, (source, datagram): (SocketAddr, Vec<u8>)) -> (SocketAddr, Vec<u8>) {
        match &self.secure_rtcp {
            Some(secure) => (source, secure.borrow_mut().open(datagram)),
            None => self.opened((source, datagram)),
        }
    }

    /// The next datagram that is media; what its handshakes have left to say is none.
    fn take(&self, socket: &UdpSocket) -> Option<(SocketAddr, Vec<u8>)> {
        loop {
            let (source, datagram) = receive(socket)?;
            match (datagram.first(), &self.ice) {
                (Some(0..=3), Some(ice)) => {
                    if let Some(answer) = ice.borrow_mut().take(source, &datagram) {
                        socket
                            .send_to(&answer, source)
                            .expect("the core is reachable");
                    }
                }
                (Some(20..=63), _) if self.handshake.is_some() => {
                    self.repeats(socket, source, datagram);
                }
                _ => return Some((source, datagram)),
            }
        }
    }

    /// Answers what still comes of a handshake.
    fn repeats(&self, socket: &UdpSocket, source: SocketAddr, datagram: Vec<u8>) {
        let leg = self
            .legs
            .get(usize::from(std::ptr::eq(socket, &raw const self.rtcp)));
        let answers = leg.map(|leg| leg.borrow_mut().turn([datagram]));
        for answer in answers.into_iter().flatten() {
            socket
                .send_to(&answer, source)
                .expect("the core is reachable");
        }
    }

    fn control_socket(&self) -> &UdpSocket {
        match self.control {
            Control::Split => &self.rtcp,
            Control::Muxed => &self.rtp,
        }
    }
}

/// What a phone heard.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    /// Its RTP packets, in order of arrival.
    pub packets: Vec<Packet>,
    /// Where they came from, without repetition.
    pub sources: Vec<SocketAddr>,
    /// What was no RTP, or could not be opened.
    pub others: Vec<Vec<u8>>,
}

impl Heard {
    /// Whether most of it is a tone of `hertz`.
    pub fn is_tone(&self, hertz: f64) -> bool {
        let octets = self.packets.iter().flat_map(|packet| &packet.payload);
        let samples: Vec<i16> = octets.map(|&octet| tone::decode(octet)).collect();
        tone::is_heard(&samples, tone::RATE, hertz)
    }

    fn take(&mut self, source: SocketAddr, datagram: &[u8]) {
        if !self.sources.contains(&source) {
            self.sources.push(source);
        }
        match Packet::parse(datagram) {
            Some(packet) => self.packets.push(packet),
            None => self.others.push(datagram.to_vec()),
        }
    }
}

/// Both speak and send RTCP; each must hear all of the other's tone, and its RTCP where it belongs,
/// from the very ports that it sends to.
///
/// # Panics
/// Where one does not, saying which and what it got instead.
pub fn converse(a: &mut Phone, b: &mut Phone) {
    converse_all(&mut [(a, b)]);
}

/// Several pairs at once, as [`converse`].
pub fn converse_all(pairs: &mut [(&mut Phone, &mut Phone)]) {
    converse_in(pairs);
    for one in pairs.iter_mut().flat_map(|(a, b)| [&*a, &*b]) {
        let (me, peers) = (one.address(), [one.peer, one.peer_rtcp].map(Vec::from_iter));
        assert_eq!(
            one.heard_from, peers,
            "{me} hears from elsewhere than it speaks to"
        );
    }
}

/// As [`converse`], from whatever ports.
pub fn converse_asymmetrically(a: &mut Phone, b: &mut Phone) {
    converse_in(&mut [(a, b)]);
}

fn converse_in(pairs: &mut [(&mut Phone, &mut Phone)]) {
    for (a, b) in &mut *pairs {
        a.flush();
        b.flush();
    }
    for _ in 0..PACKETS {
        for (a, b) in &mut *pairs {
            a.speak();
            b.speak();
        }
        std::thread::sleep(GAP);
    }
    for (a, b) in pairs {
        hears(a, b);
        hears(b, a);
        gets_rtcp(a, b);
        gets_rtcp(b, a);
    }
}

/// `one` hears exactly what `other` said last.
fn hears(one: &mut Phone, other: &Phone) {
    let (me, them) = (one.address(), other.address());
    let heard = one.hear(PACKETS);
    let got: Vec<u16> = heard.packets.iter().map(|packet| packet.sequence).collect();
    let first = other.sequence.wrapping_sub(PACKETS as u16);
    assert_eq!(
        got.len(),
        PACKETS,
        "{me} heard {got:?} of {PACKETS} from {first} on from {them}, and {:x?}",
        heard.others
    );
    assert!(
        heard.is_tone(other.hertz),
        "{me} did not hear {} Hz",
        other.hertz
    );
    for (packet, number) in heard.packets.iter().zip(0..) {
        let sequence = first.wrapping_add(number);
        assert_eq!(
            (packet.sequence, packet.ssrc),
            (sequence, other.ssrc),
            "at {me}"
        );
    }
    one.heard_from[0] = heard.sources;
}

/// `one` gets the RTCP of `other`, octet for octet.
fn gets_rtcp(one: &mut Phone, other: &Phone) {
    let (me, them) = (one.address(), other.address());
    let report = sender_report(other.ssrc, PACKETS as u32);
    other.send_rtcp(&report);
    let Some((source, got)) = one.receive_rtcp() else {
        panic!("{me} got no RTCP from {them}")
    };
    assert_eq!(got, report, "RTCP from {them} changed on its way to {me}");
    one.heard_from[1] = vec![source];
}

fn receive(socket: &UdpSocket) -> Option<(SocketAddr, Vec<u8>)> {
    let mut buffer = vec![0; 65_535];
    match socket.recv_from(&mut buffer) {
        Ok((length, source)) => {
            buffer.truncate(length);
            Some((source, buffer))
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        // An ICMP refusal of something sent earlier: the relay has closed that port.
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => None,
        Err(error) => panic!("receiving: {error}"),
    }
}

fn patiently<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = probe();
        if found.is_some() || start.elapsed() >= limit {
            return found;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
