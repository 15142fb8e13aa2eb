//! A call between two endpoints of ours, as a proxy would describe it to the relay.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use patchcord_media::srtp::Keys;
use patchcord_wire::ng::Command;
use patchcord_wire::ng::client::{Outcome, RequestBuilder, Response};

use super::sdes::{self, Security};
use super::sdp::{MIDS, Media, Rtcp, Section, bundle_id, media_endpoint};
use crate::io::{Io, Route, Side};
use crate::load::{Name, RtpStream};

/// What every request of a run has in common.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    /// Interfaces of the offering and of the answering side (`direction`).
    pub(crate) interfaces: Option<[String; 2]>,
    /// `flags` of offers and answers.
    pub(crate) flags: Vec<String>,
    /// Values of the `rtcp-mux` list.
    pub(crate) rtcp_mux: Vec<String>,
    /// Further keys with their values, passed through.
    pub(crate) keys: Vec<(String, String)>,
    /// Milliseconds of media a packet.
    pub(crate) ptime: u32,
    pub(crate) payload_type: u8,
    /// What protects the media of the offering and of the answering side.
    pub(crate) security: [Security; 2],
    pub(crate) rtcp: Rtcp,
    /// Audio and video, bundled on the offering side where the relay can.
    pub(crate) bundle: bool,
}

/// The payload type of video.
const VIDEO: u8 = 96;

/// A call's names and sections.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    id: String,
    sections: Vec<Ends>,
    /// The id under which the offering side's packets name their section, if those share a transport.
    bundled: Option<u8>,
}

/// Both ends of a section; those of the relay are known once it has replied.
#[derive(Clone, Debug)]
struct Ends {
    ours: [SocketAddr; 2],
    relay: [Option<SocketAddr>; 2],
    payload_type: u8,
    /// What each of our endpoints protects its packets with.
    keys: [Option<Arc<Keys>>; 2],
    /// What the relay protects the packets to each of them with, and the tag of that line.
    relay_keys: [Option<(u32, Arc<Keys>)>; 2],
}

impl Call {
    /// The `index`-th call of run `run`.
    pub(crate) fn new(run: &str, index: usize, io: &Io, style: &Style) -> Self {
        let types = [style.payload_type, VIDEO];
        let count = if style.bundle { types.len() } else { 1 };
        let ends = |(at, payload_type): (usize, &u8)| Ends {
            ours: Side::BOTH.map(|side| io.endpoint(side, index * count + at)),
            relay: [None; 2],
            payload_type: *payload_type,
            keys: style.security.map(Security::fresh),
            relay_keys: [None, None],
        };
        Self {
            id: format!("patchload-{run}-{index}"),
            sections: types[..count].iter().enumerate().map(ends).collect(),
            bundled: None,
        }
    }

    /// The offer.
    pub(crate) fn offer<'a>(&'a self, style: &'a Style) -> RequestBuilder<'a> {
        let (bundle, demux): (&[_], &[_]) = if style.bundle {
            (&["accept"], &["demux"])
        } else {
            (&[], &[])
        };
        let mux = style.rtcp_mux.iter().map(String::as_str);
        let offer = self
            .negotiate(Command::Offer, style, Side::Offerer)
            .with_list("rtcp-mux", mux.chain(demux.iter().copied()))
            .with_list("bundle", bundle.iter().copied());
        let [ours, theirs] = style.security.map(Security::proto);
        if ours == theirs {
            offer
        } else {
            offer.with("transport-protocol", theirs)
        }
    }

    /// The answer.
    pub(crate) fn answer<'a>(&'a self, style: &'a Style) -> RequestBuilder<'a> {
        self.negotiate(Command::Answer, style, Side::Answerer)
            .with("to-tag", format!("{}-to", self.id))
    }

