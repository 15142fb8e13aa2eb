//! The bodies of the fuzz targets, so that one definition serves libFuzzer, the replay of the
//! committed corpora, and whoever debugs an input.
//!
//! Each takes arbitrary bytes and must not panic; beyond that it states what has to hold.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use patchcord_contract::{Addr, Endpoint, Time};
use patchcord_control::Settings;
use patchcord_media::flow::{
    Accepts, Admission, Clocks, Command, Event, Feedback, Handshakes, Learning, PortId, Punts,
    Reporting, Security, Sink, Spec, Stranger,
};
use patchcord_media::srtp::{Keys, Suite};
use patchcord_media::stats::PortStats;
use patchcord_media::{Outbox, Packet, Plane, Rx};
use patchcord_wire::extension::Rewrite;
use patchcord_wire::ng::{self, Format, Request};
use patchcord_wire::rtcp::{Compound, Source, select, strip_feedback};
use patchcord_wire::rtp::Rtp;
use patchcord_wire::sdp::{
    Candidate, Crypto, Fingerprint, Origin, Rid, Rtpmap, Sdp, SsrcGroup, Writer,
};
use patchcord_wire::stun;
use patchcord_wire::value::{Dict, Limits, Value};
use patchcord_wire::{bencode, json};

use crate::world::World;

mod bundle;
mod dtls;
mod ice;
mod srtp;
mod web;

pub use bundle::bundle;
pub use dtls::dtls;
pub use ice::ice;
pub use srtp::srtp;

/// What is decoded is written and decoded again to the same value, in both encodings.
pub fn bencode(data: &[u8]) {
    let Ok((value, used)) = bencode::decode(data, Limits::REQUEST) else {
        return;
    };
    assert!(used <= data.len(), "a value lies within its input");
    let mut bytes = Vec::new();
    bencode::encode(&value, &mut bytes);
    let (again, _) = bencode::decode(&bytes, Limits::REPLY).expect("our own bencode");
    assert_eq!(value, again);
    let mut text = Vec::new();
    json::encode(&value, &mut text);
    json::decode(&text, Limits::REPLY).expect("our own JSON");
}

/// A datagram becomes a typed request or an error that can be answered.
pub fn ng(data: &[u8]) {
    let mut units = ng::stream::Units::default();
    let _ = units.next(data);
    let Ok(envelope) = ng::parse(data) else {
        return;
    };
    let (request, warnings) = Request::parse(&envelope.body);
    let reply = match request {
        Ok(_) => ng::Reply::sdp(b"v=0\r\n".as_slice()),
        Err(error) => ng::Reply::error(error.to_string()),
    };
    let reply = if warnings.is_empty() {
        reply
    } else {
        reply.with_warning(warnings.to_string())
    };
    for format in [Format::Bencode, Format::Json] {
        let bytes = reply.to_bytes(Some(envelope.cookie), format);
        assert!(ng::parse(&bytes).is_ok(), "a reply parses");
    }
}

/// An index over a body gives the body back, and typed lines are read or refused.
pub fn sdp(data: &[u8]) {
    let Ok(sdp) = Sdp::parse(data) else { return };
    let mut out = Writer::new(sdp.eol(), data.len());
    out.raw_all(sdp.session().lines());
    for section in sdp.sections() {
        out.raw_all(section.lines());
        let _ = (section.media(), section.connection(), section.direction());
        let _ = section.all::<Rtpmap<'_>>().count();
        let _ = section.all::<Candidate<'_>>().count();
        let _ = section.all::<Crypto<'_>>().count();
        let _ = section.all::<Rid<'_>>().count();
        let groups = section.all::<SsrcGroup<'_>>().filter_map(Result::ok);
        let _ = groups.flat_map(|group| group.ssrcs()).count();
        let _ = section.get_or_inherit::<Fingerprint>();
    }
    let _ = sdp.session().get::<Origin<'_>>();
    let written = out.finish();
    assert!(
        written.starts_with(data),
        "what is not touched stays byte for byte"
    );
    let _ = sdp.check();
}

