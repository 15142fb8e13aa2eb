//! The control loop: datagrams, questions of the edges, events of the workers, signals and time.
//!
//! Each turn takes a bounded amount of everything that is ready, so that a flood of one never keeps
//! the others waiting.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use patchcord_contract::Time;
use patchcord_engine::monotonic;

use super::handler::Handler;
use super::mailbox::Mailbox;
use super::udp::{BATCH, Listener, Path, Taken};
use crate::figures::Transport;
use crate::notify::Notify;
use crate::signals::{Signals, Wish};

/// Bytes of replies in a turn that need no more room.
const REPLIES: usize = 64 << 10;
/// Questions in a turn.
const QUESTIONS: usize = 64;
/// Events of one worker in a turn.
const EVENTS: usize = 1_024;
/// Calls are looked at no more often than this.
const TICK: Duration = Duration::from_millis(50);
/// Figures that nobody asks for are brought up to date this often.
const PUBLISH: Duration = Duration::from_secs(1);

/// Numbers by which epoll names what is ready.
const MAILBOX: u64 = 0;
const SIGNALS: u64 = 1;
const HANDSHAKES: u64 = 2;
const WORKERS: u64 = 0x100;
const LISTENERS: u64 = 0x200;

/// The control loop.
#[derive(Debug)]
pub struct Turn {
    epoll: Epoll,
    handler: Handler,
    listeners: Vec<Listener>,
    mailbox: Arc<Mailbox>,
    signals: Signals,
    notify: Notify,
    ticked: Time,
    published: Time,
    /// Where datagrams are read to.
    taken: Taken,
    /// Replies back to back, and for each its way and its end.
    replies: Vec<u8>,
    paths: Vec<(Path, usize)>,
    going: Going,
}

/// Why the loop goes on or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    On,
    Stopped,
    WorkerLost(usize),
    HandshakesLost,
}

impl Turn {
    /// Watches everything.
    pub fn new(
        mut handler: Handler,
        listeners: Vec<Listener>,
        mailbox: Arc<Mailbox>,
        signals: Signals,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let readable = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
        epoll.add(&*mailbox, readable(MAILBOX))?;
        epoll.add(&signals, readable(SIGNALS))?;
        epoll.add(handler.handshakes.events_fd(), readable(HANDSHAKES))?;
        let crew = handler.ports.door();
        for worker in 0..crew.len() {
            epoll.add(crew.events_fd(worker), readable(WORKERS + worker as u64))?;
        }
        for (index, listener) in listeners.iter().enumerate() {
            epoll.add(listener, readable(LISTENERS + index as u64))?;
        }
        let now = monotonic();
        Ok(Self {
            epoll,
            handler,
            listeners,
            mailbox,
            signals,
            notify: Notify::new(now),
            ticked: now,
            published: now,
            taken: Taken::new(),
            replies: Vec::with_capacity(REPLIES),
            paths: Vec::with_capacity(BATCH),
            going: Going::On,
        })
    }

    /// Turns until a signal, or the end of a drain, stops it; then everything is closed.
    pub fn run(mut self) -> io::Result<()> {
        self.handler.publish(self.ticked);
        Notify::ready();
        let mut ready = [EpollEvent::empty(); 64];
        while self.going == Going::On {
            let count = match self.epoll.wait(&mut ready, self.patience()) {
                Ok(count) => count,
                Err(nix::errno::Errno::EINTR) => 0,
                Err(error) => return Err(error.into()),
            };
            for event in &ready[..count] {
                self.serve(event.data());
            }
            self.time();
        }
        Notify::stopping();
        self.handler.figures.set_state(false, true);
        let Self {
            handler,
            listeners,
            going,
            ..
        } = self;
        drop(listeners);
        let stopped = handler.stop();
        match going {
            Going::On | Going::Stopped => stopped,
            Going::HandshakesLost => {
                Err(io::Error::other("the handshakes' thread ended by itself"))
            }
            Going::WorkerLost(worker) => Err(match stopped {
                Ok(()) => io::Error::other(format!("worker {worker} ended by itself")),
                Err(error) => io::Error::new(error.kind(), format!("worker {worker}: {error}")),
            }),
        }
    }

