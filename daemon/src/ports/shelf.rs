//! The ports of one address and range, as pairs: an even port and the odd one after it.
//!
//! A pair is *cold* (no socket), *warm* (its sockets stay open at a worker while nobody leases it) or
//! leased. Free pairs are taken longest-rested first, and rest before they are taken again. A port
//! that another process holds is put aside for a while.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use patchcord_contract::Time;
use patchcord_control::Count;
use patchcord_media::flow::PortId;

use super::Door;
use crate::config::PortRange;

/// How long a pair that could not be opened is left alone.
const ASIDE: Duration = Duration::from_secs(30);
/// Pairs tried for one lease before it is refused.
const ATTEMPTS: usize = 64;
/// Warm pairs of another worker that are closed at once when a worker has none left.
const MOVED: usize = 32;

/// Which half of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The even port: RTP, or everything.
    Even,
    /// The odd port: RTCP.
    Odd,
}

/// How long ports rest.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    /// While others are to be had.
    pub preferred: Duration,
    /// In any case.
    pub least: Duration,
}

/// The ports of one address and range.
#[derive(Debug)]
pub struct Shelf {
    address: IpAddr,
    range: PortRange,
    pairs: Vec<Pair>,
    /// Pairs without sockets.
    cold: VecDeque<u32>,
    /// Pairs with open sockets, by worker.
    warm: Vec<VecDeque<u32>>,
    /// Pairs put aside, and until when.
    aside: VecDeque<(Time, u32)>,
    leased: usize,
    failures: u64,
}

#[derive(Debug)]
struct Pair {
    port: u16,
    /// When it was given back, or closed.
    since: Time,
    even: Socket,
    odd: Socket,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Socket {
    #[default]
    Closed,
    Open(PortId),
    Leased(PortId),
}

/// How many ports are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ports of the range that have a partner.
    pub total: usize,
    /// Ports in use, partners that they keep from use included.
    pub leased: usize,
    /// Free ports that were in use a moment ago.
    pub resting: usize,
    /// Ports put aside because they could not be opened.
    pub aside: usize,
    /// Ports that could not be opened, since start.
    pub failures: u64,
}

impl Counts {
    /// Ports that can be leased, resting ones included.
    pub fn free(&self) -> usize {
        self.total - self.leased - self.aside
    }
}

/// What a pair's lease consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The pair.
    pub pair: u32,
    /// The even port's number.
    pub port: u16,
    /// The even port.
    pub even: PortId,
    /// The odd port, if asked for.
    pub odd: Option<PortId>,
}

impl Shelf {
    /// The pairs of `range` in an order drawn from `seed`.
    pub fn new(address: IpAddr, range: PortRange, workers: usize, seed: u64) -> Self {
        let closed = Socket::Closed;
        let pairs: Vec<_> = range
            .pairs()
            .map(|port| Pair {
                port,
                since: Time::ZERO,
                even: closed,
                odd: closed,
            })
            .collect();
        let mut order: Vec<u32> = (0..pairs.len() as u32).collect();
        shuffle(&mut order, seed);
        Self {
            address,
            range,
            pairs,
            cold: order.into(),
            warm: (0..workers).map(|_| VecDeque::new()).collect(),
            aside: VecDeque::new(),
            leased: 0,
            failures: 0,
        }
    }

    /// The address and range.
    pub fn key(&self) -> (IpAddr, PortRange) {
        (self.address, self.range)
    }

    /// Whether `worker` could get a pair without moving any.
    pub fn serves(&self, now: Time, rest: Rest, worker: u8) -> bool {
        let rested = |pair: Option<&u32>| pair.is_some_and(|p| self.rested(now, *p) >= rest.least);
        rested(self.cold.front()) || rested(self.warm[usize::from(worker)].front())
    }

    /// Takes a pair for `worker`, opening what is closed.
    pub fn lease(
        &mut self,
        now: Time,
        rest: Rest,
        worker: u8,
        count: Count,
        door: &mut impl Door,
    ) -> Option<Taken> {
        self.end_aside(now);
        let mine = usize::from(worker);
        for wanted in [rest.preferred, rest.least] {
            while let Some(pair) = self.pop_warm(now, mine, wanted) {
                if let Ok(taken) = self.open(now, worker, pair, count, door) {
                    return Some(taken);
                }
            }
            for _ in 0..ATTEMPTS {
                let Some(pair) = self.pop_cold(now, rest.least) else {
                    break;
                };
                match self.open(now, worker, pair, count, door) {
                    Ok(taken) => return Some(taken),
                    // Not this port's fault: no descriptor, no room. The others would fail alike.
                    Err(e) if !is_taken(&e) => break,
                    Err(_) => {}
                }
            }
        }
        self.move_from_others(now, rest, mine, door);
        None
    }

    /// Takes back one half; `true` once the whole pair is free.
    pub fn release(&mut self, now: Time, pair: u32, half: Half) -> bool {
        let entry = &mut self.pairs[pair as usize];
        let socket = match half {
            Half::Even => &mut entry.even,
            Half::Odd => &mut entry.odd,
        };
        let Socket::Leased(id) = *socket else {
            return false;
        };
        *socket = Socket::Open(id);
        let leased = |socket| matches!(socket, Socket::Leased(_));
        if leased(entry.even) || leased(entry.odd) {
            return false;
        }
        entry.since = now;
        self.leased -= 1;
        self.warm[usize::from(id.worker())].push_back(pair);
        true
    }

    /// Closes the free pair that came back last at `worker`; `false` if there is none.
    pub fn cool(&mut self, now: Time, worker: u8, door: &mut impl Door) -> bool {
        let Some(pair) = self.warm[usize::from(worker)].pop_back() else {
            return false;
        };
        self.close(now, pair, door);
        self.cold.push_back(pair);
        true
    }

