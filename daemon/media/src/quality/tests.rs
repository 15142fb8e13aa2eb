//! Sequence, loss, jitter and slot cases.

use super::*;
use crate::stats::{Cell32, PortStats};

/// A port that receives made-up headers.
#[derive(Default)]
struct Receiver {
    stats: PortStats,
    recent: u8,
    probation: Option<Probation>,
    clocks: Clocks,
}

impl Receiver {
    fn feed(&mut self, millis: u64, ssrc: u32, sequence: u16, timestamp: u32, payload_type: u8) {
        let header = Header {
            payload_type,
            sequence,
            timestamp,
            ssrc,
        };
        let at = Time::from_secs(1_000) + Duration::from_millis(millis);
        let packet = Arrival {
            at,
            header,
            len: 172,
        };
        observe(
            &self.stats.ssrcs,
            &mut self.recent,
            &mut self.probation,
            &self.clocks,
            &packet,
        );
    }

    /// One stream with even spacing, by sequence number only.
    fn sequences(&mut self, sequences: impl IntoIterator<Item = u16>) -> &SsrcStats {
        for (n, sequence) in sequences.into_iter().enumerate() {
            self.feed(20 * n as u64, 1, sequence, 160 * n as u32, 0);
        }
        &self.stats.ssrcs[0]
    }
}

/// Lost, reordered, duplicates, resets.
fn counts(stream: &SsrcStats) -> [u32; 4] {
    [
        &stream.lost,
        &stream.reordered,
        &stream.duplicates,
        &stream.resets,
    ]
    .map(Cell32::get)
}

#[test]
fn an_undisturbed_stream_has_nothing_to_report() {
    let mut receiver = Receiver::default();
    let stream = receiver.sequences(0..1_000);
    assert_eq!(counts(stream), [0, 0, 0, 0]);
    assert_eq!(
        (stream.traffic.packets.get(), stream.last_seq.get()),
        (1_000, 999)
    );
    assert_eq!(stream.jitter_q4.get(), 0);
}

#[test]
fn rollover_extends_the_sequence_and_loses_nothing() {
    let mut receiver = Receiver::default();
    let stream = receiver.sequences((0..200_000_u32).map(|n| (n + 65_000) as u16));
    assert_eq!(counts(stream), [0, 0, 0, 0]);
    assert_eq!(stream.last_seq.get(), 65_000 + 199_999);
}

#[test]
fn reordering_across_the_rollover_is_no_new_cycle() {
    let mut receiver = Receiver::default();
    let stream = receiver.sequences([65_533, 65_534, 0, 65_535, 1]);
    assert_eq!(counts(stream), [0, 1, 0, 0]);
    assert_eq!(stream.last_seq.get(), 65_537);
}

#[test]
fn a_gap_is_loss_until_the_late_packet_comes() {
    let mut receiver = Receiver::default();
    assert_eq!(counts(receiver.sequences([10, 11, 14])), [2, 0, 0, 0]);
    assert_eq!(counts(receiver.sequences([13])), [1, 1, 0, 0]);
    assert_eq!(
        counts(receiver.sequences([13])),
        [1, 1, 1, 0],
        "and only once"
    );
}

#[test]
fn copies_are_duplicates_and_not_received_twice() {
    let mut receiver = Receiver::default();
    let stream = receiver.sequences([10, 10, 11, 11, 10, 12]);
    assert_eq!(counts(stream), [0, 0, 3, 0]);
}

#[test]
fn what_precedes_the_first_packet_was_never_missing() {
    let mut receiver = Receiver::default();
    assert_eq!(counts(receiver.sequences([10, 12, 9, 8])), [1, 2, 0, 0]);
    let mut receiver = Receiver::default();
    assert_eq!(counts(receiver.sequences([1, 3, 65_535])), [1, 1, 0, 0]);
}

#[test]
fn a_gap_longer_than_the_window_forgets_what_it_saw() {
    let mut receiver = Receiver::default();
    assert_eq!(
        counts(receiver.sequences([10, 11, 111, 112])),
        [99, 0, 0, 0]
    );
}

