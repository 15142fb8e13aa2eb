//! Random traffic of a few streams, through both implementations.

use patchcord_contract::{Reason, Time};
use patchcord_libsrtp::{Session, Srtp, Status};
use patchcord_media::srtp::{Keys, Protocol};

use crate::end::{self, Piece};
use crate::random::Random;

/// Streams at a time, as many as our table holds.
const STREAMS: usize = 6;

/// Streams, each with its next sequence number.
struct Streams([(u32, u16); STREAMS]);

impl Streams {
    fn new(random: &mut Random) -> Self {
        Self(std::array::from_fn(|_| {
            // Many begin shortly before a rollover.
            (
                random.draw() as u32,
                0xfff0_u16.wrapping_add(random.below(8_000) as u16),
            )
        }))
    }

    /// A packet of one of them: RTP in four of five. libsrtp looks for an SRTCP packet's MKI where it
    /// would be behind a tag of RTP's length, so with `_32` and an MKI there is none.
    fn packet(&mut self, keys: &Keys, random: &mut Random) -> Piece {
        let (ssrc, sequence) = &mut self.0[random.below(STREAMS as u64) as usize];
        let is_findable = keys.mki().is_none() || keys.suite().rtp_tag_len() != 4;
        if is_findable && random.one_in(5) {
            return (Protocol::Rtcp, rtcp(random, *ssrc));
        }
        // Some are lost before they come here, now and then many; what was overtaken still lies in
        // the windows of both.
        *sequence = sequence.wrapping_add(match random.below(300) {
            0 => random.below(120) as u16,
            1..20 => random.below(4) as u16 + 1,
            _ => 1,
        });
        (Protocol::Rtp, rtp(random, *ssrc, *sequence))
    }
}

