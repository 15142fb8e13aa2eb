//! SRTP as a whole: vectors of the RFCs, and what must hold under loss, replay and forgery.

use std::sync::Arc;

use patchcord_contract::{Reason, Time};

use super::*;
use crate::packet::Packet;

const PORT: PortId = match PortId::new(0, 0) {
    Some(port) => port,
    None => unreachable!(),
};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16).map(|d| d as u8))
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

fn at() -> Time {
    Time::from_secs(100)
}

fn keys(suite: Suite) -> Keys {
    let inline: Vec<u8> = (0..46).map(|n| n * 5 + 3).collect();
    let len = suite.key_len() + suite.salt_len();
    Keys::from_inline(suite, &inline[..len]).expect("the suite's lengths")
}

fn pair(keys: Keys) -> (Sender, Receiver) {
    let keys = Arc::new(keys);
    let tier = Tier::best();
    (
        Sender::new(tier, Arc::clone(&keys)),
        Receiver::new(tier, keys),
    )
}

fn protect(sender: &mut Sender, protocol: Protocol, plain: &[u8]) -> Result<Vec<u8>, Reason> {
    let mut buffer = plain.to_vec();
    buffer.resize(plain.len() + 160, 0xee);
    let mut packet = Packet::new(&mut buffer, plain.len());
    let mut jobs = [Sealing::new(at(), sender, PORT, protocol, &mut packet)?];
    seal(Tier::best(), sender, &mut jobs);
    Ok(packet.bytes().to_vec())
}

fn unprotect(
    receiver: &mut Receiver,
    protocol: Protocol,
    sealed: &[u8],
) -> Result<Vec<u8>, Reason> {
    let mut buffer = sealed.to_vec();
    let mut packet = Packet::new(&mut buffer, sealed.len());
    let mut jobs = [Opening::new(PORT, protocol, &mut packet)];
    open(at(), Tier::best(), receiver, &mut jobs);
    let outcome = jobs[0].outcome();
    if outcome.is_err() {
        assert_eq!(packet.bytes(), sealed, "what is refused stays as it was");
    }
    outcome.map(|()| packet.bytes().to_vec())
}

fn rtp(ssrc: u32, sequence: u16, len: usize) -> Vec<u8> {
    let mut packet = vec![0x80, 0x60, 0, 0, 0, 0, 0x13, 0x88];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..len).map(|n| n as u8 ^ sequence as u8));
    packet
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x81, 202, 0, 2]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend([1, 2, b'a', b'b']);
    packet
}

#[test]
fn every_suite_opens_what_it_sealed_with_every_parameter() {
    for suite in Suite::ALL {
        for shape in 0..16 {
            let parameters = Parameters {
                encrypts_rtp: shape & 1 == 0,
                encrypts_rtcp: shape & 2 == 0,
                authenticates_rtp: shape & 4 == 0 || suite.is_aead(),
            };
            let mut keys = keys(suite)
                .with_parameters(parameters)
                .expect("tag for AEAD");
            let mut overhead = suite.rtp_tag_len();
            if !parameters.authenticates_rtp {
                overhead = 0;
            }
            if shape & 8 != 0 {
                keys = keys.with_mki(&[1, 2, 3, 4, 5]).expect("an MKI");
                overhead += 5;
            }
            let (mut sender, mut receiver) = pair(keys);
            for sequence in 0..20 {
                let plain = rtp(7, sequence, 160);
                let sealed = protect(&mut sender, Protocol::Rtp, &plain).expect("sealed");
                assert_eq!(sealed.len(), plain.len() + overhead, "{suite} {shape}");
                let is_clear = sealed[12..172] == plain[12..];
                let is_null = matches!(suite, Suite::NullSha1_32 | Suite::NullSha1_80);
                assert_eq!(is_clear, !parameters.encrypts_rtp || is_null);
                let opened = unprotect(&mut receiver, Protocol::Rtp, &sealed);
                assert_eq!(opened, Ok(plain), "{suite} {shape}");
                let plain = rtcp(7);
                let sealed = protect(&mut sender, Protocol::Rtcp, &plain).expect("sealed");
                let opened = unprotect(&mut receiver, Protocol::Rtcp, &sealed);
                assert_eq!(opened, Ok(plain), "{suite} {shape}");
                let again = unprotect(&mut receiver, Protocol::Rtcp, &sealed);
                assert_eq!(again, Err(Reason::SrtpReplay), "{suite} {shape}");
            }
        }
    }
}

#[test]
fn any_flipped_bit_is_refused_and_changes_nothing() {
    for suite in Suite::ALL {
        let (mut sender, mut receiver) = pair(keys(suite).with_mki(&[9, 9]).expect("an MKI"));
        for protocol in [Protocol::Rtp, Protocol::Rtcp] {
            let plain = match protocol {
                Protocol::Rtp => rtp(7, 5, 33),
                Protocol::Rtcp => rtcp(7),
            };
            let sealed = protect(&mut sender, protocol, &plain).expect("sealed");
            for bit in 0..8 * sealed.len() {
                let mut forged = sealed.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                let refused = unprotect(&mut receiver, protocol, &forged);
                assert!(refused.is_err(), "{suite} {protocol:?} {bit}");
            }
            assert_eq!(unprotect(&mut receiver, protocol, &sealed), Ok(plain));
        }
    }
}

mod batches;
mod vectors;
