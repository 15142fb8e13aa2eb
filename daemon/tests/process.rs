//! The real process: started as an operator does, spoken to on every listener, ended by signals.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the world outside the relay"
)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use patchcord_wire::ng::{self, Format};
use patchcord_wire::value::{Dict, Limits, Value};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, client};

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_call_flows_and_nothing_hostile_harms_it() {
    for backend in ["uring", "mmsg"] {
        let Some(relay) = Relay::start(&[&format!("--set=workers.backend={backend}")]) else {
            writeln!(
                std::io::stderr(),
                "SKIPPED: {backend} is not permitted here"
            )
            .expect("a stderr");
            continue;
        };
        relay.pings();
        let (a, b) = (phone(), phone());
        let (to_a, to_b) = relay.call("call", &a, &b);
        talk(&a, to_a, &b, to_b);
        relay.garbage();
        relay.pings();
        talk(&a, to_a, &b, to_b);
        assert_eq!(
            relay
                .ask(&delete("call"))
                .get("result")
                .and_then(Value::as_str),
            Some("ok")
        );
        let metrics = relay.get("/metrics");
        let line = "patchcord_ended_calls_total{reason=\"terminated\"} 1";
        assert!(metrics.contains(line), "{metrics}");
        relay.ends_well(Signal::SIGTERM);
    }
}

#[test]
fn a_repeated_request_is_executed_once_on_whatever_way_it_comes() {
    let relay = Relay::start(&[]).expect("starts");
    let (a, b) = (phone(), phone());
    let mut offer = Vec::from("the-cookie ");
    Format::Bencode.encode(&offer_of("once", &sdp(&a)), &mut offer);
    let first = relay.udp(&offer);
    assert_eq!(relay.udp(&offer), first);
    assert_eq!(relay.tcp(&offer, first.len()), first);
    assert_eq!(relay.post("/ng", &offer), first);
    let metrics = relay.get("/metrics");
    assert!(
        metrics.contains("patchcord_created_calls_total 1"),
        "{metrics}"
    );
    assert!(metrics.contains("patchcord_ng_repeated_requests_total{transport=\"http\"} 1"));
    drop(b);
    relay.ends_well(Signal::SIGINT);
}

