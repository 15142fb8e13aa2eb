//! An NG client: cookie, space, bencoded dictionary, over UDP, with JSON values for the tests.
//!
//! The bencode is another crate's than the relay's own.

use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::ops::Index;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bencode_oracle::Value as Bencode;
use bencode_oracle::value::Number;
use serde_json::{Map, Value, json};

use crate::{Netns, Sdp};

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(6);
/// After so long without a reply a request is repeated, as proxies do: UDP may lose either.
const REPEAT: Duration = Duration::from_secs(1);
/// The largest datagram.
const DATAGRAM: usize = 65_535;

/// A control connection to the relay.
pub struct Ng {
    socket: UdpSocket,
    patience: Cell<Duration>,
}

impl Ng {
    /// A client in `netns` for the relay's control port at `server`.
    pub fn new(netns: &Netns, server: SocketAddr) -> Self {
        let any = if server.is_ipv4() {
            "0.0.0.0:0"
        } else {
            "[::]:0"
        };
        let socket = netns.run(move || UdpSocket::bind(any).expect("a port is free"));
        socket.connect(server).expect("loopback is reachable");
        Self {
            socket,
            patience: Cell::new(PATIENCE),
        }
    }

    /// Sends `request` and gives the reply.
    ///
    /// # Panics
    /// Where there is none in time.
    pub fn request(&self, request: &Value) -> Reply {
        self.try_request(request)
            .unwrap_or_else(|| panic!("no reply to {request}"))
    }

    /// Sends `request`; `None` where nothing comes back in time.
    pub fn try_request(&self, request: &Value) -> Option<Reply> {
        // rtpengine tells requests apart by their cookie alone, whoever sends them.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let cookie = format!("{}_{next}", std::process::id());
        let mut datagram = format!("{cookie} ").into_bytes();
        datagram.extend(encode(request));
        let start = Instant::now();
        let mut sent = 0;
        while start.elapsed() < self.patience.get() {
            if start.elapsed() >= REPEAT * sent {
                self.send_raw(&datagram);
                sent += 1;
                if sent > 1 {
                    confess(&cookie, start.elapsed());
                }
            }
            let left = self.patience.get().saturating_sub(start.elapsed());
            let until = (REPEAT * sent).saturating_sub(start.elapsed());
            // Replies to what an earlier test step gave up on may still come.
            let reply = self.receive_within(left.min(until)).unwrap_or_default();
            if let Some(body) = reply.strip_prefix(format!("{cookie} ").as_bytes()) {
                return Some(Reply(decode(body)));
            }
        }
        None
    }

    /// Sends a datagram as it is.
    pub fn send_raw(&self, datagram: &[u8]) {
        // A relay that has just died refuses by ICMP; the missing reply tells that better.
        drop(self.socket.send(datagram));
    }

    /// The next datagram, if one comes in time.
    pub fn receive_raw(&self) -> Option<Vec<u8>> {
        self.receive_within(self.patience.get())
    }

    fn receive_within(&self, time: Duration) -> Option<Vec<u8>> {
        // No time at all would mean for ever.
        let time = time.max(Duration::from_millis(1));
        self.socket
            .set_read_timeout(Some(time))
            .expect("a valid timeout");
        let mut buffer = vec![0; DATAGRAM];
        let length = self.socket.recv(&mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }

    /// Sets how long replies are waited for.
    pub fn set_patience(&self, patience: Duration) {
        self.patience.set(patience);
    }

    /// Whether the relay answers `ping` with `pong`.
    pub fn pings(&self) -> bool {
        let reply = self.try_request(&json!({"command": "ping"}));
        reply.is_some_and(|reply| reply.result() == "pong")
    }
}

/// A request was lost, or its reply: who reads a failed test wants to know.
#[expect(clippy::print_stderr, reason = "the output of a test")]
fn confess(cookie: &str, waited: Duration) {
    eprintln!("no reply to {cookie} in {waited:?}, asked again");
}

/// A reply's dictionary.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply(pub Value);

impl Reply {
    /// The value of `result`.
    pub fn result(&self) -> &str {
        self.0["result"].as_str().unwrap_or_default()
    }

