//! dimpl behind the trait. It is without sockets and clocks itself; what it calls an instant is the
//! [`Time`] that it is given, counted from an arbitrary origin.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ::dimpl::{
    Config, Dtls, DtlsCertificate, Error, Output, ProtocolVersion, SecurityError, SrtpProfile,
};
use patchcord_contract::Time;
use zeroize::Zeroizing;

use super::{Backend, Ended, Outcome, Version, Yield};
use crate::association::{Failure, Options, Role};
use crate::keying::Material;
use crate::profile::Profile;

/// Outputs that one input may bring forth; a flight at the smallest MTU has a tenth of it.
const MAX_OUTPUTS: usize = 128;
/// Flights are sent again until the association's patience ends, which is before this.
const RETRIES: usize = 24;
const LONGEST: Duration = Duration::from_hours(1);

/// Configurations that are kept.
const MAX_KEPT: usize = 8;

/// What a configuration is made from.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Settings {
    mtu: usize,
    cookie: bool,
    first: Duration,
    seed: Option<u64>,
}

impl Settings {
    fn of(options: &Options) -> Self {
        Self {
            mtu: options.mtu(),
            cookie: !options.trusted_path,
            first: options.timing.first.max(Duration::from_millis(1)),
            seed: options.seed,
        }
    }

    fn build(&self) -> Result<Config, Error> {
        let mut config = Config::builder()
            .mtu(self.mtu)
            .use_server_cookie(self.cookie)
            .require_client_certificate(true)
            .flight_start_rto(self.first)
            .flight_retries(RETRIES)
            .handshake_timeout(LONGEST);
        if let Some(seed) = self.seed {
            config = config.dangerously_set_rng_seed(seed);
        }
        config.build()
    }
}

/// The configuration for these settings. Building one puts the whole of the cryptography to a test,
/// which takes six times as long as a handshake, so the last few are kept.
fn config(settings: &Settings) -> Result<Arc<Config>, Failure> {
    static KEPT: Mutex<VecDeque<(Settings, Arc<Config>)>> = Mutex::new(VecDeque::new());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, config)) = kept.iter().find(|(of, _)| of == settings) {
        return Ok(Arc::clone(config));
    }
    let config = Arc::new(settings.build().map_err(|error| library(&error))?);
    kept.push_front((*settings, Arc::clone(&config)));
    kept.truncate(MAX_KEPT);
    Ok(config)
}

/// A handshake of dimpl's.
pub(crate) struct Dimpl {
    dtls: Dtls,
    role: Role,
    buffer: Vec<u8>,
    deadline: Option<Time>,
    certificate: Vec<u8>,
    keys: Option<(Material, Profile)>,
    connected: bool,
}

impl Dimpl {
    pub(crate) fn new(options: &Options, now: Time) -> Result<Self, Failure> {
        let config = config(&Settings::of(options))?;
        let certificate = DtlsCertificate {
            certificate: options.certificate.der().to_vec(),
            private_key: options.certificate.key().to_vec(),
        };
        let instant = instant(now);
        let mut dtls = if options.dtls13 {
            Dtls::new_auto(config, certificate, instant)
        } else {
            Dtls::new_12(config, certificate, instant)
        };
        dtls.set_active(options.role == Role::Client);
        Ok(Self {
            dtls,
            role: options.role,
            buffer: vec![0; 2048],
            deadline: None,
            certificate: Vec::new(),
            keys: None,
            connected: false,
        })
    }

    fn result(&mut self, result: Result<(), Error>, now: Time, out: &mut Yield) {
        match result {
            Ok(()) => self.drain(now, out),
            Err(error) => {
                // It may have queued an alert.
                self.drain(now, out);
                out.fail(failure(&error));
            }
        }
    }

    fn drain(&mut self, now: Time, out: &mut Yield) {
        for _ in 0..MAX_OUTPUTS {
            match self.dtls.poll_output(&mut self.buffer) {
                Output::Packet(packet) => out.datagrams.push(packet.to_vec()),
                Output::BufferTooSmall { needed } => self.buffer.resize(needed, 0),
                Output::Timeout(at) => {
                    self.deadline = time(at).filter(|at| at.since(now) < LONGEST);
                    break;
                }
                Output::Connected => self.connected = true,
                Output::PeerCert(der) => self.certificate = der.to_vec(),
                Output::KeyingMaterial(material, profile) => {
                    self.keys = ours(profile).map(|p| (Zeroizing::new(material.to_vec()), p));
                }
                Output::CloseNotify => out.ended = Some(Ended::ByPeer),
                // Nobody sends application data beside SRTP.
                Output::ApplicationData(_) | _ => {}
            }
        }
        if std::mem::take(&mut self.connected) {
            self.finish(out);
        }
    }

    fn finish(&mut self, out: &mut Yield) {
        // It calls itself connected with a peer that shares no profile.
        let Some((material, profile)) = self.keys.take() else {
            return out.fail(Failure::NoProfile);
        };
        if self.certificate.is_empty() {
            return out.fail(Failure::NoCertificate);
        }
        let is_13 = self.dtls.protocol_version() == Some(ProtocolVersion::DTLS1_3);
        out.outcome = Some(Outcome {
            certificate: std::mem::take(&mut self.certificate),
            profile,
            material,
            version: if is_13 {
                Version::Dtls13
            } else {
                Version::Dtls12
            },
        });
    }
}

impl Backend for Dimpl {
    fn begin(&mut self, now: Time, out: &mut Yield) {
        // A server panics at its first datagram if it never was told the time.
        let result = self.dtls.handle_timeout(instant(now));
        self.result(result, now, out);
        debug_assert!(self.role == Role::Client || out.datagrams.is_empty());
    }

    fn datagram(&mut self, now: Time, records: &[u8], out: &mut Yield) {
        // It learns the time from nothing else.
        let result = self.dtls.handle_timeout(instant(now));
        self.result(result, now, out);
        if out.ended.is_none() {
            let result = self.dtls.handle_packet(records);
            self.result(result, now, out);
        }
    }

    fn timeout(&mut self, now: Time, out: &mut Yield) {
        let result = self.dtls.handle_timeout(instant(now));
        self.result(result, now, out);
    }

    fn close(&mut self, now: Time, out: &mut Yield) {
        let result = self.dtls.close();
        self.result(result, now, out);
    }

    fn deadline(&self) -> Option<Time> {
        self.deadline
    }
}

fn ours(profile: SrtpProfile) -> Option<Profile> {
    match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Some(Profile::Aes128Sha1_80),
        SrtpProfile::AEAD_AES_128_GCM => Some(Profile::Aes128Gcm),
        SrtpProfile::AEAD_AES_256_GCM => Some(Profile::Aes256Gcm),
        _ => None,
    }
}

fn failure(error: &Error) -> Failure {
    if matches!(error, Error::Timeout(_)) {
        Failure::Timeout
    } else if let Error::SecurityError(SecurityError::FatalAlert { description }) = error {
        Failure::Alert(*description)
    } else if matches!(error, Error::CertificateError(_)) {
        Failure::NoCertificate
    } else {
        library(error)
    }
}

fn library(error: &Error) -> Failure {
    Failure::Library(error.to_string().into())
}

/// Where [`Time::ZERO`] lies for dimpl.
#[expect(
    clippy::disallowed_methods,
    reason = "an instant has no other origin; nothing depends on the place"
)]
fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

fn instant(now: Time) -> Instant {
    origin() + Duration::from_nanos(now.0)
}

fn time(at: Instant) -> Option<Time> {
    let since = at.checked_duration_since(origin())?;
    u64::try_from(since.as_nanos()).ok().map(Time)
}