/// A header that was accepted lies within its packet, and so do its parts.
pub fn rtp(data: &[u8]) {
    let Ok(rtp) = Rtp::parse(data) else { return };
    assert!(data.len() >= 12);
    assert!(rtp.payload().len() <= data.len() - 12);
    let elements: usize = rtp.elements().map(|element| element.data.len()).sum();
    assert!(elements <= data.len());
    assert!(rtp.csrcs().len() <= 15);
    let (payload, name) = (rtp.payload().to_vec(), b"a-section");
    let mut buffer = data.to_vec();
    buffer.resize(data.len() + 64, 0);
    let rewrite = Rewrite {
        cut: &[data[2], data[3]],
        renumber: &[(data[4], data[5])],
        put: Some((data[6].max(1), name)),
    };
    if let Ok(len) = rewrite.apply(&mut buffer, data.len()) {
        let after = Rtp::parse(&buffer[..len]).expect("a rewritten packet is a packet");
        assert_eq!(after.payload(), payload);
        assert_eq!(after.element(data[6].max(1)), Some(&name[..]));
    }
}

/// A checked compound walks to its end; without its feedback it is a compound again, or nothing.
pub fn rtcp(data: &[u8]) {
    let Ok(compound) = Compound::parse(data) else {
        return;
    };
    let total: usize = compound
        .packets()
        .map(|packet| packet.body().len() + 4)
        .sum();
    assert!(total <= data.len(), "packets lie within the datagram");
    let mut copy = data.to_vec();
    let left = strip_feedback(&mut copy);
    let left = &copy[..left];
    if !left.is_empty() {
        let rest = Compound::parse(left).expect("what is left is a compound");
        assert!(rest.packets().all(|packet| !packet.kind().is_feedback()));
    }
    let mut part = vec![0; data.len() + 8];
    for odd in [false, true] {
        let about = |source| match source {
            Source::Sender(ssrc) | Source::Media(ssrc) => ssrc.0 & 1 == u32::from(odd),
        };
        let len = select(&compound, about, &mut part);
        assert!(len == 0 || Compound::parse(&part[..len]).is_ok());
    }
}

/// What was read of a STUN message is read again after it was written, and nobody's key opens it.
pub fn stun(data: &[u8]) {
    let Ok(message) = stun::Message::parse(data) else {
        return;
    };
    assert!(!message.verify(&stun::Key::new(b"a key that no input was made with")));
    let mut buffer = vec![0; 2 * data.len() + 256];
    let (class, method) = (message.class, message.method);
    let mut writer = stun::Writer::new(&mut buffer, class, method, message.transaction);
    writer.unknown(&message.unknown);
    if let Some((receiver, sender)) = message.ufrags() {
        writer.username(receiver, sender);
    }
    if let Some(priority) = message.priority {
        writer.priority(priority);
    }
    if let Some(role) = message.role {
        writer.role(role);
    }
    if let Some(mapped) = message.mapped {
        writer.mapped(mapped);
    }
    if let Some(error) = message.error {
        writer.error(error);
    }
    let key = stun::Key::new(b"ours");
    let len = writer.finish(&key).expect("room for as much as was read");
    let again = stun::Message::parse(&buffer[..len]).expect("our own message");
    assert!(again.verify(&key) && again.is_sealed());
    assert_eq!(again.ufrags(), message.ufrags());
    assert_eq!((again.class, again.method), (class, method));
    assert_eq!(
        (again.priority, again.role),
        (message.priority, message.role)
    );
    assert_eq!((again.mapped, again.error), (message.mapped, message.error));
}

/// Any commands and any packets: no panic, and every packet has one verdict.
pub fn plane(data: &[u8]) {
    let mut input = Input(data);
    let mut plane = Plane::new(0, 1);
    let stats: Vec<_> = (0..PORTS).map(|_| Arc::new(PortStats::default())).collect();
    let mut now = Time::from_secs(1);
    let mut offered = 0;
    while let Some(word) = input.byte() {
        now = now + Duration::from_millis(u64::from(input.byte().unwrap_or(20)) * 4);
        match word % 8 {
            0 => plane.command(now, Command::Set(Arc::new(spec(&mut input, &stats)))),
            1 => plane.command(now, Command::Clear(port(word >> 3))),
            2 => plane.tick(now, &mut Nothing),
            _ => {
                let len = usize::from(input.byte().unwrap_or(0)) * 2;
                let mut buffer = input.bytes(len).to_vec();
                let len = buffer.len();
                buffer.resize(len + 80, 0);
                let source = (word & 8 == 0).then(|| place(word >> 4));
                let packet = Packet::new(&mut buffer, len);
                let truncated = word == 0xff;
                let mut batch = [Rx {
                    port: port(word >> 3),
                    source,
                    packet,
                    truncated,
                }];
                plane.process(now, &mut batch, &mut Nothing);
                offered += 1;
            }
        }
    }
    assert_eq!(plane.stats().decided(), offered, "one verdict a packet");
}