    /// Opens one cold pair for `worker` ahead of its first lease; `false` if that failed.
    pub fn warm_up(&mut self, now: Time, worker: u8, door: &mut impl Door) -> bool {
        let Some(pair) = self.pop_cold(now, Duration::ZERO) else {
            return false;
        };
        let since = self.pairs[pair as usize].since;
        match self.open(now, worker, pair, Count::Pair, door) {
            Ok(_) => {
                self.release(since, pair, Half::Odd);
                self.release(since, pair, Half::Even)
            }
            Err(_) => false,
        }
    }

    /// Sockets open and not leased.
    pub fn warm_pairs(&self) -> usize {
        self.warm.iter().map(VecDeque::len).sum()
    }

    /// How many ports are what.
    pub fn counts(&self, now: Time, rest: Rest) -> Counts {
        // Both lists are in the order of being given back, so the resting ones are at the end.
        let resting = |list: &VecDeque<u32>| {
            list.len() - list.partition_point(|pair| self.rested(now, *pair) >= rest.preferred)
        };
        let resting = resting(&self.cold) + self.warm.iter().map(resting).sum::<usize>();
        Counts {
            total: 2 * self.pairs.len(),
            leased: 2 * self.leased,
            resting: 2 * resting,
            aside: 2 * self.aside.len(),
            failures: self.failures,
        }
    }

    fn rested(&self, now: Time, pair: u32) -> Duration {
        match self.pairs[pair as usize].since {
            Time::ZERO => Duration::MAX,
            since => now.since(since),
        }
    }

    fn pop_warm(&mut self, now: Time, worker: usize, rest: Duration) -> Option<u32> {
        let front = *self.warm[worker].front()?;
        if self.rested(now, front) < rest {
            return None;
        }
        self.warm[worker].pop_front()
    }

    fn pop_cold(&mut self, now: Time, rest: Duration) -> Option<u32> {
        let front = *self.cold.front()?;
        if self.rested(now, front) < rest {
            return None;
        }
        self.cold.pop_front()
    }

    /// Opens what is closed of `pair` and leases it; on failure the pair is put where it belongs.
    fn open(
        &mut self,
        now: Time,
        worker: u8,
        pair: u32,
        count: Count,
        door: &mut impl Door,
    ) -> io::Result<Taken> {
        let port = self.pairs[pair as usize].port;
        let halves = match count {
            Count::Pair => &[Half::Even, Half::Odd][..],
            Count::Single => &[Half::Even],
        };
        for half in halves {
            if let Err(error) = self.open_half(worker, pair, *half, door) {
                self.failures += 1;
                self.close(now, pair, door);
                if is_taken(&error) {
                    tracing::debug!(address = %self.address, port, %error, "port put aside");
                    self.aside.push_back((now + ASIDE, pair));
                } else {
                    tracing::warn!(address = %self.address, port, %error, "no port can be opened");
                    self.cold.push_front(pair);
                }
                return Err(error);
            }
        }
        self.leased += 1;
        let entry = &mut self.pairs[pair as usize];
        let lease = |socket: &mut Socket| match *socket {
            Socket::Open(id) | Socket::Leased(id) => {
                *socket = Socket::Leased(id);
                Some(id)
            }
            Socket::Closed => None,
        };
        let even = lease(&mut entry.even).ok_or(io::ErrorKind::NotConnected)?;
        let odd = if count == Count::Pair {
            lease(&mut entry.odd)
        } else {
            None
        };
        Ok(Taken {
            pair,
            port,
            even,
            odd,
        })
    }

    fn open_half(
        &mut self,
        worker: u8,
        pair: u32,
        half: Half,
        door: &mut impl Door,
    ) -> io::Result<()> {
        let entry = &mut self.pairs[pair as usize];
        let (socket, port) = match half {
            Half::Even => (&mut entry.even, entry.port),
            Half::Odd => (&mut entry.odd, entry.port + 1),
        };
        if *socket == Socket::Closed {
            *socket = Socket::Open(door.open(worker, SocketAddr::new(self.address, port))?);
        }
        Ok(())
    }

    fn close(&mut self, now: Time, pair: u32, door: &mut impl Door) {
        let entry = &mut self.pairs[pair as usize];
        for socket in [&mut entry.even, &mut entry.odd] {
            if let Socket::Open(id) = std::mem::take(socket) {
                door.close(id);
                entry.since = now;
            }
        }
    }

    fn end_aside(&mut self, now: Time) {
        while let Some((until, pair)) = self.aside.front().copied()
            && until <= now
        {
            self.aside.pop_front();
            self.cold.push_back(pair);
        }
    }

    /// A worker that has nothing left gets some of what others keep warm, once it has rested.
    fn move_from_others(&mut self, now: Time, rest: Rest, mine: usize, door: &mut impl Door) {
        let others = (0..self.warm.len()).filter(|worker| *worker != mine);
        let Some(richest) = others.max_by_key(|worker| self.warm[*worker].len()) else {
            return;
        };
        for _ in 0..MOVED.min(self.warm[richest].len().div_ceil(2)) {
            let Some(pair) = self.pop_warm(now, richest, rest.least) else {
                break;
            };
            self.close(now, pair, door);
            self.cold.push_back(pair);
        }
    }
}

/// Whether the port itself cannot be had, as opposed to any port at all.
fn is_taken(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::AddrInUse | K::PermissionDenied)
}

/// Fisher and Yates, drawn from splitmix64.
fn shuffle(order: &mut [u32], seed: u64) {
    let mut state = seed;
    for i in (1..order.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        let random = z ^ z >> 31;
        order.swap(i, ((u128::from(random) * (i as u128 + 1)) >> 64) as usize);
    }
}
