//! `SDES` (RFC 4568), `DTLS` (RFC 5763), `OSRTP` (RFC 8643) and the profile: how media is keyed.

use std::borrow::Cow;

use crate::ng::set::{Set, member_enum};
use crate::ng::spelling;
use crate::ng::text::{self, Parts, Text};
use crate::proto::Proto;

/// `transport-protocol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProtoChoice {
    /// As it is in the SDP.
    #[default]
    Unchanged,
    /// A change made by the answerer is passed on to the offerer (`accept`).
    Accept,
    /// This protocol towards the receiver of the rewritten SDP; never [`Proto::Other`].
    To(Proto),
}

/// Words that turn SDES off.
const OFF: [&[u8]; 4] = [b"off", b"no", b"disable", b"disabled"];

/// Whether a way of keying is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SdesUse {
    /// Where the profile asks for encryption.
    #[default]
    Default,
    /// Not offered (`off`, `no`, `disable`).
    Off,
}

member_enum! {
    /// A switch in the `SDES` list.
    pub enum SdesFlag {
        /// base64 keeps its padding (`pad`).
        Pad,
        /// Keys carry a lifetime (`lifetime`).
        Lifetime,
        /// The suite stays over re-INVITEs (`static`).
        Static,
        /// SDES is chosen over DTLS where both are offered (`prefer`, `priority`).
        Prefer,
        /// Received suites are passed on, none is added (`nonew`); beats `only-` and `no-`.
        NoNew,
        /// RFC 4568 §6.3.1
        UnencryptedSrtp,
        /// Takes the former out.
        EncryptedSrtp,
        /// RFC 4568 §6.3.2
        UnencryptedSrtcp,
        /// Takes the former out.
        EncryptedSrtcp,
        /// RFC 4568 §6.3.3
        UnauthenticatedSrtp,
        /// Takes the former out.
        AuthenticatedSrtp,
    }
}

/// What `SDES` asks for. Suites are as written; `only` beats `no`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sdes<'a> {
    /// Whether it is offered.
    pub usage: SdesUse,
    /// Switches.
    pub flags: Set<SdesFlag>,
    /// The suites that may be used (`only-<SUITE>`); empty is all.
    pub only: Vec<Cow<'a, [u8]>>,
    /// The suites that may not be used (`no-<SUITE>`).
    pub no: Vec<Cow<'a, [u8]>>,
    /// The order of suites in the rewritten SDP (`order:<a;b>`).
    pub order: Vec<Cow<'a, [u8]>>,
    /// The suite selected towards the offerer, in order of preference (`offerer_pref:<a;b>`).
    pub offerer_preference: Vec<Cow<'a, [u8]>>,
}

impl<'a> Sdes<'a> {
    /// Adds a word in its original spelling, since suites are compared in it.
    pub(crate) fn add(&mut self, word: &Text<'a>) -> bool {
        let rest = |prefix| {
            let rest = spelling::strip_prefix(word, prefix)?;
            (!rest.is_empty()).then(|| text::slice(word, word.len() - rest.len(), word.len()))
        };
        if let Some(list) = rest("order:") {
            self.order = semicolons(&list);
        } else if let Some(list) = rest("offerer-pref:") {
            self.offerer_preference = semicolons(&list);
        } else if let Some(suite) = rest("only-") {
            self.only.push(suite);
        } else if OFF.iter().any(|off| spelling::same(word, off)) {
            self.usage = SdesUse::Off;
        } else if let Some(flag) = spelling::Name::new(word).and_then(|name| flag(name.as_bytes()))
        {
            self.flags.insert(flag);
        } else if let Some(suite) = rest("no-") {
            self.no.push(suite);
        } else {
            return false;
        }
        true
    }
}

fn flag(name: &[u8]) -> Option<SdesFlag> {
    Some(match name {
        b"pad" => SdesFlag::Pad,
        b"lifetime" => SdesFlag::Lifetime,
        b"static" => SdesFlag::Static,
        b"prefer" | b"priority" => SdesFlag::Prefer,
        b"nonew" | b"no-new" => SdesFlag::NoNew,
        b"unencrypted-srtp" => SdesFlag::UnencryptedSrtp,
        b"encrypted-srtp" => SdesFlag::EncryptedSrtp,
        b"unencrypted-srtcp" => SdesFlag::UnencryptedSrtcp,
        b"encrypted-srtcp" => SdesFlag::EncryptedSrtcp,
        b"unauthenticated-srtp" => SdesFlag::UnauthenticatedSrtp,
        b"authenticated-srtp" => SdesFlag::AuthenticatedSrtp,
        _ => return None,
    })
}

