//! The system's OpenSSL behind the trait, through its safe binding: a stream in memory that keeps
//! the bounds of datagrams. Its own timer reads the wall clock and cannot be fired from outside, so
//! flights are kept and sent again by [`Repeater`].

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::OnceLock;

use ::openssl::error::ErrorStack;
use ::openssl::ex_data::Index;
use ::openssl::pkey::PKey;
use ::openssl::rand::rand_bytes;
use ::openssl::ssl::{
    Error, ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslRef,
    SslSessionCacheMode, SslStream, SslVerifyMode, SslVersion,
};
use ::openssl::x509::X509;
use patchcord_contract::Time;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::repeat::Repeater;
use super::reseal::{Gcm, Sealer};
use super::{Backend, Ended, Outcome, Version, Yield};
use crate::association::{Failure, Options, Role};
use crate::certificate::Certificate;
use crate::keying::LABEL;
use crate::profile::{Profile, Profiles};
use crate::record::{CHANGE_CIPHER_SPEC, CLIENT_HELLO, records};

/// Forward secrecy where the peer can, GCM before CBC. Of the latter a last flight that is lost
/// comes again only by OpenSSL's own timer.
const CIPHERS: &str =
    "ECDHE+AESGCM:kRSA+AESGCM:ECDHE+AES:kRSA+AES:!SHA384+CBC:!eNULL:!aNULL:!PSK:!SRP";
/// Nonce and tag of a record of AES-GCM, which OpenSSL forgets when it fills a datagram.
const SEALING: usize = 24;
/// Reads after the handshake that one datagram may cause.
const MAX_READS: usize = 64;
/// The first record number of a second try with the same peer, beyond what it may have seen.
const AGAIN: u64 = 1 << 16;
/// Alerts received are reported as reasons from here on.
const ALERT_REASONS: i32 = 1000;

/// What is shared by all handshakes with one certificate.
pub(crate) struct Contexts {
    /// For clients, and servers on paths that ICE vouches for.
    plain: SslContext,
    /// For servers that ask for a cookie.
    cookie: SslContext,
}

impl Contexts {
    pub(crate) fn new(certificate: &Certificate) -> Result<Self, ErrorStack> {
        let mut cookie = builder(certificate)?;
        cookie.set_options(SslOptions::COOKIE_EXCHANGE);
        cookie.set_cookie_generate_cb(|ssl, out| {
            let cookie = cookie_of(ssl);
            out[..cookie.len()].copy_from_slice(cookie);
            Ok(cookie.len())
        });
        cookie.set_cookie_verify_cb(|ssl, shown| {
            let cookie = cookie_of(ssl);
            !cookie.is_empty() && cookie.ct_eq(shown).into()
        });
        Ok(Self {
            plain: builder(certificate)?.build(),
            cookie: cookie.build(),
        })
    }
}

/// The cookie of this association. It is no hash over the hello, as a server without state would
/// have it: OpenSSL asks for the cookie before it takes the hello in.
fn cookie_of(ssl: &SslRef) -> &[u8] {
    let cookie = cookie_index().and_then(|index| ssl.ex_data(index));
    cookie.map_or(&[], |cookie: &[u8; 32]| cookie)
}

fn cookie_index() -> Option<Index<Ssl, [u8; 32]>> {
    static INDEX: OnceLock<Option<Index<Ssl, [u8; 32]>>> = OnceLock::new();
    *INDEX.get_or_init(|| Ssl::new_ex_index().ok())
}

fn builder(certificate: &Certificate) -> Result<SslContextBuilder, ErrorStack> {
    let mut builder = SslContext::builder(SslMethod::dtls())?;
    builder.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
    builder.set_options(
        SslOptions::NO_QUERY_MTU | SslOptions::NO_TICKET | SslOptions::NO_RENEGOTIATION,
    );
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_cipher_list(CIPHERS)?;
    let (leaf, key) = (
        X509::from_der(certificate.der())?,
        PKey::private_key_from_der(certificate.key())?,
    );
    builder.set_certificate(&leaf)?;
    builder.set_private_key(&key)?;
    builder.check_private_key()?;
    // The fingerprint is what tells friend from foe; there is no chain to check.
    let demand = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
    builder.set_verify_callback(demand, |_, _| true);
    Ok(builder)
}

