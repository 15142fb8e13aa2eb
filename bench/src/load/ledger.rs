//! The books of a step: every packet sent and every packet that came out, compared.
//!
//! The g-th packet of a step belongs to stream g mod n, since streams send in turn; what was sent
//! and what was seen are therefore flat tables, filled without allocation while the clock runs.

use hdrhistogram::Histogram;

use super::crypt::{Crypt, Desk, Opened};
use super::payload::Payload;
use super::{Name, RtpStream};
use crate::io::Arrival;

/// A packet that takes longer is as good as lost to a call.
pub(crate) const LATE_NS: u64 = 100_000_000;
/// Histograms hold up to a minute.
const LONGEST_NS: u64 = 60_000_000_000;
/// RTP clock ticks of a packet; G.711 at 20 ms.
const TICKS: u32 = 160;
/// SSRCs count up from here; those of earlier calls lie between this and a ledger's own first one.
pub(crate) const FIRST_SSRC: u32 = 0x1000_0000;

/// What can be wrong with a packet that came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No RTP stream of ours.
    Stranger,
    /// At the wrong endpoint, or from the wrong port of the relay.
    Path,
    /// UDP checksum.
    Checksum,
    /// RTP header: version, payload type, timestamp.
    Header,
    /// A sequence number that was not sent.
    Sequence,
    /// The payload is not what was sent.
    Payload,
    /// It does not open with the relay's key.
    Seal,
}

impl Fault {
    const COUNT: usize = 7;
}

/// Totals of a step.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Handed to our kernel and accepted.
    pub(crate) sent: u64,
    /// Came out right, once each.
    pub(crate) received: u64,
    /// Of those, later than 100 ms.
    pub(crate) late: u64,
    /// Came out again.
    pub(crate) duplicated: u64,
    /// Came out after a later one of its stream.
    pub(crate) reordered: u64,
    /// Sent in an earlier step, came out in this one.
    pub(crate) stale: u64,
    /// RTCP of the relay's own.
    pub(crate) rtcp: u64,
    /// Sent by an attacker beside what was sent; not in `sent`.
    pub(crate) forged: u64,
    /// By [`Fault`].
    pub(crate) faults: [u64; Fault::COUNT],
    /// One-way latency in nanoseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Tally {
    fn new() -> Self {
        Self {
            sent: 0,
            received: 0,
            late: 0,
            duplicated: 0,
            reordered: 0,
            stale: 0,
            rtcp: 0,
            forged: 0,
            faults: [0; Fault::COUNT],
            latency: Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("bounds are constant"),
        }
    }

    pub(crate) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// Lost, or so late that it might as well be, as a share of what was sent.
    pub(crate) fn loss(&self) -> f64 {
        (self.lost() + self.late) as f64 / self.sent.max(1) as f64
    }

    pub(crate) fn wrong(&self) -> u64 {
        self.faults.iter().sum()
    }
}

/// Where one stream stands.
#[derive(Clone, Copy)]
struct Lane {
    /// First sequence number of this step.
    base: u32,
    /// Next sequence number; 32 bits, the wire carries the low half (RFC 3550 §5.1).
    next: u32,
    /// Highest that came out.
    highest: Option<u32>,
}

/// The books.
pub(crate) struct Ledger {
    streams: Vec<RtpStream>,
    lanes: Vec<Lane>,
    crypts: Vec<Crypt>,
    desk: Desk,
    sent_at: Vec<u64>,
    seen: Vec<u64>,
    tally: Tally,
    heard: Option<[Vec<u8>; 2]>,
}

impl Ledger {
    /// Empty books for these streams, whose SSRCs count up from the first one's.
    pub(crate) fn new(streams: Vec<RtpStream>) -> Self {
        // Sequence numbers start near the wrap of the wire's 16 bits, so that every run crosses it.
        let lane = Lane {
            base: 65_500,
            next: 65_500,
            highest: None,
        };
        let lanes = vec![lane; streams.len()];
        let crypts = streams.iter().map(Crypt::new).collect();
        Self {
            streams,
            lanes,
            crypts,
            desk: Desk::new(),
            sent_at: Vec::new(),
            seen: Vec::new(),
            tally: Tally::new(),
            heard: None,
        }
    }

    pub(crate) fn streams(&self) -> &[RtpStream] {
        &self.streams
    }

