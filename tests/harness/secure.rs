//! SRTP as a phone speaks it: a key of its own, the other's out of its SDP (RFC 4568), packets sealed and
//! opened one at a time.

use std::sync::Arc;

use patchcord_contract::Time;
use patchcord_media::Packet;
use patchcord_media::flow::PortId;
use patchcord_media::srtp::{
    Keys, Opening, Protocol, Receiver, Sealing, Sender, Suite, Tier, open, seal,
};
use patchcord_wire::sdp::base64;

use crate::Sdp;

/// Room behind a packet for the longest tag and an index.
const ROOM: usize = 32;
/// Nothing here depends on time but how often a receiver searches for an index.
const NOW: Time = Time::from_secs(1);

/// One side's keys and what has been sent and received under them.
pub(crate) struct Secure {
    tag: u32,
    own: Arc<Keys>,
    sender: Box<Sender>,
    theirs: Option<(Arc<Keys>, Box<Receiver>)>,
}

impl Secure {
    /// A side that speaks `suite` with a key made of `seed`.
    pub(crate) fn new(suite: Suite, seed: u8) -> Self {
        let inline: Vec<u8> = (0..suite.key_len() + suite.salt_len())
            .map(|at| (at as u8).wrapping_mul(37) ^ seed)
            .collect();
        let own = Keys::from_inline(suite, &inline).expect("the suite's lengths");
        let own = Arc::new(own);
        Self {
            tag: 1,
            sender: Box::new(Sender::new(Tier::best(), Arc::clone(&own))),
            own,
            theirs: None,
        }
    }

    /// A side whose keys were made by a handshake.
    pub(crate) fn with_keys(own: Keys, theirs: Keys) -> Self {
        let (own, theirs) = (Arc::new(own), Arc::new(theirs));
        Self {
            tag: 1,
            sender: Box::new(Sender::new(Tier::best(), Arc::clone(&own))),
            own,
            theirs: Some((
                Arc::clone(&theirs),
                Box::new(Receiver::new(Tier::best(), theirs)),
            )),
        }
    }

    /// A side with what a handshake exports: client's key, server's key, client's salt, server's salt.
    pub(crate) fn exported(suite: Suite, is_client: bool, material: &[u8]) -> Self {
        let (key, salt) = (suite.key_len(), suite.salt_len());
        let part = |at: usize, len: usize| &material[at..at + len];
        let client = Keys::new(suite, part(0, key), part(2 * key, salt));
        let server = Keys::new(suite, part(key, key), part(2 * key + salt, salt));
        let [client, server] = [client, server].map(|keys| keys.expect("the suite's lengths"));
        if is_client {
            Self::with_keys(client, server)
        } else {
            Self::with_keys(server, client)
        }
    }

    /// The same, which goes on with what `old` received.
    pub(crate) fn after(mut self, old: Option<Self>) -> Self {
        if let Some(old) = old {
            (self.tag, self.theirs) = (old.tag, old.theirs);
        }
        self
    }

    /// Its crypto line.
    pub(crate) fn line(&self) -> String {
        let mut key = Vec::new();
        base64::encode(self.own.inline(), base64::Padding::Without, &mut key);
        let key = String::from_utf8(key).expect("base64 is ASCII");
        format!("a=crypto:{} {} inline:{key}", self.tag, self.own.suite())
    }

    /// Takes the other side's line for its suite out of section `index`. A key that it has already goes
    /// on as it is.
    ///
    /// # Panics
    /// Where there is none.
    pub(crate) fn hear(&mut self, sdp: &Sdp, index: usize) {
        let suite = self.own.suite();
        let found = sdp.crypto(index).find(|line| line.suite == suite.name());
        let line = found.unwrap_or_else(|| panic!("no {suite} in\n{}", sdp.text()));
        self.tag = line.tag;
        let mut master = [0; 64];
        let len = base64::decode(line.key.as_bytes(), &mut master).expect("base64");
        let keys = Keys::from_inline(suite, &master[..len]).expect("the suite's lengths");
        if self
            .theirs
            .as_ref()
            .is_none_or(|(known, _)| **known != keys)
        {
            let keys = Arc::new(keys);
            let receiver = Receiver::new(Tier::best(), Arc::clone(&keys));
            self.theirs = Some((keys, Box::new(receiver)));
        }
    }

    /// The packet as it goes over the wire.
    pub(crate) fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = packet.to_vec();
        buffer.resize(packet.len() + ROOM, 0);
        let mut sealed = Packet::new(&mut buffer, packet.len());
        let job = Sealing::new(NOW, &mut self.sender, port(), protocol(packet), &mut sealed);
        let job = job.expect("it has not been sent before");
        seal(Tier::best(), &*self.sender, &mut [job]);
        sealed.bytes().to_vec()
    }

    /// The packet that came over the wire; what cannot be opened comes back marked, so that it is
    /// nothing that a phone plays.
    pub(crate) fn open(&mut self, mut datagram: Vec<u8>) -> Vec<u8> {
        let Some((_, receiver)) = &mut self.theirs else {
            return marked(&datagram);
        };
        let len = datagram.len();
        let protocol = protocol(&datagram);
        let mut packet = Packet::new(&mut datagram, len);
        let mut jobs = [Opening::new(port(), protocol, &mut packet)];
        open(NOW, Tier::best(), &mut **receiver, &mut jobs);
        let [job] = jobs;
        match job.outcome() {
            Ok(()) => packet.bytes().to_vec(),
            Err(_) => marked(packet.bytes()),
        }
    }
}

fn marked(datagram: &[u8]) -> Vec<u8> {
    [&b"not opened: "[..], datagram].concat()
}

/// RTP and RTCP are told apart by their second byte (RFC 5761 §4).
fn protocol(packet: &[u8]) -> Protocol {
    match packet.get(1) {
        Some(192..=223) => Protocol::Rtcp,
        Some(_) | None => Protocol::Rtp,
    }
}

fn port() -> PortId {
    PortId::new(0, 0).expect("a small slot")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{rtp, sender_report};

    fn sdp(secure: &Secure) -> Sdp {
        let sdp = Sdp::audio("192.0.2.1:4000".parse().expect("an endpoint"));
        sdp.with(&secure.line())
    }

    #[test]
    fn two_phones_understand_each_other_in_every_suite() {
        for suite in Suite::ALL {
            let (mut a, mut b) = (Secure::new(suite, 1), Secure::new(suite, 2));
            b.hear(&sdp(&a), 0);
            a.hear(&sdp(&b), 0);
            for packet in [rtp(1, 160, 7, &[0x55; 160]), sender_report(7, 1)] {
                let sealed = a.seal(&packet);
                assert!(sealed.len() > packet.len(), "{suite}");
                assert_eq!(b.open(sealed.clone()), packet, "{suite}");
                assert!(b.open(sealed).starts_with(b"not opened"), "a repetition");
            }
        }
    }

    #[test]
    fn a_packet_under_another_key_is_not_opened() {
        let suite = Suite::AesCm128Sha1_80;
        let (mut a, b, mut c) = (
            Secure::new(suite, 1),
            Secure::new(suite, 2),
            Secure::new(suite, 3),
        );
        c.hear(&sdp(&b), 0);
        let sealed = a.seal(&rtp(1, 160, 7, &[0x55; 160]));
        assert!(c.open(sealed).starts_with(b"not opened"));
    }
}
