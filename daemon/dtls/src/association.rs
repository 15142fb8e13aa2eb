//! One DTLS-SRTP association: datagrams and time in, datagrams and news out (RFC 5764 §3, §4).
//!
//! A server first reads the whole ClientHello and only then chooses a library. Whatever a library
//! does with what it is given, it cannot take the process with it: it is dropped if it panics.

mod state;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use patchcord_contract::Time;
use patchcord_wire::sdp::{Fingerprint, HashName};

use crate::backend::{self, Backend, Ended, Kind, Outcome, Yield};
use crate::certificate::{announced, fingerprint};
use crate::choice;
use crate::flights::Flights;
use crate::hello::{Gather, MAX_HELLO};
use crate::keying::SessionKeys;
use crate::record::{CLIENT_HELLO, records};
use crate::sieve::{plain_alert, sieve};

pub use state::{
    Closed, DEFAULT_MTU, Event, Expect, Failure, MAX_MTU, MIN_MTU, Options, Output, Role, State,
    Status, Timing,
};

/// Datagrams with parts of a ClientHello that are kept until it is whole.
const MAX_PARTS: usize = 16;
/// Fingerprints that a peer may announce.
const MAX_FINGERPRINTS: usize = 16;

/// An association.
pub struct Association {
    options: Options,
    state: State,
    backend: Option<(Kind, Box<dyn Backend>)>,
    /// The library that was used last; it may be gone.
    kind: Option<Kind>,
    fell_back: bool,
    fingerprints: Vec<Fingerprint>,
    peer: Option<Fingerprint>,
    /// Of a handshake that is finished before the fingerprint is known.
    withheld: Option<Outcome>,
    gather: Gather,
    parts: VecDeque<Vec<u8>>,
    /// The random of the ClientHello that is being answered.
    hello: Option<[u8; 32]>,
    flights: Flights,
    began: Option<Time>,
    took: Option<Duration>,
    patience: Option<Time>,
    held_alert: Option<u8>,
    outputs: VecDeque<Output>,
}

impl Association {
    /// An association that waits: a client for [`start`](Self::start), a server for the peer. With no
    /// fingerprints a finished handshake is [postponed](State::Postponed).
    pub fn new(options: Options, fingerprints: &[Fingerprint]) -> Self {
        Self {
            options,
            state: State::New,
            backend: None,
            kind: None,
            fell_back: false,
            fingerprints: bounded(fingerprints),
            peer: None,
            withheld: None,
            gather: Gather::default(),
            parts: VecDeque::new(),
            hello: None,
            flights: Flights::default(),
            began: None,
            took: None,
            patience: None,
            held_alert: None,
            outputs: VecDeque::new(),
        }
    }

    /// Sends the ClientHello, if that is our part and has not been done.
    pub fn start(&mut self, now: Time) {
        if self.options.role == Role::Client && self.state == State::New {
            self.begin(choice::as_client(&self.options), now, false);
        }
    }

    /// Takes a datagram that demultiplexing says is DTLS (RFC 7983).
    pub fn datagram(&mut self, now: Time, datagram: &[u8]) {
        if self.state.is_final() {
            return;
        }
        let sieved = sieve(datagram, self.options.trusted_path);
        self.held_alert = sieved.held_alert.or(self.held_alert);
        for part in sieved.parts {
            match self.options.role {
                Role::Client => self.feed(now, &part),
                Role::Server => self.serve(now, &part),
            }
        }
    }

    /// When [`timeout`](Self::timeout) wants to be called.
    pub fn next_timeout(&self) -> Option<Time> {
        let backend = self.backend.as_ref().and_then(|(_, b)| b.deadline());
        backend.into_iter().chain(self.patience).min()
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Time) {
        if self.patience.is_some_and(|end| end <= now) {
            // An alert that was not believed then explains now why nothing came.
            let failure = self.held_alert.map_or(Failure::Timeout, Failure::Alert);
            self.fail(failure);
        } else if self.next_timeout().is_some_and(|due| due <= now) {
            self.with_backend(now, |backend, out| backend.timeout(now, out));
        }
    }

