//! Our self-signed certificates, and fingerprints of anyone's (RFC 8122 §5, RFC 5763 §5).

use std::fmt;
#[cfg(feature = "openssl")]
use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::digest;
use patchcord_wire::sdp::{Fingerprint, HashName};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
    RsaKeySize,
};
use subtle::ConstantTimeEq;
use thiserror::Error;
use time::OffsetDateTime;
use zeroize::Zeroizing;

#[cfg(feature = "openssl")]
use crate::backend::openssl::Contexts;

/// How long a certificate is valid.
pub const VALIDITY: Duration = Duration::from_hours(30 * 24);
/// How far its validity begins in the past, for peers whose clocks are slow.
const LEEWAY: Duration = Duration::from_hours(24);

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// The date lies outside what a certificate can say.
    #[error("a certificate cannot be dated {0} s after 1970")]
    Date(u64),
    /// Key generation or signing failed.
    #[error("the certificate could not be made: {0}")]
    Made(String),
    /// RSA needs the OpenSSL leg, which this build does not have.
    #[error("RSA certificates need the feature \"openssl\"")]
    NoRsa,
}

/// The kind of key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// NIST P-256, which every peer takes and whose signatures are cheap.
    #[default]
    P256,
    /// RSA of 2,048 bits; all handshakes go through OpenSSL then.
    Rsa2048,
}

/// A certificate of ours, self-signed with SHA-256, and its key.
pub struct Certificate {
    der: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    kind: KeyKind,
    /// When it was made and when it ends, in seconds since 1970.
    made: u64,
    ends: u64,
    #[cfg(feature = "openssl")]
    contexts: OnceLock<Result<Contexts, String>>,
}

impl Certificate {
    /// Makes one that is valid for [`VALIDITY`] from `now`, in seconds since 1970. A P-256 key takes
    /// microseconds; an RSA key a tenth of a second or more.
    pub fn generate(kind: KeyKind, now: u64) -> Result<Self, CertificateError> {
        if kind == KeyKind::Rsa2048 && !cfg!(feature = "openssl") {
            return Err(CertificateError::NoRsa);
        }
        let made = |error: rcgen::Error| CertificateError::Made(error.to_string());
        let key = match kind {
            KeyKind::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            KeyKind::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        }
        .map_err(made)?;
        let ends = now.saturating_add(VALIDITY.as_secs());
        let mut params = CertificateParams::default();
        params.not_before = date(now.saturating_sub(LEEWAY.as_secs()))?;
        params.not_after = date(ends)?;
        params.distinguished_name = DistinguishedName::new();
        // The name tells strangers no more than it must.
        params
            .distinguished_name
            .push(DnType::CommonName, "patchcord");
        // Firefox refuses two certificates of one issuer with one number; rcgen derives it from the key.
        let certificate = params.self_signed(&key).map_err(made)?;
        Ok(Self {
            der: certificate.der().to_vec(),
            key: Zeroizing::new(key.serialize_der()),
            kind,
            made: now,
            ends,
            #[cfg(feature = "openssl")]
            contexts: OnceLock::new(),
        })
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The kind of its key.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// When it was made, in seconds since 1970.
    pub const fn made(&self) -> u64 {
        self.made
    }

    /// When its validity ends, in seconds since 1970.
    pub const fn ends(&self) -> u64 {
        self.ends
    }

    /// What `a=fingerprint` says of it.
    pub fn fingerprint(&self, hash: HashName) -> Fingerprint {
        fingerprint(hash, &self.der)
    }

    /// The private key in PKCS #8.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    /// What OpenSSL needs of it, made at the first use.
    #[cfg(feature = "openssl")]
    pub(crate) fn contexts(&self) -> Result<&Contexts, &str> {
        self.contexts
            .get_or_init(|| Contexts::new(self).map_err(|error| error.to_string()))
            .as_ref()
            .map_err(String::as_str)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("kind", &self.kind)
            .field("fingerprint", &self.fingerprint(HashName::Sha256))
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

fn date(seconds: u64) -> Result<OffsetDateTime, CertificateError> {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or(CertificateError::Date(seconds))
}

/// The fingerprint of a certificate in DER.
pub fn fingerprint(hash: HashName, der: &[u8]) -> Fingerprint {
    let algorithm = match hash {
        HashName::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        HashName::Sha224 => &digest::SHA224,
        HashName::Sha256 => &digest::SHA256,
        HashName::Sha384 => &digest::SHA384,
        HashName::Sha512 => &digest::SHA512,
    };
    Fingerprint::new(hash, digest::digest(algorithm, der).as_ref()).expect("the hash's own length")
}

/// Whether a certificate is one of those announced. Of several hashes the strongest counts, whose
/// lines name all certificates that the peer may show (RFC 8122 §5): a weak line cannot let in what
/// a strong one keeps out.
pub(crate) fn announced(der: &[u8], lines: &[Fingerprint]) -> bool {
    let Some(hash) = lines
        .iter()
        .map(Fingerprint::hash)
        .max_by_key(|h| h.digest_len())
    else {
        return false;
    };
    let shown = fingerprint(hash, der);
    lines
        .iter()
        .filter(|line| line.hash() == hash)
        .any(|line| line.digest().ct_eq(shown.digest()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_790_000_000;

    fn made() -> Certificate {
        Certificate::generate(KeyKind::P256, NOW).expect("a certificate")
    }

    #[test]
    fn known_digests_come_out() {
        let text: Vec<u8> = HashName::ALL
            .into_iter()
            .map(|hash| fingerprint(hash, b"abc").digest()[0])
            .collect();
        assert_eq!(text, [0xa9, 0x23, 0xba, 0xcb, 0xdd]);
    }

    #[test]
    fn any_line_of_the_strongest_hash_will_do() {
        let (ours, other) = (made(), made());
        let line = |certificate: &Certificate, hash| certificate.fingerprint(hash);
        use HashName::{Sha1, Sha256, Sha512};
        assert!(announced(ours.der(), &[line(&ours, Sha1)]));
        assert!(announced(
            ours.der(),
            &[line(&other, Sha256), line(&ours, Sha256)]
        ));
        assert!(announced(
            ours.der(),
            &[line(&other, Sha1), line(&ours, Sha512)]
        ));
        assert!(!announced(
            ours.der(),
            &[line(&ours, Sha1), line(&other, Sha256)]
        ));
        assert!(!announced(ours.der(), &[]));
    }

    #[test]
    fn no_two_certificates_are_alike() {
        let (one, two) = (made(), made());
        assert_ne!(
            one.fingerprint(HashName::Sha256),
            two.fingerprint(HashName::Sha256)
        );
    }

    #[test]
    fn a_certificate_lasts_thirty_days() {
        assert_eq!(made().ends() - NOW, 30 * 86_400);
    }

    #[test]
    fn a_date_beyond_the_calendar_is_refused() {
        let refused = Certificate::generate(KeyKind::P256, u64::MAX).err();
        assert!(
            matches!(refused, Some(CertificateError::Date(_))),
            "{refused:?}"
        );
    }

    #[test]
    fn printed_certificates_show_no_key() {
        let text = format!("{:?}", made());
        assert!(text.contains("sha-256") && !text.contains("key"), "{text}");
    }
}
