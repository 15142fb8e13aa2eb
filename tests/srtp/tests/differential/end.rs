//! Our end: a sender or a receiver that takes one packet or many.

use std::sync::Arc;

use patchcord_contract::{Reason, Time};
use patchcord_media::Packet;
use patchcord_media::flow::PortId;
use patchcord_media::srtp::{Keys, Opening, Protocol, Receiver, Sealing, Sender, Tier, open, seal};

/// Room behind a packet.
pub(crate) const ROOM: usize = 160;

fn port() -> PortId {
    PortId::new(0, 0).expect("a small slot")
}

/// A packet and what it is.
pub(crate) type Piece = (Protocol, Vec<u8>);

pub(crate) fn sender(keys: &Keys) -> Sender {
    Sender::new(Tier::best(), Arc::new(keys.clone()))
}

pub(crate) fn receiver(keys: &Keys) -> Receiver {
    Receiver::new(Tier::best(), Arc::new(keys.clone()))
}

/// Seals the packets as one batch.
pub(crate) fn sealed(
    now: Time,
    sender: &mut Sender,
    batch: &[Piece],
) -> Vec<Result<Vec<u8>, Reason>> {
    let mut buffers: Vec<Vec<u8>> = batch
        .iter()
        .map(|(_, plain)| {
            let mut buffer = plain.clone();
            buffer.resize(plain.len() + ROOM, 0);
            buffer
        })
        .collect();
    let mut packets: Vec<Packet<'_>> = buffers
        .iter_mut()
        .zip(batch)
        .map(|(buffer, (_, plain))| Packet::new(buffer, plain.len()))
        .collect();
    let mut jobs = Vec::new();
    let mut outcomes: Vec<Result<(), Reason>> = Vec::new();
    for (packet, (protocol, _)) in packets.iter_mut().zip(batch) {
        match Sealing::new(now, sender, port(), *protocol, packet) {
            Ok(job) => {
                jobs.push(job);
                outcomes.push(Ok(()));
            }
            Err(reason) => outcomes.push(Err(reason)),
        }
    }
    seal(Tier::best(), sender, &mut jobs);
    drop(jobs);
    outcomes
        .into_iter()
        .zip(packets)
        .map(|(outcome, packet)| outcome.map(|()| packet.bytes().to_vec()))
        .collect()
}

/// Opens the packets as one batch.
pub(crate) fn opened(
    now: Time,
    receiver: &mut Receiver,
    batch: &[Piece],
) -> Vec<Result<Vec<u8>, Reason>> {
    let mut buffers: Vec<Vec<u8>> = batch.iter().map(|(_, bytes)| bytes.clone()).collect();
    let mut packets: Vec<Packet<'_>> = buffers
        .iter_mut()
        .map(|buffer| {
            let len = buffer.len();
            Packet::new(buffer, len)
        })
        .collect();
    let mut jobs: Vec<Opening<'_, '_>> = packets
        .iter_mut()
        .zip(batch)
        .map(|(packet, (protocol, _))| Opening::new(port(), *protocol, packet))
        .collect();
    open(now, Tier::best(), receiver, &mut jobs);
    let outcomes: Vec<_> = jobs.iter().map(Opening::outcome).collect();
    drop(jobs);
    outcomes
        .into_iter()
        .zip(packets)
        .map(|(outcome, packet)| outcome.map(|()| packet.bytes().to_vec()))
        .collect()
}
