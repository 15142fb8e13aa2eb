//! Everything a run needs, put together: relay, network, calls, payload, books.

use std::time::Duration;

use anyhow::{Context, Result};
use patchcord_wire::ng::Command;
use patchcord_wire::ng::client::RequestBuilder;
use patchcord_wire::value::Value;

use crate::io::{Io, Route, Side};
use crate::load::RtpStream;
use crate::load::attack::Attacker;
use crate::load::ledger::{FIRST_SSRC, Ledger};
use crate::load::payload::Payload;
use crate::load::step::{Aside, Plan, Step, Traffic};
use crate::ng::call::{Call, Style};
use crate::ng::client::{Client, NgTimes};
use crate::ng::script::{SetUp, TearDown, Until};
use crate::os::clock;
use crate::os::soak::Soak;
use crate::process::Process;
use crate::progress::Progress;

/// SSRCs set aside for each set of calls, so that late packets of earlier ones are recognised.
const SSRCS: u32 = 1 << 18;
/// Packets each RTP stream sends to be learnt before anything is measured.
const INTRODUCTION: f64 = 5.0;

/// A generator ready to run.
pub(crate) struct Rig {
    pub(crate) client: Client,
    pub(crate) style: Style,
    pub(crate) payload: Payload,
    pub(crate) relay: Option<Process>,
    pub(crate) progress: Progress,
    /// Requests in flight.
    pub(crate) window: usize,
    /// How long the streams of new calls introduce themselves.
    pub(crate) warm_up: Duration,
    /// Who sends beside us in steps, once introduced.
    pub(crate) attacker: Option<Attacker>,
    /// Who is told of the streams of new calls.
    pub(crate) told: Option<Told>,
    /// Who looks at the relay's core.
    pub(crate) soak: Option<Soak>,
    io: Io,
    calls: Vec<Call>,
    ledger: Ledger,
    generation: u32,
    run: String,
}

/// Somebody who has to know the streams before they begin.
pub(crate) type Told = Box<dyn FnMut(&[RtpStream]) -> Result<()>>;

/// The parts that a rig is made of.
pub(crate) struct Parts {
    pub(crate) client: Client,
    pub(crate) io: Io,
    pub(crate) style: Style,
    pub(crate) payload: Payload,
    pub(crate) relay: Option<Process>,
    pub(crate) window: usize,
    pub(crate) warm_up: Duration,
}

