//! `query`: a call in rtpengine's words (NG manual, section on the reply of `query` and `delete`).

use patchcord_contract::{Endpoint, Reason, Time};
use patchcord_media::flow::{Security, Spec};
use patchcord_media::stats::{PortStats, SsrcStats, Traffic};
use patchcord_wire::digits;
use patchcord_wire::ids::Tag;
use patchcord_wire::ng::address::Family;
use patchcord_wire::value::{Dict, Value};

use crate::call::{Call, Component, Count, Dtls, Leg, LegId, Muxing, Section, Transport, Way};
use crate::ice::{Agent, ListId, Mode, Role};
use crate::quality::{Quality, Sample};
use crate::{Clock, Settings};

/// Which legs are wanted.
#[derive(Clone, Debug)]
pub(crate) enum Narrow {
    /// All of them.
    All,
    /// Those with one of these tags, and whoever they talk to.
    Tags(Vec<Tag>),
}

impl Narrow {
    /// By the tags of a request.
    pub(crate) fn new(from: Option<&[u8]>, to: Option<&[u8]>) -> Self {
        let tags: Vec<Tag> = [from, to]
            .into_iter()
            .flatten()
            .filter_map(|text| Tag::new(text).ok())
            .collect();
        if tags.is_empty() {
            Self::All
        } else {
            Self::Tags(tags)
        }
    }

    fn wants(&self, call: &Call, leg: &Leg) -> bool {
        match self {
            Self::All => true,
            Self::Tags(tags) => {
                let is_named = |leg: &Leg| tags.iter().any(|tag| leg.is_called(tag));
                is_named(leg) || call.peers(leg.id).any(|peer| is_named(call.leg(peer)))
            }
        }
    }
}

/// For whom a call is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    /// A proxy: rtpengine's entries and no more, so that replies stay within a datagram.
    Proxy,
    /// An operator, who also wants to know why there is no audio.
    Operator,
}

/// The entries of the reply.
pub(crate) fn describe(
    call: &Call,
    settings: &Settings,
    clock: Clock,
    narrow: &Narrow,
) -> Dict<'static> {
    entries(call, settings, clock, narrow, Reader::Proxy)
}

/// The same of the whole call, and each section's direction, each port's interface, advertised
/// address and drops by reason besides.
pub(crate) fn explain(call: &Call, settings: &Settings, clock: Clock) -> Dict<'static> {
    entries(call, settings, clock, &Narrow::All, Reader::Operator)
}

fn entries(
    call: &Call,
    settings: &Settings,
    clock: Clock,
    narrow: &Narrow,
    reader: Reader,
) -> Dict<'static> {
    let view = View {
        call,
        settings,
        clock,
        reader,
    };
    let mut reply = Dict::with_capacity(10);
    let micros = call.created.wall_us;
    reply.push(&b"created"[..], (micros / 1_000_000).into());
    reply.push(&b"created_us"[..], (micros % 1_000_000).into());
    reply.push(&b"created_ts"[..], micros.into());
    reply.push(&b"last signal"[..], call.signalled.wall_secs().into());
    reply.push(&b"last redis update"[..], 0_u64.into());
    if let Some(metadata) = &call.metadata {
        reply.push(&b"metadata"[..], Value::owned(&**metadata));
    }
    let mut tags = Dict::with_capacity(call.legs.len());
    for (index, leg) in call.legs.iter().enumerate() {
        if narrow.wants(call, leg) {
            tags.push(name(leg, index), view.leg(leg).into());
        }
    }
    reply.push(&b"tags"[..], tags.into());
    reply.push(&b"SSRC"[..], view.ssrcs().into());
    let tally = call.tally();
    let totals = Dict::with_capacity(2)
        .with("RTP", count(tally.rtp, tally.dropped))
        .with("RTCP", count(tally.rtcp, 0));
    reply.push(&b"totals"[..], totals.into());
    reply
}

/// The key of a leg: its tag, or a number while it has none.
fn name(leg: &Leg, index: usize) -> Vec<u8> {
    leg.tag().map_or_else(
        || format!("<untagged {index}>").into_bytes(),
        |tag| tag.as_bytes().into(),
    )
}

