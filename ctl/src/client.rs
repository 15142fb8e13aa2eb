//! Speaks NG to a relay as any proxy does: over UDP, TCP or HTTP.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime};

use patchcord_wire::ng::client::{Outcome, RequestBuilder, Response};
use patchcord_wire::ng::stream::Units;
use patchcord_wire::ng::{Command, Format};
use patchcord_wire::value::Value;

use crate::failure::Failure;

/// UDP requests are repeated with the same cookie this often: the relay runs them once.
const RETRANSMIT: Duration = Duration::from_millis(500);
/// A reply larger than this is not ours.
const LARGEST_REPLY: usize = 64 << 20;
/// The largest datagram.
const DATAGRAM: usize = 65_536;

/// Where the relay listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Relay {
    /// NG over UDP.
    Udp(String),
    /// NG over TCP, for replies that do not fit a datagram.
    Tcp(String),
    /// NG over HTTP: the base URL.
    Http(String),
}

impl FromStr for Relay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("http://") {
            return Ok(Self::Http(text.trim_end_matches('/').to_owned()));
        }
        let (make, place): (fn(String) -> Self, _) = match text.split_once(':') {
            Some(("udp", place)) => (Self::Udp, place),
            Some(("tcp", place)) => (Self::Tcp, place),
            _ => (Self::Udp, text),
        };
        let has_port = |(host, port): (&str, &str)| !host.is_empty() && port.parse::<u16>().is_ok();
        if place.rsplit_once(':').is_some_and(has_port) {
            Ok(make(place.to_owned()))
        } else {
            Err("use udp:HOST:PORT, tcp:HOST:PORT or http://HOST:PORT".to_owned())
        }
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(place) => write!(f, "udp:{place}"),
            Self::Tcp(place) => write!(f, "tcp:{place}"),
            Self::Http(base) => f.write_str(base),
        }
    }
}

/// A client of one relay.
#[derive(Debug)]
pub(crate) struct Client {
    relay: Relay,
    timeout: Duration,
    sequence: u32,
}

impl Client {
    /// A client that waits for `timeout` at most.
    pub(crate) const fn new(relay: Relay, timeout: Duration) -> Self {
        Self {
            relay,
            timeout,
            sequence: 0,
        }
    }

    /// Whom it asks.
    pub(crate) const fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Sends a request and fails unless the relay says `ok` or `pong`.
    pub(crate) fn request(
        &mut self,
        request: &RequestBuilder<'_>,
    ) -> Result<Value<'static>, Failure> {
        let cookie = self.cookie();
        let cookie = cookie.as_bytes();
        let message = request.to_bytes(Some(cookie), Format::Bencode);
        let reply = match &self.relay {
            Relay::Udp(place) => over_udp(place, &message, cookie, self.timeout),
            Relay::Tcp(place) => over_tcp(place, &message, cookie, self.timeout),
            Relay::Http(base) => over_http(base, &message, self.timeout),
        };
        let reply = reply.map_err(|error| self.unreachable(&error))?;
        succeed(dictionary(&reply, cookie)?)
    }

    /// Runs a line of the relay's command interpreter and returns its text.
    pub(crate) fn cli(&mut self, line: &str) -> Result<String, Failure> {
        let request = RequestBuilder::new(Command::Cli).with("body", Value::str(line));
        let reply = self.request(&request)?;
        Ok(text(&reply, "response").unwrap_or_default())
    }

    /// Runs a line that is answered with a JSON document.
    pub(crate) fn document(&mut self, line: &str) -> Result<serde_json::Value, Failure> {
        let text = self.cli(line)?;
        serde_json::from_str(&text).map_err(|_| {
            let shown: String = text.chars().take(80).collect();
            Failure::Refused(format!(
                "`{line}` was not answered with JSON; is this a Patchcord of another version? It said: {}",
                shown.trim()
            ))
        })
    }

    fn cookie(&mut self) -> String {
        self.sequence += 1;
        let clock = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        format!(
            "{:x}.{:x}.{}",
            clock.as_nanos(),
            std::process::id(),
            self.sequence
        )
    }

    fn unreachable(&self, error: &io::Error) -> Failure {
        let key = match self.relay {
            Relay::Udp(_) => "listen.ng",
            Relay::Tcp(_) => "listen.ng-tcp",
            Relay::Http(_) => "listen.http",
        };
        Failure::Unreachable(format!(
            "no relay answers at {}: {error}\nDoes it run, and is `{key}` that address? \
             (systemctl status patchcord; --relay or PATCHCTL_RELAY names another)",
            self.relay
        ))
    }
}

/// The text of `key`, if it is a string.
pub(crate) fn text(dict: &Value<'_>, key: &str) -> Option<String> {
    let bytes = dict.get(key).and_then(Value::as_bytes)?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

fn dictionary(reply: &[u8], cookie: &[u8]) -> Result<Value<'static>, Failure> {
    let Ok(response) = Response::parse(reply) else {
        let shown = reply[..reply.len().min(60)].escape_ascii();
        return Err(Failure::Unreachable(format!(
            "what answers there is no relay: {shown}"
        )));
    };
    if response.cookie != cookie {
        return Err(Failure::Unreachable(
            "the answer's cookie is not the request's".to_owned(),
        ));
    }
    Ok(response.body.into_owned())
}

