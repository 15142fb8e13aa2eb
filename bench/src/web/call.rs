//! A call from a browser to a plain phone, as a proxy's script would have the relay make it.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use patchcord_dtls::{Certificate, Role};
use patchcord_wire::ng::Command;
use patchcord_wire::ng::client::RequestBuilder;
use patchcord_wire::sdp::{Fingerprint, HashName, Sdp, Setup};

use super::ice::{PWD, UFRAG};
use super::leg::{Leg, Told};
use super::{Loss, Outcome, PATIENCE};
use crate::ng::call::expect_ok;
use crate::ng::client::Client;
use crate::os::clock;

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
    /// The share of a browser's datagrams that is lost, either way.
    pub(crate) loss: f64,
    /// What browsers say in `a=setup`.
    pub(crate) setup: Setup,
    /// Addresses of browsers and of phones.
    pub(crate) addresses: [IpAddr; 2],
    /// Interfaces of the relay towards them.
    pub(crate) interfaces: Option<[String; 2]>,
}

/// A call.
pub(crate) struct Call {
    id: String,
    legs: Vec<Leg>,
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
        let id = format!("patchload-{}-{index}", plan.run);
        let now = clock::now();
        let legs = (0..plan.sections).map(|section| {
            let loss = Loss::new(plan.loss, (index * 8 + section + 1) as u64);
            Leg::new(plan.addresses, loss, now)
        });
        let mut legs = legs.collect::<Result<Vec<_>>>()?;
        let offer = request(Command::Offer, &id, plan, web(&legs, plan, certificate)?)
            .with("transport-protocol", "RTP/AVP")
            .with("ICE", "remove")
            .with_list("rtcp-mux", ["demux"]);
        let plains = client.ask(offer, |reply| {
            expect_ok(reply)?;
            endpoints(reply.sdp().context("a reply without SDP")?)
        })?;
        let answer = request(Command::Answer, &id, plan, plain(&legs)?)
            .with("to-tag", format!("{id}-to"))
            .with("ICE", "force");
        let webs = client.ask(answer, |reply| {
            expect_ok(reply)?;
            told(reply.sdp().context("a reply without SDP")?)
        })?;
        let answered = clock::now();
        let both = plains.into_iter().zip(webs);
        for (leg, (plain, (web, role, fingerprints))) in legs.iter_mut().zip(both) {
            let told = Told {
                web,
                plain,
                role,
                fingerprints,
            };
            leg.answer(&told, certificate, answered);
        }
        Ok(Self { id, legs, answered })
    }

    /// Does what is due; whether anything was.
    pub(crate) fn turn(&mut self, now: Instant) -> Result<bool> {
        let mut moved = false;
        for leg in &mut self.legs {
            moved |= leg.turn(now)?;
        }
        Ok(moved)
    }

    /// Whether every section has media, or nobody waits any longer.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now - self.answered > PATIENCE || self.legs.iter().all(|leg| leg.media.is_some())
    }

    /// Deletes it and notes what became of it.
    pub(crate) fn end(self, client: &mut Client, outcome: &mut Outcome) -> Result<()> {
        let since = |at: Option<Instant>| at.map(|at| at.saturating_duration_since(self.answered));
        for leg in &self.legs {
            outcome.keys.extend(since(leg.keys));
            outcome.media.extend(since(leg.media));
            outcome.silent += usize::from(leg.media.is_none());
        }
        let delete = RequestBuilder::new(Command::Delete)
            .with("call-id", self.id.clone())
            .with("from-tag", format!("{}-from", self.id))
            .with("delete delay", 0_i64);
        client.ask(delete, expect_ok)
    }
}