#[test]
fn a_restarted_sender_is_a_reset_not_a_loss() {
    let mut receiver = Receiver::default();
    let stream = receiver.sequences([100, 101, 102, 40_000, 40_001, 40_002, 40_004]);
    assert_eq!(counts(stream), [1, 0, 0, 1]);
    assert_eq!(stream.last_seq.get(), 40_004);
    assert_eq!(stream.traffic.packets.get(), 7);
}

#[test]
fn a_single_stray_packet_resets_nothing() {
    let mut receiver = Receiver::default();
    let stream = receiver.sequences([100, 101, 40_000, 102, 50_000, 103]);
    assert_eq!(counts(stream), [0, 0, 0, 0]);
    assert_eq!(stream.last_seq.get(), 103);
}

#[test]
fn sequence_zero_alone_confirms_no_restart() {
    let mut receiver = Receiver::default();
    assert_eq!(
        counts(receiver.sequences([30_000, 30_001, 0])),
        [0, 0, 0, 0]
    );
}

#[test]
fn jitter_follows_the_estimator_of_the_rfc() {
    let mut receiver = Receiver::default();
    let mut expected = 0;
    for n in 0..500_u32 {
        // Every other packet is 5 ms late: 40 units of 8 kHz.
        let late = u64::from(n % 2) * 5;
        receiver.feed(u64::from(n) * 20 + late, 1, n as u16, n * 160, 0);
        if n > 0 {
            expected += 40 - ((expected + 8) >> 4);
        }
    }
    let stream = &receiver.stats.ssrcs[0];
    assert_eq!(stream.jitter_q4.get(), expected);
    let jitter = stream.jitter().expect("PCMU's clock rate is known");
    assert!(jitter > Duration::from_micros(4_800) && jitter < Duration::from_micros(5_100));
}

#[test]
fn jitter_is_measured_with_the_negotiated_clock() {
    let mut receiver = Receiver {
        clocks: Clocks::from_slice(&[(96, 48_000)]),
        ..Receiver::default()
    };
    for n in 0..200_u32 {
        receiver.feed(u64::from(n) * 20, 1, n as u16, n * 960, 96);
    }
    assert_eq!(receiver.stats.ssrcs[0].jitter_q4.get(), 0);
}

#[test]
fn telephone_events_and_new_timelines_are_no_jitter() {
    let mut receiver = Receiver::default();
    let mut n = 0;
    let mut feed = |timestamp, payload_type| {
        receiver.feed(u64::from(n) * 20, 1, n, timestamp, payload_type);
        n += 1;
    };
    (0..50).for_each(|i| feed(i * 160, 0));
    (0..50).for_each(|_| feed(50 * 160, 101));
    (100..150).for_each(|i| feed(i * 160, 0));
    (0..50).for_each(|i| feed(3_000_000_000 + i * 160, 0));
    assert_eq!(receiver.stats.ssrcs[0].jitter_q4.get(), 0);
}

#[test]
fn the_first_packet_has_nothing_to_be_late_against() {
    let mut receiver = Receiver::default();
    // A sender whose timestamps are close to the clock here, so that its transit time is small.
    let clock = units(Time::from_secs(1_000), 8_000);
    for n in 0..50 {
        receiver.feed(u64::from(n) * 20, 1, n as u16, clock - 100 + n * 160, 0);
    }
    assert_eq!(receiver.stats.ssrcs[0].jitter_q4.get(), 0);
}

#[test]
fn time_in_units_wraps_like_the_timestamp() {
    assert_eq!(units(Time::from_millis(1_500), 8_000), 12_000);
    let after = |seconds| units(Time::from_secs(seconds), 90_000);
    assert_eq!(after(50_001).wrapping_sub(after(50_000)), 90_000);
    assert_eq!(
        units(Time(u64::MAX), u32::MAX),
        units(Time(u64::MAX), u32::MAX)
    );
}