/// RTP with random CSRCs, extension, padding bit and payload.
fn rtp(random: &mut Random, ssrc: u32, sequence: u16) -> Vec<u8> {
    let csrcs = if random.one_in(4) {
        random.below(16) as u8
    } else {
        0
    };
    let has_extension = random.one_in(3);
    let padding = if random.one_in(6) { 0x20 } else { 0 };
    let mut packet = vec![
        0x80 | padding | if has_extension { 0x10 } else { 0 } | csrcs,
        random.draw() as u8 & 0x7f,
    ];
    packet.extend(sequence.to_be_bytes());
    packet.extend((random.draw() as u32).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend((0..4 * usize::from(csrcs)).map(|n| n as u8));
    if has_extension {
        let words = random.below(8) as u8;
        packet.extend([0xbe, 0xde, 0, words]);
        packet.extend((0..4 * usize::from(words)).map(|n| n as u8 ^ 0x55));
    }
    let start = packet.len();
    let payload = match random.below(10) {
        0 => random.below(1_300),
        1 => random.below(20),
        _ => 160,
    };
    packet.resize(start + payload as usize, 0);
    random.fill(&mut packet[start..]);
    packet
}

fn rtcp(random: &mut Random, ssrc: u32) -> Vec<u8> {
    let words = random.below(40) as u16 + 1;
    let mut packet = vec![0x81, 200 + random.below(7) as u8];
    packet.extend(words.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.resize(4 + 4 * usize::from(words), 0);
    random.fill(&mut packet[8..]);
    packet
}

fn buffered(bytes: &[u8]) -> Vec<u8> {
    let mut buffer = bytes.to_vec();
    buffer.resize(bytes.len() + Session::ROOM, 0);
    buffer
}

fn theirs_opened(session: &mut Session, (protocol, bytes): &Piece) -> Result<Vec<u8>, Status> {
    let mut buffer = buffered(bytes);
    let len = session.unprotect(*protocol, &mut buffer, bytes.len())?;
    buffer.truncate(len);
    Ok(buffer)
}

fn theirs_sealed(session: &mut Session, (protocol, bytes): &Piece) -> Result<Vec<u8>, Status> {
    let mut buffer = buffered(bytes);
    let len = session.protect(*protocol, &mut buffer, bytes.len())?;
    buffer.truncate(len);
    Ok(buffer)
}

fn now(at: usize) -> Time {
    Time::from_millis(1_000 + at as u64)
}

/// We seal and libsrtp seals: RTP is equal to the byte. libsrtp opens what we sealed.
pub(crate) fn seal(
    library: &'static Srtp,
    keys: &Keys,
    random: &mut Random,
    packets: usize,
) -> usize {
    let mut ours = end::sender(keys);
    let mut theirs = library.sender(keys).expect("the suite is there");
    let mut opens = library.receiver(keys).expect("the suite is there");
    let mut streams = Streams::new(random);
    let mut done = 0;
    while done < packets {
        let mut batch: Vec<Piece> = (0..=random.below(40))
            .map(|_| streams.packet(keys, random))
            .collect();
        disturb(&mut batch, random);
        for (piece, sealed) in batch.iter().zip(end::sealed(now(done), &mut ours, &batch)) {
            let expected = theirs_sealed(&mut theirs, piece);
            match (piece.0, sealed) {
                (Protocol::Rtp, Ok(sealed)) => {
                    assert_eq!(Ok(&sealed), expected.as_ref(), "{}", keys.suite());
                    let back = theirs_opened(&mut opens, &(Protocol::Rtp, sealed));
                    assert_eq!(back.as_ref(), Ok(&piece.1), "{}", keys.suite());
                }
                // Its SRTCP index begins with one, ours with zero as the RFC says.
                (Protocol::Rtcp, Ok(sealed)) => {
                    let back = theirs_opened(&mut opens, &(Protocol::Rtcp, sealed));
                    assert_eq!(back.as_ref(), Ok(&piece.1), "{}", keys.suite());
                }
                (_, Err(reason)) => {
                    assert_eq!(reason, Reason::SrtpReuse);
                    assert!(
                        matches!(expected, Err(Status::Replayed | Status::Old)),
                        "{expected:?}"
                    );
                }
            }
        }
        done += batch.len();
    }
    done
}

/// libsrtp seals; both open what comes through a bad network, and agree on every packet.
pub(crate) fn open(
    library: &'static Srtp,
    keys: &Keys,
    random: &mut Random,
    packets: usize,
) -> usize {
    let mut sends = library.sender(keys).expect("the suite is there");
    let mut theirs = library.receiver(keys).expect("the suite is there");
    let mut ours = end::receiver(keys);
    let mut streams = Streams::new(random);
    let mut done = 0;
    while done < packets {
        let mut batch: Vec<Piece> = (0..=random.below(40))
            .filter_map(|_| {
                let piece = streams.packet(keys, random);
                let sealed = theirs_sealed(&mut sends, &piece).ok()?;
                Some((piece.0, sealed))
            })
            .collect();
        disturb(&mut batch, random);
        for (_, bytes) in &mut batch {
            if random.one_in(20) {
                // Behind the fields that say where everything is.
                let at = 4 + random.below(bytes.len() as u64 - 4) as usize;
                bytes[at] ^= 1 << random.below(8);
            }
        }
        for (piece, opened) in batch.iter().zip(end::opened(now(done), &mut ours, &batch)) {
            let expected = theirs_opened(&mut theirs, piece);
            match (&opened, &expected) {
                (Ok(opened), Ok(expected)) => assert_eq!(opened, expected, "{}", keys.suite()),
                (Err(ours), Err(theirs)) => assert!(
                    is_same(*ours, *theirs),
                    "{}: {ours} {theirs:?}",
                    keys.suite()
                ),
                (_, _) => panic!("{}: {opened:?}, libsrtp {expected:?}", keys.suite()),
            }
        }
        done += batch.len();
    }
    done
}

/// Whether the two say the same of a packet. Which of several things wrong with it is said first is
/// theirs to choose.
fn is_same(ours: Reason, theirs: Status) -> bool {
    match theirs {
        Status::Replayed | Status::Old => {
            matches!(ours, Reason::SrtpReplay | Reason::SrtpOld | Reason::SrtpMki)
        }
        Status::Auth | Status::Other(_) => !matches!(ours, Reason::SrtpLifetime),
    }
}

/// Loss, duplicates and reordering.
fn disturb(batch: &mut Vec<Piece>, random: &mut Random) {
    for _ in 0..batch.len() / 8 {
        let at = random.below(batch.len() as u64) as usize;
        let other = random.below(batch.len() as u64) as usize;
        match random.below(4) {
            0 => drop(batch.remove(at)),
            1 => batch.insert(other, batch[at].clone()),
            _ => batch.swap(at, other),
        }
        if batch.is_empty() {
            return;
        }
    }
}
