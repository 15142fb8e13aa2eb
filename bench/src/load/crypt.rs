//! What protects a stream on its way into the relay and out of it (RFC 3711).

use patchcord_contract::{Reason, Time};
use patchcord_media::Packet;
use patchcord_media::flow::PortId;
use patchcord_media::srtp::{Opening, Protocol, Receiver, Sealing, Sender, Tier, open, seal};

use super::RtpStream;

/// Bytes that a packet may have.
const LONGEST: usize = 2048;

/// The state of both keys of a stream. On a plain side there is none.
pub(crate) struct Crypt {
    seal: Option<Box<Sender>>,
    open: Option<Box<Receiver>>,
}

/// Where a packet is opened.
pub(crate) struct Desk(Box<[u8; LONGEST]>);

impl Desk {
    pub(crate) fn new() -> Self {
        Self(Box::new([0; LONGEST]))
    }
}

/// What a packet that came out turned out to be.
pub(crate) enum Opened<'a> {
    /// This.
    Plain(&'a [u8]),
    /// One that came out before.
    Replayed,
    /// Nothing that was protected with the relay's key.
    Broken,
}

impl Crypt {
    /// The keys of a stream, unused.
    pub(crate) fn new(stream: &RtpStream) -> Self {
        let tier = Tier::best();
        Self {
            seal: stream
                .sends
                .clone()
                .map(|keys| Box::new(Sender::new(tier, keys))),
            open: stream
                .receives
                .clone()
                .map(|keys| Box::new(Receiver::new(tier, keys))),
        }
    }

    /// Protects the `len` bytes of RTP at the start of `out`; returns how many they are now.
    pub(crate) fn seal(&mut self, out: &mut [u8], len: usize) -> usize {
        let Some(sender) = &mut self.seal else {
            return len;
        };
        let mut packet = Packet::new(out, len);
        let sealing = Sealing::new(Time::ZERO, sender, NOWHERE, Protocol::Rtp, &mut packet);
        let sealing = sealing.expect("our sequence numbers go up and our slots have room");
        seal(Tier::best(), &**sender, &mut [sealing]);
        packet.len()
    }

    /// Opens what came out.
    pub(crate) fn open<'a>(&mut self, bytes: &'a [u8], desk: &'a mut Desk) -> Opened<'a> {
        let Some(receiver) = &mut self.open else {
            return Opened::Plain(bytes);
        };
        let Some(copy) = desk.0.get_mut(..bytes.len()) else {
            return Opened::Broken;
        };
        copy.copy_from_slice(bytes);
        let mut packet = Packet::new(&mut desk.0[..], bytes.len());
        let mut jobs = [Opening::new(NOWHERE, Protocol::Rtp, &mut packet)];
        open(Time::ZERO, Tier::best(), &mut **receiver, &mut jobs);
        match jobs[0].outcome() {
            Ok(()) => {
                let len = packet.len();
                Opened::Plain(&desk.0[..len])
            }
            Err(Reason::SrtpReplay | Reason::SrtpOld) => Opened::Replayed,
            Err(_) => Opened::Broken,
        }
    }
}

/// Contexts of one key need no port.
const NOWHERE: PortId = match PortId::new(0, 0) {
    Some(port) => port,
    None => panic!("slot 0 of worker 0 exists"),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::ledger::tests::streams;
    use crate::ng::sdes::Security;
    use patchcord_media::srtp::Suite;

    /// Both ends of a stream that a relay passes as it is: it opens with what it was sealed with.
    fn crypt(suite: Suite) -> Crypt {
        let mut stream = streams(1).remove(0);
        stream.sends = Security::Sdes(suite).fresh();
        stream.receives = stream.sends.clone();
        Crypt::new(&stream)
    }

    fn sealed(crypt: &mut Crypt, seq: u8) -> ([u8; 40], Vec<u8>) {
        let mut plain = [seq; 40];
        plain[..4].copy_from_slice(&[0x80, 0, 0, seq]);
        let mut out = vec![0; 100];
        out[..40].copy_from_slice(&plain);
        let len = crypt.seal(&mut out, 40);
        out.truncate(len);
        (plain, out)
    }

    #[test]
    fn what_was_sealed_opens_once() {
        for suite in Suite::ALL {
            let mut crypt = crypt(suite);
            let mut desk = Desk::new();
            for seq in 1..4 {
                let (plain, packet) = sealed(&mut crypt, seq);
                assert_eq!(packet.len(), 40 + suite.rtp_tag_len(), "{suite}");
                let opened = crypt.open(&packet, &mut desk);
                assert!(
                    matches!(opened, Opened::Plain(bytes) if bytes == plain),
                    "{suite}"
                );
                let again = crypt.open(&packet, &mut desk);
                assert!(matches!(again, Opened::Replayed), "{suite}");
            }
        }
    }

    #[test]
    fn what_was_changed_does_not_open() {
        for suite in Suite::ALL {
            let (mut crypt, mut desk) = (crypt(suite), Desk::new());
            let (_, mut packet) = sealed(&mut crypt, 1);
            packet[20] ^= 1;
            let opened = crypt.open(&packet, &mut desk);
            assert!(matches!(opened, Opened::Broken), "{suite}");
            let opened = crypt.open(&[7; LONGEST + 1], &mut desk);
            assert!(matches!(opened, Opened::Broken), "{suite}");
        }
    }
}