#[test]
fn a_flood_of_made_up_streams_does_not_evict_the_one_in_use() {
    let mut receiver = Receiver::default();
    for n in 0..20_000_u32 {
        receiver.feed(u64::from(n), 0xfeed, n as u16, n * 8, 0);
        // Each made-up stream proves itself by two packets in sequence.
        receiver.feed(u64::from(n), 0x8000_0000 + n / 2, n as u16, 0, 0);
        receiver.feed(u64::from(n), 0x8000_0000 + n / 2, n as u16 + 1, 0, 0);
    }
    let stream = find(&receiver.stats.ssrcs, 0xfeed).expect("still there");
    assert_eq!(
        (stream.traffic.packets.get(), counts(stream)),
        (20_000, [0, 0, 0, 0])
    );
}

#[test]
fn single_packets_of_made_up_streams_take_no_slot() {
    let mut receiver = Receiver::default();
    receiver.sequences(0..10);
    for ssrc in 100..10_000 {
        receiver.feed(300, ssrc, ssrc as u16, 0, 0);
    }
    let used = receiver.stats.ssrcs.iter().filter(|s| s.is_used()).count();
    assert_eq!(used, 1);
}

#[test]
fn packets_out_of_sequence_prove_no_stream() {
    let mut receiver = Receiver::default();
    receiver.sequences(0..10);
    for n in 0..100 {
        receiver.feed(300, 2, n * 7, 0, 0);
    }
    assert!(find(&receiver.stats.ssrcs, 2).is_none());
    receiver.feed(300, 2, 99 * 7 + 1, 0, 0);
    assert!(find(&receiver.stats.ssrcs, 2).is_some());
}

#[test]
fn a_new_stream_takes_the_slot_of_the_longest_silent_one() {
    let mut receiver = Receiver::default();
    for ssrc in 1..=4_u32 {
        receiver.feed(u64::from(ssrc), ssrc, 1, 0, 0);
        receiver.feed(u64::from(ssrc), ssrc, 2, 160, 0);
    }
    receiver.feed(4_000, 2, 3, 320, 0);
    receiver.feed(4_020, 9, 7, 0, 0);
    receiver.feed(4_040, 9, 8, 160, 0);
    assert!(
        find(&receiver.stats.ssrcs, 9).is_none(),
        "nobody has been silent for long"
    );
    receiver.feed(6_000, 9, 9, 320, 0);
    let stream = find(&receiver.stats.ssrcs, 9).expect("the first stream's slot");
    assert_eq!(stream.traffic.packets.get(), 2);
    assert_eq!(counts(stream), [0, 0, 0, 0]);
    assert!(find(&receiver.stats.ssrcs, 1).is_none());
    assert!(find(&receiver.stats.ssrcs, 2).is_some());
}

#[test]
fn a_reused_slot_begins_at_zero() {
    let mut receiver = Receiver::default();
    let before = receiver.sequences([1, 5, 5, 9]);
    before.rtt_us.set(5);
    before.reports.set(5);
    let fresh = SsrcStats::default();
    fresh.clear(7);
    before.clear(7);
    before.last_seen.set(0);
    assert_eq!(format!("{before:?}"), format!("{fresh:?}"));
}

#[test]
fn a_flood_of_sender_reports_does_not_evict_a_stream_that_is_reported_on() {
    let stats = PortStats::default();
    let mut found = 0;
    for second in 0..100 {
        let now = Time::from_secs(1_000 + second);
        if second % 5 == 0 {
            find_or_reserve(&stats.ssrcs, 0xfeed, now).expect("its own slot");
        }
        for ssrc in 0..100 {
            found +=
                u64::from(find_or_reserve(&stats.ssrcs, ssrc + second as u32 * 100, now).is_some());
        }
    }
    assert!(find(&stats.ssrcs, 0xfeed).is_some());
    assert!(found > 3, "while those that fell silent gave way");
}
