//! Browsers by the dozen: the client side of ICE-lite, DTLS and SRTP, with a plain phone on the other
//! side of the relay (RFC 8445 §2.5, RFC 5764).

mod call;
mod ice;
mod leg;
mod loss;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use patchcord_dtls::{Certificate, KeyKind};

pub(crate) use call::{Call, Plan};
pub(crate) use loss::Loss;

use crate::ng::client::Client;
use crate::os::clock;

/// Nobody waits longer for media.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What became of all calls.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// From the relay's answer to the first packet that could be opened, of each section.
    pub(crate) media: Vec<Duration>,
    /// From the relay's answer to keys, of each section.
    pub(crate) keys: Vec<Duration>,
    /// Sections that had none in time.
    pub(crate) silent: usize,
    /// From the first offer to the last delete.
    pub(crate) elapsed: Duration,
}

/// Places all calls, `window` of them at a time.
pub(crate) fn place(client: &mut Client, plan: &Plan) -> Result<Outcome> {
    let today = clock::realtime() / 1_000_000_000;
    let certificate = Certificate::generate(KeyKind::P256, today);
    let certificate = Arc::new(certificate.context("a certificate")?);
    let mut outcome = Outcome::default();
    let mut active: Vec<Call> = Vec::new();
    let (start, mut placed) = (clock::now(), 0);
    while placed < plan.calls || !active.is_empty() {
        if placed < plan.calls && active.len() < plan.window {
            active.push(Call::place(client, plan, placed, &certificate)?);
            placed += 1;
        }
        let now = clock::now();
        let mut moved = false;
        for call in &mut active {
            moved |= call.turn(now)?;
        }
        let mut at = 0;
        while let Some(call) = active.get(at) {
            if call.is_over(now) {
                active.swap_remove(at).end(client, &mut outcome)?;
            } else {
                at += 1;
            }
        }
        if !moved {
            clock::sleep(Duration::from_micros(200));
        }
    }
    outcome.elapsed = clock::now() - start;
    Ok(outcome)
}

/// A point in time as what has no clock counts it.
fn time(began: Instant, now: Instant) -> patchcord_contract::Time {
    patchcord_contract::Time::from_secs(1) + (now - began)
}