    /// Its SDP.
    ///
    /// # Panics
    /// Where it is a failure or has none.
    pub fn sdp(&self) -> Sdp {
        assert_eq!(self.result(), "ok", "{}", self.0);
        Sdp::parse(
            self.0["sdp"]
                .as_str()
                .unwrap_or_else(|| panic!("no SDP in {}", self.0)),
        )
    }
}

impl Index<&str> for Reply {
    type Output = Value;

    fn index(&self, key: &str) -> &Value {
        &self.0[key]
    }
}

/// The identity of one call between `A` and `B`, and its three commands.
#[derive(Clone, Debug)]
pub struct NgCall {
    /// The SIP Call-ID.
    pub id: String,
    /// The caller's tag.
    pub from: String,
    /// The callee's tag.
    pub to: String,
}

impl NgCall {
    /// A call with tags of its own.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            from: format!("{id}-from"),
            to: format!("{id}-to"),
        }
    }

    /// The same dialogue, as its other side speaks.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            id: self.id.clone(),
            from: self.to.clone(),
            to: self.from.clone(),
        }
    }

    /// An offer that opens the dialogue; `more` holds further keys.
    pub fn offer(&self, ng: &Ng, sdp: &Sdp, more: Value) -> Reply {
        ng.request(&self.message("offer", sdp, more, false))
    }

    /// An offer within the dialogue: a re-INVITE.
    pub fn reoffer(&self, ng: &Ng, sdp: &Sdp, more: Value) -> Reply {
        ng.request(&self.message("offer", sdp, more, true))
    }

    /// The answer.
    pub fn answer(&self, ng: &Ng, sdp: &Sdp, more: Value) -> Reply {
        ng.request(&self.message("answer", sdp, more, true))
    }

    /// What the relay knows of the call.
    pub fn query(&self, ng: &Ng) -> Reply {
        ng.request(&json!({"command": "query", "call-id": self.id}))
    }

    /// Ends the call at once.
    pub fn delete(&self, ng: &Ng) -> Reply {
        self.delete_after(ng, 0)
    }

    /// Ends the call after `delay` seconds.
    pub fn delete_after(&self, ng: &Ng, delay: u32) -> Reply {
        ng.request(&json!({
            "command": "delete", "call-id": self.id, "from-tag": self.from, "delete delay": delay,
        }))
    }

    /// The message, with the keys that a proxy's default script sends.
    pub fn message(&self, command: &str, sdp: &Sdp, more: Value, to: bool) -> Value {
        let mut message = json!({
            "command": command,
            "call-id": self.id,
            "from-tag": self.from,
            "sdp": sdp.text(),
            "replace": ["origin", "session-connection"],
            "supports": ["load limit"],
        });
        if to {
            message["to-tag"] = json!(self.to);
        }
        if let Value::Object(more) = more {
            message.as_object_mut().expect("made above").extend(more);
        }
        message
    }
}

/// `value` as bencode.
pub fn encode(value: &Value) -> Vec<u8> {
    bencode_oracle::to_vec(value).expect("strings, integers, lists and dictionaries only")
}

/// Whether `bytes` are one whole value of bencode.
pub fn is_whole(bytes: &[u8]) -> bool {
    bencode_oracle::from_slice::<Bencode>(bytes).is_ok()
}

/// The JSON form of bencode; octets that are not UTF-8 are replaced.
///
/// # Panics
/// Where it is none.
pub fn decode(bytes: &[u8]) -> Value {
    let value: Bencode = bencode_oracle::from_slice(bytes)
        .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(bytes)));
    to_json(&value)
}

fn to_json(value: &Bencode) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match value {
        Bencode::ByteStr(bytes) => text(bytes.as_slice()).into(),
        Bencode::Int(Number::Signed(number)) => (*number).into(),
        Bencode::Int(Number::Unsigned(number)) => (*number).into(),
        Bencode::List(items) => items.iter().map(to_json).collect(),
        Bencode::Dict(entries) => entries
            .iter()
            .map(|(key, value)| (text(key.as_slice()), to_json(value)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_bencode() {
        let message = json!({"command": "offer", "flags": ["a", "b"], "TOS": -1, "d": {"x": ""}});
        assert_eq!(decode(&encode(&message)), message);
    }
}
