//! A call from a browser to a plain phone, as a proxy's script would have the relay make it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use patchcord_dtls::Certificate;
use patchcord_wire::ng::Command;
use patchcord_wire::ng::client::RequestBuilder;
use patchcord_wire::sdp::{HashName, Setup};
use patchcord_wire::value::Value;

use super::sdp::{self, Offer, Place, endpoints, told};
use super::section::{KINDS, Section, Told};
use super::transport::Transport;
use super::{Loss, Outcome, PATIENCE};
use crate::ng::call::expect_ok;
use crate::ng::client::Client;
use crate::os::{clock, netns};

/// What all calls have in common.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Names the run.
    pub(crate) run: String,
    /// How many.
    pub(crate) calls: usize,
    /// How many at a time.
    pub(crate) window: usize,
    /// Media sections: audio, then video.
    pub(crate) sections: usize,
    /// Whether browsers offer them as a bundle.
    pub(crate) bundle: bool,
    /// The share of a browser's datagrams that is lost, either way.
    pub(crate) loss: f64,
    /// What browsers say in `a=setup`.
    pub(crate) setup: Setup,
    /// Addresses of browsers and of phones.
    pub(crate) addresses: [IpAddr; 2],
    /// Network namespace of both, if not this one.
    pub(crate) netns: Option<String>,
    /// Interfaces of the relay towards them.
    pub(crate) interfaces: Option<[String; 2]>,
}

/// A call.
pub(crate) struct Call {
    id: String,
    sections: Vec<Section>,
    transports: Vec<Transport>,
    /// What is on each transport.
    told: Told,
    /// Packets that came to a browser and were no section's there.
    wrong: u64,
    answered: Instant,
}

impl Call {
    /// Sets it up: offer and answer, back to back.
    pub(crate) fn place(
        client: &mut Client,
        plan: &Plan,
        index: usize,
        certificate: &Arc<Certificate>,
    ) -> Result<Self> {
        let mut call = netns::inside(plan.netns.as_deref(), || Self::new(plan, index))?;
        let print = certificate.fingerprint(HashName::Sha256);
        let offer = Offer {
            setup: plan.setup,
            fingerprint: print.digest(),
            bundle: plan.bundle,
        };
        let mut request = request(Command::Offer, &call.id, plan)
            .with("sdp", offer.body(&call.browser()?))
            .with("transport-protocol", "RTP/AVP")
            .with("ICE", "remove")
            .with_list("rtcp-mux", ["demux"]);
        if plan.bundle {
            request = request.with_list("bundle", ["accept"]);
        }
        let plains = client.ask(request, |reply| {
            expect_ok(reply)?;
            endpoints(reply.sdp().context("a reply without SDP")?)
        })?;
        let answer = self::request(Command::Answer, &call.id, plan)
            .with("sdp", sdp::plain(&call.phones()?))
            .with("to-tag", format!("{}-to", call.id))
            .with("ICE", "force");
        let webs = client.ask(answer, |reply| {
            expect_ok(reply)?;
            told(reply.sdp().context("a reply without SDP")?)
        })?;
        call.answered = clock::now();
        ensure!(
            plains.len() == plan.sections && webs.len() == plan.sections,
            "the relay has {} and {} sections of {}",
            plains.len(),
            webs.len(),
            plan.sections
        );
        for (section, plain) in call.sections.iter_mut().zip(plains) {
            section.answer(plain);
        }
        if let Some((_, told)) = webs.first() {
            call.told = *told;
        }
        if call.told != Told::Alone {
            call.transports.truncate(1);
        }
        for (transport, (peer, _)) in call.transports.iter_mut().zip(&webs) {
            transport.answer(peer, certificate, call.answered);
        }
        Ok(call)
    }

    fn new(plan: &Plan, index: usize) -> Result<Self> {
        let now = clock::now();
        let [browser, phone] = plan.addresses;
        let kinds = KINDS.iter().take(plan.sections);
        let sections = kinds.map(|kind| Section::new(phone, *kind));
        let transports = (0..plan.sections).map(|at| {
            let loss = Loss::new(plan.loss, (index * 8 + at + 1) as u64);
            Transport::new(browser, loss, now)
        });
        Ok(Self {
            id: format!("patchload-{}-{index}", plan.run),
            sections: sections.collect::<Result<_>>()?,
            transports: transports.collect::<Result<_>>()?,
            told: Told::Alone,
            wrong: 0,
            answered: now,
        })
    }

    fn browser(&self) -> Result<Vec<Place>> {
        let both = self.transports.iter().zip(&self.sections);
        let place = |(transport, section): (&Transport, &Section)| {
            let (at, kind) = (transport.web.local_addr()?, section.kind);
            Ok(Place { at, kind })
        };
        both.map(place).collect()
    }

    fn phones(&self) -> Result<Vec<Place>> {
        let place = |section: &Section| {
            let (at, kind) = (section.phone.local_addr()?, section.kind);
            Ok(Place { at, kind })
        };
        self.sections.iter().map(place).collect()
    }

    /// Does what is due; whether anything was.
    pub(crate) fn turn(&mut self, now: Instant) -> Result<bool> {
        let mut moved = false;
        let Self {
            sections,
            transports,
            told,
            wrong,
            ..
        } = self;
        for (at, transport) in transports.iter_mut().enumerate() {
            let own = match told {
                Told::Alone => &mut sections[at..=at],
                Told::Bundled(_) => &mut sections[..],
            };
            moved |= transport.turn(now, |packet| hear(own, *told, packet, now, wrong))?;
        }
        for section in sections {
            section.speak(now)?;
        }
        Ok(moved)
    }

    /// Whether every section has media, or nobody waits any longer.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let heard = self.sections.iter().all(|section| section.media.is_some());
        heard || now - self.answered > PATIENCE
    }

    /// Deletes it and notes what became of it.
    pub(crate) fn end(self, client: &mut Client, outcome: &mut Outcome) -> Result<()> {
        let since = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(self.answered));
        for transport in &self.transports {
            outcome.keys.extend(since(transport.keys));
        }
        for section in &self.sections {
            outcome.media.extend(since(section.media));
            outcome.silent += usize::from(section.media.is_none());
        }
        outcome.wrong += self.wrong;
        outcome.bundled += usize::from(self.told != Told::Alone);
        let delete = RequestBuilder::new(Command::Delete)
            .with("call-id", self.id.clone())
            .with("from-tag", format!("{}-from", self.id))
            .with("delete delay", 0_i64);
        client.ask(delete, expect_ok)
    }
}

/// Takes a packet to the section whose stream it is, if it is as that section's phone sent it.
fn hear(sections: &mut [Section], told: Told, packet: &[u8], now: Instant, wrong: &mut u64) {
    match sections.iter_mut().find(|section| section.owns(packet)) {
        Some(section) if section.sent(packet, told) => {
            section.media.get_or_insert(now);
        }
        _ => *wrong += 1,
    }
}

fn request(command: Command, id: &str, plan: &Plan) -> RequestBuilder<'static> {
    let request = RequestBuilder::new(command)
        .with("call-id", id.to_owned())
        .with("from-tag", format!("{id}-from"))
        .with_list("replace", ["origin"])
        .with_list("supports", ["load limit"]);
    // The answer stays where the offer was: rtpengine would take the same words the other way round.
    match plan
        .interfaces
        .clone()
        .filter(|_| command == Command::Offer)
    {
        Some(both) => request.with("direction", both.map(Value::owned).to_vec()),
        None => request,
    }
}
