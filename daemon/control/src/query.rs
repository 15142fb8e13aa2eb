//! `query`: a call in rtpengine's words (NG manual, section on the reply of `query` and `delete`).

use std::borrow::Cow;
use std::sync::Arc;

use patchcord_contract::{Endpoint, Reason, Time};
use patchcord_media::flow::{Security, Spec};
use patchcord_media::stats::{PortStats, SsrcStats, Traffic};
use patchcord_wire::ids::Tag;
use patchcord_wire::ng::address::Family;
use patchcord_wire::ng::{Document, Writer};

use crate::call::{Call, Component, Count, Dtls, Leg, LegId, Muxing, Section, Transport, Way};
use crate::ice::{Agent, ListId, Mode, Role};
use crate::quality::{Quality, Sample};
use crate::{Clock, Settings};

/// Room for the description of a call of two legs, each with audio: not grown on the way.
const ROOM: usize = 4096;

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
) -> Document {
    entries(call, settings, clock, narrow, Reader::Proxy)
}

/// The same of the whole call, and each section's direction, each port's interface, advertised
/// address and drops by reason besides.
pub(crate) fn explain(call: &Call, settings: &Settings, clock: Clock) -> Document {
    entries(call, settings, clock, &Narrow::All, Reader::Operator)
}

fn entries(
    call: &Call,
    settings: &Settings,
    clock: Clock,
    narrow: &Narrow,
    reader: Reader,
) -> Document {
    let view = View {
        call,
        settings,
        clock,
        reader,
    };
    Document::write(ROOM, |out| view.call(narrow, out))
}

