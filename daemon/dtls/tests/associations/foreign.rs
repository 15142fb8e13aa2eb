//! OpenSSL's own programs as peers, over loopback UDP: `s_server` and `s_client`.
#![expect(
    clippy::disallowed_methods,
    reason = "a foreign program lives in real time"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use patchcord_contract::Time;
use patchcord_dtls::{Kind, Options, Profile, Role, State, fingerprint};
use patchcord_wire::sdp::{Fingerprint, HashName};

use crate::pair::{Side, options};

/// A key, a certificate, and a folder that goes with them.
struct Pem {
    folder: PathBuf,
}

impl Pem {
    fn new(key: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("patchcord-dtls-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let pem = Self { folder };
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-nodes",
                "-days",
                "3",
                "-subj",
                "/CN=foreign",
            ])
            .arg("-newkey")
            .args(key)
            .args([
                "-keyout",
                &pem.path("key.pem"),
                "-out",
                &pem.path("cert.pem"),
            ])
            .stderr(Stdio::null())
            .status()
            .expect("Debian's openssl");
        assert!(made.success());
        pem
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// As another program computes it.
    fn fingerprint(&self) -> Fingerprint {
        let der = Command::new("openssl")
            .args(["x509", "-in", &self.path("cert.pem"), "-outform", "der"])
            .output()
            .expect("Debian's openssl");
        let shown = Command::new("openssl")
            .args(["x509", "-in", &self.path("cert.pem"), "-noout"])
            .args(["-fingerprint", "-sha256"])
            .output()
            .expect("Debian's openssl");
        let text = String::from_utf8_lossy(&shown.stdout);
        let hex = text.trim().split_once('=').expect("a fingerprint").1;
        let digest: Vec<u8> = hex
            .split(':')
            .map(|pair| u8::from_str_radix(pair, 16).expect("hex"))
            .collect();
        let theirs = Fingerprint::new(HashName::Sha256, &digest).expect("its length");
        assert_eq!(theirs, fingerprint(HashName::Sha256, &der.stdout));
        theirs
    }
}

