//! The edges against a control loop that only echoes.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, client};

use super::*;
use crate::metrics::Relay;
use crate::ng::{Answer, Ask};

const BODY: usize = 10_000;

#[test]
fn ng_by_post_keeps_its_cookie_and_its_type() {
    let edges = Edges::start(8);
    let (head, body) = edges.http("POST", "/ng", b"c1 d7:command4:pinge");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(
        head.contains("content-type: application/x-rtpengine-ng"),
        "{head}"
    );
    assert_eq!(body, b"c1 d7:command4:pinge");
    let (head, body) = edges.http("POST", "/ng-plain", b"{\"command\":\"ping\"}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!(body, b"{\"command\":\"ping\"}");
    let (head, _) = edges.http("POST", "/ng-plain", b"d7:command4:pinge");
    assert!(
        head.contains("content-type: application/x-rtpengine-ng"),
        "{head}"
    );
}

#[test]
fn a_message_without_a_cookie_is_a_bad_request() {
    let edges = Edges::start(8);
    let (head, _) = edges.http("POST", "/ng", b"nospace");
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
}

#[test]
fn a_body_above_the_limit_is_refused() {
    let edges = Edges::start(8);
    let (head, _) = edges.http("POST", "/ng", &[b'x'; BODY + 1]);
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
    let (head, _) = edges.http("POST", "/ng", &[b' '; BODY]);
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
}

#[test]
fn helpers_and_command_lines_are_served() {
    let edges = Edges::start(8);
    assert_eq!(edges.http("GET", "/ping", b"").1, b"pong\n");
    assert_eq!(edges.http("GET", "/cli/list+totals", b"").1, b"list totals");
    assert_eq!(edges.http("GET", "/cli/call%20a%2Bb", b"").1, b"call a b");
    assert_eq!(edges.http("POST", "/cli", b"list totals").1, b"list totals");
    assert_eq!(edges.http("GET", "/cli", b"").1, b"usage");
    let (head, body) = edges.http("GET", "/metrics", b"");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    assert!(
        String::from_utf8(body)
            .expect("text")
            .contains("patchcord_build_info{")
    );
    assert!(
        edges
            .http("OPTIONS", "/ng", b"")
            .0
            .starts_with("HTTP/1.1 204")
    );
    assert!(
        edges
            .http("GET", "/nothing", b"")
            .0
            .starts_with("HTTP/1.1 404")
    );
}

#[test]
fn readiness_follows_the_state() {
    let edges = Edges::start(8);
    assert!(
        edges
            .http("GET", "/healthz", b"")
            .0
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        edges
            .http("GET", "/readyz", b"")
            .0
            .starts_with("HTTP/1.1 503")
    );
    edges.figures.set_state(true, false);
    assert!(
        edges
            .http("GET", "/readyz", b"")
            .0
            .starts_with("HTTP/1.1 200")
    );
    edges.figures.set_state(true, true);
    let (head, body) = edges.http("GET", "/readyz", b"");
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert_eq!(body, b"draining\n");
}

#[test]
fn a_control_loop_that_hangs_times_out() {
    let edges = Edges::start(8);
    edges.deaf.store(true, Ordering::SeqCst);
    let (head, _) = edges.http("GET", "/healthz", b"");
    assert!(head.starts_with("HTTP/1.1 408"), "{head}");
    // What needs no control loop is served all the same.
    assert_eq!(edges.http("GET", "/ping", b"").1, b"pong\n");
}

#[test]
fn units_come_back_to_back_and_in_pieces() {
    let edges = Edges::start(8);
    let mut stream = Edges::connect(edges.ng);
    stream
        .write_all(b"1 d7:command4:pinge2 {\"command\":\"ping\"}3 d7:com")
        .expect("sent");
    assert_eq!(
        read(&mut stream, 38),
        b"1 d7:command4:pinge2 {\"command\":\"ping\"}"[..38]
    );
    stream.write_all(b"mand4:pinge").expect("sent");
    assert_eq!(read(&mut stream, 1 + 19), b"}3 d7:command4:pinge");
}

#[test]
fn bytes_that_never_become_a_unit_close_the_connection() {
    let edges = Edges::start(8);
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &vec![b'a'; 70_000], b"c x"] {
        let mut stream = Edges::connect(edges.ng);
        // The other end may close before everything is written.
        let _closed = stream.write_all(garbage);
        let mut rest = Vec::new();
        match stream.read_to_end(&mut rest) {
            Ok(_) => assert_eq!(rest, b""),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    // Others are not harmed.
    assert_eq!(edges.http("GET", "/ping", b"").1, b"pong\n");
}

#[test]
fn a_command_line_gets_its_answer_and_the_end() {
    let edges = Edges::start(8);
    let mut stream = Edges::connect(edges.cli);
    stream.write_all(b"list totals\n").expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("closed");
    assert_eq!(answer, b"list totals");
}

#[test]
fn websockets_speak_the_subprotocol_they_chose() {
    let edges = Edges::start(8);
    for (protocol, message, path) in [
        ("ng.rtpengine.com", &b"c d7:command4:pinge"[..], "/"),
        ("ng-plain.rtpengine.com", b"{\"command\":\"ping\"}", "/ng"),
        ("cli.rtpengine.com", b"list totals", "/anything"),
        ("echo.rtpengine.com", b"echo", "/"),
    ] {
        let mut socket = edges.websocket(path, protocol).expect("upgrades");
        let text = String::from_utf8(message.to_vec()).expect("ASCII");
        for sent in [
            Message::text(text.clone()),
            Message::binary(message.to_vec()),
        ] {
            socket.send(sent.clone()).expect("sent");
            assert_eq!(socket.read().expect("a reply"), sent, "{protocol}");
        }
    }
    assert!(edges.websocket("/", "janus-protocol").is_err());
}

#[test]
fn connections_above_the_limit_wait_for_a_place() {
    let edges = Edges::start(2);
    let first = Edges::connect(edges.ng);
    let second = Edges::connect(edges.ng);
    let mut third = Edges::connect(edges.ng);
    third
        .write_all(b"1 d7:command4:pinge")
        .expect("the kernel takes it");
    third
        .set_read_timeout(Some(Duration::from_millis(300)))
        .expect("a timeout");
    assert!(third.read(&mut [0; 64]).is_err(), "served above the limit");
    drop(first);
    third
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a timeout");
    assert_eq!(read(&mut third, 19), b"1 d7:command4:pinge");
    drop(second);
}

/// What a server has to say to one that trickles `bytes` until it is cut off; how long that took.
#[expect(
    clippy::disallowed_methods,
    reason = "a client's patience is measured on a clock of its own"
)]
fn trickle(to: SocketAddr, bytes: &[u8]) -> (Vec<u8>, Duration) {
    let mut stream = Edges::connect(to);
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("a timeout");
    let (start, mut said, mut bytes) = (Instant::now(), Vec::new(), bytes.iter());
    loop {
        let sent = bytes.next().map(|byte| stream.write_all(&[*byte]));
        assert!(start.elapsed() < Duration::from_secs(5), "never cut off");
        let mut buffer = [0; 1_024];
        match stream.read(&mut buffer) {
            Ok(0) => return (said, start.elapsed()),
            Ok(len) => said.extend_from_slice(&buffer[..len]),
            Err(e) if e.kind() == ErrorKind::WouldBlock && matches!(sent, None | Some(Ok(()))) => {}
            Err(_) => return (said, start.elapsed()),
        }
    }
}

