//! The bodies of the fuzz targets, so that one definition serves libFuzzer, the replay of the
//! committed corpora, and whoever debugs an input.
//!
//! Each takes arbitrary bytes and must not panic; beyond that it states what has to hold.

use patchcord_wire::ng::{self, Format, Request};
use patchcord_wire::rtcp::{Compound, strip_feedback};
use patchcord_wire::rtp::Rtp;
use patchcord_wire::sdp::{Candidate, Crypto, Fingerprint, Origin, Rtpmap, Sdp, Writer};
use patchcord_wire::value::Limits;
use patchcord_wire::{bencode, json};

/// What is decoded is written and decoded again to the same value, in both encodings.
pub fn bencode(data: &[u8]) {
    let Ok((value, used)) = bencode::decode(data, Limits::REQUEST) else { return };
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
    let Ok(envelope) = ng::parse(data) else { return };
    let (request, warnings) = Request::parse(&envelope.body);
    let reply = match request {
        Ok(_) => ng::Reply::sdp(b"v=0\r\n".as_slice()),
        Err(error) => ng::Reply::error(error.to_string()),
    };
    let reply = if warnings.is_empty() { reply } else { reply.with_warning(warnings.to_string()) };
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
        let _ = section.get_or_inherit::<Fingerprint<'_>>();
    }
    let _ = sdp.session().get::<Origin<'_>>();
    let written = out.finish();
    assert!(written.starts_with(data), "what is not touched stays byte for byte");
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
}

/// A checked compound walks to its end; without its feedback it is a compound again, or nothing.
pub fn rtcp(data: &[u8]) {
    let Ok(compound) = Compound::parse(data) else { return };
    let total: usize = compound.packets().map(|packet| packet.body().len() + 4).sum();
    assert!(total <= data.len(), "packets lie within the datagram");
    let mut copy = data.to_vec();
    let left = strip_feedback(&mut copy);
    let left = &copy[..left];
    if !left.is_empty() {
        let rest = Compound::parse(left).expect("what is left is a compound");
        assert!(rest.packets().all(|packet| !packet.kind().is_feedback()));
    }
}
