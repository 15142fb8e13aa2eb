//! Numbers that the control loop writes and metrics read, without a lock.
//!
//! A histogram is an array of [`Cell`]s, as everything here: one writer, relaxed loads and stores.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use patchcord_control::{EndReason, Spans};
use patchcord_dtls::pool::FAILURES;
use patchcord_media::stats::Cell;
use patchcord_wire::ng::Command;

use crate::config::Interface;

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A unit of a TCP connection.
    Tcp,
    /// An HTTP request.
    Http,
    /// A WebSocket message.
    WebSocket,
}

impl Transport {
    /// All of them, in counter order.
    pub const ALL: [Self; 4] = [Self::Udp, Self::Tcp, Self::Http, Self::WebSocket];

    /// The label used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::WebSocket => "ws",
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `ok` or `pong`.
    Ok,
    /// `error`.
    Error,
    /// `load limit`.
    LoadLimit,
}

impl Outcome {
    /// All of them, in counter order.
    pub const ALL: [Self; 3] = [Self::Ok, Self::Error, Self::LoadLimit];

    /// The label used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::LoadLimit => "load_limit",
        }
    }
}

/// Upper bounds of the latency histogram's buckets, in microseconds.
pub const LATENCY_BOUNDS: [u64; 12] = [
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 100_000, 1_000_000,
];

/// How long requests took.
#[derive(Debug, Default)]
pub struct Latency {
    /// One bucket per bound and one above them.
    pub buckets: [Cell; LATENCY_BOUNDS.len() + 1],
    /// Nanoseconds of all together.
    pub sum: Cell,
}

impl Latency {
    fn record(&self, took: Duration) {
        let us = took.as_micros() as u64;
        let bucket = LATENCY_BOUNDS.iter().position(|bound| us <= *bound);
        self.buckets[bucket.unwrap_or(LATENCY_BOUNDS.len())].add(1);
        self.sum.add(took.as_nanos() as u64);
    }
}

/// What one command word came to.
#[derive(Debug, Default)]
pub struct CommandFigures {
    /// Requests by transport and outcome.
    pub requests: [[Cell; Outcome::ALL.len()]; Transport::ALL.len()],
    /// From the first byte read to the reply handed to the kernel or to the connection.
    pub latency: Latency,
}

/// The ports of one interface.
#[derive(Debug, Default)]
pub struct PortFigures {
    /// Ports leased.
    pub leased: Cell,
    /// Ports free, resting ones included.
    pub free: Cell,
    /// Free ports that rest.
    pub resting: Cell,
    /// Ports put aside.
    pub aside: Cell,
    /// Failures to open one.
    pub failures: Cell,
}

/// One worker's queues.
#[derive(Debug, Default)]
pub struct QueueFigures {
    /// Commands waiting.
    pub commands: Cell,
    /// Events waiting.
    pub events: Cell,
}

/// How long things took.
#[derive(Debug, Default)]
pub struct SpanFigures {
    /// How many, by the bounds of [`Spans`].
    pub counts: [Cell; Spans::BOUNDS.len() + 1],
    /// All together in microseconds.
    pub sum_us: Cell,
}

impl SpanFigures {
    /// Takes over what control counted.
    pub fn set(&self, spans: &Spans) {
        for (cell, count) in self.counts.iter().zip(spans.counts()) {
            cell.set(*count);
        }
        self.sum_us.set(spans.sum().as_micros() as u64);
    }
}

/// Everything the control loop counts.
#[derive(Debug)]
pub struct Figures {
    commands: Box<[CommandFigures]>,
    /// Requests answered with kept bytes, by transport.
    pub repeated: [Cell; Transport::ALL.len()],
    /// Messages without a cookie, dropped.
    pub without_cookie: Cell,
    /// Messages that were neither bencode nor JSON.
    pub malformed: Cell,
    /// Replies the kernel refused.
    pub unsent: Cell,
    /// Replies kept for repeated requests.
    pub kept: Cell,
    /// Their bytes.
    pub kept_bytes: Cell,
    /// Calls now.
    pub calls: Cell,
    /// Of these, deleted and still forwarding.
    pub deleting: Cell,
    /// Legs of all calls.
    pub legs: Cell,
    /// Media sections of all legs.
    pub sections: Cell,
    /// Calls made by an offer, since start.
    pub created: Cell,
    /// Calls refused by a limit.
    pub refused: Cell,
    /// Calls over, by reason.
    pub ended: [Cell; EndReason::ALL.len()],
    /// Calls over that had media in one direction only.
    pub one_way: Cell,
    /// Calls over without a packet.
    pub silent: Cell,
    /// Sections whose ICE connected, failed, was lost, or had a conflict of roles that we gave way in.
    pub ice: [Cell; 4],
    /// How long those took that connected.
    pub ice_took: SpanFigures,
    /// Handshakes that made keys, then those that failed, in the order of [`FAILURES`].
    pub dtls: [Cell; 1 + FAILURES.len()],
    /// How long those took that made keys.
    pub dtls_took: SpanFigures,
    /// Associations now, handshakes begun again with the other library, and associations refused.
    pub dtls_pool: [Cell; 3],
    /// DTLS datagrams for no association, not sent because control is behind, and not read because handshakes are.
    pub dtls_lost: [Cell; 3],
    /// Milliseconds that calls lasted, all together.
    pub duration_ms: Cell,
    /// By interface.
    pub ports: Box<[PortFigures]>,
    /// By worker.
    pub queues: Box<[QueueFigures]>,
    /// The interfaces that `ports` counts for.
    pub interfaces: ArcSwap<Vec<Interface>>,
    /// Requests are answered.
    ready: AtomicBool,
    /// No new calls are taken.
    draining: AtomicBool,
}

