//! As much HTTP/1.1 as a test needs, and the Prometheus text format.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Netns;

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(6);

/// One request to `server` on a connection of its own: status and body of the response.
///
/// `head` is the request line and further header lines without Host, Connection and Content-Length.
pub fn http(netns: &Netns, server: SocketAddr, head: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
    let stream = netns
        .run(move || TcpStream::connect_timeout(&server, PATIENCE))
        .ok()?;
    exchange(stream, server, head, body)
}

fn exchange(
    mut stream: TcpStream,
    server: SocketAddr,
    head: &str,
    body: &[u8],
) -> Option<(u16, Vec<u8>)> {
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let length = body.len();
    let head = format!(
        "{}\r\nHost: {server}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n",
        head.trim_end()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response).ok()?;
    let end = response
        .windows(4)
        .position(|window| window == b"\r\n\r\n")?;
    let status = std::str::from_utf8(response.get(9..12)?)
        .ok()?
        .parse()
        .ok()?;
    Some((status, response.split_off(end + 4)))
}

/// A snapshot of `GET /metrics`.
pub struct Metrics {
    samples: Vec<(String, f64)>,
}

impl Metrics {
    /// Fetches and reads them.
    pub fn fetch(netns: &Netns, server: SocketAddr) -> Self {
        Self::try_fetch(netns, server).expect("the metrics are served")
    }

    /// The same; `None` where they cannot be had.
    pub fn try_fetch(netns: &Netns, server: SocketAddr) -> Option<Self> {
        let (status, body) = http(netns, server, "GET /metrics HTTP/1.1", b"")?;
        let body = String::from_utf8(body).ok().filter(|_| status == 200)?;
        let samples = body
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (series, value) = line.rsplit_once(' ')?;
                Some((series.to_owned(), value.parse().ok()?))
            });
        Some(Self {
            samples: samples.collect(),
        })
    }

    /// Every series that is not zero, a line each.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let told = self.samples.iter().filter(|(_, value)| *value != 0.0);
        told.map(|(series, value)| format!("{series} {value}"))
    }

    /// The sum of all series of `name` that carry every one of `labels`, written `key="value"`.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.series(name)
            .filter(|(tail, _)| labels.iter().all(|label| tail.contains(label)))
            .map(|(_, value)| value)
            .sum()
    }

    /// The same of counters, which are whole.
    pub fn count(&self, name: &str, labels: &[&str]) -> u64 {
        self.sum(name, labels) as u64
    }

    /// The series of `name`: what stands in the braces, and the value.
    pub fn series(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        self.samples.iter().filter_map(move |(series, value)| {
            let tail = series.strip_prefix(name)?;
            (tail.is_empty() || tail.starts_with('{')).then_some((tail, *value))
        })
    }
}