    /// Begins a step of at most `packets`; what is still under way counts as stale from here on.
    pub(crate) fn begin(&mut self, packets: usize) {
        for lane in &mut self.lanes {
            lane.base = lane.next;
        }
        self.sent_at.clear();
        self.sent_at.reserve(packets);
        self.seen.clear();
        self.seen.resize(packets.div_ceil(64), 0);
        self.tally = Tally::new();
    }

    /// Notes the next packet as sent at `stamp` and writes it; returns its length.
    pub(crate) fn write(&mut self, payload: &Payload, stamp: u64, out: &mut [u8]) -> usize {
        let index = self.next_stream();
        let len = self.plain(payload, out);
        self.sent_at.push(stamp);
        self.tally.sent += 1;
        let lane = &mut self.lanes[index];
        lane.next = lane.next.wrapping_add(1);
        self.crypts[index].seal(out, len)
    }

    /// Writes the next packet as it is before it is protected; returns its length.
    pub(crate) fn plain(&self, payload: &Payload, out: &mut [u8]) -> usize {
        let index = self.next_stream();
        let (stream, seq) = (&self.streams[index], self.lanes[index].next);
        let name = stream.named[0].as_ref().map_or(&[][..], Name::bytes);
        let parts = [&header(stream, 0, seq), name, payload.bytes(stream, seq)];
        let mut len = 0;
        for part in parts {
            out[len..len + part.len()].copy_from_slice(part);
            len += part.len();
        }
        len
    }

    /// Whether the stream whose turn it is, is protected on its way into the relay.
    pub(crate) fn is_next_secure(&self) -> bool {
        self.streams[self.next_stream()].sends.is_some()
    }

    /// An attacker's packet was sent.
    pub(crate) fn forged(&mut self) {
        self.tally.forged += 1;
    }

    /// The stream whose turn it is.
    pub(crate) fn next_stream(&self) -> usize {
        self.sent_at.len() % self.streams.len()
    }

    /// Packets that our own kernel refused were not sent after all.
    pub(crate) fn unsent(&mut self, packets: u64) {
        self.tally.sent = self.tally.sent.saturating_sub(packets);
    }

    /// Enters a packet that came out.
    pub(crate) fn arrived(&mut self, payload: &Payload, arrival: &Arrival<'_>) {
        if let [128..=191, 192..=223, ..] = arrival.bytes {
            self.tally.rtcp += 1;
        } else if let Err(fault) = self.enter(payload, arrival) {
            self.tally.faults[fault as usize] += 1;
        }
    }

    fn enter(&mut self, payload: &Payload, arrival: &Arrival<'_>) -> Result<(), Fault> {
        let Some(head) = arrival.bytes.first_chunk::<12>() else {
            return Err(Fault::Stranger);
        };
        let ssrc = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        let first = self.streams.first().ok_or(Fault::Stranger)?.ssrc;
        if (FIRST_SSRC..first).contains(&ssrc) {
            self.tally.stale += 1;
            return Ok(());
        }
        let index = ssrc.wrapping_sub(first) as usize;
        let stream = self.streams.get(index).ok_or(Fault::Stranger)?;
        if arrival.at != stream.arrives_at || arrival.source != stream.arrives_from {
            return Err(Fault::Path);
        }
        if !arrival.checksum_ok {
            return Err(Fault::Checksum);
        }
        let opened = self.crypts[index].open(arrival.bytes, &mut self.desk);
        let bytes = match opened {
            Opened::Plain(bytes) => bytes,
            Opened::Replayed => {
                self.tally.duplicated += 1;
                return Ok(());
            }
            Opened::Broken => return Err(Fault::Seal),
        };
        let (head, body) = bytes.split_first_chunk::<12>().ok_or(Fault::Header)?;
        let name = stream.named[1].as_ref().map_or(&[][..], Name::bytes);
        let body = body.strip_prefix(name).ok_or(Fault::Header)?;
        if let Some(heard) = &mut self.heard {
            heard[stream.side().other() as usize].extend_from_slice(body);
        }
        let lane = &mut self.lanes[index];
        let behind = (lane.next as u16).wrapping_sub(u16::from_be_bytes([head[2], head[3]]));
        let seq = lane.next.wrapping_sub(u32::from(behind));
        if *head != header(stream, 1, seq) {
            return Err(Fault::Header);
        }
        if body != payload.bytes(stream, seq) {
            return Err(Fault::Payload);
        }
        if seq < lane.base {
            self.tally.stale += 1;
            return Ok(());
        }
        let g = (seq - lane.base) as usize * self.streams.len() + index;
        let sent_at = *self.sent_at.get(g).ok_or(Fault::Sequence)?;
        let (word, bit) = (&mut self.seen[g / 64], 1 << (g % 64));
        if *word & bit != 0 {
            self.tally.duplicated += 1;
            return Ok(());
        }
        *word |= bit;
        if lane.highest.is_some_and(|h| seq < h) {
            self.tally.reordered += 1;
        }
        lane.highest = Some(seq.max(lane.highest.unwrap_or(seq)));
        let latency = arrival.stamp.saturating_sub(sent_at);
        self.tally.received += 1;
        self.tally.late += u64::from(latency > LATE_NS);
        self.tally.latency.saturating_record(latency.max(1));
        Ok(())
    }

