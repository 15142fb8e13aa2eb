//! What the pool promises, against a door that only keeps books.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use patchcord_control::Count;
use proptest::prelude::*;

use super::*;
use crate::config::PortRange;

const REST: Duration = Duration::from_secs(2);
const LEAST: Duration = Duration::from_millis(100);

#[test]
fn a_pair_is_an_even_port_and_the_odd_one_after_it() {
    let mut pool = pool(1, 8, 100);
    let lease = pool.lease(at(0), want(Count::Pair, None)).expect("a pair");
    assert_eq!(lease.rtp.port % 2, 0);
    assert_eq!(lease.rtcp.expect("both").port, lease.rtp.port + 1);
    let single = pool
        .lease(at(0), want(Count::Single, None))
        .expect("one port");
    assert_eq!((single.rtp.port % 2, single.rtcp), (0, None));
}

#[test]
fn the_order_is_shuffled_and_the_seed_decides_it() {
    let order = |seed| {
        let mut pool = Pool::new(Books::default(), 1, &interfaces(64), &settings(1_000), seed);
        let mut lease = || {
            pool.lease(at(0), want(Count::Pair, None))
                .expect("a pair")
                .rtp
                .port
        };
        (0..32).map(|_| lease()).collect::<Vec<_>>()
    };
    let sorted: Vec<_> = (0..32).map(|n| 30_000 + 2 * n).collect();
    assert_ne!(order(7), sorted);
    assert_eq!(order(7), order(7));
    assert_ne!(order(7), order(8));
    let mut all = order(7);
    all.sort_unstable();
    assert_eq!(all, sorted);
}

#[test]
fn a_released_port_rests_before_it_is_leased_again() {
    let mut pool = pool(1, 2, 100);
    let lease = pool
        .lease(at(0), want(Count::Pair, None))
        .expect("the only pair");
    give_back(&mut pool, at(1_000), lease);
    assert_eq!(pool.lease(at(1_099), want(Count::Pair, None)), Err(NoPorts));
    assert!(pool.lease(at(1_100), want(Count::Pair, None)).is_ok());
}

#[test]
fn a_fresh_port_is_taken_before_one_that_still_rests() {
    let mut pool = pool(1, 4, 100);
    let first = pool.lease(at(0), want(Count::Pair, None)).expect("a pair");
    give_back(&mut pool, at(0), first);
    let second = pool
        .lease(at(500), want(Count::Pair, None))
        .expect("the other pair");
    assert_ne!(first.rtp.port, second.rtp.port);
    let third = pool
        .lease(at(500), want(Count::Pair, None))
        .expect("rested enough, none better");
    assert_eq!(first.rtp.port, third.rtp.port);
}

#[test]
fn a_warm_port_is_leased_again_without_opening_it() {
    let mut pool = pool(1, 2, 100);
    for n in 0..5 {
        let lease = pool
            .lease(at(n * 3_000), want(Count::Pair, None))
            .expect("the only pair");
        give_back(&mut pool, at(n * 3_000 + 1), lease);
    }
    assert_eq!(pool.door.opened, 2);
}

#[test]
fn sockets_above_the_limit_are_closed_on_release() {
    let mut pool = pool(1, 40, 6);
    let leases: Vec<_> = (0..10)
        .map(|_| pool.lease(at(0), want(Count::Pair, None)).expect("a pair"))
        .collect();
    for lease in leases {
        give_back(&mut pool, at(1), lease);
    }
    assert_eq!(pool.door.open.len(), 6);
    assert_eq!(pool.counts(at(10_000), 0).free(), 40);
}

#[test]
fn a_port_of_another_process_is_skipped_and_tried_again_later() {
    let mut pool = pool(1, 4, 100);
    pool.door.taken.extend([30_000, 30_003]);
    assert_eq!(pool.lease(at(0), want(Count::Pair, None)), Err(NoPorts));
    let counts = pool.counts(at(0), 0);
    assert_eq!((counts.aside, counts.free(), counts.failures), (4, 0, 2));
    assert!(pool.door.open.is_empty());
    pool.door.taken.clear();
    assert_eq!(
        pool.lease(at(29_000), want(Count::Pair, None)),
        Err(NoPorts)
    );
    assert!(pool.lease(at(30_000), want(Count::Pair, None)).is_ok());
}

