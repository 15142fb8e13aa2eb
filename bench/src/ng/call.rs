//! A call between two endpoints of ours, as a proxy would describe it to the relay.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};

use super::sdp::{Media, Rtcp, Security, media_endpoint};
use super::wire::{Dict, Value};
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
    pub(crate) security: Security,
    pub(crate) rtcp: Rtcp,
}

/// A call's names and endpoints; those of the relay are known once it has replied.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    id: String,
    ours: [SocketAddr; 2],
    relay: [Option<SocketAddr>; 2],
}

impl Call {
    /// The `index`-th call of run `run`.
    pub(crate) fn new(run: &str, index: usize, io: &Io) -> Self {
        let ours = Side::BOTH.map(|side| io.endpoint(side, index));
        Self {
            id: format!("patchload-{run}-{index}"),
            ours,
            relay: [None; 2],
        }
    }

    /// The offer.
    pub(crate) fn offer(&self, style: &Style) -> Dict<'static> {
        let dict = self.request("offer", style, Side::Offerer);
        let mux = style
            .rtcp_mux
            .iter()
            .map(|word| word.clone().into())
            .collect::<Vec<_>>();
        if mux.is_empty() {
            dict
        } else {
            dict.with("rtcp-mux", mux)
        }
    }

    /// The answer.
    pub(crate) fn answer(&self, style: &Style) -> Dict<'static> {
        self.request("answer", style, Side::Answerer)
            .with("to-tag", format!("{}-to", self.id))
    }

    /// The delete, at once.
    pub(crate) fn delete(&self) -> Dict<'static> {
        Dict::new()
            .with("command", "delete")
            .with("call-id", self.id.clone())
            .with("from-tag", format!("{}-from", self.id))
            .with("delete delay", 0)
    }

    fn request(&self, command: &'static str, style: &Style, side: Side) -> Dict<'static> {
        let media = Media {
            at: self.ours[side as usize],
            payload_type: style.payload_type,
            ptime: style.ptime,
            security: style.security,
            rtcp: style.rtcp,
        };
        let list = |words: &[String]| -> Value<'static> {
            words
                .iter()
                .map(|w| Value::from(w.clone()))
                .collect::<Vec<_>>()
                .into()
        };
        let mut dict = Dict::new()
            .with("command", command)
            .with("call-id", self.id.clone())
            .with("from-tag", format!("{}-from", self.id))
            .with("sdp", media.to_sdp())
            .with("replace", list(&["origin".into()]))
            .with("supports", list(&["load limit".into()]));
        if !style.flags.is_empty() {
            dict = dict.with("flags", list(&style.flags));
        }
        if let Some(interfaces) = &style.interfaces {
            dict = dict.with("direction", list(interfaces));
        }
        for (key, value) in &style.keys {
            dict.push(key.clone().into_bytes(), value.clone().into());
        }
        dict
    }

    /// Takes the relay's reply to a request of `side`: its SDP is what the other side gets to see.
    pub(crate) fn learn(&mut self, side: Side, reply: &Value<'_>) -> Result<()> {
        expect_ok(reply)?;
        let body = reply
            .get("sdp")
            .and_then(Value::as_bytes)
            .context("a reply without SDP")?;
        self.relay[side.other() as usize] = Some(media_endpoint(body)?);
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
            }
        }))
    }
}

/// Turns an NG error into one of ours.
pub(crate) fn expect_ok(reply: &Value<'_>) -> Result<()> {
    let text = |key| {
        reply
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    match text("result").as_str() {
        "ok" | "pong" => Ok(()),
        "load limit" => bail!("the relay refuses calls: load limit, {}", text("message")),
        other => bail!("the relay says {other}: {}", text("error-reason")),
    }
}
