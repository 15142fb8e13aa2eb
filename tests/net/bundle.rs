//! Sections that share a transport on one side and have ports of their own on the other (RFC 9143), whatever
//! keys the transport has.

use patchcord_media::srtp::Suite;
use patchcord_tests::{Backend, DtlsSide, Family, NgCall, Phone, Sdp, rtp, until};
use patchcord_wire::extension::{MID, Rewrite};
use patchcord_wire::rtp::Rtp;
use serde_json::{Value, json};

use crate::field::Field;

/// The id of the MID towards the bundled side, where that chooses it.
const ID: u8 = 3;
/// SSRCs of its streams, and of those of the phones.
const SAID: [u32; 2] = [1001, 1002];
const HEARD: [u32; 2] = [2001, 2002];
/// A name that the one-byte form has no room for.
const LONG: &str = "a-name-of-more-than-sixteen-bytes";

on_each_backend! {
    a_bundle_is_split_to_two_phones_and_put_together_again,
    two_phones_are_bundled_towards_who_is_called,
    a_section_alone_in_its_bundle_is_named,
    payload_types_tell_sections_that_have_no_names,
    names_are_put_into_extensions_of_either_form,
    compounds_are_split_and_put_together,
}

/// How the side with the bundle gets its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keyed {
    Not,
    Lines,
    Handshake,
    Browser,
}

impl Keyed {
    const ALL: [Self; 4] = [Self::Not, Self::Lines, Self::Handshake, Self::Browser];

    /// The phone with the bundle, which says this of its part in a handshake.
    fn phone(self, field: &Field, port: u16, setup: &'static str) -> Phone {
        let phone = field.phone(0, Family::V4, port, 440.0).muxed();
        let side = DtlsSide::new(setup);
        match self {
            Self::Not => phone.in_profile("RTP/AVPF"),
            Self::Lines => phone
                .secured(Suite::AesCm128Sha1_80, 1)
                .in_profile("RTP/SAVPF"),
            Self::Handshake => phone.shaking_hands(side).in_profile("UDP/TLS/RTP/SAVPF"),
            Self::Browser => {
                let is_browser = true;
                phone
                    .shaking_hands(DtlsSide { is_browser, ..side })
                    .in_a_browser()
            }
        }
    }

    /// What a script asks for towards it.
    fn words(self) -> Value {
        let (profile, ice) = match self {
            Self::Not => ("RTP/AVPF", "remove"),
            Self::Lines => ("RTP/SAVPF", "remove"),
            Self::Handshake => ("UDP/TLS/RTP/SAVPF", "remove"),
            Self::Browser => ("UDP/TLS/RTP/SAVPF", "force"),
        };
        let one = if self == Self::Lines { "DTLS" } else { "SDES" };
        json!({
            "bundle": ["require"], "rtcp-mux": ["require"], "transport-protocol": profile, "ICE": ice, one: "off",
        })
    }

    /// Makes the keys, where that takes a handshake.
    fn meet(self, web: &mut Phone) {
        if matches!(self, Self::Handshake | Self::Browser) {
            web.shake_hands(|| true)
                .unwrap_or_else(|why| panic!("{self:?}: {why}"));
        }
    }
}

/// What a script asks for towards the phones.
fn to_phones() -> Value {
    json!({"bundle": ["accept"], "rtcp-mux": ["demux"], "transport-protocol": "RTP/AVPF", "ICE": "remove"})
}

/// A call between one side with a bundle and a phone for each of its sections.
struct Talk<'f> {
    field: &'f Field,
    web: Phone,
    phones: [Phone; 2],
    /// The sections' names in the bundle, and the id that these have in packets.
    names: [String; 2],
    id: Option<u8>,
    /// Payload types of the sections.
    types: [u8; 2],
}

impl<'f> Talk<'f> {
    /// The side with the bundle calls.
    fn accepted(field: &'f Field, keyed: Keyed, names: [&str; 2]) -> Self {
        Self::accepted_with(field, keyed, names, Some(ID), [96; 2])
    }

    fn accepted_with(
        field: &'f Field,
        keyed: Keyed,
        names: [&str; 2],
        id: Option<u8>,
        types: [u8; 2],
    ) -> Self {
        let mut web = keyed.phone(field, 4000, "actpass");
        let phones = [4000, 4100].map(|port| field.phone(1, Family::V4, port, 1000.0));
        let mut talk_phones = phones;
        let call = NgCall::new("call");
        let offer = bundled(&web, names, id, types);
        let offer = call.offer(&field.ng, &offer, to_phones()).sdp();
        assert_ne!(offer.rtp(0), offer.rtp(1), "a port for each phone");
        let answer = together(&talk_phones, types);
        let answer = call.answer(&field.ng, &answer, json!({})).sdp();
        assert_eq!(answer.rtp(0), answer.rtp(1), "one port for both sections");
        let group = format!("a=group:BUNDLE {} {}", names[0], names[1]);
        assert!(answer.has(&group), "{}", answer.text());
        web.call(&answer);
        for (at, phone) in talk_phones.iter_mut().enumerate() {
            phone.call_section(&offer, at);
        }
        keyed.meet(&mut web);
        let names = names.map(str::to_owned);
        Self {
            field,
            web,
            phones: talk_phones,
            names,
            id,
            types,
        }
    }

