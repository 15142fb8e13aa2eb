//! One step: a rate held for a time, everything that comes out checked, and the books closed.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use super::attack::{Attack, Attacker, Victim};
use super::ledger::{Ledger, Tally};
use super::payload::{LONGEST, Payload};
use crate::io::Io;
use crate::os::clock;
use crate::os::soak::Soak;
use crate::process::Process;
use crate::progress::Progress;

/// Packets leave at multiples of this, so that bursts are what a busy trunk makes of them.
const TICK: Duration = Duration::from_micros(100);
/// A generator that falls further behind than this slips its schedule instead of bursting.
const SLIP: Duration = Duration::from_millis(2);
/// Packets sent before the arrivals are looked at again.
const BATCH: u64 = 64;
/// Silence after which what has not come out never will.
const QUIET: Duration = Duration::from_millis(250);
/// The longest wait for stragglers.
const DRAIN: Duration = Duration::from_secs(2);
/// Bytes of the longest packet: header, payload, and what protects them.
const LONGEST_PACKET: usize = 12 + LONGEST + 16;
/// Packets that the tables of a step may hold.
const MOST: u64 = 200_000_000;

/// What a step is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Packets a second, all RTP streams together.
    pub(crate) pps: f64,
    /// For how long.
    pub(crate) time: Duration,
}

impl Plan {
    fn packets(self) -> u64 {
        ((self.pps * self.time.as_secs_f64()) as u64).clamp(1, MOST)
    }
}

/// What a step did.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The rate asked for.
    pub(crate) asked_pps: f64,
    /// The rate offered.
    pub(crate) pps: f64,
    /// The books.
    pub(crate) tally: Tally,
    /// What the relay spent, if it is watched.
    pub(crate) cpu: Option<u64>,
    /// Nanoseconds for which the relay's core was taken, whoever took it.
    pub(crate) core: Option<u64>,
    /// Packets that found the generator's own buffers full; counted as lost too.
    pub(crate) overruns: u64,
}

impl Step {
    /// The generator, not the relay, set the rate.
    pub(crate) fn is_generator_bound(&self) -> bool {
        self.pps < 0.96 * self.asked_pps
    }

    /// The generator lost more of what came out than a step may lose.
    pub(crate) fn is_outrun(&self) -> bool {
        self.overruns as f64 > 0.001 * self.tally.sent as f64
    }

    /// At most `bound` lost or late, and nothing wrong.
    pub(crate) fn is_good(&self, bound: f64) -> bool {
        self.tally.loss() <= bound && self.is_clean()
    }

    /// Nothing that came out was wrong, doubled or out of order.
    pub(crate) fn is_clean(&self) -> bool {
        let t = &self.tally;
        t.wrong() == 0 && t.duplicated == 0 && t.reordered == 0
    }

    /// Microseconds of relay CPU per packet that came out.
    pub(crate) fn process_us(&self) -> Option<f64> {
        let per = self.tally.received.max(1) as f64;
        self.cpu.map(|cpu| cpu as f64 / 1000.0 / per)
    }

    /// Microseconds that forwarding took on the relay's core per packet that came out.
    pub(crate) fn core_us(&self) -> Option<f64> {
        let per = self.tally.received.max(1) as f64;
        self.core.map(|core| core as f64 / 1000.0 / per)
    }

    /// Latency in microseconds at quantile `q`.
    pub(crate) fn latency_us(&self, q: f64) -> f64 {
        self.tally.latency.value_at_quantile(q) as f64 / 1000.0
    }

    /// The step for other programs.
    pub(crate) fn to_json(&self) -> Value {
        let t = &self.tally;
        let [stranger, path, checksum, header, sequence, payload, seal] = t.faults;
        json!({
            "asked_pps": self.asked_pps.round(),
            "pps": self.pps.round(),
            "generator_bound": self.is_generator_bound(),
            "sent": t.sent,
            "received": t.received,
            "lost": t.lost(),
            "late": t.late,
            "wrong": t.wrong(),
            "wrong_by": {
                "stranger": stranger, "path": path, "checksum": checksum,
                "header": header, "sequence": sequence, "payload": payload, "seal": seal,
            },
            "duplicated": t.duplicated,
            "reordered": t.reordered,
            "stale": t.stale,
            "rtcp": t.rtcp,
            "forged": t.forged,
            "generator_overruns": self.overruns,
            "latency_us": {
                "p50": self.latency_us(0.5), "p99": self.latency_us(0.99),
                "p999": self.latency_us(0.999), "max": t.latency.max() as f64 / 1000.0,
            },
            "process_us_per_packet": self.process_us(),
            "core_us_per_packet": self.core_us(),
        })
    }
}

/// A packet of a secure stream, and what an attacker sends before and after it.
struct UnderAttack<'a> {
    io: &'a mut Io,
    ledger: &'a mut Ledger,
    payload: &'a Payload,
    attacker: &'a mut Attacker,
}

impl UnderAttack<'_> {
    fn push(self, stamp: u64) -> Result<()> {
        let (mut plain, mut sealed) = ([0; LONGEST_PACKET], [0; LONGEST_PACKET]);
        let route = self.ledger.next_stream();
        let len = self.ledger.plain(self.payload, &mut plain);
        let plain = &plain[..len];
        let len = self.ledger.write(self.payload, stamp, &mut sealed);
        let sealed = &sealed[..len];
        let victim = Victim { plain, sealed };
        let mut replays = 0;
        while let Some(attack) = self.attacker.next() {
            self.ledger.forged();
            if attack == Attack::Replay {
                replays += 1;
            } else {
                let attacker = &mut *self.attacker;
                self.io
                    .push(route, |slot| attacker.forge(attack, &victim, slot))?;
            }
        }
        for _ in 0..=replays {
            self.io.push(route, |slot| {
                slot[..sealed.len()].copy_from_slice(sealed);
                sealed.len()
            })?;
        }
        Ok(())
    }
}

