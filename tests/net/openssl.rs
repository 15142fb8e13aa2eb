//! OpenSSL's own programs as peers: `s_client` and `s_server` make keys with the relay, and a phone that takes
//! over their port speaks under what they exported (RFC 5764 §4.2).

use std::process::Command;
use std::time::Duration;

use patchcord_media::srtp::Suite;
use patchcord_tests::{Family, NgCall, Phone, Program, Sdp, lacks, wait_for};
use serde_json::json;

use crate::dtls::meet;
use crate::field::Field;

/// How long a handshake may take, its programs' start included.
const PATIENCE: Duration = Duration::from_secs(20);
/// The material of the longest suite; that of a shorter one is its beginning (RFC 5705 §4).
const MATERIAL: usize = 88;
/// Who speaks all profiles, and who only the one that browsers' libraries refuse.
const ALL: &str =
    "SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80:SRTP_AES128_CM_SHA1_32";
const WEAK: &str = "SRTP_AES128_CM_SHA1_32";
const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const RSA: &[&str] = &["rsa:2048"];

/// A key and a certificate in the files of a test.
struct Pem {
    key: String,
    certificate: String,
}

impl Pem {
    fn new(field: &Field, name: &str, kind: &[&str]) -> Self {
        let path = |end: &str| {
            let path = field.site.scratch.path().join(format!("{name}.{end}"));
            path.display().to_string()
        };
        let (key, certificate) = (path("key"), path("crt"));
        let about = ["-nodes", "-days", "3", "-subj", "/CN=peer", "-newkey"];
        let files = ["-keyout", &key, "-out", &certificate];
        openssl(&[&["req", "-x509"], &about[..], kind, &files].concat());
        Self { key, certificate }
    }

    /// As a description says it (RFC 8122 §5).
    fn fingerprint(&self) -> String {
        let shown = openssl(&[
            "x509",
            "-in",
            &self.certificate,
            "-noout",
            "-fingerprint",
            "-sha256",
        ]);
        let (_, digest) = shown.trim().split_once('=').expect("a fingerprint");
        format!("a=fingerprint:sha-256 {digest}")
    }
}

fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output();
    let output = output.expect("openssl is installed");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// One of OpenSSL's programs at port 4000 of the first host, until it has told its keys.
fn start(field: &Field, pem: &Pem, arguments: &str) -> Program {
    // It ends with its input, so that stays open.
    let line = format!(
        "tail -f /dev/null | stdbuf -oL openssl {arguments} -dtls1_2 -cert {} -key {} \
         -keymatexport EXTRACTOR-dtls_srtp -keymatexportlen {MATERIAL}",
        pem.certificate, pem.key
    );
    let command = ["sh", "-c", &line].map(str::to_owned);
    let log = field.site.scratch.path().join("openssl.log");
    drop(std::fs::remove_file(&log));
    Program::start(&field.site.hosts[0].netns, "openssl", &command, &log)
}