    /// Keeps the payloads that come out from here on, as each side hears them.
    pub(crate) fn listen(&mut self) {
        self.heard = Some([Vec::new(), Vec::new()]);
    }

    /// What each side has heard.
    pub(crate) fn heard(&self) -> Option<&[Vec<u8>; 2]> {
        self.heard.as_ref()
    }

    /// Whether everything sent has come out.
    pub(crate) fn complete(&self) -> bool {
        self.tally.received >= self.tally.sent
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Sent and lost by time of sending, in slices of `slice_ns` from the first packet on.
    pub(crate) fn loss_over_time(&self, slice_ns: u64) -> Vec<(u64, u64)> {
        let mut slices: Vec<(u64, u64)> = Vec::new();
        let Some(first) = self.sent_at.first() else {
            return slices;
        };
        for (g, at) in self.sent_at.iter().enumerate() {
            let slice = (at.saturating_sub(*first) / slice_ns) as usize;
            if slices.len() <= slice {
                slices.resize(slice + 1, (0, 0));
            }
            slices[slice].0 += 1;
            slices[slice].1 += u64::from(self.seen[g / 64] >> (g % 64) & 1 == 0);
        }
        slices
    }
}

/// The fixed RTP header (RFC 3550 §5.1), into the relay (0) or out of it (1).
fn header(stream: &RtpStream, way: usize, seq: u32) -> [u8; 12] {
    let mut head = [0; 12];
    head[0] = 0x80 | u8::from(stream.named[way].is_some()) << 4;
    head[1] = stream.payload_type;
    head[2..4].copy_from_slice(&(seq as u16).to_be_bytes());
    head[4..8].copy_from_slice(&seq.wrapping_mul(TICKS).to_be_bytes());
    head[8..].copy_from_slice(&stream.ssrc.to_be_bytes());
    head
}

#[cfg(test)]
pub(crate) mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::io::{Route, Side};

    pub(crate) fn streams(count: usize) -> Vec<RtpStream> {
        let port = |n: usize| SocketAddr::from(([10, 0, 0, 1], n as u16));
        (0..count)
            .map(|i| RtpStream {
                route: Route {
                    side: Side::Offerer,
                    from: port(1000 + i),
                    to: port(2000 + i),
                },
                arrives_at: port(3000 + i),
                arrives_from: port(4000 + i),
                ssrc: FIRST_SSRC + 77 + i as u32,
                payload_type: 0,
                named: [None; 2],
                sends: None,
                receives: None,
            })
            .collect()
    }

    struct Bench {
        ledger: Ledger,
        payload: Payload,
        packets: Vec<Vec<u8>>,
    }

    /// Ten packets of two streams, sent at 0, 1000, 2000 ... ns after the first second.
    fn sent() -> Bench {
        let mut ledger = Ledger::new(streams(2));
        let payload = Payload::pattern(160).expect("a length");
        ledger.begin(10);
        let packets = (0..10)
            .map(|i| {
                let mut packet = vec![0; 200];
                let len = ledger.write(&payload, 1_000_000_000 + i * 1000, &mut packet);
                packet.truncate(len);
                packet
            })
            .collect();
        Bench {
            ledger,
            payload,
            packets,
        }
    }

    impl Bench {
        fn arrive(&mut self, i: usize) {
            self.arrive_as(i, |_| {});
        }

        fn arrive_as(&mut self, i: usize, change: impl FnOnce(&mut Vec<u8>)) {
            self.arrive_at(i, 3000 + i % 2, 4000 + i % 2, true, change);
        }

