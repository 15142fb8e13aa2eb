//! The waist between an association and the library that does its handshake.

pub(crate) mod dimpl;
#[cfg(feature = "openssl")]
pub(crate) mod openssl;
#[cfg(feature = "openssl")]
mod repeat;
#[cfg(feature = "openssl")]
mod reseal;

use std::fmt;

use patchcord_contract::Time;

use crate::association::{Failure, Options};
use crate::keying::Material;
use crate::profile::Profile;

/// A library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// dimpl: quick, for ECDSA peers.
    Dimpl,
    /// The system's OpenSSL: for everybody else.
    OpenSsl,
}

impl Kind {
    /// The name used in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dimpl => "dimpl",
            Self::OpenSsl => "openssl",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The version that was negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// RFC 6347.
    Dtls12,
    /// RFC 9147.
    Dtls13,
}

impl Version {
    /// The name used in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dtls12 => "1.2",
            Self::Dtls13 => "1.3",
        }
    }
}

/// What a finished handshake leaves. Nothing of it is believed before the certificate is.
pub(crate) struct Outcome {
    /// The peer's certificate in DER.
    pub(crate) certificate: Vec<u8>,
    /// The profile that was agreed on.
    pub(crate) profile: Profile,
    /// What the exporter gave, of the profile's length.
    pub(crate) material: Material,
    /// The version.
    pub(crate) version: Version,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The peer said goodbye.
    ByPeer,
    /// It failed. After the handshake only the library is gone, not the keys.
    Failed(Failure),
}

/// What an input brings forth.
#[derive(Default)]
pub(crate) struct Yield {
    /// To be sent, in order, none longer than the MTU.
    pub(crate) datagrams: Vec<Vec<u8>>,
    /// The handshake is finished.
    pub(crate) outcome: Option<Outcome>,
    /// There is nothing more to come.
    pub(crate) ended: Option<Ended>,
}

impl Yield {
    pub(crate) fn fail(&mut self, failure: Failure) {
        self.ended.get_or_insert(Ended::Failed(failure));
    }
}

/// One handshake, and what follows it. Does no input or output, reads no clock.
pub(crate) trait Backend: Send {
    /// Begins: as client with a first flight.
    fn begin(&mut self, now: Time, out: &mut Yield);

    /// Takes sound records, see [`sieve`](crate::sieve).
    fn datagram(&mut self, now: Time, records: &[u8], out: &mut Yield);

    /// The [`deadline`](Self::deadline) has come.
    fn timeout(&mut self, now: Time, out: &mut Yield);

    /// Says goodbye, if there is anybody to say it to.
    fn close(&mut self, now: Time, out: &mut Yield);

    /// When it wants to be woken.
    fn deadline(&self) -> Option<Time>;
}

/// A backend for these options. `again`: the same peer has been tried with another one.
pub(crate) fn new(
    kind: Kind,
    options: &Options,
    now: Time,
    again: bool,
) -> Result<Box<dyn Backend>, Failure> {
    match kind {
        Kind::Dimpl => dimpl::Dimpl::new(options, now).map(|new| Box::new(new) as _),
        #[cfg(feature = "openssl")]
        Kind::OpenSsl => openssl::OpenSsl::new(options, again).map(|new| Box::new(new) as _),
        #[cfg(not(feature = "openssl"))]
        Kind::OpenSsl => {
            let _ = again;
            Err(Failure::Library("built without OpenSSL".into()))
        }
    }
}
