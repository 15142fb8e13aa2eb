//! Whole packets through a plane: verdicts, reasons, sinks, events, counters.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::flow::{
    Accepts, Admission, Clocks, Feedback, Handshakes, Learning, Reporting, Security, Sink, Sinks,
    Spec, Stranger,
};
use crate::packet::Packet;
use crate::stats::PortStats;

/// What left, in order.
#[derive(Debug, Default)]
struct Sent {
    packets: Vec<(Vec<u8>, PortId, Endpoint)>,
    forwards: Vec<(usize, usize, PortId, Endpoint)>,
    events: Vec<Event>,
}

impl Outbox for Sent {
    fn forward(&mut self, index: usize, len: usize, via: PortId, to: Endpoint) {
        assert!(
            self.forwards.iter().all(|f| f.0 != index),
            "a buffer is given away once"
        );
        self.forwards.push((index, len, via, to));
    }

    fn copy(&mut self, bytes: &[u8], via: PortId, to: Endpoint) {
        self.packets.push((bytes.to_vec(), via, to));
    }

    fn event(&mut self, event: Event) {
        self.events.push(event);
    }
}

/// A plane, and a clock that tests move.
struct Bench {
    plane: Plane,
    now: Time,
    events: Vec<Event>,
}

fn port(slot: u32) -> PortId {
    PortId::new(0, slot).expect("a small slot")
}

fn host(last: u8, port: u16) -> Endpoint {
    Endpoint::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)), port)
}

/// The advertised endpoint of the peer at a slot.
fn peer(slot: u32) -> Endpoint {
    host(slot as u8 + 1, 4_000)
}

fn sink(slot: u32, feedback: Feedback) -> Sink {
    Sink {
        via: port(slot),
        feedback,
        edit: None,
    }
}

fn to(slots: &[u32]) -> Sinks {
    slots
        .iter()
        .map(|slot| sink(*slot, Feedback::Keep))
        .collect()
}

fn spec(slot: u32, accepts: Accepts, rtp: &[u32], rtcp: &[u32]) -> Spec {
    Spec {
        port: port(slot),
        accepts,
        admission: Admission {
            advertised: peer(slot),
            learning: Learning::Heuristic,
            stranger: Stranger::Forward,
            epoch: 1,
        },
        handshakes: Handshakes::default(),
        receive: Security::Plain,
        send: Security::Plain,
        clocks: Clocks::new(),
        rtp: to(rtp),
        rtcp: to(rtcp),
        reporting: Reporting::Relayed,
        bundle: None,
        doors: None,
        tos: 184,
        blocked: false,
        interface: 0,
        stats: Arc::new(PortStats::default()),
    }
}

impl Bench {
    fn new(specs: impl IntoIterator<Item = Spec>) -> Self {
        let mut bench = Self {
            plane: Plane::new(0, 1),
            now: Time::from_secs(100),
            events: Vec::new(),
        };
        specs.into_iter().for_each(|spec| bench.set(spec));
        bench
    }

    /// Two muxed legs that relay to each other.
    fn call() -> Self {
        Self::new([0, 1].map(|slot| spec(slot, Accepts::Muxed, &[1 - slot], &[1 - slot])))
    }

    fn set(&mut self, spec: Spec) {
        self.plane.command(self.now, Command::Set(Arc::new(spec)));
    }

    /// The flow's Spec as it stands, to be changed.
    fn spec(&self, slot: u32) -> Spec {
        let flow = self.plane.table.get(port(slot)).expect("a flow");
        Spec::clone(&flow.cold.spec)
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        let mut out = Sent::default();
        self.plane.tick(self.now, &mut out);
        self.events.append(&mut out.events);
    }

    /// One packet; what left comes out as bytes, port and destination.
    fn send(
        &mut self,
        slot: u32,
        source: Endpoint,
        bytes: &[u8],
    ) -> Vec<(Vec<u8>, PortId, Endpoint)> {
        let mut buffer = bytes.to_vec();
        let packet = Packet::new(&mut buffer, bytes.len());
        let rx = Rx {
            port: port(slot),
            source: Some(source),
            packet,
            truncated: false,
        };
        let mut out = Sent::default();
        self.plane.process(self.now, &mut [rx], &mut out);
        for (_, len, via, to) in out.forwards {
            out.packets.push((buffer[..len].to_vec(), via, to));
        }
        self.events.append(&mut out.events);
        out.packets
    }