fn semicolons<'a>(list: &Text<'a>) -> Vec<Text<'a>> {
    Parts::new(list, b';').collect()
}

/// What `DTLS` asks for; the last word counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DtlsMode {
    /// Offered where the profile asks for encryption.
    #[default]
    Default,
    /// Not used (`off`, `no`, `disable`).
    Off,
    /// We rather are the server (`passive`).
    Passive,
    /// We rather are the client (`active`).
    Active,
}

/// The hash of `a=fingerprint` (RFC 8122 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the name of a hash function")]
pub enum FingerprintHash {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// What `DTLS` and `DTLS-fingerprint` ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dtls {
    /// Whether and in which role.
    pub mode: DtlsMode,
    /// The hash of our fingerprint; `None` is SHA-256 or the peer's.
    pub fingerprint: Option<FingerprintHash>,
}

impl Dtls {
    pub(crate) fn add(&mut self, word: &[u8]) -> bool {
        self.mode = match word {
            b"off" | b"no" | b"disable" | b"disabled" => DtlsMode::Off,
            b"passive" => DtlsMode::Passive,
            b"active" => DtlsMode::Active,
            _ => return false,
        };
        true
    }

    pub(crate) fn set_fingerprint(&mut self, word: &[u8]) -> bool {
        self.fingerprint = Some(match word {
            b"sha-1" | b"sha1" => FingerprintHash::Sha1,
            b"sha-224" | b"sha224" => FingerprintHash::Sha224,
            b"sha-256" | b"sha256" => FingerprintHash::Sha256,
            b"sha-384" | b"sha384" => FingerprintHash::Sha384,
            b"sha-512" | b"sha512" => FingerprintHash::Sha512,
            _ => return false,
        });
        true
    }
}

member_enum! {
    /// How opportunistic SRTP is written.
    pub enum OsrtpForm {
        /// One section, `RTP/AVP` with keys (RFC 8643).
        Rfc,
        /// Two sections, one `RTP/SAVP` and one `RTP/AVP`.
        Legacy,
    }
}

/// What `OSRTP` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Osrtp {
    /// The form towards the receiver of the rewritten SDP; of two, the RFC's.
    pub offer: Option<OsrtpForm>,
    /// The forms accepted from the sender of this SDP.
    pub accept: Set<OsrtpForm>,
}

impl Osrtp {
    pub(crate) fn add(&mut self, word: &[u8]) -> bool {
        match word {
            b"offer" | b"offer-rfc" => self.offer = Some(OsrtpForm::Rfc),
            b"offer-legacy" => self.offer = self.offer.or(Some(OsrtpForm::Legacy)),
            b"accept" | b"accept-rfc" => {
                self.accept.insert(OsrtpForm::Rfc);
            }
            b"accept-legacy" => {
                self.accept.insert(OsrtpForm::Legacy);
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdes(words: &[&'static str]) -> Sdes<'static> {
        let mut sdes = Sdes::default();
        for word in words {
            assert!(sdes.add(&Cow::Borrowed(word.as_bytes())), "{word} is known");
        }
        sdes
    }

    #[test]
    fn no_alone_is_off_and_with_a_suite_a_blacklist() {
        assert_eq!(sdes(&["no"]).usage, SdesUse::Off);
        let listed = sdes(&["no-AES_CM_128_HMAC_SHA1_32", "only-AEAD_AES_256_GCM"]);
        assert_eq!(listed.usage, SdesUse::Default);
        assert_eq!(listed.no, [&b"AES_CM_128_HMAC_SHA1_32"[..]]);
        assert_eq!(listed.only, [&b"AEAD_AES_256_GCM"[..]]);
        assert!(sdes(&["no-new"]).flags.has(SdesFlag::NoNew));
    }

    #[test]
    fn orders_are_lists_by_semicolon() {
        let ordered = sdes(&["order:AES_CM_128_HMAC_SHA1_80;AEAD_AES_128_GCM;"]);
        assert_eq!(
            ordered.order,
            [&b"AES_CM_128_HMAC_SHA1_80"[..], b"AEAD_AES_128_GCM"]
        );
        assert_eq!(sdes(&["offerer_pref:A"]).offerer_preference, [&b"A"[..]]);
    }

    #[test]
    fn words_without_meaning_are_unknown() {
        for word in ["", "only-", "sometimes", "order:"] {
            assert!(
                !Sdes::default().add(&Cow::Borrowed(word.as_bytes())),
                "{word}"
            );
        }
    }
}
