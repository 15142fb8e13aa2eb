//! Two associations in virtual time, and a path between them that loses, repeats and delays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::Time;
use patchcord_dtls::association::DEFAULT_MTU;
use patchcord_dtls::{
    Association, Certificate, Event, Expect, KeyKind, Kind, Options, Output, Role, SessionKeys,
    State,
};
use patchcord_wire::sdp::{Fingerprint, HashName};

/// When every test begins.
pub(crate) const START: Time = Time::from_secs(1000);
const MADE: u64 = 1_790_000_000;

/// A fresh certificate.
pub(crate) fn certificate(kind: KeyKind) -> Arc<Certificate> {
    Arc::new(Certificate::generate(kind, MADE).expect("a certificate"))
}

/// Options by which the library of that kind is chosen, with a P-256 certificate.
pub(crate) fn options(role: Role, kind: Kind) -> Options {
    let expect = match kind {
        Kind::Dimpl => Expect::Browser,
        Kind::OpenSsl => Expect::Anyone,
    };
    Options {
        expect,
        seed: Some(7),
        ..Options::new(role, certificate(KeyKind::P256))
    }
}

/// One side.
pub(crate) struct Side {
    pub(crate) association: Association,
    pub(crate) keys: Option<SessionKeys>,
    pub(crate) states: Vec<State>,
    /// All that it sent, in order.
    pub(crate) sent: Vec<Vec<u8>>,
}

impl Side {
    pub(crate) fn new(options: Options, fingerprints: &[Fingerprint]) -> Self {
        Self {
            association: Association::new(options, fingerprints),
            keys: None,
            states: Vec::new(),
            sent: Vec::new(),
        }
    }

    pub(crate) fn state(&self) -> &State {
        self.association.state()
    }

    /// Takes what came out; gives what is to be delivered.
    pub(crate) fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut datagrams = Vec::new();
        while let Some(output) = self.association.poll() {
            match output {
                Output::Datagram(bytes) => {
                    self.sent.push(bytes.clone());
                    datagrams.push(bytes);
                }
                Output::Event(Event::Changed(state)) => self.states.push(state),
                Output::Event(Event::Keys(keys)) => {
                    assert!(self.keys.replace(*keys).is_none(), "keys are given once");
                }
            }
        }
        datagrams
    }
}

/// What the path does with a datagram.
pub(crate) enum Fate {
    /// It arrives after this, once for each.
    Arrive(Vec<Duration>),
}

/// It arrives after the path's own delay.
pub(crate) fn deliver() -> Fate {
    Fate::Arrive(vec![DELAY])
}

/// It does not arrive.
pub(crate) fn lose() -> Fate {
    Fate::Arrive(vec![])
}

/// The path's delay.
pub(crate) const DELAY: Duration = Duration::from_millis(10);

/// A client, a server, and the time.
pub(crate) struct Pair {
    pub(crate) now: Time,
    pub(crate) client: Side,
    pub(crate) server: Side,
    /// What is on its way, by arrival; `true`: to the server.
    on_the_way: BTreeMap<(Time, u64), (bool, Vec<u8>)>,
    count: u64,
}

impl Pair {
    /// Two sides that know each other's fingerprints.
    pub(crate) fn new(client: Options, server: Options) -> Self {
        let print = |options: &Options| options.certificate.fingerprint(HashName::Sha256);
        let (of_client, of_server) = (print(&client), print(&server));
        Self::with_prints(client, server, &[of_server], &[of_client])
    }

    /// Two sides that have been told these: the client, and the server.
    pub(crate) fn with_prints(
        client: Options,
        server: Options,
        told_client: &[Fingerprint],
        told_server: &[Fingerprint],
    ) -> Self {
        Self {
            now: START,
            client: Side::new(client, told_client),
            server: Side::new(server, told_server),
            on_the_way: BTreeMap::new(),
            count: 0,
        }
    }

    /// Two sides on these libraries.
    pub(crate) fn of(client: Kind, server: Kind) -> Self {
        Self::new(options(Role::Client, client), options(Role::Server, server))
    }

    /// Starts the client and runs on a sound path.
    pub(crate) fn run(&mut self) {
        self.run_with(Duration::from_secs(20), |_, _, _| deliver());
    }

    /// Starts the client and runs until nothing is to come, or for so long. `path` is asked for each
    /// datagram: its count among those of its direction, whether it goes to the server, its bytes.
    pub(crate) fn run_with(
        &mut self,
        most: Duration,
        mut path: impl FnMut(usize, bool, &[u8]) -> Fate,
    ) {
        self.client.association.start(self.now);
        self.settle(most, &mut path);
    }

    /// The same without a start.
    pub(crate) fn settle(
        &mut self,
        most: Duration,
        path: &mut impl FnMut(usize, bool, &[u8]) -> Fate,
    ) {
        let end = self.now + most;
        self.collect(path);
        while let Some(next) = self.next().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            while let Some((to_server, bytes)) = self.arrived() {
                assert!(bytes.len() <= 1472, "a datagram for any Ethernet");
                let side = if to_server {
                    &mut self.server
                } else {
                    &mut self.client
                };
                side.association.datagram(self.now, &bytes);
                self.collect(path);
            }
            for side in [&mut self.client, &mut self.server] {
                side.association.timeout(self.now);
            }
            self.collect(path);
        }
    }

    fn arrived(&mut self) -> Option<(bool, Vec<u8>)> {
        let first = self.on_the_way.first_entry()?;
        (first.key().0 <= self.now).then(|| first.remove())
    }

    fn next(&self) -> Option<Time> {
        let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
        let timers = [&self.client, &self.server].map(|side| side.association.next_timeout());
        timers.into_iter().chain([arrival]).flatten().min()
    }

    fn collect(&mut self, path: &mut impl FnMut(usize, bool, &[u8]) -> Fate) {
        for to_server in [true, false] {
            let side = if to_server {
                &mut self.client
            } else {
                &mut self.server
            };
            let before = side.sent.len();
            for (i, bytes) in side.drain().into_iter().enumerate() {
                let Fate::Arrive(delays) = path(before + i, to_server, &bytes);
                for delay in delays {
                    self.count += 1;
                    let key = (self.now + delay, self.count);
                    self.on_the_way.insert(key, (to_server, bytes.clone()));
                }
            }
        }
    }

    /// Both are connected, with keys that fit.
    pub(crate) fn assert_connected(&self) {
        for side in [&self.client, &self.server] {
            let connected = matches!(side.state(), State::Connected { .. });
            assert!(connected, "{:?}", side.association.status());
        }
        let (client, server) = (self.client.keys.as_ref(), self.server.keys.as_ref());
        let (client, server) = (client.expect("keys"), server.expect("keys"));
        assert_eq!(client.send, server.receive);
        assert_eq!(client.receive, server.send);
        assert_ne!(client.send.master_key(), client.receive.master_key());
    }

    /// The libraries that did the work.
    pub(crate) fn kinds(&self) -> [Option<Kind>; 2] {
        [&self.client, &self.server].map(|side| side.association.status().backend)
    }
}

/// The four combinations of library, client first.
pub(crate) const MATRIX: [(Kind, Kind); 4] = [
    (Kind::Dimpl, Kind::Dimpl),
    (Kind::Dimpl, Kind::OpenSsl),
    (Kind::OpenSsl, Kind::Dimpl),
    (Kind::OpenSsl, Kind::OpenSsl),
];

/// The MTU unless a test says otherwise.
pub(crate) const MTU: usize = DEFAULT_MTU;
