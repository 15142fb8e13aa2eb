//! A relay that only answers: NG over UDP, TCP and HTTP on loopback, by a function from request to reply.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use patchcord_wire::ng::stream::Units;
use patchcord_wire::ng::{parse, split};
use patchcord_wire::value::{Dict, Value};

/// Gives the reply to a request.
type Answer = Arc<dyn Fn(&Value<'_>) -> Dict<'static> + Send + Sync>;

/// Where it listens, and what it heard.
pub(crate) struct Relay {
    pub(crate) udp: String,
    pub(crate) tcp: String,
    pub(crate) http: String,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Relay {
    /// A relay that answers at once.
    pub(crate) fn start(
        answer: impl Fn(&Value<'_>) -> Dict<'static> + Send + Sync + 'static,
    ) -> Self {
        Self::deaf(0, answer)
    }

    /// A relay whose UDP socket ignores the first `deaf` datagrams.
    pub(crate) fn deaf(
        deaf: usize,
        answer: impl Fn(&Value<'_>) -> Dict<'static> + Send + Sync + 'static,
    ) -> Self {
        let answer: Answer = Arc::new(answer);
        let heard = Arc::new(Mutex::new(Vec::new()));
        let udp = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let http = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let relay = Self {
            udp: format!("udp:{}", udp.local_addr().expect("it is bound")),
            tcp: format!("tcp:{}", tcp.local_addr().expect("it is bound")),
            http: format!("http://{}", http.local_addr().expect("it is bound")),
            heard: Arc::clone(&heard),
        };
        let (over_tcp, over_http) = (Arc::clone(&answer), Arc::clone(&answer));
        thread::spawn(move || serve_udp(&udp, deaf, &heard, &answer));
        thread::spawn(move || {
            tcp.incoming()
                .flatten()
                .for_each(|one| serve_tcp(one, &over_tcp));
        });
        thread::spawn(move || {
            http.incoming()
                .flatten()
                .for_each(|one| serve_http(one, &over_http));
        });
        relay
    }

    /// The datagrams so far, those ignored too.
    pub(crate) fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().expect("no thread panicked").clone()
    }
}

/// The line of a `cli` request; empty for others.
pub(crate) fn line<'r>(request: &'r Value<'_>) -> &'r str {
    request
        .get("body")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The command word.
pub(crate) fn word<'r>(request: &'r Value<'_>) -> &'r str {
    request
        .get("command")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The reply with a text for `patchctl` to print or read.
pub(crate) fn response(text: impl Into<Vec<u8>>) -> Dict<'static> {
    Dict::new()
        .with("result", "ok")
        .with("response", text.into())
}

/// A refusal.
pub(crate) fn refusal(why: &'static str) -> Dict<'static> {
    Dict::new()
        .with("result", "error")
        .with("error-reason", why)
}

fn reply(message: &[u8], answer: &Answer) -> Vec<u8> {
    let envelope = parse(message).expect("patchctl sends requests");
    let mut out = envelope.cookie.to_vec();
    out.push(b' ');
    envelope
        .format
        .encode(&answer(&envelope.body).into(), &mut out);
    out
}

fn serve_udp(socket: &UdpSocket, deaf: usize, heard: &Mutex<Vec<Vec<u8>>>, answer: &Answer) {
    let mut buffer = vec![0; 65_536];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).expect("the socket is open");
        let count = {
            let mut heard = heard.lock().expect("no thread panicked");
            heard.push(buffer[..len].to_vec());
            heard.len()
        };
        if count > deaf {
            // An answer to someone else's request comes first, as after a retransmission.
            socket
                .send_to(b"other d6:result2:oke", from)
                .expect("loopback takes it");
            socket
                .send_to(&reply(&buffer[..len], answer), from)
                .expect("loopback takes it");
        }
    }
}

fn serve_tcp(mut stream: TcpStream, answer: &Answer) {
    let mut units = Units::default();
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        received.extend_from_slice(&buffer[..len]);
        while let Some(unit) = units.next(&received).expect("patchctl sends units") {
            let mut bytes = b"0123456789abcdef d5:event4:DTMFe".to_vec();
            bytes.extend(reply(&received[unit.clone()], answer));
            received.drain(..unit.end);
            let (head, tail) = bytes.split_at(bytes.len() / 2);
            stream.write_all(head).expect("patchctl waits");
            stream.write_all(tail).expect("patchctl waits");
        }
    }
}

fn serve_http(stream: TcpStream, answer: &Answer) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(
            reader.read_line(&mut head).is_ok_and(|len| len > 0),
            "{head}"
        );
    }
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /ng http/1.1\r\n"), "{head}");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.and_then(|text| text.parse().ok()).expect("a length");
    let mut message = vec![0; length];
    reader.read_exact(&mut message).expect("the body is whole");
    assert!(split(&message).is_some(), "the body has a cookie");
    let body = reply(&message, answer);
    let mut stream = reader.into_inner();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .and_then(|()| stream.write_all(&body))
    .expect("patchctl waits");
}