#[test]
fn one_that_is_too_slow_to_ask_is_cut_off() {
    let edges = Edges::patient(1, Duration::from_millis(200), None);
    let head = b"GET /ping HTTP/1.1\r\nHost: a-very-long-name-that-takes-its-time\r\n\r\n";
    for (to, bytes) in [
        (
            edges.ng,
            &b"cookie d7:command4:ping7:comment20:with-a-long-tail-----e"[..],
        ),
        (edges.http, head),
    ] {
        let (said, took) = trickle(to, bytes);
        assert_eq!(said, b"", "nothing was asked");
        assert!(took >= Duration::from_millis(350), "{took:?}: not at once");
        assert!(took < Duration::from_secs(2), "{took:?}: nor for long");
        // Its place, the only one, is free again.
    }
    assert!(
        edges
            .http("GET", "/ping", b"")
            .0
            .starts_with("HTTP/1.1 200")
    );
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a client's patience is measured on a clock of its own"
)]
fn one_that_asks_nothing_is_cut_off_and_one_that_asks_stays() {
    let idle = Duration::from_millis(400);
    let edges = Edges::patient(2, Duration::from_secs(1), Some(idle));
    let mut busy = Edges::connect(edges.ng);
    for to in [edges.ng, edges.http] {
        let mut lazy = Edges::connect(to);
        let start = Instant::now();
        while start.elapsed() < 3 * idle {
            busy.write_all(b"1 d7:command4:pinge\r\n")
                .expect("still there");
            assert_eq!(read(&mut busy, 19), b"1 d7:command4:pinge");
            std::thread::sleep(idle / 4);
        }
        lazy.set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a timeout");
        assert!(
            matches!(lazy.read(&mut [0; 16]), Ok(0)),
            "who asks nothing is still there"
        );
    }
}