        fn arrive_at(
            &mut self,
            i: usize,
            at: usize,
            from: usize,
            checksum_ok: bool,
            change: impl FnOnce(&mut Vec<u8>),
        ) {
            let port = |n: usize| SocketAddr::from(([10, 0, 0, 1], n as u16));
            let mut bytes = self.packets[i].clone();
            change(&mut bytes);
            let arrival = Arrival {
                at: port(at),
                source: port(from),
                stamp: 1_000_050_000 + i as u64 * 1000,
                checksum_ok,
                bytes: &bytes,
            };
            self.ledger.arrived(&self.payload, &arrival);
        }

        fn fault(&self, fault: Fault) -> u64 {
            self.ledger.tally().faults[fault as usize]
        }
    }

    #[test]
    fn a_faithful_relay_has_clean_books() {
        let mut bench = sent();
        (0..10).for_each(|i| bench.arrive(i));
        let tally = bench.ledger.tally();
        assert!(bench.ledger.complete());
        assert_eq!(
            (tally.sent, tally.received, tally.lost(), tally.wrong()),
            (10, 10, 0, 0)
        );
        assert_eq!((tally.duplicated, tally.reordered, tally.late), (0, 0, 0));
        assert!((49_000..51_000).contains(&tally.latency.value_at_quantile(0.5)));
    }

    #[test]
    fn each_injected_fault_is_counted_as_what_it_is() {
        let mut bench = sent();
        bench.arrive_as(0, |p| p[100] ^= 1);
        bench.arrive_as(1, |p| p[5] ^= 1);
        bench.arrive_as(2, |p| p.truncate(100));
        bench.arrive_as(3, |p| p[8] ^= 0x40);
        bench.arrive_at(4, 3000, 4001, true, |_| {});
        bench.arrive_at(5, 3000, 4001, true, |_| {});
        bench.arrive_at(6, 3000, 4000, false, |_| {});
        bench.arrive_as(7, |p| p[3] ^= 1);
        assert_eq!(bench.fault(Fault::Payload), 2);
        assert_eq!(bench.fault(Fault::Header), 2);
        assert_eq!(bench.fault(Fault::Stranger), 1);
        assert_eq!(bench.fault(Fault::Path), 2);
        assert_eq!(bench.fault(Fault::Checksum), 1);
        assert_eq!(bench.ledger.tally().received, 0);
    }

    #[test]
    fn a_name_is_expected_where_one_was_told() {
        let mut bench = sent();
        bench.ledger.streams[0].named[1] = Some(Name::new(4, "a"));
        let name = |p: &mut Vec<u8>, letter| {
            p[0] |= 0x10;
            p.splice(
                12..12,
                *Name::new(4, letter)
                    .bytes()
                    .first_chunk::<8>()
                    .expect("eight"),
            );
        };
        bench.arrive_as(0, |p| name(p, "a"));
        assert_eq!(bench.ledger.tally().received, 1);
        bench.arrive(2);
        bench.arrive_as(4, |p| name(p, "v"));
        bench.arrive_as(1, |p| name(p, "a"));
        assert_eq!(
            bench.fault(Fault::Header),
            3,
            "none, another one, and one too many"
        );
    }

    #[test]
    fn order_is_judged_within_a_stream() {
        let mut bench = sent();
        for i in [1, 0, 2, 6, 4, 3, 3, 8] {
            bench.arrive(i);
        }
        let tally = bench.ledger.tally();
        assert_eq!(
            (tally.received, tally.reordered, tally.duplicated),
            (7, 1, 1)
        );
        assert_eq!(tally.lost(), 3);
    }

    #[test]
    fn a_packet_of_an_earlier_step_is_stale_not_wrong() {
        let mut bench = sent();
        bench.ledger.begin(10);
        bench.arrive(0);
        let tally = bench.ledger.tally();
        assert_eq!((tally.stale, tally.received, tally.wrong()), (1, 0, 0));
    }

    #[test]
    fn a_packet_of_an_earlier_call_is_stale_too() {
        let mut bench = sent();
        bench.arrive_as(0, |p| p[11] = 3);
        let tally = bench.ledger.tally();
        assert_eq!((tally.stale, tally.received, tally.wrong()), (1, 0, 0));
    }

    #[test]
    fn loss_is_booked_where_it_was_sent() {
        let mut bench = sent();
        for i in [0, 1, 2, 3, 8, 9] {
            bench.arrive(i);
        }
        assert_eq!(bench.ledger.loss_over_time(4000), [(4, 0), (4, 4), (2, 0)]);
    }
}