fn succeed(body: Value<'static>) -> Result<Value<'static>, Failure> {
    let response = Response { cookie: b"", body };
    let why = match response.outcome() {
        Outcome::Success => return Ok(response.body),
        Outcome::LoadLimit(why) => format!("the relay takes no new calls: {why}"),
        Outcome::Error("") | Outcome::Other(_) => "the relay refused and gave no reason".to_owned(),
        Outcome::Error(why) => format!("the relay refused: {why}"),
    };
    Err(Failure::Refused(why))
}

fn resolve(place: &str) -> io::Result<SocketAddr> {
    let found = place.to_socket_addrs()?.next();
    found.ok_or_else(|| io::Error::other(format!("`{place}` has no address")))
}

fn over_udp(place: &str, message: &[u8], cookie: &[u8], timeout: Duration) -> io::Result<Vec<u8>> {
    let relay = resolve(place)?;
    let any: SocketAddr = if relay.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0_u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(relay)?;
    let deadline = Instant::now() + timeout;
    let mut buffer = vec![0; DATAGRAM];
    while left(deadline).is_some() {
        socket.send(message)?;
        let resend = deadline.min(Instant::now() + RETRANSMIT);
        while let Some(wait) = left(resend) {
            socket.set_read_timeout(Some(wait))?;
            match socket.recv(&mut buffer) {
                Ok(len) if is_for(&buffer[..len], cookie) => return Ok(buffer[..len].to_vec()),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => break,
                Err(error) => return Err(error),
            }
        }
    }
    Err(late(timeout))
}

fn over_tcp(place: &str, message: &[u8], cookie: &[u8], timeout: Duration) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + timeout;
    let mut stream = TcpStream::connect_timeout(&resolve(place)?, timeout)?;
    stream.write_all(message)?;
    let mut units = Units::new(LARGEST_REPLY);
    let mut received = Vec::new();
    let mut buffer = vec![0; DATAGRAM];
    while let Some(wait) = left(deadline) {
        stream.set_read_timeout(Some(wait))?;
        let len = match stream.read(&mut buffer) {
            Ok(0) => {
                return Err(io::Error::other(
                    "the connection was closed without an answer",
                ));
            }
            Ok(len) => len,
            Err(error) if is_timeout(&error) => break,
            Err(error) => return Err(error),
        };
        received.extend_from_slice(&buffer[..len]);
        // Events that nobody asked for come on the same connection, under other cookies.
        while let Some(unit) = units.next(&received).map_err(io::Error::other)? {
            if is_for(&received[unit.clone()], cookie) {
                return Ok(received[unit].to_vec());
            }
            received.drain(..unit.end);
        }
    }
    Err(late(timeout))
}

fn over_http(base: &str, message: &[u8], timeout: Duration) -> io::Result<Vec<u8>> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .proxy(None)
        .build();
    let mut response = ureq::Agent::from(config)
        .post(format!("{base}/ng"))
        .content_type("application/x-rtpengine-ng")
        .send(message)
        .map_err(ureq::Error::into_io)?;
    let body = response
        .body_mut()
        .with_config()
        .limit(LARGEST_REPLY as u64);
    body.read_to_vec().map_err(ureq::Error::into_io)
}

fn is_for(unit: &[u8], cookie: &[u8]) -> bool {
    unit.strip_prefix(cookie)
        .is_some_and(|rest| rest.starts_with(b" "))
}

fn left(until: Instant) -> Option<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    (left > Duration::ZERO).then_some(left)
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn late(timeout: Duration) -> io::Error {
    let seconds = timeout.as_secs_f64();
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("nothing came within {seconds} s"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_is_named_by_transport_and_address() {
        let relay = |text: &str| text.parse::<Relay>().expect("a relay");
        assert_eq!(
            relay("udp:127.0.0.1:2223"),
            Relay::Udp("127.0.0.1:2223".into())
        );
        assert_eq!(relay("127.0.0.1:2223"), Relay::Udp("127.0.0.1:2223".into()));
        assert_eq!(relay("tcp:[::1]:2223"), Relay::Tcp("[::1]:2223".into()));
        assert_eq!(
            relay("http://127.0.0.1:9623/"),
            Relay::Http("http://127.0.0.1:9623".into())
        );
    }

    #[test]
    fn a_relay_without_a_port_is_refused_with_the_forms_that_are_meant() {
        for wrong in ["udp:localhost", "localhost", "udp::2223", "tcp:a:b", ""] {
            let error = wrong.parse::<Relay>().expect_err("no port");
            assert!(error.contains("udp:HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn a_relay_is_printed_as_it_is_typed() {
        for text in [
            "udp:127.0.0.1:2223",
            "tcp:[::1]:2223",
            "http://127.0.0.1:9623",
        ] {
            assert_eq!(text.parse::<Relay>().expect("a relay").to_string(), text);
        }
    }

    #[test]
    fn a_reply_with_another_cookie_is_not_believed() {
        assert!(dictionary(b"2 d6:result2:oke", b"1").is_err());
        assert!(dictionary(b"1 d6:result2:oke", b"1").is_ok());
        assert!(is_for(b"1 d", b"1") && !is_for(b"12 d", b"1"));
    }

    #[test]
    fn cookies_are_never_used_twice() {
        let mut client = Client::new(Relay::Udp("127.0.0.1:1".into()), Duration::ZERO);
        assert_ne!(client.cookie(), client.cookie());
    }

    #[test]
    fn a_refusal_is_said_in_the_relays_words() {
        let said = |bytes: &[u8]| {
            let body = dictionary(bytes, b"1").expect("a reply");
            succeed(body).expect_err("a refusal").to_string()
        };
        assert!(said(b"1 d6:result5:error12:error-reason3:whye").contains("refused: why"));
        assert!(said(b"1 d6:result10:load limit7:message4:fulle").contains("no new calls: full"));
        assert!(said(b"1 d6:result3:hume").contains("no reason"));
    }
}
