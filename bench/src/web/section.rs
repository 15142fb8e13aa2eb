//! A media section of a call: the phone that speaks, and what the browser hears of it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Result;
use patchcord_wire::rtp::Rtp;

use super::transport::{bind, put};

/// Between two packets of a phone: what is measured is not to wait for them.
const PACE: Duration = Duration::from_millis(1);
/// Bytes of media in a packet.
const MEDIA: usize = 160;

/// What tells a section from others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// In the m-line.
    pub(crate) media: &'static str,
    /// Its name in a bundle.
    pub(crate) mid: &'static str,
    pub(crate) payload_type: u8,
    /// In `a=rtpmap`.
    pub(crate) codec: &'static str,
}

/// The sections of calls, in their order.
pub(crate) const KINDS: [Kind; 2] = [
    Kind {
        media: "audio",
        mid: "a",
        payload_type: 0,
        codec: "PCMU/8000",
    },
    Kind {
        media: "video",
        mid: "v",
        payload_type: 96,
        codec: "VP8/90000",
    },
];

/// A section.
pub(super) struct Section {
    pub(super) phone: UdpSocket,
    pub(super) kind: Kind,
    /// Where the relay takes the phone's packets.
    relay: Option<SocketAddr>,
    spoke: Option<Instant>,
    sequence: u16,
    /// When the browser could open the first packet.
    pub(super) media: Option<Instant>,
}

/// What was told the browser of the sections on a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The only one is on it.
    Alone,
    /// Several are, and this header extension names them.
    Bundled(u8),
}

impl Section {
    pub(super) fn new(address: IpAddr, kind: Kind) -> Result<Self> {
        Ok(Self {
            phone: bind(address)?,
            kind,
            relay: None,
            spoke: None,
            sequence: 0,
            media: None,
        })
    }

    /// The call is up, the phone speaks.
    pub(super) fn answer(&mut self, relay: SocketAddr) {
        self.relay = Some(relay);
    }

    /// The phone speaks until it is heard.
    pub(super) fn speak(&mut self, now: Instant) -> Result<()> {
        let due = self.spoke.is_none_or(|last| now - last >= PACE);
        let Some(to) = self.relay.filter(|_| due && self.media.is_none()) else {
            return Ok(());
        };
        self.spoke = Some(now);
        self.sequence += 1;
        put(&self.phone, &packet(self.kind, self.sequence), to)
    }

    /// Whether a packet that the browser opened is this section's, as sent and as told.
    pub(super) fn sent(&self, packet: &[u8], told: Told) -> bool {
        let Ok(rtp) = Rtp::parse(packet) else {
            return false;
        };
        let named = match told {
            Told::Alone => true,
            Told::Bundled(id) => rtp.element(id) == Some(self.kind.mid.as_bytes()),
        };
        let own = self::packet(self.kind, rtp.sequence());
        named && packet[1..12] == own[1..12] && *rtp.payload() == own[12..]
    }

    /// Whether a packet says that it is of this section's stream.
    pub(super) fn owns(&self, packet: &[u8]) -> bool {
        packet.get(8..12) == Some(&ssrc(self.kind)[..])
    }
}

/// The packet of that number.
fn packet(kind: Kind, sequence: u16) -> [u8; 12 + MEDIA] {
    let mut packet = [0xd5 ^ kind.payload_type; 12 + MEDIA];
    packet[..8].copy_from_slice(&[0x80, kind.payload_type, 0, 0, 0, 0, 0, 0]);
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[8..12].copy_from_slice(&ssrc(kind));
    packet
}

fn ssrc(kind: Kind) -> [u8; 4] {
    (7 + u32::from(kind.payload_type)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use patchcord_wire::extension::Rewrite;

    use super::*;

    #[test]
    fn a_packet_is_its_sections_only_as_sent_and_under_its_name() {
        let [audio, video] =
            KINDS.map(|kind| Section::new([127, 0, 0, 1].into(), kind).expect("a section"));
        let mut room = [0; 200];
        let plain = packet(audio.kind, 9);
        room[..plain.len()].copy_from_slice(&plain);
        let put = Some((3, &b"a"[..]));
        let rewrite = Rewrite {
            put,
            ..Rewrite::default()
        };
        let len = rewrite.apply(&mut room, plain.len()).expect("room");
        let named = &room[..len];
        assert!(audio.owns(&plain) && audio.owns(named) && !video.owns(named));
        assert!(audio.sent(&plain, Told::Alone) && audio.sent(named, Told::Bundled(3)));
        assert!(!audio.sent(&plain, Told::Bundled(3)), "without its name");
        assert!(!audio.sent(named, Told::Bundled(4)), "under another id");
        assert!(!video.sent(named, Told::Bundled(3)), "another section");
        let mut changed = plain;
        changed[100] ^= 1;
        assert!(!audio.sent(&changed, Told::Alone));
    }
}