struct View<'c> {
    call: &'c Call,
    settings: &'c Settings,
    clock: Clock,
    reader: Reader,
}

impl View<'_> {
    fn leg(&self, leg: &Leg) -> Dict<'static> {
        let mut entry = Dict::with_capacity(9);
        entry.push(&b"tag"[..], tag(leg));
        if let Some(branch) = &leg.branch {
            entry.push(&b"via-branch"[..], Value::owned(branch.as_bytes()));
        }
        if let Some(label) = &leg.label {
            entry.push(&b"label"[..], Value::owned(label.as_bytes()));
        }
        entry.push(&b"created"[..], (leg.created_us / 1_000_000).into());
        if leg.tags.len() > 1 {
            let aliases = leg.tags[1..]
                .iter()
                .map(|tag| Value::owned(tag.as_bytes()))
                .collect();
            entry.push(&b"tag-aliases"[..], Value::List(aliases));
        }
        let peer = self
            .call
            .established_peer(leg.id)
            .or_else(|| self.call.peers(leg.id).next());
        if let Some(peer) = peer {
            entry.push(&b"in dialogue with"[..], tag(self.call.leg(peer)));
        }
        entry.push(&b"subscriptions"[..], self.subscriptions(leg.id));
        entry.push(&b"subscribers"[..], self.subscriptions(leg.id));
        let medias = leg.sections.iter().enumerate();
        let medias = medias
            .map(|(index, section)| self.media(leg, index, section).into())
            .collect();
        entry.push(&b"medias"[..], Value::List(medias));
        entry
    }

    fn subscriptions(&self, leg: LegId) -> Value<'static> {
        let peers = self.call.peers(leg).map(|peer| {
            let entry = Dict::with_capacity(2)
                .with("tag", tag(self.call.leg(peer)))
                .with("type", "offer/answer");
            Value::Dict(entry)
        });
        Value::List(peers.collect())
    }

    fn media(&self, leg: &Leg, index: usize, section: &Section) -> Dict<'static> {
        let mut entry = Dict::with_capacity(9);
        entry.push(&b"index"[..], (index as u64 + 1).into());
        entry.push(&b"type"[..], Value::owned(&*section.kind));
        let described = section.remote.latest();
        if let Some(proto) = described.map(|d| d.proto).or(section.told) {
            entry.push(&b"protocol"[..], Value::str(proto.as_str()));
        }
        if let Some(codec) = described
            .map(|d| &d.codec)
            .filter(|codec| !codec.is_empty())
        {
            entry.push(&b"codec"[..], Value::owned(&**codec));
        }
        if let Some(mid) = &section.mid {
            entry.push(&b"media-id"[..], Value::owned(mid.as_bytes()));
        }
        if let (Reader::Operator, Some(described)) = (self.reader, section.remote.effective()) {
            entry.push(&b"direction"[..], Value::str(described.direction.as_str()));
        }
        if let (Reader::Operator, Some(names)) = (self.reader, bundle(leg, section)) {
            entry.push(&b"bundle"[..], Value::owned(names));
        }
        let streams = section.transports().flat_map(|transport| {
            let rtcp = transport
                .rtcp
                .as_ref()
                .map(|component| self.stream(transport, component, section));
            std::iter::once(self.stream(transport, &transport.rtp, section)).chain(rtcp)
        });
        entry.push(
            &b"streams"[..],
            Value::List(streams.map(Value::Dict).collect()),
        );
        if let (Reader::Operator, Some((agent, list))) = (self.reader, leg.ice_of(section)) {
            entry.push(&b"ICE"[..], connectivity(agent, list).into());
        }
        if let (Reader::Operator, Some(dtls)) = (self.reader, &section.dtls) {
            entry.push(&b"DTLS"[..], handshakes(dtls, section).into());
        }
        entry.push(&b"flags"[..], media_flags(section));
        entry.push(&b"ingress SSRCs"[..], ssrc_list(section));
        let egress = self.call.listeners(leg.id).into_iter().filter_map(|peer| {
            let section = self.call.leg(peer).sections.get(index)?;
            ssrc_list(section).as_list().map(<[Value<'static>]>::to_vec)
        });
        entry.push(
            &b"egress SSRCs"[..],
            Value::List(egress.flatten().collect()),
        );
        entry
    }

    fn stream(
        &self,
        transport: &Transport,
        component: &Component,
        section: &Section,
    ) -> Dict<'static> {
        let stats = &component.stats;
        let is_rtp = component.id() == transport.rtp.id();
        let local = self.settings.interfaces[usize::from(transport.interface)].address;
        let mut entry = Dict::with_capacity(14);
        entry.push(&b"local port"[..], component.told().into());
        entry.push(&b"local address"[..], Value::owned(digits::ip(local.ip())));
        entry.push(&b"family"[..], Family::of(local.ip()).as_query_str().into());
        let advertised = component.advertised;
        let latched = component.latched.unwrap_or(advertised);
        entry.push(&b"endpoint"[..], endpoint(latched).into());
        entry.push(&b"advertised endpoint"[..], endpoint(advertised).into());
        let spec = self.spec(component);
        if let Some(Security::Srtp(keys)) = spec.map(|spec| &spec.receive) {
            entry.push(&b"crypto suite"[..], keys.suite().name().into());
        }
        let last = self.wall(stats.last_packet());
        entry.push(&b"last packet"[..], last.into());
        entry.push(&b"last kernel packet"[..], 0_u64.into());
        entry.push(&b"last user packet"[..], last.into());
        if is_rtp && let Some(latest) = latest_ssrc(&stats.ssrcs) {
            entry.push(&b"SSRC"[..], latest.into());
        }
        let mut flags: Vec<Value<'static>> = Vec::new();
        if is_rtp {
            flags.push("RTP".into());
        }
        if !is_rtp || transport.muxing == Muxing::Muxed {
            flags.push("RTCP".into());
        }
        if section.remote.latest().is_some() {
            flags.push("filled".into());
        }
        if component.latched.is_some() {
            flags.push("confirmed".into());
        }
        entry.push(&b"flags"[..], Value::List(flags));
        let (incoming, outgoing) = (
            both(&stats.rtp_in, &stats.rtcp_in),
            both(&stats.rtp_out, &stats.rtcp_out),
        );
        let errors = stats.dropped() - stats.drops(Reason::RtcpTerminated);
        entry.push(&b"stats"[..], count(incoming, errors).into());
        entry.push(&b"stats_out"[..], count(outgoing, stats.unsent()).into());
        if self.reader == Reader::Operator {
            self.explain_port(transport, stats, &mut entry);
            if let Some(spec) = spec {
                entry.push(&b"security in"[..], security(&spec.receive).into());
                entry.push(&b"security out"[..], security(&spec.send).into());
            }
        }
        entry
    }

    /// What the workers were told of a port.
    fn spec(&self, component: &Component) -> Option<&Spec> {
        let at = |spec: &Spec| spec.port.cmp(&component.id());
        let found = self.call.flows.binary_search_by(at).ok()?;
        self.call.flows.get(found)
    }

    fn explain_port(&self, transport: &Transport, stats: &PortStats, entry: &mut Dict<'static>) {
        let interface = &self.settings.interfaces[usize::from(transport.interface)];
        entry.push(&b"interface"[..], Value::owned(&*interface.name));
        entry.push(
            &b"local advertised address"[..],
            Value::owned(interface.advertised.to_string()),
        );
        let drops = Reason::ALL
            .iter()
            .filter(|reason| stats.drops(**reason) > 0);
        let drops = drops.fold(Dict::new(), |drops, reason| {
            drops.with(reason.as_str(), stats.drops(*reason))
        });
        entry.push(&b"drops"[..], drops.into());
        let tier = stats.tier();
        entry.push(&b"tier"[..], tier.as_str().into());
        if let Some(why) = tier.why() {
            entry.push(&b"tier reason"[..], why.as_str().into());
        }
    }

    /// Unix time of a moment on the monotonic clock; the call's creation stands in for never.
    fn wall(&self, at: Option<Time>) -> u64 {
        let at = at.unwrap_or(self.call.created.now);
        let ago = self.clock.now.since(at).as_micros() as u64;
        self.clock.wall_us.saturating_sub(ago) / 1_000_000
    }

    /// All streams of the call by SSRC.
    fn ssrcs(&self) -> Dict<'static> {
        let mut all = Dict::new();
        for section in self.call.legs.iter().flat_map(|leg| &leg.sections) {
            for stats in used(section) {
                all.push(
                    stats.ssrc.get().to_string().into_bytes(),
                    ssrc(stats, section.quality.as_deref()).into(),
                );
            }
        }
        all
    }
}

