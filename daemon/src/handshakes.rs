//! Where control and DTLS meet: certificates, and what each tells the other (RFC 5763).
//!
//! Handshakes run on a thread of their own. What control wants of them is queued here while that
//! thread is behind; of datagrams only as many as their senders would not repeat by themselves.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use nix::sys::eventfd::{EfdFlags, EventFd};
use patchcord_control::dtls::{self, Identity, News, Order, PathId};
use patchcord_control::{Clock, Control};
use patchcord_dtls::pool::{Command, Event, Full, Pool, PoolConfig, Remains, What};
use patchcord_dtls::{
    Certificate, CertificateError, Expect, KeyKind, Options, Role, State, Store, association,
};
use patchcord_engine::{monotonic, priority};
use patchcord_media::flow;
use patchcord_wire::sdp::HashName;

use crate::config::{self, CertificateKey};
use crate::figures::Figures;

/// Commands that wait while the thread is behind; beyond these datagrams are lost.
const WAITING: usize = 4_096;

/// The handshakes, as the control loop sees them.
#[derive(Debug)]
pub struct Handshakes {
    pool: Pool,
    store: Store,
    /// Certificates that somebody was told of; the last one is current.
    certificates: Vec<(Arc<Identity>, Arc<Certificate>)>,
    waiting: VecDeque<Command>,
    bell: Arc<EventFd>,
    mtu: u16,
    /// Datagrams that nobody could take while the thread was behind.
    overdue: u64,
    /// Whether the thread has to be woken.
    touched: bool,
}

impl Handshakes {
    /// Makes a certificate and starts the thread; `now` in seconds since 1970.
    pub fn start(config: config::Dtls, now: u64) -> anyhow::Result<Self> {
        let kind = match config.certificate {
            CertificateKey::P256 => KeyKind::P256,
            CertificateKey::Rsa => KeyKind::Rsa2048,
        };
        let store = Store::new(kind, now)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let bell = Arc::new(EventFd::from_value_and_flags(0, flags)?);
        let theirs = Arc::clone(&bell);
        let notify = move || {
            // A bell that rings already rings on.
            let _rung = theirs.write(1);
        };
        let settings = PoolConfig {
            prepare: stand_back,
            ..PoolConfig::default()
        };
        Ok(Self {
            pool: Pool::spawn(settings, monotonic, notify)?,
            store,
            certificates: Vec::new(),
            waiting: VecDeque::new(),
            bell,
            mtu: config.mtu,
            overdue: 0,
            touched: false,
        })
    }

    /// Tells control what to show, at first and whenever it changes; running calls keep what they have.
    pub fn identify(&mut self, now: u64, control: &mut Control) -> Result<(), CertificateError> {
        if !self.store.renew(now)? && !self.certificates.is_empty() {
            return Ok(());
        }
        let certificate = self.store.current();
        let print = |hash: HashName| certificate.fingerprint(hash);
        let identity = Arc::new(Identity::new(print));
        tracing::info!(
            fingerprint = ?identity.fingerprint(HashName::Sha256),
            ends = certificate.ends(),
            "certificate for DTLS"
        );
        self.certificates
            .retain(|(known, _)| Arc::strong_count(known) > 1);
        self.certificates.push((Arc::clone(&identity), certificate));
        control.identify(identity);
        Ok(())
    }

    /// What applies to new handshakes.
    pub fn reconfigure(&mut self, mtu: u16) {
        self.mtu = mtu;
    }

    /// What becomes readable when there are events.
    pub fn events_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    /// Brings its figures up to date.
    pub fn publish(&self, figures: &Figures) {
        let stats = self.pool.stats();
        let outcomes = std::iter::once(&stats.connected).chain(&stats.failed);
        for (cell, count) in figures.dtls.iter().zip(outcomes) {
            cell.set(count.load(Relaxed));
        }
        let [paths, fell_back, refused] = &figures.dtls_pool;
        paths.set(stats.paths.load(Relaxed) as u64);
        fell_back.set(stats.fell_back.load(Relaxed));
        refused.set(stats.refused.load(Relaxed));
        let [stray, unsent, overdue] = &figures.dtls_lost;
        stray.set(stats.strays.load(Relaxed));
        unsent.set(stats.unsent.load(Relaxed));
        overdue.set(self.overdue);
    }

    /// Whether the thread runs.
    pub fn is_running(&self) -> bool {
        self.pool.is_running()
    }