    /// From the advertised endpoint, to whoever got it.
    fn relay(&mut self, slot: u32, bytes: &[u8]) -> Vec<Endpoint> {
        self.send(slot, peer(slot), bytes)
            .into_iter()
            .map(|(_, _, to)| to)
            .collect()
    }

    /// From the advertised endpoint, dropped.
    fn refuse(&mut self, slot: u32, bytes: &[u8]) -> Reason {
        let before = self.drops();
        assert_eq!(self.relay(slot, bytes), []);
        let after = self.drops();
        let new = |r: &&Reason| after[**r as usize] > before[**r as usize];
        *Reason::ALL.iter().find(new).expect("a reason")
    }

    fn drops(&self) -> Vec<u64> {
        let stats = self.plane.stats();
        let interfaces = stats.interfaces.iter().chain([&stats.unassigned]);
        let mut sums = vec![0; Reason::COUNT];
        for interface in interfaces {
            for (sum, cell) in sums.iter_mut().zip(interface.dropped.iter()) {
                *sum += cell.get();
            }
        }
        sums
    }

    fn stats(&self, slot: u32) -> Arc<PortStats> {
        Arc::clone(&self.plane.table.get(port(slot)).expect("a flow").stats)
    }
}

fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0xca, 0xfe, 0, 1];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet.resize(172, 0xd5);
    packet
}

/// An RTCP packet of that type and count, `words` of body after the header.
fn rtcp(kind: u8, count: u8, words: &[u32]) -> Vec<u8> {
    let mut packet = vec![0x80 | count, kind, 0, words.len() as u8];
    packet.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    packet
}

fn sender_report(ssrc: u32, ntp: u64) -> Vec<u8> {
    rtcp(
        200,
        0,
        &[ssrc, (ntp >> 32) as u32, ntp as u32, 0, 50, 8_000],
    )
}

fn receiver_report(about: u32, last_sr: u32, delay_ms: u32) -> Vec<u8> {
    rtcp(
        201,
        1,
        &[
            9,
            about,
            64 << 24 | 5,
            1_000,
            33,
            last_sr,
            delay_ms * 65_536 / 1_000,
        ],
    )
}

fn picture_loss() -> Vec<u8> {
    rtcp(206, 1, &[9, 10])
}

const STUN: [u8; 20] = [
    0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];
