//! The control protocol's edges: retransmission, JSON, TCP, HTTP and WebSocket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use patchcord_tests::{NgCall, decode, encode, http, is_whole};
use serde_json::{Value, json};

use crate::field::{Field, is_yardstick};

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(6);

#[test]
fn a_repeated_cookie_gets_the_same_bytes() {
    let Some(field) = Field::new(1, &[]) else {
        return;
    };
    let (request, other) = (offer(&field, "one"), offer(&field, "two"));
    let datagram = [b"cookie-1 ", &request[..]].concat();
    field.ng.send_raw(&datagram);
    let first = field.ng.receive_raw().expect("a reply");
    assert!(first.starts_with(b"cookie-1 d"));
    // Also from another socket: proxies ask from several processes.
    let again = field.relay.ng(&field.site);
    for ng in [&field.ng, &again] {
        ng.send_raw(&datagram);
        assert_eq!(ng.receive_raw().as_ref(), Some(&first));
    }
    assert_eq!(field.calls(), 1);
    field.ng.send_raw(&[b"cookie-2 ", &other[..]].concat());
    assert!(
        field
            .ng
            .receive_raw()
            .is_some_and(|reply| reply.starts_with(b"cookie-2 d"))
    );
    assert_eq!(field.calls(), 2);
}

#[test]
fn a_cookie_used_again_for_something_else_is_a_new_request() {
    // A proxy in a container that restarts has the process id and the counter that it had before.
    let Some(field) = Field::ours(1, &[]) else {
        return;
    };
    let restarted = field.relay.ng(&field.site);
    let [one, two] = ["one", "two"].map(|id| [b"7_1 ", &offer(&field, id)[..]].concat());
    for (ng, datagram, calls) in [
        (&field.ng, &one, 1),
        (&restarted, &two, 2),
        (&field.ng, &one, 2),
        (&restarted, &two, 2),
    ] {
        ng.send_raw(datagram);
        let reply = ng.receive_raw().expect("a reply");
        assert_eq!(decode(&reply[4..])["result"], "ok");
        assert_eq!(field.calls(), calls);
    }
}

#[test]
fn duplicates_in_flight_all_get_the_one_reply() {
    let Some(field) = Field::new(1, &[]) else {
        return;
    };
    let datagram = [b"cookie ", &offer(&field, "one")[..]].concat();
    (0..10).for_each(|_| field.ng.send_raw(&datagram));
    let replies: Vec<_> = (0..10).filter_map(|_| field.ng.receive_raw()).collect();
    assert_eq!(replies.len(), 10);
    assert!(replies.iter().all(|reply| reply == &replies[0]));
    assert_eq!(field.calls(), 1);
}

