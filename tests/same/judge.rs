//! What the program has to do with a frame: finish it, or decline for a reason that is written down. This is that
//! list, in its order; a frame that is declined without one of them, or finished in spite of one, is a mistake.

use patchcord_contract::{Entry, LONGEST, Mismatch, Stamp, Tally};
use patchcord_offload::Hook;

use crate::frame::{Datagram, HOST};
use crate::place::hop;

/// Why a frame goes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Why {
    /// It is a group's, or another machine's.
    NotOurs,
    /// Neither IPv4 nor IPv6 behind at most one tag.
    NotIp,
    /// It ends before the RTP header would.
    Short,
    /// IPv4 with options, or a header of another version.
    Options,
    /// A fragment.
    Fragment,
    /// One hop from its end, or past it.
    TimeToLive,
    /// Not UDP, or UDP behind extension headers.
    NotUdp,
    /// The IPv4 header's checksum is wrong.
    BadHeader,
    /// Lengths that contradict each other.
    Lengths,
    /// IPv6 without a UDP checksum.
    Unsummed,
    /// Longer than a worker takes whole.
    Long,
    /// STUN, DTLS, RTCP, or anything else that is not RTP.
    NotRtp,
    /// RTP whose header does not fit it.
    BadRtp,
    /// No entry for where it was sent.
    NoEntry,
    /// From elsewhere, and the worker decides about that.
    Stranger,
    /// Another stream, or another payload type.
    OtherStream,
    /// A repeat, or a jump in the numbers.
    OutOfStep,
    /// Not the very next one, with which the program has to begin.
    Waits,
    /// Its checksum may be left for a device to complete, which XDP cannot tell.
    Partial,
    /// It has no checksum, and where it goes it must have one.
    NeedsSum,
    /// No route, no neighbour, too long for the way, or a way that the program may not take.
    NoWay,
    /// A tag within the frame: where the kernel's own packets are seen, that is a second one.
    Tagged,
}

impl Why {
    /// Those that a frame may have at that hook.
    pub(crate) fn all(hook: Hook) -> Vec<Self> {
        let common = [
            Self::NotOurs,
            Self::NotIp,
            Self::Short,
            Self::Options,
            Self::Fragment,
            Self::TimeToLive,
            Self::NotUdp,
            Self::BadHeader,
            Self::Lengths,
            Self::Unsummed,
            Self::Long,
            Self::NotRtp,
            Self::BadRtp,
            Self::NoEntry,
            Self::Stranger,
            Self::OtherStream,
            Self::OutOfStep,
            Self::Waits,
            Self::NeedsSum,
            Self::NoWay,
        ];
        let own = if hook == Hook::Tc {
            Self::Tagged
        } else {
            Self::Partial
        };
        common.into_iter().chain([own]).collect()
    }
}

/// What the program does with a frame that it finishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// It leaves.
    Forward,
    /// It ends.
    Drop,
}

/// What the program has to do with `frame` at `hook`, where `entry` is the only one, for what is sent to
/// `local`.
pub(crate) fn judge(
    frame: &[u8],
    hook: Hook,
    (local, entry): (patchcord_contract::Endpoint, &Entry),
    tally: &Tally,
) -> Result<Finish, Why> {
    let link = link(frame, hook)?;
    internet(frame, link)?;
    let Some(datagram) = Datagram::read(frame) else {
        unreachable!("everything that keeps a datagram from a socket is a reason: {frame:02x?}");
    };
    let stamp = rtp(&datagram.payload)?;
    if datagram.local != local {
        return Err(Why::NoEntry);
    }
    if datagram.source != entry.source {
        return match entry.mismatch {
            Mismatch::Drop => Ok(Finish::Drop),
            Mismatch::Punt => Err(Why::Stranger),
        };
    }
    if stamp.ssrc != tally.ssrc || u32::from(stamp.payload_type) != tally.payload_type {
        return Err(Why::OtherStream);
    }
    if tally.begun == 0 && stamp.sequence.wrapping_sub(tally.highest as u16) != 1 {
        return Err(Why::Waits);
    }
    if !continues(stamp.sequence, tally) {
        return Err(Why::OutOfStep);
    }
    if hook != Hook::Tc && datagram.looks_partial() {
        return Err(Why::Partial);
    }
    if datagram.checksum == 0 && !entry.to.addr.is_v4() {
        return Err(Why::NeedsSum);
    }
    let header = if entry.to.addr.is_v4() { 28 } else { 48 };
    if hop(entry.to).is_none() || datagram.payload.len() + header > 1500 {
        return Err(Why::NoWay);
    }
    if hook == Hook::Tc && link != 14 {
        return Err(Why::Tagged);
    }
    Ok(Finish::Forward)
}