/// Any sequence of NG commands: no panic, and once all calls are deleted every port is back.
pub fn calls(data: &[u8]) {
    let mut input = Input(data);
    let mut settings = Settings::with_address(Addr::from(IpAddr::from([203, 0, 113, 1])));
    // Two addresses, so that ICE has doors.
    let mut second = settings.interfaces[0].clone();
    second.address = Addr::from(IpAddr::from([203, 0, 113, 2]));
    settings.interfaces.push(second);
    let mut world = World::new(settings, 1);
    while let Some(word) = input.byte() {
        let command = [
            "offer",
            "offer",
            "answer",
            "delete",
            "query",
            "list",
            "statistics",
            "cli",
        ];
        let command = command[usize::from(word % 8)];
        let mut dict = Dict::new().with("command", Value::str(command));
        for (key, names, shift) in [
            ("call-id", ["x", "y"], 3),
            ("from-tag", ["a", "b"], 4),
            ("to-tag", ["b", "c"], 5),
        ] {
            if key != "to-tag" || command == "answer" || word & 0x40 != 0 {
                dict.push(
                    key.as_bytes(),
                    Value::str(names[usize::from(word >> shift & 1)]),
                );
            }
        }
        if word & 0x80 != 0 {
            dict.push(&b"rtpp-flags"[..], Value::owned(flags(&mut input)));
        }
        dict.push(&b"sdp"[..], Value::owned(body(&mut input)));
        let reply = world.request(&Value::Dict(dict));
        assert!(reply.get("result").is_some(), "every request has a result");
        world.run(Duration::from_millis(
            u64::from(input.byte().unwrap_or(0)) * 50,
        ));
    }
    for id in ["x", "y"] {
        let dict = Dict::new()
            .with("command", Value::str("delete"))
            .with("call-id", Value::str(id))
            .with("delete delay", Value::Int(0));
        world.request(&Value::Dict(dict));
    }
    assert_eq!(world.ports.leased(), 0, "every port comes back");
}

const PORTS: u8 = 4;

/// Bytes taken from the front of an input.
struct Input<'d>(&'d [u8]);

impl<'d> Input<'d> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, len: usize) -> &'d [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A length and as many bytes.
    fn chunk(&mut self) -> &'d [u8] {
        let len = self.byte().unwrap_or(0);
        self.bytes(usize::from(len))
    }
}

/// Takes everything and keeps nothing.
struct Nothing;

impl Outbox for Nothing {
    fn forward(&mut self, _index: usize, _len: usize, _via: PortId, _to: Endpoint) {}
    fn copy(&mut self, _bytes: &[u8], _via: PortId, _to: Endpoint) {}
    fn event(&mut self, _event: Event) {}
}

fn port(number: u8) -> PortId {
    PortId::new(0, u32::from(number % PORTS)).expect("a small slot")
}

fn place(number: u8) -> Endpoint {
    match number % 4 {
        0 => Endpoint::NONE,
        n => Endpoint::new(IpAddr::from([192, 0, 2, n]), 4000 + u16::from(number / 4)),
    }
}

fn spec(input: &mut Input<'_>, stats: &[Arc<PortStats>]) -> Spec {
    let mut pick = || input.byte().unwrap_or(0);
    let (own, shape, who) = (pick(), pick(), pick());
    let sink = |number: u8| Sink {
        via: port(number),
        feedback: if number & 0x80 == 0 {
            Feedback::Keep
        } else {
            Feedback::Strip
        },
        edit: None,
    };
    Spec {
        port: port(own),
        accepts: [Accepts::Rtp, Accepts::Rtcp, Accepts::Muxed, Accepts::Opaque]
            [usize::from(shape % 4)],
        admission: Admission {
            advertised: place(who),
            learning: [
                Learning::Off,
                Learning::Immediate,
                Learning::Delayed,
                Learning::Heuristic,
            ][usize::from(shape >> 2 & 3)],
            stranger: [
                Stranger::Forward,
                Stranger::Drop,
                Stranger::Follow,
                Stranger::Validated,
            ][usize::from(shape >> 4 & 3)],
            epoch: u32::from(who >> 6),
        },
        handshakes: Handshakes {
            punts: [Punts::Nothing, Punts::Stun, Punts::Dtls, Punts::Both]
                [usize::from(shape >> 5 & 3)],
            validated: (0..shape & 1).map(|_| place(who.wrapping_add(4))).collect(),
        },
        receive: security(shape >> 7 | who >> 2 & 2 | who >> 3 & 4),
        send: security(own >> 2 & 7),
        clocks: Clocks::new(),
        rtp: (0..own >> 6)
            .map(|n| sink(pick().wrapping_add(n)))
            .collect(),
        rtcp: (0..who >> 6)
            .map(|n| sink(pick().wrapping_add(n)))
            .collect(),
        reporting: Reporting::Relayed,
        bundle: None,
        doors: None,
        tos: shape,
        blocked: own & 0x20 != 0,
        interface: 0,
        stats: Arc::clone(&stats[usize::from(own % PORTS)]),
    }
}