const DTLS: [u8; 14] = [22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
const ZRTP: [u8; 12] = [0x10, 0, 0, 1, b'Z', b'R', b'T', b'P', 0, 0, 0, 9];

#[test]
fn a_call_relays_both_ways_byte_for_byte() {
    let mut bench = Bench::call();
    assert_eq!(
        bench.send(0, peer(0), &rtp(1)),
        [(rtp(1), port(1), peer(1))]
    );
    assert_eq!(
        bench.send(1, peer(1), &rtp(7)),
        [(rtp(7), port(0), peer(0))]
    );
    for slot in [0, 1] {
        let stats = bench.stats(slot);
        let counts = [&stats.rtp_in, &stats.rtp_out].map(|t| (t.packets.get(), t.bytes.get()));
        assert_eq!(counts, [(1, 172), (1, 172)]);
        assert_eq!(
            (stats.forwarded.get(), stats.last_packet()),
            (1, Some(bench.now))
        );
    }
}

#[test]
fn replies_go_to_where_packets_come_from() {
    let mut bench = Bench::call();
    let nat = host(200, 61_000);
    bench.send(0, nat, &rtp(1));
    assert_eq!(bench.relay(1, &rtp(1)), [nat]);
    bench.wait(3_000);
    assert_eq!(bench.plane.peer(port(0)), Some(nat));
    let latched = |settled, at| Event::Latched {
        port: port(0),
        peer: nat,
        epoch: 1,
        at,
        settled,
    };
    let news: Vec<_> = bench
        .events
        .iter()
        .filter(|e| !matches!(e, Event::Latched { port: p, .. } if *p == port(1)))
        .collect();
    assert_eq!(
        news,
        [
            &latched(false, Time::from_secs(100)),
            &latched(true, Time::from_secs(103))
        ]
    );
}

#[test]
fn the_window_closes_by_a_packet_or_by_the_tick_but_is_told_once() {
    for tick in [true, false] {
        let mut bench = Bench::call();
        bench.send(0, host(200, 61_000), &rtp(1));
        if tick {
            bench.wait(3_500);
        } else {
            bench.now = bench.now + Duration::from_millis(3_500);
        }
        bench.send(0, host(200, 61_000), &rtp(2));
        bench.wait(3_500);
        assert_eq!(bench.events.len(), 2, "{:?}", bench.events);
        assert_eq!(bench.plane.stats().latches.get(), 2);
    }
}

#[test]
fn each_class_has_its_reason_on_an_rtp_port() {
    let mut bench = Bench::call();
    let extension_too_long = [&[0x90, 0, 0, 1][..], &[0; 10], &[0xff, 0xff]].concat();
    let rtcp_too_long = [0x80, 200, 0, 9, 0, 0, 0, 1];
    for (bytes, reason) in [
        (&[][..], Reason::Empty),
        (&STUN, Reason::UnexpectedStun),
        (&DTLS, Reason::UnexpectedDtls),
        (&[0x80, 0, 0], Reason::Short),
        (b"keep-alive", Reason::NotRtp),
        (&extension_too_long, Reason::BadHeader),
        (&rtcp_too_long, Reason::BadRtcp),
    ] {
        assert_eq!(bench.refuse(0, bytes), reason);
    }
    assert_eq!(
        bench.stats(0).last_packet(),
        None,
        "none of them is a sign of life"
    );
}

#[test]
fn padding_is_not_looked_at_since_srtp_may_be_behind_it() {
    let mut bench = Bench::call();
    let mut packet = rtp(1);
    packet[0] |= 0x20;
    assert_eq!(bench.relay(0, &packet), [peer(1)]);
}

#[test]
fn zrtp_passes_on_rtp_ports_and_believes_nobody() {
    let mut bench = Bench::call();
    assert_eq!(
        bench.send(0, host(66, 6_666), &ZRTP),
        [(ZRTP.to_vec(), port(1), peer(1))]
    );
    assert_eq!(bench.plane.destination(port(0)), Some(peer(0)));
}

#[test]
fn an_rtcp_port_takes_rtcp_only_and_learns_by_it() {
    let mut bench = Bench::new([
        spec(0, Accepts::Rtcp, &[], &[1]),
        spec(1, Accepts::Rtcp, &[], &[0]),
    ]);
    for bytes in [&rtp(1)[..], &ZRTP, b"keep-alive"] {
        assert_eq!(bench.refuse(0, bytes), Reason::NotRtcp);
    }
    assert_eq!(bench.refuse(0, &STUN), Reason::UnexpectedStun);
    let nat = host(200, 61_001);
    bench.send(0, nat, &sender_report(7, 0));
    assert_eq!(bench.relay(1, &sender_report(8, 0)), [nat]);
    assert_eq!(bench.stats(1).rtcp_out.packets.get(), 1);
}

#[test]
fn rtcp_on_an_rtp_port_is_relayed_but_moves_no_peer() {
    let mut bench = Bench::call();
    let elsewhere = host(66, 6_666);
    let report = sender_report(7, 0);
    assert_eq!(
        bench.send(0, elsewhere, &report),
        [(report, port(1), peer(1))]
    );
    assert_eq!(bench.relay(1, &rtp(1)), [peer(0)]);
}

#[test]
fn a_muxed_leg_meets_a_split_one() {
    let mut bench = Bench::new([
        spec(0, Accepts::Muxed, &[1], &[2]),
        spec(1, Accepts::Rtp, &[0], &[0]),
        spec(2, Accepts::Rtcp, &[], &[0]),
    ]);
    assert_eq!(bench.relay(0, &rtp(1)), [peer(1)]);
    assert_eq!(bench.relay(0, &sender_report(7, 0)), [peer(2)]);
    assert_eq!(bench.relay(1, &rtp(1)), [peer(0)]);
    assert_eq!(bench.relay(2, &sender_report(8, 0)), [peer(0)]);
}

#[test]
fn opaque_flows_carry_anything_but_nothing() {
    let mut bench = Bench::new([0, 1].map(|slot| spec(slot, Accepts::Opaque, &[1 - slot], &[])));
    for bytes in [
        &STUN[..],
        &DTLS,
        b"T.38",
        &rtp(1),
        &sender_report(7, 0),
        &[0x80],
    ] {
        assert_eq!(bench.relay(0, bytes), [peer(1)]);
    }
    assert_eq!(bench.refuse(0, &[]), Reason::Empty);
    assert_eq!(bench.stats(0).rtp_in.packets.get(), 6);
    assert_eq!(
        bench.plane.stats().interfaces[0].forwarded[2].packets.get(),
        6
    );
}

#[test]
fn without_a_flow_sink_or_peer_packets_end_with_the_right_reason() {
    let mut bench = Bench::new([
        spec(0, Accepts::Muxed, &[], &[]),
        spec(1, Accepts::Muxed, &[9], &[9]),
        Spec {
            admission: Admission {
                advertised: host(0, 0),
                ..spec(2, Accepts::Muxed, &[], &[]).admission
            },
            ..spec(2, Accepts::Muxed, &[3], &[3])
        },
        spec(3, Accepts::Muxed, &[2], &[2]),
    ]);
    assert_eq!(bench.refuse(9, &rtp(1)), Reason::NoFlow);
    assert_eq!(bench.refuse(0, &rtp(1)), Reason::NoSink);
    assert_eq!(bench.refuse(0, &sender_report(7, 0)), Reason::UnwantedRtcp);
    assert_eq!(bench.refuse(1, &rtp(1)), Reason::NoPeer);
    assert_eq!(bench.refuse(3, &rtp(1)), Reason::NoPeer);
    assert_eq!(
        bench.relay(2, &rtp(1)),
        [peer(3)],
        "a held peer is still heard"
    );
    let stats = bench.stats(0);
    assert_eq!((stats.rtp_in.packets.get(), stats.dropped()), (1, 2));
    assert_eq!(
        stats.last_packet(),
        Some(bench.now),
        "it is alive all the same"
    );
}

#[test]
fn blocked_media_is_consumed_and_counted() {
    let mut bench = Bench::call();
    bench.set(Spec {
        blocked: true,
        ..bench.spec(0)
    });
    assert_eq!(bench.refuse(0, &rtp(1)), Reason::Blocked);
    assert_eq!(bench.relay(1, &rtp(1)), [peer(0)], "the other way is open");
    bench.set(Spec {
        blocked: false,
        ..bench.spec(0)
    });
    assert_eq!(bench.relay(0, &rtp(2)), [peer(1)]);
    assert_eq!(bench.stats(0).ssrcs[0].traffic.packets.get(), 2);
}

#[test]
fn a_datagram_that_the_kernel_cut_is_not_relayed() {
    let mut bench = Bench::call();
    let mut buffer = rtp(1);
    let packet = Packet::new(&mut buffer, 172);
    let rx = Rx {
        port: port(0),
        source: Some(peer(0)),
        packet,
        truncated: true,
    };
    let mut out = Sent::default();
    bench.plane.process(bench.now, &mut [rx], &mut out);
    assert_eq!(out.forwards, []);
    assert_eq!(bench.stats(0).drops(Reason::Truncated), 1);
}

#[test]
fn a_strict_flow_drops_strangers_and_an_ordinary_one_relays_them() {
    let mut bench = Bench::call();
    bench.relay(0, &rtp(1));
    assert_eq!(bench.send(0, host(66, 6_666), &rtp(2)).len(), 1);
    let strict = bench.spec(0);
    bench.set(Spec {
        admission: Admission {
            stranger: Stranger::Drop,
            ..strict.admission
        },
        ..strict
    });
    assert_eq!(bench.plane.stranger(port(0)), Some(Stranger::Drop));
    assert_eq!(bench.send(0, host(66, 6_666), &rtp(3)).len(), 0);
    assert_eq!(bench.stats(0).drops(Reason::WrongSource), 1);
    assert_eq!(bench.relay(0, &rtp(4)), [peer(1)], "and keeps its latch");
}

#[test]
fn a_packet_that_the_kernel_checked_needs_no_source() {
    let mut bench = Bench::call();
    bench.relay(0, &rtp(1));
    let mut buffer = rtp(2);
    let packet = Packet::new(&mut buffer, 172);
    let rx = Rx {
        port: port(0),
        source: None,
        packet,
        truncated: false,
    };
    let mut out = Sent::default();
    bench.plane.process(bench.now, &mut [rx], &mut out);
    assert_eq!(out.forwards, [(0, 172, port(1), peer(1))]);
}

#[test]
fn a_forked_packet_leaves_through_every_sink_and_counts_once() {
    let mut bench = Bench::new([
        spec(0, Accepts::Muxed, &[1, 2, 9, 3], &[1, 2, 9, 3]),
        spec(1, Accepts::Muxed, &[0], &[0]),
        spec(2, Accepts::Muxed, &[0], &[0]),
        spec(3, Accepts::Muxed, &[0], &[0]),
    ]);
    assert_eq!(bench.relay(0, &rtp(1)), [peer(1), peer(2), peer(3)]);
    assert_eq!(bench.stats(0).forwarded.get(), 1);
    assert_eq!(
        [1, 2, 3].map(|slot| bench.stats(slot).rtp_out.packets.get()),
        [1, 1, 1]
    );
    assert_eq!(bench.plane.stats().decided(), 1);
}

#[test]
fn feedback_is_cut_out_for_those_that_do_not_carry_it() {
    let plain = [Sink {
        via: port(1),
        feedback: Feedback::Strip,
        edit: None,
    }];
    let mut bench = Bench::new([
        Spec {
            rtcp: Sinks::from_slice(&plain),
            ..spec(0, Accepts::Muxed, &[1], &[])
        },
        spec(1, Accepts::Muxed, &[0], &[0]),
    ]);
    let compound = [receiver_report(1, 0, 0), picture_loss(), rtcp(202, 0, &[])].concat();
    let stripped = [receiver_report(1, 0, 0), rtcp(202, 0, &[])].concat();
    assert_eq!(
        bench.send(0, peer(0), &compound),
        [(stripped.clone(), port(1), peer(1))]
    );
    assert_eq!(bench.stats(1).rtcp_out.bytes.get(), stripped.len() as u64);
    assert_eq!(bench.refuse(0, &picture_loss()), Reason::Feedback);
    assert_eq!(
        bench.send(1, peer(1), &compound),
        [(compound, port(0), peer(0))]
    );
}

#[test]
fn each_sink_of_a_fork_gets_the_feedback_that_it_carries() {
    let sinks = [
        sink(1, Feedback::Strip),
        sink(2, Feedback::Keep),
        sink(3, Feedback::Strip),
        sink(9, Feedback::Keep),
    ];
    let mut bench = Bench::new([
        Spec {
            rtcp: Sinks::from_slice(&sinks),
            ..spec(0, Accepts::Muxed, &[1], &[])
        },
        spec(1, Accepts::Muxed, &[0], &[0]),
        spec(2, Accepts::Muxed, &[0], &[0]),
        spec(3, Accepts::Muxed, &[0], &[0]),
    ]);
    let report = receiver_report(1, 0, 0);
    let compound = [report.clone(), picture_loss()].concat();
    assert_eq!(
        bench.send(0, peer(0), &compound),
        [
            (compound, port(2), peer(2)),
            (report.clone(), port(1), peer(1)),
            (report, port(3), peer(3)),
        ]
    );
    let feedback = picture_loss();
    assert_eq!(
        bench.send(0, peer(0), &feedback),
        [(feedback, port(2), peer(2))]
    );
    assert_eq!(bench.stats(0).forwarded.get(), 2);
}

#[test]
fn srtcp_between_the_endpoints_is_neither_checked_nor_cut() {
    let strip = [Sink {
        via: port(1),
        feedback: Feedback::Strip,
        edit: None,
    }];
    let mut bench = Bench::new([
        Spec {
            receive: Security::EndToEnd,
            rtcp: Sinks::from_slice(&strip),
            ..spec(0, Accepts::Muxed, &[1], &[])
        },
        spec(1, Accepts::Muxed, &[0], &[0]),
    ]);
    let sealed = [&[0x81, 206, 0, 2, 0, 0, 0, 9][..], &[0x5a; 33]].concat();
    assert_eq!(
        bench.send(0, peer(0), &sealed),
        [(sealed, port(1), peer(1))]
    );
}

#[test]
fn without_keys_nothing_enters_and_nothing_is_learnt() {
    let mut bench = Bench::new([
        Spec {
            receive: Security::Pending,
            ..spec(0, Accepts::Muxed, &[1], &[1])
        },
        spec(1, Accepts::Muxed, &[0], &[0]),
    ]);
    assert_eq!(bench.refuse(0, &rtp(1)), Reason::NoKeys);
    assert_eq!(bench.stats(0).last_packet(), None);
    assert_eq!(bench.events, []);
}

#[test]
fn without_keys_only_what_has_its_own_leaves() {
    let towards = |receive| {
        Bench::new([
            Spec {
                receive,
                ..spec(0, Accepts::Muxed, &[1], &[1])
            },
            Spec {
                send: Security::Pending,
                ..spec(1, Accepts::Muxed, &[0], &[0])
            },
        ])
    };
    let mut plain = towards(Security::Plain);
    assert_eq!(plain.refuse(0, &rtp(1)), Reason::NoKeys);
    let mut sealed = towards(Security::EndToEnd);
    assert_eq!(sealed.relay(0, &rtp(1)), [peer(1)]);
}

#[test]
fn a_loop_is_cut_and_told_once() {
    let mut bench = Bench::call();
    let left = (0..100)
        .filter(|_| bench.relay(0, &rtp(1)) == [peer(1)])
        .count();
    assert_eq!(left, 31, "the packet and thirty repeats");
    assert_eq!(bench.stats(0).drops(Reason::Loop), 69);
    let loops = bench
        .events
        .iter()
        .filter(|e| matches!(e, Event::Looped { .. }));
    assert_eq!(loops.count(), 1);
    assert_eq!(
        bench.relay(0, &rtp(2)),
        [peer(1)],
        "what is no repeat passes"
    );
}

#[test]
fn a_re_invite_keeps_the_latch_and_a_new_endpoint_begins_again() {
    let mut bench = Bench::call();
    let nat = host(200, 61_000);
    bench.send(0, nat, &rtp(1));
    bench.wait(3_000);
    bench.set(Spec {
        tos: 0,
        ..bench.spec(0)
    });
    assert_eq!(bench.plane.peer(port(0)), Some(nat));
    assert_eq!(bench.plane.tos(port(0)), Some(0));

    let old = bench.spec(0);
    let held = Admission {
        advertised: host(0, 0),
        epoch: 2,
        ..old.admission
    };
    bench.set(Spec {
        admission: held,
        ..old.clone()
    });
    assert_eq!(bench.plane.peer(port(0)), None);
    assert_eq!(bench.refuse(1, &rtp(1)), Reason::NoPeer);

    let resumed = Admission {
        epoch: 3,
        ..old.admission
    };
    bench.set(Spec {
        admission: resumed,
        ..old
    });
    assert_eq!(
        bench.relay(1, &rtp(2)),
        [nat],
        "the first guess after a hold"
    );
    assert_eq!(
        bench.plane.peer(port(0)),
        None,
        "but it has to prove itself"
    );
}

#[test]
fn a_cleared_port_forgets_its_peer() {
    let mut bench = Bench::call();
    bench.send(0, host(200, 61_000), &rtp(1));
    bench.plane.command(bench.now, Command::Clear(port(0)));
    assert_eq!(bench.refuse(0, &rtp(2)), Reason::NoFlow);
    assert_eq!(bench.refuse(1, &rtp(2)), Reason::NoPeer);
    assert_eq!(bench.plane.stats().flows.get(), 1);
    bench.set(spec(0, Accepts::Muxed, &[1], &[1]));
    bench.wait(4_000);
    assert_eq!(bench.relay(1, &rtp(3)), [peer(0)]);
    let settled =
        |e: &&Event| matches!(e, Event::Latched { port: p, settled: true, .. } if *p == port(0));
    assert_eq!(
        bench.events.iter().filter(settled).count(),
        0,
        "the old window is nobody's"
    );
}

#[test]
fn round_trips_are_measured_on_muxed_and_on_split_ports() {
    let split = [
        spec(0, Accepts::Rtp, &[2], &[3]),
        spec(1, Accepts::Rtcp, &[], &[3]),
        spec(2, Accepts::Rtp, &[0], &[1]),
        spec(3, Accepts::Rtcp, &[], &[1]),
    ];
    let muxed = [0, 1].map(|slot| spec(slot, Accepts::Muxed, &[1 - slot], &[1 - slot]));
    for (mut bench, reports, back) in [(Bench::new(split), 1, 3), (Bench::new(muxed), 0, 1)] {
        let ssrc = 0xcafe_0001;
        bench.relay(0, &rtp(1));
        bench.relay(reports, &sender_report(ssrc, 0x1111_2222_3333_4444));
        bench.wait(540);
        bench.relay(back, &receiver_report(ssrc, 0x2222_3333, 500));
        let stats = bench.stats(reports);
        let stream = quality::find(&stats.ssrcs, ssrc).expect("the stream that is reported on");
        let rtt = stream.rtt().expect("a round trip");
        assert!((39_900..40_100).contains(&rtt.as_micros()), "{rtt:?}");
        let reported = (stream.reported_loss.get(), stream.reported_jitter.get());
        assert_eq!((stream.reports.get(), reported), (1, (64, 33)));
    }
}

#[test]
fn reports_about_streams_unknown_change_nothing() {
    let mut bench = Bench::call();
    for ssrc in 0..100 {
        bench.relay(1, &receiver_report(ssrc, 1, 1));
        bench.relay(0, &sender_report(ssrc, 1));
    }
    assert!(bench.stats(0).ssrcs.iter().all(|s| !s.is_used()));
}

#[test]
fn a_batch_of_several_flows_keeps_its_order_and_its_indexes() {
    let mut bench = Bench::call();
    let mut buffers: Vec<_> = (0..150_u16).map(rtp).collect();
    let mut batch: Vec<_> = buffers
        .iter_mut()
        .enumerate()
        .map(|(n, buffer)| {
            let slot = n as u32 % 3;
            let packet = Packet::new(buffer, 172);
            Rx {
                port: port(slot),
                source: Some(peer(slot)),
                packet,
                truncated: false,
            }
        })
        .collect();
    let mut out = Sent::default();
    bench.plane.process(bench.now, &mut batch, &mut out);
    let indexes: Vec<_> = out.forwards.iter().map(|f| f.0).collect();
    let expected: Vec<_> = (0..150).filter(|n| n % 3 != 2).collect();
    assert_eq!(indexes, expected);
    let stats = bench.plane.stats();
    assert_eq!(stats.unassigned.dropped(), 50);
    assert_eq!((stats.received.packets.get(), stats.decided()), (150, 150));
    assert_eq!(stats.batches[7].get(), 1);
}

#[test]
fn a_failed_send_is_counted_where_it_should_have_left() {
    let mut bench = Bench::call();
    bench.relay(0, &rtp(1));
    bench.plane.unsent(port(1), Reason::SendFull);
    let stats = bench.stats(1);
    assert_eq!((stats.unsent(), stats.dropped()), (1, 0));
    let totals = bench.plane.stats();
    assert_eq!(
        totals.interfaces[0].dropped[Reason::SendFull as usize].get(),
        1
    );
    assert_eq!(totals.received.packets.get(), totals.decided());
}

mod doors;
mod handshakes;
mod lodgers;