    /// The phones call, and a bundle is asked of who is called.
    fn required(field: &'f Field, keyed: Keyed) -> Self {
        let mut web = keyed.phone(field, 4000, "active");
        web.is_called();
        let mut phones = [4000, 4100].map(|port| field.phone(1, Family::V4, port, 1000.0));
        let call = NgCall::new("call");
        let offer = together(&phones, [96; 2]);
        let offer = call.offer(&field.ng, &offer, keyed.words()).sdp();
        let name = |at| offer.value(at, "mid").expect("it has a name");
        let names = [name(0), name(1)];
        let group = format!("a=group:BUNDLE {} {}", names[0], names[1]);
        assert!(offer.has(&group), "{}", offer.text());
        let extension = offer
            .value(0, "extmap")
            .and_then(|line| line.split_once(' '));
        let (id, uri) = extension.expect("names are asked for in packets");
        assert_eq!(uri, MID);
        let id = id.parse().ok();
        web.call(&offer);
        let answer = bundled(&web, names, id, [96; 2]);
        let answer = call.answer(&field.ng, &answer, to_phones()).sdp();
        assert_ne!(answer.rtp(0), answer.rtp(1), "a port for each phone");
        for (at, phone) in phones.iter_mut().enumerate() {
            phone.call_section(&answer, at);
        }
        keyed.meet(&mut web);
        let names = names.map(str::to_owned);
        Self {
            field,
            web,
            phones,
            names,
            id,
            types: [96; 2],
        }
    }

    /// The relay has both sides' keys in a moment: until then packets go nowhere.
    fn begin(&self) {
        let mut heard = [false; 2];
        let mut sequence = 100;
        until(
            "media under keys",
            std::time::Duration::from_secs(10),
            || {
                sequence += 1;
                for (at, ssrc) in HEARD.into_iter().enumerate() {
                    self.web.say(&self.named(at, sequence));
                    self.phones[at].say(&self.packet(at, sequence, ssrc));
                    heard[0] |= self.phones[at].arrived().is_some();
                }
                heard[1] |= self.web.arrived().is_some();
                heard == [true; 2]
            },
        );
        self.settle();
    }

    /// Lets go of what is under way.
    fn settle(&self) {
        let everyone = || self.phones.iter().chain([&self.web]);
        while everyone().any(|one| one.arrived_soon().is_some()) {}
        everyone().for_each(Phone::flush);
    }

    fn packet(&self, at: usize, sequence: u16, ssrc: u32) -> Vec<u8> {
        let timestamp = 160 * u32::from(sequence);
        let mut packet = rtp(sequence, timestamp, ssrc, b"a section's own");
        packet[1] = self.types[at];
        packet
    }

    /// The packet of a section, with its name, if names are in packets at all.
    fn named(&self, at: usize, sequence: u16) -> Vec<u8> {
        let packet = self.packet(at, sequence, SAID[at]);
        match self.id {
            Some(id) => with_element(&packet, id, self.names[at].as_bytes()),
            None => packet,
        }
    }

    /// What the bundle says of section `at` arrives at its phone as that packet, and nowhere else.
    fn reaches_phone(&self, at: usize, said: &[u8], expected: &[u8]) {
        self.web.say(said);
        let got = self.phones[at].receive().map(|(_, got)| got);
        assert_eq!(got.as_deref(), Some(expected), "section {at}");
        assert!(self.phones[1 - at].arrived().is_none(), "section {at}");
    }

    /// What a phone says arrives in the bundle with its section's name; gives that packet.
    fn reaches_bundle(&self, at: usize, said: &[u8]) -> Vec<u8> {
        self.phones[at].say(said);
        let (source, got) = self.web.receive().expect("it comes from the bundle's port");
        assert_eq!(Some(source), self.web.peer);
        let (before, after) = (Rtp::parse(said), Rtp::parse(&got));
        let (Ok(before), Ok(after)) = (before, after) else {
            panic!("{said:x?} became {got:x?}")
        };
        assert_eq!(after.ssrc(), before.ssrc());
        assert_eq!(after.payload(), before.payload());
        let name = self.id.and_then(|id| after.element(id));
        let expected = self.id.map(|_| self.names[at].as_bytes());
        assert_eq!(name, expected, "section {at}");
        got
    }