/// Where the IP header begins.
fn link(frame: &[u8], hook: Hook) -> Result<usize, Why> {
    let is_others = hook == Hook::Tc && frame[..6] != HOST;
    if frame[0] & 1 != 0 || is_others {
        return Err(Why::NotOurs);
    }
    let kind = |at: usize| frame.get(at..at + 2);
    match kind(12) {
        Some([0x08, 0x00] | [0x86, 0xdd]) => Ok(14),
        Some([0x81, 0x00]) => match kind(16) {
            Some([0x08, 0x00] | [0x86, 0xdd]) => Ok(18),
            _ => Err(Why::NotIp),
        },
        _ => Err(Why::NotIp),
    }
}

/// Whether IP and UDP are whole, consistent and without anything unusual.
fn internet(frame: &[u8], link: usize) -> Result<(), Why> {
    let ip = &frame[link..];
    let is_v4 = frame[link - 2] == 0x08;
    let header = if is_v4 { 20 } else { 40 };
    if ip.len() < header + 20 {
        return Err(Why::Short);
    }
    let word = |at: usize| usize::from(u16::from_be_bytes([ip[at], ip[at + 1]]));
    let (version, life, protocol) = if is_v4 {
        (ip[0] == 0x45, ip[8], ip[9])
    } else {
        (ip[0] >> 4 == 6, ip[7], ip[6])
    };
    if !version {
        return Err(Why::Options);
    }
    if is_v4 && word(6) & 0x3fff != 0 {
        return Err(Why::Fragment);
    }
    if life <= 1 {
        return Err(Why::TimeToLive);
    }
    if protocol != 17 {
        return Err(Why::NotUdp);
    }
    if is_v4 && (0..10).map(|at| word(2 * at)).sum::<usize>() % 0xffff != 0 {
        return Err(Why::BadHeader);
    }
    let payload = if is_v4 {
        word(2).checked_sub(header)
    } else {
        Some(word(4))
    };
    let payload = payload.ok_or(Why::Lengths)?;
    if header + payload > ip.len() {
        return Err(Why::Lengths);
    }
    if !is_v4 && word(header + 6) == 0 {
        return Err(Why::Unsummed);
    }
    if word(header + 4) != payload || payload < 20 {
        return Err(Why::Lengths);
    }
    Ok(())
}

/// Whether it is RTP that a worker would take for it (RFC 3550 §5.1).
fn rtp(packet: &[u8]) -> Result<Stamp, Why> {
    if packet.len() > usize::from(LONGEST) {
        return Err(Why::Long);
    }
    if packet[0] >> 6 != 2 || (192..=223).contains(&packet[1]) {
        return Err(Why::NotRtp);
    }
    let mut header = 12 + 4 * usize::from(packet[0] & 0x0f);
    if packet[0] & 0x10 != 0 {
        let words = packet.get(header + 2..header + 4).ok_or(Why::BadRtp)?;
        header += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    if header > packet.len() {
        return Err(Why::BadRtp);
    }
    let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| packet[at + byte]));
    Ok(Stamp {
        payload_type: packet[1] & 0x7f,
        sequence: u16::from_be_bytes([packet[2], packet[3]]),
        timestamp: word(4),
        ssrc: word(8),
    })
}

/// Whether a number is one of the next, or of the last 64 and missing since counting began (RFC 3550 A.1).
fn continues(sequence: u16, tally: &Tally) -> bool {
    let ahead = i32::from(sequence.wrapping_sub(tally.highest as u16).cast_signed());
    match ahead {
        1..3_000 => true,
        -63..=-1 => {
            let is_missing = tally.window >> -ahead & 1 == 0;
            let number = i64::from(tally.highest) + i64::from(ahead);
            is_missing && number > i64::from(tally.first)
        }
        _ => false,
    }
}
