//! Against the real relay: `PATCHCORD_BIN`, or `patchcord` beside `patchctl`; skipped aloud without it.

use std::env;
use std::io::Write;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::tool::{patchctl, patchctl_with};

/// A running relay on loopback, ended when dropped.
struct Daemon {
    child: Child,
    udp: String,
    tcp: String,
    http: String,
}

impl Daemon {
    /// `None` if there is no binary to start.
    fn start() -> Option<Self> {
        let Some(binary) = binary() else {
            let skipped = "SKIPPED: patchctl against the real relay, which is not built (cargo build --bins)\n";
            drop(std::io::stderr().write_all(skipped.as_bytes()));
            return None;
        };
        let (ng, http) = (free_port(), free_port());
        let child = Command::new(binary)
            .args(["--set", &format!("listen.ng=127.0.0.1:{ng}")])
            .args(["--set", &format!("listen.ng-tcp=127.0.0.1:{ng}")])
            .args(["--set", &format!("listen.http=127.0.0.1:{http}")])
            .args(["--set", "workers.count=1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is a program");
        let daemon = Self {
            child,
            udp: format!("udp:127.0.0.1:{ng}"),
            tcp: format!("tcp:127.0.0.1:{ng}"),
            http: format!("http://127.0.0.1:{http}"),
        };
        let start = Instant::now();
        while patchctl(&daemon.udp, &["--timeout", "1", "ping"]).0 != 0 {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "the relay does not start"
            );
            thread::sleep(Duration::from_millis(50));
        }
        Some(daemon)
    }

    fn run(&self, words: &[&str]) -> (i32, String, String) {
        patchctl(&self.udp, words)
    }

    /// A program's answer to what has to succeed.
    fn json(&self, words: &[&str]) -> serde_json::Value {
        let words = [&["--json"], words].concat();
        let (code, out, err) = self.run(&words);
        assert_eq!(code, 0, "{words:?}: {err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{words:?}: {error}: {out}"))
    }

    /// Offers or answers on behalf of a phone and gives the port for its peer.
    fn negotiate(&self, words: &[&str], phone: &UdpSocket) -> u16 {
        let port = phone.local_addr().expect("it is bound").port();
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP 8\r\n"
        );
        let words = [words, &["--from-tag", "alice", "-", "strict-source"]].concat();
        let (code, out, err) = patchctl_with(&self.udp, &words, sdp.as_bytes());
        assert_eq!(code, 0, "{err}");
        let port = out
            .lines()
            .find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next());
        port.and_then(|port| port.parse().ok())
            .unwrap_or_else(|| panic!("no port in {out}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn binary() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_BIN_EXE_patchctl")).with_file_name("patchcord");
    let named = env::var_os("PATCHCORD_BIN").map(PathBuf::from);
    named.or_else(|| beside.exists().then_some(beside))
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    socket.local_addr().expect("it is bound").port()
}

fn phone() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port")
}

/// Twenty packets of PCMA, 5 ms apart.
fn talk(from: &UdpSocket, to: u16) {
    for seq in 0..20_u8 {
        let mut packet = vec![0x80, 8, 0, seq, 0, 0, seq, 0, 0, 0, 0, 7];
        packet.extend([0xd5; 160]);
        from.send_to(&packet, ("127.0.0.1", to))
            .expect("loopback takes it");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_call_is_placed_watched_and_ended() {
    let Some(daemon) = Daemon::start() else {
        return;
    };
    let (alice, bob, stranger) = (phone(), phone(), phone());
    let to_bob = daemon.negotiate(&["offer", "--call-id", "c1"], &alice);
    let to_alice = daemon.negotiate(&["answer", "--call-id", "c1", "--to-tag", "bob"], &bob);
    talk(&alice, to_alice);
    talk(&stranger, to_alice);
    thread::sleep(Duration::from_secs(2));

    let calls = daemon.json(&["calls", "c1"]);
    assert_eq!(
        (&calls["calls"][0]["call_id"], &calls["calls"][0]["state"]),
        (&"c1".into(), &"answered".into())
    );
    let (code, out, err) = daemon.run(&["call", "c1"]);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("alice ↔ bob") && out.contains("latched"),
        "{out}"
    );
    assert!(
        out.contains(&format!("do not reach 127.0.0.1:{to_bob}")),
        "{out}"
    );
    assert!(!out.contains("Media flows both ways"), "{out}");

    assert_eq!(daemon.run(&["terminate", "c1"]).0, 0);
    assert_eq!(daemon.run(&["call", "c1"]).0, 1);
    assert_eq!(daemon.run(&["calls"]).1, "No calls.\n");
}

#[test]
fn every_transport_and_every_question_is_answered() {
    let Some(daemon) = Daemon::start() else {
        return;
    };
    for place in [&daemon.udp, &daemon.tcp, &daemon.http] {
        let (code, out, err) = patchctl(place, &["status"]);
        assert_eq!(code, 0, "{place}: {err}");
        assert!(
            out.starts_with("patchcord ") && out.contains("workers"),
            "{out}"
        );
    }
    assert_eq!(
        daemon.json(&["interfaces"])["interfaces"][0]["address"],
        "127.0.0.1"
    );
    assert!(daemon.json(&["statistics"])["statistics"].is_object());
    assert_eq!(daemon.json(&["version"])["relay"]["name"], "patchcord");
    assert_eq!(daemon.run(&["reload"]).0, 0);
}

#[test]
fn parameters_that_were_set_are_read_back() {
    let Some(daemon) = Daemon::start() else {
        return;
    };
    for (name, value) in [
        ("timeout", 77),
        ("silent-timeout", 78),
        ("offer-timeout", 79),
        ("final-timeout", 80),
        ("delete-delay", 3),
        ("max-sessions", 5),
        ("tos", 184),
        ("log-level", 4),
    ] {
        assert_eq!(
            daemon.run(&["set", name, &value.to_string()]).0,
            0,
            "{name}"
        );
        assert_eq!(daemon.json(&["get", name])[name], value, "{name}");
    }
}

#[test]
fn a_draining_relay_refuses_new_calls_until_it_is_told_otherwise() {
    let Some(daemon) = Daemon::start() else {
        return;
    };
    assert_eq!(daemon.json(&["drain"])["calls"], 0);
    let offer = ["offer", "--call-id", "c", "--from-tag", "f", "-"];
    let sdp = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4 RTP/AVP 8\r\n";
    assert_eq!(patchctl_with(&daemon.udp, &offer, sdp).0, 1);
    assert_eq!(daemon.run(&["drain", "--off"]).0, 0);
    assert_eq!(patchctl_with(&daemon.udp, &offer, sdp).0, 0);
}