impl Drop for Pem {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

/// A program, killed at the end, and the lines that it writes.
struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    fn new(pem: &Pem, args: &[String]) -> Self {
        let mut child = Command::new("stdbuf")
            .args(["-oL", "openssl"])
            .args(args)
            .args(["-dtls1_2", "-keymatexport", "EXTRACTOR-dtls_srtp"])
            .args(["-cert", &pem.path("cert.pem"), "-key", &pem.path("key.pem")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Debian's openssl");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    /// What the program exported, in hexadecimal digits.
    fn material(&self) -> String {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).expect("its material");
            if let Some((_, hex)) = line.split_once("Keying material: ") {
                break hex.trim().to_owned();
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// Runs the side on the socket until it is connected.
fn connect(side: &mut Side, socket: &UdpSocket, start: Instant) {
    let now = || Time(start.elapsed().as_nanos() as u64);
    socket
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("a timeout");
    side.association.start(now());
    let mut buffer = [0; 2048];
    while !matches!(side.state(), State::Connected { .. }) {
        assert!(
            start.elapsed() < Duration::from_secs(25),
            "{:?}",
            side.association.status()
        );
        for datagram in side.drain() {
            // The program may not listen yet.
            let _refused = socket.send(&datagram);
        }
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => {
                socket.connect(from).expect("a peer");
                side.association.datagram(now(), &buffer[..len]);
            }
            Err(_) => side.association.timeout(now()),
        }
    }
    for datagram in side.drain() {
        socket.send(&datagram).expect("sent");
    }
}

/// Our keys in the order of the exporter.
fn exported(side: &Side, role: Role) -> String {
    let keys = side.keys.as_ref().expect("keys");
    let (client, server) = match role {
        Role::Client => (&keys.send, &keys.receive),
        Role::Server => (&keys.receive, &keys.send),
    };
    [
        client.master_key(),
        server.master_key(),
        client.master_salt(),
        server.master_salt(),
    ]
    .concat()
    .iter()
    .fold(String::new(), |hex, byte| hex + &format!("{byte:02X}"))
}

const P256: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const RSA: &[&str] = &["rsa:2048"];

fn as_client(kind: Kind, key: &[&str], srtp: &str, profile: Profile) {
    let pem = Pem::new(key);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    // A port that is free now: the program must bind it itself.
    let port = UdpSocket::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a port")
        .port();
    let len = profile.material_len();
    let args = format!(
        "s_server -accept 127.0.0.1:{port} -use_srtp {srtp} -keymatexportlen {len} -Verify 1 -quiet"
    );
    let args: Vec<_> = args
        .replace(" -quiet", "")
        .split(' ')
        .map(str::to_owned)
        .collect();
    let program = Program::new(&pem, &args);
    socket.connect(("127.0.0.1", port)).expect("a peer");
    let mut side = Side::new(options(Role::Client, kind), &[pem.fingerprint()]);
    connect(&mut side, &socket, Instant::now());
    assert_eq!(side.association.status().backend, Some(kind));
    assert!(matches!(side.state(), State::Connected { profile: p, .. } if *p == profile));
    assert_eq!(program.material(), exported(&side, Role::Client));
}

fn as_server(kind: Kind, key: &[&str], srtp: &str, profile: Profile) {
    let pem = Pem::new(key);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = socket.local_addr().expect("bound").port();
    let len = profile.material_len();
    let args =
        format!("s_client -connect 127.0.0.1:{port} -use_srtp {srtp} -keymatexportlen {len}");
    let args: Vec<_> = args.split(' ').map(str::to_owned).collect();
    let ours = Options {
        trusted_path: kind == Kind::Dimpl,
        ..options(Role::Server, kind)
    };
    let print = pem.fingerprint();
    let program = Program::new(&pem, &args);
    let mut side = Side::new(ours, &[print]);
    connect(&mut side, &socket, Instant::now());
    assert_eq!(side.association.status().backend, Some(kind));
    assert!(matches!(side.state(), State::Connected { profile: p, .. } if *p == profile));
    assert_eq!(program.material(), exported(&side, Role::Server));
}

#[test]
fn s_server_and_dimpl_export_the_same() {
    as_client(
        Kind::Dimpl,
        P256,
        "SRTP_AES128_CM_SHA1_80",
        Profile::Aes128Sha1_80,
    );
}

#[test]
fn s_client_and_dimpl_export_the_same() {
    as_server(
        Kind::Dimpl,
        P256,
        "SRTP_AEAD_AES_128_GCM",
        Profile::Aes128Gcm,
    );
}

#[test]
fn s_server_with_rsa_and_sha1_32_is_served() {
    as_client(
        Kind::OpenSsl,
        RSA,
        "SRTP_AES128_CM_SHA1_32",
        Profile::Aes128Sha1_32,
    );
}

#[test]
fn s_client_with_rsa_and_sha1_32_is_served() {
    as_server(
        Kind::OpenSsl,
        RSA,
        "SRTP_AES128_CM_SHA1_32",
        Profile::Aes128Sha1_32,
    );
}

#[test]
fn s_client_hears_our_goodbye() {
    let pem = Pem::new(P256);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = socket.local_addr().expect("bound").port();
    let args = format!("s_client -connect 127.0.0.1:{port} -use_srtp SRTP_AEAD_AES_256_GCM");
    let args: Vec<_> = args.split(' ').map(str::to_owned).collect();
    let print = pem.fingerprint();
    let mut program = Program::new(&pem, &args);
    let mut side = Side::new(options(Role::Server, Kind::OpenSsl), &[print]);
    let start = Instant::now();
    connect(&mut side, &socket, start);
    side.association
        .close(Time(start.elapsed().as_nanos() as u64));
    for datagram in side.drain() {
        socket.send(&datagram).expect("sent");
    }
    let until = Instant::now() + Duration::from_secs(20);
    while program.child.try_wait().expect("a child").is_none() {
        assert!(Instant::now() < until, "it ends at a close_notify");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Its input stayed open, so that is not why it ended.
    let open = program.child.stdin.as_mut().map(Write::flush);
    assert!(open.is_some());
}