    /// Both sections in both directions: named ones tell the streams, and those without a name follow.
    fn converse(&self) {
        for sequence in 1000..1004 {
            for (at, ssrc) in HEARD.into_iter().enumerate() {
                let plain = self.packet(at, sequence, SAID[at]);
                let said = match sequence {
                    1000 | 1001 => self.named(at, sequence),
                    _ => plain.clone(),
                };
                self.reaches_phone(at, &said, &plain);
                self.reaches_bundle(at, &self.packet(at, sequence, ssrc));
            }
        }
    }
}

fn a_bundle_is_split_to_two_phones_and_put_together_again(backend: Backend) {
    for keyed in Keyed::ALL {
        let Some(field) = Field::ours_on(backend, 2, &[]) else {
            return;
        };
        let talk = Talk::accepted(&field, keyed, ["0", "1"]);
        talk.begin();
        talk.converse();
        // What nobody can tell goes nowhere, and is counted.
        talk.web.say(&talk.packet(0, 1, 9999));
        assert!(talk.phones.iter().all(Phone::is_left_alone), "{keyed:?}");
        let metrics = talk.field.relay.metrics(&talk.field.site);
        let lost = metrics.count("patchcord_packets_total", &["reason=\"no_section\""]);
        assert_eq!(lost, 1, "{keyed:?}");
    }
}

fn two_phones_are_bundled_towards_who_is_called(backend: Backend) {
    for keyed in Keyed::ALL {
        let Some(field) = Field::ours_on(backend, 2, &[]) else {
            return;
        };
        let talk = Talk::required(&field, keyed);
        talk.begin();
        talk.converse();
    }
}

fn a_section_alone_in_its_bundle_is_named(backend: Backend) {
    let Some(field) = Field::on(backend, 2, &[]) else {
        return;
    };
    let (mut web, mut phone) = field.pair();
    let call = NgCall::new("call");
    let flags = json!({"bundle": ["accept"], "rtcp-mux": ["demux"]});
    let alone = bundled(&web, ["0", "1"], Some(ID), [96; 2]).replaced("BUNDLE 0 1", "BUNDLE 0");
    let (alone, _) = alone.text().split_once("m=video").expect("its second one");
    let alone = Sdp::parse(alone).with("a=rtcp-mux");
    let offer = call.offer(&field.ng, &alone, flags).sdp();
    let answer = phone.sdp().with("a=rtpmap:96 x/8000");
    let answer = answer.replaced("RTP/AVP 0", "RTP/AVP 96");
    let answer = call.answer(&field.ng, &answer, json!({})).sdp();
    assert!(answer.has("a=group:BUNDLE 0"), "{}", answer.text());
    web.call(&answer);
    phone.call(&offer);

    let mut plain = rtp(1, 160, SAID[0], b"a section's own");
    plain[1] = 96;
    web.send(&with_element(&plain, ID, b"0"));
    assert_eq!(phone.receive().map(|(_, got)| got), Some(plain.clone()));
    phone.send(&plain);
    let (_, got) = web.receive().expect("it is relayed");
    let got = Rtp::parse(&got).expect("RTP");
    assert_eq!(got.element(ID), Some(&b"0"[..]));
}

fn payload_types_tell_sections_that_have_no_names(backend: Backend) {
    let Some(field) = Field::ours_on(backend, 2, &[]) else {
        return;
    };
    let talk = Talk::accepted_with(&field, Keyed::Browser, ["a", "v"], None, [96, 97]);
    talk.begin();
    talk.converse();
    // A stream stays in its section: the other's payload type makes it nobody's.
    talk.web.say(&talk.packet(1, 2000, SAID[0]));
    assert!(talk.phones.iter().all(Phone::is_left_alone));
}

fn names_are_put_into_extensions_of_either_form(backend: Backend) {
    // Names that need the form of two bytes, and names that have room in either.
    for names in [["0", "1"], ["0", LONG]] {
        let Some(field) = Field::ours_on(backend, 2, &[]) else {
            return;
        };
        let talk = Talk::accepted(&field, Keyed::Browser, names);
        talk.begin();
        let short = |packet: &[u8]| with_element(packet, 7, b"x");
        // An element without bytes is one that only the form of two has.
        let long = |packet: &[u8]| with_element(packet, 7, b"");
        for (sequence, form) in [(1000, &short as &dyn Fn(&[u8]) -> Vec<u8>), (1001, &long)] {
            for at in 0..2 {
                let said = form(&talk.packet(at, sequence, SAID[at]));
                let name = talk.names[at].as_bytes();
                talk.web.say(&with_element(&said, ID, name));
                let got = talk.phones[at].receive().map(|(_, got)| got);
                let got = got.expect("it is its section's");
                let (got, said) = (Rtp::parse(&got), Rtp::parse(&said));
                let (got, said) = (got.expect("RTP"), said.expect("RTP"));
                assert_eq!((got.element(ID), got.payload()), (None, said.payload()));
                assert_eq!(got.element(7), said.element(7), "others stay");

                let said = form(&talk.packet(at, sequence, HEARD[at]));
                let got = talk.reaches_bundle(at, &said);
                let got = Rtp::parse(&got).expect("RTP");
                let said = Rtp::parse(&said).expect("RTP");
                assert_eq!(got.element(7), said.element(7), "others stay");
            }
        }
    }
}

