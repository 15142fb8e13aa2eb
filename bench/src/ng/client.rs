//! An NG client over UDP: cookies, retransmission, and many requests in flight.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use hdrhistogram::Histogram;
use patchcord_wire::ng::client::{RequestBuilder, Response};
use patchcord_wire::ng::{Command, Format};
use socket2::{Domain, Socket, Type};

use crate::os::{clock, netns};

/// A proxy's patience: retransmit after a second, give up after five tries.
const PATIENCE: Duration = Duration::from_secs(1);
const TRIES: u32 = 5;
/// How long to wait for replies before looking what is overdue.
const GLANCE: Duration = Duration::from_millis(50);
/// The largest reply over UDP.
const LONGEST: usize = 65_535;

/// Where the relay listens.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    pub(crate) ng: SocketAddr,
    pub(crate) netns: Option<String>,
    pub(crate) wait: Wait,
}

/// How the client waits for replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Asleep, leaving the core to others.
    Asleep,
    /// Spinning. Otherwise whoever replies pays for waking us, across cores, which in a virtual
    /// machine costs as much as a small request: the relay's bill would show our habits.
    Spinning,
}

/// What a batch of requests took.
#[derive(Clone, Debug)]
pub(crate) struct NgTimes {
    /// From request to reply, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// From the first request to the last reply.
    pub(crate) elapsed: Duration,
    /// Requests sent again because no reply came in time.
    pub(crate) retransmitted: u64,
}

impl NgTimes {
    fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("constant bounds");
        Self {
            latency,
            elapsed: Duration::ZERO,
            retransmitted: 0,
        }
    }

    /// Requests answered per second.
    pub(crate) fn rate(&self) -> f64 {
        self.latency.len() as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Latency in microseconds at quantile `q`.
    pub(crate) fn latency_us(&self, q: f64) -> f64 {
        self.latency.value_at_quantile(q) as f64 / 1000.0
    }
}

/// A conversation that many jobs have with the relay at once, each one request after the other.
pub(crate) trait Script {
    /// How many jobs there are.
    fn jobs(&self) -> usize;
    /// The first request of a job.
    fn first(&mut self, job: usize) -> RequestBuilder<'_>;
    /// Looks at a reply; the next request of that job, or nothing when it is done.
    fn reply(&mut self, job: usize, reply: &Response<'_>) -> Result<Option<RequestBuilder<'_>>>;
}

/// A conversation of one request.
struct Once<F, T> {
    request: Option<RequestBuilder<'static>>,
    read: F,
    answer: Option<T>,
}

impl<T, F: FnMut(&Response<'_>) -> Result<T>> Script for Once<F, T> {
    fn jobs(&self) -> usize {
        1
    }

    fn first(&mut self, _: usize) -> RequestBuilder<'_> {
        self.request
            .take()
            .expect("there is one job and it begins once")
    }

    fn reply(&mut self, _: usize, reply: &Response<'_>) -> Result<Option<RequestBuilder<'_>>> {
        self.answer = Some((self.read)(reply)?);
        Ok(None)
    }
}

struct Pending {
    job: usize,
    datagram: Vec<u8>,
    first_sent: Instant,
    last_sent: Instant,
    tries: u32,
}

/// An NG client.
pub(crate) struct Client {
    socket: UdpSocket,
    wait: Wait,
    prefix: String,
    count: u64,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects to the relay; nothing is sent yet.
    pub(crate) fn connect(relay: &Relay) -> Result<Self> {
        let socket = netns::inside(relay.netns.as_deref(), || {
            let socket = Socket::new(Domain::for_address(relay.ng), Type::DGRAM, None)?;
            socket.set_recv_buffer_size(4 << 20)?;
            let any: IpAddr = match relay.ng {
                SocketAddr::V4(_) => [0, 0, 0, 0].into(),
                SocketAddr::V6(_) => [0_u16; 8].into(),
            };
            socket.bind(&SocketAddr::new(any, 0).into())?;
            socket.connect(&relay.ng.into())?;
            Ok(UdpSocket::from(socket))
        })
        .with_context(|| format!("NG socket towards {}", relay.ng))?;
        let prefix = format!("{:x}-{:x}", std::process::id(), clock::realtime());
        Ok(Self {
            socket,
            wait: relay.wait,
            prefix,
            count: 0,
            buffer: vec![0; LONGEST],
        })
    }