/// The key of a leg: its tag, or a number while it has none.
fn name(leg: &Leg, index: usize) -> Cow<'_, [u8]> {
    leg.tag().map_or_else(
        || format!("<untagged {index}>").into_bytes().into(),
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
    fn call(&self, narrow: &Narrow, out: &mut Writer<'_>) {
        let call = self.call;
        let micros = call.created.wall_us;
        out.uint_entry("created", micros / 1_000_000);
        out.uint_entry("created_us", micros % 1_000_000);
        out.uint_entry("created_ts", micros);
        out.uint_entry("last signal", call.signalled.wall_secs());
        out.uint_entry("last redis update", 0);
        if let Some(metadata) = &call.metadata {
            out.bytes_entry("metadata", metadata);
        }
        out.dict_entry("tags", |out| {
            for (index, leg) in call.legs.iter().enumerate() {
                if narrow.wants(call, leg) {
                    out.key_bytes(&name(leg, index));
                    out.dict(|out| self.leg(leg, out));
                }
            }
        });
        out.dict_entry("SSRC", |out| self.ssrcs(out));
        let tally = call.tally();
        out.dict_entry("totals", |out| {
            count("RTP", tally.rtp, tally.dropped, out);
            count("RTCP", tally.rtcp, 0, out);
        });
    }

    fn leg(&self, leg: &Leg, out: &mut Writer<'_>) {
        out.bytes_entry("tag", tag(leg));
        if let Some(branch) = &leg.branch {
            out.bytes_entry("via-branch", branch.as_bytes());
        }
        if let Some(label) = &leg.label {
            out.bytes_entry("label", label.as_bytes());
        }
        out.uint_entry("created", leg.created_us / 1_000_000);
        if let [_, aliases @ ..] = &leg.tags[..]
            && !aliases.is_empty()
        {
            out.list_entry("tag-aliases", |out| {
                for tag in aliases {
                    out.bytes(tag.as_bytes());
                }
            });
        }
        let peer = self
            .call
            .established_peer(leg.id)
            .or_else(|| self.call.peers(leg.id).next());
        if let Some(peer) = peer {
            out.bytes_entry("in dialogue with", tag(self.call.leg(peer)));
        }
        out.list_entry("subscriptions", |out| self.subscriptions(leg.id, out));
        out.list_entry("subscribers", |out| self.subscriptions(leg.id, out));
        out.list_entry("medias", |out| {
            for (index, section) in leg.sections.iter().enumerate() {
                out.dict(|out| self.media(leg, index, section, out));
            }
        });
    }

    fn subscriptions(&self, leg: LegId, out: &mut Writer<'_>) {
        for peer in self.call.peers(leg) {
            out.dict(|out| {
                out.bytes_entry("tag", tag(self.call.leg(peer)));
                out.entry("type", "offer/answer");
            });
        }
    }

    fn media(&self, leg: &Leg, index: usize, section: &Section, out: &mut Writer<'_>) {
        out.uint_entry("index", index as u64 + 1);
        out.bytes_entry("type", section.kind.as_ref());
        let described = section.remote.latest();
        if let Some(proto) = described.map(|d| d.proto).or(section.told) {
            out.entry("protocol", proto.as_str());
        }
        if let Some(codec) = described
            .map(|d| &d.codec)
            .filter(|codec| !codec.is_empty())
        {
            out.bytes_entry("codec", codec.as_ref());
        }
        if let Some(mid) = &section.mid {
            out.bytes_entry("media-id", mid.as_bytes());
        }
        if let (Reader::Operator, Some(described)) = (self.reader, section.remote.effective()) {
            out.entry("direction", described.direction.as_str());
        }
        if let (Reader::Operator, Some(names)) = (self.reader, bundle(leg, section)) {
            out.bytes_entry("bundle", &names);
        }
        out.list_entry("streams", |out| {
            for transport in section.transports() {
                let components = std::iter::once(&transport.rtp).chain(transport.rtcp.as_ref());
                for component in components {
                    out.dict(|out| self.stream(transport, component, section, out));
                }
            }
        });
        if let (Reader::Operator, Some((agent, list))) = (self.reader, leg.ice_of(section)) {
            out.dict_entry("ICE", |out| connectivity(agent, list, out));
        }
        if let (Reader::Operator, Some(dtls)) = (self.reader, &section.dtls) {
            out.dict_entry("DTLS", |out| handshakes(dtls, section, out));
        }
        out.list_entry("flags", |out| media_flags(section, out));
        out.list_entry("ingress SSRCs", |out| ssrc_list(section, out));
        out.list_entry("egress SSRCs", |out| {
            for peer in self.call.listeners(leg.id) {
                if let Some(section) = self.call.leg(peer).sections.get(index) {
                    ssrc_list(section, out);
                }
            }
        });
    }

    fn stream(
        &self,
        transport: &Transport,
        component: &Component,
        section: &Section,
        out: &mut Writer<'_>,
    ) {
        let stats = &component.stats;
        let is_rtp = component.id() == transport.rtp.id();
        let local = self.settings.interfaces[usize::from(transport.interface)].address;
        out.uint_entry("local port", component.told().into());
        out.key("local address");
        out.ip(local.ip());
        out.entry("family", Family::of(local.ip()).as_query_str());
        let advertised = component.advertised;
        let latched = component.latched.unwrap_or(advertised);
        out.dict_entry("endpoint", |out| endpoint(latched, out));
        out.dict_entry("advertised endpoint", |out| endpoint(advertised, out));
        let spec = self.spec(component);
        if let Some(Security::Srtp(keys)) = spec.map(|spec| &spec.receive) {
            out.entry("crypto suite", keys.suite().name());
        }
        let last = self.wall(stats.last_packet());
        out.uint_entry("last packet", last);
        out.uint_entry("last kernel packet", 0);
        out.uint_entry("last user packet", last);
        if is_rtp && let Some(latest) = latest_ssrc(&stats.ssrcs) {
            out.uint_entry("SSRC", latest);
        }
        out.list_entry("flags", |out| {
            let flags = [
                (is_rtp, "RTP"),
                (!is_rtp || transport.muxing == Muxing::Muxed, "RTCP"),
                (section.remote.latest().is_some(), "filled"),
                (component.latched.is_some(), "confirmed"),
            ];
            let flags = flags.into_iter().filter(|(is_set, _)| *is_set);
            flags.for_each(|(_, flag)| out.bytes(flag.as_bytes()));
        });
        let incoming = both(&stats.rtp_in, &stats.rtcp_in);
        let outgoing = both(&stats.rtp_out, &stats.rtcp_out);
        let errors = stats.dropped() - stats.drops(Reason::RtcpTerminated);
        count("stats", incoming, errors, out);
        count("stats_out", outgoing, stats.unsent(), out);
        if self.reader == Reader::Operator {
            self.explain_port(transport, stats, out);
            if let Some(spec) = spec {
                out.entry("security in", security(&spec.receive));
                out.entry("security out", security(&spec.send));
            }
        }
    }

    /// What the workers were told of a port.
    fn spec(&self, component: &Component) -> Option<&Spec> {
        let at = |spec: &Arc<Spec>| spec.port.cmp(&component.id());
        let found = self.call.flows.binary_search_by(at).ok()?;
        self.call.flows.get(found).map(|spec| &**spec)
    }

    fn explain_port(&self, transport: &Transport, stats: &PortStats, out: &mut Writer<'_>) {
        let interface = &self.settings.interfaces[usize::from(transport.interface)];
        out.bytes_entry("interface", interface.name.as_ref());
        out.entry(
            "local advertised address",
            &interface.advertised.to_string(),
        );
        out.dict_entry("drops", |out| {
            for reason in Reason::ALL {
                let drops = stats.drops(*reason);
                if drops > 0 {
                    out.uint_entry(reason.as_str(), drops);
                }
            }
        });
        let tier = stats.tier();
        out.entry("tier", tier.as_str());
        if let Some(why) = tier.why() {
            out.entry("tier reason", why.as_str());
        }
    }

    /// Unix time of a moment on the monotonic clock; the call's creation stands in for never.
    fn wall(&self, at: Option<Time>) -> u64 {
        let at = at.unwrap_or(self.call.created.now);
        let ago = self.clock.now.since(at).as_micros() as u64;
        self.clock.wall_us.saturating_sub(ago) / 1_000_000
    }

    /// All streams of the call by SSRC.
    fn ssrcs(&self, out: &mut Writer<'_>) {
        for section in self.call.legs.iter().flat_map(|leg| &leg.sections) {
            for stats in used(section) {
                out.key(&stats.ssrc.get().to_string());
                out.dict(|out| ssrc(stats, section.quality.as_deref(), out));
            }
        }
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
fn connectivity(agent: &Agent, list: ListId, out: &mut Writer<'_>) {
    let role = match (agent.mode(), agent.role()) {
        (Mode::Lite, _) => "lite",
        (Mode::Full, Role::Controlling) => "controlling",
        (Mode::Full, Role::Controlled) => "controlled",
    };
    out.entry("role", role);
    out.list_entry("pairs", |out| {
        for pair in agent.pairs(list) {
            out.dict(|out| {
                out.uint_entry("component", u64::from(pair.component.number()));
                out.dict_entry("local", |out| endpoint(pair.local, out));
                out.dict_entry("remote", |out| endpoint(pair.remote, out));
                out.entry("state", pair.state.name());
            });
        }
    });
    out.uint_entry("disbelieved", agent.disbelieved());
    if let Some(what) = agent.waits_for(list) {
        out.entry("waits for", what);
    }
}

/// How keys are being made, and what that waits for.
fn handshakes(dtls: &Dtls, section: &Section, out: &mut Writer<'_>) {
    out.entry("role", dtls.role.as_str());
    out.list_entry("associations", |out| {
        for path in &dtls.paths {
            let mut components = section.components();
            let port = components.find(|component| component.id() == path.port);
            out.dict(|out| {
                out.uint_entry("local port", port.map_or(0, Component::told).into());
                out.entry("role", path.role.as_str());
                out.entry("state", path.state());
                if let Some(made) = &path.keys {
                    out.entry("suite", made.suite().name());
                }
                if let Some(text) = path.failure() {
                    out.bytes_entry("failure", text.as_ref());
                }
            });
        }
    });
    if let Some(what) = dtls.waits_for(section.ice.is_some()) {
        out.entry("waits for", what);
    }
}

fn tag(leg: &Leg) -> &[u8] {
    leg.tag().map_or(&[][..], Tag::as_bytes)
}

fn media_flags(section: &Section, out: &mut Writer<'_>) {
    let mut flag = |text: &str| out.bytes(text.as_bytes());
    if let Some(described) = section.remote.effective() {
        flag("initialized");
        if described.direction.sends() {
            flag("send");
        }
        if described.direction.receives() && !described.is_zero_address() {
            flag("recv");
        }
    }
    match (section.keying.way, &section.keying.now.receive) {
        (Way::Dtls, _) => flag("DTLS-SRTP"),
        (Way::Either, _) if section.dtls.as_ref().is_some_and(|d| d.is_in_force()) => {
            flag("DTLS-SRTP");
        }
        (_, Security::Srtp(_)) => flag("SDES"),
        (Way::Sdes, Security::EndToEnd) => {
            flag("SDES");
            flag("passthrough");
        }
        (_, Security::Plain | Security::EndToEnd | Security::Pending) => {}
    }
    if section
        .newest()
        .is_some_and(|transport| transport.muxing == Muxing::Muxed)
    {
        flag("rtcp-mux");
    }
    if section.ice.is_some() {
        flag("ICE");
    }
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

fn ssrc_list(section: &Section, out: &mut Writer<'_>) {
    for stats in used(section) {
        out.dict(|out| {
            out.uint_entry("SSRC", stats.ssrc.get().into());
            ssrc(stats, section.quality.as_deref(), out);
        });
    }
}

fn ssrc(stats: &SsrcStats, quality: Option<&Quality>, out: &mut Writer<'_>) {
    out.uint_entry("bytes", stats.traffic.bytes.get());
    out.uint_entry("packets", stats.traffic.packets.get());
    out.uint_entry("last RTP timestamp", stats.last_timestamp.get().into());
    out.uint_entry("last RTP seq", stats.last_seq.get());
    out.uint_entry("cumulative loss", stats.lost.get().into());
    out.uint_entry("reordered", stats.reordered.get().into());
    out.uint_entry("duplicates", stats.duplicates.get().into());
    out.uint_entry("resets", stats.resets.get().into());
    let Some(stream) = quality.and_then(|quality| quality.of(stats.ssrc.get())) else {
        return;
    };
    out.dict_entry("average MOS", |out| {
        sample(stream.average(), out);
        out.uint_entry("samples", stream.samples().into());
    });
    out.dict_entry("lowest MOS", |out| reported(stream.lowest, out));
    out.dict_entry("highest MOS", |out| reported(stream.highest, out));
    out.dict_entry("MOS progression", |out| {
        out.uint_entry("interval", stream.interval());
        out.list_entry("entries", |out| {
            for one in &stream.progression {
                out.dict(|out| reported(*one, out));
            }
        });
    });
}

fn sample(sample: Sample, out: &mut Writer<'_>) {
    out.uint_entry("MOS", sample.mos.into());
    out.uint_entry("round-trip time", sample.rtt_us.into());
    out.uint_entry("round-trip time leg", sample.rtt_us.into());
    out.uint_entry("jitter", sample.jitter_ms.into());
    out.uint_entry("packet loss", sample.loss.into());
}

fn reported(one: Sample, out: &mut Writer<'_>) {
    sample(one, out);
    out.uint_entry("reported at", one.at);
}

fn endpoint(endpoint: Endpoint, out: &mut Writer<'_>) {
    if endpoint == Endpoint::NONE {
        return;
    }
    let ip = endpoint.addr.ip();
    out.entry("family", Family::of(ip).as_query_str());
    out.key("address");
    out.ip(ip);
    out.uint_entry("port", endpoint.port.into());
}

fn both(rtp: &Traffic, rtcp: &Traffic) -> Count {
    let (rtp, rtcp) = (Count::of(rtp), Count::of(rtcp));
    Count {
        packets: rtp.packets + rtcp.packets,
        bytes: rtp.bytes + rtcp.bytes,
    }
}

fn count(key: &str, count: Count, errors: u64, out: &mut Writer<'_>) {
    out.dict_entry(key, |out| {
        out.uint_entry("packets", count.packets);
        out.uint_entry("bytes", count.bytes);
        out.uint_entry("errors", errors);
    });
}