#[test]
fn a_lack_of_descriptors_puts_no_port_aside() {
    let mut pool = pool(1, 4, 100);
    pool.door.exhausted = true;
    assert_eq!(pool.lease(at(0), want(Count::Pair, None)), Err(NoPorts));
    assert_eq!(pool.counts(at(0), 0).aside, 0);
    pool.door.exhausted = false;
    assert!(pool.lease(at(200), want(Count::Pair, None)).is_ok());
}

#[test]
fn a_muxed_port_that_splits_later_opens_its_partner_then() {
    let mut pool = pool(1, 2, 100);
    let single = pool
        .lease(at(0), want(Count::Single, None))
        .expect("the only pair");
    assert_eq!(pool.door.opened, 1);
    give_back(&mut pool, at(0), single);
    let pair = pool
        .lease(at(3_000), want(Count::Pair, None))
        .expect("the same pair");
    assert_eq!(pair.rtp.id, single.rtp.id);
    assert_eq!(pool.door.opened, 2);
}

#[test]
fn a_call_stays_on_the_worker_it_asked_for() {
    let mut pool = pool(3, 60, 100);
    for worker in [2, 0, 1, 2] {
        let lease = pool
            .lease(at(0), want(Count::Pair, Some(worker)))
            .expect("a pair");
        assert_eq!(lease.rtp.id.worker(), worker);
        assert_eq!(lease.rtcp.expect("both").id.worker(), worker);
    }
    assert_eq!(pool.lease(at(0), want(Count::Pair, Some(3))), Err(NoPorts));
}

#[test]
fn new_calls_go_to_the_lightest_worker() {
    let mut pool = pool(2, 60, 100);
    let workers: Vec<_> = (0..6)
        .map(|_| {
            pool.lease(at(0), want(Count::Pair, None))
                .expect("a pair")
                .rtp
                .id
                .worker()
        })
        .collect();
    assert_eq!(workers, [0, 1, 0, 1, 0, 1]);
}

#[test]
fn a_worker_without_ports_gets_those_another_keeps_warm() {
    let mut pool = pool(2, 8, 100);
    let leases: Vec<_> = (0..4)
        .map(|_| {
            pool.lease(at(0), want(Count::Pair, Some(0)))
                .expect("a pair")
        })
        .collect();
    for lease in leases {
        give_back(&mut pool, at(0), lease);
    }
    assert_eq!(
        pool.lease(at(1_000), want(Count::Pair, Some(1))),
        Err(NoPorts)
    );
    let lease = pool
        .lease(at(1_200), want(Count::Pair, Some(1)))
        .expect("closed and rested");
    assert_eq!(lease.rtp.id.worker(), 1);
}

#[test]
fn interfaces_on_one_address_share_their_ports() {
    let mut both = interfaces(4);
    both.push(Interface {
        name: "b".to_owned(),
        ..both[0].clone()
    });
    let mut pool = Pool::new(Books::default(), 1, &both, &settings(100), 1);
    let a = pool.lease(at(0), want(Count::Pair, None)).expect("a pair");
    let b = pool
        .lease(
            at(0),
            Want {
                interface: 1,
                ..want(Count::Pair, None)
            },
        )
        .expect("a pair");
    assert_ne!(a.rtp.port, b.rtp.port);
    assert_eq!(pool.lease(at(0), want(Count::Pair, None)), Err(NoPorts));
}

#[test]
fn warming_up_opens_ports_before_anyone_asks() {
    let mut pool = pool(2, 20, 100);
    assert_eq!(pool.warm_up(at(0), 8), 8);
    assert_eq!((pool.door.opened, pool.counts(at(0), 0).leased), (8, 0));
    pool.lease(at(0), want(Count::Pair, None)).expect("a pair");
    assert_eq!(pool.door.opened, 8);
}