#[test]
fn json_is_answered_in_json_on_the_same_port() {
    let Some(field) = Field::new(1, &[]) else {
        return;
    };
    field.ng.send_raw(br#"c1 {"command":"ping"}"#);
    let reply = field.ng.receive_raw().expect("a reply");
    let body = reply.strip_prefix(b"c1 ").expect("the cookie comes back");
    let body: Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(body, json!({"result": "pong"}));
    assert!(field.ng.pings(), "and bencode in bencode");
}

#[test]
fn what_is_not_ng_is_told_so_or_ignored() {
    let Some(field) = Field::new(1, &[]) else {
        return;
    };
    for (given, reason) in [
        (&b"c1 hello"[..], "Invalid NG data format"),
        (b"c2 d7:command", ""),
        (b"c3 de", "no key \"command\""),
        (b"c4 d7:command5:danceE", ""),
        (b"c5 d7:command5:dancee", "Unrecognized command"),
        (b"c6 d7:command5:offere", "No "),
    ] {
        field.ng.send_raw(given);
        let reply = field.ng.receive_raw().expect("an error, not silence");
        let reply = decode(&reply[3..]);
        assert_eq!(reply["result"], "error");
        let said = reply["error-reason"].as_str().expect("a reason");
        assert!(
            said.contains(reason),
            "{said:?} for {}",
            String::from_utf8_lossy(given)
        );
    }
    field.ng.send_raw(b"nocookie");
    field.ng.set_patience(Duration::from_millis(200));
    assert_eq!(field.ng.receive_raw(), None, "there is nobody to answer");
}

#[test]
fn tcp_takes_requests_back_to_back_and_in_pieces() {
    let Some(field) = Field::new(1, &[]) else {
        return;
    };
    let mut stream = connect(&field, field.relay.tcp);
    let (ping, offer) = (encode(&json!({"command": "ping"})), offer(&field, "one"));
    let both = [b"c1 ", &ping[..], b"c2 ", &offer[..]].concat();
    let (head, tail) = both.split_at(both.len() - 30);
    stream.write_all(head).expect("it reads");
    assert_eq!(read_reply(&mut stream, b"c1 "), json!({"result": "pong"}));
    stream.write_all(tail).expect("it reads");
    assert_eq!(read_reply(&mut stream, b"c2 ")["result"], "ok");
    assert_eq!(field.calls(), 1);
}

#[test]
fn http_carries_ng_with_and_without_cookie() {
    let Some(field) = Field::new(1, &[]) else {
        return;
    };
    let (core, server) = (&field.site.core, field.relay.http);
    let post = |path: &str, kind: &str, body: &[u8]| {
        let head = format!("POST {path} HTTP/1.1\r\nContent-Type: {kind}");
        http(core, server, &head, body).expect("a response")
    };
    let request = [b"c1 ", &offer(&field, "one")[..]].concat();
    let (status, first) = post("/ng", "application/x-rtpengine-ng", &request);
    assert_eq!(status, 200);
    assert!(first.starts_with(b"c1 d"));
    assert_eq!(
        post("/ng", "application/x-rtpengine-ng", &request),
        (200, first)
    );
    assert_eq!(field.calls(), 1);
    let pong = http(core, server, "GET /ping HTTP/1.1", b"").expect("a response");
    assert_eq!(pong.0, 200);
    assert!(pong.1.starts_with(b"pong"));
    if is_yardstick() {
        return; // Debian's is older than this path.
    }
    let (status, body) = post("/ng-plain", "application/json", br#"{"command":"ping"}"#);
    assert_eq!(status, 200);
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["result"], "pong");
}

#[test]
fn websockets_carry_ng_with_and_without_cookie() {
    let Some(field) = Field::new(1, &[]) else {
        return;
    };
    let ask = |protocol: &str, message: &[u8]| {
        use tungstenite::client::IntoClientRequest;
        let url = format!("ws://{}/", field.relay.http);
        let mut request = url.into_client_request().expect("a URL");
        let value = protocol.parse().expect("a header value");
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", value);
        let stream = connect(&field, field.relay.http);
        let (mut socket, _) = tungstenite::client(request, stream).expect("a handshake");
        socket
            .send(tungstenite::Message::Binary(message.to_vec().into()))
            .expect("it reads");
        socket.read().expect("a reply").into_data()
    };
    let ping = encode(&json!({"command": "ping"}));
    let reply = ask("ng.rtpengine.com", &[b"c1 ", &ping[..]].concat());
    assert_eq!(&reply[..], b"c1 d6:result4:ponge");
    if is_yardstick() {
        return; // Debian's is older than this protocol.
    }
    let reply = ask("ng-plain.rtpengine.com", &ping);
    assert_eq!(&reply[..], b"d6:result4:ponge");
}

/// An offer, encoded, of a call of that id.
fn offer(field: &Field, id: &str) -> Vec<u8> {
    let a = field.phone(0, patchcord_tests::Family::V4, 0, 440.0);
    encode(&NgCall::new(id).message("offer", &a.sdp(), json!({}), false))
}

fn connect(field: &Field, server: std::net::SocketAddr) -> TcpStream {
    let stream = field
        .site
        .core
        .run(move || TcpStream::connect_timeout(&server, PATIENCE));
    let stream = stream.expect("the relay listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a valid timeout");
    stream
}

/// The next reply on a connection, which must be to `cookie`.
fn read_reply(stream: &mut TcpStream, cookie: &[u8]) -> Value {
    let mut read = Vec::new();
    let mut octet = [0];
    loop {
        let got = stream.read(&mut octet);
        let so_far = String::from_utf8_lossy(&read);
        assert!(
            got.is_ok_and(|length| length == 1),
            "the connection ended after {so_far:?}"
        );
        read.extend(octet);
        if let Some(body) = read.strip_prefix(cookie).filter(|body| is_whole(body)) {
            return decode(body);
        }
    }
}
