//! A batch comes out as if its packets had come one by one, whatever is among them.

use proptest::prelude::*;

use super::*;

/// What may come: a packet of a stream at an index, as it was sealed or not quite.
#[derive(Clone, Debug)]
struct Coming {
    suite: usize,
    is_rtcp: bool,
    ssrc: u32,
    index: u64,
    damage: Option<u16>,
    len: usize,
}

fn coming() -> impl Strategy<Value = Coming> {
    // Around rollovers, where the next index depends on what came before.
    let index = (0_u64..4, -6_i64..6, prop::bool::weighted(0.1), any::<u16>()).prop_map(
        |(rollovers, offset, is_far, far)| {
            let base = (rollovers << 16) + if is_far { u64::from(far) } else { 0 };
            base.saturating_add_signed(offset)
        },
    );
    (
        0_usize..3,
        prop::bool::weighted(0.15),
        0_u32..11,
        index,
        prop::option::weighted(0.15, any::<u16>()),
        prop_oneof![Just(160_usize), 0_usize..300],
    )
        .prop_map(|(suite, is_rtcp, ssrc, index, damage, len)| Coming {
            suite,
            is_rtcp,
            ssrc,
            index,
            damage,
            len,
        })
}

const SUITES: [Suite; 3] = [
    Suite::AesCm128Sha1_80,
    Suite::AeadAes128Gcm,
    Suite::AesCm256Sha1_32,
];

fn port(suite: usize) -> PortId {
    PortId::new(0, suite as u32).expect("a small slot")
}

/// The packet as a sender that is at that index would send it.
fn wire(coming: &Coming, senders: &mut [Sender]) -> (PortId, Protocol, Vec<u8>) {
    let (protocol, plain) = if coming.is_rtcp {
        (Protocol::Rtcp, rtcp(coming.ssrc))
    } else {
        let plain = rtp(coming.ssrc, coming.index as u16, coming.len);
        (Protocol::Rtp, plain)
    };
    let mut buffer = plain.clone();
    buffer.resize(plain.len() + 160, 0);
    let mut packet = Packet::new(&mut buffer, plain.len());
    let identity = Identity {
        ssrc: coming.ssrc,
        index: coming.index,
        is_encrypted: true,
    };
    let sender = &mut senders[coming.suite];
    let assigned = reassign(at(), sender, protocol, &plain, 160, identity).expect("room");
    let port = port(coming.suite);
    let mut jobs = [Sealing::assigned(port, protocol, &mut packet, assigned)];
    seal(Tier::best(), &*senders, &mut jobs);
    let mut bytes = packet.bytes().to_vec();
    if let Some(damage) = coming.damage {
        let place = usize::from(damage) % bytes.len();
        bytes[place] ^= 1 << (damage >> 13);
    }
    (port, protocol, bytes)
}

fn receivers(tier: Tier) -> Vec<Receiver> {
    SUITES
        .map(|suite| Receiver::new(tier, Arc::new(keys(suite))))
        .into()
}

fn open_in_batches(
    tier: Tier,
    packets: &[(PortId, Protocol, Vec<u8>)],
    size: usize,
) -> Vec<(Result<(), Reason>, Vec<u8>)> {
    let mut receivers = receivers(tier);
    let mut opened = Vec::new();
    for batch in packets.chunks(size) {
        let mut buffers: Vec<Vec<u8>> = batch.iter().map(|(_, _, bytes)| bytes.clone()).collect();
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
            .map(|(packet, (port, protocol, _))| Opening::new(*port, *protocol, packet))
            .collect();
        open(at(), tier, receivers.as_mut_slice(), &mut jobs);
        let outcomes: Vec<_> = jobs.iter().map(Opening::outcome).collect();
        let bytes = packets.iter().map(|packet| packet.bytes().to_vec());
        opened.extend(outcomes.into_iter().zip(bytes));
    }
    opened
}

proptest! {
    #[test]
    fn a_batch_is_opened_as_if_one_by_one(
        coming in prop::collection::vec(coming(), 1..120),
        size in 2_usize..80,
    ) {
        let mut senders: Vec<Sender> = SUITES
            .map(|suite| Sender::new(Tier::best(), Arc::new(keys(suite))))
            .into();
        let packets: Vec<_> = coming
            .iter()
            .map(|coming| wire(coming, &mut senders))
            .collect();
        let one_by_one = open_in_batches(Tier::PORTABLE, &packets, 1);
        for tier in Tier::all() {
            let batched = open_in_batches(tier, &packets, size);
            prop_assert_eq!(&batched, &one_by_one, "{}", tier);
        }
    }

    #[test]
    fn a_batch_is_sealed_as_if_one_by_one(
        plain in prop::collection::vec((0_u32..10, 65_500_u32..65_600, 0_usize..300), 1..120),
    ) {
        let [mut batched, mut single] =
            [Tier::best(), Tier::PORTABLE].map(|tier| {
                Sender::new(tier, Arc::new(keys(Suite::AesCm128Sha1_80)))
            });
        let plain: Vec<_> = plain
            .into_iter()
            .map(|(ssrc, sequence, len)| rtp(ssrc, sequence as u16, len))
            .collect();
        let expected: Vec<_> = plain
            .iter()
            .filter_map(|plain| protect(&mut single, Protocol::Rtp, plain).ok())
            .collect();
        let mut buffers: Vec<Vec<u8>> = plain
            .iter()
            .map(|plain| [plain.as_slice(), &[0; 160]].concat())
            .collect();
        let mut packets: Vec<Packet<'_>> = buffers
            .iter_mut()
            .map(|buffer| {
                let len = buffer.len() - 160;
                Packet::new(buffer, len)
            })
            .collect();
        let mut jobs: Vec<Sealing<'_, '_>> = packets
            .iter_mut()
            .filter_map(|packet| {
                Sealing::new(at(), &mut batched, PORT, Protocol::Rtp, packet).ok()
            })
            .collect();
        seal(Tier::best(), &batched, &mut jobs);
        let sealed: Vec<_> = jobs.iter().map(|job| job.packet().to_vec()).collect();
        prop_assert_eq!(sealed, expected);
    }
}