/// How one direction of a port is protected; never with which key.
fn security(security: &Security) -> &'static str {
    match security {
        Security::Plain => "none",
        Security::EndToEnd => "end to end",
        Security::Pending => "waits for keys",
        Security::Srtp(keys) => keys.suite().name(),
    }
}

/// What an agent has found, and what it waits for.
fn connectivity(agent: &Agent, list: ListId) -> Dict<'static> {
    let role = match (agent.mode(), agent.role()) {
        (Mode::Lite, _) => "lite",
        (Mode::Full, Role::Controlling) => "controlling",
        (Mode::Full, Role::Controlled) => "controlled",
    };
    let pairs = agent.pairs(list).map(|pair| {
        let entry = Dict::new()
            .with("component", u64::from(pair.component.number()))
            .with("local", endpoint(pair.local))
            .with("remote", endpoint(pair.remote))
            .with("state", pair.state.name());
        Value::Dict(entry)
    });
    let mut entry = Dict::new()
        .with("role", role)
        .with("pairs", Value::List(pairs.collect()))
        .with("disbelieved", agent.disbelieved());
    if let Some(what) = agent.waits_for(list) {
        entry.push(&b"waits for"[..], what.into());
    }
    entry
}

/// How keys are being made, and what that waits for.
fn handshakes(dtls: &Dtls, section: &Section) -> Dict<'static> {
    let paths = dtls.paths.iter().map(|path| {
        let mut components = section.components();
        let port = components.find(|component| component.id() == path.port);
        let mut entry = Dict::new()
            .with("local port", port.map_or(0, Component::told))
            .with("role", path.role.as_str())
            .with("state", path.state());
        if let Some(made) = &path.keys {
            entry.push(&b"suite"[..], made.suite().name().into());
        }
        if let Some(text) = path.failure() {
            entry.push(&b"failure"[..], Value::owned(text));
        }
        Value::Dict(entry)
    });
    let mut entry = Dict::new()
        .with("role", dtls.role.as_str())
        .with("associations", Value::List(paths.collect()));
    if let Some(what) = dtls.waits_for(section.ice.is_some()) {
        entry.push(&b"waits for"[..], what.into());
    }
    entry
}

