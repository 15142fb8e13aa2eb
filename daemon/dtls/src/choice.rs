//! Which library serves a peer, decided before the peer can be known.
//!
//! dimpl takes under half of OpenSSL's time, and what it refuses cannot be mended afterwards: a
//! handshake that has failed at a SIP phone stays failed. So dimpl gets those that it is sure to
//! serve, and everybody else gets OpenSSL, which serves them all:
//!
//! - As server the ClientHello is read first. It must offer a suite, a group, a signature and a
//!   profile of dimpl's, and the extended master secret. It does not tell the kind of the client's
//!   certificate, so it must also come from a browser, whose certificates are ECDSA: one that
//!   offers DTLS 1.3, which no OpenSSL of the field does, or whose leg uses ICE and that wants no
//!   signature which only other libraries know.
//! - As client nothing is known of the server but whether it uses ICE, as browsers do. If a handshake
//!   with such a peer fails all the same it is begun again with OpenSSL, once.

use crate::association::{Expect, Options};
use crate::backend::Kind;
use crate::certificate::KeyKind;
use crate::hello::Hello;
use crate::profile::{Profile, Profiles};

/// ECDHE_ECDSA with AES-256-GCM, AES-128-GCM, ChaCha20.
const SUITES: [u16; 3] = [0xc02c, 0xc02b, 0xcca9];
/// P-256, P-384, X25519.
const GROUPS: [u16; 3] = [23, 24, 29];
/// ecdsa_secp256r1_sha256: what our certificate signs with.
const SIGNATURE: u16 = 0x0403;
const DTLS_1_3: u16 = 0xfefc;
/// What OpenSSL, mbed TLS and GnuTLS offer to verify and no browser does: Ed25519, RSA-PSS with keys of
/// its own, anything with SHA-224, DSA.
const FOREIGN: [u16; 6] = [0x0807, 0x0808, 0x0809, 0x0303, 0x0301, 0x0602];

/// The profiles that dimpl always offers and takes.
pub(crate) fn dimpl_profiles() -> Profiles {
    Profile::ALL
        .into_iter()
        .filter(|profile| *profile != Profile::Aes128Sha1_32)
        .collect()
}

/// Whether dimpl can do what we want, whoever the peer is.
fn within_dimpl(options: &Options) -> bool {
    let always = dimpl_profiles();
    options.certificate.kind() == KeyKind::P256 && options.profiles.and(always) == always
}

/// The library for a handshake that we begin.
pub(crate) fn as_client(options: &Options) -> Kind {
    choose(within_dimpl(options) && options.expect != Expect::Anyone)
}

/// The library for a handshake that begins with this.
pub(crate) fn as_server(options: &Options, hello: &Hello) -> Kind {
    // Phones use ICE, too, and some with RSA certificates.
    let is_foreign = hello.signatures.iter().any(|n| FOREIGN.contains(n));
    let browser = match options.expect {
        Expect::Browser => true,
        Expect::Ice if !is_foreign => true,
        Expect::Ice | Expect::Anyone => hello.versions.contains(&DTLS_1_3),
    };
    choose(browser && within_dimpl(options) && within_reach(hello))
}

/// Whether dimpl finds what it needs in a hello.
fn within_reach(hello: &Hello) -> bool {
    let any = |ours: &[u16], theirs: &[u16]| theirs.iter().any(|n| ours.contains(n));
    hello.extended_master_secret
        && any(&SUITES, &hello.suites)
        && any(&GROUPS, &hello.groups)
        && hello.signatures.contains(&SIGNATURE)
        && !hello.profiles.and(dimpl_profiles()).is_empty()
}

#[cfg(feature = "openssl")]
fn choose(dimpl: bool) -> Kind {
    if dimpl { Kind::Dimpl } else { Kind::OpenSsl }
}

#[cfg(not(feature = "openssl"))]
fn choose(_: bool) -> Kind {
    Kind::Dimpl
}

#[cfg(all(test, feature = "openssl"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::association::Role;
    use crate::certificate::Certificate;

    fn options(expect: Expect) -> Options {
        let certificate = Certificate::generate(KeyKind::P256, 1_790_000_000).expect("made");
        Options {
            expect,
            ..Options::new(Role::Server, Arc::new(certificate))
        }
    }

    fn chrome() -> Hello {
        Hello {
            random: [1; 32],
            cookie: false,
            suites: vec![0x1301, 0xc02b, 0xc02f],
            signatures: vec![0x0403, 0x0804],
            groups: vec![4588, 29, 23],
            versions: vec![0xfefc, 0xfefd],
            profiles: Profiles::ALL,
            extended_master_secret: true,
        }
    }

    #[test]
    fn a_browser_is_known_by_its_hello() {
        assert_eq!(as_server(&options(Expect::Anyone), &chrome()), Kind::Dimpl);
    }

    #[test]
    fn an_older_browser_is_known_by_its_use_of_ice() {
        let hello = Hello {
            versions: vec![],
            ..chrome()
        };
        for expect in [Expect::Browser, Expect::Ice] {
            assert_eq!(as_server(&options(expect), &hello), Kind::Dimpl);
        }
        assert_eq!(as_server(&options(Expect::Anyone), &hello), Kind::OpenSsl);
    }

    #[test]
    fn a_phone_with_ice_is_known_by_what_no_browser_verifies() {
        for foreign in FOREIGN {
            let mut hello = Hello {
                versions: vec![],
                ..chrome()
            };
            hello.signatures.push(foreign);
            let chosen = as_server(&options(Expect::Ice), &hello);
            assert_eq!(chosen, Kind::OpenSsl, "{foreign:04x}");
        }
    }

    #[test]
    fn a_hello_without_any_one_thing_goes_to_openssl() {
        let lacking: [fn(&mut Hello); 5] = [
            |hello| hello.suites = vec![0xc02f, 0xc030],
            |hello| hello.groups = vec![25],
            |hello| hello.signatures = vec![0x0804],
            |hello| hello.profiles = Profiles::NONE.with(Profile::Aes128Sha1_32),
            |hello| hello.extended_master_secret = false,
        ];
        for (i, take_away) in lacking.into_iter().enumerate() {
            let mut hello = chrome();
            take_away(&mut hello);
            let chosen = as_server(&options(Expect::Browser), &hello);
            assert_eq!(chosen, Kind::OpenSsl, "{i}");
        }
    }

    #[test]
    fn what_only_openssl_can_do_goes_to_openssl() {
        let mut narrow = options(Expect::Browser);
        narrow.profiles = Profiles::NONE.with(Profile::Aes128Sha1_80);
        assert_eq!(as_client(&narrow), Kind::OpenSsl);
        assert_eq!(as_server(&narrow, &chrome()), Kind::OpenSsl);
    }

    #[test]
    fn as_client_ice_decides() {
        assert_eq!(as_client(&options(Expect::Browser)), Kind::Dimpl);
        assert_eq!(as_client(&options(Expect::Ice)), Kind::Dimpl);
        assert_eq!(as_client(&options(Expect::Anyone)), Kind::OpenSsl);
    }
}