    /// Queues what control wants.
    pub fn submit(&mut self, control: &mut Control) {
        while let Some(order) = control.next_order() {
            if let Some(command) = self.command(order) {
                self.queue(command);
            }
        }
        self.retry();
        if std::mem::take(&mut self.touched) {
            self.pool.flush();
        }
    }

    /// Hands waiting events to control, at most `bound` of them.
    pub fn events(
        &mut self,
        clock: Clock,
        bound: usize,
        control: &mut Control,
        commands: &mut Vec<flow::Command>,
    ) {
        // Silenced before it is emptied, so that what comes meanwhile rings again.
        let _silenced = self.bell.read();
        for taken in 0.. {
            if taken == bound {
                let _rung = self.bell.write(1);
                break;
            }
            let Some(event) = self.pool.try_event() else {
                break;
            };
            tell(clock, event, control, commands);
        }
        self.retry();
    }

    /// Ends the thread; goodbyes are still handed over.
    pub fn stop(self, clock: Clock, control: &mut Control, commands: &mut Vec<flow::Command>) {
        let remains: Remains = self.pool.stop();
        for event in remains {
            tell(clock, event, control, commands);
        }
    }

    fn queue(&mut self, command: Command) {
        self.touched = true;
        if self.waiting.is_empty() {
            if let Err(Full(command)) = self.pool.send(command) {
                self.waiting.push_back(command);
            }
        } else if self.waiting.len() < WAITING || !is_datagram(&command) {
            self.waiting.push_back(command);
        } else {
            self.overdue += 1;
        }
    }

    /// Queues what waits, as far as there is room.
    fn retry(&mut self) {
        while let Some(command) = self.waiting.pop_front() {
            self.touched = true;
            if let Err(Full(command)) = self.pool.send(command) {
                self.waiting.push_front(command);
                break;
            }
        }
    }

    fn command(&self, order: Order) -> Option<Command> {
        Some(match order {
            Order::Open {
                path,
                generation,
                identity,
                role,
                by_ice,
                fingerprints,
                start,
            } => Command::Open {
                path: path.number(),
                generation,
                options: Box::new(self.options(&identity, role, by_ice)?),
                fingerprints: fingerprints.into_vec(),
                start,
            },
            Order::Start(path) => Command::Start {
                path: path.number(),
            },
            Order::Datagram(path, bytes) => Command::Datagram {
                path: path.number(),
                bytes,
            },
            Order::Expect(path, fingerprints) => Command::Expect {
                path: path.number(),
                fingerprints: fingerprints.into_vec(),
            },
            Order::Close(path) => Command::Close {
                path: path.number(),
            },
        })
    }

    fn options(&self, identity: &Arc<Identity>, role: dtls::Role, by_ice: bool) -> Option<Options> {
        let mut known = self.certificates.iter();
        let (_, certificate) = known.find(|(known, _)| Arc::ptr_eq(known, identity))?;
        let role = match role {
            dtls::Role::Client => Role::Client,
            dtls::Role::Server => Role::Server,
        };
        Some(Options {
            expect: if by_ice { Expect::Ice } else { Expect::Anyone },
            trusted_path: by_ice,
            mtu: usize::from(self.mtu),
            ..Options::new(role, Arc::clone(certificate))
        })
    }
}

/// Media goes first.
fn stand_back() {
    if let Err(error) = priority::stand_back() {
        tracing::debug!(%error, "handshakes do not stand back behind media");
    }
}

fn is_datagram(command: &Command) -> bool {
    matches!(command, Command::Datagram { .. })
}

fn tell(clock: Clock, event: Event, control: &mut Control, commands: &mut Vec<flow::Command>) {
    let failed = |reason, text: String| {
        News::Failed(dtls::Failure {
            reason,
            text: text.into(),
        })
    };
    let news = match event.what {
        What::Datagram(bytes) => News::Datagram(bytes.into()),
        What::News(association::Event::Keys(keys)) => News::Keys {
            receive: Box::new(keys.receive),
            send: Box::new(keys.send),
        },
        What::News(association::Event::Changed(state)) => match state {
            State::Postponed => News::Postponed,
            State::Failed(failure) => failed(failure.as_str(), failure.to_string()),
            State::Closed(_) => News::Closed,
            State::New | State::Handshaking | State::Connected { .. } => return,
        },
        What::Refused => failed("refused", "too many handshakes at a time".to_owned()),
        What::Status(_) => return,
    };
    let path = PathId::from_number(event.path);
    control.news(clock, path, event.generation, news, commands);
}