fn request(command: Command, id: &str, plan: &Plan, sdp: String) -> RequestBuilder<'static> {
    let request = RequestBuilder::new(command)
        .with("call-id", id.to_owned())
        .with("from-tag", format!("{id}-from"))
        .with("sdp", sdp)
        .with_list("replace", ["origin"])
        .with_list("supports", ["load limit"]);
    match plan.interfaces.clone() {
        Some([from, to]) => request.with(
            "direction",
            vec![
                patchcord_wire::value::Value::owned(from),
                patchcord_wire::value::Value::owned(to),
            ],
        ),
        None => request,
    }
}

/// The kinds of a call's sections, with their payload type and codec.
const KINDS: [(&str, &str, &str); 2] = [
    ("audio", "0", "0 PCMU/8000"),
    ("video", "96", "96 VP8/90000"),
];

/// A browser's offer.
fn web(legs: &[Leg], plan: &Plan, certificate: &Certificate) -> Result<String> {
    let print = certificate.fingerprint(HashName::Sha256);
    let digits: Vec<_> = print.digest().iter().map(|b| format!("{b:02X}")).collect();
    let (print, setup) = (digits.join(":"), plan.setup.as_str());
    let mut sdp = session(plan.addresses[0]) + "a=ice-lite\r\n";
    for (leg, (kind, number, codec)) in legs.iter().zip(KINDS.iter().cycle()) {
        let at = leg.web.local_addr()?;
        let (ip, port) = (at.ip(), at.port());
        write!(
            sdp,
            "m={kind} {port} UDP/TLS/RTP/SAVPF {number}\r\na=rtpmap:{codec}\r\na=rtcp-mux\r\n\
             a=sendrecv\r\na=setup:{setup}\r\na=fingerprint:sha-256 {print}\r\n\
             a=ice-ufrag:{UFRAG}\r\na=ice-pwd:{PWD}\r\n\
             a=candidate:1 1 UDP 2130706431 {ip} {port} typ host\r\na=end-of-candidates\r\n"
        )?;
    }
    Ok(sdp)
}

/// A phone's answer.
fn plain(legs: &[Leg]) -> Result<String> {
    let first = legs.first().context("a section")?;
    let mut sdp = session(first.plain.local_addr()?.ip());
    for (leg, (kind, number, codec)) in legs.iter().zip(KINDS.iter().cycle()) {
        let port = leg.plain.local_addr()?.port();
        write!(
            sdp,
            "m={kind} {port} RTP/AVP {number}\r\na=rtpmap:{codec}\r\na=sendrecv\r\n"
        )?;
    }
    Ok(sdp)
}

fn session(ip: IpAddr) -> String {
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!("v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n")
}

/// Where each section of a body wants its media.
fn endpoints(body: &[u8]) -> Result<Vec<SocketAddr>> {
    let sdp = Sdp::parse(body).map_err(|e| anyhow!("the relay's SDP: {e:?}"))?;
    let one = |section: patchcord_wire::sdp::Section<'_, '_>| {
        let media = section.media().map_err(|e| anyhow!("an m-line: {e:?}"))?;
        let connection = section.connection().and_then(Result::ok);
        let ip = connection.and_then(|line| line.address.ip());
        let ip = ip.context("the relay's SDP has no address")?;
        Ok(SocketAddr::new(ip, media.port))
    };
    sdp.sections().map(one).collect()
}

/// What a browser needs to know of each section.
fn told(body: &[u8]) -> Result<Vec<(SocketAddr, Role, Vec<Fingerprint>)>> {
    let places = endpoints(body)?;
    let sdp = Sdp::parse(body).map_err(|e| anyhow!("the relay's SDP: {e:?}"))?;
    let one = |(section, place): (patchcord_wire::sdp::Section<'_, '_>, SocketAddr)| {
        let role = match section.get_or_inherit::<Setup>() {
            Some(Ok(Setup::Active)) => Role::Server,
            Some(Ok(Setup::Passive)) => Role::Client,
            other => bail!("the relay answers with role {other:?}"),
        };
        let prints = section.all_or_inherit::<Fingerprint>();
        Ok((place, role, prints.filter_map(Result::ok).collect()))
    };
    sdp.sections().zip(places).map(one).collect()
}