fn tag(leg: &Leg) -> Value<'static> {
    Value::owned(leg.tag().map_or(&[][..], Tag::as_bytes))
}

fn media_flags(section: &Section) -> Value<'static> {
    let mut flags: Vec<Value<'static>> = Vec::new();
    if let Some(described) = section.remote.effective() {
        flags.push("initialized".into());
        if described.direction.sends() {
            flags.push("send".into());
        }
        if described.direction.receives() && !described.is_zero_address() {
            flags.push("recv".into());
        }
    }
    match (section.keying.way, &section.keying.now.receive) {
        (Way::Dtls, _) => flags.push("DTLS-SRTP".into()),
        (Way::Either, _) if section.dtls.as_ref().is_some_and(|d| d.is_in_force()) => {
            flags.push("DTLS-SRTP".into());
        }
        (_, Security::Srtp(_)) => flags.push("SDES".into()),
        (Way::Sdes, Security::EndToEnd) => {
            flags.extend(["SDES", "passthrough"].map(Value::from));
        }
        (_, Security::Plain | Security::EndToEnd | Security::Pending) => {}
    }
    if section
        .newest()
        .is_some_and(|transport| transport.muxing == Muxing::Muxed)
    {
        flags.push("rtcp-mux".into());
    }
    if section.ice.is_some() {
        flags.push("ICE".into());
    }
    Value::List(flags)
}