    /// Learns the fingerprints of the peer, late or anew. A connection that stands is not judged
    /// again: other fingerprints make another association (RFC 8842 §4).
    pub fn expect(&mut self, now: Time, fingerprints: &[Fingerprint]) {
        self.fingerprints = bounded(fingerprints);
        if self.state == State::Postponed && !self.fingerprints.is_empty() {
            self.judge(now);
        }
    }

    /// Says goodbye and ends.
    pub fn close(&mut self, now: Time) {
        if !self.state.is_final() {
            self.say_goodbye(now);
            self.end(State::Closed(Closed::ByUs));
        }
    }

    /// The next thing that came out.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Where it stands.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// All that can be seen.
    pub fn status(&self) -> Status {
        Status {
            state: self.state.clone(),
            role: self.options.role,
            backend: self.kind,
            fell_back: self.fell_back,
            flights: self.flights,
            took: self.took,
            peer: self.peer,
            tls_id: self.options.tls_id.clone(),
        }
    }

    /// The server's side of [`datagram`](Self::datagram).
    fn serve(&mut self, now: Time, part: &[u8]) {
        let open = matches!(self.state, State::New | State::Handshaking);
        if !open || !has_hello(part) {
            self.feed(now, part);
            return;
        }
        let whole = self.gather.take(part);
        if self.parts.len() == MAX_PARTS {
            self.parts.pop_front();
        }
        if part.len() <= MAX_HELLO {
            self.parts.push_back(part.to_vec());
        }
        let Some(hello) = whole else {
            self.feed(now, part);
            return;
        };
        let parts = std::mem::take(&mut self.parts);
        // Another handshake takes the place of one that nobody has vouched for. Where ICE vouches for
        // the path the peer may change its mind at any time.
        let other = self.hello != Some(hello.random);
        let free = self.options.trusted_path || !self.flights.answered();
        if other && free {
            self.hello = Some(hello.random);
            self.flights.begin_again();
            self.begin(choice::as_server(&self.options, &hello), now, false);
            for part in parts {
                self.feed(now, &part);
            }
        } else {
            self.feed(now, part);
        }
    }

    fn begin(&mut self, kind: Kind, now: Time, again: bool) {
        self.began.get_or_insert(now);
        self.patience
            .get_or_insert(now + self.options.timing.patience);
        self.kind = Some(kind);
        let options = &self.options;
        match guarded(|| backend::new(kind, options, now, again)).and_then(|made| made) {
            Ok(backend) => {
                self.backend = Some((kind, backend));
                self.change(State::Handshaking);
                self.with_backend(now, |backend, out| backend.begin(now, out));
            }
            Err(failure) => self.fail(failure),
        }
    }

    fn feed(&mut self, now: Time, records: &[u8]) {
        // OpenSSL takes alerts that dimpl holds for noise, and dimpl says nothing of some.
        let alert = plain_alert(records).filter(|_| self.options.trusted_path);
        self.with_backend(now, |backend, out| backend.datagram(now, records, out));
        if let Some(description) = alert {
            self.held_alert = Some(description);
        }
    }

    /// Lets the library work, and deals with what comes of it.
    fn with_backend(&mut self, now: Time, work: impl FnOnce(&mut dyn Backend, &mut Yield)) {
        let Some((kind, backend)) = &mut self.backend else {
            return;
        };
        let kind = *kind;
        let mut out = Yield::default();
        if let Err(failure) = guarded(|| work(backend.as_mut(), &mut out)) {
            out.fail(failure);
        }
        if self.falls_back(kind, &out) {
            self.fell_back = true;
            self.backend = None;
            self.flights.begin_again();
            return self.begin(Kind::OpenSsl, now, true);
        }
        self.flights.note(&out.datagrams);
        self.outputs
            .extend(out.datagrams.into_iter().map(Output::Datagram));
        if let Some(outcome) = out.outcome {
            self.finished(now, outcome);
        }
        match out.ended {
            None => {}
            Some(_) if self.state.is_final() => {}
            Some(Ended::ByPeer) if self.has_finished() => self.end(State::Closed(Closed::ByPeer)),
            Some(Ended::ByPeer) => self.fail(Failure::Goodbye),
            Some(Ended::Failed(Failure::Alert(_))) if self.has_finished() => {
                self.end(State::Closed(Closed::ByPeer));
            }
            // The keys are out; media does not need the library any more.
            Some(Ended::Failed(_)) if self.has_finished() => self.backend = None,
            Some(Ended::Failed(failure)) => self.fail(failure),
        }
    }

