//! SRTP: any bytes to a receiver, and any plain packet through a sender and back.

use std::sync::Arc;

use patchcord_contract::Time;
use patchcord_media::Packet;
use patchcord_media::flow::PortId;
use patchcord_media::srtp::{
    Keys, Opening, Parameters, Protocol, Receiver, Sealing, Sender, Suite, Tier, open, seal,
};

use super::Input;

/// Room behind a packet.
const ROOM: usize = 160;

/// No panic; what is refused stays as it was; what was sealed opens to what it was; a forgery never
/// opens, but where there is no tag, and there it may lead the receiver astray.
pub fn srtp(data: &[u8]) {
    let mut input = Input(data);
    let Some(keys) = keys(&mut input) else { return };
    let tiers = Tier::all();
    let tier = tiers[usize::from(input.byte().unwrap_or(0)) % tiers.len()];
    let mut sender = Sender::new(tier, Arc::clone(&keys));
    let mut receiver = Receiver::new(tier, Arc::clone(&keys));
    let mut now = Time::from_secs(1);
    let mut is_astray = false;
    while let Some(word) = input.byte() {
        now = Time(now.0 + u64::from(word) * 1_000_000);
        let protocol = if word & 1 == 0 {
            Protocol::Rtp
        } else {
            Protocol::Rtcp
        };
        let len = usize::from(input.byte().unwrap_or(0)) * 2;
        let mut bytes = input.bytes(len).to_vec();
        if word & 2 == 0 {
            is_astray |= check_forged(now, tier, &mut receiver, protocol, &bytes);
            continue;
        }
        if let Some(first) = bytes.first_mut() {
            *first = *first & 0x3f | 0x80;
        }
        let Some(sealed) = sealed(now, tier, &mut sender, protocol, &bytes) else {
            continue;
        };
        let flip = usize::from(input.byte().unwrap_or(0));
        if word & 4 != 0 {
            let mut forged = sealed.clone();
            forged[flip % sealed.len()] ^= 1 << (word >> 5);
            is_astray |= check_forged(now, tier, &mut receiver, protocol, &forged);
        }
        let (taken, opened) = opened(now, tier, &mut receiver, protocol, &sealed);
        if taken {
            assert!(
                is_astray || opened == bytes,
                "what was sealed opens to what it was"
            );
        } else {
            assert_eq!(opened, sealed, "what is refused stays as it was");
        }
    }
}

fn port() -> PortId {
    PortId::new(0, 0).expect("a small slot")
}

/// Made-up bytes are refused, but where nothing can tell them from true ones; says whether they were
/// taken.
fn check_forged(
    now: Time,
    tier: Tier,
    receiver: &mut Receiver,
    protocol: Protocol,
    bytes: &[u8],
) -> bool {
    let keys = Arc::clone(receiver.keys());
    let (taken, after) = opened(now, tier, receiver, protocol, bytes);
    let has_tag = keys.parameters().authenticates_rtp || protocol == Protocol::Rtcp;
    // Four bytes can be guessed, and a fuzzer has time.
    let is_long = protocol == Protocol::Rtcp || keys.suite().rtp_tag_len() > 4;
    assert!(!taken || !has_tag || !is_long, "nobody has the key");
    assert!(taken || after == bytes, "what is refused stays as it was");
    taken
}

fn keys(input: &mut Input<'_>) -> Option<Arc<Keys>> {
    let suite = Suite::ALL[usize::from(input.byte()?) % Suite::ALL.len()];
    let shape = input.byte()?;
    let inline = [shape ^ 0x5a; 46];
    let len = suite.key_len() + suite.salt_len();
    let mut keys = Keys::from_inline(suite, &inline[..len]).expect("the suite's lengths");
    let parameters = Parameters {
        encrypts_rtp: shape & 1 == 0,
        encrypts_rtcp: shape & 2 == 0,
        authenticates_rtp: shape & 4 == 0 || suite.is_aead(),
    };
    keys = keys.with_parameters(parameters).expect("a tag with AEAD");
    if shape & 8 != 0 {
        let mki = vec![shape; usize::from(shape >> 1) + 1];
        keys = keys.with_mki(&mki).expect("at most 128 bytes");
    }
    if shape & 16 != 0 {
        keys = keys.with_lifetime(u64::from(shape)).expect("not zero");
    }
    Some(Arc::new(keys))
}

fn sealed(
    now: Time,
    tier: Tier,
    sender: &mut Sender,
    protocol: Protocol,
    plain: &[u8],
) -> Option<Vec<u8>> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + ROOM, 0);
    let mut packet = Packet::new(&mut buffer, plain.len());
    let job = Sealing::new(now, sender, port(), protocol, &mut packet).ok()?;
    seal(tier, sender, &mut [job]);
    Some(packet.bytes().to_vec())
}

fn opened(
    now: Time,
    tier: Tier,
    receiver: &mut Receiver,
    protocol: Protocol,
    bytes: &[u8],
) -> (bool, Vec<u8>) {
    let mut buffer = bytes.to_vec();
    let mut packet = Packet::new(&mut buffer, bytes.len());
    let mut jobs = [Opening::new(port(), protocol, &mut packet)];
    open(now, tier, receiver, &mut jobs);
    let taken = jobs[0].outcome().is_ok();
    (taken, packet.bytes().to_vec())
}