/// The names of OpenSSL, the preferred first.
fn names(profiles: Profiles) -> String {
    let names: Vec<_> = profiles
        .iter()
        .map(|profile| format!("SRTP_{}", profile.as_str()))
        .collect();
    names.join(":")
}

/// Datagrams in and out.
#[derive(Debug, Default)]
struct Wire {
    incoming: VecDeque<Vec<u8>>,
    written: Vec<Vec<u8>>,
}

impl Read for Wire {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let datagram = self.incoming.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let len = datagram.len().min(out.len());
        out[..len].copy_from_slice(&datagram[..len]);
        Ok(len)
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.written.push(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A handshake of OpenSSL's.
pub(crate) struct OpenSsl {
    stream: SslStream<Wire>,
    role: Role,
    done: bool,
    repeater: Repeater,
}

impl OpenSsl {
    pub(crate) fn new(options: &Options, again: bool) -> Result<Self, Failure> {
        let failed = |error: ErrorStack| Failure::Library(error.to_string().into());
        let contexts = options
            .certificate
            .contexts()
            .map_err(|error| Failure::Library(error.into()))?;
        let cookie = options.role == Role::Server && !options.trusted_path;
        let context = if cookie {
            &contexts.cookie
        } else {
            &contexts.plain
        };
        let mut ssl = Ssl::new(context).map_err(failed)?;
        if cookie {
            let mut bytes = [0; 32];
            rand_bytes(&mut bytes).map_err(failed)?;
            let index = cookie_index().ok_or(Failure::Library("no room for a cookie".into()))?;
            ssl.set_ex_data(index, bytes);
        }
        ssl.set_mtu((options.mtu() - SEALING) as u32)
            .map_err(failed)?;
        ssl.set_tlsext_use_srtp(&names(options.profiles))
            .map_err(failed)?;
        match options.role {
            Role::Client => ssl.set_connect_state(),
            Role::Server => ssl.set_accept_state(),
        }
        let first_number = if again { AGAIN } else { 0 };
        Ok(Self {
            stream: SslStream::new(ssl, Wire::default()).map_err(failed)?,
            role: options.role,
            done: false,
            repeater: Repeater::new(options.timing.first, first_number),
        })
    }

    /// Lets OpenSSL go on with the handshake.
    fn shake(&mut self, now: Time, out: &mut Yield) {
        let result = self.stream.do_handshake();
        let written = std::mem::take(&mut self.stream.get_mut().written);
        self.find_keys(&written);
        match result {
            Ok(()) => {
                self.done = true;
                if !written.is_empty() {
                    out.datagrams.extend(self.repeater.sent(now, written));
                }
                // Ours was the last flight, or the peer's was: either way the clock has no part in it.
                self.repeater.stop();
                self.finish(out);
            }
            Err(error) if error.code() == ErrorCode::WANT_READ => {
                if !written.is_empty() {
                    out.datagrams.extend(self.repeater.sent(now, written));
                }
            }
            Err(error) => {
                out.datagrams.extend(self.repeater.passing(&written));
                self.repeater.stop();
                out.fail(failure(&error));
            }
        }
    }

    /// Takes the keys out before the first protected record is to be numbered.
    fn find_keys(&mut self, written: &[Vec<u8>]) {
        let mut all = written.iter().flat_map(|datagram| records(datagram));
        if self.repeater.sealer.is_none() && all.any(|r| r.content() == CHANGE_CIPHER_SPEC) {
            self.repeater.sealer = sealer(self.stream.ssl(), self.role);
        }
    }

    fn finish(&self, out: &mut Yield) {
        match outcome(self.stream.ssl()) {
            Ok(outcome) => out.outcome = Some(outcome),
            Err(failure) => out.fail(failure),
        }
    }

    /// After the handshake: alerts, and the peer's last flight come again, which OpenSSL answers.
    fn listen(&mut self, out: &mut Yield) {
        let mut scrap = [0; 2048];
        for _ in 0..MAX_READS {
            match self.stream.ssl_read(&mut scrap) {
                Ok(_) => {}
                Err(error) if error.code() == ErrorCode::WANT_READ => break,
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    out.ended = Some(Ended::ByPeer);
                    break;
                }
                Err(error) => {
                    out.fail(failure(&error));
                    break;
                }
            }
        }
        self.pass(out);
    }

    fn pass(&mut self, out: &mut Yield) {
        let written = std::mem::take(&mut self.stream.get_mut().written);
        out.datagrams.extend(self.repeater.passing(&written));
    }

    /// Whether the client repeats the hello that we asked to verify: our request was lost.
    fn is_unverified_hello(&self, datagram: &[u8]) -> bool {
        let mut messages = records(datagram).flat_map(|record| record.handshakes());
        self.role == Role::Server
            && self.repeater.asks_to_verify()
            && messages.any(|message| message.kind == CLIENT_HELLO && message.message == 0)
    }
}

impl Backend for OpenSsl {
    fn begin(&mut self, now: Time, out: &mut Yield) {
        if self.role == Role::Client {
            self.shake(now, out);
        }
    }