struct Edges {
    running: Option<Running>,
    http: SocketAddr,
    ng: SocketAddr,
    cli: SocketAddr,
    figures: Arc<Figures>,
    deaf: Arc<AtomicBool>,
    end: Arc<AtomicBool>,
}

impl Edges {
    fn start(connections: usize) -> Self {
        Self::patient(connections, Duration::from_secs(1), None)
    }

    fn patient(connections: usize, patience: Duration, idle: Option<Duration>) -> Self {
        let mailbox = Arc::new(Mailbox::new().expect("an eventfd"));
        let figures = Arc::new(Figures::new(1));
        let relay = Relay {
            figures: Arc::clone(&figures),
            workers: Vec::new(),
            backend: "mmsg",
            started: 0.0,
            descriptors: 0,
        };
        let edge = Edge {
            mailbox: Arc::clone(&mailbox),
            metrics: Arc::new(Metrics::new(relay).expect("registers")),
            figures: Arc::clone(&figures),
            body: BODY,
            patience,
            idle,
        };
        let local = || listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let doors = Doors {
            ng: vec![local()],
            http: vec![local()],
            cli: vec![local()],
        };
        let at = |list: &[TcpListener]| list[0].local_addr().expect("bound");
        let (ng, http, cli) = (at(&doors.ng), at(&doors.http), at(&doors.cli));
        let running = edge.start(doors, connections).expect("starts");
        let (deaf, end) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        echo(mailbox, Arc::clone(&deaf), Arc::clone(&end));
        Self {
            running: Some(running),
            http,
            ng,
            cli,
            figures,
            deaf,
            end,
        }
    }

    fn connect(to: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(to).expect("connects");
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .expect("a timeout");
        stream
    }

    fn http(&self, method: &str, path: &str, body: &[u8]) -> (String, Vec<u8>) {
        let mut stream = Self::connect(self.http);
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let _refused_early = stream.write_all(body);
        let mut bytes = Vec::new();
        let _reset_after_the_response = stream.read_to_end(&mut bytes);
        let end = bytes
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("a head")
            + 4;
        let body = bytes.split_off(end);
        (
            String::from_utf8(bytes)
                .expect("ASCII")
                .to_ascii_lowercase()
                .replacen("http", "HTTP", 1),
            body,
        )
    }

    fn websocket(
        &self,
        path: &str,
        protocol: &str,
    ) -> Result<tungstenite::WebSocket<TcpStream>, String> {
        let mut request = format!("ws://{}{path}", self.http)
            .into_client_request()
            .expect("a URI");
        let header = protocol.parse().expect("a token");
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", header);
        let stream = Self::connect(self.http);
        client(request, stream)
            .map(|(socket, _)| socket)
            .map_err(|e| e.to_string())
    }
}

impl Drop for Edges {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "stands in for the control loop, which has its own"
)]
fn echo(mailbox: Arc<Mailbox>, deaf: Arc<AtomicBool>, end: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut unanswered = Vec::new();
        while !end.load(Ordering::SeqCst) {
            let Some(letter) = mailbox.next() else {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            if deaf.load(Ordering::SeqCst) {
                unanswered.push(letter);
                continue;
            }
            let format =
                |payload: &[u8]| patchcord_wire::ng::Format::of(payload).unwrap_or_default();
            let answer = match letter.ask {
                Ask::Unit(bytes) => {
                    if bytes.contains(&b' ') {
                        Answer::Reply(bytes, patchcord_wire::ng::Format::Bencode)
                    } else {
                        Answer::Dropped
                    }
                }
                Ask::Plain(bytes) => {
                    let format = format(&bytes);
                    Answer::Reply(bytes, format)
                }
                Ask::Line(bytes) => Answer::Text(bytes),
                Ask::Refresh => Answer::Done,
            };
            let _gone = letter.answer.send(answer);
        }
    });
}

fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).expect("as many bytes");
    bytes
}