/// The names of the sections that share a transport with this one, itself among them.
fn bundle(leg: &Leg, section: &Section) -> Option<Vec<u8>> {
    let group = section.group()?;
    let same = leg
        .sections
        .iter()
        .filter(|other| other.group() == Some(group));
    let names: Vec<&[u8]> = same
        .filter_map(|other| Some(other.mid.as_ref()?.as_bytes()))
        .collect();
    Some(names.join(&b' '))
}

fn used(section: &Section) -> impl Iterator<Item = &SsrcStats> {
    section
        .transports()
        .flat_map(|transport| &transport.rtp.stats.ssrcs)
        .filter(|stats| stats.is_used())
}

/// The stream that was heard last.
fn latest_ssrc(ssrcs: &[SsrcStats]) -> Option<u64> {
    let used = ssrcs.iter().filter(|stats| stats.is_used());
    used.max_by_key(|stats| stats.last_seen.get())
        .map(|stats| stats.ssrc.get().into())
}

fn ssrc_list(section: &Section) -> Value<'static> {
    let quality = section.quality.as_deref();
    Value::List(
        used(section)
            .map(|stats| {
                let mut entry = Dict::with_capacity(16);
                entry.push(&b"SSRC"[..], u64::from(stats.ssrc.get()).into());
                for (key, value) in &ssrc(stats, quality) {
                    entry.push(key.clone(), value.clone());
                }
                Value::Dict(entry)
            })
            .collect(),
    )
}

fn ssrc(stats: &SsrcStats, quality: Option<&Quality>) -> Dict<'static> {
    let mut entry = Dict::with_capacity(12)
        .with("bytes", stats.traffic.bytes.get())
        .with("packets", stats.traffic.packets.get())
        .with("last RTP timestamp", u64::from(stats.last_timestamp.get()))
        .with("last RTP seq", stats.last_seq.get())
        .with("cumulative loss", u64::from(stats.lost.get()))
        .with("reordered", u64::from(stats.reordered.get()))
        .with("duplicates", u64::from(stats.duplicates.get()))
        .with("resets", u64::from(stats.resets.get()));
    let Some(stream) = quality.and_then(|quality| quality.of(stats.ssrc.get())) else {
        return entry;
    };
    let average = sample(stream.average()).with("samples", stream.samples());
    entry.push(&b"average MOS"[..], average.into());
    entry.push(&b"lowest MOS"[..], reported(stream.lowest).into());
    entry.push(&b"highest MOS"[..], reported(stream.highest).into());
    let entries = stream
        .progression
        .iter()
        .map(|one| Value::Dict(reported(*one)))
        .collect::<Vec<_>>();
    let progression = Dict::new()
        .with("interval", stream.interval())
        .with("entries", entries);
    entry.push(&b"MOS progression"[..], progression.into());
    entry
}

fn sample(sample: Sample) -> Dict<'static> {
    Dict::new()
        .with("MOS", u64::from(sample.mos))
        .with("round-trip time", sample.rtt_us)
        .with("round-trip time leg", sample.rtt_us)
        .with("jitter", sample.jitter_ms)
        .with("packet loss", u64::from(sample.loss))
}

fn reported(one: Sample) -> Dict<'static> {
    sample(one).with("reported at", one.at)
}

fn endpoint(endpoint: Endpoint) -> Dict<'static> {
    if endpoint == Endpoint::NONE {
        return Dict::new();
    }
    let ip = endpoint.addr.ip();
    Dict::with_capacity(3)
        .with("family", Family::of(ip).as_query_str())
        .with("address", Value::owned(digits::ip(ip)))
        .with("port", endpoint.port)
}

fn both(rtp: &Traffic, rtcp: &Traffic) -> Count {
    let (rtp, rtcp) = (Count::of(rtp), Count::of(rtcp));
    Count {
        packets: rtp.packets + rtcp.packets,
        bytes: rtp.bytes + rtcp.bytes,
    }
}

fn count(count: Count, errors: u64) -> Dict<'static> {
    Dict::with_capacity(3)
        .with("packets", count.packets)
        .with("bytes", count.bytes)
        .with("errors", errors)
}