#[derive(Clone, Debug)]
enum Step {
    Lease {
        single: bool,
        worker: Option<u8>,
    },
    Release {
        which: prop::sample::Index,
        rtcp_first: bool,
    },
    Wait(u64),
    Block(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lease = (any::<bool>(), prop::option::of(0..3_u8))
        .prop_map(|(single, worker)| Step::Lease { single, worker });
    let release = (any::<prop::sample::Index>(), any::<bool>())
        .prop_map(|(which, rtcp_first)| Step::Release { which, rtcp_first });
    let step = prop_oneof![
        4 => lease,
        4 => release,
        2 => (0..5_000_u64).prop_map(Step::Wait),
        1 => (30_000..30_024_u16).prop_map(Step::Block),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn no_port_is_leased_twice_or_before_it_rested(
        steps in steps(), warm in 0..30_usize, seed in any::<u64>(),
    ) {
        let mut pool = Pool::new(Books::default(), 3, &interfaces(24), &settings(warm), seed);
        let mut now = at(1);
        let mut held: Vec<Lease> = Vec::new();
        let mut back: BTreeMap<u16, Time> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Wait(ms) => now = now + Duration::from_millis(ms),
                Step::Block(port) => { pool.door.taken.insert(port); }
                Step::Lease { single, worker } => {
                    let count = if single { Count::Single } else { Count::Pair };
                    let Ok(lease) = pool.lease(now, want(count, worker)) else { continue };
                    for port in [Some(lease.rtp), lease.rtcp].into_iter().flatten() {
                        prop_assert!(pool.door.open.contains_key(&port.id), "leased and closed");
                        prop_assert_eq!(pool.door.open[&port.id], port.port);
                        prop_assert!(held.iter().all(|other| other.rtp.port != port.port
                            && other.rtcp.is_none_or(|o| o.port != port.port)));
                        let rested = back.get(&port.port).is_none_or(|at| now.since(*at) >= LEAST);
                        prop_assert!(rested, "{} did not rest", port.port);
                        prop_assert!(worker.is_none_or(|w| w == port.id.worker()));
                    }
                    held.push(lease);
                }
                Step::Release { which, rtcp_first } => {
                    if held.is_empty() { continue }
                    let lease = held.swap_remove(which.index(held.len()));
                    let mut ports: Vec<_> =
                        [Some(lease.rtp), lease.rtcp].into_iter().flatten().collect();
                    if rtcp_first { ports.reverse(); }
                    for port in ports {
                        back.insert(port.port, now);
                        pool.release(now, port);
                    }
                }
            }
            let counts = pool.counts(now, 0);
            prop_assert_eq!(counts.leased, 2 * held.len());
            prop_assert!(counts.resting <= counts.free());
            let warm_open = pool.shelves[0].warm_pairs();
            prop_assert!(2 * warm_open <= warm, "{} warm pairs", warm_open);
        }
        for lease in held.drain(..) {
            give_back(&mut pool, now, lease);
        }
        prop_assert_eq!(pool.counts(now, 0).leased, 0);
        prop_assert_eq!(pool.load, vec![0; 3]);
    }
}

/// A door that opens nothing and remembers everything.
#[derive(Debug, Default)]
struct Books {
    open: BTreeMap<PortId, u16>,
    taken: BTreeSet<u16>,
    exhausted: bool,
    opened: usize,
}

impl Door for Books {
    fn open(&mut self, worker: u8, addr: SocketAddr) -> io::Result<PortId> {
        if self.exhausted {
            return Err(io::Error::from_raw_os_error(24));
        }
        let port = addr.port();
        if self.taken.contains(&port) || self.open.values().any(|open| *open == port) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        self.opened += 1;
        let id = PortId::new(worker, self.opened as u32).expect("few slots");
        self.open.insert(id, port);
        Ok(id)
    }

    fn close(&mut self, port: PortId) {
        assert!(
            self.open.remove(&port).is_some(),
            "only what is open is closed"
        );
    }
}

fn pool(workers: usize, ports: u16, warm: usize) -> Pool<Books> {
    Pool::new(
        Books::default(),
        workers,
        &interfaces(ports),
        &settings(warm),
        42,
    )
}

fn interfaces(ports: u16) -> Vec<Interface> {
    let address = IpAddr::from([127, 0, 0, 1]);
    vec![Interface {
        name: "a".to_owned(),
        aliases: Vec::new(),
        address,
        advertised: address,
        range: PortRange {
            min: 30_000,
            max: 30_000 + ports - 1,
        },
    }]
}

fn settings(warm: usize) -> config::Ports {
    config::Ports {
        rest: REST,
        rest_min: LEAST,
        warm,
        prewarm: 0,
    }
}

fn want(count: Count, worker: Option<u8>) -> Want {
    Want {
        interface: 0,
        count,
        worker,
    }
}

fn at(ms: u64) -> Time {
    Time::from_millis(ms + 1)
}

fn give_back(pool: &mut Pool<Books>, now: Time, lease: Lease) {
    for port in [Some(lease.rtp), lease.rtcp].into_iter().flatten() {
        pool.release(now, port);
    }
}