#[test]
fn a_drained_relay_refuses_new_calls_and_keeps_the_old() {
    let relay = Relay::start(&["--set=process.exit-when-drained=true"]).expect("starts");
    let (a, b) = (phone(), phone());
    let (to_a, to_b) = relay.call("old", &a, &b);
    assert!(relay.get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(relay.get("/cli/drain").contains("1 left"));
    assert!(relay.get("/readyz").starts_with("HTTP/1.1 503"));
    assert!(relay.get("/healthz").starts_with("HTTP/1.1 200"));
    let body = sdp(&a);
    let offer = offer_to("new", &body).with("supports", vec![Value::str("load limit")]);
    let offer = Value::Dict(offer);
    let reply = relay.ask(&offer);
    assert_eq!(
        reply.get("result").and_then(Value::as_str),
        Some("load limit")
    );
    talk(&a, to_a, &b, to_b);
    relay.ask(&delete("old"));
    let status = relay.wait();
    assert_eq!(status.code(), Some(0), "exits once the last call has ended");
}

#[test]
fn a_hangup_reads_the_configuration_again() {
    let dir = Scratch::new("reload");
    let path = dir.path("patchcord.toml");
    let write = |text: &str| std::fs::write(&path, text).expect("written");
    write("interface = [\"127.0.0.1\"]\n[timeouts]\nmedia = 60\n");
    // Few ports, so that there are descriptors for an interface more under any limit.
    let config = format!("--config={}", path.display());
    let args = [&*config, "--port-min=41000", "--port-max=41999"];
    let relay = Relay::start_with(&args).expect("starts");
    assert!(relay.get("/cli/list+timeout").contains("TIMEOUT=60"));
    write("interface = [\"127.0.0.1\"]\n[timeouts]\nmedia = 77\n[workers]\nconnect = false\n");
    relay.signal(Signal::SIGHUP);
    relay.until("/cli/list+timeout", "TIMEOUT=77");
    let report = relay.get("/cli/reload");
    assert!(
        report.contains("needs a restart: workers.connect"),
        "{report}"
    );
    write("[timeouts]\nmedia = 99\nmdeia = 1\n");
    let report = relay.get("/cli/reload");
    assert!(
        report.contains("patchcord.toml:3: unknown field `mdeia`"),
        "{report}"
    );
    assert!(report.contains("did you mean `media`?"), "{report}");
    assert!(
        relay.get("/cli/list+timeout").contains("TIMEOUT=77"),
        "nothing was taken over"
    );
    write("interface = [\"127.0.0.1\", \"more/127.0.0.2\"]\n");
    let report = relay.get("/cli/reload");
    assert!(
        report.contains("interfaces added: more/127.0.0.2"),
        "{report}"
    );
    assert!(
        relay
            .get("/cli/list+interfaces")
            .contains("more: 127.0.0.2")
    );
    let phone = phone();
    let body = sdp(&phone);
    let offer =
        offer_to("added", &body).with("direction", vec![Value::str("default"), Value::str("more")]);
    let reply = relay.ask(&Value::Dict(offer));
    let body = reply
        .get("sdp")
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{reply:?}"));
    assert!(body.contains("c=IN IP4 127.0.0.2"), "{body}");
    write("interface = [\"more/127.0.0.2\"]\n");
    let report = relay.get("/cli/reload");
    assert!(report.contains("needs a restart: interface"), "{report}");
    relay.ends_well(Signal::SIGTERM);
}

#[test]
fn the_pidfile_lives_as_long_as_the_process() {
    let dir = Scratch::new("pidfile");
    let path = dir.path("pid");
    let relay = Relay::start(&[&format!("--pidfile={}", path.display())]).expect("starts");
    let written = std::fs::read_to_string(&path).expect("there");
    assert_eq!(written.trim(), relay.child.id().to_string());
    relay.ends_well(Signal::SIGTERM);
    assert!(!path.exists());
}

#[test]
fn systemd_is_told_of_start_turns_and_end() {
    let dir = Scratch::new("notify");
    let path = dir.path("socket");
    let socket = UnixDatagram::bind(&path).expect("bound");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut environment = vec![("NOTIFY_SOCKET", path.display().to_string())];
    environment.push(("WATCHDOG_USEC", "600000".to_owned()));
    let relay = Relay::start_in(&["--config-file=none"], &environment).expect("starts");
    let hear = || {
        let mut buffer = [0; 4_096];
        let len = socket.recv(&mut buffer).expect("a word before the timeout");
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    };
    assert!(hear().contains("READY=1"));
    let mut heard = String::new();
    while heard.matches("WATCHDOG=1").count() < 2 || !heard.contains("STATUS=0 calls") {
        heard += &hear();
    }
    relay.signal(Signal::SIGHUP);
    let mut heard = String::new();
    while !heard.contains("READY=1") {
        heard += &hear();
    }
    assert!(
        heard.contains("RELOADING=1") && heard.contains("MONOTONIC_USEC="),
        "{heard}"
    );
    relay.ends_well(Signal::SIGTERM);
    let mut heard = String::new();
    while !heard.contains("STOPPING=1") {
        heard += &hear();
    }
}

#[test]
fn a_configuration_is_checked_without_starting() {
    let dir = Scratch::new("check");
    let path = dir.path("bad.toml");
    std::fs::write(&path, "[ports]\nmin = 9\nmaks = 8\n").expect("written");
    let check = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_patchcord"))
            .args(args)
            .output();
        let output = output.expect("runs");
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8(text).expect("UTF-8"),
        )
    };
    let config = format!("--config={}", path.display());
    let (code, text) = check(&["--check-config", &config]);
    assert_eq!(code, Some(1));
    assert!(text.contains("bad.toml:3: unknown field `maks`"), "{text}");
    let (code, text) = check(&[
        "--check-config",
        "--config-file=none",
        "--recording-dir=/tmp",
    ]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("--recording-dir has no effect"), "{text}");
    assert_eq!(
        check(&["--version"]).1.trim(),
        concat!("patchcord ", env!("CARGO_PKG_VERSION"))
    );
    let (code, sample) = check(&["--print-sample"]);
    assert_eq!((code, sample.contains("[timeouts]")), (Some(0), true));
}

#[test]
fn a_listener_that_was_asked_for_and_is_taken_ends_the_start() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let addr = taken.local_addr().expect("bound");
    let output = Command::new(env!("CARGO_BIN_EXE_patchcord"))
        .args([
            "--config-file=none",
            "--listen-ng=127.0.0.1:0",
            "--log-stderr",
        ])
        .arg(format!("--listen-http={addr}"))
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(
        text.contains(&format!("listen.http: cannot listen on {addr}")),
        "{text}"
    );
}

/// A running relay with listeners of its own.
struct Relay {
    child: Child,
    ng: SocketAddr,
    tcp: SocketAddr,
    http: SocketAddr,
}

impl Relay {
    /// Starts one without a file; `None` if the machine forbids what it was told to use.
    fn start(args: &[&str]) -> Option<Self> {
        Self::start_with(&[&["--config-file=none"], args].concat())
    }