    fn datagram(&mut self, now: Time, records: &[u8], out: &mut Yield) {
        if !self.done && self.is_unverified_hello(records) {
            out.datagrams.extend(self.repeater.stamped());
            return;
        }
        let sound = without_stubs(records);
        if sound.is_empty() {
            return;
        }
        self.stream.get_mut().incoming.push_back(sound);
        if self.done {
            self.listen(out);
        } else {
            self.shake(now, out);
        }
        self.stream.get_mut().incoming.clear();
    }

    fn timeout(&mut self, now: Time, out: &mut Yield) {
        if self.repeater.is_stuck() {
            // OpenSSL may find its own timer expired, and can number what it protects.
            self.shake(now, out);
            if !out.datagrams.is_empty() || out.ended.is_some() {
                return;
            }
        }
        out.datagrams.extend(self.repeater.again(now));
    }

    fn close(&mut self, _: Time, out: &mut Yield) {
        if self.done {
            // Whether the peer answers is no concern of ours, nor whether it still listens.
            let _said = self.stream.shutdown();
            self.pass(out);
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.repeater.deadline()
    }
}

/// The records without those too short for a nonce and a tag: OpenSSL 3.0 takes one of them for an
/// error of its own and ends the connection, whoever sent it.
fn without_stubs(datagram: &[u8]) -> Vec<u8> {
    let mut sound = Vec::with_capacity(datagram.len());
    for record in records(datagram) {
        if record.epoch() == 0 || record.fragment().len() >= SEALING {
            sound.extend_from_slice(record.bytes);
        }
    }
    sound
}

fn sealer(ssl: &SslRef, role: Role) -> Option<Sealer> {
    let gcm = Gcm::of(ssl.current_cipher()?.name())?;
    let mut master = Zeroizing::new([0; 48]);
    let (mut client, mut server) = ([0; 32], [0; 32]);
    if ssl.session()?.master_key(&mut *master) != master.len() {
        return None;
    }
    ssl.client_random(&mut client);
    ssl.server_random(&mut server);
    Sealer::new(gcm, role, &*master, &client, &server)
}

fn outcome(ssl: &SslRef) -> Result<Outcome, Failure> {
    let failed = |error: ErrorStack| Failure::Library(error.to_string().into());
    let profile = ssl
        .selected_srtp_profile()
        .and_then(|profile| Profile::from_id(profile.id().as_raw() as u16))
        .ok_or(Failure::NoProfile)?;
    let certificate = ssl.peer_certificate().ok_or(Failure::NoCertificate)?;
    let mut material = Zeroizing::new(vec![0; profile.material_len()]);
    ssl.export_keying_material(&mut material, LABEL, None)
        .map_err(failed)?;
    Ok(Outcome {
        certificate: certificate.to_der().map_err(failed)?,
        profile,
        material,
        version: Version::Dtls12,
    })
}

fn failure(error: &Error) -> Failure {
    let reasons = error
        .ssl_error()
        .map(ErrorStack::errors)
        .unwrap_or_default();
    let alert = reasons
        .iter()
        .find_map(|reason| u8::try_from(reason.reason_code() - ALERT_REASONS).ok());
    let reason = reasons.first().and_then(::openssl::error::Error::reason);
    match (alert, reason) {
        (Some(description), _) => Failure::Alert(description),
        (None, Some("peer did not return a certificate")) => Failure::NoCertificate,
        (None, Some(reason)) => Failure::Library(reason.into()),
        (None, None) => Failure::Library(error.to_string().into()),
    }
}