/// The suite that was negotiated, and the exported bytes.
fn told(program: &mut Program) -> (Suite, Vec<u8>) {
    let (profile, hex) = wait_for("openssl to export keys", PATIENCE, || {
        assert!(program.is_running(), "openssl ended");
        let log = program.log();
        let word = |start: &str| {
            let (_, rest) = log.split_once(start)?;
            let (line, _) = rest.split_once('\n')?;
            Some(line.trim().to_owned())
        };
        word("SRTP Extension negotiated, profile=").zip(word("Keying material: "))
    });
    let suite = match &*profile {
        "SRTP_AEAD_AES_256_GCM" => Suite::AeadAes256Gcm,
        "SRTP_AEAD_AES_128_GCM" => Suite::AeadAes128Gcm,
        "SRTP_AES128_CM_SHA1_80" => Suite::AesCm128Sha1_80,
        "SRTP_AES128_CM_SHA1_32" => Suite::AesCm128Sha1_32,
        other => panic!("{other} was not asked for"),
    };
    let digits = hex.as_bytes().chunks_exact(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let material: Option<Vec<u8>> = digits.map(byte).collect();
    (suite, material.expect("hexadecimal"))
}

/// A call from OpenSSL's program, in that role, to a plain phone: keys, then speech both ways.
fn converses(kind: &[&str], profiles: &str, setup: &str) -> Option<Suite> {
    let field = Field::ours(2, &[])?;
    if lacks(&["openssl"]) {
        return None;
    }
    let pem = Pem::new(&field, "peer", kind);
    let place = (field.site.hosts[0].address(Family::V4), 4000).into();
    let offer = Sdp::audio(place)
        .replaced("RTP/AVP", "UDP/TLS/RTP/SAVP")
        .with("a=rtcp-mux")
        .with(&format!("a=setup:{setup}"))
        .with(&pem.fingerprint());
    let mut b = field.phone(1, Family::V4, 4000, 1000.0);
    let call = NgCall::new("openssl");
    let words = json!({"transport-protocol": "RTP/AVP", "rtcp-mux": ["demux"]});
    b.call(&call.offer(&field.ng, &offer, words).sdp());
    let is_client = setup == "active";
    let listening = (!is_client).then(|| {
        let program = start(
            &field,
            &pem,
            &format!("s_server -accept {place} -use_srtp {profiles} -Verify 1"),
        );
        let netns = &field.site.hosts[0].netns;
        wait_for("s_server to listen", PATIENCE, || {
            netns.has_udp(4000).then_some(())
        });
        program
    });
    let answer = call.answer(&field.ng, &b.sdp(), json!({})).sdp();
    let mut program = listening.unwrap_or_else(|| {
        let relay = answer.rtp(0);
        start(
            &field,
            &pem,
            &format!("s_client -connect {relay} -bind {place} -use_srtp {profiles}"),
        )
    });
    let (suite, material) = told(&mut program);
    program.kill();
    let mut a: Phone = field.phone(0, Family::V4, 4000, 440.0).muxed();
    a.take_keys(suite, is_client, &material);
    (a.peer, a.peer_rtcp) = (Some(answer.rtp(0)), Some(answer.rtcp(0)));
    meet(&mut a, &mut b);
    Some(suite)
}

#[test]
fn a_client_with_any_certificate_and_any_profile_is_served() {
    for kind in [P256, RSA] {
        let suite = converses(kind, ALL, "active");
        assert_ne!(suite, Some(Suite::AesCm128Sha1_32), "there are better ones");
        let suite = converses(kind, WEAK, "active");
        assert!(suite.is_none_or(|suite| suite == Suite::AesCm128Sha1_32));
    }
}

#[test]
fn a_server_with_any_certificate_and_any_profile_is_called() {
    for kind in [P256, RSA] {
        let suite = converses(kind, ALL, "passive");
        assert_ne!(suite, Some(Suite::AesCm128Sha1_32), "there are better ones");
        let suite = converses(kind, WEAK, "passive");
        assert!(suite.is_none_or(|suite| suite == Suite::AesCm128Sha1_32));
    }
}

#[test]
fn a_certificate_that_was_not_announced_makes_no_keys() {
    let Some(mut field) = Field::ours(2, &[]) else {
        return;
    };
    if lacks(&["openssl"]) {
        return;
    }
    let [announced, shown] = ["announced", "shown"].map(|name| Pem::new(&field, name, P256));
    let place = (field.site.hosts[0].address(Family::V4), 4000).into();
    let offer = Sdp::audio(place)
        .replaced("RTP/AVP", "UDP/TLS/RTP/SAVP")
        .with("a=rtcp-mux\r\na=setup:active")
        .with(&announced.fingerprint());
    let b = field.phone(1, Family::V4, 4000, 1000.0);
    let call = NgCall::new("forged");
    let words = json!({"transport-protocol": "RTP/AVP", "rtcp-mux": ["demux"]});
    call.offer(&field.ng, &offer, words).sdp();
    let relay = call.answer(&field.ng, &b.sdp(), json!({})).sdp().rtp(0);
    let line = format!("s_client -connect {relay} -bind {place} -use_srtp {ALL}");
    let mut program = start(&field, &shown, &line);
    let failed = wait_for("the relay to refuse", PATIENCE, || {
        let metrics = field.relay.metrics(&field.site);
        let failed = metrics.count("patchcord_dtls_total", &["outcome=\"fingerprint\""]);
        (failed > 0).then_some(failed)
    });
    assert_eq!(failed, 1);
    program.kill();
    assert!(field.relay.program().is_running());
}
