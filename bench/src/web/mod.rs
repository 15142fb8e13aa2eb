//! Browsers by the dozen: the client side of ICE-lite, DTLS and SRTP, with plain phones on the other
//! side of the relay (RFC 8445 §2.5, RFC 5764, RFC 9143).

mod call;
mod ice;
mod loss;
mod outcome;
mod sdp;
mod section;
mod transport;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use patchcord_dtls::{Certificate, KeyKind};

pub(crate) use call::{Call, Plan};
pub(crate) use loss::Loss;
pub(crate) use outcome::{Outcome, quantile};

use crate::ng::client::Client;
use crate::os::clock;

/// Nobody waits longer for media.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Calls being placed.
pub(crate) struct Crowd<'a> {
    plan: &'a Plan,
    certificate: Arc<Certificate>,
    active: Vec<Call>,
    placed: usize,
    /// Whose turn is next, where they take turns one by one.
    next: usize,
    start: Instant,
    outcome: Outcome,
}

impl<'a> Crowd<'a> {
    /// Nobody has called yet.
    pub(crate) fn new(plan: &'a Plan) -> Result<Self> {
        let today = clock::realtime() / 1_000_000_000;
        let certificate = Certificate::generate(KeyKind::P256, today);
        Ok(Self {
            plan,
            certificate: Arc::new(certificate.context("a certificate")?),
            active: Vec::new(),
            placed: 0,
            next: 0,
            start: clock::now(),
            outcome: Outcome::default(),
        })
    }

    /// Places the next call, if there is one to place and the window has room.
    pub(crate) fn place(&mut self, client: &mut Client) -> Result<bool> {
        let (plan, index) = (self.plan, self.placed);
        let room = index < plan.calls && self.active.len() < plan.window;
        if room {
            self.active
                .push(Call::place(client, plan, index, &self.certificate)?);
            self.placed += 1;
        }
        Ok(room)
    }

    /// Does what is due for one call, each in its turn.
    pub(crate) fn turn(&mut self, client: &mut Client) -> Result<bool> {
        let Some(at) = self.next.checked_rem(self.active.len()) else {
            return Ok(false);
        };
        let now = clock::now();
        let moved = self.active[at].turn(now)?;
        self.next = at + 1;
        if self.active[at].is_over(now) {
            self.active.swap_remove(at).end(client, &mut self.outcome)?;
            self.next = at;
        }
        Ok(moved)
    }

    /// How many calls are being set up.
    pub(crate) fn active(&self) -> usize {
        self.active.len()
    }

    /// Whether all were placed and are over.
    pub(crate) fn is_done(&self) -> bool {
        self.placed == self.plan.calls && self.active.is_empty()
    }

    /// What became of them.
    pub(crate) fn outcome(mut self) -> Outcome {
        self.outcome.elapsed = clock::now() - self.start;
        self.outcome.media.sort_unstable();
        self.outcome.keys.sort_unstable();
        self.outcome
    }
}

/// Places all calls, as many at a time as the plan says.
pub(crate) fn place(client: &mut Client, plan: &Plan) -> Result<Outcome> {
    let mut crowd = Crowd::new(plan)?;
    while !crowd.is_done() {
        let mut moved = crowd.place(client)?;
        for _ in 0..crowd.active() {
            moved |= crowd.turn(client)?;
        }
        if !moved {
            clock::sleep(Duration::from_micros(200));
        }
    }
    Ok(crowd.outcome())
}

/// A point in time as what has no clock counts it.
fn time(began: Instant, now: Instant) -> patchcord_contract::Time {
    patchcord_contract::Time::from_secs(1) + (now - began)
}