/// One packet of RTCP: its kind, its count, and words.
fn rtcp(kind: u8, count: u8, words: &[u32]) -> Vec<u8> {
    let mut packet = vec![0x80 | count, kind, 0, words.len() as u8];
    packet.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    packet
}

/// A report of a sender that tells of one stream that it gets.
fn report(ssrc: u32, about: u32) -> Vec<u8> {
    rtcp(200, 1, &[ssrc, 0, 0, 0, 9, 9, about, 0, 0, 0, 0, 0])
}

fn compounds_are_split_and_put_together(backend: Backend) {
    const PLI: u8 = 1;
    for keyed in Keyed::ALL {
        let Some(field) = Field::ours_on(backend, 2, &[]) else {
            return;
        };
        let talk = Talk::accepted(&field, keyed, ["0", "1"]);
        talk.begin();
        // One compound of both sections, and a request that concerns the second one alone.
        let parts = [0, 1].map(|at| report(SAID[at], HEARD[at]));
        let request = rtcp(206, PLI, &[SAID[1], HEARD[1]]);
        let whole = [&parts[0][..], &parts[1], &request].concat();
        talk.web.send_rtcp(&whole);
        let expected = [parts[0].clone(), [&parts[1][..], &request].concat()];
        for (phone, expected) in talk.phones.iter().zip(expected) {
            let (source, got) = phone.receive_rtcp().expect("its part of the compound");
            assert_eq!(got, expected, "{keyed:?}");
            assert_eq!(Some(source), phone.peer_rtcp);
            assert!(phone.is_left_alone(), "nothing at the port of RTP");
        }
        // And back: each phone's own, as it is, at the one port of the bundle.
        for at in 0..2 {
            let request = rtcp(206, PLI, &[HEARD[at], SAID[at]]);
            let said = [report(HEARD[at], SAID[at]), request].concat();
            talk.phones[at].send_rtcp(&said);
            let (source, got) = talk.web.receive_rtcp().expect("it is relayed");
            assert_eq!((Some(source), got), (talk.web.peer, said), "{keyed:?}");
        }
    }
}

fn with_element(packet: &[u8], id: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    bytes.resize(packet.len() + 64, 0);
    let rewrite = Rewrite {
        put: Some((id, data)),
        ..Rewrite::default()
    };
    let len = rewrite
        .apply(&mut bytes, packet.len())
        .expect("there is room");
    bytes.truncate(len);
    bytes
}

/// Two sections at one port, under the same keys: what `web` says of itself, twice.
fn bundled(web: &Phone, names: [&str; 2], id: Option<u8>, types: [u8; 2]) -> Sdp {
    let own = web.sdp();
    let (head, section) = own.text().split_once("m=audio ").expect("it has one");
    let (first, rest) = section.split_once(" 0\r\n").expect("PCMU alone");
    let rest = rest.replace("a=rtpmap:0 PCMU/8000\r\n", "");
    let section = |at: usize, kind: &str| {
        let (name, number) = (names[at], types[at]);
        let extension = id.map(|id| format!("a=extmap:{id} {MID}\r\n"));
        format!(
            "m={kind} {first} {number}\r\na=mid:{name}\r\na=rtpmap:{number} x/8000\r\n{}{rest}",
            extension.unwrap_or_default()
        )
    };
    let (audio, video) = (section(0, "audio"), section(1, "video"));
    let [one, two] = names;
    Sdp::parse(&format!(
        "{head}a=group:BUNDLE {one} {two}\r\n{audio}{video}"
    ))
}

/// One description of two phones at one host.
fn together(phones: &[Phone; 2], types: [u8; 2]) -> Sdp {
    let ip = phones[0].address().ip();
    let section = |at: usize, kind: &str| {
        let (port, number) = (phones[at].address().port(), types[at]);
        format!(
            "m={kind} {port} RTP/AVPF {number}\r\nc=IN IP4 {ip}\r\na=rtpmap:{number} x/8000\r\na=sendrecv\r\n"
        )
    };
    let (audio, video) = (section(0, "audio"), section(1, "video"));
    Sdp::parse(&format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nt=0 0\r\n{audio}{video}"
    ))
}
