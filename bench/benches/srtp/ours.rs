//! Ours, with each tier of this CPU.

use std::sync::Arc;

use patchcord_contract::Time;
use patchcord_media::Packet;
use patchcord_media::flow::PortId;
use patchcord_media::srtp::{
    Keys, Opening, Protocol, Receiver, Sealing, Sender, Suite, Tier, open, seal,
};

use crate::{BATCH, Round, master, packet};

/// Bytes of a buffer.
const BUFFER: usize = 2048;

pub(crate) fn rounds(suite: Suite, len: usize) -> Vec<(String, Round)> {
    let tiers = Tier::all().into_iter().rev();
    tiers
        .map(|tier| {
            (
                format!("ours-{}", tier.name().replace('/', "-")),
                round(tier, suite, len),
            )
        })
        .collect()
}

fn port(session: usize) -> PortId {
    PortId::new(0, session as u32).expect("a small slot")
}

fn round(tier: Tier, suite: Suite, len: usize) -> Round {
    let keys: Vec<Arc<Keys>> = (0..BATCH)
        .map(|n| Arc::new(Keys::from_inline(suite, &master(suite, n)).expect("lengths")))
        .collect();
    let mut senders: Vec<Sender> = keys
        .iter()
        .map(|keys| Sender::new(tier, Arc::clone(keys)))
        .collect();
    let mut receivers: Vec<Receiver> = keys
        .into_iter()
        .map(|keys| Receiver::new(tier, keys))
        .collect();
    let plain: Vec<Vec<u8>> = (0..BATCH).map(|n| packet(n, 0, len)).collect();
    let mut buffers = vec![[0; BUFFER]; BATCH];
    let now = Time::from_secs(1);
    Box::new(move |sequence| {
        let mut packets: [Packet<'_>; BATCH] = {
            let mut slots = buffers.iter_mut().zip(&plain);
            std::array::from_fn(|_| {
                let (buffer, plain) = slots.next().expect("sixteen of them");
                buffer[..len].copy_from_slice(plain);
                buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
                Packet::new(buffer, len)
            })
        };
        let mut jobs: Vec<Sealing<'_, '_>> = packets
            .iter_mut()
            .zip(&mut senders)
            .enumerate()
            .map(|(n, (packet, sender))| {
                Sealing::new(now, sender, port(n), Protocol::Rtp, packet).expect("a fresh index")
            })
            .collect();
        seal(tier, senders.as_slice(), &mut jobs);
        drop(jobs);
        let mut jobs: Vec<Opening<'_, '_>> = packets
            .iter_mut()
            .enumerate()
            .map(|(n, packet)| Opening::new(port(n), Protocol::Rtp, packet))
            .collect();
        open(now, tier, receivers.as_mut_slice(), &mut jobs);
        assert!(jobs.iter().all(|job| job.outcome().is_ok()), "all of them");
    })
}
