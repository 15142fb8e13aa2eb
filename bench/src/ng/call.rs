//! A call between two endpoints of ours, as a proxy would describe it to the relay.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use patchcord_media::srtp::Keys;
use patchcord_wire::ng::Command;
use patchcord_wire::ng::client::{Outcome, RequestBuilder, Response};

use super::sdes::{self, Security};
use super::sdp::{Media, Rtcp, media_endpoint};
use crate::io::{Io, Route, Side};
use crate::load::RtpStream;

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
}

/// A call's names and endpoints; those of the relay are known once it has replied.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    id: String,
    ours: [SocketAddr; 2],
    relay: [Option<SocketAddr>; 2],
    /// What each of our endpoints protects its packets with.
    keys: [Option<Arc<Keys>>; 2],
    /// What the relay protects the packets to each of them with, and the tag of that line.
    relay_keys: [Option<(u32, Arc<Keys>)>; 2],
}

impl Call {
    /// The `index`-th call of run `run`.
    pub(crate) fn new(run: &str, index: usize, io: &Io, security: [Security; 2]) -> Self {
        let ours = Side::BOTH.map(|side| io.endpoint(side, index));
        Self {
            id: format!("patchload-{run}-{index}"),
            ours,
            relay: [None; 2],
            keys: security.map(Security::fresh),
            relay_keys: [None, None],
        }
    }

    /// The offer.
    pub(crate) fn offer<'a>(&'a self, style: &'a Style) -> RequestBuilder<'a> {
        let offer = self
            .negotiate(Command::Offer, style, Side::Offerer)
            .with_list("rtcp-mux", style.rtcp_mux.iter().map(String::as_str));
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
        // An answer names the line that it took.
        let taken = self.relay_keys[side as usize].as_ref();
        let tag = taken.map_or(1, |(tag, _)| *tag);
        let media = Media {
            at: self.ours[side as usize],
            payload_type: style.payload_type,
            ptime: style.ptime,
            rtcp: style.rtcp,
            keys: self.keys[side as usize].as_deref().map(|keys| (tag, keys)),
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
        self.relay[there] = Some(media_endpoint(body)?);
        if let Some(ours) = &self.keys[there] {
            self.relay_keys[there] = Some(sdes::find(body, ours.suite())?);
        }
        Ok(())
    }

    /// Both RTP streams of an established call, their SSRCs still to be given.
    pub(crate) fn streams(&self, payload_type: u8) -> Option<[RtpStream; 2]> {
        let relay = [self.relay[0]?, self.relay[1]?];
        Some(Side::BOTH.map(|side| {
            let (here, there) = (side as usize, side.other() as usize);
            RtpStream {
                route: Route {
                    side,
                    from: self.ours[here],
                    to: relay[here],
                },
                arrives_at: self.ours[there],
                arrives_from: relay[there],
                ssrc: 0,
                payload_type,
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
