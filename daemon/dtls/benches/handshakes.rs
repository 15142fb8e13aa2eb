//! What a handshake costs each side, by library and role: the time in this side's calls alone.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use patchcord_contract::Time;
use patchcord_dtls::{Association, Certificate, Expect, KeyKind, Options, Output, Role, State};
use patchcord_wire::sdp::{Fingerprint, HashName};

const NOW: Time = Time::from_secs(9);

/// A library, by what makes it be chosen.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    expect: Expect,
    key: KeyKind,
}

const WAYS: [Way; 3] = [
    Way {
        name: "dimpl",
        expect: Expect::Browser,
        key: KeyKind::P256,
    },
    Way {
        name: "openssl",
        expect: Expect::Anyone,
        key: KeyKind::P256,
    },
    Way {
        name: "openssl-rsa",
        expect: Expect::Anyone,
        key: KeyKind::Rsa2048,
    },
];

struct Side {
    association: Association,
    spent: Duration,
}

impl Side {
    fn new(options: &Options, peer: Fingerprint) -> Self {
        let start = Instant::now();
        let association = Association::new(options.clone(), &[peer]);
        Self {
            association,
            spent: start.elapsed(),
        }
    }

    /// Does something and gives what is to be sent.
    fn work(&mut self, work: impl FnOnce(&mut Association)) -> Vec<Vec<u8>> {
        let start = Instant::now();
        work(&mut self.association);
        let mut datagrams = Vec::new();
        while let Some(output) = self.association.poll() {
            if let Output::Datagram(bytes) = output {
                datagrams.push(bytes);
            }
        }
        self.spent += start.elapsed();
        datagrams
    }
}

/// One handshake; what it took of each side.
fn handshake(client: &Options, server: &Options) -> [Duration; 2] {
    let print = |options: &Options| options.certificate.fingerprint(HashName::Sha256);
    let mut client_side = Side::new(client, print(server));
    let mut server_side = Side::new(server, print(client));
    let mut to_server = client_side.work(|association| association.start(NOW));
    while !to_server.is_empty() {
        let mut to_client = Vec::new();
        for bytes in to_server.drain(..) {
            to_client.extend(server_side.work(|association| association.datagram(NOW, &bytes)));
        }
        for bytes in to_client {
            to_server.extend(client_side.work(|association| association.datagram(NOW, &bytes)));
        }
    }
    for side in [&client_side, &server_side] {
        assert!(matches!(side.association.state(), State::Connected { .. }));
    }
    [client_side.spent, server_side.spent]
}

fn options(role: Role, way: Way) -> Options {
    let certificate = Certificate::generate(way.key, 1_790_000_000).expect("a certificate");
    Options {
        expect: way.expect,
        trusted_path: true,
        ..Options::new(role, Arc::new(certificate))
    }
}

fn handshakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handshake");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    for way in WAYS {
        // The other side is of the kind that this library is for.
        let other = if way.key == KeyKind::P256 {
            WAYS[0]
        } else {
            WAYS[1]
        };
        for (role, name) in [(Role::Client, "client"), (Role::Server, "server")] {
            let (client, server) = match role {
                Role::Client => (options(role, way), options(Role::Server, other)),
                Role::Server => (options(Role::Client, other), options(role, way)),
            };
            let side = usize::from(role == Role::Server);
            group.bench_function(format!("{}/{name}", way.name), |bencher| {
                bencher.iter_custom(|n| (0..n).map(|_| handshake(&client, &server)[side]).sum());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, handshakes);
criterion_main!(benches);
