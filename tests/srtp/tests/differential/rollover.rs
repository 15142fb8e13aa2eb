//! One stream over three rollovers, with packets lost around each of them.

use patchcord_contract::{Reason, Time};
use patchcord_libsrtp::{Session, Srtp};
use patchcord_media::srtp::{Keys, Protocol, Suite};

use crate::end;
use crate::random::Random;

/// How far around a rollover packets are lost in a row.
const AROUND: u64 = 400;

pub(crate) fn run(library: &'static Srtp) {
    let runs = [
        (Suite::AesCm128Sha1_80, 0),
        (Suite::AesCm128Sha1_32, 1),
        (Suite::AesCm128Sha1_80, 2),
        (Suite::AeadAes128Gcm, 3),
    ];
    for (suite, seed) in runs {
        let delivered = stream(library, suite, seed);
        assert!(delivered > 3 * 65_536 * 8 / 10, "{suite}: {delivered}");
    }
}

/// What arrived of a stream that libsrtp sealed.
fn stream(library: &'static Srtp, suite: Suite, seed: u64) -> usize {
    let mut random = Random::new(seed + 77);
    let inline: Vec<u8> = (0..46).map(|_| random.draw() as u8).collect();
    let len = suite.key_len() + suite.salt_len();
    let keys = Keys::from_inline(suite, &inline[..len]).expect("the suite's lengths");
    let mut sends = library.sender(&keys).expect("the suite is there");
    let mut ours = end::receiver(&keys);
    let (first, mut delivered) = (random.below(65_536), 0);
    let mut lost_until = 0;
    for number in first..first + 3 * 65_536 {
        let mut packet = vec![0x80, 8];
        packet.extend((number as u16).to_be_bytes());
        packet.extend([0, 0, 0, 1, 0, 0, 0, 2]);
        packet.extend([number as u8; 20]);
        let mut sealed = packet.clone();
        sealed.resize(packet.len() + Session::ROOM, 0);
        let len = sends
            .protect(Protocol::Rtp, &mut sealed, packet.len())
            .expect("in order");
        sealed.truncate(len);
        let to_rollover = 65_535 - number % 65_536;
        if to_rollover == AROUND / 2 && random.one_in(2) {
            lost_until = number + random.below(2 * AROUND);
        }
        if number < lost_until || random.one_in(20) {
            continue;
        }
        let batch = [(Protocol::Rtp, sealed.clone()), (Protocol::Rtp, sealed)];
        let now = Time::from_millis(number * 20);
        let opened = end::opened(now, &mut ours, &batch);
        assert_eq!(opened[0].as_ref(), Ok(&packet), "{suite} {number}");
        assert_eq!(opened[1], Err(Reason::SrtpReplay), "{suite} {number}");
        delivered += 1;
    }
    assert_eq!(ours.resyncs(), 0, "the index was never lost");
    delivered
}