/// Where the traffic goes: endpoints, books, payload, and the relay to watch.
pub(crate) struct Traffic<'a> {
    pub(crate) io: &'a mut Io,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) payload: &'a Payload,
    pub(crate) relay: Option<Process>,
    /// Who looks at the relay's core.
    pub(crate) soak: Option<&'a Soak>,
    pub(crate) progress: &'a mut Progress,
    /// Who sends beside us.
    pub(crate) attacker: Option<&'a mut Attacker>,
    /// Done between ticks, a little at a time.
    pub(crate) aside: Option<Aside<'a>>,
}

/// Something done beside the traffic, by the same thread.
pub(crate) type Aside<'a> = &'a mut dyn FnMut() -> Result<()>;

impl Traffic<'_> {
    /// Runs one step and waits for what is under way. Bounded in time: three times the plan's, and
    /// four seconds.
    pub(crate) fn run(&mut self, plan: Plan) -> Result<Step> {
        self.run_and(plan, Self::drain)
    }

    /// Runs one step and waits for nothing.
    pub(crate) fn run_undrained(&mut self, plan: Plan) -> Result<Step> {
        self.run_and(plan, |_| Ok(()))
    }

    fn run_and(&mut self, plan: Plan, finish: fn(&mut Self) -> Result<()>) -> Result<Step> {
        let packets = plan.packets();
        self.ledger.begin(packets as usize);
        self.io.take_unsent();
        self.io.take_overruns();
        let before = self.relay.map(Process::cpu).transpose()?;
        let taken = self.soak.map(Soak::taken);
        let start = clock::now();
        self.send(plan, packets, start)?;
        let sending = clock::now() - start;
        finish(self)?;
        let after = self.relay.map(Process::cpu).transpose()?;
        let core = self.soak.zip(taken);
        self.ledger.unsent(self.io.take_unsent());
        let tally = self.ledger.tally().clone();
        Ok(Step {
            asked_pps: plan.pps,
            pps: tally.sent as f64 / sending.as_secs_f64(),
            tally,
            cpu: before
                .zip(after)
                .map(|(before, after)| after.saturating_sub(before)),
            core: core.map(|(soak, before)| soak.taken() - before),
            overruns: self.io.take_overruns(),
        })
    }

    fn send(&mut self, plan: Plan, packets: u64, start: Instant) -> Result<()> {
        let most_behind = ((plan.pps * SLIP.as_secs_f64()) as u64).max(BATCH);
        let end = start + 3 * plan.time + DRAIN;
        let (mut sent, mut slipped) = (0, Duration::ZERO);
        while sent < packets {
            let now = clock::now();
            if now > end {
                break;
            }
            let elapsed = (now - start).saturating_sub(slipped);
            let ticks = elapsed.as_nanos() / TICK.as_nanos() + 1;
            let due = (plan.pps * TICK.as_secs_f64() * ticks as f64) as u64;
            let behind = due.min(packets).saturating_sub(sent);
            if behind > most_behind {
                slipped += Duration::from_secs_f64((behind - most_behind) as f64 / plan.pps);
            }
            for _ in 0..behind.min(most_behind).div_ceil(BATCH) {
                sent += self.batch(BATCH.min(due.min(packets) - sent))?;
                self.take()?;
            }
            if behind == 0 {
                self.take()?;
                self.idle(TICK);
            }
            if let Some(aside) = &mut self.aside {
                aside()?;
            }
            self.progress
                .show(|| format!("{:.0} pps: {sent} of {packets} sent", plan.pps));
        }
        Ok(())
    }

    fn batch(&mut self, count: u64) -> Result<u64> {
        let stamp = clock::realtime();
        for _ in 0..count {
            let (ledger, payload) = (&mut *self.ledger, self.payload);
            let route = ledger.next_stream();
            if let Some(attacker) = &mut self.attacker {
                attacker.count();
                if ledger.is_next_secure() {
                    let under = UnderAttack {
                        io: self.io,
                        ledger,
                        payload,
                        attacker,
                    };
                    under.push(stamp)?;
                    continue;
                }
            }
            self.io
                .push(route, |slot| ledger.write(payload, stamp, slot))?;
        }
        self.io.flush()?;
        Ok(count)
    }

    fn take(&mut self) -> Result<usize> {
        let (ledger, payload) = (&mut *self.ledger, self.payload);
        Ok(self
            .io
            .receive(|arrival| ledger.arrived(payload, &arrival))?)
    }

    fn drain(&mut self) -> Result<()> {
        let start = clock::now();
        let mut last = start;
        while !self.ledger.complete() {
            let now = clock::now();
            if self.take()? > 0 {
                last = now;
            }
            if now - last > QUIET || now - start > DRAIN {
                break;
            }
            self.idle(TICK);
        }
        // What comes twice comes right behind.
        self.take()?;
        Ok(())
    }

    fn idle(&self, time: Duration) {
        if self.io.spins() {
            std::hint::spin_loop();
        } else {
            clock::sleep(time);
        }
    }
}