impl Rig {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            client,
            io,
            style,
            payload,
            relay,
            window,
            warm_up,
        } = parts;
        Self {
            client,
            style,
            payload,
            relay,
            progress: Progress::new(),
            window,
            warm_up,
            attacker: None,
            told: None,
            soak: None,
            io,
            calls: Vec::new(),
            ledger: Ledger::new(Vec::new()),
            generation: 0,
            run: format!("{:x}", clock::realtime()),
        }
    }

    /// Sets `count` calls up, in addition to none: earlier ones must be torn down.
    pub(crate) fn set_up(&mut self, count: usize) -> Result<NgTimes> {
        self.progress.label(format!("setting up {count} calls"));
        self.progress.show(String::new);
        self.generation += 1;
        let mut calls = self.new_calls(count);
        let mut script = SetUp::new(&mut calls, &self.style, Until::Established);
        let times = self.client.run(&mut script, self.window);
        self.calls = calls;
        let times = times.context("setting calls up")?;
        let mut streams = Vec::with_capacity(2 * count);
        for call in &self.calls {
            streams.extend(call.streams().context("a call without media")?);
        }
        if let Some(told) = &mut self.told {
            told(&streams)?;
        }
        self.route(streams);
        Ok(times)
    }

    /// Endpoints wired back to back, without a relay: what the generator itself can do.
    pub(crate) fn bare(io: Io, payload: Payload, count: usize) -> Bare {
        let mut bare = Bare {
            io,
            payload,
            ledger: Ledger::new(Vec::new()),
        };
        let streams = (0..count).flat_map(|i| {
            let [a, b] = Side::BOTH.map(|side| bare.io.endpoint(side, i));
            [(Side::Offerer, a, b), (Side::Answerer, b, a)].map(|(side, from, to)| RtpStream {
                route: Route { side, from, to },
                arrives_at: to,
                arrives_from: from,
                ssrc: 0,
                payload_type: 0,
                named: [None; 2],
                sends: None,
                receives: None,
            })
        });
        let streams = streams.collect();
        bare.ledger = ledger(&mut bare.io, streams, FIRST_SSRC);
        bare
    }

    /// Offer, answer and delete of `count` calls, without media.
    pub(crate) fn cycle(&mut self, count: usize) -> Result<NgTimes> {
        self.generation += 1;
        let mut calls = self.new_calls(count);
        let mut script = SetUp::new(&mut calls, &self.style, Until::Deleted);
        self.client
            .run(&mut script, self.window)
            .context("setting calls up and deleting them")
    }

    /// Deletes all calls.
    pub(crate) fn tear_down(&mut self) -> Result<NgTimes> {
        let calls = std::mem::take(&mut self.calls);
        self.client
            .run(&mut TearDown(&calls), self.window)
            .context("deleting calls")
    }

    /// As many fresh calls in place of the ones that are up.
    pub(crate) fn renew(&mut self) -> Result<()> {
        let count = self.calls.len();
        self.tear_down()?;
        self.set_up(count)?;
        self.introduce()
    }

    /// Packets forwarded so far by the relay's own count, if it keeps one.
    pub(crate) fn relayed(&mut self) -> Result<Option<u64>> {
        self.client
            .ask(RequestBuilder::new(Command::Statistics), |reply| {
                let totals = reply
                    .body
                    .get("statistics")
                    .and_then(|s| s.get("totalstatistics"));
                let count = totals
                    .and_then(|t| t.get("relayedpackets"))
                    .and_then(Value::as_int);
                Ok(count.and_then(|n| u64::try_from(n).ok()))
            })
    }

    /// A few packets of every stream, so that the relay has learnt its endpoints.
    pub(crate) fn introduce(&mut self) -> Result<()> {
        let pps = self.ledger.streams().len() as f64 * INTRODUCTION / self.warm_up.as_secs_f64();
        let attacker = self.attacker.take();
        let introduced = self.step(Plan {
            pps,
            time: self.warm_up,
        });
        self.attacker = attacker;
        introduced.map(|_| ())
    }

    /// Runs one step over all calls.
    pub(crate) fn step(&mut self, plan: Plan) -> Result<Step> {
        self.progress.label("");
        self.traffic().run(plan)
    }

    /// Runs one step, and between its ticks what is to be done aside.
    pub(crate) fn step_beside(&mut self, plan: Plan, aside: Aside<'_>) -> Result<Step> {
        self.progress.label("");
        let mut traffic = self.traffic();
        traffic.aside = Some(aside);
        traffic.run(plan)
    }

    /// Runs one step and leaves what is still under way to the next.
    pub(crate) fn step_undrained(&mut self, plan: Plan) -> Result<Step> {
        self.traffic().run_undrained(plan)
    }

    /// Sent and lost by time of sending in the last step.
    pub(crate) fn loss_over_time(&self, slice_ns: u64) -> Vec<(u64, u64)> {
        self.ledger.loss_over_time(slice_ns)
    }

    /// The books, to listen in.
    pub(crate) fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// How many calls are up.
    pub(crate) fn calls(&self) -> usize {
        self.calls.len()
    }

    fn new_calls(&self, count: usize) -> Vec<Call> {
        let run = format!("{}-{}", self.run, self.generation);
        (0..count)
            .map(|i| Call::new(&run, i, &self.io, &self.style))
            .collect()
    }

    fn route(&mut self, streams: Vec<RtpStream>) {
        self.ledger = ledger(&mut self.io, streams, FIRST_SSRC + self.generation * SSRCS);
    }

    fn traffic(&mut self) -> Traffic<'_> {
        Traffic {
            io: &mut self.io,
            ledger: &mut self.ledger,
            payload: &self.payload,
            relay: self.relay,
            soak: self.soak.as_ref(),
            progress: &mut self.progress,
            attacker: self.attacker.as_mut(),
            aside: None,
        }
    }
}

/// A generator without a relay.
pub(crate) struct Bare {
    io: Io,
    payload: Payload,
    ledger: Ledger,
}

impl Bare {
    /// Runs one step.
    pub(crate) fn step(&mut self, plan: Plan, progress: &mut Progress) -> Result<Step> {
        let (io, ledger, payload) = (&mut self.io, &mut self.ledger, &self.payload);
        Traffic {
            io,
            ledger,
            payload,
            relay: None,
            soak: None,
            progress,
            attacker: None,
            aside: None,
        }
        .run(plan)
    }
}

/// Numbers the streams, tells the network their routes, and opens books for them.
fn ledger(io: &mut Io, mut streams: Vec<RtpStream>, first: u32) -> Ledger {
    if io.batches_by_endpoint() {
        streams.sort_by_key(|s| s.route.from);
    }
    for (ssrc, stream) in (first..).zip(&mut streams) {
        stream.ssrc = ssrc;
    }
    let routes: Vec<_> = streams.iter().map(|s| s.route).collect();
    io.set_routes(&routes);
    Ledger::new(streams)
}
