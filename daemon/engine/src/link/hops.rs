//! Where packets leave, as far as the kernel has said: remembered by the addresses of both ends, until it tells
//! of a change.
//!
//! A packet never waits: what is not known yet is asked for at the end of the turn, and goes the other way
//! meanwhile. So does one packet of 1,024, by which the kernel learns that the neighbour is still needed, and
//! asks whether it is still there.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use patchcord_contract::{Addr, Time};
use patchcord_offload::CHANGES;
use rustc_hash::FxBuildHasher;

use super::Course;
use super::ask::{Answer, Kernel, Neighbour};
use super::netlink::Netlink;

/// Of so many packets to a hop, one is left to the kernel.
const ASKS: u16 = 1024;
/// Questions in one turn.
const PER_TURN: usize = 8;
/// Questions that can wait.
const WAITING: usize = 1024;
/// Courses remembered.
const MOST: usize = 1 << 16;
/// How long nothing is asked after a change: it rarely comes alone.
const QUIET: Duration = Duration::from_secs(1);
/// How long an answer holds: what the kernel does not tell of, such as the MTU of a path, is found then.
const FRESH: Duration = Duration::from_secs(10);

/// Where a packet leaves, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    /// Index of the interface that the route names.
    pub(crate) interface: u32,
    /// Index of the interface that sees tagged frames: the one below a VLAN, or the same.
    pub(crate) under: u32,
    /// The VLAN tag that they have there; 0: none.
    pub(crate) vlan: u16,
    /// The neighbour's hardware address.
    pub(crate) to: [u8; 6],
    /// The interface's own.
    pub(crate) from: [u8; 6],
    /// Longest IP packet that it takes.
    pub(crate) mtu: u16,
    /// Time to live or hop limit that packets leave with.
    pub(crate) life: u8,
}

/// What a route depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Path {
    pub(super) from: Addr,
    pub(super) to: Addr,
    /// The interface that it must leave by; 0: any.
    pub(super) interface: u32,
    pub(super) tos: u8,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    answer: Answer,
    /// Packets until one is left to the kernel.
    left: u16,
    /// Whether anybody has asked since the kernel was.
    is_used: bool,
    /// Whether it stands among the questions.
    is_wanted: bool,
    /// When it was answered.
    asked: Time,
}

/// The hops of one worker.
#[derive(Debug)]
pub(crate) struct Hops {
    kernel: Kernel,
    news: Netlink,
    known: HashMap<Path, Known, FxBuildHasher>,
    wanted: VecDeque<Path>,
    /// What was answered, oldest first.
    answered: VecDeque<(Time, Path)>,
    /// Nothing is asked before.
    quiet: Time,
    /// When what the kernel said of all courses was forgotten last.
    forgotten: Time,
}

impl Hops {
    /// None known, and all news heard from here on.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self {
            // In this order: what changes after an answer is heard of.
            news: Netlink::open(libc::NETLINK_ROUTE, CHANGES)?,
            kernel: Kernel::open()?,
            known: HashMap::default(),
            wanted: VecDeque::with_capacity(WAITING),
            answered: VecDeque::new(),
            quiet: Time::ZERO,
            forgotten: Time::ZERO,
        })
    }

    /// Where a packet of this course leaves; `None` if it is to be left to the kernel.
    #[inline]
    pub(crate) fn find(&mut self, course: &Course) -> Option<Hop> {
        let path = Path {
            from: course.from.addr,
            to: course.to.addr,
            interface: course.interface(),
            // Congestion marks choose no route (RFC 3168 §5).
            tos: course.tos & 0xfc,
        };
        let Some(known) = self.known.get_mut(&path) else {
            self.want(path);
            return None;
        };
        known.is_used = true;
        let hop = known.answer.hop?;
        known.left = known.left.wrapping_sub(1) % ASKS;
        (known.left != 0).then_some(hop)
    }

    /// Whether the kernel is to be asked.
    pub(crate) fn has_questions(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// Hears the news, and asks the kernel what packets wanted to know, not much at once. To be called every
    /// turn in which there are questions or news, and every tick.
    pub(crate) fn tend(&mut self, now: Time) {
        self.hear(now);
        if now < self.quiet {
            return;
        }
        if now.since(self.forgotten) >= FRESH {
            self.forgotten = now;
            self.kernel.forget();
        }
        for _ in 0..PER_TURN {
            let Some(path) = self.wanted.pop_front().or_else(|| self.stale(now)) else {
                break;
            };
            self.ask(now, path);
        }
    }

    #[cold]
    fn want(&mut self, path: Path) {
        if self.wanted.len() >= WAITING || path.from.is_v4() != path.to.is_v4() {
            return;
        }
        if self.known.len() >= MOST {
            self.clear();
        }
        self.wanted.push_back(path);
        let known = Known {
            answer: Answer::NOTHING,
            left: ASKS,
            is_used: true,
            is_wanted: true,
            asked: Time::ZERO,
        };
        self.known.insert(path, known);
    }

    fn ask(&mut self, now: Time, path: Path) {
        let Some(known) = self.known.get_mut(&path) else {
            return;
        };
        let is_new = known.answer == Answer::NOTHING;
        known.answer = self.kernel.answer(&path);
        known.is_used = false;
        known.is_wanted = false;
        known.asked = now;
        if is_new {
            known.left = ASKS;
        }
        self.answered.push_back((now, path));
    }

    /// The oldest answer, if it is too old and somebody still asks.
    fn stale(&mut self, now: Time) -> Option<Path> {
        while let Some((at, path)) = self.answered.front().copied()
            && now.since(at) >= FRESH
        {
            self.answered.pop_front();
            match self.known.get(&path) {
                Some(known) if known.asked != at || known.is_wanted => {}
                Some(known) if known.is_used => return Some(path),
                _ => drop(self.known.remove(&path)),
            }
        }
        None
    }

    /// Hears what changed. A neighbour is a matter of those who leave by it; all else may concern everybody.
    fn hear(&mut self, now: Time) {
        let mut neighbours = Vec::new();
        let mut is_changed = false;
        let heard = self.news.hear(|kind, body| match kind {
            libc::RTM_NEWNEIGH => neighbours.extend(Neighbour::read(body)),
            libc::RTM_DELNEIGH => neighbours.extend(Neighbour::read(body).map(|gone| Neighbour {
                hardware: None,
                ..gone
            })),
            _ => is_changed = true,
        });
        if is_changed || heard.is_err() {
            self.clear();
            self.quiet = now + QUIET;
        }
        for neighbour in neighbours {
            self.moved(&neighbour);
        }
    }

    /// Courses by a neighbour that is elsewhere, or not there, are left to the kernel and asked for anew.
    fn moved(&mut self, neighbour: &Neighbour) {
        let wanted = &mut self.wanted;
        self.known.retain(|path, known| {
            let hardware = known.answer.hop.map(|hop| hop.to);
            if known.answer.neighbour != Some(neighbour.of) || hardware == neighbour.hardware {
                return true;
            }
            known.answer.hop = None;
            if !known.is_wanted && wanted.len() < WAITING {
                known.is_wanted = true;
                wanted.push_back(*path);
            }
            known.is_wanted
        });
    }

    fn clear(&mut self) {
        self.known.clear();
        self.wanted.clear();
        self.answered.clear();
        self.kernel.forget();
    }
}

impl AsFd for Hops {
    /// Readable when there are news.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }
}