/// One way to protect a direction; two of them are under one key.
fn security(choice: u8) -> Security {
    let keys = |suite: Suite, byte: u8| {
        let inline = [byte; 46];
        let len = suite.key_len() + suite.salt_len();
        Arc::new(Keys::from_inline(suite, &inline[..len]).expect("the suite's lengths"))
    };
    match choice & 7 {
        0..3 => Security::Plain,
        3 => Security::EndToEnd,
        4 => Security::Pending,
        5 => Security::Srtp(keys(Suite::AeadAes128Gcm, 1)),
        _ => Security::Srtp(keys(Suite::AesCm128Sha1_32, 2)),
    }
}

/// A body that often parses: known lines by number, with raw bytes in between.
/// Flags: words by number, where all bytes are small, else any text.
fn flags(input: &mut Input<'_>) -> Vec<u8> {
    let chunk = input.chunk();
    if chunk.iter().any(|byte| *byte >= b' ') {
        return chunk.to_vec();
    }
    let words = chunk
        .iter()
        .map(|byte| web::WORDS[usize::from(*byte) % web::WORDS.len()]);
    words.collect::<Vec<_>>().join(" ").into_bytes()
}

fn body(input: &mut Input<'_>) -> Vec<u8> {
    const LINES: [&str; 38] = [
        "v=0",
        "o=- 1 1 IN IP4 192.0.2.1",
        "s=-",
        "c=IN IP4 192.0.2.1",
        "c=IN IP4 0.0.0.0",
        "c=IN IP6 2001:db8::1",
        "t=0 0",
        "m=audio 4000 RTP/AVP 0 8 101",
        "m=audio 0 RTP/AVP 0",
        "m=video 4002 RTP/AVPF 96",
        "m=image 4004 udptl t38",
        "m=message 4006 TCP/MSRP *",
        "m=audio 4008 RTP/SAVP 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "a=rtpmap:101 telephone-event/8000",
        "a=sendonly",
        "a=inactive",
        "a=rtcp:4010",
        "a=rtcp-mux",
        "a=mid:0",
        "a=group:BUNDLE 0 1",
        "a=candidate:1 1 UDP 1 192.0.2.1 4000 typ host",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
        "a=setup:actpass",
        "m=audio 4008 RTP/AVP 0",
        "m=audio 4012 RTP/SAVPF 0",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:rimCP2dqWTGHu199g/krKFLNGBH/TWwW1xSpjVaP|2^20|1:4",
        "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:QmPmorQNS/By39qFYiH4qnM/IpJv0sh7ILt9PZgh WSH=64",
        "a=crypto:3 AEAD_AES_256_GCM inline:9nQmpAVqdzvgaInzIx+K62UWlMUq+GSk5m3VLCJteXlKGr44kK8r6VTL8Qg=",
        "a=crypto:999999999 NULL_HMAC_SHA1_32 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA KDR=1",
        "a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:AAAA",
        "a=ice-ufrag:abcd",
        "a=ice-ufrag:efgh",
        "a=ice-pwd:aaaabbbbccccddddeeeeff",
        "a=ice-lite",
        "a=ice-options:trickle",
        "a=candidate:1 2 UDP 7 192.0.2.1 4001 typ host",
        "a=end-of-candidates",
    ];
    let mut body =
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n".to_vec();
    for _ in 0..input.byte().unwrap_or(0) % 32 {
        match input.byte() {
            Some(number @ 0..=199) => body.extend(LINES[usize::from(number) % LINES.len()].bytes()),
            Some(number @ 200..=239) => {
                let blocks = web::BLOCKS;
                body.extend(blocks[usize::from(number) % blocks.len()].bytes());
            }
            Some(_) => body.extend(input.chunk()),
            None => break,
        }
        body.extend(b"\r\n");
    }
    body
}