    /// The delete, at once.
    pub(crate) fn delete(&self) -> RequestBuilder<'_> {
        self.request(Command::Delete).with("delete delay", 0_i64)
    }

    fn negotiate<'a>(
        &'a self,
        command: Command,
        style: &'a Style,
        side: Side,
    ) -> RequestBuilder<'a> {
        let here = side as usize;
        let section = |ends: &'a Ends| {
            // An answer names the line that it took.
            let tag = ends.relay_keys[here].as_ref().map_or(1, |(tag, _)| *tag);
            Section {
                at: ends.ours[here],
                payload_type: ends.payload_type,
                keys: ends.keys[here].as_deref().map(|keys| (tag, keys)),
            }
        };
        let sections: Vec<_> = self.sections.iter().map(section).collect();
        let media = Media {
            sections: &sections,
            ptime: style.ptime,
            rtcp: style.rtcp,
            bundle: style.bundle && side == Side::Offerer,
        };
        let interfaces = style.interfaces.iter().flatten().map(String::as_str);
        let request = self
            .request(command)
            .with("sdp", media.to_sdp())
            .with_list("replace", ["origin"])
            .with_list("supports", ["load limit"])
            .with_list("flags", style.flags.iter().map(String::as_str))
            .with_list("direction", interfaces);
        style.keys.iter().fold(request, |request, (key, value)| {
            request.with(key, value.as_str())
        })
    }

    fn request(&self, command: Command) -> RequestBuilder<'_> {
        RequestBuilder::new(command)
            .with("call-id", self.id.as_str())
            .with("from-tag", format!("{}-from", self.id))
    }

    /// Takes the relay's reply to a request of `side`: its SDP is what the other side gets to see.
    pub(crate) fn learn(&mut self, side: Side, reply: &Response<'_>) -> Result<()> {
        expect_ok(reply)?;
        let body = reply.sdp().context("a reply without SDP")?;
        let there = side.other() as usize;
        for (at, ends) in self.sections.iter_mut().enumerate() {
            ends.relay[there] = Some(media_endpoint(body, at)?);
            if let Some(ours) = &ends.keys[there] {
                ends.relay_keys[there] = Some(sdes::find(body, at, ours.suite())?);
            }
        }
        if side == Side::Answerer && self.sections.len() > 1 {
            self.bundled = bundle_id(body)?;
            self.share();
        }
        Ok(())
    }

    /// What the sections of a bundle share is the first one's (RFC 9143 §7.3).
    fn share(&mut self) {
        let Some((first, others)) = self.sections.split_first_mut() else {
            return;
        };
        if self.bundled.is_none() {
            return;
        }
        let here = Side::Offerer as usize;
        for other in others {
            other.ours[here] = first.ours[here];
            other.relay[here] = first.relay[here];
            other.keys[here].clone_from(&first.keys[here]);
            other.relay_keys[here].clone_from(&first.relay_keys[here]);
        }
    }

    /// All RTP streams of an established call, their SSRCs still to be given.
    pub(crate) fn streams(&self) -> Option<Vec<RtpStream>> {
        let sections = self.sections.iter().zip(MIDS);
        let both = sections.map(|(ends, mid)| {
            let name = self.bundled.map(|id| Name::new(id, mid));
            ends.streams(name)
        });
        Some(both.collect::<Option<Vec<_>>>()?.concat())
    }
}

impl Ends {
    /// The streams both ways; on the offering side under that name.
    fn streams(&self, name: Option<Name>) -> Option<[RtpStream; 2]> {
        let relay = [self.relay[0]?, self.relay[1]?];
        Some(Side::BOTH.map(|side| {
            let (here, there) = (side as usize, side.other() as usize);
            let name = |at| name.filter(|_| at == Side::Offerer);
            RtpStream {
                route: Route {
                    side,
                    from: self.ours[here],
                    to: relay[here],
                },
                arrives_at: self.ours[there],
                arrives_from: relay[there],
                ssrc: 0,
                payload_type: self.payload_type,
                named: [name(side), name(side.other())],
                sends: self.keys[here].clone(),
                receives: self.relay_keys[there]
                    .as_ref()
                    .map(|(_, keys)| Arc::clone(keys)),
            }
        }))
    }
}

/// Turns an NG error into one of ours.
pub(crate) fn expect_ok(reply: &Response<'_>) -> Result<()> {
    match reply.outcome() {
        Outcome::Success => Ok(()),
        Outcome::Error(reason) => bail!("the relay says: {reason}"),
        Outcome::LoadLimit(limit) => bail!("the relay takes no more calls: {limit}"),
        Outcome::Other(result) => bail!("the relay answers with result {result:?}"),
    }
}