    /// Whether what came of it calls for the other library; see [`choice`].
    fn falls_back(&self, kind: Kind, out: &Yield) -> bool {
        let failed = matches!(&out.ended, Some(Ended::Failed(f)) if *f != Failure::Timeout);
        cfg!(feature = "openssl")
            && failed
            && kind == Kind::Dimpl
            && self.options.role == Role::Client
            && self.state == State::Handshaking
            && out.outcome.is_none()
    }

    fn has_finished(&self) -> bool {
        matches!(self.state, State::Connected { .. } | State::Postponed)
    }

    fn finished(&mut self, now: Time, outcome: Outcome) {
        self.took = self.began.map(|began| now.since(began));
        self.patience = None;
        self.peer = Some(fingerprint(HashName::Sha256, &outcome.certificate));
        self.withheld = Some(outcome);
        self.hello = None;
        self.parts = VecDeque::new();
        self.gather = Gather::default();
        if self.fingerprints.is_empty() {
            self.change(State::Postponed);
        } else {
            self.judge(now);
        }
    }

    /// Gives the keys out if the certificate is one that was announced.
    fn judge(&mut self, now: Time) {
        let Some(outcome) = self.withheld.take() else {
            return;
        };
        if !announced(&outcome.certificate, &self.fingerprints) {
            self.say_goodbye(now);
            return self.fail(Failure::Fingerprint);
        }
        let Outcome {
            profile,
            version,
            material,
            ..
        } = &outcome;
        match SessionKeys::split(self.options.role, *profile, material) {
            Some(_) if !self.options.profiles.contains(*profile) => self.fail(Failure::NoProfile),
            Some(keys) => {
                let (profile, version) = (*profile, *version);
                self.change(State::Connected { profile, version });
                let keys = Event::Keys(Box::new(keys));
                self.outputs.push_back(Output::Event(keys));
            }
            None => self.fail(Failure::Library("key material of a wrong length".into())),
        }
    }

    fn say_goodbye(&mut self, now: Time) {
        let mut out = Yield::default();
        if let Some((_, backend)) = &mut self.backend {
            // Whether it can be said makes no difference to us.
            let _said = guarded(|| backend.close(now, &mut out));
        }
        self.outputs
            .extend(out.datagrams.into_iter().map(Output::Datagram));
    }

    fn fail(&mut self, failure: Failure) {
        self.end(State::Failed(failure));
    }

    fn end(&mut self, state: State) {
        self.backend = None;
        self.withheld = None;
        self.patience = None;
        self.parts = VecDeque::new();
        self.gather = Gather::default();
        self.change(state);
    }

    fn change(&mut self, state: State) {
        if self.state != state {
            self.state = state.clone();
            self.outputs.push_back(Output::Event(Event::Changed(state)));
        }
    }
}

/// Runs a library. One that panics is not to be used again.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Failure::Library("panicked".into()))
}

fn bounded(fingerprints: &[Fingerprint]) -> Vec<Fingerprint> {
    fingerprints
        .iter()
        .take(MAX_FINGERPRINTS)
        .copied()
        .collect()
}

fn has_hello(part: &[u8]) -> bool {
    let mut messages = records(part).flat_map(|record| record.handshakes());
    messages.any(|message| message.kind == CLIENT_HELLO)
}