    fn serve(&mut self, token: u64) {
        match token {
            MAILBOX => {
                for _ in 0..QUESTIONS {
                    let Some(letter) = self.mailbox.next() else {
                        break;
                    };
                    let answer = self.handler.ask(letter.transport, &letter.ask);
                    self.handler.wake();
                    // Its author may have gone.
                    let _gone = letter.answer.send(answer);
                }
                // What is left rings again by itself: the bell is only silenced by an empty box.
            }
            SIGNALS => {
                while let Some(wish) = self.signals.next() {
                    self.wish(wish);
                }
            }
            HANDSHAKES => {
                self.handler.handshake_events(EVENTS);
                self.handler.wake();
            }
            WORKERS..LISTENERS => {
                let worker = (token - WORKERS) as usize;
                self.handler.events(worker, EVENTS);
                self.handler.wake();
                if self.handler.ports.door().missing().is_some() {
                    self.going = Going::WorkerLost(worker);
                }
            }
            _ => self.datagrams((token - LISTENERS) as usize),
        }
    }

    /// Executes what waits, then wakes the workers once for all of it, then replies.
    fn datagrams(&mut self, index: usize) {
        let listener = &mut self.listeners[index];
        if let Err(error) = listener.take(&mut self.taken) {
            if error.kind() != io::ErrorKind::WouldBlock {
                // An ICMP error of an earlier reply is reported here, once.
                tracing::debug!(%error, "NG socket");
            }
            return;
        }
        for (datagram, path) in self.taken.iter() {
            if self
                .handler
                .unit(Transport::Udp, datagram, &mut self.replies)
            {
                self.paths.push((path, self.replies.len()));
            }
        }
        self.handler.wake();
        let mut start = 0;
        let replies: Vec<(Path, &[u8])> = self
            .paths
            .drain(..)
            .map(|(path, end)| (path, &self.replies[std::mem::replace(&mut start, end)..end]))
            .collect();
        let unsent = &self.handler.figures.unsent;
        listener.reply_all(&replies, |path, len, error| {
            unsent.add(1);
            tracing::warn!(peer = %path.peer, len, %error, "reply not sent");
        });
        self.replies.clear();
        self.replies.shrink_to(REPLIES);
    }

    fn wish(&mut self, wish: Wish) {
        match wish {
            Wish::Stop => {
                tracing::info!(calls = self.handler.control.gauges().calls, "asked to end");
                self.going = Going::Stopped;
            }
            Wish::Reload => {
                Notify::reloading();
                // Either way it is in the log, and the relay goes on.
                let _told = self.handler.reload();
                Notify::ready();
            }
            Wish::Louder => self.handler.process.log.step(true),
            Wish::Quieter => self.handler.process.log.step(false),
        }
    }

    /// Does what is due.
    fn time(&mut self) {
        let now = monotonic();
        let due = self.handler.next_due().is_some_and(|due| due <= now);
        if self.handler.is_behind() {
            self.handler.submit();
            self.handler.wake();
        }
        if self.handler.next_pulse().is_some_and(|at| at <= now) {
            self.handler.pulse();
            self.handler.wake();
        }
        if now.since(self.ticked) >= PUBLISH || due && now.since(self.ticked) >= TICK {
            self.ticked = now;
            self.handler.tick();
            self.handler.wake();
        }
        if now.since(self.published) >= PUBLISH {
            self.published = now;
            self.second(now);
        }
    }

    /// Once a second.
    fn second(&mut self, now: Time) {
        self.handler.measure(now);
        self.handler.renew();
        self.handler.publish(now);
        if let Some(worker) = self.handler.ports.door().missing() {
            self.going = Going::WorkerLost(worker);
        }
        if !self.handler.handshakes.is_running() {
            self.going = Going::HandshakesLost;
        }
        let figures = &self.handler.figures;
        let calls = figures.calls.get();
        let draining = figures.is_draining();
        self.notify.tick(now, || {
            if draining {
                format!("draining, {calls} calls left")
            } else {
                format!("{calls} calls")
            }
        });
        if draining && calls == 0 && self.handler.process.config.process.exit_when_drained {
            tracing::info!("drained");
            self.going = Going::Stopped;
        }
    }

    /// How long there is nothing to do unless something happens.
    fn patience(&self) -> EpollTimeout {
        let now = monotonic();
        let second = PUBLISH.saturating_sub(now.since(self.published));
        let tick = TICK.saturating_sub(now.since(self.ticked));
        let due = self
            .handler
            .next_due()
            .map_or(second, |due| due.since(now).max(tick));
        let behind = if self.handler.is_behind() {
            Duration::from_millis(1)
        } else {
            second
        };
        let pulse = self.handler.next_pulse();
        let pulse = pulse.map_or(second, |at| at.since(now));
        let wait = due
            .min(pulse)
            .min(second)
            .min(self.notify.patience())
            .min(behind);
        // Rounded up: to wake a moment early is to wake twice.
        let millis = wait.as_nanos().div_ceil(1_000_000);
        EpollTimeout::from(u16::try_from(millis).unwrap_or(u16::MAX))
    }
}
