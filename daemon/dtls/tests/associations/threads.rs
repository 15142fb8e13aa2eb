//! The pool: two of them talk to each other through their queues.
#![expect(
    clippy::disallowed_methods,
    reason = "the pool's clock is the real one"
)]

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use patchcord_contract::Time;
use patchcord_dtls::pool::{Command, Pool, PoolConfig, What};
use patchcord_dtls::{Event, Kind, Options, Role, SessionKeys, State};
use patchcord_wire::sdp::{Fingerprint, HashName};

use crate::pair::options;

fn pool(config: PoolConfig) -> Pool {
    let origin = Instant::now();
    let clock = move || Time(origin.elapsed().as_nanos() as u64);
    Pool::spawn(config, clock, || ()).expect("a thread")
}

fn open(path: u64, options: &Options, peer: Fingerprint) -> Command {
    Command::Open {
        path,
        generation: 1,
        options: Box::new(options.clone()),
        fingerprints: vec![peer],
        start: true,
    }
}

fn send(pool: &Pool, mut command: Command) {
    loop {
        match pool.send(command) {
            Ok(()) => break pool.flush(),
            Err(full) => {
                command = full.0;
                std::thread::yield_now();
            }
        }
    }
}

/// Carries datagrams until `n` paths have keys on both sides.
fn carry(pools: [&Pool; 2], n: usize) -> [BTreeMap<u64, SessionKeys>; 2] {
    let mut keys = [BTreeMap::new(), BTreeMap::new()];
    let until = Instant::now() + Duration::from_mins(1);
    while keys.iter().any(|side| side.len() < n) {
        assert!(Instant::now() < until, "{:?}", keys.map(|side| side.len()));
        let mut idle = true;
        for side in 0..2 {
            while let Some(event) = pools[side].try_event() {
                idle = false;
                match event.what {
                    What::Datagram(bytes) => {
                        let bytes = bytes.into();
                        let path = event.path;
                        send(pools[1 - side], Command::Datagram { path, bytes });
                    }
                    What::News(Event::Keys(new)) => {
                        assert!(keys[side].insert(event.path, *new).is_none());
                    }
                    What::News(Event::Changed(state)) => assert!(!state.is_final(), "{state:?}"),
                    What::Status(_) | What::Refused => panic!("not asked for"),
                }
            }
        }
        if idle {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    keys
}

#[test]
fn five_hundred_handshakes_at_once_all_end_in_keys() {
    let (clients, servers) = (pool(PoolConfig::default()), pool(PoolConfig::default()));
    let (client, server) = (
        options(Role::Client, Kind::Dimpl),
        options(Role::Server, Kind::Dimpl),
    );
    let prints =
        [&client, &server].map(|options| options.certificate.fingerprint(HashName::Sha256));
    for path in 0..500 {
        send(&servers, open(path, &server, prints[0]));
        send(&clients, open(path, &client, prints[1]));
    }
    let [of_clients, of_servers] = carry([&clients, &servers], 500);
    for (path, keys) in &of_clients {
        assert_eq!(keys.send, of_servers[path].receive);
    }
    assert_eq!(clients.stats().connected.load(Relaxed), 500);
    assert_eq!(servers.stats().paths.load(Relaxed), 500);
    let goodbyes = clients
        .stop()
        .filter(|event| matches!(event.what, What::Datagram(_)));
    assert_eq!(goodbyes.count(), 500);
}

#[test]
fn a_full_event_queue_loses_no_news() {
    let small = PoolConfig {
        events: 4,
        ..PoolConfig::default()
    };
    let (clients, servers) = (pool(small), pool(small));
    let (client, server) = (
        options(Role::Client, Kind::Dimpl),
        options(Role::Server, Kind::OpenSsl),
    );
    let prints =
        [&client, &server].map(|options| options.certificate.fingerprint(HashName::Sha256));
    for path in 0..40 {
        send(&servers, open(path, &server, prints[0]));
        send(&clients, open(path, &client, prints[1]));
    }
    let keys = carry([&clients, &servers], 40);
    assert_eq!(keys[0].len(), 40);
}

#[test]
fn a_pool_holds_no_more_paths_than_it_may() {
    let two = pool(PoolConfig {
        paths: 2,
        ..PoolConfig::default()
    });
    let server = options(Role::Server, Kind::Dimpl);
    let print = server.certificate.fingerprint(HashName::Sha256);
    for path in [7, 8, 9] {
        send(&two, open(path, &server, print));
    }
    send(&two, Command::Close { path: 7 });
    send(&two, open(9, &server, print));
    send(&two, Command::Query { path: 9 });
    let until = Instant::now() + Duration::from_secs(20);
    let mut refused = vec![];
    let status = loop {
        assert!(Instant::now() < until);
        match two.try_event() {
            Some(event) if event.what == What::Refused => refused.push(event.path),
            Some(event) => {
                if let What::Status(status) = event.what {
                    break (event.path, status.state);
                }
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    assert_eq!(refused, [9]);
    assert_eq!(status, (9, State::New));
    assert_eq!(two.stats().paths.load(Relaxed), 2);
    assert_eq!(two.stats().refused.load(Relaxed), 1);
}

#[test]
fn datagrams_of_no_path_are_counted() {
    let pool = pool(PoolConfig::default());
    for path in 0..10 {
        let bytes = vec![22; 100].into();
        send(&pool, Command::Datagram { path, bytes });
    }
    let until = Instant::now() + Duration::from_secs(20);
    while pool.stats().strays.load(Relaxed) < 10 {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_unanswered_hello_is_repeated_by_the_pools_own_timer() {
    let pool = pool(PoolConfig::default());
    let client = options(Role::Client, Kind::OpenSsl);
    let print = client.certificate.fingerprint(HashName::Sha256);
    send(&pool, open(1, &client, print));
    let until = Instant::now() + Duration::from_secs(20);
    let mut hellos = 0;
    while hellos < 3 {
        assert!(Instant::now() < until);
        match pool.try_event().map(|event| event.what) {
            Some(What::Datagram(_)) => hellos += 1,
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