impl Figures {
    /// All at zero.
    pub fn new(workers: usize) -> Self {
        let commands = (0..=Command::all().count()).map(|_| CommandFigures::default());
        let ports = (0..=u8::MAX).map(|_| PortFigures::default());
        Self {
            commands: commands.collect(),
            repeated: Default::default(),
            without_cookie: Cell::default(),
            malformed: Cell::default(),
            unsent: Cell::default(),
            kept: Cell::default(),
            kept_bytes: Cell::default(),
            calls: Cell::default(),
            deleting: Cell::default(),
            legs: Cell::default(),
            sections: Cell::default(),
            created: Cell::default(),
            refused: Cell::default(),
            ended: Default::default(),
            one_way: Cell::default(),
            silent: Cell::default(),
            ice: Default::default(),
            ice_took: SpanFigures::default(),
            dtls: Default::default(),
            dtls_took: SpanFigures::default(),
            dtls_pool: Default::default(),
            dtls_lost: Default::default(),
            duration_ms: Cell::default(),
            ports: ports.collect(),
            queues: (0..workers).map(|_| QueueFigures::default()).collect(),
            interfaces: ArcSwap::default(),
            ready: AtomicBool::new(false),
            draining: AtomicBool::new(false),
        }
    }

    /// The figures of a command word; `None` stands for words that mean nothing.
    pub fn command(&self, command: Option<Command>) -> &CommandFigures {
        &self.commands[command.map_or(self.commands.len() - 1, |command| command as usize)]
    }

    /// Counts a request.
    pub fn request(
        &self,
        command: Option<Command>,
        transport: Transport,
        outcome: Outcome,
        took: Duration,
    ) {
        let figures = self.command(command);
        figures.requests[transport as usize][outcome as usize].add(1);
        figures.latency.record(took);
    }

    /// Says whether requests are answered, and whether new calls are taken.
    pub fn set_state(&self, ready: bool, draining: bool) {
        self.ready.store(ready, Relaxed);
        self.draining.store(draining, Relaxed);
    }

    /// Whether requests are answered and new calls are taken.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Relaxed) && !self.draining.load(Relaxed)
    }

    /// Whether new calls are refused so that the relay empties.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_falls_into_the_bucket_that_bounds_it() {
        let latency = Latency::default();
        for us in [0, 10, 11, 999, 1_000, 2_000_000] {
            latency.record(Duration::from_micros(us));
        }
        let counts = latency.buckets.each_ref().map(Cell::get);
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1]);
        assert_eq!(latency.sum.get(), 2_002_020_000);
    }

    #[test]
    fn a_draining_relay_is_not_ready() {
        let figures = Figures::new(1);
        assert!(!figures.is_ready());
        figures.set_state(true, false);
        assert!(figures.is_ready());
        figures.set_state(true, true);
        assert!(!figures.is_ready());
    }

    #[test]
    fn a_word_that_means_nothing_has_figures_of_its_own() {
        let figures = Figures::new(1);
        figures.request(None, Transport::Tcp, Outcome::Error, Duration::ZERO);
        figures.request(
            Some(Command::Transform),
            Transport::Udp,
            Outcome::Ok,
            Duration::ZERO,
        );
        assert_eq!(
            figures.command(None).requests[1].each_ref().map(Cell::get),
            [0, 1, 0]
        );
        let transform = &figures.command(Some(Command::Transform)).requests;
        assert_eq!(transform[0].each_ref().map(Cell::get), [1, 0, 0]);
    }
}