    /// Asks once, with the usual patience, and reads the reply by `read`.
    pub(crate) fn ask<T>(
        &mut self,
        request: RequestBuilder<'static>,
        read: impl FnMut(&Response<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut once = Once {
            request: Some(request),
            read,
            answer: None,
        };
        self.run(&mut once, 1)?;
        once.answer.context("no reply")
    }

    /// Waits until the relay answers a ping, at most `patience`.
    pub(crate) fn wait_until_up(&mut self, patience: Duration) -> Result<()> {
        let until = clock::now() + patience;
        self.socket.set_nonblocking(false)?;
        let ping = RequestBuilder::new(Command::Ping);
        loop {
            let cookie = self.cookie();
            let datagram = ping.to_bytes(Some(&cookie), Format::Bencode);
            self.socket
                .set_read_timeout(Some(Duration::from_millis(100)))?;
            // Refused while the relay is starting; that is what we wait for.
            if self.socket.send(&datagram).is_ok()
                && let Ok(len) = self.socket.recv(&mut self.buffer)
                // Any ping will do: where a refusal came in between, each reply is to the one before.
                && self.buffer[..len].starts_with(self.prefix.as_bytes())
            {
                return Ok(());
            }
            if clock::now() > until {
                let peer = self.socket.peer_addr()?;
                bail!("no NG answer from {peer}: is a relay listening there?");
            }
            clock::sleep(Duration::from_millis(20));
        }
    }

    /// Plays `script` with at most `window` requests in flight.
    pub(crate) fn run(&mut self, script: &mut impl Script, window: usize) -> Result<NgTimes> {
        let mut times = NgTimes::new();
        let mut pending: HashMap<Vec<u8>, Pending> = HashMap::new();
        let (jobs, mut started) = (script.jobs(), 0);
        self.socket.set_read_timeout(Some(GLANCE))?;
        self.socket.set_nonblocking(self.wait == Wait::Spinning)?;
        let start = clock::now();
        while started < jobs || !pending.is_empty() {
            while started < jobs && pending.len() < window.max(1) {
                let cookie = self.cookie();
                let request = script.first(started);
                self.send(&mut pending, cookie, started, &request)?;
                started += 1;
            }
            let Some(len) = self.receive()? else {
                times.retransmitted += self.resend(&mut pending)?;
                continue;
            };
            let cookie = self.cookie();
            let reply = Response::parse(&self.buffer[..len])
                .map_err(|e| anyhow!("not an NG reply: {e:?}"))?;
            // A reply to a retransmission that was answered before is nobody's.
            let Some(done) = pending.remove(reply.cookie) else {
                continue;
            };
            let took = (clock::now() - done.first_sent).as_nanos() as u64;
            times.latency.saturating_record(took);
            if let Some(request) = script.reply(done.job, &reply)? {
                self.send(&mut pending, cookie, done.job, &request)?;
            }
        }
        times.elapsed = clock::now() - start;
        Ok(times)
    }

    fn cookie(&mut self) -> Vec<u8> {
        self.count += 1;
        format!("{}-{}", self.prefix, self.count).into_bytes()
    }

    fn send(
        &self,
        pending: &mut HashMap<Vec<u8>, Pending>,
        cookie: Vec<u8>,
        job: usize,
        request: &RequestBuilder<'_>,
    ) -> Result<()> {
        let datagram = request.to_bytes(Some(&cookie), Format::Bencode);
        let now = clock::now();
        self.socket
            .send(&datagram)
            .context("sending an NG request")?;
        let entry = Pending {
            job,
            datagram,
            first_sent: now,
            last_sent: now,
            tries: 1,
        };
        pending.insert(cookie, entry);
        Ok(())
    }

    /// One datagram, if it comes soon.
    fn receive(&mut self) -> Result<Option<usize>> {
        let until = clock::now() + GLANCE;
        loop {
            match self.socket.recv(&mut self.buffer) {
                Ok(len) => return Ok(Some(len)),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if self.wait == Wait::Asleep || clock::now() > until {
                        return Ok(None);
                    }
                    std::hint::spin_loop();
                }
                Err(e) => return Err(e).context("the relay's NG port"),
            }
        }
    }

    fn resend(&self, pending: &mut HashMap<Vec<u8>, Pending>) -> Result<u64> {
        let now = clock::now();
        let mut resent = 0;
        for entry in pending.values_mut() {
            if now - entry.last_sent < PATIENCE {
                continue;
            }
            if entry.tries == TRIES {
                bail!("no NG reply to request {} after {TRIES} tries", entry.job);
            }
            self.socket.send(&entry.datagram)?;
            entry.last_sent = now;
            entry.tries += 1;
            resent += 1;
        }
        Ok(resent)
    }
}