    fn start_with(args: &[&str]) -> Option<Self> {
        Self::start_in(args, &[])
    }

    fn start_in(args: &[&str], environment: &[(&str, String)]) -> Option<Self> {
        let (ng, tcp, http) = (free_udp(), free_tcp(), free_tcp());
        let mut child = Command::new(env!("CARGO_BIN_EXE_patchcord"))
            .args([
                format!("--listen-ng={ng}"),
                format!("--listen-tcp-ng={tcp}"),
            ])
            .args([format!("--listen-http={http}"), "--log-stderr".to_owned()])
            .args(["--num-threads=1", "--log-level=5", "--delete-delay=0"])
            .args(["--set=workers.pin=false"])
            .args(args)
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(http).is_err() {
            if child.try_wait().expect("a child").is_some() {
                let mut text = String::new();
                let mut stderr = child.stderr.take().expect("piped");
                stderr.read_to_string(&mut text).expect("UTF-8");
                assert!(text.contains("io_uring"), "{text}");
                return None;
            }
            assert!(Instant::now() < deadline, "does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self {
            child,
            ng,
            tcp,
            http,
        })
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        kill(pid, signal).expect("it runs");
    }

    /// Ends it by `signal`: with status 0, within 2 s, without a panic on the way.
    fn ends_well(mut self, signal: Signal) {
        let asked = Instant::now();
        self.signal(signal);
        let mut text = String::new();
        let mut stderr = self.child.stderr.take().expect("piped");
        stderr.read_to_string(&mut text).expect("UTF-8");
        let status = self.wait();
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "took {:?}",
            asked.elapsed()
        );
        assert_eq!(status.code(), Some(0), "{text}");
        assert!(!text.contains("panicked"), "{text}");
    }

    fn wait(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn udp(&self, message: &[u8]) -> Vec<u8> {
        let socket = phone();
        socket.send_to(message, self.ng).expect("sent");
        let mut buffer = vec![0; 65_536];
        let (len, from) = socket.recv_from(&mut buffer).expect("a reply");
        assert_eq!(from, self.ng);
        buffer.truncate(len);
        buffer
    }

    fn tcp(&self, message: &[u8], len: usize) -> Vec<u8> {
        let mut stream = connect(self.tcp);
        stream.write_all(message).expect("sent");
        let mut reply = vec![0; len];
        stream.read_exact(&mut reply).expect("a reply");
        reply
    }

    fn post(&self, path: &str, body: &[u8]) -> Vec<u8> {
        let response = self.http("POST", path, body);
        let end = response
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("a head");
        response[end + 4..].to_vec()
    }

    fn get(&self, path: &str) -> String {
        String::from_utf8(self.http("GET", path, b"")).expect("text")
    }

    fn http(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let mut stream = connect(self.http);
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(body).expect("sent");
        let mut response = Vec::new();
        stream.read_to_end(&mut response).expect("a response");
        response
    }

    fn until(&self, path: &str, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.get(path);
            if shown.contains(wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "{path} shows {shown}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ask(&self, request: &Value<'_>) -> Value<'static> {
        let mut message = Vec::from(format!("{:?} ", Instant::now()).replace(' ', "").as_bytes());
        message.push(b' ');
        Format::Bencode.encode(request, &mut message);
        let reply = self.udp(&message);
        let (_, payload) = ng::split(&reply).expect("a cookie");
        ng::parse_plain(payload, Limits::REPLY)
            .expect("a dictionary")
            .1
            .into_owned()
    }

    /// Every listener answers, in both encodings.
    fn pings(&self) {
        for (request, reply) in [
            ("d7:command4:pinge", "d6:result4:ponge"),
            ("{\"command\":\"ping\"}", "{\"result\":\"pong\"}"),
        ] {
            let with_cookie = (
                format!("c-{} {request}", request.len()),
                format!("c-{} {reply}", request.len()),
            );
            let (request, reply) = (request.as_bytes(), reply.as_bytes());
            let (unit, answer) = (with_cookie.0.as_bytes(), with_cookie.1.as_bytes());
            assert_eq!(self.udp(unit), answer);
            assert_eq!(self.tcp(unit, answer.len()), answer);
            assert_eq!(self.post("/ng", unit), answer);
            assert_eq!(self.post("/ng-plain", request), reply);
            assert_eq!(self.websocket("ng.rtpengine.com", unit), answer);
            assert_eq!(self.websocket("ng-plain.rtpengine.com", request), reply);
        }
    }

    fn websocket(&self, protocol: &str, message: &[u8]) -> Vec<u8> {
        let mut request = format!("ws://{}/", self.http)
            .into_client_request()
            .expect("a URI");
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", protocol.parse().expect("a token"));
        let (mut socket, _) = client(request, connect(self.http)).expect("upgrades");
        socket
            .send(Message::binary(message.to_vec()))
            .expect("sent");
        socket.read().expect("a reply").into_data().to_vec()
    }

    /// Sends every listener what it must survive.
    fn garbage(&self) {
        let socket = phone();
        let deep = [&b"c "[..], &vec![b'l'; 60_000]].concat();
        let many = [&b"c d"[..], &b"1:a".repeat(20_000)].concat();
        let hostile: [&[u8]; 8] = [
            b"",
            b"no-cookie",
            b"c ",
            b"c d99999999999999999999:",
            b"c {\"a\":",
            &deep,
            &many,
            &vec![0xff; 60_000],
        ];
        for bytes in hostile {
            socket.send_to(bytes, self.ng).expect("sent");
            for addr in [self.tcp, self.http] {
                let mut stream = connect(addr);
                // Either end may close first.
                let _refused = stream.write_all(bytes);
                let _closed = stream.shutdown(std::net::Shutdown::Write);
            }
            self.post("/ng", bytes);
            self.post("/ng-plain", bytes);
            self.post("/cli", bytes);
        }
    }

    /// Sets a call up and returns where each phone has to send.
    fn call(&self, id: &str, a: &UdpSocket, b: &UdpSocket) -> (SocketAddr, SocketAddr) {
        let offered = self.ask(&offer_of(id, &sdp(a)));
        let to_b = media_port(&offered);
        let body = sdp(b);
        let answer = Value::Dict(
            Dict::new()
                .with("command", Value::str("answer"))
                .with("call-id", Value::str(id))
                .with("from-tag", Value::str("from"))
                .with("to-tag", Value::str("to"))
                .with("sdp", Value::str(&body)),
        );
        (media_port(&self.ask(&answer)), to_b)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Ended already, or its test failed.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Both phones speak until both have heard the other.
fn talk(a: &UdpSocket, from_a: SocketAddr, b: &UdpSocket, from_b: SocketAddr) {
    let (mut a_heard, mut b_heard) = (0, 0);
    let deadline = Instant::now() + PATIENCE;
    let mut sequence = 0_u16;
    for phone in [a, b] {
        phone
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a timeout");
    }
    while a_heard < 5 || b_heard < 5 {
        assert!(
            Instant::now() < deadline,
            "a heard {a_heard}, b heard {b_heard}"
        );
        sequence += 1;
        a.send_to(&rtp(sequence, b'a'), from_a).expect("sent");
        b.send_to(&rtp(sequence, b'b'), from_b).expect("sent");
        a_heard += hear(a, b'b');
        b_heard += hear(b, b'a');
    }
}

fn hear(phone: &UdpSocket, voice: u8) -> u32 {
    let mut buffer = [0; 2_048];
    let Ok(len) = phone.recv(&mut buffer) else {
        return 0;
    };
    assert_eq!(len, 172);
    assert!(
        buffer[12..len].iter().all(|byte| *byte == voice),
        "another's voice"
    );
    1
}

fn rtp(sequence: u16, voice: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(u32::from(voice).to_be_bytes());
    packet.extend([voice; 160]);
    packet
}

fn phone() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket
}

fn sdp(phone: &UdpSocket) -> String {
    let port = phone.local_addr().expect("bound").port();
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    )
}

fn offer_of(id: &str, body: &str) -> Value<'static> {
    Value::Dict(offer_to(id, body)).into_owned()
}

fn offer_to<'a>(id: &'a str, body: &'a str) -> Dict<'a> {
    Dict::new()
        .with("command", Value::str("offer"))
        .with("call-id", Value::str(id))
        .with("from-tag", Value::str("from"))
        .with("sdp", Value::str(body))
}

fn delete(id: &str) -> Value<'_> {
    Value::Dict(
        Dict::new()
            .with("command", Value::str("delete"))
            .with("call-id", Value::str(id))
            .with("from-tag", Value::str("from")),
    )
}

fn media_port(reply: &Value<'_>) -> SocketAddr {
    let body = reply
        .get("sdp")
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("{reply:?}"));
    let line = body
        .lines()
        .find_map(|line| line.strip_prefix("m=audio "))
        .expect("audio");
    let port = line
        .split(' ')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn free_udp() -> SocketAddr {
    phone().local_addr().expect("bound")
}

fn free_tcp() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("bound")
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// A directory that goes with its test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("patchcord-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.0);
    }
}
