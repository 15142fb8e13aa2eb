//! DTLS-SRTP as a phone speaks it (RFC 5763): its fingerprint, its part, and the handshake itself. The
//! library under it is OpenSSL, as in most phones, or dimpl; how both fare with foreign programs is
//! tried in their own crate.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use patchcord_contract::Time;
use patchcord_dtls::{
    Association, Certificate, Event, Expect, KeyKind, Options, Output, Profiles, Role, SessionKeys,
    State,
};
use patchcord_wire::sdp::{Fingerprint, HashName};

use crate::Sdp;

/// 2026, for certificates.
const TODAY: u64 = 1_790_000_000;

/// How a phone does DTLS.
#[derive(Clone, Debug)]
pub struct DtlsSide {
    /// What it says in `a=setup`.
    pub setup: &'static str,
    /// The kind of its certificate.
    pub key: KeyKind,
    /// The profiles that it speaks.
    pub profiles: Profiles,
    /// Whether its library is the one for browsers.
    pub is_browser: bool,
    /// Whether it says the fingerprint of another certificate than it shows.
    pub forges: bool,
}

impl DtlsSide {
    /// As most do, with this in `a=setup`.
    pub const fn new(setup: &'static str) -> Self {
        Self {
            setup,
            key: KeyKind::P256,
            profiles: Profiles::ALL,
            is_browser: false,
            forges: false,
        }
    }
}

/// One side of handshakes.
pub(crate) struct Handshake {
    side: DtlsSide,
    certificate: Arc<Certificate>,
    shown: Fingerprint,
    peer: Option<(Role, Vec<Fingerprint>)>,
    began: Instant,
}

/// A handshake at one socket.
pub(crate) struct Leg {
    association: Association,
    began: Instant,
    /// Its keys, once.
    pub(crate) keys: Option<Box<SessionKeys>>,
}

impl Handshake {
    pub(crate) fn new(side: DtlsSide) -> Self {
        let make = || Certificate::generate(side.key, TODAY).expect("a certificate");
        let certificate = Arc::new(make());
        let shown = if side.forges {
            make().fingerprint(HashName::Sha256)
        } else {
            certificate.fingerprint(HashName::Sha256)
        };
        Self {
            side,
            certificate,
            shown,
            peer: None,
            began: Instant::now(),
        }
    }

    /// Its lines.
    pub(crate) fn describe(&self, sdp: Sdp) -> Sdp {
        let digest: Vec<_> = self
            .shown
            .digest()
            .iter()
            .map(|b| format!("{b:02X}"))
            .collect();
        sdp.with(&format!("a=setup:{}", self.side.setup))
            .with(&format!("a=fingerprint:sha-256 {}", digest.join(":")))
    }

    /// Takes the other side's lines out of section `index`.
    ///
    /// # Panics
    /// Where there are none.
    pub(crate) fn hear(&mut self, sdp: &Sdp, index: usize) {
        let setup = sdp.value(index, "setup");
        let setup = setup.unwrap_or_else(|| panic!("no a=setup in\n{}", sdp.text()));
        let role = match (self.side.setup, setup) {
            (_, "active") | ("passive", "actpass") => Role::Server,
            (_, "passive") | ("active" | "actpass", "actpass") => Role::Client,
            (ours, theirs) => panic!("{ours} and {theirs} make no roles"),
        };
        let lines = sdp.value(index, "fingerprint").into_iter();
        let fingerprints: Vec<_> = lines.map(fingerprint).collect();
        assert!(
            !fingerprints.is_empty(),
            "no fingerprint in\n{}",
            sdp.text()
        );
        self.peer = Some((role, fingerprints));
    }

    /// Begins at a socket.
    pub(crate) fn leg(&self) -> Leg {
        let (role, fingerprints) = self.peer.as_ref().expect("someone was called");
        let options = Options {
            profiles: self.side.profiles,
            expect: if self.side.is_browser {
                Expect::Browser
            } else {
                Expect::Anyone
            },
            trusted_path: self.side.is_browser,
            ..Options::new(*role, Arc::clone(&self.certificate))
        };
        let mut leg = Leg {
            association: Association::new(options, fingerprints),
            began: self.began,
            keys: None,
        };
        leg.association.start(leg.now());
        leg
    }
}

impl Leg {
    fn now(&self) -> Time {
        Time::from_secs(1) + self.began.elapsed()
    }

    /// Takes what arrived; returns what leaves.
    pub(crate) fn turn(&mut self, arrived: impl IntoIterator<Item = Vec<u8>>) -> VecDeque<Vec<u8>> {
        let now = self.now();
        for datagram in arrived {
            self.association.datagram(now, &datagram);
        }
        self.association.timeout(now);
        let mut out = VecDeque::new();
        while let Some(output) = self.association.poll() {
            match output {
                Output::Datagram(bytes) => out.push_back(bytes),
                Output::Event(Event::Keys(keys)) => self.keys = Some(keys),
                Output::Event(Event::Changed(_)) => {}
            }
        }
        out
    }

    /// Where it stands.
    pub(crate) const fn state(&self) -> &State {
        self.association.state()
    }
}

fn fingerprint(line: &str) -> Fingerprint {
    let (hash, digits) = line.split_once(' ').expect("a hash and its digits");
    let hash = HashName::from_name(hash.as_bytes()).expect("a known hash");
    let bytes: Vec<u8> = digits
        .split(':')
        .map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal"))
        .collect();
    Fingerprint::new(hash, &bytes).expect("the length of its hash")
}
