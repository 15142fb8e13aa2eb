//! A browser's transport: one socket, one lite side of ICE, one handshake, for one section or a bundle.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use patchcord_contract::Time;
use patchcord_dtls::{Association, Certificate, Event, Expect, Options, Output, Role};
use patchcord_media::Packet;
use patchcord_media::flow::PortId;
use patchcord_media::srtp::{Opening, Protocol, Receiver, Tier, open};
use patchcord_wire::sdp::Fingerprint;

use super::ice::Lite;
use super::{Loss, time};

/// Bytes of a datagram.
const LONGEST: usize = 2048;

/// A transport.
pub(super) struct Transport {
    pub(super) web: UdpSocket,
    lite: Lite,
    loss: Loss,
    /// Where the relay takes its packets.
    relay: Option<SocketAddr>,
    association: Option<Association>,
    receiver: Option<Box<Receiver>>,
    began: Instant,
    /// Whether the relay has checked the browser's address.
    is_checked: bool,
    /// When there were keys.
    pub(super) keys: Option<Instant>,
}

/// What the relay said of a transport to its browser.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) at: SocketAddr,
    pub(super) role: Role,
    pub(super) fingerprints: Vec<Fingerprint>,
}

impl Transport {
    pub(super) fn new(address: IpAddr, loss: Loss, now: Instant) -> Result<Self> {
        Ok(Self {
            web: bind(address)?,
            lite: Lite::new(),
            loss,
            relay: None,
            association: None,
            receiver: None,
            began: now,
            is_checked: false,
            keys: None,
        })
    }

    /// The call is up: the handshake may begin.
    pub(super) fn answer(&mut self, peer: &Peer, certificate: &Arc<Certificate>, now: Instant) {
        let options = Options {
            expect: Expect::Browser,
            trusted_path: true,
            ..Options::new(peer.role, Arc::clone(certificate))
        };
        let mut association = Association::new(options, &peer.fingerprints);
        if self.is_checked {
            association.start(time(self.began, now));
        }
        self.association = Some(association);
        self.relay = Some(peer.at);
    }

    /// Does what is due, and shows each packet that could be opened; whether anything was.
    pub(super) fn turn(&mut self, now: Instant, see: impl FnMut(&[u8])) -> Result<bool> {
        let heard = self.hear(now, see)?;
        Ok(self.shake_hands(now)? || heard)
    }

    /// Takes what arrived.
    fn hear(&mut self, now: Instant, mut see: impl FnMut(&[u8])) -> Result<bool> {
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
                _ => self.open(&mut buffer, len, &mut see),
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
        let (Some(association), Some(relay)) = (&mut self.association, self.relay) else {
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

    fn open(&mut self, buffer: &mut [u8], len: usize, see: &mut impl FnMut(&[u8])) {
        let Some(receiver) = &mut self.receiver else {
            return;
        };
        let mut packet = Packet::new(buffer, len);
        let port = PortId::new(0, 0).expect("a small slot");
        let mut jobs = [Opening::new(port, Protocol::Rtp, &mut packet)];
        open(Time::ZERO, Tier::best(), &mut **receiver, &mut jobs);
        if jobs[0].outcome().is_ok() {
            see(packet.bytes());
        }
    }
}

/// A socket that does not wait.
pub(super) fn bind(address: IpAddr) -> Result<UdpSocket> {
    let socket = UdpSocket::bind((address, 0)).context("a socket")?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Sends; what a full or refusing network does not take is lost.
pub(super) fn put(socket: &UdpSocket, bytes: &[u8], to: SocketAddr) -> Result<()> {
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
