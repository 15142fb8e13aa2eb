//! One section of one call: a browser's socket and a plain phone's, and what passes between them.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use patchcord_contract::Time;
use patchcord_dtls::{Association, Certificate, Event, Expect, Options, Output, Role};
use patchcord_media::Packet;
use patchcord_media::flow::PortId;
use patchcord_media::srtp::{Opening, Protocol, Receiver, Tier, open};
use patchcord_wire::sdp::Fingerprint;

use super::ice::Lite;
use super::{Loss, time};

/// Between two packets of the plain side: what is measured is not to wait for them.
const PACE: Duration = Duration::from_millis(1);
/// Bytes of a datagram.
const LONGEST: usize = 2048;

/// Both ends of a section.
pub(super) struct Leg {
    pub(super) web: UdpSocket,
    pub(super) plain: UdpSocket,
    lite: Lite,
    loss: Loss,
    /// Where the relay takes the browser's packets and the phone's.
    relay: Option<[SocketAddr; 2]>,
    association: Option<Association>,
    receiver: Option<Box<Receiver>>,
    began: Instant,
    /// Whether the relay has checked the browser's address.
    is_checked: bool,
    spoke: Option<Instant>,
    sequence: u16,
    /// When there were keys, and when the first packet could be opened.
    pub(super) keys: Option<Instant>,
    pub(super) media: Option<Instant>,
}

/// What the relay said of a section to its browser.
pub(super) struct Told {
    pub(super) web: SocketAddr,
    pub(super) plain: SocketAddr,
    pub(super) role: Role,
    pub(super) fingerprints: Vec<Fingerprint>,
}

impl Leg {
    pub(super) fn new(addresses: [std::net::IpAddr; 2], loss: Loss, now: Instant) -> Result<Self> {
        let bind = |address| -> Result<UdpSocket> {
            let socket = UdpSocket::bind((address, 0)).context("a socket")?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        Ok(Self {
            web: bind(addresses[0])?,
            plain: bind(addresses[1])?,
            lite: Lite::new(),
            loss,
            relay: None,
            association: None,
            receiver: None,
            began: now,
            is_checked: false,
            spoke: None,
            sequence: 0,
            keys: None,
            media: None,
        })
    }

    /// The call is up: handshakes may begin, and the phone speaks.
    pub(super) fn answer(&mut self, told: &Told, certificate: &Arc<Certificate>, now: Instant) {
        let options = Options {
            expect: Expect::Browser,
            trusted_path: true,
            ..Options::new(told.role, Arc::clone(certificate))
        };
        let mut association = Association::new(options, &told.fingerprints);
        if self.is_checked {
            association.start(time(self.began, now));
        }
        self.association = Some(association);
        self.relay = Some([told.web, told.plain]);
    }

    /// Does what is due; whether anything was.
    pub(super) fn turn(&mut self, now: Instant) -> Result<bool> {
        let mut moved = self.hear(now)?;
        moved |= self.shake_hands(now)?;
        let due = self.spoke.is_none_or(|last| now - last >= PACE);
        if let Some([_, to]) = self.relay.filter(|_| due && self.media.is_none()) {
            self.spoke = Some(now);
            self.sequence += 1;
            let mut packet = [0xd5; 12 + 160];
            packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
            packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
            put(&self.plain, &packet, to)?;
        }
        Ok(moved)
    }

    /// Takes what arrived at the browser.
    fn hear(&mut self, now: Instant) -> Result<bool> {
        let mut moved = false;
        let mut buffer = [0; LONGEST];
        loop {
            let (len, from) = match self.web.recv_from(&mut buffer) {
                Ok(got) => got,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(moved),
                Err(e) if e.kind() == ErrorKind::ConnectionRefused => continue,
                Err(e) => return Err(e).context("a browser's socket"),
            };
            moved = true;
            if !self.loss.spares() {
                continue;
            }
            match buffer[0] {
                0..=3 => {
                    let mut out = [0; 256];
                    if let Some(len) = self.lite.answer(from, &buffer[..len], &mut out)
                        && self.loss.spares()
                    {
                        put(&self.web, &out[..len], from)?;
                        self.path_is_there(now);
                    }
                }
                20..=63 => {
                    let at = time(self.began, now);
                    if let Some(association) = &mut self.association {
                        association.datagram(at, &buffer[..len]);
                    }
                }
                _ => self.open(&mut buffer, len, now),
            }
        }
    }

    /// Who is lite begins once it was checked: before that nobody listens.
    fn path_is_there(&mut self, now: Instant) {
        self.is_checked = true;
        if let Some(association) = &mut self.association {
            association.start(time(self.began, now));
        }
    }

    fn shake_hands(&mut self, now: Instant) -> Result<bool> {
        let (Some(association), Some([relay, _])) = (&mut self.association, self.relay) else {
            return Ok(false);
        };
        association.timeout(time(self.began, now));
        let mut moved = false;
        while let Some(output) = association.poll() {
            moved = true;
            match output {
                Output::Datagram(bytes) if self.loss.spares() => put(&self.web, &bytes, relay)?,
                Output::Event(Event::Keys(keys)) => {
                    self.keys = Some(now);
                    let receiver = Receiver::new(Tier::best(), Arc::new(keys.receive));
                    self.receiver = Some(Box::new(receiver));
                }
                Output::Datagram(_) | Output::Event(Event::Changed(_)) => {}
            }
        }
        Ok(moved)
    }

    fn open(&mut self, buffer: &mut [u8], len: usize, now: Instant) {
        let Some(receiver) = &mut self.receiver else {
            return;
        };
        let mut packet = Packet::new(buffer, len);
        let port = PortId::new(0, 0).expect("a small slot");
        let mut jobs = [Opening::new(port, Protocol::Rtp, &mut packet)];
        open(Time::ZERO, Tier::best(), &mut **receiver, &mut jobs);
        if jobs[0].outcome().is_ok() {
            self.media.get_or_insert(now);
        }
    }
}

/// Sends; what a full or refusing network does not take is lost.
fn put(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) -> Result<()> {
    match socket.send_to(bytes, to) {
        Ok(_) => Ok(()),
        Err(e)
            if matches!(
                e.kind(),
                ErrorKind::WouldBlock | ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(())
        }
        Err(e) => Err(e).context("sending"),
    }
}
